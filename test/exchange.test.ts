// One request through the gateway on real sockets: what the upstream receives, what the client gets, whatever goes wrong.
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { request } from 'undici'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { post, smallest } from './support/ask.ts'
import { closedPort } from './support/port.ts'
import { rawUpstream } from './support/raw-upstream.ts'
import { recordedUpstream, startUpstream, type Upstream } from './support/upstream.ts'

const ANSWER = Buffer.from(
  '{"id":"a","choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5},"unknown":[1]}'
)
const JSON_HEADERS = { 'content-type': 'application/json' }
const SSE_HEADERS = { 'content-type': 'text/event-stream' }
const FRAMES = [
  'data: {"choices":[{"index":0,"delta":{"content":"Hé"},"finish_reason":null}]}\n\n',
  ': keep-alive\n\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
  'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":4,"total_tokens":11}}\n\ndata: [DONE]\n\n'
]
const ASK = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }

type Entry = NonNullable<PartialConfig['model_list']>[number]

function entryTo(url: string, more: object = {}): Entry {
  return { model_name: 'm', provider: 'custom', api_base: url, api_key: 'upstream-secret', ...more } as Entry
}

async function gatewayTo(url: string, more: object = {}): Promise<TestGateway> {
  return testGateway({ model_list: [entryTo(url, more)] })
}

async function withUpstream(
  recording: Parameters<typeof recordedUpstream>[0],
  run: (gateway: TestGateway, upstream: Upstream) => Promise<void>,
  more: object = {}
): Promise<void> {
  const upstream = await recordedUpstream(recording)
  const gateway = await gatewayTo(upstream.url, more)
  try {
    await run(gateway, upstream)
  } finally {
    await gateway.close()
    await upstream.close()
  }
}

function errorOf(json: Record<string, unknown> | undefined): Record<string, unknown> {
  return (json?.['error'] ?? {}) as Record<string, unknown>
}

t.test('the upstream receives the bytes of the client, with nothing but the model exchanged', async t => {
  await withUpstream(
    { status: 200, headers: JSON_HEADERS, chunks: [ANSWER] },
    async (gateway, upstream) => {
      const spaces = fc.constantFrom('', ' ', '\n', '\t\r\n')
      const modelKey = fc.constantFrom('"model"', '"mod\\u0065l"', '"\\u006dodel"')
      const members = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.jsonValue()), { maxLength: 4 })
      await fc.assert(
        fc.asyncProperty(
          members,
          members,
          modelKey,
          spaces,
          spaces,
          fc.nat(3),
          async (before, after, key, a, b, big) => {
            const text = (list: [string, unknown][]) =>
              list
                .filter(([name]) => !/^(model|stream|max_|generation)/i.test(name))
                .map(([name, value]) => `${a}${JSON.stringify(name)}${b}:${JSON.stringify(value)}${a}`)
            // Some bodies come in several chunks: the padding crosses the 64 KB that a socket is read in.
            const padding = big === 3 ? [`"padding":"${'x'.repeat(150_000)}"`] : []
            const body = (model: string) =>
              `${a}{${[...text(before), ...padding, `${a}${key}${b}:${a}${model}${b}`, ...text(after)].join(',')}}${b}`
            const { status } = await post(`${gateway.url}/v1/chat/completions`, Buffer.from(body('"m"')))
            const received = upstream.requests.at(-1)?.body.toString() ?? ''
            if (status !== 200 || received !== body('"far/model"'))
              throw new Error(`${status}: ${received.slice(0, 500)}`)
            upstream.requests.length = 0
          }
        ),
        { numRuns: 100 }
      )
      t.pass()
    },
    { model: 'far/model' }
  )
})

t.test('without a rename not one byte differs, and the answer passes as it is', async t => {
  await withUpstream(
    {
      status: 200,
      headers: { ...JSON_HEADERS, 'x-request-id': 'r1', 'set-cookie': 'a=b', server: 'x' },
      chunks: [ANSWER.subarray(0, 40), ANSWER.subarray(40)]
    },
    async (gateway, upstream) => {
      const body = '\n{ "messages":[ ], "x": 1e400 , "model" : "m" }'
      const answer = await post(`${gateway.url}/v1/chat/completions?beta=true`, body, {
        authorization: 'Bearer mine',
        'x-api-key': 'mine',
        cookie: 'c=d',
        'user-agent': 'agent/1',
        'x-custom': 'y',
        'anthropic-beta': 'z'
      })
      t.equal(answer.text, ANSWER.toString())
      t.equal(answer.headers['x-request-id'], 'r1')
      t.equal(answer.headers['set-cookie'], undefined)
      t.equal(answer.headers['x-provider'], 'custom')
      t.equal(answer.headers['x-model'], 'm')
      t.equal(answer.headers['x-gateway-attempts'], '1')
      t.equal(answer.headers['x-gateway-config'], '1')
      t.match(answer.headers['x-task-id'], /^[0-9a-f-]{36}$/)
      t.match(answer.headers['x-gateway-overhead-ms'], /^\d+\.\d\d$/)
      const [received] = upstream.requests
      t.equal(received?.body.toString(), body)
      t.equal(received?.url, '/v1/chat/completions?beta=true')
      t.equal(received?.headers['authorization'], 'Bearer upstream-secret')
      t.equal(received?.headers['user-agent'], 'agent/1')
      t.equal(received?.headers['anthropic-beta'], 'z')
      for (const name of ['cookie', 'x-custom', 'x-api-key']) t.equal(received?.headers[name], undefined, name)
      const [record] = gateway.records
      t.match(record?.usage, { input: 3, output: 2 })
      t.notMatch(JSON.stringify(record), /secret/)
    }
  )
})

t.test('a cap lowers, fills in, and leaves a smaller ask alone', async t => {
  const upstream = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: [ANSWER] })
  const dialects = ['openai-chat', 'openai-responses', 'anthropic', 'gemini']
  const gateway = await testGateway({
    model_list: dialects.map(dialect =>
      entryTo(upstream.url, { model_name: dialect, model: 'm', dialect, max_tokens: 100 })
    )
  })
  const sent = async (path: string, body: object) => {
    const { status } = await post(gateway.url + path, body)
    return status === 200 ? (JSON.parse(upstream.requests.at(-1)?.body.toString() ?? '{}') as unknown) : status
  }
  const chat = '/v1/chat/completions'
  const model = 'openai-chat'
  t.same(await sent(chat, { model, max_tokens: 500 }), { model: 'm', max_tokens: 100 })
  t.same(await sent(chat, { model, max_tokens: 50 }), { model: 'm', max_tokens: 50 })
  t.same(await sent(chat, { model, max_completion_tokens: 500 }), { model: 'm', max_completion_tokens: 100 })
  t.same(await sent(chat, { model, max_tokens: null }), { model: 'm', max_tokens: 100 })
  t.same(await sent(chat, { model }), { model: 'm', max_tokens: 100 })
  t.equal(await sent(chat, { model, max_tokens: '9999' }), 400)
  t.same(await sent('/v1/embeddings', { model, input: 'x' }), { model: 'm', input: 'x' })
  t.same(await sent('/v1/responses', { model: 'openai-responses' }), { model: 'm', max_output_tokens: 100 })
  t.same(await sent('/v1/messages', { model: 'anthropic', max_tokens: 101 }), { model: 'm', max_tokens: 100 })
  const gemini = '/v1beta/models/gemini:generateContent'
  t.same(await sent(gemini, {}), { generationConfig: { maxOutputTokens: 100 } })
  t.same(await sent(gemini, { generationConfig: { topK: 1, maxOutputTokens: 900 } }), {
    generationConfig: { topK: 1, maxOutputTokens: 100 }
  })
  t.same(await sent(gemini, { generation_config: { topK: 1 } }), {
    generation_config: { maxOutputTokens: 100, topK: 1 }
  })
  t.equal(await sent(gemini, { generationConfig: { maxOutputTokens: 1, max_output_tokens: 900 } }), 400)
  t.equal(upstream.requests.at(-1)?.url, '/v1beta/models/m:generateContent')
  await gateway.close()
  await upstream.close()
})

t.test('every dialect passes, whole and streamed, to the built-in upstream', async t => {
  const gateway = await testGateway({ model_list: [{ model_name: 'demo', provider: 'demo' }] })
  for (const dialect of ['openai-chat', 'openai-responses', 'anthropic', 'gemini']) {
    for (const stream of [false, true]) {
      const [path, body] = smallest(dialect, 'demo', stream)
      const answer = await post(gateway.url + path, body)
      t.equal(answer.status, 200, path)
      t.match(answer.headers['content-type'], stream ? /event-stream/ : /json/)
      const record = gateway.records.at(-1)
      if (dialect !== 'openai-chat' || !stream) t.ok((record?.usage?.output ?? 0) > 0, `usage of ${path}`)
      t.equal(record?.stream, stream)
    }
  }
  t.same(gateway.bugs, [])
  await gateway.close()
})

t.test('a body that cannot be understood is refused in words, in the shape of the route', async t => {
  await withUpstream({ status: 200, headers: JSON_HEADERS, chunks: [ANSWER] }, async (gateway, upstream) => {
    const cases: [string | Buffer, number, RegExp, Record<string, string>?][] = [
      ['', 400, /empty/],
      ['nonsense', 400, /not JSON/],
      ['[]', 400, /object is expected/],
      ['{"model":"m"', 400, /ends too early/],
      ['{"model":"m","model":"other"}', 400, /stands twice/],
      ['{"model":"m","mode\\u006c":"other"}', 400, /stands twice/],
      ['{"model":"m","Model":"other"}', 400, /lower case/],
      ['{"model":7}', 400, /`model` must be a string/],
      ['{"model":"m","stream":"yes"}', 400, /`stream` must be/],
      [`{"model":"m","x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`, 400, /nested deeper/],
      [`{"model":"${'m'.repeat(3000)}"}`, 404, /not served/],
      [Buffer.from('{"model":"m"}'), 415, /content-encoding/, { 'content-encoding': 'zstd' }],
      [Buffer.from('not gzip'), 400, /could not be read/, { 'content-encoding': 'gzip' }]
    ]
    for (const [body, status, message, headers] of cases) {
      const answer = await post(`${gateway.url}/v1/chat/completions`, body, headers)
      t.equal(answer.status, status, String(body).slice(0, 50))
      t.match(errorOf(answer.json)['message'], message)
      t.ok(errorOf(answer.json)['type'])
    }
    const anthropic = await post(`${gateway.url}/v1/messages`, 'nonsense')
    t.match(anthropic.json, { type: 'error', error: { type: 'invalid_request_error' }, request_id: String })
    const gemini = await post(`${gateway.url}/v1beta/models/m:generateContent`, 'nonsense')
    t.match(gemini.json, { error: { code: 400, status: 'INVALID_ARGUMENT' } })
    t.equal(upstream.requests.length, 0)
    const proto = await post(
      `${gateway.url}/v1/chat/completions`,
      '{"__proto__":{"model":"evil"},"constructor":1,"model":"m"}'
    )
    t.equal(proto.status, 200)
    t.equal(upstream.requests[0]?.body.toString(), '{"__proto__":{"model":"evil"},"constructor":1,"model":"m"}')
    const zipped = await post(`${gateway.url}/v1/chat/completions`, gzipSync(JSON.stringify(ASK)), {
      'content-encoding': 'gzip',
      'content-type': 'text/plain'
    })
    t.equal(zipped.status, 200)
    t.equal(upstream.requests[1]?.body.toString(), JSON.stringify(ASK))
    t.same(gateway.bugs, [])
  })
})

t.test('a body over the limit is refused before and while it comes', async t => {
  const upstream = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: [ANSWER] })
  const gateway = await testGateway({ server: { body_limit: '1kb' }, model_list: [entryTo(upstream.url)] })
  const announced = await post(`${gateway.url}/v1/messages`, { model: 'm', x: 'y'.repeat(2000) })
  t.equal(announced.status, 413)
  t.match(announced.json, { type: 'error', error: { type: 'request_too_large' } })
  const bomb = await post(
    `${gateway.url}/v1/messages`,
    gzipSync(JSON.stringify({ model: 'm', x: 'y'.repeat(1_000_000) })),
    { 'content-encoding': 'gzip' }
  )
  t.equal(bomb.status, 413)
  const chunked = await request(`${gateway.url}/v1/messages`, {
    method: 'POST',
    body: Readable.from(Array.from({ length: 20 }, () => Buffer.alloc(100, 'x')))
  })
  await chunked.body.dump()
  t.ok([400, 413].includes(chunked.statusCode))
  t.equal(upstream.requests.length, 0)
  await gateway.close()
  await upstream.close()
})

t.test('an unknown model is a 404 that names the nearest', async t => {
  const gateway = await testGateway({
    model_list: [{ model_name: 'claude-sonnet', provider: 'demo' }],
    aliases: { sonnet: 'claude-sonnet' }
  })
  const answer = await post(`${gateway.url}/v1/chat/completions`, { model: 'claude-sonet' })
  t.equal(answer.status, 404)
  t.match(answer.json, { error: { code: 'model_not_found', recommendations: [/claude-sonnet/, /gateway.yaml/] } })
  const aliased = await post(`${gateway.url}/v1/chat/completions`, { model: 'sonnet', messages: [] })
  t.equal(aliased.status, 200)
  const unnamed = await post(`${gateway.url}/v1/chat/completions`, { messages: [] })
  t.equal(unnamed.status, 200, 'the only model serves a request that names none')
  await gateway.close()
})

t.test('an upstream that cannot be reached, dies or babbles gives a failure that says where and what next', async t => {
  const dead = await gatewayTo(`http://127.0.0.1:${await closedPort()}`)
  const refused = await post(`${dead.url}/v1/chat/completions`, ASK)
  t.equal(refused.status, 502)
  t.match(errorOf(refused.json), {
    message: /Cannot connect to custom \(http:\/\/127\.0\.0\.1:\d+\): the connection was refused/,
    recommendations: [/Is it running/]
  })
  t.equal(refused.headers['x-provider'], 'custom')
  await dead.close()
  for (const destroyAt of ['before-head', 'after-head', 'mid-body'] as const) {
    await withUpstream(
      {
        status: 200,
        headers: JSON_HEADERS,
        chunks: [ANSWER.subarray(0, 20), ANSWER.subarray(20)],
        destroyAt,
        cutAfter: 1
      },
      async gateway => {
        const answer = await post(`${gateway.url}/v1/chat/completions`, ASK)
        t.equal(answer.status, 502, destroyAt)
        t.match(errorOf(answer.json)['message'], /broke the connection/)
      }
    )
  }
  for (const bytes of [
    'SSH-2.0-OpenSSH\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: abc\r\n\r\n',
    `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`
  ]) {
    const upstream = await rawUpstream(Buffer.from(bytes), {})
    const gateway = await gatewayTo(upstream.url)
    t.equal((await post(`${gateway.url}/v1/chat/completions`, ASK)).status, 502, bytes.slice(0, 30))
    await gateway.close()
    await upstream.close()
  }
})

t.test('an upstream error keeps its words where the client can act on them', async t => {
  const said = Buffer.from('{"error":{"message":"bad tool","type":"invalid_request_error","code":"x","extra":1}}')
  const answerTo = async (status: number, body: Buffer, headers: Record<string, string> = JSON_HEADERS) => {
    let seen: Awaited<ReturnType<typeof post>> | undefined
    await withUpstream({ status, headers, chunks: [body] }, async gateway => {
      seen = await post(`${gateway.url}/v1/chat/completions`, ASK)
    })
    return seen as Awaited<ReturnType<typeof post>>
  }
  const rejected = await answerTo(422, said)
  t.equal(rejected.status, 422)
  t.equal(rejected.text, said.toString())
  const limited = await answerTo(429, said, { ...JSON_HEADERS, 'retry-after': '7' })
  t.equal(limited.headers['retry-after'], '7')
  t.equal(limited.text, said.toString())
  t.equal((await answerTo(429, said)).headers['retry-after'], '5', 'Codex needs one')
  const refusedKey = await answerTo(
    401,
    Buffer.from('{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnop1234567890"}}')
  )
  t.equal(refusedKey.status, 502)
  t.notMatch(refusedKey.text, /sk-abcdef/)
  const broken = await answerTo(500, Buffer.from('{"error":"boom"}'))
  t.equal(broken.status, 502)
  t.match(errorOf(broken.json)['message'], /custom \(http.*boom/)
  const page = await answerTo(404, Buffer.from('<html><h1>404 page not found</h1></html>'), {
    'content-type': 'text/html'
  })
  t.equal(page.status, 404)
  t.match(page.json, { error: { message: /answered 404: an HTML page/, recommendations: [/api_base/] } })
  const moved = await answerTo(301, Buffer.alloc(0), { location: 'http://169.254.169.254/' })
  t.equal(moved.status, 502)
  t.match(errorOf(moved.json)['message'], /redirect/)
})

t.test('each of the four timers fires and says which', async t => {
  const cases: [string, object, object, RegExp][] = [
    ['first_token', { 'x-demo-fail': 'no-head' }, {}, /first token within 0\.2 s \(timeouts\.first_token\)/],
    ['total', { 'x-demo-pace': '30ms', 'x-demo-chunks': '100' }, {}, /timeouts\.total/],
    ['idle', { 'x-demo-fail': 'stall' }, { stream: true }, /timeouts\.idle/]
  ]
  for (const [timer, headers, more, message] of cases) {
    const gateway = await testGateway({
      model_list: [{ model_name: 'm', provider: 'demo', timeouts: { [timer]: '200ms' } }]
    })
    const answer = await post(
      `${gateway.url}/v1/chat/completions`,
      { ...ASK, stream: timer !== 'first_token', ...more },
      headers as Record<string, string>
    )
    t.equal(answer.status, timer === 'first_token' ? 504 : 200, timer)
    t.match(answer.text, message)
    t.equal(gateway.records[0]?.failure, 'upstream-timed-out')
    await gateway.close()
  }
})

t.test('a stream passes byte for byte, however it is cut, and its usage is read beside it', async t => {
  const whole = Buffer.from(FRAMES.join(''))
  for (const size of [1, 7, 64, whole.length]) {
    const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
      whole.subarray(index * size, (index + 1) * size)
    )
    await withUpstream({ status: 200, headers: SSE_HEADERS, chunks }, async gateway => {
      const answer = await post(`${gateway.url}/v1/chat/completions`, { ...ASK, stream: true })
      t.equal(answer.text, whole.toString(), `cut at ${size}`)
      t.match(gateway.records[0]?.usage, { input: 7, output: 4 })
      t.equal(answer.headers['cache-control'], 'no-cache')
    })
  }
})

t.test('a stream that stops early ends with a failure event and not with half an event', async t => {
  for (const ending of ['end', 'destroy'] as const) {
    const upstream = await startUpstream((_, response) => {
      response.writeHead(200, SSE_HEADERS)
      response.write(`${FRAMES[0]}data: {"cho`)
      // A reset would take the bytes with it that have not been read yet.
      setTimeout(() => response[ending](), 100)
    })
    const gateway = await gatewayTo(upstream.url)
    const answer = await post(`${gateway.url}/v1/chat/completions`, { ...ASK, stream: true })
    t.equal(answer.status, 200)
    t.ok(answer.text.startsWith(FRAMES[0] ?? ''))
    t.match(answer.text.slice(FRAMES[0]?.length), /^data: \{"error":\{"message":"custom \(http/)
    t.notMatch(answer.text, /\[DONE\]|"cho\n/)
    t.match(gateway.records[0]?.failure, /upstream-(failed|down)/)
    await gateway.close()
    await upstream.close()
  }
})

t.test('a failure before the first event of a stream is a status, not an event', async t => {
  for (const [recording, status] of [
    [{ chunks: [] }, 502],
    [
      {
        chunks: [
          Buffer.from('event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n')
        ]
      },
      529
    ]
  ] as const) {
    await withUpstream(
      { status: 200, headers: SSE_HEADERS, chunks: [...recording.chunks] },
      async gateway => {
        const answer = await post(`${gateway.url}/v1/messages`, { ...ASK, stream: true })
        t.equal(answer.status, status)
        t.match(answer.json, { type: 'error' })
      },
      { provider: 'self-hosted' }
    )
  }
})

t.test('when the client leaves, the upstream is left too', async t => {
  const upstream = await recordedUpstream({
    status: 200,
    headers: SSE_HEADERS,
    chunks: [Buffer.from(FRAMES[0] ?? ''), Buffer.from(FRAMES[1] ?? '')],
    delays: [0, 2000]
  })
  const gateway = await gatewayTo(upstream.url)
  const leaving = new AbortController()
  const { body } = await request(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...ASK, stream: true }),
    signal: leaving.signal
  })
  body.once('data', () => leaving.abort())
  await body.text().catch(() => undefined)
  t.ok((await upstream.aborted()).abortedAt)
  t.match(gateway.records[0], { status: 499, clientGone: true })
  t.equal(gateway.gateway.metrics.inflight, 0)
  t.equal(gateway.gateway.running.size, 0)
  await gateway.close()
  await upstream.close()
})

t.test('a slow reader slows the upstream down instead of filling the memory', async t => {
  const frame = Buffer.from(`data: {"choices":[{"delta":{"content":"${'x'.repeat(60_000)}"}}]}\n\n`)
  let written = 0
  const upstream = await startUpstream((_, response) => {
    response.writeHead(200, SSE_HEADERS)
    const more = (): void => {
      while (written < 1500) {
        written++
        if (!response.write(frame)) return void response.once('drain', more)
      }
      response.end('data: [DONE]\n\n')
    }
    more()
  })
  const gateway = await gatewayTo(upstream.url)
  const { body } = await request(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ ...ASK, stream: true })
  })
  await new Promise(resolve => setTimeout(resolve, 500))
  // The kernel's buffers hold some megabytes; a gateway that read on would have taken all 90.
  t.ok(written < 700, `${written} of 1500 frames left the upstream`)
  let bytes = 0
  for await (const chunk of body) bytes += (chunk as Buffer).length
  t.equal(bytes, frame.length * 1500 + 14)
  await gateway.close()
  await upstream.close()
})

t.test('the next target is tried, then the declared fallback, before the client sees a byte', async t => {
  const good = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: [ANSWER] })
  const bad = await recordedUpstream({
    status: 503,
    headers: JSON_HEADERS,
    chunks: [Buffer.from('{"error":{"message":"loading"}}')]
  })
  const gateway = await testGateway({
    model_list: [
      entryTo(bad.url, { model_name: 'm', weight: 1000 }),
      entryTo(bad.url, { model_name: 'm' }),
      entryTo(good.url, { model_name: 'spare', model: 'spare-model' })
    ],
    routing: { fallbacks: { 'm*': ['nobody', 'spare'] } }
  })
  const answer = await post(`${gateway.url}/v1/chat/completions`, ASK)
  t.equal(answer.status, 200)
  t.equal(answer.headers['x-gateway-attempts'], '3')
  t.equal(answer.headers['x-model'], 'spare-model')
  t.match(JSON.parse(good.requests[0]?.body.toString() ?? ''), { model: 'spare-model' })
  t.equal(bad.requests.length, 2)
  t.match(
    await gateway.gateway.metrics.render(),
    /gateway_fallbacks_total\{from="m",to="spare",reason="upstream-overloaded"\} 1/
  )
  await gateway.close()
  await good.close()
  await bad.close()
})

t.test('a target that has no such thing as what is asked says so', async t => {
  const upstream = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: [ANSWER] })
  const gateway = await testGateway({
    model_list: [{ model_name: 'm', provider: 'anthropic', api_base: upstream.url, api_key: 'k' }]
  })
  t.teardown(async () => {
    await gateway.close()
    await upstream.close()
  })
  const answer = await post(`${gateway.url}/v1/embeddings`, { model: 'm', input: 'hello' })
  t.equal(answer.status, 400)
  t.match(errorOf(answer.json)['message'], /speaks anthropic; it cannot serve embeddings of openai-chat/)
  t.equal(upstream.requests.length, 0)
})
