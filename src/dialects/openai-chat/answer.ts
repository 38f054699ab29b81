import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import type { Block } from '../../chat/block.ts'
import { Failure } from '../../chat/failure.ts'
import type { Fields } from '../../chat/request.ts'
import { offeredToolName } from '../../chat/tool-names.ts'
import type { Usage } from '../../chat/usage.ts'
import { parseObject, repairObject } from '../../lib/json-repair.ts'
import type { DecodeContext, EncodeContext } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { defined, fields, list, number, someFields, string, unread } from '../read.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { NAME } from './content.ts'
import { decodeAssistant } from './messages.ts'
import { ANSWERED, encodeSaid, withLogprobs } from './said.ts'

export const READ: ReadonlySet<string> = new Set(['id', 'object', 'created', 'model', 'choices', 'usage'])

const FINISH: ReadonlyMap<unknown, FinishReason> = new Map<unknown, FinishReason>([
  ['stop', 'stop'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['tool_calls', 'tool-calls'],
  ['function_call', 'tool-calls'],
  ['content_filter', 'content-filter']
])

const FINISH_REASON: Record<FinishReason, string> = {
  stop: 'stop',
  length: 'length',
  'tool-calls': 'tool_calls',
  'stop-sequence': 'stop',
  refusal: 'content_filter',
  'content-filter': 'content_filter',
  'context-exceeded': 'length',
  pause: 'stop'
}

/** What an answer held, which says more than some servers' reasons do. */
export interface Held {
  readonly calls: boolean
  readonly refusal: boolean
  /** vLLM's `stop_reason`: the sequence that stopped it. */
  readonly stopReason?: unknown
}

export interface Finish {
  readonly reason: FinishReason
  readonly stopSequence?: string
}

/** A call makes it a turn for tools, and without one there is nothing to wait for, whatever the server says. */
export function decodeFinish(said: unknown, { calls, refusal, stopReason }: Held): Finish {
  const reason = FINISH.get(said) ?? 'stop'
  if (reason === 'length' || reason === 'content-filter') return { reason }
  if (calls) return { reason: 'tool-calls' }
  if (refusal) return { reason: 'refusal' }
  return typeof stopReason === 'string' ? { reason: 'stop-sequence', stopSequence: stopReason } : { reason: 'stop' }
}

/** A refusal that is told in words ends like any answer; one without is a filter's. */
export function encodeFinish(reason: FinishReason, refusal: boolean): string {
  return reason === 'refusal' && refusal ? 'stop' : FINISH_REASON[reason]
}

export function decodeUsage(said: Fields): Usage {
  const prompt = fields(said['prompt_tokens_details'])
  return {
    input: number(said['prompt_tokens']) ?? 0,
    output: number(said['completion_tokens']) ?? 0,
    // DeepSeek has its own name for it.
    cacheRead: number(prompt['cached_tokens']) ?? number(said['prompt_cache_hit_tokens']) ?? 0,
    cacheWrite: number(prompt['cache_write_tokens']) ?? number(said['cache_creation_input_tokens']) ?? 0,
    reasoning: number(fields(said['completion_tokens_details'])['reasoning_tokens']) ?? 0
  }
}

const NONE: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

export function encodeUsage(usage: Usage = NONE): Fields {
  const written = usage.cacheWrite > 0 && { cache_write_tokens: usage.cacheWrite }
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, ...written },
    completion_tokens_details: { reasoning_tokens: usage.reasoning }
  }
}

export function decodeAnswer(input: unknown, context: DecodeContext = {}): ChatAnswer | Failure {
  const body = fields(input)
  const [choice, ...others] = list(body['choices'])
  if (choice === undefined) {
    if (body['error'] || body['object'] === 'error') return decodeUpstreamFailure(0, JSON.stringify(body))
    return new Failure('upstream-failed', 'The upstream answered with something that is no completion.')
  }
  if (choice['error'] && choice['finish_reason'] === 'error') return decodeUpstreamFailure(0, JSON.stringify(choice))
  const id = string(body['id']) ?? ''
  const message = fields(choice['message'])
  const { blocks: said, rest: logprobs } = withLogprobs(
    decodeAssistant(message, placeOf(context, id)),
    choice['logprobs']
  )
  const isCut = choice['finish_reason'] === 'length'
  const blocks = said.map(block => mended(block, isCut, context)).filter(block => block !== undefined)
  const calls = blocks.some(block => block.type === 'tool-call')
  const refusal = blocks.some(isRefusal)
  const { reason, ...stopped } = decodeFinish(choice['finish_reason'], {
    calls,
    refusal,
    stopReason: choice['stop_reason']
  })
  const own = { ...unread(NAME, body, READ).extra?.[NAME], ...(others.length > 0 && { choices: others }) }
  const extra = someFields({
    ...own,
    ...defined({ message: someFields(unread(NAME, message, ANSWERED).extra?.[NAME]), logprobs })
  })
  return {
    id,
    model: string(body['model']) ?? '',
    blocks,
    finish: reason,
    ...stopped,
    ...(someFields(body['usage']) !== undefined && { usage: decodeUsage(fields(body['usage'])) }),
    ...(extra !== undefined && { extra: { [NAME]: extra } })
  }
}

/** What ids of calls are made from that have none: they differ from answer to answer. */
export function placeOf(context: DecodeContext, id: string): string {
  return (context.id ?? id).replace(/[^\w-]/g, '') || '0'
}

export function isRefusal(block: Block): boolean {
  return block.type === 'text' && block.refusal === true
}

/** A call as the client can run it. One that was cut off must not run at all: half a file is worse than none. */
function mended(block: Block, isCut: boolean, { tools }: DecodeContext): Block | undefined {
  if (block.type !== 'tool-call' || block.freeform === true) return block
  if (isCut && parseObject(block.input) === undefined) return undefined
  return { ...block, name: offeredToolName(block.name, tools), input: repairObject(block.input) ?? block.input }
}

export function encodeAnswer(answer: ChatAnswer, context: EncodeContext): Record<string, unknown> {
  const dropped = context.dropped ?? new Dropped(NAME, 'answer')
  const { choices, logprobs: others = null, message: more, ...rest } = dropped.extra(answer.extra)
  const { logprobs = others, ...said } = encodeSaid(answer.blocks, dropped)
  const message = { ...said, ...fields(more) }
  const choice = {
    index: 0,
    message,
    logprobs,
    finish_reason: encodeFinish(answer.finish, said['refusal'] !== null)
  }
  return {
    id: completionId(context),
    object: 'chat.completion',
    created: context.created,
    model: context.model,
    choices: [choice, ...list(choices)],
    usage: encodeUsage(answer.usage),
    ...rest
  }
}

export function completionId({ id }: EncodeContext): string {
  return `chatcmpl-${id}`
}
