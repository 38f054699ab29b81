import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

interface Upstream {
  readonly url: string
  readonly seen: Seen[]
  close(): void
}

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void

/** An upstream that remembers what it was sent. */
async function upstream(t: Test, answer: Answer = (_, response) => response.end('ok')): Promise<Upstream> {
  const seen: Seen[] = []
  const url = await serve(t, (request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
      answer(request, response, body)
    })
  })
  return { url, seen, close: () => undefined }
}

async function serve(t: Test, listener: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function gatewayFor(t: Test, config: PartialConfig): Promise<TestGateway> {
  const gateway = await testGateway(config)
  t.teardown(async () => {
    await gateway.close()
    if (gateway.bugs[0] !== undefined) throw gateway.bugs[0]
  })
  return gateway
}

/** One request by hand: the target exactly as written. Resolves with the whole answer. */
async function raw(url: string, head: string, body = ''): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.setEncoding('latin1')
  socket.write(`${head}\r\nhost: ${hostname}:${port}\r\nconnection: close\r\n\r\n${body}`)
  for await (const chunk of socket) answer += chunk
  return answer
}

const settled = async (gateway: TestGateway, count: number): Promise<void> => {
  for (let tries = 0; gateway.records.length < count && tries < 300; tries++)
    await new Promise(resolve => setTimeout(resolve, 10))
}

t.test('a declared upstream gets the bytes, the query and our credentials, and nothing of the client’s', async t => {
  const behind = await upstream(t, (_, response) => {
    const headers = {
      'content-type': 'text/x-odd',
      'set-cookie': 'a=b',
      server: 'secret/1.0',
      'openai-organization': 'org-ours',
      'x-kept': 'yes',
      'access-control-allow-origin': '*',
      'x-task-id': 'theirs'
    }
    response.writeHead(201, headers).end(Buffer.from([0, 255, 1]))
  })
  const gateway = await gatewayFor(t, {
    auth: { master_key: 'sk-master' },
    passthrough: { openai: { target: `${behind.url}/base/`, headers: { Authorization: 'Bearer upstream-secret' } } }
  })
  const body = Buffer.from([1, 2, 0, 200, 13, 10])
  const response = await fetch(`${gateway.url}/passthrough/openai/v1/a%2Fb/c?x=1%202&key=sk-master&y=%7E`, {
    method: 'PATCH',
    body,
    headers: {
      'x-api-key': 'sk-master',
      'api-key': 'one',
      'x-goog-api-key': 'two',
      cookie: 'c=d',
      'proxy-authorization': 'Basic x',
      'content-type': 'application/x-protobuf',
      'x-custom': 'kept'
    }
  })
  t.equal(response.status, 201)
  t.same(Buffer.from(await response.arrayBuffer()), Buffer.from([0, 255, 1]))
  t.match(Object.fromEntries(response.headers), {
    'content-type': 'text/x-odd',
    'x-kept': 'yes',
    'x-provider': 'openai',
    'x-gateway-config': '1'
  })
  for (const name of ['set-cookie', 'server', 'openai-organization', 'access-control-allow-origin'])
    t.notOk(response.headers.has(name), name)
  const [sent] = behind.seen
  t.match(sent, { method: 'PATCH', url: '/base/v1/a%2Fb/c?x=1%202&y=%7E' })
  t.same(sent?.body, body)
  t.match(sent?.headers, {
    authorization: 'Bearer upstream-secret',
    'content-type': 'application/x-protobuf',
    'x-custom': 'kept',
    'content-length': '6',
    host: new URL(behind.url).host
  })
  const gone = ['x-api-key', 'api-key', 'x-goog-api-key', 'cookie', 'proxy-authorization', 'transfer-encoding']
  for (const name of gone) t.notOk(name in (sent?.headers ?? {}), name)
  await settled(gateway, 1)
  const [record] = gateway.records
  t.match(record, {
    id: response.headers.get('x-task-id'),
    endpoint: '/passthrough/{name}',
    provider: 'openai',
    status: 201,
    bytesIn: 6,
    bytesOut: 3,
    clientGone: false,
    attempts: [{ target: 'passthrough/openai', reason: 'ok' }]
  })
  t.equal(gateway.gateway.metrics.inflight, 0)
  t.match(
    await gateway.gateway.metrics.render(),
    'gateway_requests_total{model="none",provider="openai",endpoint="/passthrough/{name}",status="2xx"} 1'
  )
})

t.test('every method passes, with and without a body', async t => {
  const behind = await upstream(t, (request, response) => {
    response.setHeader('etag', 'x')
    if (request.url === '/304') response.writeHead(304).end()
    else if (request.url === '/204') response.writeHead(204).end()
    else response.setHeader('content-length', 5).end('12345')
  })
  const gateway = await gatewayFor(t, { passthrough: { a: { target: behind.url } } })
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
    t.equal(await (await fetch(`${gateway.url}/passthrough/a/m`, { method })).text(), '12345', method)
  const head = await fetch(`${gateway.url}/passthrough/a/m`, { method: 'HEAD' })
  t.equal(head.headers.get('content-length'), '5')
  t.equal((await fetch(`${gateway.url}/passthrough/a/204`)).status, 204)
  const cached = await fetch(`${gateway.url}/passthrough/a/304`)
  t.equal(cached.status, 304)
  t.equal(cached.headers.get('etag'), 'x')
  await fetch(`${gateway.url}/passthrough/a/d`, { method: 'DELETE', body: 'why' })
  t.equal(behind.seen.at(-1)?.body.toString(), 'why')
  t.equal((await fetch(`${gateway.url}/passthrough/a`)).status, 200)
  t.equal(behind.seen.at(-1)?.url, '/')
  t.match(await raw(gateway.url, 'GET /passthrough/a/x HTTP/1.1\r\ncontent-length: 3', 'abc'), /^HTTP\/1.1 400/)
  t.match(
    await raw(
      gateway.url,
      'POST /passthrough/a/p HTTP/1.1\r\ncontent-type: text/plain\r\nexpect: 100-continue\r\ncontent-length: 3',
      'abc'
    ),
    /200 OK/
  )
  t.equal(behind.seen.at(-1)?.body.toString(), 'abc')
  const named = 'connection: x-secret-hop, close\r\nx-secret-hop: 1\r\nte: trailers\r\nkeep-alive: timeout=1'
  await raw(gateway.url, `GET /passthrough/a/hop HTTP/1.1\r\n${named}`)
  for (const name of ['x-secret-hop', 'te', 'keep-alive']) t.notOk(name in (behind.seen.at(-1)?.headers ?? {}), name)
})

t.test('no path leaves the base', async t => {
  const behind = await upstream(t)
  const evil = await upstream(t)
  const gateway = await gatewayFor(t, { passthrough: { a: { target: `${behind.url}/base` } } })
  const { host } = new URL(evil.url)
  const tricks = [
    '/../x',
    '/..',
    '/.',
    '/a/../../x',
    '/%2e%2e/x',
    '/.%2E/x',
    '/a/%2e%2e%2f%2e%2e%2fx',
    '/%252e%252e/x',
    '/%25252e%25252e/x',
    '/..%2fx',
    '/..%5cx',
    '/..\\x',
    '/a\\..\\..\\x',
    `//${host}/x`,
    `/%2f${host}/x`,
    `/\\${host}/x`,
    '/..;/x',
    '/x%0d%0aevil:1',
    '/x%00',
    '/%',
    '/%zz',
    '/a#b',
    '/%2e%2e',
    '/x/%2E%2E/%2E%2E/y',
    '/%c0%ae%c0%ae/x'
  ]
  for (const trick of tricks) {
    const answer = await raw(gateway.url, `GET /passthrough/a${trick} HTTP/1.1`)
    t.match(answer, /^HTTP\/1\.1 (400|404) /, trick)
  }
  t.match(await raw(gateway.url, `GET http://${host}/passthrough/a/x HTTP/1.1`), /^HTTP\/1\.1 400 /)
  t.match(await raw(gateway.url, `GET /passthrough/a@${host}/x HTTP/1.1`), /^HTTP\/1\.1 404 /)
  t.same(evil.seen, [])
  t.same(behind.seen, [])
  for (const fine of ['/a..b', '/a%20b', '/%F0%9F%98%80', '/x:y@z', '/a//b', '/org%2Fmodel', '/100%25'])
    t.match(await raw(gateway.url, `GET /passthrough/a${fine} HTTP/1.1`), /^HTTP\/1\.1 200 /, fine)
  t.same(
    behind.seen.map(one => one.url),
    [
      '/base/a..b',

      '/base/a%20b',
      '/base/%F0%9F%98%80',
      '/base/x:y@z',
      '/base/a//b',
      '/base/org%2Fmodel',
      '/base/100%25'
    ]
  )
})

t.test('an unknown name lists the declared ones, and a reload is seen by the next request', async t => {
  const one = await upstream(t, (_, response) => response.end('one'))
  const two = await upstream(t, (_, response) => response.end('two'))
  const gateway = await gatewayFor(t, { passthrough: { first: { target: one.url } } })
  const unknown = await fetch(`${gateway.url}/passthrough/other/x`)
  t.equal(unknown.status, 404)
  t.ok(unknown.headers.get('x-task-id'))
  t.match(await unknown.text(), 'first')
  t.equal((await fetch(`${gateway.url}/passthrough/__proto__/x`)).status, 404)
  t.equal(await (await fetch(`${gateway.url}/passthrough/first/x`)).text(), 'one')
  gateway.reload({ passthrough: { first: { target: two.url } } })
  const after = await fetch(`${gateway.url}/passthrough/first/x`)
  t.equal(await after.text(), 'two')
  t.equal(after.headers.get('x-gateway-config'), '2')
})

t.test('events are passed on as they come, and their head before them', async t => {
  let response: ServerResponse | undefined
  const url = await serve(t, (_, answer) => {
    response = answer
    answer.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
  const gateway = await gatewayFor(t, { passthrough: { a: { target: url } } })
  const answer = await fetch(`${gateway.url}/passthrough/a/events`)
  t.equal(answer.headers.get('x-accel-buffering'), 'no')
  const reader = answer.body?.getReader()
  for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
    response?.write(text)
    t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), text)
  }
  response?.end()
  t.ok((await reader?.read())?.done)
  await settled(gateway, 1)
  t.match(gateway.records[0], { stream: true, status: 200, bytesOut: 18 })
})

t.test('an upload is passed on while it comes, and bounded', async t => {
  let first: (chunk: string) => void = () => undefined
  const begun = new Promise<string>(resolve => (first = resolve))
  const url = await serve(t, (request, response) => {
    request.on('error', () => undefined)
    request.once('data', chunk => first(String(chunk)))
    request.on('data', () => undefined)
    request.on('end', () => response.end('whole'))
  })
  const gateway = await gatewayFor(t, { server: { body_limit: '1kb' }, passthrough: { a: { target: url } } })
  const upload = (): { request: ReturnType<typeof httpRequest>; answered: Promise<string> } => {
    const request = httpRequest(`${gateway.url}/passthrough/a/up`, { method: 'POST' })
    const answered = new Promise<string>(resolve => {
      request.on('error', error => resolve(error.message))
      request.on('response', response => {
        let text = `${response.statusCode} `
        response.on('data', chunk => (text += chunk)).on('end', () => resolve(text))
      })
    })
    return { request, answered }
  }
  const small = upload()
  small.request.write('part')
  t.equal(await begun, 'part')
  small.request.end('rest')
  t.equal(await small.answered, '200 whole')
  const large = upload()
  large.request.write('x'.repeat(1000))
  await new Promise(resolve => setTimeout(resolve, 20))
  large.request.write('x'.repeat(1000))
  t.match(await large.answered, /^413 .*1024/)
  const declared = await fetch(`${gateway.url}/passthrough/a/up`, { method: 'POST', body: 'x'.repeat(1025) })
  t.equal(declared.status, 413)
})

t.test('a redirect is not followed, and tells no secret', async t => {
  let location = ''
  const behind = await upstream(t, (_, response) => response.writeHead(302, { location }).end())
  const gateway = await gatewayFor(t, {
    passthrough: { a: { target: `${behind.url}/base`, headers: { authorization: 'Bearer sk-upstream-1' } } }
  })
  const cases: [string, string | null][] = [
    ['/base/next?x=1', '/passthrough/a/next?x=1'],
    ['next', '/passthrough/a/deep/next'],
    [`${behind.url}/base/abs`, '/passthrough/a/abs'],
    ['/elsewhere', `${behind.url}/elsewhere`],
    ['https://user:word@other.example/x', 'https://other.example/x'],
    ['https://other.example/?token=sk-upstream-1', null],
    ['http://[broken', null]
  ]
  for (const [sent, shown] of cases) {
    location = sent
    const response = await fetch(`${gateway.url}/passthrough/a/deep/er`, { redirect: 'manual' })
    t.equal(response.status, 302)
    t.equal(response.headers.get('location'), shown, sent)
  }
  t.equal(behind.seen.length, cases.length)
})

t.test('an upstream’s errors pass as they are, and are asked for once', async t => {
  const behind = await upstream(t, (_, response) => response.writeHead(503, { 'retry-after': '7' }).end('{"no":1}'))
  const gateway = await gatewayFor(t, { passthrough: { a: { target: behind.url } } })
  const response = await fetch(`${gateway.url}/passthrough/a/x`)
  t.equal(response.status, 503)
  t.equal(response.headers.get('retry-after'), '7')
  t.equal(await response.text(), '{"no":1}')
  t.equal(behind.seen.length, 1)
})

t.test('an upstream that is down, dies or is silent is told so, with what to do', async t => {
  const dead = await serve(t, request => request.socket.destroy())
  const silent = await serve(t, () => undefined)
  const gateway = await gatewayFor(t, {
    passthrough: { down: { target: 'http://127.0.0.1:9' }, dead: { target: dead } },
    model_list: [
      { model_name: 'slow', provider: 'custom', api_base: silent, timeouts: { first_token: '200ms' } },
      { model_name: 'late', provider: 'custom', api_base: silent, timeouts: { total: '100ms' } }
    ]
  })
  const down = await fetch(`${gateway.url}/passthrough/down/x`)
  t.equal(down.status, 502)
  t.match(await down.json(), { error: { message: /down \(http:\/\/127\.0\.0\.1:9\).*refused/ } })
  const broken = await fetch(`${gateway.url}/passthrough/dead/x`, { method: 'POST', body: 'x' })
  t.equal(broken.status, 502)
  t.ok(broken.headers.get('x-task-id'))
  for (const model of ['slow', 'late']) {
    const slow = await fetch(`${gateway.url}/v1/moderations`, { method: 'POST', body: JSON.stringify({ model }) })
    t.equal(slow.status, 504, model)
    t.match(await slow.text(), model === 'slow' ? 'timeouts.first_token' : 'timeouts.total')
  }
  await settled(gateway, 4)
  t.same(
    gateway.records.map(record => record.failure),
    ['upstream-down', 'upstream-down', 'upstream-timed-out', 'upstream-timed-out']
  )
})

t.test('an upstream that breaks off in the middle breaks the answer off', async t => {
  const url = await serve(t, (request, response) => {
    response.write('part')
    setTimeout(() => request.socket.destroy(), 50)
  })
  const gateway = await gatewayFor(t, { passthrough: { a: { target: url } } })
  const response = await fetch(`${gateway.url}/passthrough/a/x`)
  await t.rejects(response.text())
  await settled(gateway, 1)
  t.match(gateway.records[0], { clientGone: false, failure: 'upstream-down' })
})

t.test('a client that leaves takes the upstream call with it', async t => {
  for (const begun of [false, true]) {
    let gone: () => void = () => undefined
    const left = new Promise<void>(resolve => (gone = resolve))
    const url = await serve(t, (request, response) => {
      request.socket.on('close', () => gone())
      if (begun) response.write('part')
    })
    const gateway = await gatewayFor(t, { passthrough: { a: { target: url } } })
    const control = new AbortController()
    const asked = fetch(`${gateway.url}/passthrough/a/x`, { signal: control.signal })
    if (begun) await asked
    setTimeout(() => control.abort(), 50)
    await (begun ? left : Promise.all([t.rejects(asked), left]))
    await settled(gateway, 1)
    t.match(gateway.records[0], { clientGone: true, status: 499, attempts: [{ reason: 'aborted' }] })
    t.equal(gateway.gateway.running.size, 0)
  }
})

t.test('the gate stands before these routes too', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, { auth: { master_key: 'sk-master' }, passthrough: { a: { target: behind.url } } })
  for (const path of ['/passthrough/a/x', '/v1/files', '/images/generations']) {
    const refused = await fetch(gateway.url + path)
    t.equal(refused.status, 401, path)
    t.ok(refused.headers.get('x-task-id'))
  }
  gateway.gateway.draining = true
  t.equal((await fetch(`${gateway.url}/passthrough/a/x`, { headers: { 'x-api-key': 'sk-master' } })).status, 503)
  gateway.gateway.draining = false
  t.same(behind.seen, [])
  const open = await gatewayFor(t, { passthrough: { a: { target: behind.url } } })
  const page = await fetch(`${open.url}/passthrough/a/x`, { headers: { origin: 'https://evil.example' } })
  t.equal(page.status, 403)
})

const provider = (behind: Upstream): PartialConfig => ({
  backends: {
    main: { provider: 'custom', api_base: `${behind.url}/openai/v1`, api_key: 'sk-main' },
    other: { provider: 'custom', api_base: `${behind.url}/other/v1`, api_key: 'sk-other' }
  },
  model_list: [
    { model_name: 'draw-*', provider: 'custom', api_base: `${behind.url}/v1`, api_key: 'sk-draw', model: 'dall-*' },
    { model_name: 'claude', provider: 'anthropic', api_key: 'x' },
    { model_name: 'shown', provider: 'demo' }
  ]
})

t.test('a provider is chosen by backend, model, activity, in this order', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, provider(behind))
  const ask = async (path: string, init: RequestInit = {}): Promise<Seen | string> => {
    const before = behind.seen.length
    const response = await fetch(gateway.url + path, init)
    const text = await response.text()
    return behind.seen[before] ?? `${response.status} ${text}`
  }
  const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers }
  })
  t.match(await ask('/v1/images/generations', json({ model: 'draw-3', prompt: 'x' })), {
    url: '/v1/images/generations',
    headers: { authorization: 'Bearer sk-draw' },
    body: Buffer.from('{"model":"dall-3","prompt":"x"}')
  })
  const named = await ask('/images/generations', json({ model: 'draw-3' }, { 'x-gateway-backend': 'other' }))
  t.match(named, { url: '/other/v1/images/generations', body: Buffer.from('{"model":"draw-3"}') })
  t.notOk('x-gateway-backend' in (named as Seen).headers)
  t.match(await ask('/v1/files?backend=main&purpose=a%20b'), {
    url: '/openai/v1/files?purpose=a%20b',
    headers: { authorization: 'Bearer sk-main' }
  })
  t.match(await ask('/v1/audio/voices?model=draw-2&x=1'), { url: '/v1/audio/voices?model=dall-2&x=1' })
  t.match(await ask('/v1/files'), '400')
  t.match(await ask('/v1/files'), 'x-gateway-backend')
  t.match(await ask('/v1/files'), 'main, other')
  t.match(await ask('/v1/files?backend=none'), 'main, other')
  t.match(await ask('/v1/images/edits', json({ model: 'gpt-9' })), /^404 .*x-gateway-backend/)
  t.match(await ask('/v1/images/edits', json({ model: 'claude' })), /^400 .*anthropic/)
  t.match(await ask('/v1/images/edits', json({ model: 'shown' })), /^400 .*demo/)
  t.match(await ask('/v1/images/edits', json({ model: 7 })), /^400 .*model/)
  t.match(await ask('/v1/images/edits', json([1])), /^400 /)
  gateway.reload({ ...provider(behind), active_backend: 'other' })
  t.match(await ask('/v1/files'), { url: '/other/v1/files' })
  t.match(await ask('/v1/batches/b_1/cancel', { method: 'POST' }), {
    url: '/other/v1/batches/b_1/cancel',
    method: 'POST'
  })
  t.match(await ask('/v1/responses/r_1/input_items?limit=2'), { url: '/other/v1/responses/r_1/input_items?limit=2' })
  t.match(await ask('/v1/responses/r_1', { method: 'DELETE' }), { method: 'DELETE', url: '/other/v1/responses/r_1' })
  t.match(await ask('/v1/vector_stores', json({ name: 'v' })), {
    url: '/other/v1/vector_stores',
    body: Buffer.from('{"name":"v"}')
  })
  t.match(await ask('/vector_stores/v/files'), { url: '/other/v1/vector_stores/v/files' })
  t.match(await ask('/v2/rerank', json({ query: 'q' })), { url: '/other/v2/rerank' })
  t.match(await ask('/rerank', json({ query: 'q' })), { url: '/other/v1/rerank' })
  gateway.reload({ backends: { one: { provider: 'custom', api_base: behind.url } } })
  t.match(await ask('/v1/files/f_1/content'), { url: '/v1/files/f_1/content' })
  await settled(gateway, 1)
  t.match(gateway.records[0], {
    endpoint: '/v1/images/*',
    model: 'draw-3',
    route: 'draw-*',
    upstreamModel: 'dall-3',
    provider: 'custom',
    status: 200
  })
})

t.test('bodies to a provider keep every byte but the model', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, { ...provider(behind), server: { body_limit: '1mb' } })
  const odd = '{ "b" : "\\u00e9\\/" ,\n"m\\u006fdel":\t"draw-1", "n":1.0e2,"deep":{"model":"draw-1"} } '
  await fetch(`${gateway.url}/v1/moderations`, {
    method: 'POST',
    body: odd,
    headers: { 'content-type': 'application/json' }
  })
  t.equal(behind.seen[0]?.body.toString(), odd.replace('\t"draw-1"', '\t"dall-1"'))
  const packed = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  await fetch(`${gateway.url}/v1/moderations`, {
    method: 'POST',
    body: gzipSync('{"model":"draw-1"}'),
    headers: packed
  })
  t.equal(behind.seen[1]?.body.toString(), '{"model":"dall-1"}')
  t.notOk('content-encoding' in (behind.seen[1]?.headers ?? {}))
  const form = new FormData()
  form.append('file', new Blob([Buffer.alloc(300_000, 0x0d)]), 'a.wav')
  form.append('model', 'draw-44')
  form.append('language', 'ä')
  const encoded = new Response(form)
  const type = encoded.headers.get('content-type') ?? ''
  const bytes = Buffer.from(await encoded.arrayBuffer())
  await fetch(`${gateway.url}/v1/audio/transcriptions`, {
    method: 'POST',
    body: bytes,
    headers: { 'content-type': type }
  })
  t.equal(behind.seen[2]?.headers['content-type'], type)
  t.ok(behind.seen[2]?.body.equals(Buffer.from(bytes.toString('latin1').replace('draw-44', 'dall-44'), 'latin1')))
  const cut = await fetch(`${gateway.url}/v1/audio/transcriptions`, {
    method: 'POST',
    body: bytes.subarray(0, 400),
    headers: { 'content-type': type }
  })
  t.equal(cut.status, 400)
  const large = await fetch(`${gateway.url}/v1/audio/transcriptions`, {
    method: 'POST',
    body: Buffer.alloc(1024 * 1024 + 1),
    headers: { 'content-type': type }
  })
  t.equal(large.status, 413)
  t.equal(behind.seen.length, 3)
})

t.test('a client that leaves in the middle of a form leaves nothing behind', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, provider(behind))
  const { hostname, port } = new URL(gateway.url)
  for (const type of ['multipart/form-data; boundary=b', 'application/json', 'application/octet-stream']) {
    const socket = connect(Number(port), hostname)
    const path = type.startsWith('application/o') ? '/v1/files?backend=main' : '/v1/files'
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: ${hostname}\r\ncontent-type: ${type}\r\ncontent-length: 100\r\n\r\n--b`
    )
    const before = gateway.records.length
    setTimeout(() => socket.destroy(), 50)
    await settled(gateway, before + 1)
    t.match(gateway.records.at(-1), { clientGone: true, status: 499 }, type)
  }
  t.equal(gateway.gateway.running.size, 0)
  t.equal(gateway.gateway.metrics.inflight, 0)
})

t.test('a request that offers another protocol than WebSocket is served as if it had not', async t => {
  const gateway = await gatewayFor(t, { model_list: [{ model_name: 'm', provider: 'demo' }] })
  const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }] })
  const offers = 'upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA'
  const head = `POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n${offers}`
  const { hostname, port } = new URL(gateway.url)
  for (const pause of [0, 50]) {
    const socket = connect(Number(port), hostname)
    socket.write(
      `${head}\r\nhost: ${hostname}\r\nconnection: Upgrade, HTTP2-Settings\r\n\r\n${pause === 0 ? body : ''}`
    )
    setTimeout(() => pause > 0 && socket.write(body), pause)
    const answer = await new Promise<string>(resolve => {
      let text = ''
      socket.on('data', chunk => {
        text += chunk
        if (text.includes('"usage"')) resolve(text)
      })
      socket.on('close', () => resolve(text))
    })
    t.match(answer, /^HTTP\/1\.1 200 OK/)
    socket.destroy()
  }
})
