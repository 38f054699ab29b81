import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import type { Block, TextBlock } from '../../chat/block.ts'
import { Failure } from '../../chat/failure.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import { offeredToolName } from '../../chat/tool-names.ts'
import type { Usage } from '../../chat/usage.ts'
import { parseObject, repairObject } from '../../lib/json-repair.ts'
import type { DecodeContext, EncodeContext } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { defined, fields, list, number, string, unread } from '../read.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { NAME, own, ownExtra } from './content.ts'
import { outputPart } from './input.ts'
import { decodeSaid } from './items.ts'
import { carry } from './reasoning.ts'
import { calledTool } from './tools.ts'

const READ = new Set([
  'id',
  'object',
  'created_at',
  'completed_at',
  'model',
  'output',
  'output_text',
  'usage',
  'status',
  'error',
  'incomplete_details'
])

const INCOMPLETE: ReadonlyMap<unknown, FinishReason> = new Map<unknown, FinishReason>([
  ['max_output_tokens', 'length'],
  ['max_tokens', 'length'],
  ['content_filter', 'content-filter']
])

/** Why an answer is not complete; undefined for one that is. */
const INCOMPLETE_REASON: Partial<Record<FinishReason, string>> = {
  length: 'max_output_tokens',
  'context-exceeded': 'max_output_tokens',
  'content-filter': 'content_filter'
}

/** Nothing but a status says that a turn is for tools, or that the model refused. */
export function decodeFinish(response: Fields, held: { calls: boolean; refusal: boolean }): FinishReason {
  const { status, incomplete_details: details } = response
  if (status === 'queued' || status === 'in_progress') return 'pause'
  const reason = fields(details)['reason']
  if (status === 'incomplete') return INCOMPLETE.get(reason) ?? (reason === undefined ? 'length' : 'stop')
  if (held.calls) return 'tool-calls'
  return held.refusal ? 'refusal' : 'stop'
}

export function decodeUsage(said: Fields): Usage {
  const input = fields(said['input_tokens_details'])
  return {
    input: number(said['input_tokens']) ?? 0,
    output: number(said['output_tokens']) ?? 0,
    cacheRead: number(input['cached_tokens']) ?? 0,
    cacheWrite: number(input['cache_write_tokens']) ?? 0,
    reasoning: number(fields(said['output_tokens_details'])['reasoning_tokens']) ?? 0
  }
}

const NONE: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

function encodeUsage(usage: Usage = NONE): Fields {
  return {
    input_tokens: usage.input,
    input_tokens_details: { cached_tokens: usage.cacheRead, cache_write_tokens: usage.cacheWrite },
    output_tokens: usage.output,
    output_tokens_details: { reasoning_tokens: usage.reasoning },
    total_tokens: usage.input + usage.output
  }
}

/** What a response says of its request where nobody knows better. */
const ENVELOPE: Fields = {
  background: false,
  instructions: null,
  max_output_tokens: null,
  metadata: {},
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  service_tier: 'default',
  temperature: 1,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  top_p: 1,
  truncation: 'disabled'
}

/** What a response says of its request that is not what any would. */
export function envelopeExtra(response: Fields): { extra?: Extra } {
  const said = Object.entries(unread(NAME, response, READ).extra?.[NAME] ?? {})
  const telling = said.filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(ENVELOPE[key]))
  const status =
    response['status'] === 'queued' || response['status'] === 'in_progress' ? response['status'] : undefined
  return ownExtra({ ...Object.fromEntries(telling), status })
}

export function decodeAnswer(input: unknown, context: DecodeContext = {}): ChatAnswer | Failure {
  const body = fields(input)
  const { status } = body
  if (body['error'] || status === 'failed' || body['object'] === 'error') {
    return decodeUpstreamFailure(0, JSON.stringify(body))
  }
  if (status === 'cancelled') return new Failure('upstream-failed', 'The upstream cancelled the response.')
  if (!Array.isArray(body['output'])) {
    return new Failure('upstream-failed', 'The upstream answered with something that is no response.')
  }
  const said = list(body['output']).flatMap(item => decodeSaid(item) ?? [])
  const isCut = status === 'incomplete'
  const named = said.map((block, at) => placed(block, context, string(body['id']) ?? '', at))
  const blocks = named.map(block => mended(block, isCut)).filter(block => block !== undefined)
  const held = { calls: blocks.some(({ type }) => type === 'tool-call'), refusal: blocks.some(isRefusal) }
  return {
    id: string(body['id']) ?? '',
    model: string(body['model']) ?? '',
    blocks,
    finish: decodeFinish(body, held),
    ...(body['usage'] ? { usage: decodeUsage(fields(body['usage'])) } : {}),
    ...envelopeExtra(body)
  }
}

function isRefusal(block: Block): boolean {
  return block.type === 'text' && block.refusal === true
}

/** A call by the name that the client knows, and with an id. */
export function placed(block: Block, { id, tools }: DecodeContext, answer: string, at: number): Block {
  if (block.type !== 'tool-call') return block
  const made = `call_${(id ?? answer).replace(/[^\w-]/g, '') || '0'}_${at}`
  return { ...block, id: block.id || made, name: offeredToolName(block.name, tools) || 'unknown' }
}

/** A call as the client can run it. One that was cut off must not run at all: half a file is worse than none. */
function mended(block: Block, isCut: boolean): Block | undefined {
  if (block.type !== 'tool-call' || block.freeform === true) return block
  if (isCut && parseObject(block.input) === undefined) return undefined
  return { ...block, input: repairObject(block.input) ?? block.input }
}

export function encodeAnswer(answer: ChatAnswer, context: EncodeContext): Record<string, unknown> {
  const dropped = context.dropped ?? new Dropped(NAME, 'answer')
  const writer = new OutputWriter(context, dropped)
  for (const block of answer.blocks) writer.add(block)
  if (answer.finish === 'length' || answer.finish === 'context-exceeded') writer.cut()
  return encodeResponse(context, {
    finish: answer.finish,
    output: writer.items,
    usage: answer.usage,
    known: dropped.extra(answer.extra)
  })
}

interface Said {
  /** None while it is not finished. */
  readonly finish?: FinishReason
  readonly output: readonly object[]
  readonly usage?: Usage | undefined
  readonly known: Fields
}

export function encodeResponse(context: EncodeContext, said: Said): Record<string, unknown> {
  const { finish, output, usage, known } = said
  const reason = finish === undefined ? undefined : INCOMPLETE_REASON[finish]
  const over = reason === undefined ? 'completed' : 'incomplete'
  return {
    id: `resp_${context.id}`,
    object: 'response',
    created_at: context.created,
    status: finish === undefined ? 'in_progress' : over,
    error: null,
    incomplete_details: reason === undefined ? null : { reason },
    model: context.model,
    output,
    ...ENVELOPE,
    usage: finish === undefined ? null : encodeUsage(usage),
    ...known
  }
}

/** Gives items their ids: the upstream's own, or one of ours. */
export interface ItemIds {
  next(prefix: string, item: Fields): string
}

export class CountedIds implements ItemIds {
  readonly #place: string
  #count = 0

  constructor({ id }: EncodeContext) {
    this.#place = id
  }

  next(prefix: string, item: Fields): string {
    const made = `${prefix}_${this.#place}_${this.#count++}`
    return string(item['id']) || made
  }
}

/** What of an item is the upstream's own. */
export function itemOf(block: Block): Fields {
  return 'extra' in block ? fields(own(block)['item']) : {}
}

/** The blocks of an answer as items. */
class OutputWriter {
  readonly items: Fields[] = []
  readonly #context: EncodeContext
  readonly #ids: ItemIds
  readonly #dropped: Dropped
  /** The content of the message that texts join. */
  #parts: Fields[] | undefined

  constructor(context: EncodeContext, dropped: Dropped) {
    this.#context = context
    this.#dropped = dropped
    this.#ids = new CountedIds(context)
  }

  add(block: Block): void {
    if (block.type === 'text') return this.#text(block)
    this.#parts = undefined
    const item = encodeItem(block, this.#context, this.#ids)
    declare(block, this.#dropped, item !== undefined)
    if (item !== undefined) this.items.push(item)
  }

  /** The model was stopped in the last item. */
  cut(): void {
    const last = this.items.at(-1)
    if (last?.['status'] === 'completed') this.items[this.items.length - 1] = { ...last, status: 'incomplete' }
  }

  #text(block: TextBlock): void {
    const { item, ...rest } = this.#dropped.extra(block.extra)
    if (this.#parts === undefined || item !== undefined) {
      this.#parts = []
      this.items.push(messageItem(this.#ids.next('msg', fields(item)), fields(item), this.#parts))
    }
    this.#parts.push(answerPart(block, rest, this.#dropped))
  }
}

export function messageItem(id: string, item: Fields, content: readonly Fields[]): Fields {
  return { type: 'message', role: 'assistant', status: 'completed', content, ...item, id }
}

export function answerPart(block: TextBlock, extra: Fields, dropped: Dropped): Fields {
  const isPlain = block.refusal === true || block.logprobs !== undefined
  return outputPart(block, isPlain ? extra : { logprobs: [], ...extra }, dropped)
}

/** Declares what of a block cannot be said. Thinking takes the proofs of others along. */
export function declare(block: Block, dropped: Dropped, isSaid: boolean): void {
  if (!isSaid) dropped.block(block)
  else if (block.type === 'tool-call') dropped.extra(block.extra, 'tool_calls.')
}

/** An item that is no message; undefined for what cannot be said. */
export function encodeItem(block: Exclude<Block, TextBlock>, context: EncodeContext, ids: ItemIds): Fields | undefined {
  const item = itemOf(block)
  switch (block.type) {
    case 'tool-call': {
      const { freeform = false, name, input, namespace } = calledTool(block, context.tools)
      const id = ids.next(freeform ? 'ctc' : 'fc', item)
      const type = freeform ? 'custom_tool_call' : 'function_call'
      const said = freeform ? { input } : { arguments: input || '{}' }
      const call_id = block.id || `call_${id}`
      return { type, status: 'completed', ...item, id, call_id, name, ...defined({ namespace }), ...said }
    }
    case 'thinking':
    case 'redacted-thinking': {
      const { item: _, ...known } = own(block)
      const text = block.type === 'thinking' ? block.text : ''
      const summary = text === '' ? [] : [{ type: 'summary_text', text }]
      const proof = encryptedOf(block.extra, known, item)
      return {
        type: 'reasoning',
        ...item,
        id: ids.next('rs', item),
        summary,
        ...known,
        ...defined({ encrypted_content: proof })
      }
    }
    case 'foreign':
      return block.dialect === NAME ? { ...block.value } : undefined
    default:
      return undefined
  }
}

/** The upstream's own, or the proofs of others; a mark at least on what nobody but us has made. */
function encryptedOf(extra: Extra | undefined, known: Fields, item: Fields): unknown {
  const isOthers = Object.keys(extra ?? {}).some(dialect => dialect !== NAME)
  if (known['encrypted_content'] !== undefined || isOthers) return known['encrypted_content'] ?? carry(extra)
  return Object.keys(item).length > 0 ? undefined : carry()
}
