// Requests are followed to their upstreams, and a collector on a real socket is told.

import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createDemo } from '../src/demo/demo.ts'
import { Exporter } from '../src/tracing/exporter.ts'
import { readTraceparent, writeTraceparent } from '../src/tracing/traceparent.ts'
import { Tracer } from '../src/tracing/tracer.ts'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { post, smallest } from './support/ask.ts'
import { type CollectedSpan, type Collector, startCollector } from './support/collector.ts'
import { start, temporaryFolder } from './support/process.ts'
import { startUpstream, type Upstream } from './support/upstream.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const CLIENT_SPAN = '00f067aa0ba902b7'
const resource = { 'service.name': 'sluice' }

interface Stage {
  readonly gateway: TestGateway
  readonly collector: Collector
  readonly upstream: Upstream
  readonly tracer: Tracer
  /** Sends off what there is, and says what the collector has. */
  settle(): Promise<CollectedSpan[]>
}

async function stage(t: Test, sample = 1, more: PartialConfig = {}): Promise<Stage> {
  const collector = await startCollector()
  const upstream = await startUpstream(createDemo())
  const entry = { provider: 'custom', dialect: 'openai-chat' as const, api_base: `${upstream.url}/v1`, api_key: 'k' }
  const gateway = await testGateway({
    model_list: [
      { model_name: 'real', model: 'there', ...entry },
      { model_name: 'sick', provider: 'demo', model: 'sick', demo: { fail: '500' } },
      { model_name: 'strict', provider: 'demo', model: 'strict', demo: { fail: '429' } }
    ],
    routing: { retries: 0, fallbacks: { sick: ['real'] } },
    passthrough: { house: { target: upstream.url } },
    ...more
  })
  const settings = { endpoint: `${collector.url}/`, headers: { 'x-team': 'us' }, sample, resource, version: '1' }
  const tracer = new Tracer(settings, { ended: () => undefined, trouble: () => undefined })
  gateway.gateway.tracer = tracer
  t.teardown(async () => {
    await tracer.close()
    await gateway.close()
    await upstream.close()
    await collector.close()
  })
  const settle = async () => {
    await tracer.close()
    return collector.spans
  }
  return { gateway, collector, upstream, tracer, settle }
}

function sentTo(upstream: Upstream): (string | string[] | undefined)[] {
  return upstream.requests.map(request => request.headers['traceparent'])
}

t.test('a request is one span, with one below it for each attempt', async t => {
  const { gateway, upstream, collector, settle } = await stage(t)
  const [path, body] = smallest('openai-chat', 'sick', true)
  const { headers } = await post(gateway.url + path, { ...body, stream_options: { include_usage: true } })
  const [server, failed, worked, ...others] = await settle()
  t.same(others, [])
  t.match(server, { name: 'POST /v1/chat/completions', kind: 2, parentSpanId: undefined, failed: false })
  t.match(server?.attributes, {
    'http.request.method': 'POST',
    'http.route': '/v1/chat/completions',
    'http.response.status_code': 200,
    'gen_ai.operation.name': 'chat',
    'gen_ai.request.model': 'sick',
    'gen_ai.request.stream': true,
    'gateway.call.id': headers['x-task-id'],
    'gateway.route': 'real',
    'gateway.config.generation': 1
  })
  t.match(failed, { name: 'chat sick', kind: 3, parentSpanId: server?.spanId, failed: true })
  t.match(failed?.attributes, {
    'gen_ai.provider.name': 'demo',
    'gateway.target': 'demo/sick',
    'error.type': 'upstream-failed'
  })
  t.match(worked, { name: 'chat there', kind: 3, parentSpanId: server?.spanId, failed: false })
  t.match(worked?.attributes, {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': 'custom',
    'gen_ai.request.model': 'there',
    'server.address': '127.0.0.1',
    'server.port': upstream.port
  })
  t.ok(Number(worked?.attributes['gen_ai.usage.output_tokens']) > 0)
  const first = Number(worked?.attributes['gen_ai.response.time_to_first_chunk'])
  t.ok(first >= 0 && first < 5)
  for (const span of [failed, worked]) {
    t.equal(span?.traceId, server?.traceId)
    t.ok(server && span && server.start <= span.start && span.end <= server.end + 1_500_000n, 'within the request')
  }
  t.ok(failed && worked && failed.end <= worked.start + 1_500_000n, 'one after the other')
  t.ok(server && Math.abs(Number(server.end / 1_000_000n) - Date.now()) < 10_000, 'now')
  t.same(sentTo(upstream), [writeTraceparent(server?.traceId ?? '', worked?.spanId ?? '')])
  t.match(collector.headers, [{ 'x-team': 'us' }])
  t.match(collector.resource, resource)
})

t.test('a trace that the client began goes on through the gateway to the upstream', async t => {
  const { gateway, upstream, settle } = await stage(t, 0)
  const [path, body] = smallest('anthropic', 'real')
  const traced = { traceparent: `00-${TRACE}-${CLIENT_SPAN}-01`, tracestate: 'a=1' }
  t.equal((await post(gateway.url + path, body, traced)).status, 200)
  const [server, attempt] = await settle()
  t.match(server, { traceId: TRACE, parentSpanId: CLIENT_SPAN })
  t.same(sentTo(upstream), [`00-${TRACE}-${attempt?.spanId}-01`])
  t.equal(upstream.requests[0]?.headers['tracestate'], 'a=1')
  t.equal(gateway.records[0]?.traceId, TRACE)
})

t.test('what somebody decided not to keep is not kept, and passes as it came', async t => {
  const { gateway, upstream, settle } = await stage(t, 1)
  const [path, body] = smallest('openai-chat', 'real')
  const untraced = `00-${TRACE}-${CLIENT_SPAN}-00`
  await post(gateway.url + path, body, { traceparent: untraced })
  t.same(await settle(), [])
  t.same(sentTo(upstream), [untraced])
  t.equal(gateway.records[0]?.traceId, undefined)
})

t.test('nothing is traced unless somebody asks for it', async t => {
  const { gateway, upstream, collector } = await stage(t)
  gateway.gateway.tracer = undefined
  const [path, body] = smallest('openai-chat', 'real')
  const mine = `00-${TRACE}-${CLIENT_SPAN}-01`
  await post(gateway.url + path, body, { traceparent: mine })
  t.same(sentTo(upstream), [mine])
  t.same(collector.headers, [])
})

t.test('a share of the traces is kept', async t => {
  const { gateway, settle } = await stage(t, 0.25)
  const [path, body] = smallest('openai-chat', 'nobody')
  for (let index = 0; index < 400; index++) await gateway.app.inject({ method: 'POST', url: path, payload: body })
  const { length } = await settle()
  // Four standard deviations off on either side: one run in 16,000.
  t.ok(length > 65 && length < 135, `${length} of 400`)
})

t.test('refusals and failures say their kind, and no more', async t => {
  const { gateway, collector, settle } = await stage(t)
  const canary = 'xylophone-canary'
  const ask = async (model: string) => {
    const [path] = smallest('openai-chat', model)
    return post(
      gateway.url + path,
      { model, messages: [{ role: 'user', content: canary }], user: canary },
      {
        authorization: `Bearer ${canary}`
      }
    )
  }
  await ask('nowhere')
  await ask('strict')
  await ask('real')
  const spans = await settle()
  const servers = spans.filter(span => span.kind === 2)
  t.match(servers, [
    { failed: false, attributes: { 'http.response.status_code': 404, 'error.type': 'unknown-model' } },
    { failed: false, attributes: { 'http.response.status_code': 429, 'error.type': 'upstream-rate-limited' } },
    { failed: false, attributes: { 'http.response.status_code': 200 } }
  ])
  t.equal(servers[2]?.attributes['error.type'], undefined)
  t.notMatch(collector.bodies.join(), canary)
})

t.test('byte-for-byte routes are followed too', async t => {
  const { gateway, upstream, settle } = await stage(t)
  await post(`${gateway.url}/passthrough/house/v1/anything`, { a: 1 })
  const [server, attempt] = await settle()
  t.match(server, { name: 'POST /passthrough/{name}', kind: 2 })
  t.match(attempt, {
    name: 'passthrough',
    parentSpanId: server?.spanId,
    attributes: { 'gen_ai.provider.name': 'house', 'gateway.target': 'passthrough/house' }
  })
  t.same(sentTo(upstream), [`00-${server?.traceId}-${attempt?.spanId}-01`])
})

t.test('a header that is none begins a trace', async t => {
  const good = `00-${TRACE}-${CLIENT_SPAN}-01`
  t.same(readTraceparent(good), { traceId: TRACE, spanId: CLIENT_SPAN, sampled: true })
  t.match(readTraceparent(`cc-${TRACE}-${CLIENT_SPAN}-09-what-is-to-come`), { sampled: true }, 'a later version')
  for (const wrong of [
    '',
    `00-${'0'.repeat(32)}-${CLIENT_SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${CLIENT_SPAN}-01`,
    `ff-${TRACE}-${CLIENT_SPAN}-01`,
    `${good}-more`,
    `${good} `,
    [good, good]
  ])
    t.equal(readTraceparent(wrong), undefined, String(wrong))
})

t.test('a collector that is not there costs spans beyond a bound, and nothing else', async t => {
  const collector = await startCollector()
  t.teardown(() => collector.close())
  collector.answers = 503
  const ended = { exported: 0, dropped: 0 }
  const told: (string | undefined)[] = []
  const exporter = new Exporter(
    { endpoint: collector.url, headers: {}, resource, version: '1' },
    {
      ended: (result, spans) => {
        ended[result] += spans
      },
      trouble: problem => told.push(problem)
    }
  )
  const span = (index: number) => [
    `{"traceId":"${TRACE}","spanId":"${index.toString(16).padStart(16, '0')}","name":"x","kind":2,"startTimeUnixNano":"1","endTimeUnixNano":"2","attributes":[]}`
  ]
  for (let index = 1; index <= 5000; index++) exporter.add(span(index))
  for (let tries = 0; told.length === 0 && tries < 200; tries++) await wait(10)
  t.match(told, [/answered 503/])
  t.ok(ended.dropped > 0 && ended.dropped < 1500, `${ended.dropped} of 5000 were too many`)
  t.equal(collector.headers.length, 1, 'it is left alone for a while')
  collector.answers = 200
  await exporter.close()
  t.same(told.slice(1), [undefined], 'and it is told that it works again')
  t.equal(ended.exported, 5000 - ended.dropped)
  t.equal(collector.spans.length, ended.exported)
  t.equal(new Set(collector.spans.map(({ spanId }) => spanId)).size, ended.exported, 'each once')
  exporter.add(span(1))
  t.equal(ended.exported + ended.dropped, 5001, 'nothing is taken after the end')
})

t.test('a collector that wants none of it is not asked the same again', async t => {
  const collector = await startCollector()
  t.teardown(() => collector.close())
  collector.answers = 400
  const ended: string[] = []
  const exporter = new Exporter(
    { endpoint: collector.url, headers: {}, resource, version: '1' },
    { ended: (result, spans) => ended.push(`${spans} ${result}`), trouble: () => undefined }
  )
  exporter.add(['{}', '{}'])
  await exporter.close()
  t.same(ended, ['2 dropped'])
  t.equal(collector.headers.length, 1)
})

t.test('a saved file turns it on and off; hooks are events; the end loses nothing', async t => {
  const collector = await startCollector()
  const folder = temporaryFolder()
  t.teardown(async () => {
    folder.remove()
    await collector.close()
  })
  folder.write(
    'good.mjs',
    `export default { name: 'good', setup: () => ({ preCall: () => undefined, postCall: () => undefined }) }`
  )
  folder.write('bad.mjs', `export default { name: 'bad', setup: () => ({ preCall: () => { throw new Error('so') } }) }`)
  const file = (endpoint: string) =>
    folder.write(
      'gateway.yaml',
      `server: { tracing: { endpoint: "${endpoint}", service: mine } }
model_list: [{ model_name: demo, provider: demo }]
hooks:
  - ./good.mjs
  - ./bad.mjs: {}
    onError: skip
`
    )
  file('')
  const gateway = await start(['--config', 'gateway.yaml'], { cwd: folder.path })
  const ask = () => post(gateway.url + smallest('openai-chat', 'demo')[0], smallest('openai-chat', 'demo')[1])
  t.equal((await ask()).status, 200)
  file(collector.url)
  await gateway.until(/reloaded: generation 2/)
  const second = await ask()
  t.equal(second.status, 200)
  const [, traceId] = await gateway.until(/"trace_id":"(\w+)"/)
  file('')
  await gateway.until(/reloaded: generation 3/)
  // Turned off, it sends off what it had.
  await collector.until(2)
  t.equal(collector.resource['service.name'], 'mine')
  const [server] = collector.spans
  t.equal(server?.traceId, traceId, 'the log names the trace')
  t.equal(server?.attributes['gateway.call.id'], second.headers['x-task-id'])
  t.match(
    server?.events.map(({ name, attributes }) => [name, attributes['gateway.hook.name'], attributes['error.type']]),
    [
      ['gateway.hook', 'good', undefined],
      ['gateway.hook', 'bad', 'hook_failed'],
      ['gateway.hook', 'good', undefined]
    ]
  )
  t.same(
    server?.events.map(({ attributes }) => attributes['gateway.hook.phase']),
    ['preCall', 'preCall', 'postCall']
  )
  for (const { at } of server?.events ?? []) t.ok(server && at >= server.start - 1_000_000n && at <= server.end)
  file(collector.url)
  await gateway.until(/reloaded: generation 4/)
  await ask()
  gateway.child.kill('SIGTERM')
  t.equal((await gateway.ended).code, 0)
  t.equal(collector.spans.length, 4)
})
