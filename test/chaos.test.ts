// Upstreams that fail in every way that sockets can, in front of real clients of each dialect. After every case: exactly one
// end or one error, nothing left running on either side, counters that add up, and a next request that works.
import { createServer, type Socket } from 'node:net'
import { gunzipSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { request } from 'undici'
import { createDemo } from '../src/demo/demo.ts'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { type Asked, post, smallest } from './support/ask.ts'
import { closedPort, closeServer, listen, socketsOf } from './support/port.ts'
import { type Answer, playWire, startUpstream, type Upstream } from './support/upstream.ts'

type Entry = NonNullable<PartialConfig['model_list']>[number]

const TIMEOUTS = { connect: '400ms', first_token: '400ms', idle: '400ms', total: '3s' }
/** Every dialect's stream has begun by then, and none has ended. */
const MIDDLE = 2000
const TEXT = 'one two three four five six seven eight nine ten '.repeat(4)

/** How an answer of the demo is spoilt; `good` is what it would have been. */
type Fault = (good: Answer, ...at: Parameters<Answer>) => void

interface Case {
  readonly fault: Fault
  /** What a stream's client may see: a status and an error, or a stream that ends with one. */
  readonly expect: 'error' | 'broken' | 'fine' | 'either'
}

/** A body that came compressed; these clients ask for none, so only what an upstream insists on does. */
async function ask(url: string, body: object): Promise<Asked> {
  const answer = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  })
  const bytes = Buffer.from(await answer.body.arrayBuffer())
  const text = (answer.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
  let json: Asked['json']
  try {
    json = JSON.parse(text) as Record<string, unknown>
  } catch {
    json = undefined
  }
  return { status: answer.statusCode, headers: answer.headers, text, json }
}

const reset = (socket: Socket | null): void => void setImmediate(() => socket?.resetAndDestroy())

/** Lets the first bytes of a good answer out, and then something else happen. */
function after(bytes: number, happens: (response: Parameters<Answer>[1]) => void): Fault {
  return (good, request, response) => {
    const write = response.write.bind(response)
    let sent = 0
    let over = false
    const spoilt = (chunk: Buffer | string): boolean => {
      if (over) return true
      const piece = Buffer.from(chunk).subarray(0, bytes - sent)
      sent += piece.length
      if (piece.length > 0) write(piece)
      if (sent < bytes) return true
      over = true
      happens(response)
      return true
    }
    Object.assign(response, { write: spoilt })
    const end = response.end.bind(response)
    Object.assign(response, {
      end: (chunk?: Buffer) => {
        if (chunk !== undefined) spoilt(chunk)
        if (!over) end()
        return response
      }
    })
    good(request, response)
  }
}

function status(code: number, body: string, headers: Record<string, string> = {}): Fault {
  return (_good, _request, response) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers })
    response.end(body)
  }
}

const SAID = '{"error":{"message":"no","type":"server_error"}}'
const PAGE = '<!doctype html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>'

const CASES: Readonly<Record<string, Case>> = {
  'reset before the headers': { fault: (_good, _request, response) => reset(response.socket), expect: 'error' },
  'reset after the headers': {
    fault: (_good, _request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      reset(response.socket)
    },
    expect: 'error'
  },
  'reset in the middle': { fault: after(MIDDLE, response => reset(response.socket)), expect: 'broken' },
  'hang before the headers': { fault: () => undefined, expect: 'error' },
  'hang before the first token': {
    fault: (_good, _request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
    },
    expect: 'error'
  },
  'hang in the middle': { fault: after(MIDDLE, () => undefined), expect: 'broken' },
  'end in the middle': { fault: after(MIDDLE, response => void response.socket?.end()), expect: 'broken' },
  'end of the stream in the middle': {
    fault: (good, request, response) => {
      const end = response.end.bind(response)
      after(MIDDLE, () => void end())(good, request, response)
    },
    expect: 'broken'
  },
  'an error as the first event, and more after it': {
    fault: (good, request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n')
      Object.assign(response, { writeHead: () => response })
      setTimeout(() => good(request, response), 20)
    },
    expect: 'error'
  },
  'an error that says 200': { fault: status(200, SAID), expect: 'error' },
  'slow drip': {
    fault: (good, request, response) => {
      const write = response.write.bind(response)
      const end = response.end.bind(response)
      const pieces: Buffer[] = []
      let whole = false
      const drip = (): void => {
        const piece = pieces.shift()
        if (piece !== undefined) write(piece)
        if (piece !== undefined || !whole) setTimeout(drip, 1)
        else end()
      }
      const cut = (chunk: Buffer | string): boolean => {
        const bytes = Buffer.from(chunk)
        for (let at = 0; at < bytes.length; at += 97) pieces.push(bytes.subarray(at, at + 97))
        return true
      }
      Object.assign(response, {
        write: cut,
        end: (chunk?: Buffer) => {
          if (chunk !== undefined) cut(chunk)
          whole = true
          return response
        }
      })
      drip()
      good(request, response)
    },
    expect: 'fine'
  },
  '429 with retry-after': { fault: status(429, SAID, { 'retry-after': '7' }), expect: 'error' },
  '429 without retry-after': { fault: status(429, SAID), expect: 'error' },
  '500': { fault: status(500, SAID), expect: 'error' },
  '502': { fault: status(502, ''), expect: 'error' },
  '503': { fault: status(503, SAID), expect: 'error' },
  '529': {
    fault: status(529, '{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'),
    expect: 'error'
  },
  'an HTML error page': { fault: status(502, PAGE, { 'content-type': 'text/html' }), expect: 'error' },
  'an HTML page that says 200': { fault: status(200, PAGE, { 'content-type': 'text/html' }), expect: 'error' },
  'invalid JSON': { fault: status(200, '{"choices":[{"mess'), expect: 'error' },
  'no JSON at all': { fault: status(200, 'Internal Server Error'), expect: 'error' },
  'an empty answer': { fault: status(200, ''), expect: 'error' },
  'a wrong content type': {
    fault: (good, request, response) => {
      const head = response.writeHead.bind(response)
      Object.assign(response, {
        writeHead: (code: number) => head(code, { 'content-type': 'text/plain; charset=utf-8' })
      })
      good(request, response)
    },
    expect: 'either'
  },
  gzip: {
    fault: (good, request, response) => {
      const pieces: Buffer[] = []
      const head = response.writeHead.bind(response)
      const end = response.end.bind(response)
      let headers: Record<string, unknown> = {}
      Object.assign(response, {
        writeHead: (_code: number, given: Record<string, unknown>) => {
          headers = given
          return response
        },
        flushHeaders: () => undefined,
        write: (chunk: Buffer) => pieces.push(chunk) > 0,
        end: (chunk?: Buffer) => {
          if (chunk !== undefined) pieces.push(chunk)
          const { 'content-length': _, ...rest } = headers
          head(200, { ...(rest as Record<string, string>), 'content-encoding': 'gzip' })
          return end(gzipSync(Buffer.concat(pieces)))
        }
      })
      good(request, response)
    },
    expect: 'either'
  },
  trailers: {
    fault: (good, request, response) => {
      const end = response.end.bind(response)
      Object.assign(response, {
        end: (chunk?: Buffer) => {
          response.addTrailers({ 'x-checksum': 'abc' })
          return end(chunk)
        }
      })
      good(request, response)
    },
    expect: 'fine'
  },
  'an early close with content-length': {
    fault: (_good, _request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000' })
      response.write('{"choices":[')
      setTimeout(() => response.socket?.end(), 5)
    },
    expect: 'error'
  }
}

/** Client, and what the upstream speaks. */
const PAIRS: readonly (readonly [client: string, upstream: string])[] = [
  ['openai-chat', 'openai-chat'],
  ['anthropic', 'anthropic'],
  ['openai-responses', 'openai-responses'],
  ['gemini', 'gemini'],
  ['anthropic', 'openai-chat'],
  ['openai-chat', 'anthropic']
]

/** What is wrong with how an answer ends, if anything; and whether it is an error. */
function ending(dialect: string, stream: boolean, answer: Asked): { failed: boolean; problem?: string } {
  if (answer.status !== 200 || !stream || String(answer.headers['content-type']).includes('json')) {
    if (answer.json === undefined)
      return { failed: true, problem: `no JSON: ${answer.status} ${answer.text.slice(0, 200)}` }
    const error = answer.json['error'] ?? (answer.json['type'] === 'error' ? answer.json : undefined)
    const failed = error !== undefined && error !== null
    return failed === answer.status >= 400
      ? { failed }
      : { failed, problem: `${answer.status} ${answer.text.slice(0, 200)}` }
  }
  const frames = answer.text.split(/\r?\n\r?\n/).filter(frame => frame.trim() !== '')
  for (const frame of frames) {
    const data = frame
      .split(/\r?\n/)
      .filter(line => line.startsWith('data:'))
      .map(line => line.slice(5))
      .join('\n')
    if (data === '' || data.trim() === '[DONE]') continue
    try {
      JSON.parse(data)
    } catch {
      return { failed: true, problem: `half an event: ${data.slice(0, 200)}` }
    }
  }
  const has = (pattern: RegExp): number => frames.filter(frame => pattern.test(frame)).length
  const ends: Readonly<Record<string, readonly [good: RegExp, bad: RegExp]>> = {
    'openai-chat': [/^data: ?\[DONE\]/m, /^data: ?\{"error"/m],
    anthropic: [/"message_stop"/, /^event: error/m],
    'openai-responses': [/^event: response\.completed/m, /^event: response\.failed/m],
    gemini: [/"finishReason"/, /^data: ?\{"error"/m]
  }
  const [good, bad] = (ends[dialect] ?? []).map(has)
  if (good === undefined || bad === undefined) return { failed: true, problem: 'an unknown dialect' }
  return good + bad === 1
    ? { failed: bad === 1 }
    : { failed: bad > 0, problem: `${good} ends and ${bad} errors: ${answer.text.slice(-300)}` }
}

async function settled(gateway: TestGateway): Promise<string[]> {
  const left = () => {
    const { metrics, running, runtime } = gateway.gateway
    const inflight = runtime.targets.reduce((sum, { state }) => sum + state.inflight + state.waiting, 0)
    return { requests: metrics.inflight, running: running.size, slots: inflight }
  }
  for (let count = 0; count < 50 && Object.values(left()).some(value => value !== 0); count++)
    await new Promise(resolve => setTimeout(resolve, 10))
  return Object.entries(left()).flatMap(([name, value]) => (value === 0 ? [] : [`${value} ${name} left`]))
}

/** Answers that the upstream still owes, half a second after everybody has left. */
async function owed(open: Set<unknown>): Promise<number> {
  for (let count = 0; count < 50 && open.size > 0; count++) await new Promise(resolve => setTimeout(resolve, 10))
  return open.size
}

interface Faulty {
  readonly upstream: Upstream
  readonly open: Set<unknown>
  fault: Fault | undefined
}

async function faultyUpstream(): Promise<Faulty> {
  const good = playWire(createDemo())
  const open = new Set<unknown>()
  const faulty: { upstream?: Upstream; open: Set<unknown>; fault: Fault | undefined } = { open, fault: undefined }
  faulty.upstream = await startUpstream((request, response) => {
    open.add(response)
    response.on('close', () => open.delete(response))
    const { fault } = faulty
    faulty.fault = undefined
    if (fault === undefined) good(request, response)
    else fault(good, request, response)
  })
  return faulty as Faulty
}

function entry(url: string, dialect: string, more: object = {}): Entry {
  return {
    model_name: 'm',
    provider: 'self-hosted',
    dialect,
    api_base: url,
    api_key: 'k',
    model: 'demo',
    timeouts: TIMEOUTS,
    headers: { 'x-demo-pace': '0ms', 'x-demo-text': TEXT },
    ...more
  } as Entry
}

// Most of the time is spent waiting for timers.
t.jobs = PAIRS.length
for (const [client, dialect] of PAIRS) {
  t.test(`${client} by ${dialect}`, { buffered: true }, async t => {
    const faulty = await faultyUpstream()
    const gateway = await testGateway({ model_list: [entry(faulty.upstream.url, dialect)] })
    let asked = 0
    const askFor = async (stream: boolean): Promise<Asked> => {
      asked++
      const [path, body] = smallest(client, 'm', stream)
      return ask(gateway.url + path, body)
    }
    for (const [name, { fault, expect }] of Object.entries(CASES)) {
      for (const stream of [true, false]) {
        const what = `${name}${stream ? '' : ', not streamed'}`
        faulty.fault = fault
        const started = performance.now()
        const answer = await askFor(stream)
        const took = performance.now() - started
        const { failed, problem } = ending(client, stream, answer)
        t.equal(problem, undefined, what)
        if (expect === 'fine') t.equal(failed, false, `${what}: it works`)
        // A whole answer may be shorter than where a stream breaks.
        else if (expect !== 'either' && (stream || expect === 'error')) t.equal(failed, true, `${what}: it is told`)
        if (expect === 'broken' && stream) t.equal(answer.status, 200, `${what}: after its first byte`)
        if (expect === 'error') t.ok(answer.status >= 400, `${what}: ${answer.status}`)
        t.ok(took < 2500, `${what}: ${Math.round(took)} ms`)
        t.same(await settled(gateway), [], what)
        t.equal(await owed(faulty.open), 0, `${what}: no orphan`)
        faulty.fault = undefined
        const next = await askFor(stream)
        const good = ending(client, stream, next)
        t.same([next.status, good.failed, good.problem], [200, false, undefined], `${what}: the next one works`)
      }
    }
    t.equal(gateway.records.length, asked)
    const text = await gateway.gateway.metrics.render()
    const sum = (series: string) =>
      [...text.matchAll(new RegExp(`^${series}\\{.*\\} (\\d+)$`, 'gm'))].reduce(
        (all, found) => all + Number(found[1]),
        0
      )
    t.equal(sum('gateway_requests_total'), asked, 'each is counted once')
    t.equal(sum('gateway_upstream_attempts_total'), faulty.upstream.requests.length, 'and each try')
    t.same(gateway.bugs, [])
    await gateway.close()
    await faulty.upstream.close()
  })
}

t.test('what cannot be connected to is told by the address, and which timer fired', async t => {
  // Accepts, and never says a word: no TLS comes about.
  const silent = createServer(socket => socket.on('error', () => undefined))
  const sockets = socketsOf(silent)
  const silentPort = await listen(silent)
  const plain = await faultyUpstream()
  const cases: [string, string, RegExp][] = [
    ['refused', `http://127.0.0.1:${await closedPort()}`, /Cannot connect to .*refused/],
    ['no such host', 'http://no-such-host.invalid:9', /Cannot connect to .*(unknown|looked up)/],
    ['a handshake that hangs', `https://127.0.0.1:${silentPort}`, /no connection within 0\.4 s \(timeouts\.connect\)/],
    [
      'TLS where there is none',
      `https://127.0.0.1:${plain.upstream.port}`,
      /self-hosted \(https:\/\/127\.0\.0\.1:\d+\).*TLS/
    ]
  ]
  for (const [what, url, message] of cases) {
    const gateway = await testGateway({ model_list: [entry(url, 'anthropic')] })
    for (const stream of [true, false]) {
      const [path, body] = smallest('anthropic', 'm', stream)
      const answer = await post(gateway.url + path, body)
      t.ok(answer.status >= 502 && answer.status <= 504, `${what}: ${answer.status}`)
      t.match((answer.json?.['error'] as { message?: string } | undefined)?.message, message, what)
      t.same(await settled(gateway), [], what)
    }
    await gateway.close()
  }
  await plain.upstream.close()
  await closeServer(silent, sockets)
})

t.test('64 streams whose upstream dies before its first token, with a healthy fallback: nobody sees it', async t => {
  for (const [client, dialect] of PAIRS) {
    let failed = 0
    const dying = await startUpstream((_request, response) => {
      failed++
      const ways = [
        () => reset(response.socket),
        () => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.flushHeaders()
          reset(response.socket)
        },
        () => void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(),
        () => void response.writeHead(503, { 'content-type': 'text/html' }).end(PAGE)
      ]
      ways[failed % ways.length]?.()
    })
    const healthy = await faultyUpstream()
    const gateway = await testGateway({
      model_list: [
        entry(dying.url, dialect, { timeouts: {} }),
        entry(healthy.upstream.url, dialect, { model_name: 'spare', timeouts: {} })
      ],
      routing: { fallbacks: { m: ['spare'] }, cooldown: { failures: 0 } }
    })
    const [path, body] = smallest(client, 'm', true)
    const started = performance.now()
    const answers = await Promise.all(Array.from({ length: 64 }, () => post(gateway.url + path, body)))
    const bad = answers.filter(answer => answer.status !== 200 || ending(client, true, answer).failed)
    const odd = answers.map(answer => ending(client, true, answer).problem).filter(problem => problem !== undefined)
    t.equal(bad.length, 0, `${client} by ${dialect}`)
    t.same(odd, [])
    t.equal(failed, 64, 'each has seen the one that dies')
    t.same(await settled(gateway), [])
    t.comment(`${client} by ${dialect}: ${Math.round(performance.now() - started)} ms`)
    await gateway.close()
    await dying.close()
    await healthy.upstream.close()
  }
})

t.test('64 streams whose upstream dies after its first token: each ends with one well-formed error', async t => {
  for (const [client, dialect] of PAIRS) {
    const good = playWire(createDemo())
    const broken = await startUpstream((request, response) => {
      after(MIDDLE + (request.body.length % 7) * 40, spoilt => reset(spoilt.socket))(good, request, response)
    })
    const gateway = await testGateway({ model_list: [entry(broken.url, dialect, { timeouts: {} })] })
    const [path, body] = smallest(client, 'm', true)
    const started = performance.now()
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, index) =>
        post(gateway.url + path, { ...body, metadata: { user_id: 'x'.repeat(index) } })
      )
    )
    const endings = answers.map(answer => ending(client, true, answer))
    t.same(
      endings.map(({ problem }) => problem).filter(problem => problem !== undefined),
      [],
      `${client} by ${dialect}`
    )
    t.equal(endings.filter(({ failed }) => failed).length, 64)
    t.same(await settled(gateway), [])
    t.comment(`${client} by ${dialect}: ${Math.round(performance.now() - started)} ms`)
    await gateway.close()
    await broken.close()
  }
})
