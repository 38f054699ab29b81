// The gateway's own routes and its door, on real sockets.
import t, { type Test } from 'tap'
import { request } from 'undici'
import { startGateway } from '../src/cli/serve.ts'
import { METRICS } from '../src/metrics/table.ts'
import { ENDPOINTS, GEMINI_ACTIONS, GEMINI_PREFIXES } from '../src/server/endpoints.ts'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { get, post, smallest } from './support/ask.ts'
import { temporaryFolder } from './support/process.ts'
import { recordedUpstream } from './support/upstream.ts'

const MASTER = 'sk-master-0123456789abcdef'
const DEMO = { model_name: 'demo', provider: 'demo', context_window: 8192, max_tokens: 2048, description: 'in memory' }
const DIALECTS = ['openai-chat', 'openai-responses', 'anthropic', 'gemini']

type Json = Record<string, unknown>

async function gatewayFor(t: Test, config: PartialConfig = {}): Promise<TestGateway> {
  const gateway = await testGateway({ model_list: [DEMO], ...config })
  t.teardown(async () => {
    await gateway.close()
    if (gateway.bugs[0] !== undefined) throw gateway.bugs[0]
  })
  return gateway
}

async function ask(url: string, method: 'HEAD' | 'OPTIONS' | 'DELETE', headers: Record<string, string> = {}) {
  const answer = await request(url, { method, headers })
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
}

function rowsOf(json: Json | undefined, name: string): Json[] {
  return (json?.[name] ?? []) as Json[]
}

/** Prometheus' text by series; throws at a line that is none. */
function seriesOf(text: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# ')) continue
    const match = /^([a-zA-Z_:][\w:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\.)*",?)*\})?) ([-+\w.]+)$/.exec(line)
    if (match === null) throw new Error(`not a line of Prometheus' text: ${line}`)
    found.set(match[1] ?? '', Number(match[2]))
  }
  return found
}

async function ownSeries(url: string): Promise<Map<string, number>> {
  const { text } = await get(`${url}/metrics`)
  return new Map([...seriesOf(text)].filter(([name]) => /^(gateway|gen_ai)_/.test(name)))
}

t.test('models are listed in the shape that the headers ask for', async t => {
  const { url } = await gatewayFor(t, {
    model_list: [DEMO, { ...DEMO, model_name: 'org/qwen3:8b' }, { ...DEMO, model_name: 'claude-*' }],
    aliases: { sonnet: 'claude-sonnet-4-5' }
  })
  const names = ['demo', 'org/qwen3:8b', 'sonnet']
  for (const path of ['/v1/models', '/models', '/v1/models/?limit=1000']) {
    const { status, json } = await get(url + path)
    t.equal(status, 200)
    t.equal(json?.['object'], 'list')
    t.match(json?.['data'], [{ id: 'demo', object: 'model', owned_by: 'demo', context_window: 8192 }])
    t.same(
      rowsOf(json, 'data').map(row => row['id']),
      names
    )
    t.ok(rowsOf(json, 'data').every(row => Number.isInteger(row['created'])))
    t.equal(rowsOf(json, 'data')[0]?.['description'], 'in memory')
  }
  for (const version of ['2023-06-01', '2026-10-21']) {
    const { json } = await get(`${url}/v1/models?limit=1000`, { 'anthropic-version': version })
    t.match(json, { has_more: false, first_id: 'demo', last_id: 'sonnet' })
    t.match(json?.['data'], [{ type: 'model', id: 'demo', display_name: 'demo', max_input_tokens: 8192 }])
    t.match(rowsOf(json, 'data')[0]?.['created_at'], /^\d{4}-\d\d-\d\dT/)
  }
  const asGemini = [
    await get(`${url}/v1beta/models`),
    await get(`${url}/v1beta/models?key=any`),
    await get(`${url}/v1/models`, { 'x-goog-api-key': 'any' }),
    await get(`${url}/v1/models`, { 'x-goog-api-client': 'google-genai-sdk/3.1.0' })
  ]
  for (const { json } of asGemini) {
    t.match(json?.['models'], [{ name: 'models/demo', inputTokenLimit: 8192, outputTokenLimit: 2048 }])
    t.match(rowsOf(json, 'models')[0]?.['supportedGenerationMethods'], ['generateContent'])
  }
  const withGlobs = await get(`${url}/v1/models?return_wildcard_routes=true`)
  t.same(
    rowsOf(withGlobs.json, 'data').map(row => row['id']),
    [...names, 'claude-*']
  )
})

t.test('a model is told by its name, slashes and all, and an unknown one is a 404 in the same shape', async t => {
  const { url } = await gatewayFor(t, {
    model_list: [DEMO, { ...DEMO, model_name: 'org/qwen3:8b' }, { ...DEMO, model_name: 'claude-*' }],
    backends: { near: { provider: 'self-hosted', api_base: 'http://127.0.0.1:9' } }
  })
  for (const id of ['demo', 'org/qwen3:8b', 'claude-sonnet-4-5', 'near/any/thing']) {
    const { status, json } = await get(`${url}/v1/models/${id}`)
    t.equal(status, 200, id)
    t.match(json, { id, object: 'model' })
  }
  t.match((await get(`${url}/v1/models/org%2Fqwen3%3A8b`)).json, { id: 'org/qwen3:8b' })
  t.match((await get(`${url}/v1/models/demo`, { 'anthropic-version': '2023-06-01' })).json, {
    type: 'model',
    id: 'demo'
  })
  t.match((await get(`${url}/v1beta/models/demo`)).json, { name: 'models/demo' })

  const plain = await get(`${url}/v1/models/dmeo`)
  t.equal(plain.status, 404)
  t.match(plain.json, { error: { code: 'model_not_found', message: /dmeo/ } })
  t.match(plain.text, /Did you mean `demo`/)
  const anthropic = await get(`${url}/v1/models/dmeo`, { 'anthropic-version': '2023-06-01' })
  t.equal(anthropic.status, 404)
  t.match(anthropic.json, { type: 'error', error: { type: 'not_found_error' } })
  for (const gemini of [
    await get(`${url}/v1beta/models/dmeo`),
    await get(`${url}/v1/models/dmeo`, { 'x-goog-api-key': 'any' })
  ]) {
    t.equal(gemini.status, 404)
    t.match(gemini.json, { error: { code: 404, status: 'NOT_FOUND' } })
  }
})

t.test('health says how each backend did when it was last asked', async t => {
  const upstream = await recordedUpstream({ status: 500, chunks: ['{"error":{"message":"no"}}'] })
  t.teardown(() => upstream.close())
  const broken = { model_name: 'broken', provider: 'custom', api_base: upstream.url, api_key: 'upstream-secret' }
  const gateway = await gatewayFor(t, { model_list: [DEMO, broken] })
  const { url } = gateway
  const before = await get(`${url}/health`)
  t.equal(before.status, 200)
  t.match(before.json, {
    status: 'healthy',
    generation: 1,
    inflight: 0,
    components: { gateway: 'healthy' },
    backends: [{ name: 'demo/demo', status: 'unknown' }, { status: 'unknown' }]
  })
  t.equal((await post(...at(url, smallest('openai-chat', 'demo')))).status, 200)
  t.equal((await post(...at(url, smallest('openai-chat', 'broken')))).status, 502)
  const after = await get(`${url}/health`)
  t.match(after.json, {
    status: 'degraded',
    backends: [
      { name: 'demo/demo', provider: 'demo', status: 'healthy' },
      { provider: 'custom', endpoint: upstream.url, status: 'unhealthy', last_error: /500/ }
    ]
  })
  t.notMatch(after.text, /upstream-secret/)
})

t.test('a gateway that drains is alive, is not ready, and takes nothing new', async t => {
  const { url, gateway } = await gatewayFor(t)
  t.match(await get(`${url}/health/live`), { status: 200, json: { status: 'alive' } })
  t.match(await get(`${url}/health/ready`), {
    status: 200,
    json: { status: 'ready', generation: 1, config: 'in force' }
  })
  gateway.draining = true
  t.equal((await get(`${url}/health/live`)).status, 200)
  t.match(await get(`${url}/health/ready`), { status: 503, json: { status: 'draining' } })
  t.match((await get(`${url}/health`)).json, { components: { gateway: 'draining' } })
  t.match(await get(`${url}/v1/models`), { status: 503, headers: { 'retry-after': '5' } })
  for (const dialect of DIALECTS) {
    const answer = await post(...at(url, smallest(dialect, 'demo')))
    t.equal(answer.status, 503, dialect)
    t.match(answer.headers, { 'retry-after': '5', connection: 'close', 'x-task-id': /./ })
  }
  gateway.draining = false
  t.equal((await get(`${url}/v1/models`)).status, 200)
})

t.test('the root answers those who only look whether somebody is there', async t => {
  const { url } = await gatewayFor(t, { auth: { master_key: MASTER } })
  t.match(await get(`${url}/`), { status: 200, json: { name: 'sluice', version: /^\d+\.\d+\.\d+/ } })
  const head = await ask(`${url}/`, 'HEAD')
  t.equal(head.status, 200)
  t.equal(head.text, '')
  t.match(await get(`${url}/api/hello`), { status: 200 })
  t.match(await post(`${url}/api/event_logging/batch`, { events: ['x'.repeat(2_000_000)] }), { status: 200 })
})

t.test('metrics are Prometheus text, named as in the table, and count', async t => {
  const { url } = await gatewayFor(t)
  const { status, headers, text } = await get(`${url}/metrics`)
  t.equal(status, 200)
  t.match(headers['content-type'], /^text\/plain/)
  seriesOf(text)
  for (const [name, { type, help }] of Object.entries(METRICS)) {
    t.ok(text.includes(`# TYPE ${name} ${type}\n`), name)
    t.ok(text.includes(`# HELP ${name} ${help}\n`), name)
  }
  t.equal((await post(...at(url, smallest('openai-chat', 'demo')))).status, 200)
  t.equal((await post(...at(url, smallest('anthropic', 'demo', true)))).status, 200)
  t.equal((await post(...at(url, smallest('openai-chat', 'nobody')))).status, 404)
  const after = await ownSeries(url)
  const chat = 'provider="demo",endpoint="/v1/chat/completions",status="2xx"'
  t.equal(after.get(`gateway_requests_total{model="demo",${chat}}`), 1)
  t.equal(after.get('gateway_requests_total{model="demo",provider="demo",endpoint="/v1/messages",status="2xx"}'), 1)
  const other = 'model="other",provider="none",endpoint="/v1/chat/completions",status="4xx"'
  t.equal(after.get(`gateway_requests_total{${other}}`), 1)
  t.equal(after.get('gateway_upstream_attempts_total{target="demo/demo",outcome="success",reason="ok"}'), 2)
  t.equal(after.get('gateway_inflight'), 0)
  t.equal(after.get('gateway_config_generation'), 1)
  const counts = [...after].filter(([name]) => name.startsWith('gen_ai_client_token_usage_count'))
  t.ok(counts.some(([name, value]) => name.includes('gen_ai_token_type="input"') && value > 0))
  for (const name of after.keys()) {
    const row = Object.entries(METRICS).find(([known]) => name.startsWith(known))
    t.ok(row, `${name} stands in the table`)
    const allowed = new Set<string>([...(row?.[1].labels ?? []), 'le'])
    for (const [, label = ''] of name.matchAll(/[{,]([a-z_]+)="/g)) t.ok(allowed.has(label), `${name}: ${label}`)
  }
})

t.test('what strangers make up adds no series', async t => {
  for (const model_list of [[DEMO], [DEMO, { ...DEMO, model_name: '*', model: 'demo' }]]) {
    const { url } = await gatewayFor(t, { model_list })
    const odd = async (tag: string) => {
      await post(...at(url, smallest('openai-chat', `${tag}"\\\n{}`)))
      await post(...at(url, smallest('gemini', encodeURIComponent(`${tag}/../é`))))
      await post(`${url}/v1/chat/completions`, `{"model":7,"x":"${tag}"}`)
      await get(`${url}/v1/${tag}`)
      await get(`${url}/passthrough/${tag}/x`, { 'x-gateway-backend': tag })
      await post(`${url}/v1/moderations`, { model: tag }, { 'x-gateway-backend': tag })
    }
    await odd('first')
    const before = await ownSeries(url)
    for (let round = 0; round < 40; round++) await odd(`name-${round}`)
    const after = await ownSeries(url)
    t.same([...after.keys()].sort(), [...before.keys()].sort())
    t.ok([...after.values()].some(value => value > 40))
  }
})

t.test('openapi.json lists every row of the endpoint table', async t => {
  const { url } = await gatewayFor(t)
  const { status, json } = await get(`${url}/openapi.json`)
  t.equal(status, 200)
  t.match(json, { openapi: '3.1.0', info: { title: 'Sluice' } })
  const paths = json?.['paths'] as Record<string, { get?: { tags: string[] }; post?: { summary: string } }>
  for (const { paths: rows, summary } of ENDPOINTS)
    for (const path of rows) t.equal(paths[path]?.post?.summary, summary, path)
  for (const prefix of GEMINI_PREFIXES)
    for (const action of Object.keys(GEMINI_ACTIONS)) t.ok(paths[`${prefix}{model}:${action}`]?.post, action)
  for (const [path, { get: read }] of Object.entries(paths)) {
    if (read === undefined || path.includes('{')) continue
    const answer = await get(url + path + (path === '/admin/explain' ? '?model=demo' : ''))
    // Without a master key there are no keys to be managed.
    t.equal(answer.status, read.tags.includes('admin') ? 403 : 200, path)
  }
})

t.test('a call can be looked up by its x-task-id, and holds no word of the conversation', async t => {
  const { url } = await gatewayFor(t)
  const body = { model: 'demo', messages: [{ role: 'user', content: 'a secret thought' }] }
  const { headers } = await post(`${url}/v1/chat/completions`, body)
  const found = await get(`${url}/calls/${headers['x-task-id']}`)
  t.equal(found.status, 200)
  t.match(found.json, {
    id: headers['x-task-id'],
    at: /^\d{4}-/,
    endpoint: '/v1/chat/completions',
    model: 'demo',
    route: 'demo',
    provider: 'demo',
    status: 200,
    attempts: [{ target: 'demo/demo', reason: 'ok' }],
    usage: { input: Number, output: Number },
    generation: 1
  })
  t.notMatch(found.text, /secret thought/)
  t.match(await get(`${url}/calls/nobody`), { status: 404, json: { error: { message: /No such call/ } } })
})

t.test('the configuration is shown without its secrets', async t => {
  const secrets = ['sk-master-shown-nowhere', 'sk-entry', 'sk-backend', 'team-header', 'Bearer sk-pass']
  const [master = '', entry = '', backend = '', header = '', pass = ''] = secrets
  const { url } = await gatewayFor(t, {
    auth: { master_key: master },
    backends: { near: { provider: 'self-hosted', api_base: 'http://127.0.0.1:9', api_key: backend } },
    model_list: [{ ...DEMO, api_key: entry, headers: { 'x-team': header }, timeouts: { first_token: '7m' } }],
    passthrough: { far: { target: 'http://127.0.0.1:9', headers: { authorization: pass } } }
  })
  const { status, json, text } = await get(`${url}/admin/config`, { 'x-api-key': master })
  t.equal(status, 200)
  for (const secret of secrets) t.notOk(text.includes(secret), secret)
  t.match(json, {
    generation: 1,
    loaded_at: /^\d{4}-/,
    rejected: [],
    config: {
      model_list: [{ model_name: 'demo', max_tokens: 2048, api_key: '•••', timeouts: { first_token: '7m' } }],
      passthrough: { far: { target: 'http://127.0.0.1:9' } }
    }
  })
  const reload = await post(`${url}/admin/config`, {}, { 'x-api-key': master })
  t.match(reload, { status: 422, json: { accepted: false, problems: ['A test has no file to reload.'] } })
})

t.test('explain says where a name leads', async t => {
  const { url } = await gatewayFor(t, { aliases: { mine: 'demo' } })
  const found = await get(`${url}/admin/explain?model=mine`)
  t.equal(found.status, 200)
  t.match(found.json, {
    asked: 'mine',
    matched: /alias mine → demo/,
    entry: 'demo',
    targets: [{ provider: 'demo', model: 'demo', max_tokens: 2048, share: '100 %', timeouts: { first_token: '120s' } }]
  })
  t.match(await get(`${url}/admin/explain?model=dmeo`), { status: 404, text: /Did you mean `demo`/ })
  t.match(await get(`${url}/admin/explain`), { status: 400, text: /Say which model/ })
})

t.test('explain is told of tags, and of the request itself, and sends it nowhere', async t => {
  const upstream = await recordedUpstream({ status: 200, chunks: ['{}'] })
  t.teardown(() => upstream.close())
  const far = { provider: 'custom', dialect: 'openai-chat', api_base: `${upstream.url}/v1`, model: 'qwen' } as const
  const { url } = await gatewayFor(t, {
    aliases: { mine: 'demo' },
    model_list: [
      DEMO,
      { ...far, model_name: 'm', max_tokens: 100, tags: ['paid', 'eu'] },
      { ...far, model_name: 'm', tags: ['free'] }
    ]
  })
  const path = `${url}/admin/explain`
  t.same((await post(path, { model: 'mine' })).json, (await get(`${path}?model=mine`)).json, 'as GET has it')
  const now = ({ json }: { readonly json: Json | undefined }) => rowsOf(json, 'targets').map(target => target['now'])
  t.same(now(await post(path, { model: 'm' })), ['ready', 'ready'])
  t.same(now(await post(path, { model: 'm', tags: ['eu'] })), ['ready', 'for other tags'])
  const body = { model: 'm', max_tokens: 500, messages: [{ role: 'user', content: 'hi' }] }
  const whole = await post(path, { ...body, metadata: { tags: ['free'] } })
  t.same(now(whole), ['for other tags', 'ready'])
  t.match(rowsOf(whole.json, 'request'), [
    { url: `${upstream.url}/v1/chat/completions`, edits: ['~ model: "m" → "qwen"', '~ max_tokens: 500 → 100'] },
    { edits: ['~ model: "m" → "qwen"'] }
  ])
  t.same(now(await post(path, body, { 'x-gateway-tags': 'paid' })), ['ready', 'for other tags'])
  const asGemini = await post(`${path}?model=m`, smallest('gemini', 'm')[1])
  t.match(rowsOf(asGemini.json, 'request'), [{ problem: /speaks openai-chat; the body is gemini/ }, {}])
  const embedding = await post(`${path}?endpoint=/v1/embeddings`, { model: 'm', input: 'hi' })
  t.match(rowsOf(embedding.json, 'request'), [{ url: `${upstream.url}/v1/embeddings` }, {}])
  t.match(await post(path, { model: 'dmeo' }), { status: 404, text: /Did you mean .*`demo`/ })
  for (const wrong of ['', '{}', '[1]', '{"model":', '{"model":"a","model":"b"}', { model: 1 }])
    t.equal((await post(path, wrong)).status, 400, JSON.stringify(wrong))
  t.match(await post(path, { model: 'm', tags: 'eu' }), { status: 400, text: /list of texts/ })
  t.match(await post(path, { model: 'm', key: 1 }), { status: 400, text: /`key`/ })
  t.match(await post(`${path}?endpoint=/v1/nothing`, body), { status: 400, text: /is not a route of a model/ })
  t.match((await post(path, { model: 'm', key: 'any' })).json, { key: { allowed: true } })
  t.equal(upstream.requests.length, 0)
})

t.test('a route that is not there is refused in the shape of its neighbours', async t => {
  const { url } = await gatewayFor(t)
  const openai = await post(`${url}/v1/nothing?secret=1`, {})
  t.equal(openai.status, 404)
  t.match(openai.json, { error: { message: /There is no route POST \/v1\/nothing\./, type: /./ } })
  t.match(openai.text, /openapi\.json/)
  t.match(await get(`${url}/v1/messages/nothing`), {
    status: 404,
    json: { type: 'error', error: { type: 'not_found_error' } }
  })
  t.match(await get(`${url}/v1/messages`), { status: 404, json: { type: 'error' } })
  t.match(await get(`${url}/v1beta/nothing`), { status: 404, json: { error: { code: 404, status: 'NOT_FOUND' } } })
  t.match(await post(`${url}/v1beta/models/demo:nothing`, {}), {
    status: 404,
    json: { error: { status: 'NOT_FOUND' } }
  })
  t.equal((await ask(`${url}/v1/models`, 'DELETE')).status, 404)
  // Whatever is sent along.
  t.equal((await post(`${url}/v1/nothing`, '{broken')).status, 404)
  t.equal((await post(`${url}/v1/nothing`, 'x', { 'content-type': 'application/xml' })).status, 404)
  t.equal((await post(`${url}/v1/nothing`, 'x'.repeat(2_000_000))).status, 404)
})

t.test('the master key is taken wherever a client of any protocol puts it', async t => {
  const { url, records } = await gatewayFor(t, { auth: { master_key: MASTER } })
  const ways: Record<string, string>[] = [
    { authorization: `Bearer ${MASTER}` },
    { authorization: `bearer  ${MASTER} ` },
    { 'x-api-key': MASTER },
    { 'api-key': MASTER },
    { 'x-goog-api-key': MASTER }
  ]
  for (const headers of ways) {
    for (const dialect of DIALECTS)
      t.equal((await post(...at(url, smallest(dialect, 'demo')), headers)).status, 200, `${dialect} ${headers}`)
    t.equal((await get(`${url}/v1/models`, headers)).status, 200)
    t.equal((await get(`${url}/admin/config`, headers)).status, 200)
  }
  const [path, body] = smallest('gemini', 'demo')
  t.equal((await post(`${url}${path}?key=${MASTER}`, body)).status, 200)
  t.equal((await get(`${url}/v1beta/models?key=${MASTER}`)).status, 200)
  // Elsewhere a key in the address would be handed on to the upstream and written into logs on the way.
  t.equal((await post(`${url}/v1/chat/completions?key=${MASTER}`, smallest('openai-chat', 'demo')[1])).status, 401)
  t.equal((await get(`${url}/admin/config?key=${MASTER}`)).status, 401)
  t.notMatch(JSON.stringify(records), new RegExp(MASTER))
})

t.test('a key in the address goes no further', async t => {
  const upstream = await recordedUpstream({ headers: { 'content-type': 'application/json' }, chunks: ['{}'] })
  t.teardown(() => upstream.close())
  const far = { model_name: 'far', provider: 'gemini', api_base: upstream.url, api_key: 'upstream-secret' }
  const chat = { ...far, model_name: 'chat', provider: 'custom' }
  const { url } = await gatewayFor(t, { auth: { master_key: MASTER }, model_list: [far, chat] })
  const [path, body] = smallest('gemini', 'far')
  for (const query of [`?key=${MASTER}`, `?a=1&%6bey=${MASTER}&b=%20`, `?key=${MASTER}&key=${MASTER}`])
    t.equal((await post(url + path + query, body)).status, 200)
  const seen = upstream.requests.map(request => request.url)
  t.same(
    seen.map(address => address.split('?')[1]),
    [undefined, 'a=1&b=%20', undefined]
  )
  t.ok(upstream.requests.every(request => request.headers['x-goog-api-key'] === 'upstream-secret'))
  const [chatPath, chatBody] = smallest('openai-chat', 'chat')
  t.equal((await post(`${url}${chatPath}?key=mine&beta=true`, chatBody, { 'x-api-key': MASTER })).status, 200)
  t.match(upstream.requests.at(-1)?.url, /\/chat\/completions\?beta=true$/)
})

t.test('without the key nothing is served but what is open to all', async t => {
  const { url, records } = await gatewayFor(t, { auth: { master_key: MASTER } })
  const closed = ['/v1/models', '/v1beta/models', '/admin/config', '/admin/explain?model=demo', '/calls/x', '/v1/files']
  for (const headers of [
    {},
    { 'x-api-key': `${MASTER}x` },
    { authorization: 'Bearer wrong' },
    { authorization: `Basic ${MASTER}` }
  ]) {
    for (const dialect of DIALECTS) {
      const answer = await post(...at(url, smallest(dialect, 'demo')), headers)
      t.equal(answer.status, 401, dialect)
      t.match(answer.headers['x-task-id'], /./)
    }
    for (const path of closed) t.equal((await get(url + path, headers)).status, 401, path)
    t.equal((await post(`${url}/admin/config`, {}, headers)).status, 401)
  }
  for (const path of ['/', '/health', '/health/live', '/health/ready', '/metrics', '/openapi.json'])
    t.equal((await get(url + path)).status, 200, path)
  const shapes = await Promise.all(DIALECTS.map(dialect => post(...at(url, smallest(dialect, 'demo')))))
  t.match(shapes[0]?.json, { error: { message: /No key was sent/, type: /./ } })
  t.match(shapes[2]?.json, { type: 'error', error: { type: 'authentication_error' } })
  t.match(shapes[3]?.json, { error: { code: 401, status: 'UNAUTHENTICATED' } })
  t.ok(records.every(record => record.attempts.length === 0))
})

t.test('nothing of a body is kept for somebody who may not ask', async t => {
  const { url } = await gatewayFor(t, { auth: { master_key: MASTER }, server: { body_limit: '1kb' } })
  const [path, body] = smallest('openai-chat', 'demo')
  const large = { ...body, padding: 'x'.repeat(3_000_000) }
  t.equal((await post(url + path, large)).status, 401)
  t.equal((await post(url + path, '{broken', { 'x-api-key': 'wrong' })).status, 401)
  t.equal((await post(url + path, large, { 'x-api-key': MASTER })).status, 413)
  t.equal((await post(url + path, body, { 'x-api-key': MASTER })).status, 200)
})

t.test('Claude Code is told 403, for it tries a 401 ten times', async t => {
  const { url } = await gatewayFor(t, { auth: { master_key: MASTER } })
  const agent = { 'user-agent': 'claude-cli/2.1.329 (external, sdk-cli)', 'x-api-key': 'wrong' }
  const asked = await post(...at(url, smallest('anthropic', 'demo', true)), agent)
  t.equal(asked.status, 403)
  t.match(asked.json, { type: 'error', error: { message: /not known here/ } })
  t.equal((await get(`${url}/v1/models?limit=1000`, agent)).status, 403)
  t.equal((await get(`${url}/passthrough/any/x`, agent)).status, 403)
  t.equal((await post(...at(url, smallest('anthropic', 'demo')), { ...agent, 'x-api-key': MASTER })).status, 200)
})

t.test('a key that was right once is forgotten with the configuration it belonged to', async t => {
  const gateway = await gatewayFor(t, { auth: { master_key: MASTER } })
  const status = async (key: string) => (await get(`${gateway.url}/v1/models`, { 'x-api-key': key })).status
  t.same([await status(MASTER), await status(MASTER), await status('sk-other')], [200, 200, 401])
  gateway.reload({ model_list: [DEMO], auth: { master_key: 'sk-other' } })
  t.same([await status(MASTER), await status('sk-other'), await status('sk-other')], [401, 200, 200])
})

t.test('no key and no prompt stands in the log', async t => {
  const folder = temporaryFolder()
  const upstream = await recordedUpstream({
    status: 401,
    chunks: ['{"error":{"message":"bad key sk-upstream-12345678"}}']
  })
  const file = folder.write(
    'gateway.yaml',
    `server: { port: 0, logs: { level: trace } }\nauth: { master_key: "\${MASTER}" }\nmodel_list:\n  - { model_name: demo, provider: demo }\n  - { model_name: far, provider: custom, api_base: "${upstream.url}", api_key: "\${FAR}" }\n`
  )
  let log = ''
  const gateway = await startGateway({
    file,
    env: { MASTER, FAR: 'sk-upstream-12345678' },
    log: { write: text => (log += text) }
  })
  t.teardown(async () => {
    await gateway.stop()
    await upstream.close()
    folder.remove()
  })
  const wrong = 'sk-wrong-abcdefgh'
  const [path, body] = smallest('gemini', 'demo')
  const prompt = { messages: [{ role: 'user', content: 'a secret thought' }] }
  await post(`${gateway.url}/v1/chat/completions`, { model: 'demo', ...prompt }, { authorization: `Bearer ${MASTER}` })
  const refused = await post(`${gateway.url}/v1/chat/completions`, { model: 'far', ...prompt }, { 'x-api-key': MASTER })
  t.equal(refused.status, 502)
  await post(`${gateway.url}/v1/chat/completions`, { model: 'demo', ...prompt }, { 'x-api-key': wrong })
  await post(`${gateway.url}${path}?key=${MASTER}`, body)
  await post(`${gateway.url}${path}?key=${wrong}`, body)
  await get(`${gateway.url}/v1/nothing?key=${MASTER}`)
  gateway.logs.flush()
  t.equal(log.match(/\/v1\/chat\/completions/g)?.length, 3)
  for (const secret of [MASTER, wrong, 'sk-upstream-12345678', 'a secret thought'])
    t.notOk(log.includes(secret), secret)
  t.notOk(refused.text.includes('sk-upstream-12345678'))
})

t.test('without a master key any key or none is accepted from this machine', async t => {
  const { url } = await gatewayFor(t)
  const headers = [
    {},
    { 'x-api-key': 'any' },
    { authorization: 'Bearer any' },
    { host: 'localhost:4000' },
    { host: '[::1]:4000' }
  ]
  for (const some of headers) t.equal((await get(`${url}/v1/models`, some as Record<string, string>)).status, 200)
})

t.test('a page of a foreign origin may not use a gateway without a key', async t => {
  const { url } = await gatewayFor(t)
  for (const origin of [
    'https://evil.example',
    'null',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example:80'
  ]) {
    const answer = await post(...at(url, smallest('openai-chat', 'demo')), { origin })
    t.equal(answer.status, 403, origin)
    t.notOk('access-control-allow-origin' in answer.headers)
    t.equal((await get(`${url}/admin/config`, { origin })).status, 403)
    t.notOk('access-control-allow-origin' in (await ask(`${url}/v1/messages`, 'OPTIONS', { origin })).headers)
  }
  for (const origin of ['http://localhost:3000', 'http://127.0.0.1:5173', 'https://app.localhost', 'http://[::1]:80']) {
    const answer = await post(...at(url, smallest('openai-chat', 'demo')), { origin })
    t.equal(answer.status, 200, origin)
    t.equal(answer.headers['access-control-allow-origin'], origin)
  }
})

t.test('a page that looked this machine up by a name of its own is refused', async t => {
  const { url } = await gatewayFor(t)
  for (const host of ['evil.example', 'evil.example:4000', '127.0.0.1.evil.example', '192.168.1.7:4000']) {
    const answer = await post(...at(url, smallest('anthropic', 'demo')), { host })
    t.equal(answer.status, 403, host)
    t.match(answer.json, { type: 'error', error: { message: /loopback names only/ } })
    t.equal((await get(`${url}/admin/config`, { host })).status, 403)
  }
  const keyed = await gatewayFor(t, { auth: { master_key: MASTER } })
  t.equal((await get(`${keyed.url}/v1/models`, { host: 'gw.example', 'x-api-key': MASTER })).status, 200)
  const named = await gatewayFor(t, { server: { allowed_origins: ['http://gw.lan:4000'] } })
  t.equal((await get(`${named.url}/v1/models`, { host: 'gw.lan:4000' })).status, 200)
  t.equal((await get(`${named.url}/v1/models`, { host: 'lan:4000' })).status, 403)
})

t.test('an origin that is allowed may ask beforehand, and read the answer', async t => {
  const origin = 'https://chat.example'
  const config = { server: { allowed_origins: [origin] }, auth: { master_key: MASTER } }
  const { url } = await gatewayFor(t, config)
  const preflight = await ask(`${url}/v1/chat/completions`, 'OPTIONS', {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type'
  })
  t.equal(preflight.status, 204)
  t.match(preflight.headers, {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': /POST/,
    'access-control-allow-headers': 'authorization,content-type'
  })
  const cors = { 'access-control-allow-origin': origin, 'access-control-expose-headers': '*', vary: 'origin' }
  const key = { origin, authorization: `Bearer ${MASTER}` }
  t.match(await post(...at(url, smallest('openai-chat', 'demo')), key), { status: 200, headers: cors })
  t.match(await post(...at(url, smallest('openai-chat', 'demo', true)), key), { status: 200, headers: cors })
  t.match(await get(`${url}/v1/models`, key), { status: 200, headers: cors })
  // A page must be able to read why it was refused.
  t.match(await post(...at(url, smallest('openai-chat', 'demo')), { origin }), { status: 401, headers: cors })
  const open = await gatewayFor(t, { server: { allowed_origins: ['*'] } })
  t.match(await get(`${open.url}/v1/models`, { origin, host: 'any.example' }), { status: 200, headers: cors })
})

t.test('auth: none lets anybody in', async t => {
  const { url } = await gatewayFor(t, { auth: 'none' })
  t.equal((await get(`${url}/v1/models`, { host: 'gw.example' })).status, 200)
  t.equal((await post(...at(url, smallest('openai-chat', 'demo')), { host: '10.0.0.7:4000' })).status, 200)
  t.equal((await get(`${url}/admin/config`, { 'x-api-key': 'any', host: 'gw.example' })).status, 200)
  const foreign = await get(`${url}/v1/models`, { origin: 'https://evil.example' })
  t.notOk('access-control-allow-origin' in foreign.headers)
})

/** A smallest request as the arguments of `post`. */
function at(url: string, [path, body]: [string, object]): [string, object] {
  return [url + path, body]
}
