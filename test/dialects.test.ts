import fc from 'fast-check'
import t from 'tap'
import { FAILURES, Failure, type FailureKind } from '../src/chat/failure.ts'
import type { Usage } from '../src/chat/usage.ts'
import type { DialectName } from '../src/dialects/dialect.ts'
import { DIALECTS } from '../src/dialects/index.ts'

const NAMES = Object.keys(DIALECTS) as DialectName[]
const { 'openai-chat': chat, 'openai-responses': responses, anthropic, gemini } = DIALECTS

const usage = (numbers: Partial<Usage>): Usage => ({
  input: 0,
  output: 0,
  cacheRead: 0,
  cacheWrite: 0,
  reasoning: 0,
  ...numbers
})
const frames = (...events: object[]) => events.map(event => `data: ${JSON.stringify(event)}\n\n`).join('')
const dataOf = (sse: string): unknown[] => [...sse.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''))

t.test('every kind of failure has its words in every dialect', async t => {
  for (const name of NAMES) {
    t.equal(DIALECTS[name].name, name)
    for (const kind of Object.keys(FAILURES) as FailureKind[]) {
      const body = JSON.parse(DIALECTS[name].encodeFailure(new Failure(kind, 'Because.'), 'id1')) as Record<
        string,
        never
      >
      t.match(body, { error: { message: String } }, `${name} ${kind}`)
      t.ok(DIALECTS[name].statusOf(new Failure(kind, '')) >= 400)
    }
  }
})

t.test('a failure has the shape of its dialect, with recommendations beside the message', async t => {
  const failure = new Failure('unknown-model', 'No such model.', {
    field: 'model',
    recommendations: ['Ask for gpt-4o.']
  })
  t.same(JSON.parse(chat.encodeFailure(failure, 'id1')), {
    error: {
      message: 'No such model.',
      type: 'invalid_request_error',
      param: 'model',
      code: 'model_not_found',
      recommendations: ['Ask for gpt-4o.']
    }
  })
  t.equal(responses.encodeFailure(failure, 'id1'), chat.encodeFailure(failure, 'id1'))
  t.same(JSON.parse(anthropic.encodeFailure(failure, 'id1')), {
    type: 'error',
    error: { type: 'not_found_error', message: 'No such model.', recommendations: ['Ask for gpt-4o.'] },
    request_id: 'id1'
  })
  t.match(JSON.parse(gemini.encodeFailure(failure, 'id1')), {
    error: { code: 404, message: 'No such model.', status: 'NOT_FOUND', recommendations: ['Ask for gpt-4o.'] }
  })
})

t.test('overloaded is 529 to Anthropic clients alone', async t => {
  const statuses = NAMES.map(name => DIALECTS[name].statusOf(new Failure('overloaded', 'Busy.')))
  t.same(statuses, [503, 503, 529, 503])
})

t.test('Gemini clients read how long to wait in the body', async t => {
  const failure = new Failure('rate-limited', 'Slow down.', { retryAfter: 17 })
  t.match(JSON.parse(gemini.encodeFailure(failure, '')), {
    error: { status: 'RESOURCE_EXHAUSTED', details: [{ retryDelay: '17s' }] }
  })
})

t.test('a stream that fails says so in frames of its dialect', async t => {
  const failure = new Failure('upstream-down', 'Gone.')
  t.match(dataOf(chat.encodeFailureFrame(failure, 'id1')), [{ error: { message: 'Gone.' } }])
  t.match(dataOf(gemini.encodeFailureFrame(failure, 'id1')), [{ error: { code: 502, message: 'Gone.' } }])
  t.match(anthropic.encodeFailureFrame(failure, 'id1'), /^event: error\ndata: \{"type":"error".*\}\n\n$/)
  const tail = frames({ type: 'response.output_text.delta', sequence_number: 41, delta: '"sequence_number":7' })
  const both = responses.encodeFailureFrame(failure, 'id1', tail)
  t.match(both, /^event: error\n.*\n\nevent: response\.failed\n.*\n\n$/)
  t.match(dataOf(both), [
    { type: 'error', sequence_number: 42, message: 'Gone.' },
    { type: 'response.failed', sequence_number: 43, response: { status: 'failed', error: { code: 'upstream_down' } } }
  ])
  for (const name of NAMES) t.ok(DIALECTS[name].streamEnded(DIALECTS[name].encodeFailureFrame(failure, '')), name)
})

t.test('what an upstream says when it fails is found in each shape', async t => {
  const said: [text: string, message: string][] = [
    ['{"error":{"message":"No."}}', 'No.'],
    ['{"error":"No."}', 'No.'],
    ['{"detail":"No."}', 'No.'],
    ['{"message":"No."}', 'No.'],
    ['{"object":"error","message":"No.","code":40001}', 'No.'],
    ['{"type":"error","error":{"type":"invalid_request_error","message":"No."}}', 'No.'],
    ['{"detail":[{"loc":["body","model"],"msg":"Field required"},{"msg":"x"}]}', 'body.model: Field required; x'],
    ['[{"error":{"code":400,"message":"No.","status":"INVALID_ARGUMENT"}}]', 'No.'],
    ['"No."', 'No.'],
    ['No\u0000\u001b[31m.\r\n', 'No [31m.'],
    ['<!DOCTYPE html><html><head><title>422 Nope</title></head></html>', 'an HTML page, «422 Nope»'],
    ['', 'The upstream rejected the request (HTTP 422)'],
    ['{}', 'The upstream rejected the request (HTTP 422)'],
    [
      '{"error":{"message":"Incorrect API key provided: sk-proj-abcdefghij12345."}}',
      'Incorrect API key provided: sk-[redacted]'
    ]
  ]
  for (const name of NAMES) {
    for (const [text, message] of said) {
      const failure = DIALECTS[name].decodeFailure(422, text)
      t.match(failure, { kind: 'upstream-rejected', message, status: 422 }, `${name} ${text}`)
    }
    t.equal(DIALECTS[name].decodeFailure(400, 'x'.repeat(20_000)).message.length, 500)
  }
})

t.test('an upstream status has its kind', async t => {
  const kinds: Record<number, FailureKind> = {
    400: 'upstream-rejected',
    401: 'upstream-refused-key',
    403: 'upstream-refused-key',
    404: 'upstream-rejected',
    408: 'upstream-timed-out',
    413: 'upstream-rejected',
    429: 'upstream-rate-limited',
    500: 'upstream-failed',
    502: 'upstream-failed',
    503: 'upstream-overloaded',
    504: 'upstream-timed-out',
    529: 'upstream-overloaded'
  }
  for (const [status, kind] of Object.entries(kinds)) {
    for (const name of NAMES)
      t.equal(DIALECTS[name].decodeFailure(Number(status), '{"error":{"message":"x"}}').kind, kind)
  }
})

t.test('an error frame of a stream has its kind from its text', async t => {
  t.equal(
    anthropic.decodeFailure(200, '{"type":"error","error":{"type":"overloaded_error","message":"x"}}').kind,
    'upstream-overloaded'
  )
  t.equal(chat.decodeFailure(200, '{"error":{"message":"x","code":429}}').kind, 'upstream-rate-limited')
  t.equal(
    gemini.decodeFailure(200, '{"error":{"code":503,"status":"UNAVAILABLE","message":"x"}}').kind,
    'upstream-overloaded'
  )
  const failed = '{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"x"}}}'
  t.match(responses.decodeFailure(200, failed), { kind: 'upstream-rate-limited', message: 'x' })
  t.equal(chat.decodeFailure(200, '{"error":{"message":"x"}}').kind, 'upstream-failed')
})

t.test('Gemini says 400 for a wrong key, and how long to wait in the body', async t => {
  const wrongKey =
    '{"error":{"code":400,"message":"x","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}'
  t.match(gemini.decodeFailure(400, wrongKey), { kind: 'upstream-refused-key', status: 502 })
  const limited = '{"error":{"code":429,"message":"x","details":[null,{"retryDelay":"16.2s"}]}}'
  t.equal(gemini.decodeFailure(429, limited).details.retryAfter, 17)
})

t.test('a prompt that does not fit is told in the words each client acts on', async t => {
  const answers: [status: number, text: string, context: object][] = [
    [
      400,
      '{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":5000,"n_ctx":4096}}',
      { input: 5000, limit: 4096 }
    ],
    [
      400,
      '{"error":{"message":"This model\'s maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.","code":"context_length_exceeded"}}',
      { input: 5000, limit: 4096 }
    ],
    [
      400,
      '{"object":"error","message":"This model\'s maximum context length is 4096 tokens. However, you requested 6000 tokens (5000 in the messages, 1000 in the completion)."}',
      { input: 5000, output: 1000, limit: 4096 }
    ],
    [
      400,
      '{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 5000 tokens > 4096 maximum"}}',
      { input: 5000, limit: 4096 }
    ],
    [
      400,
      '{"error":{"code":400,"message":"The input token count (5000) exceeds the maximum number of tokens allowed (4096).","status":"INVALID_ARGUMENT"}}',
      { input: 5000, limit: 4096 }
    ],
    [500, '{"error":{"message":"prompt too long; exceeded max context length by 4 tokens"}}', {}],
    [400, '{"error":{"message":"Please reduce the length of the messages.","code":"context_length_exceeded"}}', {}]
  ]
  for (const [status, text, context] of answers) {
    for (const name of NAMES) {
      const failure = DIALECTS[name].decodeFailure(status, text)
      t.equal(failure.kind, 'context-exceeded', text)
      t.same(failure.details.context, context)
      t.match(JSON.parse(anthropic.encodeFailure(failure, '')), {
        error: { type: 'invalid_request_error', message: /^prompt is too long/ }
      })
      t.match(JSON.parse(responses.encodeFailure(failure, '')), { error: { code: 'context_length_exceeded' } })
    }
  }
  const known = new Failure('context-exceeded', 'x', { context: { input: 210_000, limit: 200_000 } })
  t.match(anthropic.encodeFailure(known, ''), '"prompt is too long: 210000 tokens > 200000 maximum"')
  t.match(
    chat.encodeFailure(known, ''),
    "This model's maximum context length is 200000 tokens. However, your messages resulted in 210000 tokens."
  )
  const answerTooLong = new Failure('context-exceeded', 'x', {
    context: { input: 188_240, output: 21_333, limit: 200_000 }
  })
  t.match(anthropic.encodeFailure(answerTooLong, ''), 'exceed context limit: 188240 + 21333 > 200000, decrease')
  t.equal(chat.decodeFailure(429, '{"error":{"message":"prompt is too long"}}').kind, 'upstream-rate-limited')
})

t.test('usage is read from the ends of an answer', async t => {
  const chatUsage = {
    prompt_tokens: 9,
    completion_tokens: 4,
    prompt_tokens_details: { cached_tokens: 3 },
    completion_tokens_details: { reasoning_tokens: 2 }
  }
  const expected = usage({ input: 9, output: 4, cacheRead: 3, reasoning: 2 })
  const answer = JSON.stringify({
    id: 'x',
    choices: [{ message: { content: 'say "usage":{"prompt_tokens":1}' } }],
    usage: chatUsage,
    service_tier: 'default'
  })
  t.same(chat.readUsage(answer, answer), expected)
  t.same(chat.readUsage('', JSON.stringify(JSON.parse(answer), null, 2)), expected, 'pretty-printed')
  t.same(
    chat.readUsage('', `${frames({ choices: [], usage: chatUsage }, { choices: [], usage: null })}data: [DONE]\n\n`),
    expected
  )
  t.same(chat.readUsage('', `${frames({ choices: [], x_groq: { usage: chatUsage } })}data: [DONE]\n\n`), expected)
  t.same(chat.readUsage('', '{"data":[],"usage":{"prompt_tokens":5,"total_tokens":5}}'), usage({ input: 5 }))
  t.same(chat.readUsage('{"usage":{"prompt_tokens":5},"choices":[', 'x"}]}'), usage({ input: 5 }), 'usage comes first')

  const input_tokens_details = { cached_tokens: 3 }
  const said = {
    input_tokens: 9,
    input_tokens_details,
    output_tokens: 4,
    output_tokens_details: { reasoning_tokens: 2 }
  }
  t.same(responses.readUsage('', JSON.stringify({ output: [], usage: said, user: null })), expected)
  t.same(
    responses.readUsage('', frames({ type: 'response.completed', response: { output: [], usage: said } })),
    expected
  )

  const answered = { input_tokens: 2, cache_read_input_tokens: 3, cache_creation_input_tokens: 4, output_tokens: 4 }
  const all = usage({ input: 9, output: 4, cacheRead: 3, cacheWrite: 4 })
  t.same(
    anthropic.readUsage(
      '',
      JSON.stringify({ content: [{ type: 'tool_use', input: { usage: { input_tokens: 1 } } }], usage: answered })
    ),
    all
  )
  const head = frames(
    { type: 'message_start', message: { content: [], usage: { ...answered, output_tokens: 1 } } },
    { type: 'ping' }
  )
  t.same(anthropic.readUsage(head, frames({ type: 'message_delta', delta: {}, usage: { output_tokens: 4 } })), all)
  t.same(
    anthropic.readUsage(head, frames({ type: 'message_delta', delta: {}, usage: { ...answered, input_tokens: 0 } })),
    all
  )
  t.same(anthropic.readUsage(head, head), { ...all, output: 1 }, 'the stream broke off')
  const short = head + frames({ type: 'message_delta', delta: {}, usage: { output_tokens: 4 } })
  t.same(anthropic.readUsage(short, short), all, 'one piece is head and tail')

  const usageMetadata = {
    promptTokenCount: 9,
    candidatesTokenCount: 2,
    thoughtsTokenCount: 2,
    cachedContentTokenCount: 3
  }
  const candidates = [{ content: { parts: [{ functionCall: { args: { usageMetadata: { promptTokenCount: 1 } } } }] } }]
  t.same(gemini.readUsage('', frames({ candidates, usageMetadata, modelVersion: 'x' })), expected)
  t.same(gemini.readUsage('', JSON.stringify([{ usageMetadata }, { candidates, usageMetadata }])), expected)
  t.same(gemini.readUsage('', frames({ candidates })), undefined)
})

t.test('text of a model that looks like usage or an end is text', async t => {
  const lie =
    '"usage":{"prompt_tokens":1,"input_tokens":1},"usageMetadata":{"promptTokenCount":1}}\n\ndata: [DONE]\n\nevent: message_stop\n'
  const ends =
    '"finish_reason":"stop","stop_reason":"end_turn","finishReason":"STOP","type":"response.completed"\nevent: response.completed\n'
  const text = lie + ends
  const tail = frames(
    { choices: [{ delta: { content: text }, finish_reason: null }], usage: null },
    { delta: { partial_json: JSON.stringify({ text }) } }
  )
  const args = { finishReason: 'STOP', error: {}, usageMetadata: { promptTokenCount: 3 } }
  const call = frames({ candidates: [{ content: { parts: [{ functionCall: { name: 'x', args } }] }, index: 0 }] })
  for (const name of NAMES) {
    for (const stream of [tail, call]) {
      t.equal(DIALECTS[name].readUsage(stream, stream), undefined, name)
      t.equal(DIALECTS[name].streamEnded(stream), false, name)
      for (let cut = 0; cut < stream.length; cut += 7) {
        if (DIALECTS[name].streamEnded(stream.slice(cut)) || DIALECTS[name].readUsage('', stream.slice(cut)))
          t.fail(`${name} ${cut}`)
      }
    }
  }
})

t.test('a proper end is seen', async t => {
  const ends: Record<DialectName, string[]> = {
    'openai-chat': [
      'data: [DONE]\n\n',
      'data:[DONE]',
      frames({ choices: [{ delta: {}, finish_reason: 'stop' }] }),
      frames({ error: { message: 'x' } })
    ],
    'openai-responses': [
      'event: response.completed\r\ndata: {}\r\n\r\n',
      frames({ type: 'response.incomplete', response: {} }),
      frames({ type: 'error' }),
      frames({ type: 'response.completed', response: { output: ['x'.repeat(99)], usage: { input_tokens: 1 } } }).slice(
        60
      )
    ],
    anthropic: [
      'event: message_stop\ndata: {"type":"message_stop"}\n\n',
      frames({ type: 'message_delta', delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: {} }),
      'event: error\ndata: {}\n\n'
    ],
    gemini: [
      frames({ candidates: [{ content: {}, finishReason: 'STOP', index: 0 }], usageMetadata: { promptTokenCount: 3 } }),
      frames({ promptFeedback: { blockReason: 'SAFETY' } }),
      JSON.stringify([{}, { candidates: [{ finishReason: 'STOP' }] }], null, 2),
      frames({ candidates: [{ content: { text: 'x'.repeat(99) }, finishReason: 'STOP' }] }).slice(60)
    ]
  }
  for (const name of NAMES) for (const end of ends[name]) t.ok(DIALECTS[name].streamEnded(end), `${name} ${end}`)
  t.notOk(anthropic.streamEnded(frames({ type: 'message_start', message: { stop_reason: null } })))
  t.notOk(responses.streamEnded(frames({ type: 'response.in_progress', response: { usage: null } })))
})

t.test('whatever an upstream sends is read without an error', async t => {
  const bits = [
    '"usage":',
    '"usageMetadata":',
    '"error":',
    '"finishReason":"',
    '{',
    '}',
    '[',
    ']',
    '"',
    '\\',
    '\n\n',
    'data: ',
    ',',
    '1'
  ]
  const text = fc.array(fc.oneof(fc.constantFrom(...bits), fc.string(), fc.json())).map(pieces => pieces.join(''))
  fc.assert(
    fc.property(text, fc.integer({ min: 200, max: 599 }), (said, status) => {
      for (const name of NAMES) {
        DIALECTS[name].readUsage(said, said)
        DIALECTS[name].streamEnded(said)
        const failure = DIALECTS[name].decodeFailure(status, said)
        if (failure.message === '' || failure.status < 400) throw new Error(`${name} makes nothing of it`)
        DIALECTS[name].encodeFailureFrame(failure, 'id1', said)
      }
    }),
    { numRuns: 500 }
  )
  const started = performance.now()
  const hostile = '"usage":{'.repeat(2_000)
  for (const name of NAMES) DIALECTS[name].readUsage(hostile, hostile)
  t.ok(performance.now() - started < 1_000)
})
