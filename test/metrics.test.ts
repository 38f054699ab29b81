import t from 'tap'
import type { CallRecord } from '../src/exchange/record.ts'
import { count } from '../src/exchange/settle.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { METRICS, type MetricRow } from '../src/metrics/table.ts'
import { testGateway } from './support/app.ts'
import { post, smallest } from './support/ask.ts'

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Every line of a scrape; a label's value may hold anything but a bare quote. */
function samplesOf(text: string): Sample[] {
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('#'))
    .map(line => {
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
      return { name, labels: Object.fromEntries(pairs.map(([, label, said]) => [label, said])), value: Number(value) }
    })
}

function familyOf(name: string): string {
  return name in METRICS ? name : name.replace(/_(bucket|sum|count)$/, '')
}

t.test('a scrape says what the table says: types, labels, buckets', async t => {
  const gateway = await testGateway({
    model_list: [
      { model_name: 'fine', provider: 'demo', price: { output: 1 } },
      { model_name: 'sick', provider: 'demo', demo: { fail: '500' } }
    ],
    routing: { retries: 0, fallbacks: { sick: ['fine'] } }
  })
  t.teardown(() => gateway.close())
  for (const model of ['fine', 'sick']) {
    const [path, body] = smallest('anthropic', model, true)
    await post(gateway.url + path, body)
  }
  const { metrics } = gateway.gateway
  metrics.hookDuration('mine', 'preCall').observe(0.002)
  metrics.hookFailed('mine')
  metrics.hookCounted('mine', 'redacted', 3)
  metrics.reloaded('rejected')
  metrics.streamAborted('client')
  metrics.spansEnded('exported', 2)
  metrics.droppedField('openai-chat', 'anthropic', 'messages[3].name')
  metrics.mended('demo/fine', 'repaired', 2)
  metrics.saved('cache', 0.25)
  metrics.cacheLooked('exact', 'hit')
  metrics.limited('key', 'budget', 'refused')
  metrics.alerted('team', 80)
  metrics.budgets = () => [{ scope: 'team', id: 'blue', ratio: 0.2 }]
  const response = await fetch(`${gateway.url}/metrics`)
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  const samples = samplesOf(text)
  for (const [name, row] of Object.entries(METRICS) as [string, MetricRow][]) {
    t.match(text, `# TYPE ${name} ${row.type}\n`)
    const own = samples.filter(sample => familyOf(sample.name) === name)
    t.ok(own.length > 0, name)
    for (const { name: full, labels } of own) {
      const expected = full.endsWith('_bucket') ? [...row.labels, 'le'] : [...row.labels]
      t.same(Object.keys(labels).sort(), expected.sort(), full)
    }
    if (row.buckets === undefined) continue
    const bounds = new Set(own.flatMap(({ labels: { le } }) => (le === undefined ? [] : [le])))
    t.same([...bounds], [...row.buckets.map(String), '+Inf'], name)
  }
  const labelled = (name: string) => samples.filter(sample => sample.name === name).map(sample => sample.labels)
  t.same(labelled('gateway_fallbacks_total'), [{ from: 'sick', to: 'fine', reason: 'upstream-failed' }])
  t.match(text, 'gateway_hook_events_total{hook="mine",event="redacted"} 3')
  t.match(text, 'field="messages[].name"')
  t.match(text, 'gateway_config_rejected 1')
  metrics.reloaded('unchanged')
  t.match(await metrics.render(), 'gateway_config_rejected 0', 'the file is again what is in force')
})

t.test('what no upstream was asked for counts under the name that it asked for', async t => {
  const gateway = await testGateway({ model_list: [{ model_name: 'fine', provider: 'demo' }] })
  t.teardown(() => gateway.close())
  for (const model of ['fine', 'nowhere']) {
    const [path, body] = smallest('openai-chat', model)
    await post(gateway.url + path, { ...body, stream: 'perhaps' })
  }
  const text = await gateway.gateway.metrics.render()
  for (const model of ['fine', 'other'])
    t.match(
      text,
      `gateway_requests_total{model="${model}",provider="none",endpoint="/v1/chat/completions",status="4xx"} 1`
    )
})

t.test('time in line is no time of the gateway', async t => {
  const gateway = await testGateway({
    model_list: [{ model_name: 'slow', provider: 'demo', max_parallel: 1, demo: { first_byte: '400ms' } }]
  })
  t.teardown(() => gateway.close())
  const [path, body] = smallest('openai-chat', 'slow')
  const answers = await Promise.all([1, 2].map(() => post(gateway.url + path, body)))
  const [, second] = gateway.records
  t.ok((second?.waitedMilliseconds ?? 0) > 250)
  t.ok((second?.overheadMilliseconds ?? 1000) < 200)
  for (const { headers } of answers) t.ok(Number(headers['x-gateway-overhead-ms']) < 200)
})

t.test('the process tells how it is itself', async t => {
  const text = await new Metrics().render()
  for (const name of [
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
    'process_resident_memory_bytes'
  ])
    t.match(text, new RegExp(`^${name} \\d`, 'm'))
  t.match(text, '# TYPE nodejs_gc_duration_seconds histogram')
})

t.test('10,000 odd names of models, keys and users make no series', { timeout: 600_000 }, async t => {
  const gateway = await testGateway({
    model_list: [
      { model_name: 'fine', provider: 'demo' },
      { model_name: 'any-*', provider: 'demo' }
    ],
    backends: { house: { provider: 'demo' } }
  })
  t.teardown(() => gateway.close())
  const ask = async (index: number) => {
    const model = [`odd-${index}`, `any-${index}`, `house/${index}`, `"}\n${index}{`, `é${index}`][index % 5] ?? ''
    const [path, body] = smallest('openai-chat', model)
    const text = JSON.stringify({ ...body, user: `user-${index}` })
    const headers = { 'content-type': 'application/json', authorization: `Bearer key-${index}` }
    const { statusCode } = await gateway.app.inject({ method: 'POST', url: path, headers, payload: text })
    return statusCode
  }
  const statuses = new Map<number, number>()
  const askMany = async (from: number, to: number) => {
    for (let index = from; index < to; index += 50) {
      const answered = await Promise.all(Array.from({ length: 50 }, (_, more) => ask(index + more)))
      for (const status of answered) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  const series = async () =>
    samplesOf(await gateway.gateway.metrics.render()).filter(sample => /^(gateway|gen_ai)_/.test(sample.name))
  await askMany(0, 100)
  const before = await series()
  await askMany(100, 10_100)
  const after = await series()
  t.equal(after.length, before.length)
  t.same(Object.fromEntries(statuses), { 200: 4040, 404: 6060 })
  const counted = after.filter(sample => sample.name === 'gateway_requests_total')
  t.same(
    new Set(counted.map(sample => sample.labels['model'])),
    new Set(['other', 'any-*', 'house']),
    'a model is one that the operator wrote'
  )
  t.equal(
    counted.reduce((sum, sample) => sum + sample.value, 0),
    10_100
  )
})

t.test('names that clients and hooks choose are told apart up to a number', async t => {
  const metrics = new Metrics()
  for (let index = 0; index < 10_000; index++) {
    metrics.droppedField('gemini', 'anthropic', `odd${index}`)
    metrics.hookCounted('mine', `odd${index}`, 1)
  }
  metrics.hookCounted('mine', 'back', -1)
  metrics.hookCounted('mine', 'nothing', Number.NaN)
  const samples = samplesOf(await metrics.render())
  for (const name of ['gateway_translation_dropped_total', 'gateway_hook_events_total']) {
    const own = samples.filter(sample => sample.name === name)
    t.equal(own.length, 301, name)
    t.equal(own.find(({ labels }) => labels['field'] === 'other' || labels['event'] === 'other')?.value, 9700)
  }
})

t.test('counting a request takes microseconds', async t => {
  const metrics = new Metrics()
  const target = metrics.target('demo/m', 'm', 'demo')
  const record: CallRecord = {
    id: 'x',
    at: 0,
    endpoint: 'chat',
    stream: true,
    model: 'm',
    route: 'm',
    provider: 'demo',
    upstreamModel: 'm',
    status: 200,
    attempts: [{ target: 'demo/m', reason: 'ok', milliseconds: 1000 }],
    usage: { input: 1000, output: 200, cacheRead: 0, cacheWrite: 0, reasoning: 0 },
    dropped: [],
    firstByteMilliseconds: 200,
    milliseconds: 3000,
    overheadMilliseconds: 0.4,
    bytesIn: 1,
    bytesOut: 1,
    failure: undefined,
    failureMessage: undefined,
    clientGone: false,
    generation: 1
  }
  const rounds = Array.from({ length: 11 }, () => {
    const began = performance.now()
    for (let times = 0; times < 10_000; times++) {
      target.attempt('ok')
      count(record, target.call('chat'), metrics)
    }
    return (performance.now() - began) / 10
  }).sort((a, b) => a - b)
  const median = rounds[5] ?? 0
  t.comment(`${median.toFixed(2)} µs a request`)
  t.ok(median <= 8)
})
