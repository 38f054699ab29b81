import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import type { Block } from '../../chat/block.ts'
import { Failure } from '../../chat/failure.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Fields } from '../../chat/request.ts'
import { offeredToolName } from '../../chat/tool-names.ts'
import type { Usage } from '../../chat/usage.ts'
import { parseObject } from '../../lib/json-repair.ts'
import { citing } from '../citing.ts'
import type { DecodeContext, EncodeContext } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { defined, fields, list, number, someFields, string, unread } from '../read.ts'
import { decodeFailure } from './failure.ts'
import { decodeGrounding, encodeGrounding, isGrounded, type Said } from './grounding.ts'
import { decodeLogprobs, encodeLogprobs } from './logprobs.ts'
import { type CallIds, decodeParts, PartWriter } from './parts.ts'
import { jsonOf, NAME } from './shape.ts'

const READ = new Set(['candidates', 'usageMetadata', 'modelVersion', 'responseId', 'promptFeedback'])
const READ_CANDIDATE = new Set(['content', 'finishReason', 'index'])
const BARE: ReadonlySet<string> = new Set(['candidates', 'modelVersion', 'responseId'])
const BARE_CANDIDATE: ReadonlySet<string> = new Set(['content', 'index'])
const READ_USAGE = new Set([
  'promptTokenCount',
  'candidatesTokenCount',
  'thoughtsTokenCount',
  'cachedContentTokenCount',
  'totalTokenCount'
])

const FINISH: ReadonlyMap<unknown, FinishReason> = new Map<unknown, FinishReason>([
  ['STOP', 'stop'],
  ['MAX_TOKENS', 'length'],
  ['SAFETY', 'content-filter'],
  ['RECITATION', 'content-filter'],
  ['LANGUAGE', 'content-filter'],
  ['BLOCKLIST', 'content-filter'],
  ['PROHIBITED_CONTENT', 'content-filter'],
  ['SPII', 'content-filter'],
  ['IMAGE_SAFETY', 'content-filter'],
  ['IMAGE_PROHIBITED_CONTENT', 'content-filter'],
  ['IMAGE_RECITATION', 'content-filter'],
  ['IMAGE_OTHER', 'content-filter'],
  ['NO_IMAGE', 'content-filter'],
  // Something broke the answer off: who takes it for an end would take half an answer for a whole one.
  ['OTHER', 'content-filter']
])

/** The model wrote what cannot be run. Another try may do better, and nobody can go on from it. */
const BROKEN: ReadonlySet<unknown> = new Set(['MALFORMED_FUNCTION_CALL', 'UNEXPECTED_TOOL_CALL', 'TOO_MANY_TOOL_CALLS'])

const FINISH_REASON: Record<FinishReason, string> = {
  stop: 'STOP',
  length: 'MAX_TOKENS',
  'tool-calls': 'STOP',
  'stop-sequence': 'STOP',
  refusal: 'SAFETY',
  'content-filter': 'SAFETY',
  'context-exceeded': 'MAX_TOKENS',
  pause: 'STOP'
}

export function decodeFinish(said: unknown, calls: boolean): FinishReason {
  const reason = FINISH.get(said) ?? 'stop'
  return reason === 'stop' && calls ? 'tool-calls' : reason
}

/** A model of Gemini's that refuses in words just stops. */
export function encodeFinish(reason: FinishReason, words: boolean): string {
  return reason === 'refusal' && words ? 'STOP' : FINISH_REASON[reason]
}

export function decodeUsage(said: Fields): Usage {
  const reasoning = number(said['thoughtsTokenCount']) ?? 0
  return {
    input: (number(said['promptTokenCount']) ?? 0) + (number(said['toolUsePromptTokenCount']) ?? 0),
    output: (number(said['candidatesTokenCount']) ?? 0) + reasoning,
    cacheRead: number(said['cachedContentTokenCount']) ?? 0,
    cacheWrite: 0,
    reasoning
  }
}

const NONE: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

/** `own` is what only Gemini says about tokens: by kind, and those of its own tools, which are a part of the input. */
export function encodeUsage(usage: Usage = NONE, own: Fields = {}): Fields {
  const { input, output, reasoning, cacheRead } = usage
  return {
    promptTokenCount: Math.max(0, input - (number(own['toolUsePromptTokenCount']) ?? 0)),
    candidatesTokenCount: Math.max(0, output - reasoning),
    totalTokenCount: input + output,
    ...(cacheRead > 0 && { cachedContentTokenCount: cacheRead }),
    ...(reasoning > 0 && { thoughtsTokenCount: reasoning }),
    ...own
  }
}

/** What only Gemini says about an answer, each below the object it stands in. */
export function ownOf(body: Fields, candidate: Fields, others: readonly Fields[] = []): Fields {
  const { finishReason } = candidate
  const isLost =
    typeof finishReason === 'string' && encodeFinish(decodeFinish(finishReason, false), true) !== finishReason
  const { promptFeedback } = body
  return {
    ...unread(NAME, body, READ).extra?.[NAME],
    ...defined({
      promptFeedback: someFields(promptFeedback),
      candidate: someFields({
        ...unread(NAME, candidate, READ_CANDIDATE).extra?.[NAME],
        ...(isLost && { finishReason })
      }),
      candidates: others.length > 0 ? others : undefined,
      usageMetadata: someFields(unread(NAME, fields(body['usageMetadata']), READ_USAGE).extra?.[NAME])
    })
  }
}

/** Most frames of a stream say nothing but their parts. */
export function isBare(body: Fields, candidate: Fields): boolean {
  for (const key in body) if (!BARE.has(key)) return false
  for (const key in candidate) if (!BARE_CANDIDATE.has(key)) return false
  return true
}

/** What is wrong with an answer, or with a frame of a stream, as a whole. */
export function failureIn(body: Fields, candidates: readonly Fields[]): Failure | undefined {
  if (body['error']) return decodeFailure(0, jsonOf(body))
  const broken = candidates.find(({ finishReason }) => BROKEN.has(finishReason))
  if (broken === undefined) return undefined
  const said = string(broken['finishMessage']) ?? `The model ended with ${String(broken['finishReason'])}.`
  return new Failure('upstream-failed', said, { code: String(broken['finishReason']).toLowerCase() })
}

/** It says why the prompt was refused. */
export function isBlocked(body: Fields): boolean {
  return typeof fields(body['promptFeedback'])['blockReason'] === 'string'
}

export function decodeAnswer(input: unknown, context: DecodeContext = {}): ChatAnswer | Failure {
  const body = fields(input)
  const candidates = list(body['candidates'])
  const failure = failureIn(body, candidates)
  if (failure !== undefined) return failure
  const [candidate, ...others] = candidates
  const blocked = isBlocked(body)
  if (candidate === undefined && !blocked) {
    return new Failure('upstream-failed', 'The upstream answered with something that has no candidate.')
  }
  const id = string(body['responseId']) ?? ''
  const blocks = decodeParts(fields(candidate?.['content'])['parts'], new NumberedIds(context, id))
  const calls = blocks.some(block => block.type === 'tool-call')
  const { logprobsResult, ...rest } = candidate ?? {}
  const logprobs = decodeLogprobs(logprobsResult)
  const told = withSources(blocks, candidate ?? {}, logprobs)
  const isTold = told.some(block => block.type === 'text' && block.logprobs !== undefined)
  const own = ownOf(body, { ...rest, ...(!isTold && defined({ logprobsResult })) }, others)
  return {
    id,
    model: string(body['modelVersion']) ?? '',
    blocks: told.map(block => offered(block, context)),
    finish: candidate === undefined ? 'content-filter' : decodeFinish(candidate['finishReason'], calls),
    ...(someFields(body['usageMetadata']) !== undefined && { usage: decodeUsage(fields(body['usageMetadata'])) }),
    ...(someFields(own) !== undefined && { extra: { [NAME]: own } })
  }
}

/** Texts with where they are from, and the first with the tokens of all of them. */
function withSources(
  blocks: readonly Block[],
  candidate: Fields,
  logprobs: readonly TokenProbability[]
): readonly Block[] {
  const texts = blocks.filter(block => block.type === 'text')
  const cited = citing(blocks, decodeGrounding(candidate, texts.map(({ text }) => text).join('')))
  const first = cited.find(block => block.type === 'text')
  if (logprobs.length === 0) return cited
  return cited.map(block => (block === first && block.type === 'text' ? { ...block, logprobs } : block))
}

/** A call of a tool by the name that the client knows. */
export function offered(block: Block, { tools }: DecodeContext): Block {
  return block.type === 'tool-call' ? { ...block, name: offeredToolName(block.name, tools) } : block
}

/** Ids of calls that have none: they differ from answer to answer. */
export class NumberedIds implements CallIds {
  readonly #place: string
  #count = 0

  constructor(context: DecodeContext, id: string) {
    this.#place = (context.id ?? id).replace(/[^\w-]/g, '') || '0'
  }

  ofCall(said: string): string {
    const id = said || `call_${this.#place}_${this.#count}`
    this.#count++
    return id
  }

  ofResult(said: string, name: string): string {
    return said || name
  }
}

/** A call that was cut off must not run at all: half a file is worse than none. */
export function isWhole(block: Block): boolean {
  if (block.type !== 'tool-call' || block.freeform === true || block.input === '') return true
  return parseObject(block.input) !== undefined
}

export function encodeAnswer(answer: ChatAnswer, context: EncodeContext): Record<string, unknown> {
  const dropped = context.dropped ?? new Dropped(NAME, 'answer')
  const { candidate, candidates, usageMetadata, ...rest } = dropped.extra(answer.extra)
  const writer = new PartWriter(dropped, 'compatible', '')
  const blocks = answer.finish === 'length' ? answer.blocks.filter(isWhole) : answer.blocks
  const parts: Fields[] = []
  const texts: Said[] = []
  for (const block of blocks) {
    if (block.type === 'text') texts.push({ text: block.text, citations: block.citations, part: parts.length })
    parts.push(...writer.part(block))
  }
  const tokens = blocks.flatMap(block => (block.type === 'text' ? (block.logprobs ?? []) : []))
  const words = blocks.some(block => block.type === 'text' && block.text !== '')
  const first = {
    // Clients read the first part without a look.
    content: { parts: parts.length === 0 ? [{ text: '' }] : parts, role: 'model' },
    finishReason: encodeFinish(answer.finish, words),
    index: 0,
    ...(tokens.length > 0 && { logprobsResult: encodeLogprobs(tokens) }),
    ...(!isGrounded(fields(candidate)) && encodeGrounding(texts, dropped)),
    ...fields(candidate)
  }
  // A prompt that was refused has no candidate at all.
  const isRefused = blocks.length === 0 && isBlocked(rest)
  return {
    ...(!isRefused && { candidates: [first, ...list(candidates)] }),
    usageMetadata: encodeUsage(answer.usage, fields(usageMetadata)),
    modelVersion: context.model,
    responseId: context.id,
    ...rest
  }
}
