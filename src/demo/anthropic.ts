import { type Ask, type Fields, fields, list, promptOf, string, strings, textOf, tokensIn, wholeNumber } from './ask.ts'
import { argumentPieces, eventFrame, type Writer } from './frames.ts'
import type { Reply } from './reply.ts'

const STOP_REASON: Record<Reply['finish'], string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  'tool-calls': 'tool_use'
}

function readAsk(body: Fields): Ask {
  const messages = list(body['messages'])
  const users = messages.filter(message => message['role'] === 'user')
  const last = users.at(-1)?.['content']
  const results = list(last).filter(block => block['type'] === 'tool_result')
  const isUserText = (message: Fields) => promptOf(message['content']) !== '' && !hasResults(message)
  const choice = fields(body['tool_choice'])
  const format = fields(fields(body['output_config'])['format'] ?? body['output_format'])
  return {
    prompt: promptOf(users.findLast(isUserText)?.['content']),
    results: results.map(block => textOf(block['content'])),
    // Server tools have no schema: the demo has no server to run them.
    tools: list(body['tools'])
      .filter(tool => tool['input_schema'] !== undefined)
      .map(tool => ({ name: string(tool['name']), schema: tool['input_schema'] })),
    toolChoice: readChoice(choice),
    parallel: choice['disable_parallel_tool_use'] !== true,
    schema: format['type'] === 'json_schema' ? format['schema'] : undefined,
    cap: wholeNumber(body['max_tokens']),
    stops: strings(body['stop_sequences']),
    input: countTokens(body)
  }
}

export function countTokens(body: Fields): number {
  return tokensIn(body['system'], body['messages'], body['tools'])
}

function hasResults(message: Fields): boolean {
  return list(message['content']).some(block => block['type'] === 'tool_result')
}

function readChoice({ type, name }: Fields): Ask['toolChoice'] {
  if (type === 'tool' && typeof name === 'string') return { name }
  return type === 'any' ? 'required' : type === 'none' ? 'none' : 'auto'
}

function usageOf({ usage }: Reply, output: number): object {
  return {
    input_tokens: usage.input - usage.cacheRead - usage.cacheWrite,
    cache_creation_input_tokens: usage.cacheWrite,
    cache_read_input_tokens: usage.cacheRead,
    output_tokens: output
  }
}

function message(reply: Reply, content: object[]): Record<string, unknown> {
  return { id: `msg_${reply.key}`, type: 'message', role: 'assistant', model: reply.model, content }
}

function stopOf(reply: Reply): object {
  const stop_reason = reply.stop === undefined ? STOP_REASON[reply.finish] : 'stop_sequence'
  return { stop_reason, stop_sequence: reply.stop ?? null }
}

/** A block, complete; where it starts in a stream; and what comes in between. */
interface Block {
  readonly whole: object
  readonly start: object
  readonly deltas: readonly object[]
}

function blocksOf(reply: Reply): Block[] {
  const blocks: Block[] = []
  if (reply.thinking !== '') {
    const { thinking } = reply
    const signature = Buffer.from(`demo:${reply.key}`).toString('base64')
    blocks.push({
      whole: { type: 'thinking', thinking, signature },
      start: { type: 'thinking', thinking: '', signature: '' },
      deltas: [
        { type: 'thinking_delta', thinking },
        { type: 'signature_delta', signature }
      ]
    })
  }
  if (reply.text !== '' || reply.calls.length === 0) {
    const deltas = reply.pieces.map(text => ({ type: 'text_delta', text }))
    blocks.push({ whole: { type: 'text', text: reply.text }, start: { type: 'text', text: '' }, deltas })
  }
  for (const [index, { tool, input, text }] of reply.calls.entries()) {
    const head = { type: 'tool_use', id: `toolu_${reply.key}${index}`, name: tool.name }
    const deltas = ['', ...argumentPieces(text)].map(partial_json => ({ type: 'input_json_delta', partial_json }))
    blocks.push({ whole: { ...head, input }, start: { ...head, input: {} }, deltas })
  }
  return blocks
}

function encodeAnswer(reply: Reply): object {
  const content = blocksOf(reply).map(block => block.whole)
  return { ...message(reply, content), ...stopOf(reply), usage: usageOf(reply, reply.usage.output) }
}

function encodeStream(reply: Reply): string[] {
  const started = { ...message(reply, []), stop_reason: null, stop_sequence: null, usage: usageOf(reply, 1) }
  let ahead = eventFrame({ type: 'message_start', message: started }) + eventFrame({ type: 'ping' })
  const chunks: string[] = []
  for (const [index, { start, deltas }] of blocksOf(reply).entries()) {
    chunks.push(ahead + eventFrame({ type: 'content_block_start', index, content_block: start }))
    for (const delta of deltas) chunks.push(eventFrame({ type: 'content_block_delta', index, delta }))
    ahead = eventFrame({ type: 'content_block_stop', index })
  }
  const ended = { type: 'message_delta', delta: stopOf(reply), usage: usageOf(reply, reply.usage.output) }
  return [...chunks, ahead + eventFrame(ended) + eventFrame({ type: 'message_stop' })]
}

export const anthropic: Writer = { readAsk, encodeAnswer, encodeStream }
