// From samples to the table and its verdicts.
export const median = values => {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  if (sorted.length === 0) return Number.NaN
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

// A paced stream is about each event's delay, any other stream about its first event, the rest about the whole answer.
const latencyOf = (cell, sample) => (cell.marks ? sample.delay : cell.stream ? sample.first : sample.latency)
const LATENCY_NAMES = { delay: 'of each event', first: 'of the first event', latency: 'of the answer' }
const latencyName = cell => LATENCY_NAMES[cell.marks ? 'delay' : cell.stream ? 'first' : 'latency']

function sumErrors(samples) {
  const sum = {}
  for (const { errors } of samples)
    for (const [kind, count] of Object.entries(errors)) if (count) sum[kind] = (sum[kind] ?? 0) + count
  return sum
}

/** Medians over the rounds; what is added over direct is taken within a round, so that a slow minute cancels out. */
export function summarize(cells, names, rounds) {
  const rows = []
  for (const cell of cells)
    for (const name of names) {
      const samples = rounds.map(round => round[cell.id]?.[name]).filter(Boolean)
      if (samples.length === 0) continue
      const pick = field => median(samples.map(sample => sample[field]))
      const added = percentile =>
        median(
          rounds.map(round => {
            const [own, direct] = [round[cell.id]?.[name], round[cell.id]?.direct]
            const value = own && latencyOf(cell, own)?.[percentile]
            return name === 'direct' ? value : value - (direct && latencyOf(cell, direct)?.[percentile])
          })
        )
      rows.push({
        cell: cell.id,
        title: cell.title,
        unit: cell.stream ? 'event' : 'request',
        latency: latencyName(cell),
        gateway: name,
        perSecond: pick('perSecond'),
        p50: added('p50'),
        p99: added('p99'),
        cpu: pick('cpuMicroseconds'),
        rss: pick('rss'),
        pss: pick('pss'),
        errors: sumErrors(samples),
        loadWasFull: pick('benchBusy') > 0.95 && name !== 'direct'
      })
    }
  return rows
}

const number = (value, digits = 0) =>
  Number.isFinite(value)
    ? value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    : '–'

const milliseconds = (row, value) => `${row.gateway === 'direct' || value < 0 ? '' : '+'}${number(value, 2)}`

const errorsText = errors =>
  Object.entries(errors)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ') || '0'

const HEADINGS = ['', 'gateway', 'per second', 'p50 ms', 'p99 ms', 'CPU µs', '× Sluice', 'RSS MB', 'PSS MB', 'errors']

function lines(rows) {
  const texts = rows.map((row, index) => {
    const sluice = rows.find(other => other.cell === row.cell && other.gateway === 'sluice')
    const ratio = sluice ? row.cpu / sluice.cpu : Number.NaN
    return [
      rows[index - 1]?.cell === row.cell ? '' : row.title,
      row.gateway,
      `${row.loadWasFull ? '≥ ' : ''}${number(row.perSecond)}`,
      milliseconds(row, row.p50),
      milliseconds(row, row.p99),
      number(row.cpu, row.cpu < 100 ? 1 : 0),
      number(ratio, 2),
      number(row.rss),
      number(row.pss),
      errorsText(row.errors)
    ]
  })
  const widths = HEADINGS.map((heading, column) => Math.max(heading.length, ...texts.map(text => text[column].length)))
  const pad = (text, column) =>
    column < 2 || column === 9 ? text.padEnd(widths[column]) : text.padStart(widths[column])
  const line = text => `| ${text.map(pad).join(' | ')} |`
  const rule = `| ${widths.map((width, column) => (column < 2 || column === 9 ? '-' : '').padEnd(width - 1, '-') + (column < 2 || column === 9 ? '-' : ':')).join(' | ')} |`
  return [line(HEADINGS), rule, ...texts.map(line)]
}

export function table(rows) {
  const answers = rows.filter(row => row.unit === 'request')
  const streams = rows.filter(row => row.unit === 'event')
  const text = []
  if (answers.length)
    text.push('Chat, not streamed: requests; CPU of the gateway a request.', '', ...lines(answers), '')
  if (streams.length)
    text.push(
      'Streams, 16 at a time where nothing else is said: events; CPU of the gateway an event.',
      '',
      ...lines(streams),
      ''
    )
  text.push('p50 and p99: direct shows its own, the others what they add to direct in the same round,')
  text.push('of the whole answer; of the first event of a stream; of each event of the paced streams.')
  text.push(
    'A closed loop at many connections queues at a full gateway: compare latency at 1 connection and at a fixed rate.'
  )
  if (rows.some(row => row.loadWasFull))
    text.push('≥: the core of load and mock was full, so the gateway may do more; CPU µs holds.')
  return text.join('\n')
}

/** Each measure of the issue: how many times, whether that is enough. The worst of the named cells counts. */
export function measures(rows) {
  const cpu = (cell, gateway) => rows.find(row => row.cell === cell && row.gateway === gateway)?.cpu ?? Number.NaN
  const worst = (cells, other, pick) => {
    const ratios = cells.map(cell => cpu(cell, other) / cpu(cell, 'sluice')).filter(Number.isFinite)
    return ratios.length ? pick(...ratios) : Number.NaN
  }
  const atLeast = (text, cells, other, limit, show) => {
    const ratio = worst(cells, other, Math.min)
    return { text, value: ratio, shown: show(ratio), holds: Number.isFinite(ratio) ? ratio >= limit : undefined }
  }
  const times = ratio => `${ratio.toFixed(1)}×`
  const share = ratio => `${(ratio * 100).toFixed(0)} %`
  const toNginx = 1 / worst(['paced'], 'nginx', Math.min)
  return [
    atLeast('≥ 12× Portkey, 1 KB chat per CPU second', ['chat-1k-16', 'chat-1k-64'], 'portkey', 12, times),
    atLeast('≥ 12× Portkey, 100 KB chat per CPU second', ['chat-100k-16', 'chat-100k-64'], 'portkey', 12, times),
    atLeast('≥ 25 % of nginx, 1 KB chat per CPU second', ['chat-1k-16', 'chat-1k-64'], 'nginx', 0.25, share),
    atLeast(
      "≤ 1/2 of Portkey's CPU an event at 50 events/s",
      ['paced'],
      'portkey',
      2,
      ratio => `1/${ratio.toFixed(1)}`
    ),
    {
      text: "≤ 2× nginx's CPU an event at 50 events/s",
      value: toNginx,
      shown: times(toNginx),
      holds: Number.isFinite(toNginx) ? toNginx <= 2 : undefined
    }
  ]
}

export const verdict = ({ text, shown, holds }) =>
  `${text}: ${holds === undefined ? 'not measured' : `${shown} ${holds ? 'yes' : 'NO'}`}`
