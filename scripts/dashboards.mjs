// Writes Grafana's dashboards and docs/metrics.md from the table of metrics and from scripts/boards.mjs.
// `--check` writes nothing and ends with 1 when a file on disk differs; `--build DIR` says where the build lies.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parse } from 'yaml'
import { BOARDS, PROCESS_METRICS } from './boards.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const said = process.argv.indexOf('--build')
const build = resolve(root, said < 0 ? 'dist' : process.argv[said + 1])
const { METRICS } = await import(pathToFileURL(join(build, 'src/metrics/table.js')).href)
const known = { ...PROCESS_METRICS, ...METRICS }
const labels = new Set(Object.values(known).flatMap(row => row.labels))

const RULES = ['deploy/prometheus/rules/recording.yml', 'deploy/prometheus/rules/alerts.yml']
const rules = RULES.flatMap(path => parse(readFileSync(join(root, path), 'utf8')).groups.flatMap(group => group.rules))
const recorded = new Set(rules.flatMap(rule => rule.record ?? []))

/** The table's row of a series: a histogram has three, under names of their own. */
function rowNamed(name) {
  if (known[name] !== undefined) return known[name].type === 'histogram' ? undefined : name
  const family = name.replace(/_(bucket|sum|count)$/, '')
  return known[family]?.type === 'histogram' ? family : undefined
}

/** The rows an expression reads; a name or a label that is in no row ends this script. */
function rowsOf(expression, where) {
  const rows = new Set()
  for (const [, name] of expression.matchAll(/(?<![\w:])((?:gateway|gen_ai|nodejs|process)_\w+)/g)) {
    if (labels.has(name)) continue
    const row = rowNamed(name)
    if (row === undefined) throw new Error(`${where}: no metric is called ${name}`)
    rows.add(row)
  }
  for (const [, name] of expression.matchAll(/(?<!\w)(sluice:[\w:]+)/g))
    if (!recorded.has(name)) throw new Error(`${where}: nothing records ${name}`)
  const own = new Set([...[...rows].flatMap(row => known[row].labels), 'le'])
  const used = [
    ...[...expression.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(match => match[1]),
    ...[...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(match => match[1].split(',').map(label => label.trim()))
  ]
  // Recorded series have the labels that their rule sums by; those are looked at where they are recorded.
  const recordedToo = /sluice:/.test(expression)
  for (const label of used)
    if (!own.has(label) && !(recordedToo && labels.has(label)) && !['job', 'instance'].includes(label))
      throw new Error(`${where}: ${[...rows].join(', ')} has no label ${label}`)
  return rows
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana puts the variable's value in here.
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' }
const VARIABLES = {
  model: ['gateway_requests_total', 'model'],
  provider: ['gateway_requests_total', 'provider'],
  target: ['gateway_upstream_attempts_total', 'target']
}

function variablesOf(names) {
  const source = {
    name: 'datasource',
    label: 'Data source',
    type: 'datasource',
    query: 'prometheus',
    current: {},
    hide: 2
  }
  return [source, ...names.map(variable)]
}

function variable(name) {
  const [metric, label] = VARIABLES[name]
  const query = `label_values(${metric}, ${label})`
  return {
    name,
    label: name[0].toUpperCase() + name.slice(1),
    type: 'query',
    datasource: DATASOURCE,
    definition: query,
    query: { query, refId: name },
    refresh: 2,
    sort: 1,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' }
  }
}

const HEIGHTS = { stat: 4, timeseries: 8, table: 8 }

function defaultsOf({ kind, unit, thresholds, texts, stacked }) {
  const steps = (thresholds ?? [[null, kind === 'stat' ? 'blue' : 'green']]).map(([value, color]) => ({ value, color }))
  const mappings =
    texts === undefined
      ? []
      : [
          {
            type: 'value',
            options: Object.fromEntries(Object.entries(texts).map(([value, text]) => [value, { text }]))
          }
        ]
  const custom =
    kind === 'timeseries'
      ? {
          lineWidth: 1,
          fillOpacity: stacked ? 30 : 8,
          showPoints: 'never',
          spanNulls: false,
          stacking: { mode: stacked ? 'normal' : 'none', group: 'A' }
        }
      : {}
  return { unit, min: 0, mappings, thresholds: { mode: 'absolute', steps }, custom }
}

function optionsOf({ kind, targets }) {
  if (kind === 'stat')
    return {
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      colorMode: 'value',
      graphMode: 'area',
      textMode: 'auto'
    }
  if (kind === 'table') return { showHeader: true, sortBy: [{ displayName: 'Value', desc: true }] }
  return {
    legend: { showLegend: targets.some(({ legend }) => legend !== ''), displayMode: 'list', placement: 'bottom' },
    tooltip: { mode: 'multi', sort: 'desc' }
  }
}

function panelOf(panel, id, gridPos) {
  const { kind, title, description, targets } = panel
  const instant = kind === 'table'
  return {
    id,
    type: kind,
    title,
    description,
    datasource: DATASOURCE,
    gridPos,
    targets: targets.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend === '' ? title : legend,
      ...(instant ? { instant: true, range: false, format: 'table' } : { range: true })
    })),
    fieldConfig: { defaults: defaultsOf(panel), overrides: [] },
    options: optionsOf(panel),
    ...(instant && { transformations: [{ id: 'organize', options: { excludeByName: { Time: true } } }] })
  }
}

function boardOf({ uid, title, variables, rows }) {
  const panels = []
  let y = 0
  for (const row of rows) {
    const w = Math.floor(24 / row.length)
    const h = Math.max(...row.map(panel => HEIGHTS[panel.kind]))
    for (const [index, panel] of row.entries()) {
      for (const { expr } of panel.targets) rowsOf(expr, `${title}, ${panel.title}`)
      panels.push(panelOf(panel, panels.length + 1, { x: index * w, y, w, h }))
    }
    y += h
  }
  return {
    uid,
    title,
    tags: ['sluice'],
    schemaVersion: 41,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '10s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    links: [
      {
        type: 'dashboards',
        title: 'Sluice',
        tags: ['sluice'],
        asDropdown: false,
        includeVars: true,
        keepTime: true,
        targetBlank: false
      }
    ],
    templating: { list: variablesOf(variables) },
    annotations: {
      list: [
        {
          name: 'Reloads',
          datasource: DATASOURCE,
          enable: true,
          iconColor: 'blue',
          expr: 'changes(gateway_config_generation[1m]) > 0',
          titleFormat: 'A new configuration'
        }
      ]
    },
    panels
  }
}

const cell = text => String(text).replaceAll('|', '\\|')
const code = text => `\`${cell(text)}\``
const namesOf = list => (list.length === 0 ? '' : list.map(code).join(', '))

function shownAt() {
  const shown = new Map(Object.keys(known).map(name => [name, new Set()]))
  for (const board of BOARDS)
    for (const panel of board.rows.flat())
      for (const { expr } of panel.targets)
        for (const row of rowsOf(expr, panel.title)) shown.get(row).add(board.title.replace('Sluice: ', ''))
  return shown
}

function renderDocs() {
  const shown = shownAt()
  const row = ([name, { type, labels: own, help }]) =>
    `| ${code(name)} | ${type} | ${namesOf(own)} | ${cell(help)} | ${[...shown.get(name)].join(', ')} |`
  const head = ['| metric | kind | labels | what it is | dashboard |', '| --- | --- | --- | --- | --- |']
  return [
    '<!-- Generated from src/metrics/table.ts and scripts/boards.mjs by scripts/dashboards.mjs. Do not edit. -->',
    '',
    '# Metrics',
    '',
    '`GET /metrics` tells them in Prometheus’ text format, to anybody who can connect, unless `server.metrics` asks for a token or gives them a port of their own. They hold no prompt, no key and no user.',
    'A label’s values are bounded: models are the names in the configuration (`other` for a name that leads nowhere), providers,',
    'targets and status classes; of the names that clients and hooks choose, 300 are told apart and the rest is `other`.',
    'A series is there once something was counted. Names that begin with `gen_ai_` are those of OpenTelemetry’s conventions.',
    '',
    ...head,
    ...Object.entries(METRICS).map(row),
    '',
    '## The process',
    '',
    'Node’s own, of which these are used here; `/metrics` has more of them.',
    '',
    ...head,
    ...Object.entries(PROCESS_METRICS).map(row),
    '',
    '## Buckets',
    '',
    ...Object.entries(METRICS).flatMap(([name, { buckets }]) =>
      buckets === undefined ? [] : [`- ${code(name)}: ${buckets.join(', ')}`]
    ),
    '',
    '## Alerts',
    '',
    'From `deploy/prometheus/rules`; what to do about each stands in the [runbooks](runbooks.md).',
    '',
    '| alert | severity | fires when |',
    '| --- | --- | --- |',
    ...rules.flatMap(({ alert, labels: own, annotations }) =>
      alert === undefined
        ? []
        : [`| [${alert}](runbooks.md#${alert.toLowerCase()}) | ${own.severity} | ${cell(annotations.when)} |`]
    ),
    ''
  ].join('\n')
}

for (const rule of rules) rowsOf(rule.expr, rule.alert ?? rule.record)
const files = new Map([['docs/metrics.md', renderDocs()]])
for (const board of BOARDS)
  files.set(
    `deploy/grafana/dashboards/${board.uid.replace('sluice-', '')}.json`,
    `${JSON.stringify(boardOf(board), null, 2)}\n`
  )

for (const [path, text] of files) {
  const file = join(root, path)
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  if (process.argv.includes('--check')) {
    console.error(`${path} is not what the table of metrics says: run \`node scripts/dashboards.mjs\``)
    process.exitCode = 1
  } else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}
