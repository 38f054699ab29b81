import { createConnection } from 'node:net'
import t from 'tap'
import { DIALECTS } from '../src/dialects/index.ts'
import { closedPort } from './support/port.ts'
import { rawUpstream } from './support/raw-upstream.ts'
import { demoUpstream, recordedUpstream } from './support/upstream.ts'

t.test('the demo is served over a real socket, and requests are kept as bytes', async t => {
  const upstream = await demoUpstream()
  t.teardown(() => upstream.close())
  const body = '{ "model":"demo",\n "stream":true, "messages":[{"role":"user","content":"hi"}], "x":1.0 }'
  const response = await fetch(`${upstream.url}/v1/chat/completions?a=b`, {
    method: 'POST',
    body,
    headers: { 'X-Odd': '1' }
  })
  t.ok(DIALECTS['openai-chat'].streamEnded(await response.text()))
  t.match(upstream.requests, [
    { method: 'POST', url: '/v1/chat/completions?a=b', complete: true, abortedAt: undefined }
  ])
  t.equal(upstream.requests[0]?.body.toString(), body)
  await t.rejects(
    fetch(`${upstream.url}/v1/messages`, {
      method: 'POST',
      body: '{"messages":[]}',
      headers: { 'x-demo-fail': 'cut' }
    }).then(cut => cut.text())
  )
  const stalled = new AbortController()
  const headers = { 'x-demo-fail': 'stall' }
  await fetch(`${upstream.url}/v1/messages`, {
    method: 'POST',
    body: '{"messages":[]}',
    headers,
    signal: stalled.signal
  })
  stalled.abort()
  t.ok((await upstream.aborted(2)).abortedAt)
})

t.test('a recording is played with its cuts and delays', async t => {
  const upstream = await recordedUpstream([
    { status: 201, headers: { 'x-a': ['1', '2'] }, chunks: ['ab', Buffer.from('cd')], delays: 5 },
    { chunks: ['abc', 'def'], cutAfter: 4 },
    { destroyAt: 'before-head' },
    { destroyAt: 'after-head' },
    { chunks: ['abc', 'def'], destroyAt: 'mid-body' }
  ])
  t.teardown(() => upstream.close())
  const first = await fetch(upstream.url)
  t.match([first.status, first.headers.get('x-a'), await first.text()], [201, '1, 2', 'abcd'])
  for (const expected of ['abcd', undefined, '', 'abc']) {
    let text: string | undefined
    try {
      const { body } = await fetch(upstream.url)
      text = ''
      for await (const chunk of body ?? []) text += Buffer.from(chunk as Uint8Array).toString()
      t.fail('the answer should have broken')
    } catch {
      t.equal(text, expected)
    }
  }
  t.equal((await upstream.received(5)).method, 'GET')
})

t.test('raw bytes are sent as they are, and a closed port refuses', async t => {
  const upstream = await rawUpstream(['HTTP/1.1 200 OK\r\ncontent-le', 'ngth: 99\r\n\r\nshort'])
  t.teardown(() => upstream.close())
  const read = await new Promise<string>(resolve => {
    let text = ''
    const socket = createConnection(upstream.port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n\r\n'))
    socket.on('data', chunk => (text += chunk.toString()))
    socket.on('close', () => resolve(text))
  })
  t.equal(read, 'HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nshort')
  t.equal(upstream.received[0]?.toString(), 'GET / HTTP/1.1\r\n\r\n')
  await t.rejects(fetch(`http://127.0.0.1:${await closedPort()}`))
})
