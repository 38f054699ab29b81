// What it costs to count a request, and to follow one to its upstream: no sockets, nothing but the counting.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const dist = join(import.meta.dirname, '..', 'dist', 'src')
const load = path => import(pathToFileURL(join(dist, path)).href)

const ROUNDS = 21
const REQUESTS = 20_000
const MOST_MICROSECONDS = 8

const RECORD = {
  id: '9f3c6c1e-3a52-4c31-8d2a-0d2f0e2a7f11',
  at: 0,
  endpoint: '/v1/chat/completions',
  stream: true,
  model: 'claude-sonnet-4-5',
  route: 'claude-*',
  provider: 'mlx',
  upstreamModel: 'mlx-community/Qwen2.5-Coder-32B-Instruct-8bit',
  status: 200,
  attempts: [{ target: 'mlx/qwen', reason: 'ok', milliseconds: 1000 }],
  usage: { input: 1000, output: 200, cacheRead: 500, cacheWrite: 0, reasoning: 0 },
  cost: 0.002,
  dropped: [],
  firstByteMilliseconds: 200,
  milliseconds: 3000,
  overheadMilliseconds: 0.4,
  bytesIn: 1,
  bytesOut: 1,
  clientGone: false,
  generation: 1
}

/** Microseconds a request; the median of the rounds. */
function measure(request) {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const began = performance.now()
    for (let times = 0; times < REQUESTS; times++) request()
    return ((performance.now() - began) * 1000) / REQUESTS
  })
  return rounds.sort((a, b) => a - b)[ROUNDS >> 1]
}

export async function countingBench() {
  const [{ Metrics }, { count }, { Tracer }, { encodeSpans }] = await Promise.all(
    ['metrics/metrics.js', 'exchange/settle.js', 'tracing/tracer.js', 'tracing/otlp.js'].map(load)
  )
  const metrics = new Metrics()
  const target = metrics.target('mlx/qwen', 'claude-*', 'mlx')
  const counting = measure(() => {
    target.attempt('ok')
    count(RECORD, target.call(RECORD.endpoint), metrics)
  })
  const settings = { endpoint: 'http://127.0.0.1:1', headers: {}, resource: {}, version: '1', sample: 1 }
  const tracer = new Tracer(settings, { ended: () => undefined, trouble: () => undefined })
  const asked = { name: 'mlx/qwen', provider: 'mlx', origin: 'http://localhost:11402' }
  const incoming = { endpoint: RECORD.endpoint, operation: 'chat', headers: {}, receivedAt: 1 }
  const follow = () => {
    const spans = tracer.begin(incoming)
    spans.attempt(asked, RECORD.upstreamModel, 1.4)
    return spans
  }
  const tracing = measure(() => encodeSpans(follow(), RECORD, 1_795_000_000_000))
  const off = { tracer: undefined }
  const nothing = measure(() => off.tracer?.begin(incoming))
  const fits = counting <= MOST_MICROSECONDS
  console.log(`Metrics of a request ≤ ${MOST_MICROSECONDS} µs: ${counting.toFixed(2)} µs ${fits ? 'yes' : 'NO'}`)
  console.log(
    `Spans of a request, with one attempt: ${tracing.toFixed(2)} µs; turned off: ${(nothing * 1000).toFixed(0)} ns`
  )
}
