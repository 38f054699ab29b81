// A dashboard with its answers as one page of HTML, for pictures.

const COLORS = [
  '#73bf69',
  '#f2cc0c',
  '#8ab8ff',
  '#ff780a',
  '#f2495c',
  '#5794f2',
  '#b877d9',
  '#fade2a',
  '#37872d',
  '#c4162a'
]
const UNIT = 1280 / 24
const ROW = 34

const STYLE = `
  body { margin: 0; background: #111217; color: #ccccdc; font: 12px/1.3 Inter, "DejaVu Sans", sans-serif; width: 1280px; position: relative }
  h1 { font-size: 18px; font-weight: 500; margin: 0; padding: 14px 16px 10px }
  .panel { position: absolute; background: #181b1f; border: 1px solid #2c3235; border-radius: 3px; box-sizing: border-box; padding: 6px 8px; overflow: hidden }
  .title { font-weight: 500; color: #d8d9da; white-space: nowrap }
  .stat { font-size: 26px; text-align: center; padding-top: 14px }
  .legend { color: #9fa7b3; font-size: 10px; max-height: 42px; overflow: hidden }
  .legend b { display: inline-block; width: 10px; height: 3px; margin: 0 4px 3px 8px }
  .none { color: #6e7077; text-align: center; padding-top: 40px }
  table { border-collapse: collapse; width: 100%; font-size: 11px } td, th { text-align: left; padding: 2px 6px; border-bottom: 1px solid #2c3235 }
  td:last-child, th:last-child { text-align: right }
  footer { position: absolute; color: #6e7077; font-size: 10px; left: 16px }
`

const escaped = text => String(text).replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)

const FORMATS = {
  s: value =>
    value === 0
      ? '0'
      : value < 0.001
        ? `${(value * 1e6).toFixed(0)} µs`
        : value < 1
          ? `${short(value * 1000)} ms`
          : value < 120
            ? `${short(value)} s`
            : `${short(value / 60)} min`,
  percentunit: value => `${short(value * 100)} %`,
  bytes: value => `${short(value / 2 ** 20)} MiB`,
  reqps: value => `${short(value)} /s`,
  ops: value => `${short(value)} /s`,
  currencyUSD: value => `$${value >= 100 ? value.toFixed(0) : value >= 1 ? value.toFixed(2) : value.toFixed(4)}`
}

function short(value) {
  if (Number.isInteger(value) && value < 10_000) return String(value)
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} k`
  return value === 0 ? '0' : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

const formatOf = panel => FORMATS[panel.fieldConfig.defaults.unit] ?? short

function named(legend, metric) {
  return legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '')
}

const finite = ([, value]) => Number.isFinite(value)

function drawStat(panel) {
  const last = panel.answers[0]?.series[0]?.values.filter(finite).at(-1)?.[1]
  if (last === undefined) return '<div class="none">No data</div>'
  const mapped = panel.fieldConfig.defaults.mappings[0]?.options[String(last)]?.text
  const steps = panel.fieldConfig.defaults.thresholds.steps.filter(({ value }) => value === null || last >= value)
  const color = { green: '#73bf69', red: '#f2495c', orange: '#ff9830', yellow: '#fade2a', blue: '#8ab8ff' }[
    steps.at(-1)?.color
  ]
  return `<div class="stat" style="color: ${color ?? '#8ab8ff'}">${escaped(mapped ?? formatOf(panel)(last))}</div>`
}

function drawTable({ answers }) {
  const rows = answers
    .flatMap(({ series }) => series)
    .sort((a, b) => b.value - a.value)
    .slice(0, 9)
  if (rows.length === 0) return '<div class="none">No data</div>'
  const labels = [...new Set(rows.flatMap(({ metric }) => Object.keys(metric)))]
  const head = [...labels, 'value'].map(name => `<th>${escaped(name)}</th>`).join('')
  const body = rows.map(({ metric, value }) => {
    const cells = [...labels.map(label => metric[label] ?? ''), short(value)]
    return `<tr>${cells.map(cell => `<td>${escaped(cell)}</td>`).join('')}</tr>`
  })
  return `<table><tr>${head}</tr>${body.join('')}</table>`
}

function linesOf({ answers, fieldConfig }) {
  const lines = answers.flatMap(({ legend, series }) =>
    series.map(({ metric, values }) => ({ name: named(legend, metric), points: values.filter(finite) }))
  )
  if (fieldConfig.defaults.custom.stacking?.mode !== 'normal') return lines
  const sums = new Map()
  return lines.map(({ name, points }) => ({
    name,
    points: points.map(([at, value]) => {
      const sum = (sums.get(at) ?? 0) + value
      sums.set(at, sum)
      return [at, sum]
    })
  }))
}

function drawGraph(panel, width, height) {
  const lines = linesOf(panel).filter(({ points }) => points.length > 0)
  if (lines.length === 0) return '<div class="none">No data</div>'
  const all = lines.flatMap(({ points }) => points)
  const [first, last] = [Math.min(...all.map(([at]) => at)), Math.max(...all.map(([at]) => at))]
  const top = Math.max(...all.map(([, value]) => value)) * 1.08 || 1
  const left = 62
  const x = at => left + ((at - first) / (last - first || 1)) * (width - left - 6)
  const y = value => height - 16 - (value / top) * (height - 24)
  const ticks = [0, 0.5, 1].map(share => {
    const value = (top / 1.08) * share
    return `<line x1="${left}" x2="${width - 6}" y1="${y(value)}" y2="${y(value)}" stroke="#2c3235"/><text x="${left - 6}" y="${y(value) + 4}" text-anchor="end" fill="#9fa7b3" font-size="10">${escaped(formatOf(panel)(value))}</text>`
  })
  const times = [0, 0.5, 1].map(share => {
    const seconds = Math.round((last - first) * share)
    return `<text x="${x(first + seconds)}" y="${height - 3}" text-anchor="${share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}" fill="#9fa7b3" font-size="10">${seconds} s</text>`
  })
  const paths = lines.map(({ points }, at) => {
    const path = points.map(([when, value]) => `${x(when).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
    return `<polyline points="${path}" fill="none" stroke="${COLORS[at % COLORS.length]}" stroke-width="1.4"/>`
  })
  const legend = lines
    .slice(0, 12)
    .map(({ name }, at) => `<span><b style="background: ${COLORS[at % COLORS.length]}"></b>${escaped(name)}</span>`)
    .join('')
  return `<svg width="${width}" height="${height}">${ticks.join('')}${times.join('')}${paths.join('')}</svg><div class="legend">${legend}</div>`
}

const DRAW = { stat: drawStat, table: drawTable }

/** `panels` with what each query answered. */
export function drawBoard({ title, panels }) {
  const drawn = panels.map(panel => {
    const { x, y, w, h } = panel.gridPos
    const [width, height] = [w * UNIT - 6, h * ROW - 6]
    const place = `left: ${x * UNIT + 3}px; top: ${y * ROW + 48}px; width: ${width}px; height: ${height}px`
    const draw = DRAW[panel.type] ?? drawGraph
    return `<div class="panel" style="${place}"><div class="title">${escaped(panel.title)}</div>${draw(panel, width - 18, height - 76)}</div>`
  })
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * ROW + 58
  const footer =
    'The queries of this dashboard, asked of a Prometheus that scraped a gateway under made-up traffic. Drawn by scripts/draw-dashboards.mjs, not by Grafana.'
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}</style><h1>${escaped(title)}</h1>${drawn.join('')}<footer style="top: ${bottom}px">${footer}</footer>`
}
