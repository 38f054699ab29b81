// What is measured: one cell is one kind of request at one load.
const chat = (kilobytes, connections, seconds) => ({
  id: `chat-${kilobytes}k-${connections}`,
  title: `${kilobytes} KB, ${connections} conn${connections > 1 ? 's' : ''}`,
  model: 'mock-chat',
  kilobytes,
  connections,
  seconds
})

const atRate = (kilobytes, rate, seconds) => ({
  ...chat(kilobytes, 64, seconds),
  id: `rate-${kilobytes}k-${rate}`,
  title: `${kilobytes} KB at ${rate}/s`,
  rate
})

const stream = (chunks, pace, seconds) => ({
  id: `stream-${chunks}-${pace}`,
  title: `${chunks} chunks, ${pace} ms`,
  model: `mock-stream-${chunks}-${pace}`,
  stream: true,
  kilobytes: 1,
  connections: 16,
  seconds
})

// A hundred streams opened over 0.2 s, out of step with each other; CPU is read only while all of them run.
const paced = chunks => ({
  ...stream(chunks, 20, 2),
  id: 'paced',
  title: '100 streams, 50/s each',
  connections: 100,
  limit: 100,
  rate: 487,
  marks: [0.45, chunks * 0.02]
})

export const quick = {
  rounds: 3,
  warmUpSeconds: 4,
  budgetSeconds: 84,
  cells: [
    chat(1, 16, 0.5),
    chat(1, 64, 0.5),
    chat(100, 16, 0.5),
    chat(500, 16, 0.5),
    atRate(1, 400, 0.6),
    stream(20, 0, 0.5),
    stream(20, 5, 0.5),
    paced(65)
  ]
}

export const full = {
  rounds: 3,
  warmUpSeconds: 9,
  budgetSeconds: 840,
  cells: [
    ...[1, 10, 100, 500].flatMap(kilobytes => [1, 16, 64, 256].map(connections => chat(kilobytes, connections, 2))),
    atRate(1, 400, 3),
    atRate(100, 60, 3),
    ...[20, 200].flatMap(chunks => [0, 5].map(pace => stream(chunks, pace, 2))),
    paced(250)
  ]
}

/** Node needs seconds of every kind of work before its numbers settle. */
export const warmUp = seconds => [
  chat(1, 16, seconds * 0.35),
  chat(100, 16, seconds * 0.3),
  stream(20, 0, seconds * 0.2),
  { ...stream(20, 5, seconds * 0.15), connections: 64 }
]

const WORDS = 'When in doubt, measure twice on a quiet machine, and say "which one" \u2013 then cut. '

/** The bytes of one request, head and body; the body is a conversation of exactly the kilobytes asked. */
export function requestBytes(cell, port, headers) {
  const body = text => ({
    model: cell.model,
    ...(cell.stream ? { stream: true } : {}),
    max_tokens: 256,
    temperature: 0.7,
    messages: [
      { role: 'system', content: 'You are a careful assistant.' },
      { role: 'user', content: text }
    ]
  })
  const size = value => Buffer.byteLength(JSON.stringify(value))
  const room = cell.kilobytes * 1024 - size(body(''))
  const unit = size(WORDS) - 2
  const text = WORDS.repeat(Math.floor(room / unit)) + 'x'.repeat(room % unit)
  const bytes = Buffer.from(JSON.stringify(body(text)))
  const head = {
    host: `127.0.0.1:${port}`,
    'content-type': 'application/json',
    accept: cell.stream ? 'text/event-stream' : 'application/json',
    authorization: 'Bearer sk-bench',
    'user-agent': 'sluice-bench',
    ...headers,
    'content-length': bytes.length
  }
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST /v1/chat/completions HTTP/1.1\r\n${lines.join('')}\r\n`), bytes])
}
