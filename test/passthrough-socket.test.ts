import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import {
  type SocketUpstream,
  type SocketUpstreamOptions,
  startSocketUpstream,
  TestSocket
} from './support/websocket.ts'

async function upstream(t: Test, options?: SocketUpstreamOptions): Promise<SocketUpstream> {
  const started = await startSocketUpstream(options)
  t.teardown(() => started.close())
  return started
}

async function gatewayFor(t: Test, config: PartialConfig): Promise<TestGateway> {
  const gateway = await testGateway(config)
  t.teardown(async () => {
    await gateway.close()
    if (gateway.bugs[0] !== undefined) throw gateway.bugs[0]
  })
  return gateway
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition() && tries < 300; tries++) await new Promise(resolve => setTimeout(resolve, 10))
}

const realtime = (url: string, more: PartialConfig = {}): PartialConfig => ({
  model_list: [
    { model_name: 'talk', provider: 'custom', api_base: `${url}/v1`, api_key: 'sk-upstream', model: 'gpt-realtime' }
  ],
  passthrough: { a: { target: `${url}/base`, headers: { authorization: 'Bearer sk-declared' } } },
  ...more
})

t.test('frames pass both ways, text and binary, with the target’s key and model', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, realtime(behind.url, { auth: { master_key: 'sk-master' } }))
  const headers = { authorization: 'Bearer sk-master', 'x-kept': 'yes', cookie: 'a=b' }
  const client = new TestSocket(`${gateway.url}/v1/realtime?model=talk&x=1&key=sk-master`, [], headers)
  client.socket.once('open', () => {
    client.socket.send('hällo')
    client.socket.send(Buffer.from([0, 255]))
  })
  t.equal(await client.answered, 101)
  const [text, binary] = await client.messages(2)
  t.same([text?.data.toString(), text?.binary], ['hällo', false])
  t.same([binary?.data, binary?.binary], [Buffer.from([0, 255]), true])
  const [sent] = behind.requests
  t.equal(sent?.url, '/v1/realtime?model=gpt-realtime&x=1')
  t.match(sent?.headers, { authorization: 'Bearer sk-upstream', 'x-kept': 'yes', host: new URL(behind.url).host })
  for (const name of ['cookie', 'x-sluice-passage', 'sec-websocket-protocol'])
    t.notOk(name in (sent?.headers ?? {}), name)
  t.equal(gateway.gateway.metrics.inflight, 1)
  client.socket.close(4001, 'enough')
  await until(() => gateway.records.length === 1)
  t.match(gateway.records[0], {
    endpoint: '/v1/realtime',
    status: 101,
    model: 'talk',
    upstreamModel: 'gpt-realtime',
    bytesIn: 8,
    bytesOut: 8,
    failure: undefined
  })
  t.equal(gateway.gateway.running.size, 0)
})

t.test('a browser’s key among the subprotocols is a credential and goes no further', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, realtime(behind.url, { auth: { master_key: 'sk-master' } }))
  const offered = ['realtime', 'openai-insecure-api-key.sk-master', 'openai-beta.realtime-v1']
  const client = new TestSocket(`${gateway.url}/realtime?model=talk`, offered)
  t.equal(await client.answered, 101)
  t.equal(client.socket.protocol, 'realtime')
  await until(() => behind.requests.length === 1)
  t.equal(behind.requests[0]?.headers['sec-websocket-protocol'], 'realtime, openai-beta.realtime-v1')
  t.notMatch(JSON.stringify(behind.requests[0]?.rawHeaders), 'sk-master')
  client.socket.close()
  const wrong = new TestSocket(`${gateway.url}/v1/realtime?model=talk`, [
    'realtime',
    'openai-insecure-api-key.sk-wrong'
  ])
  t.equal(await wrong.answered, 401)
  t.equal(behind.requests.length, 1)
})

t.test('a declared upstream is reached by WebSocket below its base', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, realtime(behind.url))
  const client = new TestSocket(`${gateway.url}/passthrough/a/live/x?y=1`)
  client.socket.once('open', () => client.socket.send('a'))
  await client.messages(1)
  t.equal(behind.requests[0]?.url, '/base/live/x?y=1')
  t.equal(behind.requests[0]?.headers.authorization, 'Bearer sk-declared')
  client.socket.close()
  await client.closed
})

t.test('what may not become a WebSocket is told by a status', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, realtime(behind.url, { auth: { master_key: 'sk-master' } }))
  const key = { authorization: 'Bearer sk-master' }
  const cases: [string, Record<string, string>, number][] = [
    ['/v1/realtime?model=talk', {}, 401],
    ['/v1/realtime?model=unknown', key, 404],
    ['/v1/realtime', key, 400],
    ['/passthrough/none/x', key, 404],
    ['/passthrough/a/%2e%2e%2fx', key, 400],
    ['/v1/responses', key, 426],
    ['/responses', {}, 426],
    ['/v1/chat/completions', key, 404],
    ['/v1/files', key, 404],
    ['/health', {}, 404],
    ['/', {}, 404]
  ]
  for (const [path, headers, status] of cases)
    t.equal(await new TestSocket(gateway.url + path, [], headers).answered, status, path)
  t.equal(behind.requests.length, 0)
  const { hostname, port } = new URL(gateway.url)
  const upgrade = `host: ${hostname}\r\nconnection: upgrade\r\nupgrade: websocket\r\nauthorization: Bearer sk-master`
  for (const head of [
    `GET /v1/realtime?model=talk HTTP/1.1\r\n${upgrade}`,
    `POST /v1/responses HTTP/1.1\r\n${upgrade}\r\ncontent-length: 2`,
    `POST /v1/realtime?model=talk HTTP/1.1\r\n${upgrade}\r\ncontent-length: 2`,
    `GET http://x/passthrough/a/x HTTP/1.1\r\n${upgrade}`
  ]) {
    const socket = connect(Number(port), hostname)
    socket.write(`${head}\r\n\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += chunk
    t.match(answer, /^HTTP\/1\.1 4\d\d /, head.slice(0, 40))
  }
  const draining = new TestSocket(`${gateway.url}/v1/realtime?model=talk`, [], key)
  t.equal(await draining.answered, 101)
  gateway.gateway.draining = true
  t.equal(await new TestSocket(`${gateway.url}/v1/realtime?model=talk`, [], key).answered, 503)
  gateway.gateway.draining = false
})

t.test('close codes and their absence pass both ways', async t => {
  const codes: number[] = []
  const behind = await upstream(t, {
    onConnection: (socket, request) => {
      socket.once('close', code => codes.push(code))
      const [, code] = /close=(\d+)/.exec(request.url ?? '') ?? []
      if (code === '1005') socket.close()
      else if (code === '1006') socket.terminate()
      else if (code !== undefined) socket.close(Number(code), 'because')
      else socket.send('hello')
    }
  })
  const gateway = await gatewayFor(t, realtime(behind.url))
  for (const [code, seen] of [
    [1000, 1000],
    [4321, 4321],
    [1005, 1005],
    [1006, 1011],
    [1008, 1008]
  ] as const) {
    const client = new TestSocket(`${gateway.url}/passthrough/a/x?close=${code}`)
    const closed = await client.closed
    t.equal(closed.code, seen)
    if (seen > 1005 && seen !== 1011) t.equal(closed.reason, 'because')
  }
  codes.length = 0
  for (const code of [1000, 4001, 1005, 1006]) {
    const client = new TestSocket(`${gateway.url}/passthrough/a/x`)
    await client.messages(1)
    const before = codes.length
    if (code === 1005) client.socket.close()
    else if (code === 1006) client.socket.terminate()
    else client.socket.close(code)
    await until(() => codes.length > before)
  }
  t.same(codes, [1000, 4001, 1005, 1001])
})

t.test('an upstream that refuses or is not there closes the client with a reason without secrets', async t => {
  const refusing = await upstream(t, { refuseWith: 401 })
  const gateway = await gatewayFor(
    t,
    realtime(refusing.url, {
      passthrough: {
        no: { target: refusing.url, headers: { authorization: 'Bearer sk-declared' } },
        down: { target: 'http://127.0.0.1:9' },
        nowhere: { target: `http://${'very-long-name.'.repeat(12)}invalid` }
      }
    })
  )
  for (const [name, reason] of [
    ['no', /401/],
    ['down', /refused/],
    ['nowhere', /./]
  ] as const) {
    const closed = await new TestSocket(`${gateway.url}/passthrough/${name}/x`).closed
    t.equal(closed.code, 1014, name)
    t.match(closed.reason, reason)
    t.notMatch(closed.reason, 'sk-')
  }
  await until(() => gateway.records.length === 3)
  t.same(
    gateway.records.map(record => record.failure),
    ['upstream-refused-key', 'upstream-down', 'upstream-down']
  )
})

t.test('a client that leaves while the upstream is being asked leaves nothing open', async t => {
  const behind = await upstream(t, { delay: 200 })
  const gateway = await gatewayFor(t, realtime(behind.url))
  const client = new TestSocket(`${gateway.url}/passthrough/a/x`)
  await client.answered
  client.socket.terminate()
  await new Promise(resolve => setTimeout(resolve, 400))
  const [late] = behind.sockets
  t.ok(late === undefined || late.readyState === 3)
  const patient = new TestSocket(`${gateway.url}/passthrough/a/x`)
  await patient.answered
  patient.socket.send('early')
  t.equal((await patient.messages(1))[0]?.data.toString(), 'early')
  patient.socket.close()
  await until(() => gateway.records.length === 2)
})

t.test('a flow larger than what may wait arrives whole', async t => {
  const behind = await upstream(t, {
    onConnection: socket => {
      for (let count = 0; count < 40; count++) socket.send(Buffer.alloc(1024 * 1024, count))
      socket.close(1000)
    }
  })
  const gateway = await gatewayFor(t, realtime(behind.url))
  const client = new TestSocket(`${gateway.url}/passthrough/a/x`)
  await client.closed
  t.equal(client.received.length, 40)
  t.ok(client.received.every(({ data }, index) => data.length === 1024 * 1024 && data[0] === index))
})

t.test('a draining gateway closes its sockets with 1001', async t => {
  const behind = await upstream(t)
  const gateway = await gatewayFor(t, realtime(behind.url))
  const one = new TestSocket(`${gateway.url}/passthrough/a/x`)
  await one.answered
  const { Failure } = await import('../src/chat/failure.ts')
  const began = performance.now()
  await gateway.gateway.drain(5000, new Failure('unavailable', 'stop'))
  t.equal((await one.closed).code, 1001)
  t.ok(performance.now() - began < 2000)
  gateway.gateway.draining = false
  const two = new TestSocket(`${gateway.url}/passthrough/a/x`)
  await two.answered
  await gateway.app.close()
  t.equal((await two.closed).code, 1001)
})
