// Reads the scenarios of test/cases, and says what one conversation or answer has lost against another.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { ChatAnswer, FinishReason } from '../../src/chat/answer.ts'
import type { Block, Source } from '../../src/chat/block.ts'
import type { ChatEvent } from '../../src/chat/events.ts'
import { Failure } from '../../src/chat/failure.ts'
import type { ChatRequest, Extra, Tool } from '../../src/chat/request.ts'
import { shortToolName } from '../../src/chat/tool-names.ts'
import type { Usage } from '../../src/chat/usage.ts'
import { parseObject, repairObject } from '../../src/lib/json-repair.ts'
import { CASES } from './translate.ts'

export interface Scenario {
  readonly name: string
  readonly folder: string
  readonly chat?: ChatRequest | undefined
  readonly answer?: ChatAnswer | undefined
  readonly events?: readonly ChatEvent[] | undefined
}

export function scenarios(): Scenario[] {
  return readdirSync(CASES).map(name => {
    const folder = join(CASES, name)
    const hub = (file: string) => readIf(join(folder, file))
    const chat = hub('chat.json') as ChatRequest | undefined
    const answer = hub('answer.json') as ChatAnswer | undefined
    return { name, folder, chat, answer, events: hub('events.json') as ChatEvent[] | undefined }
  })
}

/** As JSON holds it: a failure is an object of a class. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
export const read = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))
export const readIf = (path: string): unknown => (existsSync(path) ? read(path) : undefined)

/** Each dialect has its own prefix for ids. */
const bareId = (id: string): string => id.replace(/^[a-z]+[-_]/, '')

/** Events as every dialect says them: Anthropic greets with a ping. */
export function bare(said: readonly ChatEvent[]): unknown {
  const [start, ...rest] = said.filter(({ type }) => type !== 'ping')
  return plain([start?.type === 'start' ? { ...start, id: bareId(start.id) } : start, ...rest])
}

export function bareAnswer(answer: ChatAnswer | Failure): unknown {
  return plain(answer instanceof Failure ? answer : { ...answer, id: bareId(answer.id) })
}

/** The answer that a stream comes to. */
export function assembled(said: readonly ChatEvent[]): ChatAnswer {
  const blocks: Block[] = []
  let answer: ChatAnswer = { id: '', model: '', blocks, finish: 'stop' }
  for (const event of said) {
    if (event.type === 'start') answer = { ...answer, id: event.id, model: event.model }
    else if (event.type === 'block-start') blocks.push(event.block)
    else if (event.type === 'block-delta') blocks.push(grown(blocks.pop(), event.text))
    else if (event.type === 'usage') answer = { ...answer, usage: event.usage }
    else if (event.type === 'finish') {
      const { stopSequence } = event
      answer = { ...answer, finish: event.reason, ...(stopSequence !== undefined && { stopSequence }) }
    }
  }
  return answer
}

function grown(block: Block | undefined, text: string): Block {
  if (block?.type === 'text' || block?.type === 'thinking') return { ...block, text: block.text + text }
  if (block?.type === 'tool-call') return { ...block, input: block.input + text }
  // Nothing else grows by text that a client could see.
  return block ?? { type: 'text', text }
}

/** What a reader gets of an answer: its texts, thoughts and calls, in whichever order its dialect has for them. */
interface Gist {
  /** All of its words, the refusing ones among them. */
  readonly text: string
  readonly refusal: string
  readonly said: { readonly thinking: string; readonly calls: readonly unknown[] }
  readonly end: { readonly finish: FinishReason; readonly stopSequence: string | undefined }
  readonly usage: Usage | undefined
}

export function gist({ blocks, finish, stopSequence, usage }: ChatAnswer): Gist {
  const texts = blocks.filter(block => block.type === 'text')
  const calls = blocks.filter(block => block.type === 'tool-call')
  return {
    text: joined([...texts.filter(block => !isRefusal(block)), ...texts.filter(isRefusal)]),
    refusal: joined(texts.filter(isRefusal)),
    said: {
      thinking: joined(blocks.filter(block => block.type === 'thinking')),
      calls: calls.map(call => ({ id: call.id, name: call.name, input: inputOf(call) }))
    },
    end: { finish, stopSequence },
    usage
  }
}

const isRefusal = ({ refusal }: Block & { type: 'text' }): boolean => refusal === true

/** Where texts become one, a blank line may come between them. */
const joined = (list: readonly { readonly text: string }[]): string =>
  list
    .map(({ text }) => text)
    .join('')
    .replace(/\n\n/g, '')

/** What a call says, however its dialect wrote it: freeform text is a field where there are only objects. */
function inputOf({ input, freeform }: Block & { type: 'tool-call' }): unknown {
  if (freeform === true) return { input }
  return parseObject(input) ?? parseObject(repairObject(input) ?? '') ?? { unparsed: input }
}

/** Something that was there and is not any more, and how it has to be declared. */
interface Loss {
  readonly what: string
  readonly declared: RegExp
}

/** All that `after`, the same conversation having gone through a dialect, does not say any more. */
export function losses(before: ChatRequest, after: ChatRequest): Loss[] {
  return [
    ...lostBlocks(before, after),
    ...lostTools(before, after),
    ...lostSettings(before, after),
    ...lostExtras(before, after)
  ]
}

export const undeclared = (found: readonly Loss[], dropped: readonly string[]): string[] =>
  found.filter(({ declared }) => !dropped.some(path => declared.test(path))).map(({ what }) => what)

const allBlocks = ({ system, turns }: ChatRequest): Block[] => [
  ...system,
  ...turns.flatMap(({ blocks }) => within(blocks))
]

/** Blocks with those that they hold. */
function within(blocks: readonly Block[]): Block[] {
  return blocks.flatMap(block => {
    if (block.type === 'tool-result') return [block, ...within(block.blocks)]
    return block.type === 'document' && block.source.kind === 'blocks'
      ? [block, ...within(block.source.blocks)]
      : [block]
  })
}

const wordsOf = (block: Block): string[] => {
  if (block.type === 'text') return [block.text]
  if (block.type !== 'document') return []
  return [block.name ?? '', block.source.kind === 'text' ? block.source.text : '']
}

function lostBlocks(before: ChatRequest, after: ChatRequest): Loss[] {
  const left = allBlocks(after)
  const words = left.flatMap(wordsOf).join('\n\n')
  const sources = left.flatMap(block => ('source' in block ? [sourceKey(block.source)] : []))
  const calls = left.filter(block => block.type === 'tool-call')
  const thoughts = left.map(block => (block.type === 'thinking' ? block.text : '')).join('\n\n')
  return allBlocks(before).flatMap((block): Loss[] => {
    const lost = (what: string, isKept: boolean, declared: RegExp) => (isKept ? [] : [{ what, declared }])
    switch (block.type) {
      case 'text':
        return lost(`text ${block.text.slice(0, 40)}`, words.includes(block.text), /^$/)
      case 'thinking':
        return lost('thinking', thoughts.includes(block.text), /thinking|reasoning/)
      case 'redacted-thinking':
        return lost(
          'redacted thinking',
          left.some(other => isDeepStrictEqual(other, block)),
          /redacted_thinking|reasoning/
        )
      case 'tool-call': {
        const isSame = (other: Block & { type: 'tool-call' }) =>
          [block.name, shortToolName(block.name)].includes(other.name) &&
          isDeepStrictEqual(inputOf(other), inputOf(block))
        return lost(`call ${block.name}`, calls.some(isSame), /^$/)
      }
      case 'tool-result':
        return []
      case 'foreign': {
        const isKept =
          left.some(other => isDeepStrictEqual(other, block)) ||
          (block.text !== undefined && words.includes(block.text))
        return lost('foreign', isKept, /^messages\./)
      }
      default: {
        const { source } = block
        if (source.kind === 'blocks') return []
        if (source.kind === 'text') return lost('document', words.includes(source.text), /^$/)
        return lost(block.type, sources.includes(sourceKey(source)), new RegExp(`^messages\\..*${block.type}`))
      }
    }
  })
}

/** `audio/mp3` and `audio/mpeg` are the same; so are the bytes. */
function sourceKey(source: Source): string {
  return source.kind === 'base64' ? source.data : JSON.stringify(source)
}

function lostTools(before: ChatRequest, after: ChatRequest): Loss[] {
  return before.tools.flatMap((tool): Loss[] => {
    const { name, description = '', schema, foreign } = tool
    const found = after.tools.find(other => [name, shortToolName(name)].includes(other.name))
    if (foreign !== undefined) return found === undefined ? [{ what: `tool ${name}`, declared: /^tools\./ }] : []
    if (found === undefined) return [{ what: `tool ${name}`, declared: /^$/ }]
    const isDescribed = found.description?.includes(description) ?? description === ''
    const isTyped = schema === undefined || schemaKept(schema, found)
    return [
      ...(isDescribed ? [] : [{ what: `description of ${name}`, declared: /^$/ }]),
      ...(isTyped ? [] : [{ what: `schema of ${name}`, declared: /^tools\./ }])
    ]
  })
}

function schemaKept(schema: object, { schema: kept = {} }: Tool): boolean {
  return Object.entries(schema).every(([key, value]) => isDeepStrictEqual(kept[key], value))
}

const NAMED: Record<string, RegExp> = {
  temperature: /temperature/,
  topP: /top_?p/i,
  topK: /top_?k/i,
  minP: /min_?p/i,
  seed: /seed/,
  frequencyPenalty: /frequency_?penalty/i,
  presencePenalty: /presence_?penalty/i
}

function lostSettings(before: ChatRequest, after: ChatRequest): Loss[] {
  const found: Loss[] = []
  const compare = (what: string, was: unknown, is: unknown, declared: RegExp, rest?: unknown) => {
    if (was !== undefined && !isDeepStrictEqual(was, is ?? rest)) found.push({ what, declared })
  }
  for (const [name, value] of Object.entries(before.sampling ?? {})) {
    // 1 is what everybody does unasked, and so is no penalty.
    const usual = name.startsWith('top') || name === 'temperature' ? 1 : 0
    const is = Object.entries(after.sampling ?? {}).find(([other]) => other === name)?.[1]
    compare(name, value, is, NAMED[name] ?? /^$/, usual)
  }
  const hasTools = after.tools.length > 0
  if (hasTools && before.toolChoice?.mode === 'named' && after.toolChoice?.mode === 'named') {
    compare('tool choice', shortToolName(before.toolChoice.name), shortToolName(after.toolChoice.name), /tool_?choice/i)
  } else if (hasTools) compare('tool choice', before.toolChoice, after.toolChoice, /tool_?choice/i, { mode: 'auto' })
  const isPlain = before.toolChoice?.mode === 'none'
  if (hasTools && !isPlain) compare('parallel tools', before.parallelTools, after.parallelTools, /parallel/, true)
  compare('the limit', before.maxTokens, after.maxTokens, /max_/)
  if (before.stop?.length) compare('stop', before.stop, after.stop, /stop/)
  compare('user', before.user, after.user, /user/)
  compare('metadata', before.metadata, after.metadata, /metadata/)
  compare('service tier', before.serviceTier, after.serviceTier, /service_?tier/i, 'auto')
  compare('logprobs', before.logprobs, after.logprobs, /logprobs/i)
  compare('format', before.responseFormat?.type, after.responseFormat?.type, /response_?format/i, 'text')
  if (before.responseFormat?.type === 'schema' && after.responseFormat?.type === 'schema')
    compare('the schema of the answer', before.responseFormat.schema, after.responseFormat.schema, /^$/)
  if (isThinking(before) && after.reasoning === undefined)
    found.push({ what: 'reasoning', declared: /reasoning|thinking/ })
  return found
}

/** Not to think is what a model does that cannot, and `adaptive` leaves it to the model. */
const isThinking = ({ reasoning }: ChatRequest): boolean => reasoning?.mode === 'on'

/** How a dialect cuts what it says: which role a block had, and which item it was. */
const FORM: ReadonlySet<string> = new Set(['role', 'item', 'part', 'added', 'namespace'])

/** Of system's blocks only what they are marked with: their number and their role is each dialect's own. */
function lostExtras(before: ChatRequest, after: ChatRequest): Loss[] {
  const kept = new Set(
    extrasOf(after)
      .flatMap(marksOf)
      .map(([, , mark]) => mark)
  )
  return extrasOf(before)
    .flatMap(marksOf)
    .filter(([, key, mark]) => !kept.has(mark) && !FORM.has(key))
    .map(([dialect, key]) => {
      const escaped = key
        .slice(0, 40)
        .replace(/[^\w.-]/g, '_')
        .replace(/[.-]/g, '\\$&')
      return { what: `${dialect}: ${key}`, declared: new RegExp(`(?:^|\\.)${escaped}`) }
    })
}

function extrasOf(chat: ChatRequest): (Extra | undefined)[] {
  const { turns, tools, extra } = chat
  const blocks = allBlocks(chat).map(block =>
    block.type === 'foreign' || block.type === 'redacted-thinking' ? undefined : block.extra
  )
  return [extra, ...tools.map(tool => tool.extra), ...turns.map(turn => turn.extra), ...blocks]
}

function marksOf(extra: Extra = {}): [dialect: string, key: string, mark: string][] {
  return Object.entries(extra).flatMap(([dialect, own]) =>
    Object.keys(own).map((key): [string, string, string] => [
      dialect,
      key,
      // OpenAI's two dialects have fields in common, which Responses keeps below another.
      `${dialect.replace(/^openai-.*/, 'openai')} ${key.replace(/^text\./, '')} ${JSON.stringify(own[key])}`
    ])
  )
}

/** Calls without a result, and results without a call: upstreams refuse both. */
export function unpaired(chat: ChatRequest): string[] {
  const blocks = chat.turns.flatMap(turn => turn.blocks)
  const last = chat.turns.at(-1)
  const open = new Set(
    last?.role === 'assistant' ? last.blocks.flatMap(block => (block.type === 'tool-call' ? [block.id] : [])) : []
  )
  const calls = blocks.flatMap(block => (block.type === 'tool-call' && !open.has(block.id) ? [block.id] : []))
  const results = blocks.flatMap(block => (block.type === 'tool-result' ? [block.callId] : []))
  return [...calls.filter(id => !results.includes(id)), ...results.filter(id => !calls.includes(id))]
}

/** Reasons that a dialect has no word for, and what it says instead. */
const INSTEAD: Record<string, Partial<Record<FinishReason, readonly FinishReason[]>>> = {
  anthropic: { 'content-filter': ['stop', 'refusal'] },
  gemini: {
    'stop-sequence': ['stop'],
    refusal: ['content-filter', 'stop'],
    pause: ['stop'],
    'context-exceeded': ['length']
  },
  'openai-responses': {
    'stop-sequence': ['stop'],
    refusal: ['content-filter', 'stop'],
    pause: ['stop'],
    'context-exceeded': ['length']
  },
  'openai-chat': {
    'stop-sequence': ['stop'],
    refusal: ['content-filter', 'stop'],
    pause: ['stop'],
    'context-exceeded': ['length']
  }
}

export function finishKept(name: string, before: ChatAnswer, after: ChatAnswer): boolean {
  return before.finish === after.finish || (INSTEAD[name]?.[before.finish]?.includes(after.finish) ?? false)
}
