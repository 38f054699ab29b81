// Trying again, elsewhere or later, over real sockets: what the client sees, what each upstream receives.
import t, { type Test } from 'tap'
import { type PartialConfig, type TestGateway, type TestOptions, testGateway } from './support/app.ts'
import { type Asked, get, post } from './support/ask.ts'
import { closedPort } from './support/port.ts'
import { type Answer, recordedUpstream, startUpstream, type Upstream } from './support/upstream.ts'

type Entry = NonNullable<PartialConfig['model_list']>[number]

const JSON_TYPE = { 'content-type': 'application/json' }
const USAGE = '"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}'
const ANSWER = `{"id":"a","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],${USAGE}}`
const ASK = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const GOOD = { status: 200, headers: JSON_TYPE, chunks: [ANSWER] }

function said(status: number, message: string, headers: Record<string, string> = {}, more: object = {}) {
  return { status, headers: { ...JSON_TYPE, ...headers }, chunks: [JSON.stringify({ error: { message, ...more } })] }
}

function entry(upstream: { url: string }, more: object = {}): Entry {
  return { model_name: 'm', provider: 'custom', api_base: upstream.url, api_key: 'k', ...more } as Entry
}

/** What is to be closed when the test at hand is over, the last one first. */
const ends: (() => void | Promise<void>)[] = []

function scenario(name: string, run: (t: Test) => Promise<void>): void {
  t.test(name, async t => {
    try {
      await run(t)
    } finally {
      for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end()
    }
  })
}

async function gatewayFor(t: Test, config: PartialConfig, options?: TestOptions): Promise<TestGateway> {
  const gateway = await testGateway(config, options)
  ends.push(async () => {
    t.same(gateway.bugs, [])
    const { running, metrics, runtime } = gateway.gateway
    await until(() => running.size === 0)
    t.same([running.size, metrics.inflight], [0, 0], 'nothing is left')
    for (const { state } of runtime.targets) t.same([state.inflight, state.waiting], [0, 0], state.name)
    await gateway.close()
  })
  return gateway
}

async function upstreamFor(recordings: Parameters<typeof recordedUpstream>[0]): Promise<Upstream> {
  const upstream = await recordedUpstream(recordings)
  ends.push(() => upstream.close())
  return upstream
}

/** Answers when it is told to. */
async function heldUpstream(): Promise<Upstream & { release(): void; held(): number }> {
  const held: Parameters<Answer>[1][] = []
  const upstream = await startUpstream((_request, response) => void held.push(response))
  ends.push(() => upstream.close())
  return {
    ...upstream,
    release: () => void held.shift()?.writeHead(200, JSON_TYPE).end(ANSWER),
    held: () => held.length
  }
}

const chat = (gateway: TestGateway, headers: Record<string, string> = {}, body: object = ASK): Promise<Asked> =>
  post(`${gateway.url}/v1/chat/completions`, body, headers)

const errorOf = ({ json }: Asked) => (json?.['error'] ?? {}) as Record<string, unknown>

async function until(what: () => boolean): Promise<void> {
  for (let count = 0; count < 200 && !what(); count++) await new Promise(resolve => setTimeout(resolve, 5))
}

scenario('a target that fails for a moment is asked again, and what it said about when is obeyed', async t => {
  const flaky = await upstreamFor([said(503, 'loading'), { destroyAt: 'before-head' }, GOOD])
  const gateway = await gatewayFor(t, { model_list: [entry(flaky)], routing: { retries: 2 } })
  const answer = await chat(gateway)
  t.equal(answer.status, 200)
  t.equal(answer.headers['x-gateway-attempts'], '3')
  t.match(gateway.records[0]?.attempts, [
    { reason: 'upstream-overloaded' },
    { reason: 'upstream-down' },
    { reason: 'ok' }
  ])
  t.ok((gateway.records[0]?.waitedMilliseconds ?? -1) >= 0)
  const later = await upstreamFor([said(429, 'slow down', { 'retry-after-ms': '300' }), GOOD])
  gateway.reload({ model_list: [entry(later)], routing: { retries: 1, cooldown: { failures: 0 } } })
  const started = performance.now()
  t.equal((await chat(gateway)).status, 200)
  const took = performance.now() - started
  t.ok(took >= 290, `${took} ms`)
})

scenario('a retry-after that is too long is told, and a client’s mistake is not tried again', async t => {
  const limited = await upstreamFor(said(429, 'slow down', { 'retry-after': '120' }))
  const gateway = await gatewayFor(t, { model_list: [entry(limited)], routing: { retries: 5 } })
  const answer = await chat(gateway)
  t.equal(answer.status, 429)
  t.equal(answer.headers['retry-after'], '120')
  t.equal(limited.requests.length, 1)
  const strict = await upstreamFor(said(422, 'no such tool'))
  gateway.reload({
    model_list: [entry(strict), entry(limited, { model: 'x' })],
    routing: { retries: 5, sticky: 'none' }
  })
  for (let count = 0; count < 5; count++) await chat(gateway)
  const health = (await get(`${gateway.url}/health`)).json
  t.notMatch(JSON.stringify(health), /"status":"unhealthy".*no such tool/)
  const target = gateway.gateway.runtime.targets.find(({ origin }) => origin === strict.url)
  t.equal(target?.state.coolingFor(performance.now()), 0)
})

scenario('a client that leaves while we wait to try again leaves nothing behind', async t => {
  const limited = await upstreamFor(said(503, 'loading', { 'retry-after': '15' }))
  const gateway = await gatewayFor(t, {
    model_list: [entry(limited)],
    routing: { retries: 1, cooldown: { failures: 0 } }
  })
  const leaving = new AbortController()
  const asked = fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify(ASK),
    headers: JSON_TYPE,
    signal: leaving.signal
  }).catch(() => undefined)
  await limited.received(1)
  await until(() => gateway.gateway.deadlines.now > 0 && limited.requests.length === 1)
  await new Promise(resolve => setTimeout(resolve, 50))
  leaving.abort()
  await asked
  await until(() => gateway.records.length === 1)
  t.match(gateway.records[0], { clientGone: true, status: 499, attempts: [{ reason: 'upstream-overloaded' }] })
  t.equal(gateway.records[0]?.attempts.length, 1)
})

scenario('what fails is left out until a probe succeeds, and a reload forgets none of it', async t => {
  let broken = true
  let probes = 0
  const sick = await startUpstream((_request, response) => {
    probes++
    if (broken) response.writeHead(500, JSON_TYPE).end('{"error":{"message":"boom"}}')
    else response.writeHead(200, JSON_TYPE).end(ANSWER)
  })
  ends.push(() => sick.close())
  const well = await upstreamFor(GOOD)
  const config: PartialConfig = {
    model_list: [entry(sick, { order: 0, model: 'sick' }), entry(well, { order: 1, model: 'well' })],
    routing: { cooldown: { failures: 2, within: '10s', for: '400ms' } }
  }
  const gateway = await gatewayFor(t, config)
  for (let count = 0; count < 6; count++) t.equal((await chat(gateway)).headers['x-model'], 'well')
  t.equal(probes, 2, 'then nobody asked it')
  t.match((await get(`${gateway.url}/health`)).json, {
    backends: [
      { name: 'custom/sick', status: 'unhealthy', left_out_for_seconds: 1, last_error: /boom/ },
      { status: 'healthy' }
    ]
  })
  t.match(await gateway.gateway.metrics.render(), /gateway_target_cooling\{target="custom\/sick"\} 1/)
  t.match((await get(`${gateway.url}/admin/explain?model=m`)).json, {
    targets: [
      { now: /left out for 1 s/, conditions: [] },
      { now: 'ready', conditions: ['order 1'] }
    ]
  })
  gateway.reload(config)
  t.equal((await chat(gateway)).headers['x-gateway-attempts'], '1', 'still left out')
  await new Promise(resolve => setTimeout(resolve, 450))
  t.equal((await chat(gateway)).headers['x-gateway-attempts'], '2', 'the probe fails')
  t.equal((await chat(gateway)).headers['x-gateway-attempts'], '1', 'and it is out again')
  broken = false
  await new Promise(resolve => setTimeout(resolve, 450))
  t.equal((await chat(gateway)).headers['x-model'], 'sick', 'the probe succeeds')
  t.equal((await chat(gateway)).headers['x-model'], 'sick')
})

scenario('when everybody is left out the best is tried anyway, and a fallback before that', async t => {
  const sick = await upstreamFor([said(500, 'boom'), said(500, 'boom'), GOOD])
  const routing = { cooldown: { failures: 2, within: '10s', for: '60s' } }
  const gateway = await gatewayFor(t, { model_list: [entry(sick)], routing })
  t.equal((await chat(gateway)).status, 502)
  t.equal((await chat(gateway)).status, 502)
  t.equal((await chat(gateway)).status, 200)
  const down = await upstreamFor(said(500, 'boom'))
  const spare = await upstreamFor(GOOD)
  gateway.reload({
    model_list: [entry(down), entry(spare, { model_name: 'spare' })],
    routing: { ...routing, fallbacks: { m: ['spare'] } }
  })
  for (let count = 0; count < 5; count++) t.equal((await chat(gateway)).status, 200)
  t.equal(down.requests.length, 2, 'nobody waits for one that is out')
})

scenario('one at a time: requests wait in line, in order, and a full line is told', async t => {
  const gpu = await heldUpstream()
  const gateway = await gatewayFor(t, {
    model_list: [entry(gpu, { max_parallel: 1 })],
    routing: { queue: { size: 2 } }
  })
  const order: number[] = []
  const asked: Promise<unknown>[] = []
  for (let index = 0; index < 3; index++) {
    asked.push(
      chat(gateway).then(answer => {
        t.equal(answer.status, 200)
        order.push(index)
      })
    )
    await until(() => gateway.gateway.metrics.inflight === index + 1)
  }
  await until(() => gpu.held() === 1)
  t.equal(gpu.held(), 1)
  t.match(await gateway.gateway.metrics.render(), /gateway_target_queue\{target="custom\/m"\} 2/)
  t.match((await get(`${gateway.url}/health`)).json, { backends: [{ inflight: 1, waiting: 2, max_parallel: 1 }] })
  const refused = await chat(gateway)
  t.equal(refused.status, 503)
  t.match(errorOf(refused), { message: /takes 1 at a time, and 2 requests wait/ })
  t.ok(Number(refused.headers['retry-after']) >= 1)
  const anthropic = await post(`${gateway.url}/v1/messages`, { ...ASK, max_tokens: 5 })
  t.equal(anthropic.status, 529)
  for (let count = 0; count < 3; count++) {
    await until(() => gpu.held() === 1)
    gpu.release()
    await until(() => order.length === count + 1)
  }
  await Promise.all(asked)
  t.same(order, [0, 1, 2])
  t.ok((gateway.records.at(-1)?.waitedMilliseconds ?? 0) > 0)
})

scenario('the wait in line has an end, and whoever leaves it makes room', async t => {
  const gpu = await heldUpstream()
  const spare = await upstreamFor(GOOD)
  const gateway = await gatewayFor(t, {
    model_list: [entry(gpu, { max_parallel: 1 })],
    routing: { queue: { size: 1, wait: '150ms' } }
  })
  const first = chat(gateway)
  await until(() => gpu.held() === 1)
  const late = await chat(gateway)
  t.equal(late.status, 503)
  t.match(errorOf(late), {
    message: /none was free within 0\.15 s \(routing\.queue\.wait\)/,
    recommendations: [/max_parallel/]
  })
  const leaving = new AbortController()
  const gone = fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify(ASK),
    headers: JSON_TYPE,
    signal: leaving.signal
  }).catch(() => undefined)
  const state = gateway.gateway.runtime.targets[0]?.state
  await until(() => state?.waiting === 1)
  leaving.abort()
  await gone
  await until(() => state?.waiting === 0)
  t.equal(state?.waiting, 0)
  gpu.release()
  t.equal((await first).status, 200)
  gateway.reload({
    model_list: [entry(gpu, { max_parallel: 1 }), entry(spare, { model_name: 'spare' })],
    routing: { queue: { size: 0 }, fallbacks: { m: ['spare'] } }
  })
  const busy = chat(gateway)
  await until(() => gpu.held() === 1)
  t.equal((await chat(gateway)).status, 200, 'a full line goes to the fallback')
  t.equal(spare.requests.length, 1)
  gpu.release()
  await busy
})

scenario('rpm and tpm send to the next entry, and then say when', async t => {
  const small = await upstreamFor(GOOD)
  const large = await upstreamFor(GOOD)
  const gateway = await gatewayFor(t, {
    model_list: [entry(small, { order: 0, rpm: 2 }), entry(large, { order: 1, rpm: 1 })]
  })
  for (let count = 0; count < 3; count++) t.equal((await chat(gateway)).status, 200)
  t.same([small.requests.length, large.requests.length], [2, 1])
  const refused = await chat(gateway)
  t.equal(refused.status, 503)
  t.match(errorOf(refused)['message'], /at its rpm or tpm/)
  t.ok(Number(refused.headers['retry-after']) > 5)
  const counted = await upstreamFor(GOOD)
  gateway.reload({ model_list: [entry(counted, { tpm: 12 })] })
  t.equal((await chat(gateway, {}, { ...ASK, pad: 'x'.repeat(200) })).status, 200, 'estimated at 60, used 5')
  t.equal((await chat(gateway, {}, { model: 'm' })).status, 200)
  t.equal((await chat(gateway, {}, { model: 'm' })).status, 503, 'ten were used')
})

scenario('tags choose entries, from the header or from the metadata', async t => {
  const plain = await upstreamFor(GOOD)
  const local = await upstreamFor(GOOD)
  const gateway = await gatewayFor(t, {
    model_list: [
      entry(plain, { model: 'plain', weight: 1e9 }),
      entry(local, { model: 'local', tags: ['local', 'free'] })
    ]
  })
  t.equal((await chat(gateway)).headers['x-model'], 'plain')
  t.equal((await chat(gateway, { 'x-gateway-tags': 'local, free' })).headers['x-model'], 'local')
  t.equal((await chat(gateway, {}, { ...ASK, metadata: { tags: ['free'] } })).headers['x-model'], 'local')
  const none = await chat(gateway, { 'x-gateway-tags': 'local,eu' })
  t.equal(none.status, 400)
  t.match(errorOf(none), {
    message: /No entry of `m` has all of the tags `local`, `eu`/,
    recommendations: [/local, free/]
  })
})

scenario('a session stays with its upstream, however the client names it', async t => {
  const upstreams = await Promise.all([1, 2, 3, 4].map(() => upstreamFor(GOOD)))
  const model_list = upstreams.map((upstream, index) => entry(upstream, { model: `u${index}` }))
  const gateway = await gatewayFor(t, { model_list })
  const homeOf = async (headers: Record<string, string>, body: object): Promise<string> => {
    const homes = new Set<unknown>()
    for (let count = 0; count < 6; count++) homes.add((await chat(gateway, headers, body)).headers['x-model'])
    t.equal(homes.size, 1, JSON.stringify([headers, body]).slice(0, 100))
    return String([...homes][0])
  }
  await homeOf({ 'x-session-id': 'abc' }, ASK)
  await homeOf({ 'x-claude-code-session-id': 'abd' }, ASK)
  await homeOf({}, { ...ASK, prompt_cache_key: 'k1' })
  await homeOf({}, { ...ASK, metadata: { user_id: 'user_1_session_2' } })
  const homes = new Set<string>()
  for (let index = 0; index < 12; index++) homes.add(await homeOf({ 'session-id': `s${index}` }, ASK))
  t.ok(homes.size > 1, 'not all at one')
  const free = new Set<unknown>()
  for (let count = 0; count < 30; count++) free.add((await chat(gateway)).headers['x-model'])
  t.ok(free.size > 1, 'no session, no home')
  gateway.reload({ model_list, routing: { sticky: 'prefix' } })
  await homeOf({}, { ...ASK, messages: [{ role: 'user', content: 'x'.repeat(5000) }] })
})

scenario('a request that is too long, or refused for what it says, goes where that is declared', async t => {
  const small = await upstreamFor(said(400, 'too long', {}, { code: 'context_length_exceeded' }))
  const prim = await upstreamFor(said(400, 'filtered', {}, { code: 'content_filter' }))
  const large = await upstreamFor(GOOD)
  const model_list = [
    entry(small),
    entry(prim, { model_name: 'p' }),
    entry(large, { model_name: 'large', model: 'large' })
  ]
  const gateway = await gatewayFor(t, { model_list, routing: { fallbacks: { m: ['p'], p: ['m'] } } })
  t.equal((await chat(gateway)).status, 400)
  t.equal((await chat(gateway, {}, { ...ASK, model: 'p' })).status, 400)
  t.equal(large.requests.length, 0)
  gateway.reload({
    model_list,
    routing: { context_fallbacks: { m: ['large'] }, content_policy_fallbacks: { 'p*': ['large'] } }
  })
  for (const model of ['m', 'p']) {
    const answer = await chat(gateway, {}, { ...ASK, model })
    t.equal(answer.status, 200)
    t.equal(answer.headers['x-model'], 'large')
  }
  t.match(
    await gateway.gateway.metrics.render(),
    /gateway_fallbacks_total\{from="m",to="large",reason="context-exceeded"\} 1/
  )
})

scenario('a failure says what its reader can do', async t => {
  const port = await closedPort()
  const well = await upstreamFor(GOOD)
  const missing = await upstreamFor(said(404, "model 'qwen' not found"))
  const refusing = await upstreamFor(said(401, 'bad key'))
  const gateway = await gatewayFor(t, {
    model_list: [
      { model_name: 'm', provider: 'ollama', api_base: `http://127.0.0.1:${port}`, model: 'qwen' },
      { model_name: 'tunnel', provider: 'self-hosted', api_base: `http://127.0.0.1:${port}` },
      { model_name: 'missing', provider: 'ollama', api_base: missing.url, model: 'qwen' },
      { model_name: 'refusing', provider: 'openai', api_base: refusing.url, api_key: '' },
      entry(well, { model_name: 'well' })
    ]
  })
  const advice = async (model: string) =>
    (errorOf(await chat(gateway, {}, { ...ASK, model }))['recommendations'] as string[]).join('\n')
  t.match(await advice('m'), /ollama serve/)
  t.match(await advice('m'), /is configured too/)
  await chat(gateway, {}, { ...ASK, model: 'well' })
  t.match(
    await advice('m'),
    /`well` answered when last asked: ask for it, or declare routing.fallbacks: \{ "m": \[well\] \}/
  )
  t.match(await advice('tunnel'), new RegExp(`ssh -N -L ${port}:127.0.0.1:${port} HOST`))
  t.match(await advice('missing'), /ollama pull qwen/)
  t.match(await advice('refusing'), /No key is sent: set `api_key` of its entry, or OPENAI_API_KEY/)
})

scenario('the administrator may ask how an answer came about, and nobody else', async t => {
  const sick = await upstreamFor(said(500, 'boom é'))
  const well = await upstreamFor(GOOD)
  const gateway = await gatewayFor(t, {
    auth: { master_key: 'master' },
    model_list: [entry(sick, { order: 0, model: 'sick' }), entry(well, { order: 1, model: 'well', tags: ['x'] })]
  })
  const headers = { authorization: 'Bearer master', 'x-gateway-trace': '1' }
  const trace = JSON.parse(String((await chat(gateway, headers)).headers['x-gateway-trace'])) as unknown
  t.match(trace, {
    asked: 'm',
    route: 'm',
    strategy: 'weighted',
    candidates: [{ target: 'custom/sick' }, { target: 'custom/well' }],
    attempts: [
      { target: 'custom/sick', reason: 'upstream-failed', message: /boom é/ },
      { target: 'custom/well', reason: 'answers' }
    ]
  })
  const tagged = JSON.parse(
    String((await chat(gateway, { ...headers, 'x-gateway-tags': 'x' })).headers['x-gateway-trace'])
  ) as unknown
  t.match(tagged, { candidates: [{ target: 'custom/sick', skipped: 'tags' }, { target: 'custom/well' }] })
  t.equal((await chat(gateway, { authorization: 'Bearer master' })).headers['x-gateway-trace'], undefined)
  t.equal((await chat(gateway, { ...headers, authorization: 'Bearer other' })).headers['x-gateway-trace'], undefined)
})

scenario('pings are no first token', async t => {
  const pinging = await startUpstream((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const timer = setInterval(() => response.write(': PROCESSING\n\nevent: ping\ndata: {"type":"ping"}\n\n'), 40)
    response.on('close', () => clearInterval(timer))
  })
  ends.push(() => pinging.close())
  const gateway = await gatewayFor(t, {
    model_list: [entry(pinging, { provider: 'self-hosted', timeouts: { first_token: '300ms' } })]
  })
  const answer = await post(`${gateway.url}/v1/messages`, { ...ASK, max_tokens: 5, stream: true })
  t.match(answer.text, /no first token within 0\.3 s \(timeouts\.first_token\)/)
  await pinging.aborted()
})

scenario('a stream that waits in line is kept alive, and so is one that goes on elsewhere', async t => {
  const gpu = await heldUpstream()
  const gateway = await gatewayFor(t, {
    model_list: [entry(gpu, { max_parallel: 1, keep_alive: '60ms' })]
  })
  const streamed = { ...ASK, stream: true }
  const first = chat(gateway)
  await until(() => gpu.held() === 1)
  const second = chat(gateway, {}, streamed)
  await until(() => gateway.gateway.runtime.targets[0]?.state.waiting === 1)
  await new Promise(resolve => setTimeout(resolve, 250))
  t.equal(gpu.requests.length, 1, 'it waits')
  gpu.release()
  t.equal((await first).status, 200)
  await until(() => gpu.held() === 1)
  gpu.release()
  const answer = await second
  const frames = answer.text.split('\n\n').filter(frame => frame.startsWith('data: {'))
  t.ok(frames.length > 3, `${frames.length} frames`)
  t.match(answer.text, /"content":"hi"/)
  t.equal(answer.text.match(/data: \[DONE\]/g)?.length, 1)
  const dying = await startUpstream((_request, response) => {
    setTimeout(() => response.socket?.resetAndDestroy(), 200)
  })
  ends.push(() => dying.close())
  const spare = await upstreamFor(GOOD)
  gateway.reload({
    model_list: [entry(dying, { keep_alive: '60ms' }), entry(spare, { model_name: 'spare', keep_alive: '60ms' })],
    routing: { fallbacks: { m: ['spare'] } }
  })
  const moved = await chat(gateway, {}, streamed)
  t.equal(moved.status, 200)
  t.match(moved.text, /"content":"hi"/)
  t.equal(moved.text.match(/data: \[DONE\]/g)?.length, 1)
  t.notMatch(moved.text, /"error"/)
  t.match(gateway.records.at(-1)?.attempts, [{ reason: 'upstream-down' }, { reason: 'ok' }])
})

scenario('a health check finds an upstream gone before a request does, and there again', async t => {
  let there = true
  const asked: string[] = []
  const checked = await startUpstream((request, response) => {
    asked.push(`${request.method} ${request.url} ${request.headers['authorization']}`)
    if (!there) response.socket?.resetAndDestroy()
    else if (request.method === 'GET') response.writeHead(404, JSON_TYPE).end('{}')
    else response.writeHead(200, JSON_TYPE).end(ANSWER)
  })
  ends.push(() => checked.close())
  const spare = await upstreamFor(GOOD)
  const model_list = [
    entry(checked, { order: 0, model: 'checked', health_check: { interval: '100ms' } }),
    entry(spare, { order: 1, model: 'spare' })
  ]
  const gateway = await gatewayFor(t, { model_list })
  const state = () => gateway.gateway.runtime.targets[0]?.state
  await until(() => state()?.ok === true)
  t.equal(asked[0], 'GET /v1/models Bearer k')
  t.equal((await chat(gateway)).headers['x-model'], 'checked')
  there = false
  await until(() => state()?.ok === false)
  t.match((await get(`${gateway.url}/health`)).json, {
    status: 'degraded',
    backends: [{ last_error: /broke the connection/ }, {}]
  })
  const answer = await chat(gateway)
  t.same([answer.headers['x-model'], answer.headers['x-gateway-attempts']], ['spare', '1'], 'no request pays for it')
  there = true
  await until(() => state()?.ok === true)
  t.equal((await chat(gateway)).headers['x-model'], 'checked')
  gateway.reload({ model_list: [entry(checked)] })
  const count = asked.length
  await new Promise(resolve => setTimeout(resolve, 600))
  t.equal(asked.length, count, 'nobody asks for checks any more')
})
