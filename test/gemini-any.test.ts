// Nothing that is sent to Gemini's translator breaks it or holds it up.
import fc from 'fast-check'
import t from 'tap'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import { chunk, model } from './support/gemini.ts'
import { CONTEXT, events, frames, problemIn, stream, summary, translator } from './support/translate.ts'

const gemini = translator('gemini')
const openai = translator('openai-chat')
const anthropic = translator('anthropic')

const KEYS = [
  'contents',
  'parts',
  'role',
  'text',
  'thought',
  'functionCall',
  'function_response',
  'functionResponse',
  'response',
  'args',
  'name',
  'id',
  'inlineData',
  'fileData',
  'mimeType',
  'data',
  'fileUri',
  'tools',
  'functionDeclarations',
  'parameters',
  'type',
  'properties',
  'items',
  'anyOf',
  'nullable',
  'toolConfig',
  'functionCallingConfig',
  'mode',
  'generationConfig',
  'thinkingConfig',
  'thinkingBudget',
  'responseSchema',
  'responseMimeType',
  'systemInstruction',
  'candidates',
  'content',
  'finishReason',
  'usageMetadata',
  'promptFeedback',
  'partialArgs',
  'willContinue',
  'jsonPath',
  '__proto__',
  'constructor',
  'executableCode',
  'code'
]
const leaf = fc.oneof(
  fc.jsonValue({ maxDepth: 1 }),
  fc.constantFrom('model', 'user', 'ANY', 'STOP', '$.a[0].b', 'image/png')
)
const { any } = fc.letrec(tie => ({
  any: fc.oneof(
    { maxDepth: 7 },
    leaf,
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie('any'), { maxKeys: 5 })
  )
}))
const forms = fc.oneof(
  any,
  any.map(parts => ({
    contents: [{ role: 'model', parts: [parts] }, { parts }],
    candidates: [{ content: { parts } }]
  })),
  fc.array(any, { maxLength: 4 }).map(parts => ({ contents: [{ parts }], candidates: [{ content: { parts } }] }))
)

t.test('nothing that is sent makes it throw', async t => {
  fc.assert(
    fc.property(forms, body => {
      const chat = gemini.decodeRequest(body)
      const answer = gemini.decodeAnswer(body)
      const found = events(gemini, frames(JSON.stringify(body), chunk([], { finishReason: 'STOP' })))
      const problem = problemIn(found)
      if (problem !== undefined) throw new Error(problem)
      for (const to of [gemini, openai, anthropic]) {
        stream(to, found)
        if (!(answer instanceof Failure)) JSON.stringify(to.encodeAnswer(answer, CONTEXT))
        if (chat instanceof Failure) continue
        for (const name of ['gemini-2.5-pro', 'gemini-3-flash', 'x']) {
          const result = to.encodeRequest({ ...chat, model: name })
          if (!(result instanceof Failure)) JSON.stringify(result.body)
        }
      }
    }),
    { numRuns: 2_000 }
  )
  const nested = (levels: number) => JSON.parse(`${'{"a":['.repeat(levels)}1${']}'.repeat(levels)}`) as unknown
  for (const part of [
    { functionCall: { name: 'f', args: nested(5_000) } },
    { functionResponse: { name: 'f', response: nested(5_000) } },
    nested(5_000)
  ])
    t.doesNotThrow(() => gemini.decodeRequest({ contents: [model(part as object)] }))
  t.doesNotThrow(() => gemini.decodeAnswer(chunk([{ functionCall: { name: 'f', args: nested(5_000) } }])))
  const deep = `{"candidates":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  t.same(summary(events(gemini, frames(deep))), ['! upstream-failed'])
})

t.test('an event costs microseconds, and a long call no more than its length', async t => {
  const count = 50_000
  const chunks = Array.from({ length: count }, (_, at) => JSON.stringify(chunk([{ text: `word ${at} ` }])))
  const decoder = gemini.decodeStream()
  const encoder = gemini.encodeStream(CONTEXT)
  const started = performance.now()
  let length = 0
  for (const data of chunks) for (const event of decoder.push({ data })) length += encoder.push(event).length
  const each = ((performance.now() - started) / count) * 1_000
  t.ok(length > count * 100)
  t.comment(`${each.toFixed(1)} µs an event, decoded and encoded`)
  t.ok(each < 60, `${each.toFixed(1)} µs`)
  const pieces = Array.from({ length: 100_000 }, (_, at) => `${at === 0 ? '{"list":[' : ','}"${'x'.repeat(30)}"`)
  const calling: ChatEvent[] = [
    { type: 'block-start', index: 0, block: { type: 'tool-call', id: 'a', name: 'f', input: '' } },
    ...pieces.map((text, at): ChatEvent => ({ type: 'block-delta', index: 0, text: at === 0 ? `${text}` : text })),
    { type: 'block-delta', index: 0, text: ']}' },
    { type: 'block-end', index: 0 },
    { type: 'finish', reason: 'tool-calls' }
  ]
  const before = performance.now()
  const text = stream(gemini, calling)
  t.ok(text.length > 3_000_000)
  t.ok(performance.now() - before < 4_000)
})
