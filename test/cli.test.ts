import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import pc from 'picocolors'
import t, { type Test } from 'tap'
import { adviseOn } from '../src/cli/advice.ts'
import { banner } from '../src/cli/banner.ts'
import { detect, type Finding } from '../src/cli/detect.ts'
import { offline } from '../src/cli/offline.ts'
import { identify } from '../src/cli/pid-file.ts'
import { type Folder, launch, run, start, temporaryFolder } from './support/process.ts'

const COMMANDS = [
  'start',
  'check',
  'explain',
  'models',
  'status',
  'stop',
  'recommend',
  'switch',
  'top',
  'setup',
  'keys',
  'spend'
]
const ASK = { messages: [{ role: 'user', content: 'Hello' }] }

function folder(t: Test, yaml?: string): Folder {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  if (yaml !== undefined) made.write('gateway.yaml', yaml)
  return made
}

function post(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ...ASK, ...body })
  })
}

const paced = (pace: string, chunks: number, drain = '30s') => `
server: { drain: ${drain} }
model_list:
  - { model_name: slow, provider: demo, demo: { pace: ${pace}, chunks: ${chunks}, text: "${'word '.repeat(chunks)}" } }
`

t.setTimeout(600_000)

t.test('the help of every command has an example, its exit codes and --json', async t => {
  const { path } = folder(t)
  const whole = await run(['--help'], { cwd: path })
  t.match(whole, { code: 0, stdout: /Example: sluice start/ })
  for (const command of COMMANDS) {
    t.match(whole.stdout, `  ${command} `)
    const { code, stdout } = await run([command, '--help'], { cwd: path })
    t.equal(code, 0)
    t.match(stdout, new RegExp(`Example: sluice ${command}`))
    t.match(stdout, /--json/)
    t.match(stdout, /Exit codes: /)
  }
})

t.test('a command that does not exist is met with the nearest one', async t => {
  const { path } = folder(t)
  t.match(await run(['strat'], { cwd: path }), { code: 2, stderr: /Did you mean start\?/ })
  t.match(await run(['start', '--prot', '1'], { cwd: path }), { code: 2, stderr: /Did you mean --port\?/ })
  t.match(await run(['start', '--port', '70000'], { cwd: path }), { code: 2, stderr: /up to 65535/ })
})

t.test('an empty folder runs the packaged file, and status and stop find it', async t => {
  const { path } = folder(t)
  const began = performance.now()
  const gateway = await start([], { cwd: path })
  t.comment(`listening after ${Math.round(performance.now() - began)} ms`)
  const chat = await post(gateway.url, { model: 'demo' })
  t.equal(chat.status, 200)
  const messages = await fetch(`${gateway.url}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
    body: JSON.stringify({ ...ASK, model: 'claude-sonnet-4-5', max_tokens: 50 })
  })
  t.equal(messages.status, 200, 'a name that Claude Code asks for is served')
  await gateway.until(/docs {2}/)
  const [, body = ''] = /^ +-d '(.*)'$/m.exec(gateway.output()) ?? []
  t.equal((await post(gateway.url, JSON.parse(body))).status, 200, 'the curl of the banner is answered')
  t.equal(statSync(join(path, '.sluice')).mode & 0o777, 0o700)
  t.equal(statSync(join(path, '.sluice/gateway.json')).mode & 0o777, 0o600)

  const running = await run(['status', '--json'], { cwd: path })
  t.equal(running.code, 0)
  t.match(JSON.parse(running.stdout), {
    running: true,
    pid: gateway.child.pid,
    url: gateway.url,
    health: { generation: 1 }
  })
  t.match((await run(['status'], { cwd: path })).stdout, /healthy/)

  t.match(await run(['stop'], { cwd: path }), { code: 0, stdout: /has stopped/ })
  t.equal((await gateway.ended).code, 0)
  t.match(await run(['status', '--json'], { cwd: path }), { code: 3, stdout: /"running": false/ })
  t.match(await run(['stop'], { cwd: path }), { code: 3 })
})

t.test('check says every mistake with its line and column, and ends with 1', async t => {
  const { path, write } = folder(
    t,
    'model_list:\n  - model_name: a\n    provider: demmo\n  - model_name: b\n    provider: demo\n    modle: x\nserver:\n  prot: 1\n'
  )
  write('broken.yaml', 'model_list: [\n')
  write('open.yaml', 'model_list: [{ model_name: a, provider: demo }]\n')
  const commands = [
    'check',
    'check --json',
    'check broken.yaml',
    'check nothing.yaml',
    'start',
    'start --host 0.0.0.0 --config open.yaml'
  ]
  const ended = await Promise.all(commands.map(command => run(command.split(' '), { cwd: path })))
  const [whole, json, broken, missing, started, open] = ended
  for (const { code } of ended) t.equal(code, 1)
  t.match(whole?.stdout, /gateway\.yaml:6:5 error .*did you mean/)
  t.match(whole?.stdout, /gateway\.yaml:8:3 error/)
  t.match(JSON.parse(json?.stdout ?? ''), { ok: false, problems: [{ line: Number, column: Number, message: String }] })
  t.match(broken?.stdout, /broken\.yaml:\d+:\d+ error/)
  t.match(missing?.stderr, /does not exist/)
  t.match(started?.stderr, /gateway\.yaml:6:5/)
  t.match(open?.stderr, /master_key/)
})

t.test('check tells what is served, and how a LiteLLM file is understood', async t => {
  const { path, write } = folder(t, 'model_list: [{ model_name: a, provider: demo }]\naliases: { b: a }\n')
  t.match(await run(['check'], { cwd: path }), { code: 0, stdout: /is in order[\s\S]*a {2}→ demo[\s\S]*b {2}= a/ })
  write(
    'config.yaml',
    'model_list:\n  - model_name: gpt\n    litellm_params: { model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY }\nlitellm_settings: { drop_params: true }\n'
  )
  const { code, stdout } = await run(['check', 'config.yaml'], { cwd: path, env: { OPENAI_API_KEY: 'sk-of-nobody-1' } })
  t.equal(code, 0, stdout)
  t.match(stdout, /LiteLLM's file: /)
  t.notMatch(stdout, 'sk-of-nobody-1')
})

t.test('explain says where a name leads and what a body becomes, offline', async t => {
  const { path, write } = folder(
    t,
    'model_list:\n  - { model_name: "claude-*", provider: self-hosted, dialect: openai-chat, api_base: "http://127.0.0.1:9/v1", model: "qwen-*", max_tokens: 100 }\n'
  )
  write('body.json', '{"model": "claude-x", "messages": [], "max_tokens": 500}')
  const { code, stdout } = await run(['explain', 'claude-x', '--request', 'body.json', '--key', 'k'], { cwd: path })
  t.equal(code, 0)
  t.match(stdout, /glob claude-\*/)
  t.match(stdout, 'POST http://127.0.0.1:9/v1/chat/completions')
  t.match(stdout, '~ model: "claude-x" → "qwen-x"')
  t.match(stdout, '~ max_tokens: 500 → 100')
  t.match(stdout, /No key is asked for here/)
  const json = JSON.parse((await run(['explain', 'claude-x', '--json'], { cwd: path })).stdout)
  t.match(json, { matched: 'glob claude-*', targets: [{ model: 'qwen-x', max_tokens: 100 }] })
  t.match(await run(['explain', 'gpt-4'], { cwd: path }), { code: 1, stderr: /not served/ })
  write('bad.json', '[1]')
  t.match(await run(['explain', 'claude-x', '--request', 'bad.json'], { cwd: path }), { code: 1, stderr: /bad\.json/ })
})

t.test('models lists what is served, and what an upstream offers', async t => {
  const server = createServer((request, response) => {
    const known = request.headers.authorization === 'Bearer right-key-1'
    response.writeHead(known ? 200 : 401, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ data: [{ id: 'llama' }, { id: 'qwen\u001b[31m' }] }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { path } = folder(
    t,
    `backends:\n  good: { provider: self-hosted, api_base: "http://127.0.0.1:${port}", api_key: "\${KEY}" }\n  bad: { provider: self-hosted, api_base: "http://127.0.0.1:${port}" }\n  gone: { provider: self-hosted, api_base: "http://127.0.0.1:1" }\nmodel_list: [{ model_name: a, provider: demo }]\n`
  )
  const options = { cwd: path, env: { KEY: 'right-key-1' } }
  const ask = (name: string) => run(['models', '--provider', name], options)
  const [served, ...asked] = await Promise.all([
    run(['models'], options),
    ...['good', 'bad', 'gone', 'god', 'groq'].map(ask)
  ])
  t.match(served, { code: 0, stdout: /a {2}→ demo/ })
  t.match(asked, [
    { code: 0, stdout: 'llama\nqwen?[31m\n' },
    { code: 1, stderr: /refused the key/ },
    { code: 1, stderr: /Cannot connect/ },
    { code: 1, stderr: /Did you mean good/ },
    { code: 1, stderr: /GROQ_API_KEY/ }
  ])
})

t.test('a port in use is named with a way out, and auto takes another', async t => {
  const { path } = folder(t)
  const server = createServer((_, response) => response.end('I am another'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const refused = await run(['start', '--port', String(port)], { cwd: path })
  t.match(refused, { code: 1, stderr: /is in use by another program[\s\S]*--port auto/ })

  const first = await start([], { cwd: path })
  const own = await run(['start', '--port', new URL(first.url).port], { cwd: path })
  t.match(own, { code: 1, stderr: /by this gateway itself[\s\S]*sluice stop/ })
  const second = launch(['start', '--port', 'auto'], { cwd: path })
  await second.until(/"url":"http:\/\/127\.0\.0\.1:40\d\d"/)
  t.match(second.output(), /belongs to the gateway at/)
  second.child.kill('SIGTERM')
  t.equal((await second.ended).code, 0)
  t.match(JSON.parse(readFileSync(join(path, '.sluice/gateway.json'), 'utf8')), { pid: first.child.pid })
  first.child.kill('SIGINT')
  t.equal((await first.ended).code, 0)
})

t.test('SIGTERM lets a stream finish, refuses new requests and ends with 0', async t => {
  const { path } = folder(t, paced('100ms', 60))
  const gateway = await start([], { cwd: path })
  const answer = await post(gateway.url, { model: 'slow', stream: true })
  gateway.child.kill('SIGTERM')
  await gateway.until(/"msg":"stopping/)
  await t.rejects(post(gateway.url, { model: 'slow' }), 'the port is closed')
  const draining = await run(['status'], { cwd: path })
  t.match(draining.stdout, /is stopping: 1 request under way/)
  const text = await answer.text()
  t.match(text, /data: \[DONE\]\n\n$/)
  t.equal((await gateway.ended).code, 0)
})

t.test('a stream that outlives the drain gets a terminal event', async t => {
  const { path } = folder(t, paced('100ms', 200, '500ms'))
  const gateway = await start([], { cwd: path })
  const answer = await post(gateway.url, { model: 'slow', stream: true })
  const stopped = run(['stop'], { cwd: path })
  const text = await answer.text()
  t.notMatch(text, '[DONE]')
  t.match(text, /shutting down/)
  t.match(await stopped, { code: 0, stdout: /draining 1 request/ })
  t.equal((await gateway.ended).code, 0)
})

t.test('a second Ctrl-C ends at once, and the same one twice does not', async t => {
  const { path } = folder(t, paced('100ms', 200))
  const gateway = await start([], { cwd: path })
  const answer = await post(gateway.url, { model: 'slow', stream: true })
  gateway.child.kill('SIGINT')
  await gateway.until(/"msg":"stopping/)
  gateway.child.kill('SIGINT')
  await new Promise(resolve => setTimeout(resolve, 700))
  t.equal(gateway.child.exitCode, null, 'npm hands the same Ctrl-C on')
  gateway.child.kill('SIGINT')
  t.equal((await gateway.ended).code, 130)
  await t.rejects(answer.text())
})

t.test('no output holds a secret or a prompt', async t => {
  const server = createServer((request, response) => {
    // An upstream that shows what it was sent, as some do.
    response.writeHead(500, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { message: `bad key ${request.headers.authorization}` } }))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { path, write } = folder(
    t,
    `auth: { master_key: "\${MASTER}" }\nmodel_list:\n  - { model_name: up, provider: self-hosted, dialect: openai-chat, api_base: "http://127.0.0.1:${port}/v1", api_key: "\${UPSTREAM}", headers: { x-team: "\${HEADER}" } }\n  - { model_name: demo, provider: demo }\n`
  )
  const secrets = {
    MASTER: 'sk-master-0001',
    UPSTREAM: 'sk-upstream-0002',
    HEADER: 'in-a-header-0003',
    OPENAI_API_KEY: 'sk-openai-0004'
  }
  const options = { cwd: path, env: secrets }
  const gateway = await start([], options)
  const authorized = { authorization: 'Bearer sk-master-0001' }
  t.equal(
    (await post(gateway.url, { model: 'demo', messages: [{ role: 'user', content: 'my-private-prompt' }] }, authorized))
      .status,
    200
  )
  t.equal((await post(gateway.url, { model: 'up' }, authorized)).status, 502)
  t.equal((await post(gateway.url, { model: 'demo' }, { authorization: 'Bearer sk-stranger-0005' })).status, 401)
  await gateway.until(/"status":401/)
  t.match(gateway.output(), /"model":"up".*"failure":"upstream-failed"/)
  write(
    'gateway.yaml',
    `auth: { master_key: "\${MASTER}" }\nmodel_list:\n  - { model_name: up, provider: demo, api_key: "\${UPSTREAM}", headers: { x-team: changed-secret-0006 } }\n`
  )
  await gateway.until(/configuration reloaded/)
  const commands = ['check', 'check --json', 'explain up', 'models', 'models --provider up', 'status --json']
  const ended = await Promise.all(commands.map(command => run(command.split(' '), options)))
  ended.push(await run(['stop'], options), await gateway.ended)
  const text = ended.map(({ stdout, stderr }) => stdout + stderr).join('\n')
  for (const secret of [...Object.values(secrets), 'sk-stranger-0005', 'changed-secret-0006', 'my-private-prompt'])
    t.notMatch(text, secret)
})

t.test('a record left by a killed gateway is seen for what it is, and nobody else is stopped', async t => {
  const { path } = folder(t)
  const gateway = await start([], { cwd: path })
  gateway.child.kill('SIGKILL')
  await gateway.ended
  const file = join(path, '.sluice/gateway.json')
  t.match(await run(['status'], { cwd: path }), { code: 3 })
  mkdirSync(join(path, '.sluice'), { recursive: true })
  const record = { pid: process.pid, url: 'http://127.0.0.1:1', port: 1, startedAt: Date.now(), born: '1', config: 'x' }
  writeFileSync(file, JSON.stringify(record))
  t.match(await run(['stop'], { cwd: path }), { code: 3 }, 'the number is this test’s own by now')
  const { born: _, ...unborn } = record
  writeFileSync(file, JSON.stringify(unborn))
  t.equal(await identify(unborn), 'unsure')
  t.match(await run(['stop'], { cwd: path }), { code: 1, stderr: /Nothing was done/ })
})

t.test('an error that nothing caught is logged, and ends the gateway in order with 1', async t => {
  const { path } = folder(t)
  const onSignal = (what: string) => ['--import', `data:text/javascript,process.on('SIGUSR2', () => { ${what} })`]
  const [rejected, thrown] = await Promise.all([
    start([], { cwd: path, flags: onSignal("Promise.reject(new Error('nobody listens'))") }),
    start([], { cwd: path, flags: onSignal("throw new Error('a bug')") })
  ])
  rejected.child.kill('SIGUSR2')
  await rejected.until(/nobody listens/)
  t.equal((await post(rejected.url, { model: 'demo' })).status, 200)
  rejected.child.kill('SIGTERM')
  t.equal((await rejected.ended).code, 0)
  thrown.child.kill('SIGUSR2')
  const { code, stdout } = await thrown.ended
  t.equal(code, 1)
  t.match(stdout, /"level":"fatal".*a bug[\s\S]*"msg":"stopped"/)
})

t.test('neither a data folder that cannot be written nor a log that nobody reads ends the gateway', async t => {
  const { path, write } = folder(t)
  write('occupied', '')
  const gateway = await start([], { cwd: path, env: { SLUICE_DATA_DIR: join(path, 'occupied/below') } })
  t.match(gateway.output(), /cannot be written/)
  gateway.child.stdout?.destroy()
  gateway.child.stderr?.destroy()
  for (let index = 0; index < 20; index++) t.equal((await post(gateway.url, { model: 'demo' })).status, 200)
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal((await post(gateway.url, { model: 'demo' })).status, 200)
  gateway.child.kill('SIGTERM')
  await new Promise(resolve => gateway.child.once('exit', resolve))
  t.equal(gateway.child.exitCode, 0)
})

t.test('--json logs nothing but JSON', async t => {
  const { path } = folder(t, 'server: { logs: { format: pretty } }\nmodel_list: [{ model_name: a, provider: demo }]\n')
  const gateway = await start(['--json'], { cwd: path })
  t.equal((await post(gateway.url, { model: 'a' })).status, 200)
  await gateway.until(/"msg":"request"/)
  gateway.child.kill('SIGTERM')
  const { stdout, stderr } = await gateway.ended
  t.equal(stderr, '')
  const lines = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  const request = lines.find(line => line['msg'] === 'request')
  t.match(request, {
    level: 'info',
    endpoint: '/v1/chat/completions',
    model: 'a',
    target: 'demo/a',
    status: 200,
    ms: Number,
    in: Number,
    out: Number,
    attempts: 1
  })
})

t.test('servers, keys and programs are found, and the advice works when pasted', async t => {
  const answers: Record<string, object> = {
    '/api/tags': { models: [{ name: 'qwen2.5-coder:7b' }] },
    '/v1/models': { data: [{ id: 'llama', owned_by: 'llamacpp' }] },
    '/other': { hello: 'world' }
  }
  const server = createServer((request, response) => {
    if (request.url !== '/silent') response.end(JSON.stringify(answers[request.url ?? ''] ?? {}))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const began = performance.now()
  const findings = await detect({ OPENAI_API_KEY: 'sk-1', GROQ_API_KEY: 'gsk-1', MISTRAL_API_KEY: '' }, 1, [
    { port, path: '/api/tags', provider: () => 'ollama' },
    { port, path: '/v1/models', provider: () => 'llama.cpp' },
    { port, path: '/other', provider: () => 'mlx' },
    { port, path: '/silent', provider: () => 'vllm' },
    { port: 1, path: '/own', provider: () => 'vllm' }
  ])
  t.ok(performance.now() - began < 600, 'who is silent is not waited for')
  t.same(
    findings.map(finding => (finding.kind === 'claude' ? 'claude' : finding.provider)),
    ['ollama', 'llama.cpp', 'openai', 'groq']
  )
  t.notMatch(JSON.stringify(findings), 'sk-1')

  const { path, write } = folder(t, 'model_list: [{ model_name: demo, provider: demo }]\n')
  const before = await offline(join(path, 'gateway.yaml'))
  if (!('loaded' in before)) return t.fail('the file is in order')
  const advice = adviseOn(findings, before.runtime)
  const pasted = advice.flatMap(item => item.lines.map(line => `  ${line}`)).join('\n')
  const after = await offline(write('gateway.yaml', `model_list:\n${pasted}\n`))
  if (!('loaded' in after)) return t.fail(JSON.stringify(after.problems))
  t.equal(after.runtime.routes.routes().length, 4)
  t.ok(adviseOn(findings.slice(2), after.runtime).every(item => item.lines.length === 0 && item.usedBy.length === 1))
})

t.test('the banner fits 80 columns', async t => {
  const { path } = folder(
    t,
    'auth: { master_key: sk-master-1 }\nmodel_list: [{ model_name: demo, provider: demo }, { model_name: "claude-*", provider: demo }]\n'
  )
  const prepared = await offline(join(path, 'gateway.yaml'))
  if (!('loaded' in prepared)) return t.fail('the file is in order')
  const { runtime } = prepared
  const findings: Finding[] = [
    {
      kind: 'server',
      provider: 'lm-studio',
      url: 'http://127.0.0.1:1234',
      models: ['qwen2.5-coder-32b-instruct', 'llama-3.3-70b-instruct', 'c']
    },
    { kind: 'key', provider: 'fireworks', variable: 'FIREWORKS_API_KEY' },
    { kind: 'claude' }
  ]
  const text = banner(
    {
      url: 'http://127.0.0.1:4000',
      runtime,
      source: { file: join(process.cwd(), 'gateway.yaml'), whence: 'packaged', home: path },
      advice: adviseOn(findings, runtime),
      took: 800
    },
    pc.createColors(false)
  )
  for (const line of text.split('\n')) t.ok(line.length <= 80, line)
  t.match(text, '$SLUICE_MASTER_KEY')
  t.notMatch(text, 'sk-master-1')
})
