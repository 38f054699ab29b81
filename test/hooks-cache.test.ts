import { Redis } from 'ioredis'
import t from 'tap'
import { startGateway } from '../src/cli/serve.ts'
import type { PartialConfig } from './support/app.ts'
import { type Asked, get, post, smallest } from './support/ask.ts'
import { type HookedGateway, hookedGateway, hookFile } from './support/hooks.ts'
import { temporaryFolder } from './support/process.ts'
import { redisService } from './support/services.ts'
import { until } from './support/store.ts'
import { startUpstream, type Upstream } from './support/upstream.ts'

interface Scope {
  teardown(done: () => unknown): void
}

/** What is asked about one capital points one way, nearly. */
function vectorOf([text = '']: readonly string[]): number[] {
  return /capital/.test(text) ? [1, text.length / 200, 0] : [0, 0.3, 1]
}

/** Answers after a while, each time with another number. */
function counting(milliseconds: number): Promise<Upstream> {
  let asked = 0
  return startUpstream((request, response) => {
    const number = ++asked
    const { stream, fail, input } = JSON.parse(request.body.toString()) as {
      stream?: boolean
      fail?: boolean
      input?: string[]
    }
    if (input !== undefined)
      return void response.end(JSON.stringify({ data: [{ index: 0, embedding: vectorOf(input) }] }))
    const content = `answer ${number}`
    const usage = { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 }
    const head = { id: 'x', created: 1, model: 'm' }
    setTimeout(() => {
      if (fail === true) {
        response.writeHead(500, { 'content-type': 'application/json' })
        return response.end('{"error":{"message":"no"}}')
      }
      if (stream !== true) {
        response.setHeader('content-type', 'application/json')
        const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }]
        return response.end(JSON.stringify({ ...head, object: 'chat.completion', choices, usage }))
      }
      response.setHeader('content-type', 'text/event-stream')
      const frame = (choices: object[], more: object = {}) =>
        response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', choices, ...more })}\n\n`)
      frame([{ index: 0, delta: { role: 'assistant', content } }])
      frame([{ index: 0, delta: {}, finish_reason: 'stop' }])
      frame([], { usage })
      return response.end('data: [DONE]\n\n')
    }, milliseconds)
  })
}

async function cached(
  t: Scope,
  options: object = {},
  milliseconds = 0,
  url = ''
): Promise<{ gateway: HookedGateway; upstream: Upstream; ask: Ask }> {
  const upstream = await counting(milliseconds)
  t.teardown(() => upstream.close())
  const config: PartialConfig = {
    hooks: [{ cache: options }],
    store: { redis_url: url },
    routing: { retries: 0 },
    model_list: [{ model_name: 'm', provider: 'custom', api_base: `${upstream.url}/v1`, dialect: 'openai-chat' }]
  }
  if (url !== '') await emptied(url)
  const gateway = await hookedGateway({}, config)
  t.teardown(() => gateway.close())
  const ask: Ask = (more = {}, headers = {}, dialect = 'openai-chat', stream = false) => {
    const [path, body] = smallest(dialect, 'm', stream)
    return post(gateway.url + path, { ...body, ...more }, headers)
  }
  return { gateway, upstream, ask }
}

type Ask = (more?: object, headers?: Record<string, string>, dialect?: string, stream?: boolean) => Promise<Asked>
const said = (answer: Asked) => /answer \d+/.exec(answer.text)?.[0]
const how = (answer: Asked) => answer.headers['x-gateway-cache']

/** What a test before left behind would be found. */
async function emptied(url: string): Promise<void> {
  const redis = new Redis(url)
  await redis.flushall()
  redis.disconnect()
}

const service = await redisService()
t.teardown(() => service?.stop())

/** The same for both: what a hook keeps may lie in this process or in Redis. */
const STORES = [{ store: 'memory', url: '' }, ...(service === undefined ? [] : [{ store: 'Redis', url: service.url }])]

for (const { store, url } of STORES) {
  t.test(`${store}: what was answered is answered again, to each dialect and as a stream`, async t => {
    const { upstream, ask } = await cached(t, {}, 0, url)
    const first = await ask()
    t.same([how(first), said(first)], ['miss', 'answer 1'])
    const again = await ask()
    t.same([how(again), said(again), again.headers['age']], ['hit', 'answer 1', '0'])
    t.match(again.json, { usage: { prompt_tokens: 3, completion_tokens: 5 } })
    const streamed = await ask({ stream_options: { include_usage: true } }, {}, 'openai-chat', true)
    t.same([how(streamed), said(streamed)], ['hit', 'answer 1'])
    t.match(streamed.text, /"completion_tokens":5[\s\S]*\[DONE\]/)
    t.equal(upstream.requests.length, 1)
    for (const dialect of ['anthropic', 'openai-responses', 'gemini'])
      for (const stream of [true, false]) {
        const answer = await ask({}, {}, dialect, stream)
        t.equal(answer.status, 200, dialect)
        t.match(said(answer), /answer \d/)
      }
    const before = upstream.requests.length
    for (const dialect of ['anthropic', 'openai-responses', 'gemini'])
      t.equal(how(await ask({}, {}, dialect)), 'hit', dialect)
    t.equal(upstream.requests.length, before)
  })

  t.test(`${store}: what may change the answer makes another request of it`, async t => {
    const { ask } = await cached(t, {}, 0, url)
    await ask()
    for (const more of [
      { max_tokens: 9 },
      { seed: 1 },
      { temperature: 0 },
      { stop: ['x'] },
      { messages: [{ role: 'user', content: 'ho' }] }
    ])
      t.equal(how(await ask(more)), 'miss', JSON.stringify(more))
    t.equal(how(await ask({}, { authorization: 'Bearer somebody-else' })), 'miss', 'another caller')
    t.equal(how(await ask({}, { authorization: 'Bearer somebody-else' })), 'hit')
    t.equal(how(await ask({ user: 'joe' })), 'hit', 'who the end user is changes nothing')
  })

  t.test(`${store}: callers share one cache when told so`, async t => {
    const { ask } = await cached(t, { shared: true }, 0, url)
    await ask({}, { authorization: 'Bearer one' })
    t.equal(how(await ask({}, { authorization: 'Bearer two' })), 'hit')
  })

  t.test(`${store}: clients say no-cache, no-store, ttl and max-age`, async t => {
    const { ask } = await cached(t, {}, 0, url)
    t.equal(how(await ask({}, { 'cache-control': 'no-store' })), 'bypass')
    t.equal(how(await ask()), 'miss', 'nothing was stored')
    const fresh = await ask({}, { 'cache-control': 'no-cache' })
    t.same([how(fresh), said(fresh)], ['miss', 'answer 3'])
    t.equal(said(await ask()), 'answer 3', 'the fresh one was stored')
    t.equal(how(await ask({}, { 'x-gateway-cache-control': 'max-age=0' })), 'miss')
    await ask({ seed: 5 }, { 'x-gateway-cache-control': 'ttl=0' })
    t.equal(how(await ask({ seed: 5 })), 'miss')
  })

  t.test(`${store}: errors, chance and several answers are not stored; chance is when told`, async t => {
    const { ask, upstream } = await cached(t, {}, 0, url)
    t.equal((await ask({ fail: true })).status, 502)
    t.equal((await ask({ fail: true })).status, 502)
    t.equal(upstream.requests.length, 2)
    for (const more of [{ temperature: 0.7 }, { n: 2 }]) {
      await ask(more)
      t.equal(how(await ask(more)), 'bypass', JSON.stringify(more))
    }
    const random = await cached(t, { random: true }, 0, url)
    await random.ask({ temperature: 0.7 })
    t.equal(how(await random.ask({ temperature: 0.7 })), 'hit')
  })

  t.test(`${store}: 64 identical streams are asked for once, and each is whole`, async t => {
    const { ask, upstream } = await cached(t, {}, 300, url)
    const answers = await Promise.all(Array.from({ length: 64 }, () => ask({}, {}, 'openai-chat', true)))
    t.equal(upstream.requests.length, 1)
    for (const answer of answers) {
      t.equal(answer.status, 200)
      const frames = answer.text
        .trim()
        .split('\n\n')
        .map(frame => frame.replace(/^data: /, ''))
      t.equal(frames.pop(), '[DONE]')
      const texts = frames.map(
        frame => (JSON.parse(frame) as { choices: { delta: { content?: string } }[] }).choices[0]?.delta.content ?? ''
      )
      t.equal(texts.join(''), 'answer 1')
    }
    const hows = answers.map(how)
    t.equal(hows.filter(name => name === 'miss').length, 1)
    t.ok(hows.filter(name => name === 'coalesced').length > 30, 'those who came later found it stored')
    t.ok(hows.every(name => ['miss', 'coalesced', 'hit'].includes(String(name))))
  })

  t.test(`${store}: a client that leaves does not take the others with it`, async t => {
    const { ask, upstream, gateway } = await cached(t, {}, 150, url)
    const controller = new AbortController()
    const [path, body] = smallest('openai-chat', 'm', true)
    const first = fetch(gateway.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: controller.signal
    }).catch(() => 'left')
    await upstream.received(1)
    const others = Array.from({ length: 5 }, () => ask({}, {}, 'openai-chat', true))
    await new Promise(resolve => setTimeout(resolve, 50))
    controller.abort()
    t.equal(await first, 'left')
    for (const answer of await Promise.all(others)) t.same([answer.status, said(answer)], [200, 'answer 2'])
    t.equal(upstream.requests.length, 2)
  })

  t.test(`${store}: a failure reaches all who wait, each by its own try`, async t => {
    const { ask, upstream } = await cached(t, {}, 30, url)
    const answers = await Promise.all(Array.from({ length: 4 }, () => ask({ fail: true })))
    t.ok(answers.every(answer => answer.status === 502))
    t.equal(upstream.requests.length, 4)
  })
}

t.test('what is asked in other words is answered again, to the same caller and in the same setting alone', async t => {
  const { ask, upstream, gateway } = await cached(t, { semantic: { model: 'm', threshold: 0.99 } })
  const about = (content: string, more: object = {}) => ({ messages: [{ role: 'user', content }], ...more })
  const first = await ask(about('What is the capital of France?'))
  t.equal(how(first), 'miss')
  const near = await ask(about('Tell me the capital of France!'), {}, 'openai-chat', true)
  t.same([how(near), said(near)], ['semantic', said(first)])
  t.ok(Number(near.headers['x-gateway-cache-similarity']) > 0.99)
  t.match(near.text, /\[DONE\]/)
  t.equal(how(await ask(about('What is the capital of France?'))), 'hit', 'the same words need no vector')
  t.equal(how(await ask(about('What rhymes with France?'))), 'miss', 'it means something else')
  t.equal(how(await ask(about('The capital of France is?'), { authorization: 'Bearer other' })), 'miss')
  t.equal(how(await ask(about('France, its capital?', { seed: 4 }))), 'miss', 'another seed')
  const system = { role: 'system', content: 'Be brief.' }
  const other = { messages: [system, { role: 'user', content: 'France: capital?' }] }
  t.equal(how(await ask(other)), 'miss', 'another system prompt')
  t.same(gateway.log, [])
  const embeddings = upstream.requests.filter(request => /embeddings/.test(request.url))
  t.match(JSON.parse(embeddings[0]?.body.toString() ?? ''), { input: ['What is the capital of France?'] })
})

t.test('what the cache did for a request is told to its client and counted, once each', async t => {
  const { ask, gateway, upstream } = await cached(t, {}, 100)
  t.equal(how(await ask()), 'miss')
  t.equal(how(await ask()), 'hit')
  t.equal(how(await ask({ temperature: 1 })), 'bypass')
  t.equal(how(await ask({}, { 'cache-control': 'no-store' })), 'bypass')
  const both = await Promise.all([ask({ seed: 2 }), ask({ seed: 2 })])
  t.same(both.map(how).sort(), ['coalesced', 'miss'])
  t.equal(upstream.requests.length, 4)
  const embedded = await post(`${gateway.url}/v1/embeddings`, { model: 'm', input: 'hi' })
  t.equal(how(embedded), 'bypass', 'what no cache was asked for says so, and is no look-up')
  const counted = async () =>
    (await gateway.gateway.metrics.render()).split('\n').filter(line => line.startsWith('gateway_cache_lookups_total'))
  t.same((await counted()).sort(), [
    'gateway_cache_lookups_total{kind="exact",result="bypass"} 2',
    'gateway_cache_lookups_total{kind="exact",result="coalesced"} 1',
    'gateway_cache_lookups_total{kind="exact",result="hit"} 1',
    'gateway_cache_lookups_total{kind="exact",result="miss"} 2'
  ])
})

t.test('a hook of somebody that says other words there makes no series', async t => {
  const says = hookFile('says', "{ preCall: call => call.with({ answerHeaders: { 'x-gateway-cache': call.model } }) }")
  const gateway = await hookedGateway(
    { 'says.ts': says },
    { hooks: ['says'], model_list: [{ model_name: '*', provider: 'demo' }] }
  )
  t.teardown(() => gateway.close())
  for (const model of ['one', 'hit']) {
    const [path, body] = smallest('openai-chat', model)
    t.equal(how(await post(gateway.url + path, body)), model)
  }
  const text = await gateway.gateway.metrics.render()
  t.same(text.match(/^gateway_cache_lookups_total.*$/gm), ['gateway_cache_lookups_total{kind="exact",result="hit"} 1'])
})

t.test('an embedding model that fails costs nothing but hits', async t => {
  const { ask, gateway } = await cached(t, { semantic: { model: 'nobody' } })
  t.equal(how(await ask()), 'miss')
  t.equal(how(await ask()), 'hit')
  t.equal(how(await ask({ seed: 1 })), 'miss')
  t.match(gateway.log, [/^warn: the embedding model fails, and requests go on without it: .*nobody/])
})

t.test('Redis dies in the middle, and nobody notices but the log', { skip: service === undefined }, async t => {
  const mortal = await redisService()
  if (mortal === undefined) return
  const { ask, gateway, upstream } = await cached(t, {}, 200, mortal.url)
  await ask()
  t.equal(how(await ask()), 'hit')
  const streams = Array.from({ length: 64 }, () => ask({ seed: 1 }, {}, 'openai-chat', true))
  await upstream.received(2)
  t.equal(gateway.shelf.redis, 'healthy')
  await mortal.stop()
  // Those who come after its death ask the upstream themselves, alone or together.
  for (const answer of await Promise.all(streams)) t.match([answer.status, said(answer)], [200, /^answer \d+$/])
  const began = performance.now()
  const later = await ask()
  t.same([later.status, how(later), said(later)], [200, 'miss', `answer ${upstream.requests.length}`])
  t.ok(performance.now() - began < 1000, 'a store that is gone holds nobody up')
  t.match(
    gateway.log.filter(line => line.startsWith('warn')),
    [/^warn: the cache's store fails, and requests go on without it/]
  )
  t.equal(gateway.shelf.redis, 'unreachable')
})

t.test('/health says how Redis does, and asks nobody for it', { skip: service === undefined }, async t => {
  const [mortal, other] = [await redisService(), await redisService()]
  if (mortal === undefined || other === undefined) return
  const folder = temporaryFolder()
  const saying = (url: string) =>
    `server: { port: 0 }\nstore: { redis_url: "${url}" }\nhooks: [cache: {}]\nmodel_list:\n  - { model_name: m, provider: demo }\n`
  const open = (url: string) =>
    startGateway({ file: folder.write('gateway.yaml', saying(url)), env: {}, log: { write: () => undefined } })
  const gateways = [await open(''), await open(mortal.url)]
  t.teardown(async () => {
    for (const gateway of gateways) await gateway.stop()
    await other.stop()
    folder.remove()
  })
  const [alone, gateway] = gateways
  if (alone === undefined || gateway === undefined) return
  const redisOf = async ({ url }: { readonly url: string }) => {
    const { components } = (await get(`${url}/health`)).json ?? {}
    return (components as Record<string, string> | undefined)?.['redis']
  }
  const ask = () => post(`${gateway.url}/v1/messages`, smallest('anthropic', 'm')[1])
  t.equal(await redisOf(alone), 'disabled')
  t.equal(await redisOf(gateway), 'healthy')
  await mortal.stop()
  await until(async () => (await redisOf(gateway)) === 'unreachable')
  const began = performance.now()
  t.equal(await redisOf(gateway), 'unreachable')
  t.ok(performance.now() - began < 250, 'nobody waits for it')
  const reborn = await redisService(mortal)
  await until(async () => (await redisOf(gateway)) === 'healthy')
  // Limits stay where they were; what hooks keep goes to another Redis at once.
  folder.write('gateway.yaml', saying(other.url))
  t.match(await gateway.reload(), { accepted: true })
  t.equal((await ask()).status, 200)
  t.equal(await redisOf(gateway), 'healthy')
  await other.stop()
  await until(async () => (await redisOf(gateway)) === 'unreachable')
  folder.write('gateway.yaml', saying(reborn?.url ?? ''))
  await gateway.reload()
  await until(async () => (await redisOf(gateway)) === 'healthy')
  await gateway.stop()
  await reborn?.stop()
})
