// `.llmrc.json` and its like: what is said in several places, which place wins, and where a mistake stands.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { llmrcSources } from '../src/config/llmrc.ts'
import { loadConfig } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problem.ts'
import { PROVIDER_NAMES } from '../src/providers/presets.ts'
import { run, start, temporaryFolder } from './support/process.ts'

interface Place {
  readonly path: string
  readonly home: string
  readonly file: string
}

/** A project's folder and somebody's home, each with its file when it has one. */
function place(t: Test, project?: unknown, global?: unknown): Place {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  const path = join(made.path, 'project')
  const home = join(made.path, 'home')
  mkdirSync(path)
  mkdirSync(join(home, '.llm-proxy'), { recursive: true })
  const file = join(path, '.llmrc.json')
  const textOf = (said: unknown) => (typeof said === 'string' ? said : JSON.stringify(said, null, '\t'))
  if (project !== undefined) writeFileSync(file, textOf(project), { mode: 0o600 })
  if (global !== undefined) writeFileSync(join(home, '.llm-proxy/config.json'), textOf(global), { mode: 0o600 })
  return { path, home, file }
}

function load({ file, home }: Place, env: Record<string, string> = {}) {
  const result = loadConfig(file, { env: { HOME: home, ...env }, known: { providers: PROVIDER_NAMES } })
  const lines = (result.ok ? result.loaded.problems : result.problems).map(formatProblem)
  return { config: result.ok ? result.loaded.config : undefined, lines }
}

const CEREBRAS = { type: 'cerebras', apiKey: `\${CEREBRAS_API_KEY}`, description: 'quick' }
const VAST = { type: 'self-hosted', url: 'http://127.0.0.1:8000' }
const OTHER = { type: 'self-hosted', url: 'http://127.0.0.1:11434' }
const KEY = { CEREBRAS_API_KEY: 'csk-0001' }

t.setTimeout(600_000)

t.test('the form is read as a configuration, whatever model is asked for', async t => {
  const { config, lines } = load(
    place(t, { backend: 'vast', port: 'auto', backends: { cerebras: CEREBRAS, vast: VAST } }),
    KEY
  )
  t.same(lines, [])
  t.match(config, {
    active_backend: 'vast',
    server: { port: 'auto' },
    backends: {
      cerebras: { provider: 'cerebras', api_key: 'csk-0001', description: 'quick' },
      vast: { provider: 'self-hosted', api_base: 'http://127.0.0.1:8000' }
    },
    model_list: [{ model_name: '*', backend: 'active' }]
  })
  const only = load(place(t, { backends: { vast: VAST } }))
  t.equal(only.config?.active_backend, 'vast', 'the only one is the active one')
})

t.test('the project wins over variables, and those over the user’s own file', async t => {
  const project = { backend: 'a', backends: { a: VAST } }
  const global = { backend: 'b', port: 4003, backends: { a: { ...OTHER, apiKey: 'of-the-other-url' }, b: OTHER } }
  const env = { LLM_BACKEND_CONFIG: 'b', LLM_PROXY_PORT: '4002' }
  const whole = place(t, project, global)
  t.match(load(whole, env).config, { active_backend: 'a', server: { port: 4002 } })
  t.same(load(whole, env).config?.backends['a']?.api_key, undefined, 'a backend is taken whole from one place')
  t.match(load(whole).config, { active_backend: 'a', server: { port: 4003 } })
  t.match(load(place(t, { ...project, port: 4001 }, global), env).config, { server: { port: 4001 } })
  const user = place(t, undefined, global)
  t.match(load(user, { LLM_BACKEND_CONFIG: 'a' }).config, { active_backend: 'a', backends: { a: {}, b: {} } })
  t.match(load(user).config, { active_backend: 'b', server: { port: 4003 } })
  const inline = JSON.stringify({ backend: 'c', backends: { c: CEREBRAS } })
  t.match(load(user, { ...KEY, LLM_BACKEND_CONFIG: inline }).config, {
    active_backend: 'c',
    backends: { c: { api_key: 'csk-0001' }, b: {} }
  })
  writeFileSync(join(user.path, 'mine.json'), inline)
  t.match(load(user, { ...KEY, LLM_BACKEND_CONFIG: 'mine.json' }).config, { active_backend: 'c' })
  t.same(llmrcSources(whole.file, { HOME: whole.home, ...env }), [
    '.llmrc.json',
    '$LLM_BACKEND_CONFIG',
    '$LLM_PROXY_PORT',
    '~/.llm-proxy/config.json'
  ])
  t.same(llmrcSources(join(whole.path, 'none/.llmrc.json'), { HOME: '/nowhere', LLM_PROXY_PORT: '1' }), [])
})

t.test('a mistake is told with its file and place, also when that is a variable', async t => {
  const wrong = (project: unknown, env: Record<string, string> = {}, global?: unknown) =>
    load(place(t, project, global), env).lines.join('\n')
  t.match(
    wrong(
      '{\n  "backend": "vats",\n  "backends": { "vast": { "type": "self-hosted", "url": "http://127.0.0.1:1" } }\n}'
    ),
    /\.llmrc\.json:2:14 error active_backend: no backend of this name is declared; did you mean "vast"\?/
  )
  t.match(wrong({ backends: { a: { ...VAST, type: 'cerbras' } } }), /:4:12 error .*did you mean "cerebras"/)
  t.match(wrong({ backends: { a: { url: 'http://x' } } }), /:3:3 error backends\.a\.type: is missing/)
  t.match(wrong({ backends: { a: { ...VAST, apikey: 'x' } } }), /error backends\.a\.apikey: unknown key .*"apiKey"/)
  t.match(wrong({ backend: 'a', prot: 1, backends: { a: VAST } }), /error prot: unknown key .*did you mean "port"/)
  t.match(wrong({ backends: { a: VAST, b: OTHER } }), /error backend: .*is missing; declared: a, b/)
  t.match(wrong({ backend: 'a' }), /no backend is declared/)
  t.match(wrong({ backends: [] }), /error backends: must be a map/)
  t.match(wrong({ backends: { a: 'x' } }), /error backends\.a: must be a map/)
  t.match(wrong('[1]'), /has to be a map/)
  t.match(wrong(''), /the file is empty/)
  t.match(wrong('{"backend": '), /\.llmrc\.json:1:\d+ error/)
  t.match(wrong({ backends: { a: CEREBRAS } }), /error .*the variable CEREBRAS_API_KEY is not set/)
  t.match(wrong({ backends: { a: VAST } }, { LLM_PROXY_PORT: 'eighty' }), /\$LLM_PROXY_PORT:1:10 error server\.port/)
  t.match(
    wrong({ backends: { a: VAST } }, { LLM_BACKEND_CONFIG: './gone.json' }),
    /gone\.json:1:1 error .*does not exist/
  )
  t.match(wrong(undefined, { LLM_BACKEND_CONFIG: 'x' }, { backends: { a: VAST } }), /\$LLM_BACKEND_CONFIG:1:\d+ error/)
  t.match(wrong(undefined), /\.llmrc\.json:1:1 error .*does not exist/)
  const plain = 'csk-abcdefgh12345678abcdefgh'
  const warned = wrong({ backends: { a: { ...CEREBRAS, apiKey: plain } } })
  t.match(warned, /warning backends\.a\.api_key: a secret stands in the file/)
  t.notMatch(warned, plain)
})

async function upstream(t: Test, text: string): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    const message = { role: 'assistant', content: text }
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({ id: 'x', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] })
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}

t.test('a gateway runs by it, is switched in it, and check says what was read', async t => {
  const [one, two] = [await upstream(t, 'I am one'), await upstream(t, 'I am two')]
  const backends = { one: { type: 'custom', url: one }, two: { type: 'custom', url: two } }
  const here = place(t, '{ "backend": "one",   "port": "auto" }', { backends })
  const options = { cwd: here.path, env: { HOME: here.home } }
  t.match(await run(['check'], options), {
    code: 0,
    stdout: /Read in this order.*: \.llmrc\.json, ~\/\.llm-proxy\/config\.json\.[\s\S]*\* {2}→ one/
  })
  t.match(JSON.parse((await run(['check', '--json'], options)).stdout), { read: ['.llmrc.json', String] })
  const gateway = await start([], options)
  const ask = async () => {
    const body = JSON.stringify({ model: 'claude-x', messages: [{ role: 'user', content: 'Who?' }] })
    const headers = { 'content-type': 'application/json' }
    return (await fetch(`${gateway.url}/v1/chat/completions`, { method: 'POST', headers, body })).text()
  }
  t.match(await ask(), 'I am one')
  const switched = await run(['switch', 'two'], options)
  t.match(switched, { code: 0, stdout: /one → two \(\.llmrc\.json:1\)[\s\S]*in force: generation 2/ })
  t.equal(readFileSync(here.file, 'utf8'), '{ "backend": "two",   "port": "auto" }')
  t.match(await ask(), 'I am two')
  await run(['switch', 'one'], options)
  t.match(await run(['switch'], options), { code: 0, stdout: /✓ {2}one/ })
  const held = { cwd: here.path, env: { HOME: here.home, LLM_BACKEND_CONFIG: 'one' } }
  writeFileSync(here.file, '{ "port": "auto" }')
  t.match(await run(['switch', 'two'], held), { code: 1, stderr: /\$LLM_BACKEND_CONFIG says .*set that instead/ })
  t.match(await run(['setup'], options), { code: 1, stderr: /\.llmrc\.json is there already/ })
  gateway.child.kill('SIGTERM')
  t.equal((await gateway.ended).code, 0)
  writeFileSync(join(here.path, 'gateway.yaml'), 'model_list: [{ model_name: mine, provider: demo }]\n')
  const { stdout } = await run(['check'], options)
  t.match(stdout, /gateway\.yaml is in order/, 'a gateway.yaml wins over all of it')
  t.notMatch(stdout, 'llmrc')
})
