// Any answer survives a stream, and no broken one breaks us.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import type { FinishReason } from '../src/chat/answer.ts'
import type { Block } from '../src/chat/block.ts'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import { anthropic as demoAnthropic } from '../src/demo/anthropic.ts'
import type { Writer } from '../src/demo/frames.ts'
import { openaiChat as demoOpenAI } from '../src/demo/openai-chat.ts'
import type { Orders } from '../src/demo/orders.ts'
import { replyTo } from '../src/demo/reply.ts'
import { parseObject, repairObject } from '../src/lib/json-repair.ts'
import {
  CASES,
  CONTEXT,
  CUTS,
  call,
  ended,
  events,
  frames,
  NAMES,
  problemIn,
  stream,
  summary,
  titleOf,
  translator
} from './support/translate.ts'

// A machine that does much else needs longer than its half a minute.
t.setTimeout(600_000)

const anthropic = translator('anthropic')
const openai = translator('openai-chat')
const readIf = (path: string): unknown => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined)

const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }).filter(value => !/\p{Surrogate}/u.test(value))
const pieces = fc.array(text, { minLength: 1, maxLength: 4 })
const json = fc.dictionary(fc.string(), fc.jsonValue()).map(value => JSON.stringify(value))
const inPieces = (whole: string) => whole.match(/[\s\S]{1,5}/gu) ?? []

interface Part {
  readonly block: Block
  readonly deltas: readonly string[]
  readonly signature?: string
}
const parts: fc.Arbitrary<Part[]> = fc
  .array(
    fc.oneof(
      pieces.map((deltas): Part => ({ block: { type: 'text', text: '' }, deltas })),
      fc
        .tuple(pieces, fc.option(fc.constant('c2ln'), { nil: '' }))
        .map(([deltas, signature]): Part => ({ block: { type: 'thinking', text: '' }, deltas, signature })),
      json.map(
        (input): Part => ({ block: { type: 'tool-call', id: '', name: 'f', input: '' }, deltas: inPieces(input) })
      )
    ),
    { maxLength: 6 }
  )
  .map(list =>
    list.map((part, at) =>
      part.block.type === 'tool-call' ? { ...part, block: { ...part.block, id: `call_${at}` } } : part
    )
  )

function eventsOf(list: readonly Part[], reason: FinishReason, id: string): ChatEvent[] {
  const usage = { input: 9, output: 5, cacheRead: 3, cacheWrite: 1, reasoning: 2 }
  return [
    { type: 'start', id, model: CONTEXT.model },
    ...list.flatMap(({ block, deltas, signature = '' }, index): ChatEvent[] => [
      { type: 'block-start', index, block },
      ...deltas.map((delta): ChatEvent => ({ type: 'block-delta', index, text: delta })),
      ...(signature === '' ? [] : [{ type: 'block-extra', index, extra: { anthropic: { signature } } } as const]),
      { type: 'block-end', index }
    ]),
    { type: 'usage', usage },
    { type: 'finish', reason }
  ]
}

const cuts = fc.constantFrom(...CUTS)
const REASONS: FinishReason[] = [
  'stop',
  'length',
  'tool-calls',
  'stop-sequence',
  'refusal',
  'context-exceeded',
  'pause'
]

t.test('any answer survives Anthropic’s stream', async () => {
  fc.assert(
    fc.property(parts, fc.constantFrom(...REASONS), cuts, (list, reason, cut) => {
      const said = eventsOf(list, reason, 'msg_x1')
      const found = events(anthropic, stream(anthropic, said), cut).filter(({ type }) => type !== 'ping')
      const [start, ...rest] = found
      if (start?.type !== 'start' || start.model !== 'a-model') throw new Error('no start')
      if (JSON.stringify(rest) !== JSON.stringify(said.slice(1))) throw new Error(JSON.stringify([said, rest]))
    }),
    { numRuns: 300 }
  )
})

t.test('any answer survives OpenAI’s stream, but for where its texts are cut', async () => {
  const merged = (list: readonly Part[]) => {
    const lines: string[] = []
    for (const [at, { block, deltas }] of list.entries()) {
      const isMore = block.type !== 'tool-call' && list[at - 1]?.block.type === block.type
      lines.push((isMore ? lines.pop() : titleOf(block)) + deltas.join(''))
    }
    return lines
  }
  fc.assert(
    fc.property(parts, cuts, (list, cut) => {
      const reason = list.some(({ block }) => block.type === 'tool-call') ? 'tool-calls' : 'stop'
      const found = events(openai, stream(openai, eventsOf(list, reason, 'x')), cut)
      const wanted = [...merged(list), `= ${reason}`]
      if (JSON.stringify(summary(found)) !== JSON.stringify(wanted))
        throw new Error(JSON.stringify([wanted, summary(found)]))
      const problem = problemIn(found)
      if (problem !== undefined) throw new Error(problem)
    }),
    { numRuns: 300 }
  )
})

const NONE: Orders = {
  pace: 0,
  firstByte: 0,
  fail: undefined,
  retryAfter: undefined,
  text: undefined,
  thinking: undefined,
  chunks: undefined
}

t.test('an answer of the demo is the same in one piece and streamed, in both dialects', async t => {
  const tools = ['get_weather', 'get_time'].map(name => ({ name, schema: { type: 'object' } }))
  const base = {
    results: [],
    toolChoice: 'auto',
    parallel: true,
    schema: undefined,
    cap: undefined,
    stops: [],
    input: 7
  } as const
  const asks: [prompt: string, orders: Partial<Orders>][] = [
    ['Hello', {}],
    ['Hello', { thinking: 'Let me think.', chunks: 40 }],
    ['Call get_weather and get_time', { thinking: 'Both.', text: 'I look.' }],
    ['Call get_time with {"zone": "Ünïx 🙂", "list": [1, {"a": "\\""}]}', {}]
  ]
  const demos: [string, Writer][] = [
    ['anthropic', demoAnthropic],
    ['openai-chat', demoOpenAI]
  ]
  for (const [prompt, orders] of asks) {
    const reply = replyTo({ ...base, prompt, tools }, { ...NONE, ...orders }, 'abc', 'demo')
    const said = demos.map(([name, writer]) => {
      const body = { stream_options: { include_usage: true } }
      const streamed = events(translator(name), writer.encodeStream(reply, body).join(''), 7)
      const answer = translator(name).decodeAnswer(writer.encodeAnswer(reply, body))
      if (answer instanceof Failure) throw new Error(answer.message)
      const lines = summary(streamed).map(line => line.replace(/ \{"anthropic".*|^(?:toolu|call)_/, ''))
      const whole = answer.blocks.map(
        block => titleOf(block) + ('text' in block ? block.text : 'input' in block ? block.input : '')
      )
      t.same(
        lines,
        [...whole.map(line => line.replace(/^(?:toolu|call)_/, '')), `= ${answer.finish}`],
        `${prompt}, ${name}`
      )
      t.same(streamed.findLast(event => event.type === 'usage')?.usage, answer.usage)
      return lines
    })
    t.same(said[0], said[1], prompt)
  }
})

t.test('what only one dialect knows survives its own streams and answers', async t => {
  const blocks = [
    { type: 'redacted_thinking', data: 'ZW4=' },
    { type: 'server_tool_use', id: 's1', name: 'web_search', input: {} },
    {
      type: 'web_search_tool_result',
      tool_use_id: 's1',
      content: [{ type: 'web_search_result', url: 'https://example.com' }]
    },
    { type: 'text', text: '' }
  ]
  const deltas: Record<number, object[]> = {
    1: [{ type: 'input_json_delta', partial_json: '{"query":"x"}' }],
    3: [
      { type: 'text_delta', text: 'As it says.' },
      { type: 'citations_delta', citation: { type: 'page', cited_text: 'x' } }
    ]
  }
  const usage = { input_tokens: 5, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 3 }
  const message = { id: 'msg_x1', type: 'message', role: 'assistant', model: 'a-model', content: [], stop_reason: null }
  const wire = [
    { type: 'message_start', message: { ...message, stop_sequence: null, usage } },
    { type: 'ping' },
    ...blocks.flatMap((content_block, index) => [
      { type: 'content_block_start', index, content_block },
      ...(deltas[index] ?? []).map(delta => ({ type: 'content_block_delta', index, delta })),
      { type: 'content_block_stop', index }
    ]),
    { type: 'message_delta', delta: { stop_reason: 'pause_turn', stop_sequence: null, container: { id: 'c' } }, usage },
    { type: 'message_stop' }
  ]
  const sse = wire.map(event => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join('')
  const again = stream(anthropic, events(anthropic, sse).slice(0, 1).concat(events(anthropic, sse).slice(2)))
  t.equal(again, sse)
  t.same(summary(events(openai, stream(openai, events(anthropic, sse)))), ['text: As it says.', '= stop'])
  const choice = {
    index: 0,
    message: { role: 'assistant', content: 'Hi', refusal: null },
    logprobs: { content: [] },
    finish_reason: 'stop'
  }
  const answer = {
    id: 'chatcmpl-x1',
    object: 'chat.completion',
    created: CONTEXT.created,
    model: 'a-model',
    choices: [choice, { ...choice, index: 1 }],
    usage: {
      prompt_tokens: 1,
      completion_tokens: 2,
      total_tokens: 3,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 0 }
    },
    system_fingerprint: 'fp'
  }
  const decoded = openai.decodeAnswer(answer)
  t.same(decoded instanceof Failure ? decoded : openai.encodeAnswer(decoded, CONTEXT), answer)
})

const edits = fc.array(fc.tuple(fc.nat(), fc.nat(40), fc.string({ unit: 'binary', maxLength: 8 })), {
  minLength: 1,
  maxLength: 6
})

t.test('a broken stream never throws, and ends', async () => {
  fc.assert(
    fc.property(parts, edits, cuts, fc.constantFrom(...NAMES), (list, changes, cut, name) => {
      let sse = stream(translator(name), eventsOf(list, 'stop', 'x'))
      for (const [from, count, put] of changes) {
        const at = from % (sse.length + 1)
        sse = sse.slice(0, at) + put + sse.slice(at + count)
      }
      for (const reader of NAMES) {
        const found = events(translator(reader), sse, cut)
        const problem = problemIn(found)
        if (problem !== undefined) throw new Error(`${reader}: ${problem} in ${sse}`)
        for (const writer of NAMES) stream(translator(writer), found)
      }
    }),
    { numRuns: 300 }
  )
})

const bodies = readdirSync(CASES).flatMap(scenario =>
  NAMES.flatMap(name => ['request.json', 'answer.json'].map(file => readIf(join(CASES, scenario, name, file)))).filter(
    Boolean
  )
)

t.test('broken JSON is mended or given up, and never grows out of proportion', async () => {
  fc.assert(
    fc.property(json, edits, (input, changes) => {
      let text = input
      for (const [from, count, put] of changes) {
        const at = from % (text.length + 1)
        text = text.slice(0, at) + put + text.slice(at + count)
      }
      const mended = repairObject(text)
      if (mended !== undefined && parseObject(mended) === undefined) throw new Error(mended)
      if (repairObject(input) !== input) throw new Error('what is valid stays as it is')
    })
  )
})

t.test('a broken body never throws', async () => {
  const change = (value: unknown, path: readonly number[], put: unknown): unknown => {
    const [step, ...rest] = path
    if (step === undefined || typeof value !== 'object' || value === null) return put
    const keys = Object.keys(value)
    if (keys.length === 0) return put
    const key = keys[step % Math.max(1, keys.length)] ?? 'x'
    const inner = change((value as Record<string, unknown>)[key], rest, put)
    return Array.isArray(value) ? value.with(Number(key) || 0, inner) : { ...value, [key]: inner }
  }
  fc.assert(
    fc.property(
      fc.constantFrom(...bodies),
      fc.array(fc.nat(20), { maxLength: 6 }),
      fc.jsonValue(),
      (body, path, put) => {
        const broken = change(body, path, put)
        for (const from of NAMES) {
          const chat = translator(from).decodeRequest(broken)
          const answer = translator(from).decodeAnswer(broken)
          for (const to of NAMES) {
            if (!(chat instanceof Failure))
              for (const flavour of ['official', 'local'] as const) translator(to).encodeRequest(chat, flavour)
            if (!(answer instanceof Failure)) translator(to).encodeAnswer(answer, CONTEXT)
          }
        }
      }
    ),
    { numRuns: 800 }
  )
})

t.test('4 MB of arguments cost no more than their length', async t => {
  const piece = JSON.stringify({ text: 'x"\\n'.repeat(16) }).slice(1, -1)
  const input = `{"list":[${Array.from({ length: 40_000 }, () => `{${piece}}`).join(',')}]}`
  const deltas = input.match(/[\s\S]{1,40}/g) ?? []
  for (const [name, last] of [
    ['whole', 0],
    ['cut', 1]
  ] as const) {
    const chunks = [
      call(0, 'a', 'f', ''),
      ...deltas.slice(0, deltas.length - last).map(text => call(0, undefined, undefined, text))
    ]
    const sse = frames(...chunks, call(1, 'b', 'f', '{}'), ended('tool_calls'), '[DONE]')
    const started = performance.now()
    const said = events(openai, sse, 1 << 16)
    stream(anthropic, said)
    const took = performance.now() - started
    t.equal(said.at(-1)?.type, 'finish')
    t.ok(took < 8_000, `${name}: ${input.length >> 20} MB in ${deltas.length} deltas took ${Math.round(took)} ms`)
    t.comment(`${name}: ${Math.round(took)} ms for ${deltas.length} deltas`)
  }
})
