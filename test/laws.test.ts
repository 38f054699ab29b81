// Laws that hold for anything the hub can hold, in every dialect. `SEED` tries others than the usual ones.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import type { ChatAnswer, FinishReason } from '../src/chat/answer.ts'
import type { Block } from '../src/chat/block.ts'
import type { Citation } from '../src/chat/citation.ts'
import { Collector } from '../src/chat/collect.ts'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import type { TokenProbability } from '../src/chat/probability.ts'
import { type ChatRequest, EFFORTS, type Extra, type Tool, type Turn } from '../src/chat/request.ts'
import type { Flavour } from '../src/dialects/dialect.ts'
import { Dropped } from '../src/dialects/dropped.ts'
import { DIALECTS } from '../src/dialects/index.ts'
import { defined } from '../src/dialects/read.ts'
import { SseReader } from '../src/lib/sse.ts'
import { assembled, finishKept, gist, losses, plain, undeclared, unpaired } from './support/cases.ts'
import { CONTEXT, CUTS, events, NAMES, problemIn, stream, translator } from './support/translate.ts'

const seed = Number(process.env['SEED'] ?? 20_261_121)
const runs = (numRuns: number) => ({ seed, numRuns: numRuns * Number(process.env['RUNS'] ?? 1) })
t.setTimeout(600_000)
t.comment(`seed ${seed}`)

const text = fc.string({ unit: 'binary', maxLength: 12 }).filter(value => !/\p{Surrogate}/u.test(value))
const someText = text.filter(value => value.trim() !== '')
const json = fc.dictionary(fc.string(), fc.jsonValue()).map(value => JSON.stringify(value))
const name = fc.string({ unit: fc.constantFrom(...'abcXYZ019_-'), minLength: 1, maxLength: 80 })
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const usage = fc
  .record({
    rest: fc.nat(9_999),
    cacheRead: fc.nat(999),
    cacheWrite: fc.nat(99),
    reasoning: fc.nat(99),
    said: fc.nat(999)
  })
  .map(({ rest, said, ...more }) => ({
    ...more,
    input: rest + more.cacheRead + more.cacheWrite,
    output: said + more.reasoning
  }))

// Answers.

const page = fc
  .tuple(fc.nat(9), maybe(fc.string({ unit: fc.constantFrom(...'Tower '), minLength: 1 })), fc.nat(12), fc.nat(12))
  .map(([number, title, from, to]): Citation => {
    const place = { start: Math.min(from, to), end: Math.max(from, to) }
    return { type: 'page', url: `https://example.com/${number}`, ...defined({ title }), ...place }
  })
const token = fc
  .tuple(someText, fc.constantFrom(-0.5, -1.25))
  .map(([token, logprob]): TokenProbability => ({ token, logprob }))
const answerBlock: fc.Arbitrary<Block> = fc.oneof(
  text.map((text): Block => ({ type: 'text', text })),
  fc
    .tuple(someText, fc.array(page, { minLength: 1, maxLength: 3 }), maybe(fc.array(token, { minLength: 1 })))
    .map(([text, citations, logprobs]): Block => ({ type: 'text', text, citations, ...defined({ logprobs }) })),
  fc
    .tuple(text, maybe(fc.constant({ anthropic: { signature: 'c2ln' } })))
    .map(([text, extra]): Block => ({ type: 'thinking', text, ...defined({ extra }) })),
  fc.tuple(name, json).map(([name, input]): Block => ({ type: 'tool-call', id: '', name, input })),
  fc.tuple(name, text).map(([name, input]): Block => ({ type: 'tool-call', id: '', name, input, freeform: true })),
  fc.constant<Block>({ type: 'redacted-thinking', extra: { anthropic: { data: 'ZW4=' } } }),
  fc.constant<Block>({
    type: 'foreign',
    dialect: 'anthropic',
    value: { type: 'server_tool_use', id: 's1', name: 'x', input: {} }
  })
)

const REASONS: FinishReason[] = [
  'stop',
  'length',
  'stop-sequence',
  'refusal',
  'content-filter',
  'context-exceeded',
  'pause'
]

/** An answer that a model could have given: calls end it, and who refuses does so in words. */
const answers: fc.Arbitrary<ChatAnswer> = fc
  .tuple(fc.array(answerBlock, { maxLength: 6 }), fc.constantFrom(...REASONS), usage, maybe(someText))
  .map(([list, reason, usage, refusal]) => {
    const calls = list.some(({ type }) => type === 'tool-call')
    const refuses = !calls && refusal !== undefined && reason === 'refusal'
    const numbered = list.map((block, at) => (block.type === 'tool-call' ? { ...block, id: `call_${at}` } : block))
    const blocks: Block[] = refuses ? [...numbered, { type: 'text', text: refusal, refusal: true }] : numbered
    return { id: 'x1', model: 'a-model', blocks, finish: calls ? 'tool-calls' : reason, usage }
  })

/** The answer in pieces of all sizes, none among them. */
function eventsOf(answer: ChatAnswer, size: number): ChatEvent[] {
  const pieces = (whole: string) => ['', ...(whole.match(new RegExp(`[\\s\\S]{1,${size}}`, 'gu')) ?? [])]
  const deltas = (index: number, whole: string) =>
    pieces(whole).map((text): ChatEvent => ({ type: 'block-delta', index, text }))
  const { id, model, blocks, finish: reason, usage } = answer
  const said = blocks.flatMap((block, index): ChatEvent[] => {
    const end: ChatEvent = { type: 'block-end', index }
    if (block.type === 'tool-call')
      return [
        { type: 'block-start', index, block: { ...block, input: '' } },
        ...deltas(index, block.input),
        { type: 'ping' },
        end
      ]
    if (block.type !== 'text' && block.type !== 'thinking') return [{ type: 'block-start', index, block }, end]
    const { extra, ...rest } = block
    const more: ChatEvent[] = extra === undefined ? [] : [{ type: 'block-extra', index, extra }]
    if (rest.type === 'thinking')
      return [{ type: 'block-start', index, block: { ...rest, text: '' } }, ...deltas(index, block.text), ...more, end]
    const { citations, logprobs, ...head } = rest
    if (citations !== undefined) more.push({ type: 'block-extra', index, extra: {}, citations })
    const said = deltas(index, block.text)
    const last = said.at(-1)
    if (last?.type === 'block-delta' && logprobs !== undefined) said.splice(-1, 1, { ...last, logprobs })
    return [{ type: 'block-start', index, block: { ...head, text: '' } }, ...said, ...more, end]
  })
  const last: ChatEvent[] = usage === undefined ? [] : [{ type: 'usage', usage }]
  return [{ type: 'start', id, model }, ...said, ...last, { type: 'finish', reason }]
}

/** What is not the same any more though the dialect could have said it. */
function changed(name: string, before: ChatAnswer, after: ChatAnswer): string | undefined {
  const [was, is] = [gist(before), gist(after)]
  if (is.text !== was.text) return `text: ${JSON.stringify([was.text, is.text])}`
  if (!isDeepStrictEqual(is.said, was.said)) return `said: ${JSON.stringify([was.said, is.said])}`
  if (!isDeepStrictEqual(pagesOf(after), pagesOf(before)))
    return `pages: ${JSON.stringify([before.blocks, after.blocks])}`
  const { cacheWrite: _, ...counted } = was.usage ?? {}
  const { cacheWrite: __, ...recounted } = is.usage ?? {}
  if (!isDeepStrictEqual(recounted, counted)) return `usage: ${JSON.stringify([was.usage, is.usage])}`
  return finishKept(name, before, after) ? undefined : `${before.finish} became ${after.finish}`
}

const pagesOf = ({ blocks }: ChatAnswer): string[] => {
  const cited = blocks.flatMap(block => (block.type === 'text' ? (block.citations ?? []) : []))
  return cited.map(citation => (citation.type === 'page' ? citation.url : 'foreign')).sort()
}

const fail = (problem: string | undefined) => {
  if (problem !== undefined) throw new Error(problem)
}

function collected(said: readonly ChatEvent[]): ChatAnswer {
  const collector = new Collector()
  for (const event of said) collector.push(event)
  return successful(collector.answer())
}

function successful<T>(result: T | Failure): T {
  if (result instanceof Failure) throw new Error(`${result.kind}: ${result.message}`)
  return result
}

t.test('any answer survives any two dialects, streamed and whole', async () => {
  const one = fc.constantFrom(...NAMES)
  fc.assert(
    fc.property(
      answers,
      fc.integer({ min: 1, max: 9 }),
      fc.constantFrom(...CUTS),
      one,
      one,
      (answer, size, cut, first, then) => {
        const said = eventsOf(answer, size)
        fail(problemIn(said))
        let [streamed, whole] = [said, answer]
        for (const name of [first, then]) {
          const translate = translator(name)
          // Gemini says at the end where a text is from, which may have ended by then.
          const dropped = new Dropped(name, 'answer')
          const found = events(translate, stream(translate, streamed), cut, { dropped })
          if (dropped.list().length > 0) return
          fail(problemIn(found))
          fail(changed(name, collected(streamed), collected(found)))
          const decoded = successful(translate.decodeAnswer(plain(translate.encodeAnswer(whole, CONTEXT))))
          fail(changed(name, whole, decoded))
          streamed = found
          whole = decoded
        }
      }
    ),
    runs(200)
  )
})

t.test('arguments come in pieces that make the JSON that was meant, and numbers never go back', async () => {
  fc.assert(
    fc.property(answers, fc.integer({ min: 1, max: 9 }), fc.constantFrom(...NAMES), (answer, size, name) => {
      const wire = stream(translator(name), eventsOf(answer, size))
      const [begun, said] = numbersIn(wire)
      for (const numbers of begun) if (numbers.some((number, at) => number !== at)) throw new Error(`begun: ${numbers}`)
      for (const numbers of said)
        if (
          !isDeepStrictEqual(
            numbers,
            numbers.toSorted((a, b) => a - b)
          )
        )
          throw new Error(`said: ${numbers}`)
      const inputs = (list: readonly Block[]) =>
        list
          .filter(block => block.type === 'tool-call' && block.freeform !== true)
          .map(block => JSON.parse('input' in block ? block.input : ''))
      const calls = answer.blocks.filter(block => block.type === 'tool-call' && block.freeform !== true)
      const ids = new Set(calls.map(block => ('id' in block ? block.id : '')))
      const found = assembled(events(translator(name), wire)).blocks.filter(
        block => block.type === 'tool-call' && ids.has(block.id)
      )
      if (!isDeepStrictEqual(inputs(found), inputs(calls))) throw new Error(JSON.stringify([found, calls]))
    }),
    runs(200)
  )
})

interface Frame {
  readonly type?: string
  readonly index?: number
  readonly output_index?: number
  readonly sequence_number?: number
  readonly choices?: readonly {
    readonly delta?: { readonly tool_calls?: readonly { readonly index: number; readonly id?: string }[] }
  }[]
}

type Numbers = Record<'blocks' | 'calls' | 'items' | 'sequence', number[]>

/** The numbers with which blocks, calls, items and events begin, and all those that are said of blocks, calls and items. */
function numbersIn(wire: string): [begun: number[][], said: number[][]] {
  const begun: Numbers = { blocks: [], calls: [], items: [], sequence: [] }
  const said: Numbers = { blocks: [], calls: [], items: [], sequence: [] }
  for (const { data } of new SseReader().push(Buffer.from(wire))) {
    const {
      type,
      index,
      output_index: item,
      sequence_number: number,
      choices = []
    } = data.startsWith('{') ? (JSON.parse(data) as Frame) : {}
    if (number !== undefined) begun.sequence.push(number)
    if (index !== undefined) said.blocks.push(index)
    if (index !== undefined && type === 'content_block_start') begun.blocks.push(index)
    if (item !== undefined) said.items.push(item)
    if (item !== undefined && type === 'response.output_item.added') begun.items.push(item)
    for (const call of choices[0]?.delta?.tool_calls ?? []) {
      said.calls.push(call.index)
      if (call.id !== undefined) begun.calls.push(call.index)
    }
  }
  return [Object.values(begun), Object.values(said)]
}

t.test('a stream that breaks off anywhere ends with a failure that its dialect knows for an end', async () => {
  const failures = maybe(fc.constant(new Failure('upstream-overloaded', 'The upstream is busy.')))
  fc.assert(
    fc.property(answers, fc.nat(40), failures, fc.constantFrom(...NAMES), (answer, at, failure, name) => {
      const said = eventsOf(answer, 3).slice(0, -1).slice(0, at)
      if (failure !== undefined) said.push({ type: 'failure', failure })
      const translate = translator(name)
      const encoder = translate.encodeStream(CONTEXT)
      const wire = said.map(event => encoder.push(event)).join('') + encoder.end()
      if (encoder.end() !== '' || encoder.keepAlive() !== '') throw new Error('it goes on after its end')
      const dialect = Object.values(DIALECTS).find(known => known.name === name)
      if (dialect?.streamEnded(wire.slice(-16_384)) !== true) throw new Error(`no end in ${wire.slice(-300)}`)
      const found = events(translate, wire)
      fail(problemIn(found))
      if (found.at(-1)?.type !== 'failure') throw new Error(`it ends like an answer: ${wire.slice(-300)}`)
    }),
    runs(200)
  )
})

// Requests.

const extra: fc.Arbitrary<Extra | undefined> = fc.constantFrom(undefined, undefined, undefined, {
  anthropic: { cache_control: { type: 'ephemeral' } }
})
const words = fc
  .tuple(someText, extra)
  .map(([text, extra]): Block & { type: 'text' } => ({ type: 'text', text, ...defined({ extra }) }))
const image = fc.constantFrom<Block>(
  { type: 'image', source: { kind: 'url', url: 'https://example.com/cat.png' } },
  { type: 'image', source: { kind: 'base64', mediaType: 'image/png', data: 'iVBORw0KGgo=' } }
)
const media = fc.constantFrom<Block>(
  { type: 'document', source: { kind: 'base64', mediaType: 'application/pdf', data: 'JVBERi0=' }, name: 'a.pdf' },
  { type: 'document', source: { kind: 'text', text: 'Plain words.' } },
  { type: 'document', source: { kind: 'file', dialect: 'anthropic', id: 'file_1' } },
  { type: 'audio', source: { kind: 'base64', mediaType: 'audio/wav', data: 'UklGRg==' } }
)
const userBlock = fc.oneof({ weight: 5, arbitrary: words }, image, media)
const id = fc.integer({ min: 0, max: 7 }).map(number => `call_${number}`)
const result = fc
  .tuple(id, fc.array(fc.oneof(words, image), { maxLength: 3 }), maybe(fc.constant(true)))
  .map(([callId, blocks, isError]): Block => ({ type: 'tool-result', callId, blocks, ...defined({ isError }) }))
const assistantBlock = fc.oneof(
  words,
  someText.map((text): Block => ({ type: 'thinking', text })),
  fc.tuple(id, name, json).map(([id, name, input]): Block => ({ type: 'tool-call', id, name, input }))
)
const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.array(userBlock, { minLength: 1, maxLength: 3 }).map((blocks): Turn => ({ role: 'user', blocks }))
  },
  {
    weight: 4,
    arbitrary: fc
      .array(assistantBlock, { minLength: 1, maxLength: 3 })
      .map((blocks): Turn => ({ role: 'assistant', blocks }))
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.array(result, { minLength: 1, maxLength: 3 }), fc.array(userBlock, { maxLength: 2 }))
      .map(([results, blocks]): Turn => ({ role: 'user', blocks: [...results, ...blocks] }))
  },
  { weight: 1, arbitrary: someText.map((text): Turn => ({ role: 'system', blocks: [{ type: 'text', text }] })) }
)
const tool = fc.record({ name, description: maybe(someText), strict: maybe(fc.boolean()), extra }).map(
  ({ name, ...rest }): Tool => ({
    name,
    ...defined(rest),
    schema: { type: 'object', properties: { x: { type: 'string' } } }
  })
)
const settings = fc.record({
  sampling: maybe(
    fc.record({
      temperature: maybe(fc.constantFrom(0, 0.5, 1, 1.7)),
      topP: maybe(fc.constantFrom(0.1, 1)),
      topK: maybe(fc.constant(40)),
      minP: maybe(fc.constant(0.1)),
      seed: maybe(fc.nat(9)),
      frequencyPenalty: maybe(fc.constantFrom(0, 0.5))
    })
  ),
  reasoning: maybe(
    fc.oneof(
      fc.record({ mode: fc.constant('on' as const), effort: fc.constantFrom(...EFFORTS) }),
      fc.record({ mode: fc.constant('on' as const), budget: fc.integer({ min: 1, max: 60_000 }) }),
      fc.constant({ mode: 'off' as const }),
      fc.constant({ mode: 'adaptive' as const })
    )
  ),
  responseFormat: maybe(
    fc.constantFrom(
      { type: 'json' as const },
      { type: 'text' as const },
      { type: 'schema' as const, name: 'x', schema: { type: 'object' } }
    )
  ),
  maxTokens: maybe(fc.integer({ min: 1, max: 90_000 })),
  stop: maybe(fc.array(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 6 })),
  parallelTools: maybe(fc.boolean()),
  user: maybe(fc.string({ minLength: 1, maxLength: 80 })),
  metadata: maybe(fc.constant({ topic: 'x' })),
  serviceTier: maybe(fc.constantFrom('auto', 'default', 'flex')),
  logprobs: maybe(fc.constant({ top: 2 })),
  model: fc.constantFrom(
    'a-model',
    'claude-sonnet-4-5',
    'claude-opus-4-8',
    'gpt-5.1',
    'gpt-4o',
    'gemini-2.5-flash',
    'gemini-3-pro'
  )
})
const requests: fc.Arbitrary<ChatRequest> = fc
  .record({
    system: fc.array(words, { maxLength: 2 }),
    turns: fc.array(turn, { minLength: 1, maxLength: 6 }),
    tools: fc.uniqueArray(tool, { maxLength: 3, selector: ({ name }) => name.toLowerCase() }),
    choice: fc.constantFrom(undefined, 'auto', 'any', 'none', 'named'),
    settings,
    stream: fc.boolean()
  })
  .map(({ choice, settings, turns, ...rest }) => {
    const named = rest.tools[0]?.name ?? 'lost'
    const toolChoice =
      choice === 'named' ? { mode: choice, name: named } : choice === undefined ? undefined : { mode: choice }
    return plain({ ...rest, ...settings, turns: withOwnIds(turns), toolChoice }) as ChatRequest
  })

/** No two calls of a conversation have one id. */
function withOwnIds(turns: readonly Turn[]): Turn[] {
  const seen = new Set<string>()
  const isNew = (block: Block) => block.type !== 'tool-call' || (!seen.has(block.id) && seen.add(block.id).size > 0)
  return turns.map(turn => ({ ...turn, blocks: turn.blocks.filter(isNew) })).filter(({ blocks }) => blocks.length > 0)
}

t.test('of any request only what is declared gets lost, for any flavour of any dialect', async () => {
  const flavours: Flavour[] = ['official', 'compatible', 'local']
  fc.assert(
    fc.property(requests, fc.constantFrom(...NAMES), fc.constantFrom(...flavours), (chat, name, flavour) => {
      const translate = translator(name)
      const { body, dropped } = successful(translate.encodeRequest(chat, flavour))
      const arrived = successful(translate.decodeRequest(plain(body)))
      const lost = undeclared(losses(chat, arrived), dropped)
      if (lost.length > 0)
        throw new Error(`${name} ${flavour} lost ${lost}: ${JSON.stringify(body)} declared ${dropped}`)
      const alone = unpaired(arrived)
      if (alone.length > 0) throw new Error(`${name} ${flavour} left alone ${alone}: ${JSON.stringify(body)}`)
    }),
    runs(1_200)
  )
})
