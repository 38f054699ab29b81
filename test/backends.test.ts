// What a person is told to do when an upstream is not there, and what `explain` says of a name.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { offline } from '../src/cli/offline.ts'
import { parseConfig } from '../src/config/load.ts'
import { advised } from '../src/exchange/recommend.ts'
import { LOCAL } from '../src/keys/caller.ts'
import { Patterns } from '../src/keys/patterns.ts'
import { type Folder, run, start, temporaryFolder } from './support/process.ts'

function folder(t: Test, yaml: string): Folder {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  made.write('gateway.yaml', yaml)
  return made
}

/** Lists models; fails chats with the status it has now. */
interface Upstream {
  readonly url: string
  status: number
  readonly asked: string[]
}

async function upstream(t: Test, models: readonly string[], key?: string): Promise<Upstream> {
  const state = { url: '', status: 200, asked: [] as string[] }
  const server = createServer((request, response) => {
    request.resume()
    state.asked.push(`${request.method} ${request.url}`)
    response.setHeader('content-type', 'application/json')
    if (key !== undefined && request.headers.authorization !== `Bearer ${key}`) response.writeHead(401).end('{}')
    else if (request.method === 'POST') response.writeHead(state.status).end('{"error":{"message":"out of memory"}}')
    else response.end(JSON.stringify({ data: models.map(id => ({ id })), models: models.map(name => ({ name })) }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return state
}

t.setTimeout(600_000)

t.test('recommend asks each upstream, and says what can be done where one does not answer', async t => {
  const [well, locked, models] = [
    await upstream(t, ['qwen']),
    await upstream(t, ['x'], 'right'),
    await upstream(t, ['llama3:latest'])
  ]
  const { path } = folder(
    t,
    `backends:
  tunnel: { provider: self-hosted, api_base: "http://127.0.0.1:9" }
  spare: { provider: self-hosted, api_base: "${well.url}" }
active_backend: tunnel
model_list:
  - { model_name: coder, backend: active, model: qwen }
  - { model_name: well, backend: spare, model: qwen }
  - { model_name: locked, provider: custom, api_base: "${locked.url}/v1", api_key: wrong-key-0001 }
  - { model_name: small, provider: ollama, api_base: "${models.url}", model: llama3 }
  - { model_name: big, provider: ollama, api_base: "${models.url}", model: "qwen3:32b" }
  - { model_name: stopped, provider: ollama, api_base: "http://127.0.0.1:1", model: any }
  - { model_name: off, provider: custom, api_base: "http://127.0.0.1:2", weight: 0 }
  - { model_name: "*", provider: demo }
`
  )
  const { code, stdout } = await run(['recommend', '--json'], { cwd: path })
  t.equal(code, 1)
  const told = JSON.parse(stdout)
  t.equal(told.gateway, null)
  const byName = new Map<string, { problem: string; recommendations: string[] }>(
    told.troubles.map((trouble: { names: string[] }) => [trouble.names[0], trouble])
  )
  t.same([...byName.keys()].sort(), ['big', 'coder', 'locked', 'stopped'], 'who is well, or taken out, is not told')
  t.match(byName.get('coder')?.problem, /Cannot connect to tunnel/)
  t.match(byName.get('coder')?.recommendations.join('\n'), /ssh -N -L 9:127\.0\.0\.1:9/)
  t.match(byName.get('coder')?.recommendations.join('\n'), /`sluice switch spare`/)
  t.match(byName.get('coder')?.recommendations.join('\n'), /`well` or `small` answered when last asked/)
  t.match(byName.get('locked')?.recommendations.join('\n'), /holds a key that is in force/)
  t.match(byName.get('big'), { problem: /has no model `qwen3:32b`/, recommendations: [/`ollama pull qwen3:32b`/] })
  t.match(byName.get('stopped')?.recommendations, [/`ollama serve`/])
  t.equal(models.asked.length, 1, 'one server is asked once, whatever it serves')
  const text = await run(['recommend'], { cwd: path })
  t.equal(text.code, 1)
  t.match(text.stdout, /custom\/locked, for locked\n {2}.*refused the key[\s\S]*→ /)
  t.notMatch(text.stdout + stdout, 'wrong-key-0001')
  const fine = folder(t, `model_list: [{ model_name: a, provider: custom, api_base: "${well.url}/v1" }]\n`)
  t.match(await run(['recommend'], { cwd: fine.path }), { code: 0, stdout: /All is well: 1 upstream asked/ })
  const none = folder(t, 'model_list: [{ model_name: a, provider: demo }]\n')
  t.match(await run(['recommend'], { cwd: none.path }), { code: 0, stdout: /nothing to ask/ })
})

t.test('what a running gateway has seen fail is told, though the upstream answers a plain question', async t => {
  const failing = await upstream(t, ['qwen'])
  const { path } = folder(
    t,
    `model_list:
  - { model_name: coder, provider: custom, api_base: "${failing.url}/v1", model: qwen }
  - { model_name: other, provider: demo }
`
  )
  const gateway = await start([], { cwd: path })
  failing.status = 500
  const body = JSON.stringify({ model: 'coder', messages: [{ role: 'user', content: 'Hi' }] })
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body })
  t.equal(answer.status, 502)
  t.match(await (await fetch(`${gateway.url}/health`)).json(), { backends: [{ failure: 'upstream-failed' }, {}] })
  const { code, stdout } = await run(['recommend'], { cwd: path })
  t.equal(code, 1, stdout)
  t.match(stdout, /custom\/qwen, for coder\n {2}.*out of memory/)
  t.match(await run(['status'], { cwd: path }), { stdout: /`sluice recommend` says what can be done/ })
  gateway.child.kill('SIGTERM')
  await gateway.ended
})

t.test('nobody is pointed at a model that their key may not use', async t => {
  const { path } = folder(
    t,
    'model_list: [{ model_name: a, provider: custom, api_base: "http://127.0.0.1:9" }, { model_name: open, provider: demo }, { model_name: secret, provider: demo }]\n'
  )
  const prepared = await offline(join(path, 'gateway.yaml'))
  if (!('loaded' in prepared)) throw new Error('the file is in order')
  const { runtime } = prepared
  const [target] = runtime.targets
  if (target === undefined) throw new Error('it has a target')
  const failure = new Failure('upstream-down', 'Cannot connect.')
  const advice = (caller?: typeof LOCAL) =>
    advised(failure, target, 'a', 'a', runtime, caller).details.recommendations?.join('\n')
  t.match(advice(), /`open` or `secret`/)
  t.match(advice({ ...LOCAL, models: [] }), /`open` or `secret`/)
  const bound = advice({ ...LOCAL, models: [{ scope: 'key', patterns: new Patterns(['a', 'open']) }] })
  t.match(bound, /`open`/)
  t.notMatch(bound, 'secret')
})

t.test('explain says how entries share a name, and what is tried after them', async t => {
  const { path } = folder(
    t,
    `routing:
  strategy: least-busy
  sticky: none
  fallbacks: { m: [big] }
  context_fallbacks: { m: [big] }
  content_policy_fallbacks: { m: [big, other] }
model_list:
  - { model_name: m, provider: demo, weight: 3, max_parallel: 2, rpm: 60, tpm: 1000, tags: [eu, fast] }
  - { model_name: m, provider: demo, model: two }
  - { model_name: m, provider: demo, model: late, order: 1 }
  - { model_name: m, provider: demo, model: out, weight: 0 }
  - { model_name: big, provider: demo }
  - { model_name: other, provider: demo }
`
  )
  const { code, stdout } = await run(['explain', 'm'], { cwd: path })
  t.equal(code, 0)
  for (const expected of [
    /strategy {3}least-busy, each request anew/,
    /fallbacks {2}big\n/,
    /too long {3}big\n/,
    /refused {4}for its content: big, then other\n/,
    /demo\/m \(75 % within its order\)\n {4}under +max_parallel 2, rpm 60, tpm 1000, tags eu, fast\n/,
    /demo\/late \(100 % within its order\)\n {4}under +order 1\n/,
    /demo\/out .*\n {4}now +never asked: its weight is 0\n/
  ])
    t.match(stdout, expected)
  const alone = await run(['explain', 'big'], { cwd: path })
  t.match(alone.stdout, /100 % of the requests/)
  t.notMatch(alone.stdout, /strategy|too long|refused/)
})

t.test('a name that a client made up leads to no other path of Gemini’s', async t => {
  const google = await upstream(t, [])
  const { path } = folder(
    t,
    `model_list: [{ model_name: "*", provider: gemini, api_base: "${google.url}/v1beta", api_key: k }]\n`
  )
  const gateway = await start([], { cwd: path })
  const post = async (route: string, body: object) => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(gateway.url + route, { method: 'POST', headers, body: JSON.stringify(body) })).status
  }
  const messages = [{ role: 'user', content: 'Hi' }]
  const contents = [{ role: 'user', parts: [{ text: 'Hi' }] }]
  for (const model of ['../../v1/files', '..', 'a/../b', 'a/.', '..\\b']) {
    t.equal(await post('/v1/chat/completions', { model, messages }), 400, model)
    t.equal(await post('/v1/embeddings', { model, input: 'x' }), 400, model)
  }
  t.equal(await post('/v1beta/models/..%2F..%2Ffiles:generateContent', { contents }), 400)
  t.same(google.asked, [], 'nothing of it was sent')
  await post('/v1beta/models/gemini-2.5..pro:generateContent', { contents })
  t.same(google.asked, ['POST /v1beta/models/gemini-2.5..pro:generateContent'], 'dots in a name are none')
  gateway.child.kill('SIGTERM')
  await gateway.ended
})

t.test('the path of a key file is no secret in plain text, and a key is', async t => {
  const warnings = (key: string) => {
    const text = `model_list: [{ model_name: a, provider: vertex-ai, api_key: '${key}' }]\n`
    const result = parseConfig(text, '/nowhere/gateway.yaml', { env: {} })
    return (result.ok ? result.loaded : result).problems.map(problem => problem.message)
  }
  for (const path of [
    '/etc/keys/vertex-4711-prod-key.json',
    './Keys-2026/a1b2c3d4e5f6g7h8.json',
    '~/k/a1b2c3d4e5f6g7.json'
  ])
    t.same(warnings(path), [], path)
  for (const key of ['/aB3dE5fG7hI9jK1lM3nO5pQ7', 'AIzaSyA1b2C3d4E5f6G7h8I9j0'])
    t.match(warnings(key), [/a secret stands in the file/], 'base64 may begin with a slash')
})

t.test('explain asks the gateway that keeps it what a key may use', async t => {
  const { path } = folder(
    t,
    'auth: { master_key: sk-master-0001 }\nmodel_list: [{ model_name: open/a, provider: demo }, { model_name: secret, provider: demo }]\n'
  )
  const ask = (model: string, key: string) => run(['explain', model, '--key', key, '--json'], { cwd: path })
  t.match(JSON.parse((await ask('secret', 'sk-x')).stdout), { key: { text: /none runs here/ } })
  const gateway = await start([], { cwd: path })
  t.teardown(async () => {
    gateway.child.kill('SIGTERM')
    await gateway.ended
  })
  const made = await fetch(`${gateway.url}/key/generate`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-master-0001', 'content-type': 'application/json' },
    body: '{"models":["open/*"]}'
  })
  const { key } = (await made.json()) as { key: string }
  t.match(await run(['explain', 'open/a', '--key', key], { cwd: path }), { code: 0, stdout: /The key may use it/ })
  const refused = await ask('secret', key)
  t.equal(refused.code, 1)
  t.match(JSON.parse(refused.stdout), { key: { allowed: false, text: /may not use the model `secret`/ } })
  t.match(JSON.parse((await ask('secret', 'sk-nobody')).stdout), { key: { allowed: false, text: /not known/ } })
})

t.test('tags that LiteLLM’s clients send for their bills stop no request where no entry has tags', async t => {
  const { path } = folder(
    t,
    'model_list: [{ model_name: plain, provider: demo }, { model_name: tagged, provider: demo, tags: [eu] }]\n'
  )
  const gateway = await start([], { cwd: path })
  const ask = async (model: string, header: string, tags: string) => {
    const headers = { 'content-type': 'application/json', [header]: tags }
    const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] })
    return (await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body })).status
  }
  t.equal(await ask('plain', 'x-litellm-tags', 'team-a'), 200)
  t.not(await ask('plain', 'x-gateway-tags', 'team-a'), 200, 'who says it to this gateway means it')
  t.equal(await ask('tagged', 'x-litellm-tags', 'eu'), 200)
  t.not(await ask('tagged', 'x-litellm-tags', 'us'), 200)
  gateway.child.kill('SIGTERM')
  await gateway.ended
})
