import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import type { Block } from '../../chat/block.ts'
import { Failure } from '../../chat/failure.ts'
import type { Fields } from '../../chat/request.ts'
import { offeredToolName } from '../../chat/tool-names.ts'
import type { Usage } from '../../chat/usage.ts'
import type { DecodeContext, EncodeContext } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { defined, fields, list, number, string, unread } from '../read.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { BlockWriter, decodeBlock, NAME } from './blocks.ts'

const READ = new Set(['id', 'type', 'role', 'model', 'content', 'stop_reason', 'stop_sequence', 'usage'])

const FINISH: ReadonlyMap<unknown, FinishReason> = new Map<unknown, FinishReason>([
  ['end_turn', 'stop'],
  ['max_tokens', 'length'],
  ['tool_use', 'tool-calls'],
  ['stop_sequence', 'stop-sequence'],
  ['refusal', 'refusal'],
  ['pause_turn', 'pause'],
  ['model_context_window_exceeded', 'context-exceeded']
])

const STOP_REASON: Record<FinishReason, string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use',
  'stop-sequence': 'stop_sequence',
  refusal: 'refusal',
  // Claude Code shows a refusal as a breach of its policy, so a filter that let something through is an end like any other.
  'content-filter': 'end_turn',
  'context-exceeded': 'model_context_window_exceeded',
  pause: 'pause_turn'
}

export function decodeFinish(reason: unknown): FinishReason {
  return FINISH.get(reason) ?? 'stop'
}

export function encodeFinish(reason: FinishReason, answered: boolean): string {
  return reason === 'content-filter' && !answered ? 'refusal' : STOP_REASON[reason]
}

/** What one message says; `before` is what an earlier one said, which a zero does not correct. */
export function decodeUsage(usage: Fields, before?: Usage): Usage {
  const read = number(usage['cache_read_input_tokens']) || before?.cacheRead || 0
  const write = number(usage['cache_creation_input_tokens']) || before?.cacheWrite || 0
  const rest = before === undefined ? 0 : before.input - before.cacheRead - before.cacheWrite
  return {
    input: (number(usage['input_tokens']) || rest) + read + write,
    output: number(usage['output_tokens']) || before?.output || 0,
    cacheRead: read,
    cacheWrite: write,
    reasoning: number(fields(usage['output_tokens_details'])['thinking_tokens']) || before?.reasoning || 0
  }
}

const NONE: Usage = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }

export function encodeUsage(usage: Usage = NONE): Fields {
  return {
    input_tokens: Math.max(0, usage.input - usage.cacheRead - usage.cacheWrite),
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens: usage.output,
    ...(usage.reasoning > 0 && { output_tokens_details: { thinking_tokens: usage.reasoning } })
  }
}

export function decodeAnswer(input: unknown, context: DecodeContext = {}): ChatAnswer | Failure {
  const body = fields(input)
  if (body['error'] !== undefined || body['type'] === 'error') return decodeUpstreamFailure(0, JSON.stringify(body))
  if (!Array.isArray(body['content'])) {
    return new Failure('upstream-failed', 'The upstream answered with something that is no message.')
  }
  const blocks = list(body['content']).map(block => offered(decodeBlock(block), context))
  return {
    id: string(body['id']) ?? '',
    model: string(body['model']) ?? '',
    blocks,
    finish: decodeFinish(body['stop_reason']),
    ...defined({ stopSequence: string(body['stop_sequence']) }),
    ...(body['usage'] !== undefined && { usage: decodeUsage(fields(body['usage'])) }),
    ...unread(NAME, body, READ)
  }
}

/** A call of a tool by the name that the client knows. */
export function offered(block: Block, { tools }: DecodeContext): Block {
  return block.type === 'tool-call' ? { ...block, name: offeredToolName(block.name, tools) } : block
}

export function encodeAnswer(answer: ChatAnswer, context: EncodeContext): Record<string, unknown> {
  const dropped = context.dropped ?? new Dropped(NAME, 'answer')
  const writer = new BlockWriter(dropped, 'compatible')
  const content = writer.blocks(answer.blocks)
  return {
    id: messageId(context),
    type: 'message',
    role: 'assistant',
    model: context.model,
    content,
    stop_reason: encodeFinish(answer.finish, content.length > 0),
    stop_sequence: answer.stopSequence ?? null,
    usage: encodeUsage(answer.usage),
    ...dropped.extra(answer.extra)
  }
}

export function messageId({ id }: EncodeContext): string {
  return `msg_${id}`
}
