// native/mock.c in Node, for machines without a compiler: same answers, lower ceiling.
import { createServer } from 'node:http'

const NOTHING = { prompt_tokens: 250, completion_tokens: 190, total_tokens: 440 }
const head = { id: 'chatcmpl-mock', created: 1700000000 }

const answer = Buffer.from(
  JSON.stringify({
    ...head,
    object: 'chat.completion',
    model: 'mock-chat',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: `${'The quick brown fox jumps over the lazy dog. '.repeat(19)}mock-end`
        },
        finish_reason: 'stop'
      }
    ],
    usage: NOTHING,
    system_fingerprint: 'fp_mock'
  })
)

const event = (delta, finish_reason, more) =>
  `data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', model: 'mock-stream', choices: [{ index: 0, delta, finish_reason }], ...more })}\n\n`

const END = `${event({}, 'stop', { usage: NOTHING })}data: [DONE]\n\n`

function stream(response, count, pace) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  const next = () => response.write(event({ content: `t=${process.hrtime.bigint()} and a few words ` }, null))
  if (pace === 0) {
    for (let left = count; left > 0; left--) next()
    return response.end(END)
  }
  const began = performance.now()
  let sent = 0
  const step = () => {
    next()
    if (++sent === count) return response.end(END)
    if (!response.destroyed) setTimeout(step, Math.max(0, began + sent * pace - performance.now()))
  }
  step()
}

const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  let start = ''
  request.on('data', bytes => {
    if (start.length < 2048) start += bytes.toString('latin1', 0, 2048)
  })
  request.on('end', () => {
    const [, count, pace] = /mock-stream-(\d+)-(\d+)/.exec(start) ?? []
    if (count !== undefined) return stream(response, Number(count), Number(pace))
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    response.end(answer)
  })
})

server.listen(0, '127.0.0.1', 1024, () => console.log(server.address().port))
// An orphan has a new parent: then there is nobody left to serve.
const parent = process.ppid
setInterval(() => process.ppid === parent || process.exit(), 1_000).unref()
