// A real Prometheus scrapes a real gateway, and is asked what every panel of every board and every rule would ask it.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { get, post, smallest } from './support/ask.ts'
import { closedPort } from './support/port.ts'
import { start, temporaryFolder } from './support/process.ts'
import { findProgram, type Prometheus, startPrometheus } from './support/prometheus.ts'
import { postgresService } from './support/services.ts'

const deploy = join(dirname(fileURLToPath(import.meta.url)), '../../deploy')

interface Board {
  readonly title: string
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
}

interface Rules {
  readonly groups: readonly { readonly rules: readonly { record?: string; alert?: string; expr: string }[] }[]
}

const MASTER = 'sk-of-a-test'

const configuration = (port: number) => `
auth: { master_key: ${MASTER} }
store: { database_url: "\${DATABASE_URL:-}" }
# No collector: what it is sent is refused, and dropped.
server: { port: ${port}, tracing: { endpoint: "http://127.0.0.1:${port}/none" } }
routing:
  retries: 0
  cooldown: { failures: 3, within: 30s, for: 60s }
  fallbacks: { lame: [fine] }
  queue: { size: 20, wait: 20s }
model_list:
  - { model_name: fine, provider: demo }
  - { model_name: heavy, provider: demo, model: heavy }
  - { model_name: sick, provider: demo, model: sick, demo: { fail: "500" } }
  - { model_name: lame, provider: demo, model: lame, demo: { fail: "500" } }
  - { model_name: torn, provider: demo, model: torn, demo: { fail: cut } }
  - { model_name: slow, provider: demo, model: slow, max_parallel: 1, demo: { first_byte: 400ms } }
  - { model_name: thinking, provider: demo, model: thinking, quirks: [think-tags], demo: { text: "<think>so</think>yes" } }
  - { model_name: paid, provider: demo, model: paid, max_tokens: 30, price: { output: 10000 } }
  - { model_name: cached, provider: demo, model: cached }
  - { model_name: other-tongue, provider: custom, dialect: openai-chat, api_base: "http://127.0.0.1:${port}/v1", api_key: ${MASTER}, model: fine }
hooks:
  - cache: {}
    when: { models: [cached] }
  - ./counting.mjs: {}
    when: { models: [fine] }
  - ./broken.mjs: {}
    when: { models: [lame] }
    onError: skip
  - ./busy.mjs: {}
    when: { models: [heavy] }
`

const HOOKS = {
  counting: `preCall: () => services.metrics.count('seen'), onDone: () => undefined`,
  broken: `preCall: () => { throw new Error('it is meant to') }`,
  busy: `preCall: () => { for (const until = performance.now() + 450; performance.now() < until;); }`
}

async function ask(url: string, dialect: string, model: string, stream: boolean, key = MASTER): Promise<void> {
  const [path, body] = smallest(dialect, model, stream)
  // A stream that is cut is what some of this is for.
  const strange = dialect === 'anthropic' && { context_management: { edits: [] } }
  await post(url + path, { ...body, ...strange }, { authorization: `Bearer ${key}` }).catch(() => undefined)
}

/** A second or so of what goes well. */
async function quiet(url: string): Promise<void> {
  for (const stream of [true, false]) {
    await ask(url, 'anthropic', 'fine', stream)
    await ask(url, 'openai-chat', 'fine', stream)
    await ask(url, 'openai-chat', 'cached', false)
  }
  await wait(500)
}

/** A second or so of what does not. */
async function trouble(url: string): Promise<void> {
  const many = (times: number, model: string, stream = false) =>
    Array.from({ length: times }, () => ask(url, 'anthropic', model, stream))
  await Promise.all([
    ...many(20, 'sick'),
    ...many(2, 'lame'),
    ...many(4, 'torn', true),
    ...many(1, 'heavy'),
    ...many(2, 'thinking', true),
    ...many(2, 'other-tongue', true)
  ])
  await quiet(url)
}

/** A key of a team that has 64 cents. The database of the gateway's own has to be made first. */
async function keyOfTeam(url: string): Promise<string> {
  const manage = (path: string, body: object) => post(url + path, body, { authorization: `Bearer ${MASTER}` })
  const team = { team_id: 'blue', max_budget: 0.64, budget_duration: '30d' }
  await until(async () => (await manage('/team/new', team)).status === 200, 40_000)
  const { json } = await manage('/key/generate', { team_id: 'blue' })
  const key = json?.['key']
  if (typeof key !== 'string') throw new Error('no key was made')
  return key
}

async function until(condition: () => Promise<boolean>, milliseconds: number): Promise<void> {
  const late = performance.now() + milliseconds
  while (!(await condition()) && performance.now() < late) await wait(250)
}

function filledIn(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '20s')
    .replaceAll('$__range', '1m')
    .replace(/\$(model|provider|target)\b/g, '.*')
}

async function hasData(prometheus: Prometheus, expression: string): Promise<boolean> {
  const samples = await prometheus.query(filledIn(expression))
  return samples.some(({ value }) => Number.isFinite(value))
}

/** Every expression that a person or a rule will ask, by where it stands. An alert's counts without what it is compared with. */
function expressions(): Map<string, string> {
  const all = new Map<string, string>()
  for (const name of readdirSync(join(deploy, 'grafana/dashboards'))) {
    const { title, panels, annotations } = JSON.parse(
      readFileSync(join(deploy, 'grafana/dashboards', name), 'utf8')
    ) as Board
    for (const panel of panels)
      panel.targets.forEach((target, index) => {
        all.set(`${title}: ${panel.title} ${index}`, target.expr)
      })
    for (const { expr } of annotations.list) all.set(`${title}: annotation`, expr)
  }
  for (const name of ['recording.yml', 'alerts.yml']) {
    const { groups } = parse(readFileSync(join(deploy, 'prometheus/rules', name), 'utf8')) as Rules
    for (const { record, alert, expr } of groups.flatMap(group => group.rules)) {
      all.set(`the rule ${record ?? alert}`, alert === undefined ? expr : expr.replace(/ (<|>|==) [\d.]+/g, ''))
      if (record !== undefined) all.set(`what ${record} recorded`, record)
    }
  }
  return all
}

/** What `trouble` is to be told by. First tokens of 20 s would take this test's time. */
const TROUBLES = [
  'SluiceBudgetLow',
  'SluiceConfigRejected',
  'SluiceErrors',
  'SluiceEventLoopLag',
  'SluiceHookErrors',
  'SluiceLineLong',
  'SluiceNobodyAnswers',
  'SluiceStreamsBreak',
  'SluiceTargetCooling'
]

t.setTimeout(600_000)
const program = findProgram('prometheus')
if (program === undefined) t.comment('Prometheus is not installed here: no dashboard was asked anything')

t.test(
  'every panel and rule has data, and alerts fire when they should',
  { skip: program === undefined, timeout: 120_000 },
  async t => {
    const folder = temporaryFolder()
    const port = await closedPort()
    folder.write('gateway.yaml', configuration(port))
    for (const [name, phases] of Object.entries(HOOKS))
      folder.write(`${name}.mjs`, `export default { name: '${name}', setup: (_, services) => ({ ${phases} }) }\n`)
    // Else it makes a database of its own, which takes its time.
    const databases = await postgresService()
    const env = databases === undefined ? {} : { DATABASE_URL: await databases.createDatabase() }
    const gateway = await start(['--port', String(port)], { cwd: folder.path, env })
    const key = await keyOfTeam(gateway.url)
    // The lag until here is not what is asked about.
    await get(`${gateway.url}/metrics`)
    const prometheus = await startPrometheus(program ?? '', join(deploy, 'prometheus'), `127.0.0.1:${port}`)
    t.teardown(async () => {
      gateway.child.kill('SIGKILL')
      await prometheus.stop()
      await gateway.ended
      await databases?.remove()
      folder.remove()
    })

    for (let times = 0; times < 3; times++) await quiet(gateway.url)
    const isUp = async () => (await prometheus.query('up{job="sluice"}'))[0]?.value === 1
    await until(isUp, 10_000)
    t.ok(await isUp(), 'it scrapes')
    t.same(await prometheus.fired(), [], 'a quiet gateway alarms nobody')

    folder.write('gateway.yaml', `${configuration(port)}\naliases: { another: fine }\n`)
    await gateway.until(/configuration reloaded: generation 2/)
    // Thirty cents each: the third is more than is left.
    for (let times = 0; times < 3; times++) await ask(gateway.url, 'openai-chat', 'paid', false, key)
    for (let times = 0; times < 3; times++) await trouble(gateway.url)
    folder.write('gateway.yaml', `${configuration(port)}\nnonsense: true\n`)
    const line = Array.from({ length: 10 }, () => ask(gateway.url, 'openai-chat', 'slow', true))
    await trouble(gateway.url)
    await Promise.all(line)
    const all = [...expressions()]
    let missing = all
    let fired: string[] = []
    await until(async () => {
      const has = await Promise.all(missing.map(([, expression]) => hasData(prometheus, expression)))
      missing = missing.filter((_, index) => has[index] === false)
      fired = await prometheus.fired()
      return missing.length === 0 && fired.length >= TROUBLES.length
    }, 10_000)
    t.ok(all.length > 60, `${all.length} expressions`)
    t.same(missing, [], 'all have data')
    t.same(fired, TROUBLES)

    gateway.child.kill('SIGKILL')
    await gateway.ended
    await until(async () => (await prometheus.fired()).includes('SluiceDown'), 5000)
    t.ok((await prometheus.fired()).includes('SluiceDown'))
  }
)
