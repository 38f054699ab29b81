import t from 'tap'
import { DIALECTS } from '../src/dialects/index.ts'
import { dataOf, eventsOf, NAMES, PATHS, play, send, streamOf } from './support/demo.ts'

t.test('what it cannot read or does not know is refused in the words of the dialect', async t => {
  const shapes = {
    'openai-chat': { error: { type: 'invalid_request_error' } },
    'openai-responses': { error: { type: 'invalid_request_error' } },
    anthropic: { type: 'error', error: { type: 'invalid_request_error' } },
    gemini: { error: { code: 400, status: 'INVALID_ARGUMENT' } }
  }
  for (const name of NAMES) {
    for (const body of ['{"a":', '[]', '{}', '']) {
      const { status, text } = await play(PATHS[name][0], body)
      t.equal(status, 400)
      t.match(JSON.parse(text), shapes[name], `${name} ${body}`)
    }
  }
  t.match(await play('/v1/unknown', {}), { status: 404, text: /"not_found"/ })
  t.match(await play('/v1/chat/completions', '', {}, { method: 'GET' }), { status: 404 })
  t.match(await play('/v1beta/models/demo:constructor', {}), { status: 404, text: /NOT_FOUND/ })
  const nested = `${'['.repeat(10_000)}${']'.repeat(10_000)}`
  t.equal((await play('/v1/chat/completions', `{"model":"demo","messages":${nested}}`)).status, 200)
  const thread = await play('/v1/messages', { ...PATHS.anthropic[2], thread: { type: 'create' } })
  t.match(JSON.parse(thread.text), {
    error: { details: { error_code: 'thread_unsupported_request', unsupported: ['thread'] } }
  })
})

t.test('a fault that is a status has the shape of the dialect', async t => {
  for (const name of NAMES) {
    for (const status of [400, 401, 429, 500, 503, 529]) {
      const played = await streamOf(name, { 'x-demo-fail': String(status) })
      t.equal(played.status, status)
      t.match(JSON.parse(played.text), { error: { message: /demo was told/ } })
    }
    t.match((await streamOf(name, { 'x-demo-fail': '429', 'x-demo-retry-after': '7' })).headers, { 'retry-after': '7' })
    t.match(await streamOf(name, { 'x-demo-fail': 'html' }), { status: 502, text: /^<!DOCTYPE html>/ })
    const { status, text } = await streamOf(name, { 'x-demo-fail': 'context' })
    t.match(DIALECTS[name].decodeFailure(status, text), {
      kind: 'context-exceeded',
      details: { context: { limit: 200_000 } }
    })
  }
  const named = await play('/v1/chat/completions', { ...PATHS['openai-chat'][2], model: 'demo-503' })
  t.match(named, { status: 503, headers: { 'retry-after': '1' } })
})

t.test('a stream breaks as it is told to', async t => {
  for (const name of NAMES) {
    const { streamEnded } = DIALECTS[name]
    const whole = (await streamOf(name)).text
    const cut = await streamOf(name, { 'x-demo-fail': 'cut' })
    t.match(cut, { status: 200, ending: 'ECONNRESET' }, name)
    t.ok(whole.startsWith(cut.text) && cut.text.length > 0 && !streamEnded(cut.text))
    const early = await streamOf(name, { 'x-demo-fail': 'early-end' })
    t.match(early, { ending: 'end', text: cut.text })
    t.match(await streamOf(name, { 'x-demo-fail': 'stall' }, { within: 20 }), {
      status: 200,
      ending: 'open',
      text: cut.text
    })
    t.match(await streamOf(name, { 'x-demo-fail': 'no-head' }, { within: 20 }), { status: 0, ending: 'open', text: '' })
    const told = await streamOf(name, { 'x-demo-fail': 'error-event' })
    t.match(told, { ending: 'end', text: /told to fail in the middle/ })
    t.ok(streamEnded(told.text))
    const garbage = await streamOf(name, { 'x-demo-fail': 'garbage' })
    t.throws(() => dataOf(garbage.text))
    t.ok(streamEnded(garbage.text))
    const [path, , body] = PATHS[name]
    const half = await play(path, body, { 'x-demo-fail': 'early-end' })
    t.throws(() => JSON.parse(half.text) as unknown)
    t.equal(half.headers['content-length'], undefined)
  }
})

t.test('text, chunks and pace are as ordered', async t => {
  const headers = { 'x-demo-chunks': '200', 'x-demo-text': 'pong' }
  const { text, chunks } = await streamOf('anthropic', headers)
  t.equal(eventsOf(text).filter(name => name === 'content_block_delta').length, 200)
  t.equal(chunks, 202)
  t.match((await play('/v1/messages', PATHS.anthropic[2], { 'x-demo-text': 'pong' })).text, '"text":"pong"')
  const started = performance.now()
  await streamOf('openai-chat', {
    'x-demo-pace': '5ms',
    'x-demo-chunks': '10',
    'x-demo-text': 'pong',
    'x-demo-first-byte': '40ms'
  })
  t.ok(performance.now() - started > 80)
  const long = await streamOf('openai-chat', { 'x-demo-chunks': '5000', 'x-demo-text': 'pong' })
  t.equal(long.chunks, 5_002)
})

t.test('the receiver may pause and resume, and nothing comes in between', async t => {
  for (const pace of ['0ms', '2ms']) {
    await new Promise<void>(resolve => {
      let paused = false
      let received = ''
      let count = 0
      const control = send(
        '/v1/messages',
        { ...PATHS.anthropic[2], stream: true },
        {
          onStart: () => undefined,
          onHead: () => undefined,
          onData: chunk => {
            t.notOk(paused)
            received += chunk.toString()
            if (++count !== 3) return
            paused = true
            control.pause()
            setTimeout(() => {
              paused = false
              control.resume()
            }, 15)
          },
          onEnd: () => {
            t.ok(DIALECTS.anthropic.streamEnded(received))
            resolve()
          },
          onError: error => t.fail(error.message)
        },
        { 'x-demo-pace': pace }
      )
    })
  }
})

t.test('after an abort the receiver hears nothing and no timer is left', async t => {
  const before = process.getActiveResourcesInfo().filter(name => name === 'Timeout' || name === 'Immediate').length
  const stages = ['at once', 'onStart', 'onHead', 'onData', 'before the head'] as const
  for (const stage of stages) {
    let heard = 0
    const stop = (here: string) => () => {
      heard++
      if (stage === here) control.abort()
    }
    const receiver = {
      onStart: stop('onStart'),
      onHead: stop('onHead'),
      onData: stop('onData'),
      onEnd: stop(''),
      onError: stop('')
    }
    const headers = { 'x-demo-pace': '1h', ...(stage === 'before the head' && { 'x-demo-first-byte': '1h' }) }
    const control = send('/v1/messages', { ...PATHS.anthropic[2], stream: true }, receiver, headers)
    t.equal(heard, 0, 'nothing is said before send returns')
    if (stage === 'at once') control.abort()
    await new Promise(resolve => setTimeout(resolve, 10))
    control.abort()
    t.equal(heard, { 'at once': 0, onStart: 1, onHead: 2, onData: 3, 'before the head': 1 }[stage], stage)
  }
  await new Promise(resolve => setImmediate(resolve))
  const after = process.getActiveResourcesInfo().filter(name => name === 'Timeout' || name === 'Immediate').length
  t.ok(after <= before, `${after} timers, ${before} before`)
})
