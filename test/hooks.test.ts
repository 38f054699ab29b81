import t from 'tap'
import { Keyring } from '../src/keys/keyring.ts'
import type { PartialConfig } from './support/app.ts'
import { post, smallest } from './support/ask.ts'
import { hookedGateway, hookFile } from './support/hooks.ts'
import { temporaryFolder } from './support/process.ts'
import { until } from './support/store.ts'
import { demoUpstream } from './support/upstream.ts'

t.setTimeout(600_000)

const DIALECTS = ['openai-chat', 'anthropic', 'openai-responses', 'gemini'] as const

/** Two entries of one upstream: one that is asked in the client's own dialect, and one that never is. */
function configOf(url: string, hooks: NonNullable<PartialConfig['hooks']>): PartialConfig {
  return {
    hooks,
    model_list: [
      { model_name: 'pass', provider: 'custom', api_base: `${url}/v1`, dialect: 'openai-chat' },
      { model_name: 'claude', provider: 'custom', api_base: url, dialect: 'anthropic' }
    ]
  }
}

const bodyAt = (upstream: { requests: readonly { body: Buffer }[] }, index = -1) =>
  JSON.parse(upstream.requests.at(index)?.body.toString() ?? '{}') as Record<string, unknown>

t.test('hooks run down the list and back up, those of the entry after the gateway’s own', async t => {
  const trace = (name: string) =>
    hookFile(
      name,
      `{
        preCall: call => call.with({ tags: [...call.tags, '${name}'] }),
        postCall: answer => ({ ...answer, blocks: [{ type: 'text', text: answer.blocks[0].text + ' ${name}' }] })
      }`
    )
  const gateway = await hookedGateway(
    {
      'a.ts': trace('a'),
      'b.mjs': trace('b'),
      'c.ts': trace('c'),
      'tags.ts': hookFile('tags', `{ preCall: call => { services.log.info(call.tags.join()) } }`)
    },
    {
      hooks: ['a', 'b'],
      model_list: [
        { model_name: 'm', provider: 'demo', tags: ['a', 'b', 'c'], demo: { text: 'said' }, hooks: ['c', 'tags'] }
      ]
    }
  )
  t.teardown(() => gateway.close())
  const answer = await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'm')[1])
  t.match(answer.json, { choices: [{ message: { content: 'said c b a' } }] }, answer.text)
  t.same(gateway.log, ['info: a,b,c'])
})

t.test('a hook that changes model and cap alone leaves every other byte where it was', async t => {
  const upstream = await demoUpstream()
  const gateway = await hookedGateway(
    {},
    configOf(upstream.url, [{ 'strip-prefix': { prefixes: ['openai/'] } }, { 'token-cap': { max: 7 } }])
  )
  t.teardown(async () => [await gateway.close(), await upstream.close()])
  const text =
    '{ "model" : "openai/pass", "messages":[{"role":"user","content":"h\\u0069"}],"max_tokens": 1e2,"odd":1.0 }'
  const answer = await post(`${gateway.url}/v1/chat/completions`, text)
  t.equal(answer.status, 200)
  t.equal(
    upstream.requests[0]?.body.toString(),
    '{ "model" : "pass", "messages":[{"role":"user","content":"h\\u0069"}],"max_tokens": 7,"odd":1.0 }'
  )
  await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'pass')[1])
  t.equal(bodyAt(upstream)['max_tokens'], 7)
  await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'claude')[1])
  t.equal(bodyAt(upstream)['max_tokens'], 7)
})

t.test('a changed conversation reaches the upstream, passed or translated', async t => {
  const upstream = await demoUpstream()
  const gateway = await hookedGateway(
    {
      'prompt.ts': hookFile(
        'prompt',
        `{ preCall: call => call.with({ chat: { ...call.chat, system: [{ type: 'text', text: 'Be kind.' }] } }) }`
      )
    },
    configOf(upstream.url, ['prompt'])
  )
  t.teardown(async () => [await gateway.close(), await upstream.close()])
  for (const dialect of DIALECTS)
    for (const model of ['pass', 'claude'])
      for (const stream of [false, true]) {
        const [path, body] = smallest(dialect, model, stream)
        const answer = await post(gateway.url + path, body)
        t.equal(answer.status, 200, `${dialect} ${model} ${stream}: ${answer.text.slice(0, 200)}`)
        t.match(upstream.requests.at(-1)?.body.toString(), /Be kind\./, `${dialect} ${model} ${stream}`)
      }
})

t.test('a hook answers instead of the upstream in every dialect, as a stream where one was asked for', async t => {
  const upstream = await demoUpstream()
  const gateway = await hookedGateway(
    { 'canned.ts': hookFile('canned', `{ preCall: () => ({ ...answerOf('from the hook'), headers: { age: '3' } }) }`) },
    configOf(upstream.url, ['canned'])
  )
  t.teardown(async () => [await gateway.close(), await upstream.close()])
  for (const dialect of DIALECTS)
    for (const stream of [false, true]) {
      const [path, body] = smallest(dialect, 'pass', stream)
      const answer = await post(gateway.url + path, body)
      t.equal(answer.status, 200, `${dialect} ${stream}`)
      t.match(answer.text, /from the hook/, `${dialect} ${stream}`)
      t.match(String(answer.headers['content-type']), stream ? /event-stream/ : /json/)
      t.equal(answer.headers['age'], '3')
    }
  t.equal(upstream.requests.length, 0)
  t.match(gateway.records[0], { status: 200, model: 'pass', failure: undefined })
})

t.test('a failure of a hook stops the request, before the call and after it', async t => {
  const gateway = await hookedGateway(
    {
      'no.ts': hookFile(
        'no',
        `{
          preCall: call => (call.model === 'before' ? new Failure('forbidden', 'Not before.') : undefined),
          postCall: async (answer, call) => (call.model === 'after' ? new Failure('forbidden', 'Not after.') : undefined)
        }`
      )
    },
    { hooks: ['no'], model_list: ['before', 'after', 'else'].map(name => ({ model_name: name, provider: 'demo' })) }
  )
  t.teardown(() => gateway.close())
  for (const model of ['before', 'after']) {
    const answer = await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', model)[1])
    t.match(answer, { status: 403, json: { error: { message: `Not ${model}.` } } })
  }
  const answer = await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'else')[1])
  t.equal(answer.status, 200)
})

t.test('events are changed, dropped and added, and the stream stays valid', async t => {
  const upstream = await demoUpstream()
  const gateway = await hookedGateway(
    {
      'events.ts': hookFile(
        'events',
        `{
          onEvent: (event, call) => {
            if (event.type === 'block-delta') return { ...event, text: event.text.toUpperCase() }
            if (event.type === 'finish') return [
              { type: 'block-start', index: 99, block: { type: 'text', text: '' } },
              { type: 'block-delta', index: 99, text: '[the end]' },
              event
            ]
          }
        }`
      )
    },
    configOf(upstream.url, ['events'])
  )
  t.teardown(async () => [await gateway.close(), await upstream.close()])
  for (const dialect of DIALECTS)
    for (const model of ['pass', 'claude'])
      for (const stream of [false, true]) {
        const [path, body] = smallest(dialect, model, stream)
        const answer = await post(gateway.url + path, body, { 'x-demo-text': 'one two three' })
        const name = `${dialect} ${model} ${stream}`
        t.equal(answer.status, 200, name)
        t.match(answer.text.replace(/[^A-Z[]/g, ''), /ONE|O.*N.*E/, name)
        t.match(answer.text, /\[the end\]/, name)
        if (dialect === 'anthropic' && stream) {
          const indices = [...answer.text.matchAll(/"content_block_start","index":(\d+)/g)].map(match =>
            Number(match[1])
          )
          t.same(indices, [0, 1], name)
          t.equal(answer.text.match(/content_block_stop"/g)?.length, 2, name)
        }
      }
})

t.test('postCall of a stream gets the whole answer after its end; usage is known', async t => {
  const gateway = await hookedGateway(
    {
      'see.ts': hookFile(
        'see',
        `{
          postCall: (answer, call) => services.log.info(answer.blocks.map(block => block.text).join('') + ' ' + (answer.usage?.output > 0)),
          onDone: record => services.log.info(record.status + ' ' + record.stream)
        }`
      )
    },
    { hooks: ['see'], model_list: [{ model_name: 'm', provider: 'demo', demo: { text: 'the whole of it' } }] }
  )
  t.teardown(() => gateway.close())
  for (const dialect of DIALECTS) {
    gateway.log.length = 0
    const [path, body] = smallest(dialect, 'm', true)
    // OpenAI's streams say what they used to those who ask for it.
    const more = dialect === 'openai-chat' ? { stream_options: { include_usage: true } } : {}
    await post(gateway.url + path, { ...body, ...more })
    t.match(gateway.log, ['info: the whole of it true', 'info: 200 true'], dialect)
  }
})

t.test('onFailure may answer instead, and is asked once', async t => {
  const gateway = await hookedGateway(
    { 'sorry.ts': hookFile('sorry', `{ onFailure: async failure => answerOf('Sorry: ' + failure.kind) }`) },
    {
      hooks: ['sorry'],
      model_list: [{ model_name: 'm', provider: 'demo', demo: { fail: '500' } }],
      routing: { retries: 0 }
    }
  )
  t.teardown(() => gateway.close())
  const answer = await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'm')[1])
  t.match(answer, { status: 200, json: { choices: [{ message: { content: 'Sorry: upstream-failed' } }] } })
  const unknown = await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'nobody')[1])
  t.match(unknown, { status: 200, json: { choices: [{ message: { content: 'Sorry: unknown-model' } }] } })
})

t.test('a hook is asked for the requests that `when` says', async t => {
  const gateway = await hookedGateway(
    { 'canned.ts': hookFile('canned', `{ preCall: () => answerOf('canned') }`) },
    {
      hooks: [{ canned: {}, when: { models: ['a-*'], tags: ['batch'] } }],
      model_list: [{ model_name: '*', provider: 'demo', demo: { text: 'demo' } }]
    }
  )
  t.teardown(() => gateway.close())
  const ask = async (model: string, headers: Record<string, string>) =>
    (await post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', model)[1], headers)).text
  t.match(await ask('a-1', { 'x-gateway-tags': 'x,batch' }), /canned/)
  t.notMatch(await ask('a-1', {}), /canned/)
  t.notMatch(await ask('b-1', { 'x-gateway-tags': 'batch' }), /canned/)
})

t.test('hooks know who asks by the key, and caches do not mix callers', async t => {
  const folder = temporaryFolder()
  const keyring = new Keyring({ databaseUrl: '', dataDir: folder.path }, () => undefined)
  const master_key = 'sk-the-master-of-hooks'
  const gateway = await hookedGateway(
    { 'who.ts': hookFile('who', `{ preCall: call => { services.log.info(JSON.stringify(call.caller)) } }`) },
    {
      auth: { master_key },
      hooks: ['cache', { who: {}, when: { keys: ['one', 'master'] } }],
      model_list: [{ model_name: 'm', provider: 'demo' }]
    },
    { keyring }
  )
  t.teardown(async () => {
    await gateway.close()
    folder.remove()
  })
  keyring.wake(true)
  await until(() => keyring.store !== undefined, 60_000)
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
  const make = async (fields: object) => {
    const { json, text } = await post(`${gateway.url}/key/generate`, fields, bearer(master_key))
    if (typeof json?.['key'] !== 'string') throw new Error(text)
    return json['key']
  }
  const one = await make({ key_alias: 'one' })
  const two = await make({ key_alias: 'two' })
  const [path, body] = smallest('openai-chat', 'm')
  const ask = async (key: string) => (await post(gateway.url + path, body, bearer(key))).headers['x-gateway-cache']
  t.same(
    [await ask(one), await ask(two), await ask(master_key), await ask(one), await ask(two)],
    ['miss', 'miss', 'miss', 'hit', 'hit']
  )
  const told = gateway.log.filter(line => line.startsWith('info: {')).map(line => JSON.parse(line.slice(6)) as object)
  t.match(told, [{ alias: 'one' }, { id: 'master' }], 'hooks after the cache are not asked for a hit')
  t.notMatch(gateway.log.join(), new RegExp(one))
})
