import {
  type Ask,
  type Fields,
  fields,
  list,
  promptOf,
  string,
  strings,
  type Tool,
  textOf,
  tokensIn,
  wholeNumber
} from './ask.ts'
import { argumentPieces, CREATED, dataFrame, type Writer } from './frames.ts'
import type { Reply } from './reply.ts'

const FINISH: Record<Reply['finish'], string> = { stop: 'stop', length: 'length', 'tool-calls': 'tool_calls' }

function readAsk(body: Fields): Ask {
  const messages = list(body['messages'])
  const spoken = messages.findLastIndex(message => message['role'] === 'assistant')
  const answered = messages
    .slice(spoken + 1)
    .filter(message => message['role'] === 'tool' || message['role'] === 'function')
  const format = fields(body['response_format'])
  return {
    prompt: promptOf(messages.findLast(message => message['role'] === 'user')?.['content']),
    results: answered.map(message => textOf(message['content'])),
    tools: list(body['tools'])
      .map(readTool)
      .filter(tool => tool.name !== ''),
    toolChoice: readChoice(body['tool_choice']),
    parallel: body['parallel_tool_calls'] !== false,
    schema: format['type'] === 'json_schema' ? fields(format['json_schema'])['schema'] : anyObject(format['type']),
    cap: wholeNumber(body['max_completion_tokens'], body['max_tokens']),
    stops: strings(body['stop']),
    input: tokensIn(messages, body['tools'])
  }
}

function anyObject(type: unknown): object | undefined {
  const answer = { type: 'string' }
  return type === 'json_object' ? { type: 'object', properties: { answer } } : undefined
}

/** Cursor sends tools flat, as Responses has them. */
function readTool(tool: Fields): Tool {
  const inner = { ...tool, ...fields(tool['function']), ...fields(tool['custom']) }
  return { name: string(inner['name']), schema: fields(inner['parameters']), custom: tool['type'] === 'custom' }
}

function readChoice(choice: unknown): Ask['toolChoice'] {
  if (choice === 'none' || choice === 'required') return choice
  const name = fields(fields(choice)['function'])['name'] ?? fields(fields(choice)['custom'])['name']
  return typeof name === 'string' ? { name } : 'auto'
}

export function chatUsage({ usage }: Reply): object {
  return {
    prompt_tokens: usage.input,
    completion_tokens: usage.output,
    total_tokens: usage.input + usage.output,
    prompt_tokens_details: { cached_tokens: usage.cacheRead, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: usage.reasoning, audio_tokens: 0 }
  }
}

function encodeAnswer(reply: Reply): object {
  const tool_calls = reply.calls.map(({ tool, text }, index) => {
    const id = callId(reply, index)
    if (tool.custom) return { id, type: 'custom', custom: { name: tool.name, input: text } }
    return { id, type: 'function', function: { name: tool.name, arguments: text } }
  })
  const message = {
    role: 'assistant',
    content: reply.calls.length > 0 && reply.text === '' ? null : reply.text,
    refusal: null,
    annotations: [],
    ...(reply.thinking !== '' && { reasoning_content: reply.thinking }),
    ...(tool_calls.length > 0 && { tool_calls })
  }
  return {
    id: `chatcmpl-${reply.key}`,
    object: 'chat.completion',
    created: CREATED,
    model: reply.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: FINISH[reply.finish] }],
    usage: chatUsage(reply),
    service_tier: 'default',
    system_fingerprint: 'fp_demo'
  }
}

function callId(reply: Reply, index: number): string {
  return `call_${reply.key}${index}`
}

function encodeStream(reply: Reply, body: Fields): string[] {
  const includeUsage = fields(body['stream_options'])['include_usage'] === true
  const chunk = (choices: object[], usage: object | null = null) =>
    dataFrame({
      id: `chatcmpl-${reply.key}`,
      object: 'chat.completion.chunk',
      created: CREATED,
      model: reply.model,
      service_tier: 'default',
      system_fingerprint: 'fp_demo',
      choices,
      ...(includeUsage && { usage })
    })
  const delta = (content: object, finish_reason: string | null = null) =>
    chunk([{ index: 0, delta: content, logprobs: null, finish_reason }])
  const beginning = delta({ role: 'assistant', content: reply.calls.length > 0 ? null : '', refusal: null })
  const middle = [
    ...(reply.thinking === '' ? [] : [delta({ reasoning_content: reply.thinking })]),
    ...reply.pieces.map(content => delta({ content })),
    ...callDeltas(reply).map(call => delta({ tool_calls: [call] }))
  ]
  const usage = includeUsage ? chunk([], chatUsage(reply)) : ''
  const end = `${delta({}, FINISH[reply.finish])}${usage}data: [DONE]\n\n`
  return [beginning, ...middle, end]
}

function callDeltas(reply: Reply): object[] {
  return reply.calls.flatMap(({ tool, text }, index): object[] => {
    const id = callId(reply, index)
    if (tool.custom) return [{ index, id, type: 'custom', custom: { name: tool.name, input: text } }]
    const opening = { index, id, type: 'function', function: { name: tool.name, arguments: '' } }
    return [opening, ...argumentPieces(text).map(piece => ({ index, function: { arguments: piece } }))]
  })
}

export const openaiChat: Writer = { readAsk, encodeAnswer, encodeStream }
