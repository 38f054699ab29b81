// What translation costs by itself: each pair of dialects, an event at a time, and one call with 4 MB of arguments.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const dist = join(import.meta.dirname, '..', 'dist', 'src')
const load = path => import(pathToFileURL(join(dist, path)).href)

const EVENTS = 400
const ROUNDS = 15
const CONTEXT = { id: 'bench', model: 'a-model', created: 1_767_225_600, streamUsage: true }
const CHAT = { model: 'm', system: [], turns: [], tools: [{ name: 'write', schema: { type: 'object' } }], stream: true }

function conversation() {
  const events = [{ type: 'start', id: 'x', model: 'm' }]
  let index = 0
  const block = (head, pieces) => {
    events.push({ type: 'block-start', index, block: head })
    for (const text of pieces) events.push({ type: 'block-delta', index, text })
    events.push({ type: 'block-end', index: index++ })
  }
  const words = (count, word) => Array.from({ length: count }, (_, at) => `${word}${at} `)
  block({ type: 'thinking', text: '' }, words(EVENTS * 0.2, 'hm'))
  block({ type: 'text', text: '' }, words(EVENTS * 0.6, 'word'))
  const input = JSON.stringify({ path: '/tmp/x', content: 'x'.repeat(EVENTS) })
  block({ type: 'tool-call', id: 'call_1', name: 'write', input: '' }, input.match(/.{1,5}/gs))
  events.push({ type: 'usage', usage: { input: 9, output: EVENTS, cacheRead: 0, cacheWrite: 0, reasoning: 0 } })
  events.push({ type: 'finish', reason: 'tool-calls' })
  return events
}

const median = values => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]

export async function translateBench() {
  const [{ DIALECTS }, { Translation }] = await Promise.all([load('dialects/index.js'), load('relay/translate.js')])
  const translators = Object.values(DIALECTS).filter(dialect => dialect.translate)
  const through = (client, upstream, frames) => {
    const translation = new Translation({
      client: client.translate,
      upstream: upstream.translate,
      chat: CHAT,
      context: CONTEXT,
      stages: [],
      encoder: client.translate.encodeStream(CONTEXT),
      streamType: 'text/event-stream',
      keep: undefined
    })
    let length = 0
    for (const frame of frames) {
      const { text, failure } = translation.push(frame)
      if (failure) throw new Error(failure.message)
      length += text.length
    }
    return length + translation.end().text.length
  }
  const framesOf = (dialect, events) => {
    const encoder = dialect.translate.encodeStream(CONTEXT)
    const text = events.map(event => encoder.push(event)).join('') + encoder.end()
    return text.split(/(?<=\n\n)/).map(frame => Buffer.from(frame))
  }
  console.log('| µs an event, one event a chunk | upstream | to |\n| --- | --- | --- |')
  const rows = []
  for (const upstream of translators) {
    const frames = framesOf(upstream, conversation())
    for (const client of translators) {
      if (client === upstream) continue
      const times = []
      for (let round = 0; round < ROUNDS * 4; round++) {
        const started = process.cpuUsage()
        const at = performance.now()
        through(client, upstream, frames)
        const { user, system } = process.cpuUsage(started)
        // Short rounds are below the clock of the processor's time.
        times.push(Math.min(performance.now() - at, (user + system) / 1000 || Number.POSITIVE_INFINITY))
      }
      const cost = (median(times.slice(ROUNDS)) * 1000) / frames.length
      rows.push(cost)
      console.log(`| ${cost.toFixed(1)} | ${upstream.name} | ${client.name} |`)
    }
  }
  console.log(`\nmedian ${median(rows).toFixed(1)} µs, worst ${Math.max(...rows).toFixed(1)} µs`)
  for (const megabytes of [1, 2, 4]) {
    const pieces = Array.from({ length: megabytes * 1024 * 16 }, () => 'x'.repeat(64))
    const events = [
      { type: 'start', id: 'x', model: 'm' },
      { type: 'block-start', index: 0, block: { type: 'tool-call', id: 'call_1', name: 'write', input: '' } },
      ...['{"content":"', ...pieces, '"}'].map(text => ({ type: 'block-delta', index: 0, text })),
      { type: 'block-end', index: 0 },
      { type: 'finish', reason: 'tool-calls' }
    ]
    const spent = translators.flatMap(upstream => {
      const frames = framesOf(upstream, events)
      return translators
        .filter(client => client !== upstream)
        .map(client => {
          const at = performance.now()
          through(client, upstream, frames)
          return performance.now() - at
        })
    })
    console.log(
      `${megabytes} MB of arguments in one call: median ${median(spent).toFixed(0)} ms, worst ${Math.max(...spent).toFixed(0)} ms`
    )
  }
}
