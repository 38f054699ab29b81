import {
  type Ask,
  type Fields,
  fields,
  list,
  promptOf,
  string,
  type Tool,
  textOf,
  tokensIn,
  wholeNumber
} from './ask.ts'
import { CREATED, eventFrame, type Writer } from './frames.ts'
import type { Reply } from './reply.ts'
import { type ItemEvent, itemsOf } from './response-items.ts'

function readAsk(body: Fields): Ask {
  const { input } = body
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : list(input)
  const spoken = items.findLastIndex(item => item['role'] === 'assistant' || string(item['type']).endsWith('_call'))
  const answered = items.slice(spoken + 1).filter(item => string(item['type']).endsWith('_call_output'))
  const format = fields(fields(body['text'])['format'])
  const answer = { type: 'string' }
  const anyObject = format['type'] === 'json_object' ? { type: 'object', properties: { answer } } : undefined
  return {
    prompt: promptOf(items.findLast(item => item['role'] === 'user')?.['content']),
    results: answered.map(item => textOf(item['output'])),
    tools: list(body['tools']).flatMap(tool => readTool(tool)),
    toolChoice: readChoice(body['tool_choice']),
    parallel: body['parallel_tool_calls'] !== false,
    schema: format['type'] === 'json_schema' ? format['schema'] : anyObject,
    cap: wholeNumber(body['max_output_tokens']),
    stops: [],
    input: tokensIn(body['instructions'], input, body['tools'])
  }
}

/** Codex groups some of its tools in namespaces. What only OpenAI can run is left out. */
function readTool(tool: Fields, namespace?: string): Tool[] {
  const name = string(tool['name'])
  if (tool['type'] === 'namespace') return list(tool['tools']).flatMap(inner => readTool(inner, name))
  if (tool['type'] !== 'function' && tool['type'] !== 'custom') return []
  const custom = tool['type'] === 'custom'
  return [{ name, schema: fields(tool['parameters']), custom, ...(namespace !== undefined && { namespace }) }]
}

function readChoice(choice: unknown): Ask['toolChoice'] {
  if (choice === 'none' || choice === 'required') return choice
  const { name } = fields(choice)
  return typeof name === 'string' ? { name } : 'auto'
}

function responseOf(
  reply: Reply,
  body: Fields,
  status: 'in_progress' | 'completed' | 'incomplete',
  output: object[]
): object {
  const isOver = status !== 'in_progress'
  const { input, output: written, cacheRead, reasoning } = reply.usage
  const usage = {
    input_tokens: input,
    input_tokens_details: { cached_tokens: cacheRead },
    output_tokens: written,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: input + written
  }
  return {
    id: `resp_${reply.key}`,
    object: 'response',
    created_at: CREATED,
    status,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    max_output_tokens: body['max_output_tokens'] ?? null,
    model: reply.model,
    output,
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    previous_response_id: body['previous_response_id'] ?? null,
    reasoning: { effort: null, summary: null, ...fields(body['reasoning']) },
    store: body['store'] ?? true,
    temperature: body['temperature'] ?? 1,
    text: body['text'] ?? { format: { type: 'text' } },
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    top_p: body['top_p'] ?? 1,
    truncation: body['truncation'] ?? 'disabled',
    usage: isOver ? usage : null,
    user: body['user'] ?? null,
    metadata: body['metadata'] ?? {}
  }
}

const endOf = (reply: Reply) => (reply.finish === 'length' ? 'incomplete' : 'completed')

function encodeAnswer(reply: Reply, body: Fields): object {
  return responseOf(
    reply,
    body,
    endOf(reply),
    itemsOf(reply).map(item => item.whole)
  )
}

function encodeStream(reply: Reply, body: Fields): string[] {
  let sequence_number = 0
  const frame = ({ type, ...rest }: ItemEvent) => eventFrame({ type, sequence_number: sequence_number++, ...rest })
  const started = { response: responseOf(reply, body, 'in_progress', []) }
  const chunks: string[] = []
  let ahead = frame({ type: 'response.created', ...started }) + frame({ type: 'response.in_progress', ...started })
  const items = itemsOf(reply)
  for (const [output_index, { added, whole, events }] of items.entries()) {
    ahead += frame({ type: 'response.output_item.added', output_index, item: added })
    for (const group of events) {
      chunks.push(ahead + group.map(event => frame({ ...event, output_index })).join(''))
      ahead = ''
    }
    ahead = frame({ type: 'response.output_item.done', output_index, item: whole })
  }
  const status = endOf(reply)
  const response = responseOf(
    reply,
    body,
    status,
    items.map(item => item.whole)
  )
  return [...chunks, ahead + frame({ type: `response.${status}`, response })]
}

export const openaiResponses: Writer = { readAsk, encodeAnswer, encodeStream }
