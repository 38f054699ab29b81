// What stands in deploy/ is held to the code: names, ports, paths, and what Prometheus itself says of its files.

import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { METRICS } from '../src/metrics/table.ts'
import { findProgram } from './support/prometheus.ts'

const run = promisify(execFile)
const build = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = join(build, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description: string
  readonly datasource: { readonly uid: string }
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[]
}

interface Board {
  readonly uid: string
  readonly title: string
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string }[] }
}

interface Alert {
  readonly alert: string
  readonly annotations: Readonly<Record<'runbook', string>>
}

interface Scenario {
  readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[]
}

const boards = readdirSync(join(root, 'deploy/grafana/dashboards')).map(
  name => JSON.parse(read(`deploy/grafana/dashboards/${name}`)) as Board
)
const { groups } = parse(read('deploy/prometheus/rules/alerts.yml')) as {
  readonly groups: readonly { readonly rules: readonly Alert[] }[]
}
const alerts = groups.flatMap(group => group.rules)

t.test('dashboards and docs/metrics.md are what the table of metrics makes them', async t => {
  const script = join(root, 'scripts/dashboards.mjs')
  const done = await run(process.execPath, [script, '--check', '--build', build]).catch((error: Error) => error)
  t.notOk(done instanceof Error, String(done instanceof Error ? done.message : ''))
})

t.test('a panel stands in its place, says what it is, and knows its variables', async t => {
  t.equal(new Set(boards.map(board => board.uid)).size, boards.length)
  for (const { title, panels, templating } of boards) {
    const taken = new Set<string>()
    const variables = new Set(templating.list.map(({ name }) => name))
    t.equal(new Set(panels.map(panel => panel.id)).size, panels.length, title)
    for (const { title: name, description, datasource, gridPos, targets } of panels) {
      const { x, y, w, h } = gridPos
      t.ok(x + w <= 24 && w >= 4 && h >= 4, `${title}: ${name} is wide enough for 1280 pixels`)
      for (let column = x; column < x + w; column++)
        for (let row = y; row < y + h; row++) {
          t.notOk(taken.has(`${column},${row}`), `${title}: ${name}`)
          taken.add(`${column},${row}`)
        }
      t.match(description, /\.$/, `${title}: ${name}`)
      t.equal(datasource.uid, `\${datasource}`)
      for (const { expr, legendFormat } of targets) {
        t.notMatch(expr, /(model|provider|target)=~?"[^$]/, `${name} names nobody`)
        t.ok(legendFormat.length > 0, name)
        for (const [, used = ''] of expr.matchAll(/\$(\w+)/g))
          t.ok(used.startsWith('__') || variables.has(used), `${title}: ${name} uses ${used}`)
      }
    }
  }
})

t.test('every metric is shown on some dashboard', async t => {
  const shown = boards.flatMap(board => board.panels.flatMap(panel => panel.targets.map(target => target.expr)))
  for (const name of Object.keys(METRICS))
    t.ok(
      shown.some(expression => new RegExp(`\\b${name}(_bucket|_sum|_count)?\\b`).test(expression)),
      name
    )
})

t.test('every alert has its runbook, and scenarios in which it fires and does not', async t => {
  const headings = new Set([...read('docs/runbooks.md').matchAll(/^## (\w+)$/gm)].map(([, heading]) => heading))
  const { tests } = parse(read('deploy/prometheus/tests/alerts.yml')) as { readonly tests: readonly Scenario[] }
  const told = tests.flatMap(scenario => scenario.alert_rule_test)
  for (const { alert, annotations } of alerts) {
    t.ok(headings.has(alert), `docs/runbooks.md has ${alert}`)
    t.equal(annotations.runbook, `docs/runbooks.md#${alert.toLowerCase()}`)
    t.ok(
      told.some(({ alertname, exp_alerts: fires }) => alertname === alert && fires !== undefined),
      `${alert} fires`
    )
    t.ok(
      told.some(({ alertname, exp_alerts: fires }) => alertname === alert && fires === undefined),
      `${alert} is quiet`
    )
  }
  t.equal(headings.size, alerts.length)
})

const promtool = findProgram('promtool')
if (promtool === undefined) t.comment('promtool is not installed here: rules and their scenarios were not run')

t.test(
  'promtool finds nothing wrong, and alerts do what their scenarios say',
  { skip: promtool === undefined },
  async t => {
    const tell = async (...words: string[]) => {
      const done = await run(promtool ?? '', words, { cwd: join(root, 'deploy/prometheus') }).catch(
        (error: Error) => error
      )
      t.notOk(done instanceof Error, `promtool ${words.join(' ')}: ${done instanceof Error ? done.message : ''}`)
    }
    await tell('check', 'config', 'prometheus.yml')
    await tell('check', 'rules', 'rules/recording.yml', 'rules/alerts.yml')
    await tell('test', 'rules', 'tests/alerts.yml')
  }
)
