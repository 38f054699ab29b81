// docs/hooks.md: its hooks are typed and run, its configurations load, and what it says of the shipped ones is so.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { checkOptions, hookLoader, readDefinition } from '../src/hooks/definition.ts'
import { knownHooks } from '../src/hooks/files.ts'
import type { PartialConfig } from './support/app.ts'
import { post, smallest } from './support/ask.ts'
import { type HookedGateway, hookedGateway } from './support/hooks.ts'
import { compile, run, temporaryFolder } from './support/process.ts'
import { demoUpstream } from './support/upstream.ts'

t.setTimeout(600_000)

const root = fileURLToPath(new URL('../../', import.meta.url))
const page = readFileSync(join(root, 'docs/hooks.md'), 'utf8')
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(match => match[1] ?? '')
const files: Record<string, string> = Object.fromEntries(
  blocks('ts').map(text => [/^\/\/ hooks\/(\S+)/.exec(text)?.[1] ?? '', text])
)

/** The configuration on the page that lists a hook, on an upstream of ours. */
function configOf(hook: string, url: string): PartialConfig {
  const text = blocks('yaml').find(block => block.includes(`- ${hook}:`)) ?? ''
  const { hooks, model_list: entries } = parse(text) as Required<PartialConfig>
  const own = { provider: 'custom' as const, api_base: `${url}/v1`, dialect: 'openai-chat' as const }
  return { hooks, model_list: entries.map(entry => ({ ...entry, ...own })) }
}

async function running(t: { teardown(done: () => unknown): void }, hook: string) {
  const upstream = await demoUpstream()
  const gateway: HookedGateway = await hookedGateway(files, configOf(hook, upstream.url))
  t.teardown(async () => [await gateway.close(), await upstream.close()])
  const [path, body] = smallest('openai-chat', 'demo')
  const ask = (more: object = {}, headers = {}) => post(gateway.url + path, { ...body, ...more }, headers)
  const sent = () => JSON.parse(upstream.requests.at(-1)?.body.toString() ?? '{}') as Record<string, unknown>
  return { gateway, ask, sent }
}

t.test('the hooks on the page are typed', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const cwd = folder.path
  folder.write('gateway.yaml', 'model_list: [{ model_name: demo, provider: demo }]\n')
  t.match(await run(['hooks', 'new', 'template'], { cwd }), { code: 0 })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, 'hooks', name), text)
  const config = join(cwd, 'hooks/tsconfig.json')
  const settings = JSON.parse(readFileSync(config, 'utf8')) as { compilerOptions: Record<string, unknown> }
  // Node's own modules are typed by a package that people install beside their hooks.
  const typed = { ...settings.compilerOptions, types: ['node'], typeRoots: [join(root, 'node_modules/@types')] }
  writeFileSync(config, JSON.stringify({ ...settings, compilerOptions: typed }))
  const check = () => compile(['-p', config])
  t.same(check(), { ok: true, told: '' })
  writeFileSync(
    join(cwd, 'hooks/wrong.ts'),
    (files['limit-tokens.ts'] ?? '').replace('maxTokens: max', `maxTokens: 'x'`)
  )
  t.match(check().told, /wrong\.ts\(\d+,\d+\): error TS2322/)
})

t.test('limit-tokens, and what its test prints', async t => {
  const { ask, sent } = await running(t, 'limit-tokens')
  await ask({ max_tokens: 90_000 })
  t.equal(sent()['max_tokens'], 4096)
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  mkdirSync(join(folder.path, 'hooks'))
  writeFileSync(join(folder.path, 'hooks/limit-tokens.ts'), files['limit-tokens.ts'] ?? '')
  folder.write('gateway.yaml', 'model_list: [{ model_name: demo, provider: demo }]\n')
  folder.write('body.json', JSON.stringify({ ...smallest('openai-chat', 'demo')[1], max_tokens: 90_000 }))
  const [, said = '', printed = ''] = /^\$ sluice (.*)\n([\s\S]*?)^```$/m.exec(page) ?? []
  const { stdout } = await run(said.split(' '), { cwd: folder.path })
  t.equal(stdout, printed)
})

t.test('team-names, company-prompt and repository-cost do what they are there for', async t => {
  const names = await running(t, 'team-names')
  await names.ask({ model: 'fast' })
  t.equal(names.sent()['model'], 'demo')
  const prompt = await running(t, 'company-prompt')
  await prompt.ask()
  t.match(prompt.sent()['messages'], [{ role: 'system', content: 'Answer in English. Never name customers.' }])
  const cost = await running(t, 'repository-cost')
  await cost.ask({}, { 'x-repository': 'acme/shop' })
  const file = join(cost.gateway.folder, 'costs.jsonl')
  const written = () => (existsSync(file) ? readFileSync(file, 'utf8') : '')
  for (let left = 100; left > 0 && !written().endsWith('\n'); left--) await wait(20)
  const line = JSON.parse(written()) as { cost: number }
  t.match(line, { repository: 'acme/shop', model: 'demo' })
  t.ok(line.cost > 0 && line.cost < 0.01, String(line.cost))
})

t.test('every configuration on the page loads, and names what is there', async t => {
  for (const block of blocks('yaml')) {
    const folder = temporaryFolder()
    t.teardown(() => folder.remove())
    mkdirSync(join(folder.path, 'hooks'))
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, 'hooks', name), text)
    folder.write('gateway.yaml', block)
    t.match(await run(['check'], { cwd: folder.path }), { code: 0 }, block)
  }
})

t.test('the examples of shipped hooks fit their options, and each says what it does', async t => {
  const jiti = hookLoader()
  const shipped = knownHooks('/nowhere/gateway.yaml')
  t.equal(shipped.length, 12)
  for (const { file, name } of shipped) {
    const definition = await readDefinition(jiti, file)
    if (typeof definition === 'string') {
      t.fail(definition)
      continue
    }
    t.equal(definition.name, name)
    t.match(definition.description, /\w.*\.$/)
    const examples = definition.options['examples'] as unknown[]
    t.ok(examples.length > 0, name)
    for (const example of examples) t.match(checkOptions(definition, example), { options: {} }, name)
    const text = readFileSync(file, 'utf8')
    const imports = [...text.matchAll(/from '([^']+)'/g)].map(match => match[1] ?? '')
    t.ok(
      imports.every(path => path === 'sluice/hook' || path.startsWith('node:') || path.startsWith('./lib/')),
      `${name} knows no more than the public interface`
    )
  }
})
