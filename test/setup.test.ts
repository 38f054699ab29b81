// `sluice setup`: what it writes is a configuration without a mistake, holds no key, and takes nobody's place.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Finding } from '../src/cli/detect.ts'
import { offline } from '../src/cli/offline.ts'
import { starter } from '../src/cli/starter.ts'
import { loadConfig } from '../src/config/load.ts'
import { PRESETS, PROVIDER_NAMES, type ProviderName } from '../src/providers/presets.ts'
import { type Folder, run, temporaryFolder } from './support/process.ts'

function folder(t: Test): Folder {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  return made
}

const key = (provider: ProviderName, variable: string): Finding => ({ kind: 'key', provider, variable })
const server = (provider: ProviderName, port: number, ...models: string[]): Finding => ({
  kind: 'server',
  provider,
  url: `http://127.0.0.1:${port}`,
  models
})

/** The configuration that a starter is, with every variable set. */
function load(t: Test, findings: readonly Finding[]) {
  const text = starter(findings)
  const file = folder(t).write('gateway.yaml', text)
  const variables = [...text.matchAll(/\$\{([A-Z_]+)\}/g)].map(([, name = '']) => [name, `value-of-${name}`])
  const result = loadConfig(file, { env: Object.fromEntries(variables), known: { providers: PROVIDER_NAMES } })
  if (!result.ok) throw new Error(`${JSON.stringify(result.problems)}\n${text}`)
  t.same(result.loaded.problems, [], 'not even a warning')
  return { config: result.loaded.config, text }
}

t.setTimeout(600_000)

t.test('the starter is in order whatever was found', async t => {
  const keys = PROVIDER_NAMES.flatMap(name => {
    const preset = Object.entries(PRESETS).find(([provider]) => provider === name)?.[1]
    return preset !== undefined && 'keyVariable' in preset ? [key(name as ProviderName, preset.keyVariable)] : []
  })
  t.ok(keys.length > 10)
  const servers = [
    server('ollama', 11434, 'nomic-embed-text', 'llama3', 'qwen2.5-coder:32b'),
    server('self-hosted', 8000, 'a'),
    server('self-hosted', 30000, 'b'),
    server('lm-studio', 1234)
  ]
  const sets: Finding[][] = [[], [{ kind: 'claude' }], keys, servers, [...servers, ...keys], servers.slice(3)]
  for (const one of [...keys, ...servers]) sets.push([one])
  for (const findings of sets) load(t, findings)
})

t.test('servers become backends, and Claude Code’s names go to a model that can talk', async t => {
  const local = load(t, [
    server('lm-studio', 1234),
    server('ollama', 11434, 'nomic-embed-text', 'llama3', 'qwen2.5-coder:32b'),
    server('self-hosted', 8000, 'a'),
    server('self-hosted', 30000, 'b')
  ]).config
  t.same(Object.keys(local.backends), ['lm-studio', 'ollama', 'self-hosted', 'self-hosted-30000'])
  t.equal(local.active_backend, 'ollama', 'the first that has a model')
  t.match(local.model_list, [{ model_name: 'claude-*', backend: 'active', model: 'qwen2.5-coder:32b' }])
  const both = load(t, [server('ollama', 11434, 'llama3'), key('anthropic', 'ANTHROPIC_API_KEY')])
  t.match(both.config.model_list, [
    { model_name: 'local', backend: 'active', model: 'llama3' },
    { model_name: 'claude-*', provider: 'anthropic', api_key: 'value-of-ANTHROPIC_API_KEY' }
  ])
  t.match(both.text, `    api_key: \${ANTHROPIC_API_KEY}\n`)
  t.match(load(t, [key('groq', 'GROQ_API_KEY')]).config.model_list, [{ model_name: 'groq/*', model: '*' }])
  t.match(load(t, []).config.model_list, [{ model_name: 'demo', provider: 'demo' }])
})

t.test('what a server calls its models is a name and nothing else', async t => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference is what must not be read there.
  for (const name of ['${HOME}', '"quoted"', 'a: b # c', 'two\nlines: x', '*', '-', "it's", '\u001b[31m', '{}'])
    t.match(load(t, [server('ollama', 11434, name)]).config.model_list, [{ model: name }], JSON.stringify(name))
})

t.test('it is written once, for its owner alone, and holds no key', async t => {
  const { path } = folder(t)
  const options = { cwd: path, env: { OPENAI_API_KEY: 'sk-not-to-be-seen-0001' } }
  const shown = await run(['setup', '--print'], options)
  t.equal(shown.code, 0)
  t.throws(() => statSync(join(path, 'gateway.yaml')), 'printing writes nothing')
  const { code, stdout } = await run(['setup'], options)
  t.equal(code, 0, stdout)
  t.match(stdout, /OPENAI_API_KEY is set[\s\S]*serves {2}.*gpt-\*[\s\S]*Next: sluice start/)
  const file = join(path, 'gateway.yaml')
  const text = readFileSync(file, 'utf8')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.equal(text, shown.stdout, 'what was printed')
  t.match(text, `api_key: \${OPENAI_API_KEY}`)
  t.notMatch(text + stdout, 'sk-not-to-be-seen-0001')
  t.match(await run(['check'], options), { code: 0, stdout: /gpt-\* {2}→ openai/ })
  t.match(await run(['setup'], options), { code: 1, stderr: /gateway\.yaml is there already and stays/ })
  t.equal(readFileSync(file, 'utf8'), text)
  t.match(await run(['setup', '--json', '--workspace', 'nowhere'], options), { code: 1, stdout: /does not exist/ })
})

t.test('a file of LiteLLM’s is not put out of force by a new one beside it', async t => {
  const { path, write } = folder(t)
  write('config.yaml', 'model_list: []\n')
  t.match(await run(['setup'], { cwd: path }), { code: 1, stderr: /config\.yaml is there already/ })
  t.throws(() => statSync(join(path, 'gateway.yaml')))
  const below = folder(t)
  const json = JSON.parse((await run(['setup', '--json', '--workspace', below.path], { cwd: path })).stdout)
  t.match(json, { ok: true, file: join(below.path, 'gateway.yaml'), models: Array })
  t.ok('loaded' in (await offline(json.file)))
})
