// Draws what the dashboards show into docs/images: node scripts/draw-dashboards.mjs [--build DIR] [--seconds N]
// A real Prometheus scrapes a real gateway under traffic for two minutes; then each panel's own queries are asked, and a page with the
// answers is photographed in Chromium. Grafana draws the same queries; it is not needed here. Wants prometheus and chromium in the PATH.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { drawBoard } from './draw-board.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: { build: { type: 'string', default: 'dist' }, seconds: { type: 'string', default: '120' } }
})
const support = name => import(pathToFileURL(join(resolve(root, values.build), 'test/support', `${name}.js`)).href)
const { start, temporaryFolder } = await support('process')
const { post, smallest } = await support('ask')
const { startPrometheus, findProgram } = await support('prometheus')
const { postgresService } = await support('services')
const { closedPort } = await support('port')
const { startCollector } = await support('collector')

const MASTER = 'sk-of-a-picture'
const SECONDS = Number(values.seconds)
const STEP = 2

const configuration = (url, collector) => `
server: { port: ${new URL(url).port}, tracing: { endpoint: "${collector}" } }
auth: { master_key: ${MASTER} }
store: { database_url: "\${DATABASE_URL:-}" }
routing:
  retries: 1
  cooldown: { failures: 3, within: 10s, for: 15s }
  fallbacks: { claude-opus: [claude-sonnet] }
  queue: { size: 20, wait: 20s }
model_list:
  - { model_name: claude-sonnet, provider: demo, model: sonnet, price: { input: 3, output: 15 }, demo: { first_byte: 300ms, pace: 20ms } }
  - { model_name: gpt-5, provider: demo, model: gpt-5, price: { input: 1.25, output: 10 }, demo: { first_byte: 200ms, pace: 15ms } }
  - { model_name: claude-opus, provider: demo, model: opus, demo: { fail: "503" } }
  - { model_name: far-away, provider: custom, dialect: openai-chat, api_base: "${url}/v1", api_key: ${MASTER}, model: gpt-5 }
  - { model_name: qwen-coder, provider: demo, model: qwen-coder, max_parallel: 1, demo: { first_byte: 500ms, pace: 10ms } }
  - { model_name: qwen-thinking, provider: demo, model: qwen-thinking, quirks: [think-tags], demo: { text: "<think>so it is</think>yes, it is" } }
  - { model_name: flaky, provider: demo, model: flaky, demo: { fail: "500" } }
  - { model_name: torn, provider: demo, model: torn, demo: { fail: cut } }
hooks:
  - cache: {}
    when: { models: [claude-sonnet] }
  - ./counting.mjs
  - ./moody.mjs: {}
    when: { models: [qwen-coder] }
    onError: skip
`
const HOOKS = {
  counting: `preCall: () => services.metrics.count('seen'), onDone: () => undefined`,
  moody: `preCall: () => { if (Math.random() < 0.2) throw new Error('it is meant to') }`
}
/** Who asks for what, how often a second. */
const CLIENTS = [
  ['anthropic', 'claude-sonnet', true, 2],
  ['openai-chat', 'gpt-5', true, 2],
  ['openai-chat', 'qwen-coder', true, 1.2],
  ['anthropic', 'qwen-thinking', true, 0.5],
  ['gemini', 'gpt-5', false, 0.5],
  ['openai-chat', 'flaky', false, 0.15],
  ['openai-chat', 'torn', true, 0.1],
  ['anthropic', 'claude-opus', true, 0.15],
  ['anthropic', 'far-away', true, 0.3]
]

async function ask(url, [dialect, model, stream], key) {
  const [path, body] = smallest(dialect, model, stream)
  const usage = dialect === 'openai-chat' && stream ? { stream_options: { include_usage: true } } : {}
  // One in three asks what somebody asked before.
  const words = dialect === 'anthropic' && Math.random() < 0.7 ? { system: `be brief, ${Math.random()}` } : {}
  const strange = dialect === 'anthropic' ? { context_management: { edits: [] } } : {}
  await post(url + path, { ...body, ...usage, ...words, ...strange }, { authorization: `Bearer ${key}` }).catch(
    () => undefined
  )
}

/** More and less, as on a day. */
async function traffic(url, key) {
  const began = performance.now()
  const passed = () => (performance.now() - began) / 1000
  const under = new Set()
  while (passed() < SECONDS) {
    const tide = 1 + 0.7 * Math.sin((passed() / SECONDS) * 4 * Math.PI)
    for (const client of CLIENTS)
      if (Math.random() < (client[3] * tide) / 10) {
        const asked = ask(url, client, Math.random() < 0.3 ? key : MASTER).finally(() => under.delete(asked))
        under.add(asked)
      }
    await wait(100)
  }
  return under
}

async function keyOfTeam(url) {
  const manage = (path, body) => post(url + path, body, { authorization: `Bearer ${MASTER}` })
  const team = { team_id: 'search', max_budget: 0.02, budget_duration: '30d' }
  while ((await manage('/team/new', team)).status !== 200) await wait(250)
  return (await manage('/key/generate', { team_id: 'search', rpm_limit: 60 })).json.key
}

const program = findProgram('prometheus')
const browser = ['chromium', 'chromium-browser', 'google-chrome'].map(findProgram).find(found => found !== undefined)
if (program === undefined || browser === undefined) throw new Error('prometheus and chromium are needed')
const folder = temporaryFolder()
const port = await closedPort()
const collector = await startCollector()
const file = extra =>
  folder.write('gateway.yaml', `${configuration(`http://127.0.0.1:${port}`, collector.url)}${extra}`)
for (const [name, phases] of Object.entries(HOOKS))
  folder.write(`${name}.mjs`, `export default { name: '${name}', setup: (_, services) => ({ ${phases} }) }\n`)
file('')
const databases = await postgresService()
const env = databases === undefined ? {} : { DATABASE_URL: await databases.createDatabase() }
const gateway = await start(['--port', String(port)], { cwd: folder.path, env })
const key = await keyOfTeam(gateway.url)
const prometheus = await startPrometheus(program, join(root, 'deploy/prometheus'), `127.0.0.1:${port}`)
console.log(`traffic for ${SECONDS} s`)
const reloads = [0.4, 0.7].map(async share => {
  await wait(share * SECONDS * 1000)
  file(`aliases: { at-${share * 10}: gpt-5 }\n`)
})
const [under] = await Promise.all([traffic(gateway.url, key), ...reloads])

const filledIn = expression =>
  expression
    .replaceAll('$__rate_interval', '15s')
    .replaceAll('$__range', `${SECONDS}s`)
    .replace(/\$(model|provider|target)\b/g, '.*')
const images = join(root, 'docs/images')
mkdirSync(images, { recursive: true })

async function answered(name) {
  const board = JSON.parse(readFileSync(join(root, 'deploy/grafana/dashboards', name), 'utf8'))
  const panels = await Promise.all(
    board.panels.map(async panel => ({
      ...panel,
      answers: await Promise.all(
        panel.targets.map(async ({ expr, legendFormat }) => ({
          legend: legendFormat,
          series:
            panel.type === 'table'
              ? await prometheus.query(filledIn(expr))
              : await prometheus.range(filledIn(expr), SECONDS, STEP)
        }))
      )
    }))
  )
  return { name, board, panels }
}

/** All at the same time: pictures take seconds. */
const boards = await Promise.all(readdirSync(join(root, 'deploy/grafana/dashboards')).map(answered))
for (const { name, board, panels } of boards) {
  const page = folder.write('page.html', drawBoard({ ...board, panels }))
  const height = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * 34 + 90
  const image = join(images, name.replace('.json', '.png'))
  const shot = spawnSync(
    browser,
    [
      '--headless',
      '--no-sandbox',
      '--hide-scrollbars',
      '--disable-gpu',
      `--window-size=1280,${height}`,
      `--screenshot=${image}`,
      pathToFileURL(page).href
    ],
    { encoding: 'utf8', timeout: 60_000 }
  )
  if (shot.status !== 0) throw new Error(shot.stderr)
  console.log(`docs/images/${name.replace('.json', '.png')}`)
}
await Promise.all(under)
gateway.child.kill('SIGKILL')
await collector.close()
await prometheus.stop()
await databases?.remove()
folder.remove()
