// Gemini's answers and streams, from an upstream and for a client.
import t from 'tap'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import { gemini as demo } from '../src/demo/gemini.ts'
import { replyTo } from '../src/demo/reply.ts'
import { chunk, right, usageMetadata } from './support/gemini.ts'
import {
  CONTEXT,
  CUTS,
  call,
  ended,
  events,
  frames,
  problemIn,
  stream,
  summary,
  translator
} from './support/translate.ts'

const gemini = translator('gemini')
const openai = translator('openai-chat')
const anthropic = translator('anthropic')

// Answers.

t.test('an answer comes back as it was, and means the same to all', async t => {
  const parts = [
    { text: 'Hm.', thought: true },
    { text: 'Look: ', thoughtSignature: 'c2ln' },
    { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } },
    { executableCode: { language: 'PYTHON', code: '1' } },
    { functionCall: { id: 'own', name: 'F', args: { a: [1] } }, thoughtSignature: 'c2ln' }
  ]
  const more = {
    finishReason: 'STOP',
    citationMetadata: { citationSources: [] },
    groundingMetadata: { webSearchQueries: ['x'] },
    avgLogprobs: -0.1
  }
  const body = {
    ...chunk(parts, more, { usageMetadata, createTime: '2026-01-01T00:00:00Z' }),
    modelVersion: CONTEXT.model,
    responseId: CONTEXT.id
  }
  const two = { ...body, candidates: [...body.candidates, { content: { parts: [{ text: 'Or.' }] }, index: 1 }] }
  for (const whole of [body, two]) t.same(gemini.encodeAnswer(right(gemini.decodeAnswer(whole)), CONTEXT), whole)
  const answer = right(gemini.decodeAnswer(body, { tools: ['f'] }))
  t.match(answer, {
    finish: 'tool-calls',
    usage: { input: 22, output: 8, cacheRead: 8, cacheWrite: 0, reasoning: 3 },
    blocks: [{ type: 'thinking' }, { type: 'text' }, { type: 'image' }, { type: 'foreign' }, { id: 'own', name: 'f' }]
  })
  t.match(openai.encodeAnswer(answer, CONTEXT), {
    choices: [
      {
        finish_reason: 'tool_calls',
        message: { content: 'Look: ', reasoning_content: 'Hm.', tool_calls: [{ function: { arguments: '{"a":[1]}' } }] }
      }
    ],
    usage: { prompt_tokens: 22, completion_tokens: 8, total_tokens: 30 }
  })
  t.match(anthropic.encodeAnswer(answer, CONTEXT), { stop_reason: 'tool_use', usage: { input_tokens: 14 } })
})

t.test('why it ended has its word', async t => {
  const finish = (finishReason: string, parts: object[] = [{ text: 'x' }]) => {
    const answer = gemini.decodeAnswer(chunk(parts, { finishReason }))
    return answer instanceof Failure ? answer.kind : answer.finish
  }
  const wanted: Record<string, string> = {
    STOP: 'stop',
    MAX_TOKENS: 'length',
    SAFETY: 'content-filter',
    RECITATION: 'content-filter',
    PROHIBITED_CONTENT: 'content-filter',
    BLOCKLIST: 'content-filter',
    SPII: 'content-filter',
    OTHER: 'content-filter',
    MALFORMED_FUNCTION_CALL: 'upstream-failed',
    UNEXPECTED_TOOL_CALL: 'upstream-failed',
    SOMETHING_NEW: 'stop'
  }
  for (const [said, kind] of Object.entries(wanted)) {
    t.equal(finish(said), kind, said)
    const last = summary(events(gemini, frames(chunk([{ text: 'x' }]), chunk([], { finishReason: said })))).at(-1)
    t.equal(last, kind === 'upstream-failed' ? `! ${kind}` : `= ${kind}`, said)
    const answer = gemini.decodeAnswer(chunk([{ text: 'x' }], { finishReason: said }))
    if (answer instanceof Failure) continue
    t.match(gemini.encodeAnswer(answer, CONTEXT), { candidates: [{ finishReason: said }] })
  }
  t.equal(finish('STOP', [{ functionCall: { name: 'f' } }]), 'tool-calls')
  const blocked = { promptFeedback: { blockReason: 'SAFETY' }, usageMetadata: { promptTokenCount: 9 } }
  t.match(gemini.decodeAnswer(blocked), { finish: 'content-filter', blocks: [], usage: { input: 9 } })
  t.same(summary(events(gemini, frames(blocked))), ['= content-filter'])
  const refused = gemini.encodeAnswer(right(gemini.decodeAnswer(blocked)), CONTEXT)
  t.match(refused, { promptFeedback: { blockReason: 'SAFETY' }, candidates: undefined })
  t.match(gemini.decodeAnswer({ usageMetadata }), { kind: 'upstream-failed' })
  t.match(gemini.decodeAnswer({ error: { code: 429, status: 'RESOURCE_EXHAUSTED', message: 'Slow.' } }), {
    kind: 'upstream-rate-limited'
  })
  for (const [reason, said] of [
    ['refusal', 'SAFETY'],
    ['pause', 'STOP'],
    ['context-exceeded', 'MAX_TOKENS']
  ] as const)
    t.match(gemini.encodeAnswer({ id: '', model: 'm', blocks: [], finish: reason }, CONTEXT), {
      candidates: [{ content: { parts: [{ text: '' }] }, finishReason: said }]
    })
  const cut = { type: 'tool-call', id: 'a', name: 'f', input: '{"half' } as const
  t.match(gemini.encodeAnswer({ id: '', model: 'm', blocks: [cut], finish: 'length' }, CONTEXT), {
    candidates: [{ content: { parts: [{ text: '', functionCall: undefined }] } }]
  })
})

// Streams.

const said = (...chunks: object[]) => summary(events(gemini, frames(...chunks)))
const done = chunk([{ text: '' }], { finishReason: 'STOP' }, { usageMetadata })

t.test('parts of many frames become blocks', async t => {
  const calls = [{ functionCall: { name: 'f', args: { a: 1 } } }, { functionCall: { id: 'own', name: 'G' } }]
  const wire = [
    chunk([{ text: 'H', thought: true }], {}, { usageMetadata: { promptTokenCount: 20 } }),
    chunk([{ text: 'm.', thought: true }]),
    chunk([{ text: 'I ' }]),
    chunk([{ text: 'look.' }, { text: '', thoughtSignature: 'c2ln' }]),
    chunk([{ text: 'Now:' }]),
    chunk(calls),
    done
  ]
  const found = events(gemini, frames(...wire), 7, { id: 'x', tools: ['g'] })
  t.same(summary(found), [
    'thinking: Hm.',
    'text: I look. {"gemini":{"thoughtSignature":"c2ln"}}',
    'text: Now:',
    'call_x_0 f: {"a":1}',
    'own g: {}',
    '= tool-calls'
  ])
  t.equal(problemIn(found), undefined)
  t.match(found[0], { type: 'start', id: 'r1', model: 'g', usage: { input: 20 } })
  t.match(found.at(-2), { usage: { input: 22, output: 8, cacheRead: 8, reasoning: 3 } })
  for (const cut of CUTS) {
    t.same(events(gemini, frames(...wire), cut, { id: 'x', tools: ['g'] }), found)
    t.same(events(gemini, frames(...wire).replaceAll('\n', '\r\n'), cut, { id: 'x', tools: ['g'] }), found)
  }
})

t.test('an end is said, or it is a failure', async t => {
  t.same(said(chunk([{ text: 'Hi' }])), ['text: Hi', '! upstream-failed'])
  t.same(said(chunk([{ text: 'Hi' }], { finishReason: 'MAX_TOKENS' })), ['text: Hi', '= length'])
  t.same(said(chunk([{ text: 'Hi' }], { finishReason: 'STOP' }), chunk([{ text: ' there' }], {}, { usageMetadata })), [
    'text: Hi there',
    '= stop'
  ])
  t.same(said(), ['! upstream-failed'])
  const busy = { error: { code: 503, message: 'Busy.', status: 'UNAVAILABLE' } }
  t.same(said(chunk([{ text: 'Hi' }]), busy), ['text: Hi', '! upstream-overloaded'])
  t.same(summary(events(gemini, frames(JSON.stringify([busy])))), ['! upstream-overloaded'])
  t.same(summary(events(gemini, frames(chunk([{ text: 'Hi' }]), '{"half'))), ['text: Hi', '! upstream-failed'])
  t.same(said(chunk([{ text: 'one' }], { index: 1 }), chunk([{ text: 'Hi' }]), done), ['text: Hi', '= stop'])
})

t.test('arguments in pieces are put together', async t => {
  const piece = (functionCall: object) => chunk([{ functionCall }])
  const wire = [
    piece({ name: 'f', id: 'a', willContinue: true }),
    piece({ partialArgs: [{ jsonPath: '$.city', stringValue: 'Os', willContinue: true }], willContinue: true }),
    piece({
      partialArgs: [
        { jsonPath: '$.city', stringValue: 'lo' },
        { jsonPath: '$.days[1].n', numberValue: 2 },
        { jsonPath: "$['a.b']", boolValue: true },
        { jsonPath: '$.none', nullValue: 'NULL_VALUE' },
        { jsonPath: '$.__proto__.polluted', stringValue: 'x' },
        { jsonPath: '$.far[99999999]', numberValue: 1 }
      ],
      willContinue: true
    }),
    piece({})
  ]
  const [line, end] = said(...wire, done)
  t.equal(end, '= tool-calls')
  t.match(line, /^a f: /)
  const { __proto__: _, ...args } = JSON.parse((line ?? '').slice(5)) as Record<string, unknown>
  t.same(args, { city: 'Oslo', days: [null, { n: 2 }], 'a.b': true, none: null })
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
  t.same(said(...wire.slice(0, 2), chunk([], { finishReason: 'MAX_TOKENS' })), ['= length'])
})

t.test('what only Gemini knows survives its own stream', async t => {
  const image = { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }
  const own = { citationMetadata: { citationSources: [] }, safetyRatings: [] }
  const names = { modelVersion: CONTEXT.model, responseId: CONTEXT.id }
  const sse = frames(
    chunk([{ text: 'Hm.', thought: true }], {}, names),
    chunk([{ text: 'Look:' }], {}, names),
    chunk([{ text: '', thoughtSignature: 'c2ln' }], {}, names),
    chunk([image], {}, names),
    chunk([{ codeExecutionResult: { outcome: 'OUTCOME_OK', output: '1' } }], {}, names),
    chunk([{ functionCall: { id: 'own', name: 'f', args: { a: 1 } }, thoughtSignature: 'c2ln' }], {}, names),
    { ...chunk([{ text: '' }], { finishReason: 'RECITATION', ...own }), usageMetadata, ...names, createTime: 'now' }
  )
  const order = (text: string) => [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''))
  t.same(order(stream(gemini, events(gemini, sse))), order(sse))
})

t.test('a call goes out whole, and one that was cut never', async t => {
  const begun: ChatEvent[] = [
    { type: 'start', id: 'x', model: 'm' },
    { type: 'block-start', index: 0, block: { type: 'tool-call', id: 'a', name: 'f', input: '' } },
    { type: 'block-delta', index: 0, text: '{"x":\n' },
    { type: 'block-delta', index: 0, text: '["y' },
    { type: 'block-end', index: 0 }
  ]
  const cut = stream(gemini, [...begun, { type: 'finish', reason: 'length' }])
  t.same(summary(events(gemini, cut)), ['= length'])
  const mended = stream(gemini, [...begun, { type: 'finish', reason: 'tool-calls' }])
  t.same(summary(events(gemini, mended)), ['a f: {"x":["y"]}', '= tool-calls'])
  t.equal(mended.match(/functionCall/g)?.length, 1)
  const empty: ChatEvent[] = [...begun.slice(0, 2), { type: 'block-end', index: 0 }, { type: 'finish', reason: 'stop' }]
  t.match(stream(gemini, empty), '"args":{}')
})

t.test('a client is sent nothing but answers', async t => {
  const encoder = gemini.encodeStream(CONTEXT)
  const text = [
    encoder.keepAlive(),
    encoder.push({ type: 'start', id: 'x', model: 'm' }),
    encoder.push({ type: 'ping' }),
    encoder.push({ type: 'block-start', index: 0, block: { type: 'text', text: '' } }),
    encoder.push({ type: 'block-delta', index: 0, text: 'Hi' }),
    encoder.keepAlive(),
    encoder.push({ type: 'block-delta', index: 0, text: ' there' }),
    encoder.push({ type: 'block-end', index: 0 }),
    encoder.push({ type: 'finish', reason: 'stop' }),
    encoder.keepAlive(),
    encoder.end()
  ].join('')
  t.equal(text.replace(/data: \{.*\}\n\n/g, ''), '', 'no comments, no events')
  const kept = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? ''))
  // Google's SDK drops an answer of which one frame has no part.
  for (const frame of kept) t.match(frame, { candidates: [{ content: { role: 'model', parts: [{ text: String }] } }] })
  t.same(summary(events(gemini, text)), ['text: Hi there', '= stop'])
  t.match(gemini.encodeStream(CONTEXT).end(), '"error":{"code":502')
})

t.test('streams of the others reach a client of Gemini’s, and back', async t => {
  const fromOpenAI = frames(
    call(0, 'a', 'f', '{"x"'),
    call(1, 'b', 'g', '{"y"'),
    call(0, undefined, undefined, ':1}'),
    call(1, undefined, undefined, ':2}'),
    ended('tool_calls'),
    '[DONE]'
  )
  const toClient = stream(gemini, events(openai, fromOpenAI))
  t.same(summary(events(gemini, toClient)), ['a f: {"x":1}', 'b g: {"y":2}', '= tool-calls'])
  const wire = frames(
    chunk([{ text: 'Hm.', thought: true }]),
    chunk([{ text: 'I look.' }, { functionCall: { name: 'f', args: { x: 1 } } }]),
    done
  )
  const found = events(gemini, wire, 64, { id: 'q' })
  const lines = ['thinking: Hm.', 'text: I look.', 'call_q_0 f: {"x":1}', '= tool-calls']
  t.same(summary(found), lines)
  t.same(summary(events(openai, stream(openai, found))), lines)
  const toAnthropic = summary(events(anthropic, stream(anthropic, found)))
  t.same(toAnthropic, lines)
  const back = summary(events(gemini, stream(gemini, events(anthropic, stream(anthropic, found)))))
  t.same(back, lines)
})

t.test('an answer of the demo is the same in one piece and streamed', async t => {
  const tools = ['get_weather', 'get_time'].map(name => ({ name, schema: { type: 'object' } }))
  const orders = { pace: 0, firstByte: 0, fail: undefined, retryAfter: undefined, chunks: 20 }
  const base = {
    results: [],
    toolChoice: 'auto',
    parallel: true,
    schema: undefined,
    cap: undefined,
    stops: [],
    input: 7
  } as const
  for (const [prompt, thinking] of [
    ['Hello', undefined],
    ['Hello', 'Let me think.'],
    ['Call get_weather and get_time', 'Both.']
  ] as const) {
    const reply = replyTo({ ...base, prompt, tools }, { ...orders, text: undefined, thinking }, 'abc', 'demo')
    const answer = right(gemini.decodeAnswer(demo.encodeAnswer(reply, {})))
    const found = events(gemini, demo.encodeStream(reply, {}).join(''), 7)
    const streamed = right(gemini.decodeAnswer(JSON.parse(JSON.stringify(gemini.encodeAnswer(answer, CONTEXT)))))
    t.same(streamed.blocks, answer.blocks)
    t.match(found.at(-1), { type: 'finish', reason: answer.finish })
    t.same(found.findLast(event => event.type === 'usage')?.usage, answer.usage)
    t.equal(summary(found).length, answer.blocks.length + 1)
  }
})
