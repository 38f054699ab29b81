// What Codex sends, what a server of Responses answers, and how tests say it.
import type { ChatEvent } from '../../src/chat/events.ts'
import { Failure } from '../../src/chat/failure.ts'
import type { ChatRequest } from '../../src/chat/request.ts'
import type { Flavour, Translator } from '../../src/dialects/dialect.ts'
import { CONTEXT, translator } from './translate.ts'

export const responses = translator('openai-responses')
export const openai = translator('openai-chat')
export const anthropic = translator('anthropic')

export type Json = Record<string, unknown>

export function decoded(body: unknown, translate = responses): ChatRequest {
  const chat = translate.decodeRequest(body)
  if (chat instanceof Failure) throw new Error(chat.message)
  return chat
}

export function encoded(chat: ChatRequest, translate: Translator, flavour?: Flavour) {
  const request = translate.encodeRequest(chat, flavour)
  if (request instanceof Failure) throw new Error(request.message)
  return { body: JSON.parse(JSON.stringify(request.body)) as Json, dropped: request.dropped }
}

export function answered(body: unknown, translate = responses) {
  const answer = translate.decodeAnswer(body)
  if (answer instanceof Failure) throw new Error(answer.message)
  return answer
}

export const sse = (...list: Json[]) =>
  list.map(event => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`).join('')

/** The data of each frame. */
export const dataOf = (text: string): Json[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as Json)

export const user = (content: unknown): Json => ({ type: 'message', role: 'user', content })
export const lookUp = { type: 'function', name: 'look', parameters: { type: 'object', properties: {} }, strict: false }

export const PATCH_GRAMMAR = 'start: "*** Begin Patch"'
export const CODEX = {
  model: 'gpt-5-codex',
  input: [
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'You are Codex.' }] },
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Sandboxed.' }] },
    {
      ...user([
        { type: 'input_text', text: 'Fix it.' },
        { type: 'input_image', image_url: 'data:image/png;base64,AA==' }
      ])
    },
    { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Hm.' }], encrypted_content: 'gAAA', id: 'rs_1' },
    {
      type: 'message',
      role: 'assistant',
      content: [{ type: 'output_text', text: 'I look.', annotations: [] }],
      id: 'msg_1',
      phase: 'commentary'
    },
    { type: 'function_call', call_id: 'c1', name: 'shell', arguments: '{"command":["ls"]}', id: 'fc_1' },
    { type: 'function_call', call_id: 'c2', name: 'spawn', namespace: 'agents', arguments: '{}' },
    { type: 'custom_tool_call', call_id: 'c3', name: 'apply_patch', input: '*** Begin Patch' },
    { type: 'function_call_output', call_id: 'c1', output: 'a.ts' },
    { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'one' }] },
    { type: 'custom_tool_call_output', call_id: 'c3', output: 'Done.' }
  ],
  tools: [
    { type: 'function', name: 'shell', description: 'Runs.', parameters: { type: 'object' }, strict: false },
    {
      type: 'namespace',
      name: 'agents',
      description: 'Others.',
      tools: [
        { type: 'function', name: 'spawn', description: 'Spawns.', parameters: { type: 'object' }, strict: false }
      ]
    },
    {
      type: 'custom',
      name: 'apply_patch',
      description: 'Patches.',
      format: { type: 'grammar', syntax: 'lark', definition: PATCH_GRAMMAR }
    },
    { type: 'web_search', external_web_access: true }
  ],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  reasoning: { effort: 'high', summary: 'auto' },
  text: { verbosity: 'low' },
  include: ['reasoning.encrypted_content'],
  store: false,
  prompt_cache_key: 'k',
  client_metadata: { a: 'b' },
  stream: true
}

export const ANSWER = {
  id: 'resp_x1',
  object: 'response',
  created_at: CONTEXT.created,
  status: 'completed',
  error: null,
  incomplete_details: null,
  model: 'a-model',
  output: [
    { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }], encrypted_content: 'gAAA' },
    { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'x' } },
    {
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [
        {
          type: 'output_text',
          text: 'Here.',
          annotations: [{ type: 'url_citation', url: 'https://example.com', title: 'x', start_index: 0, end_index: 4 }],
          logprobs: [{ token: 'Here', logprob: -0.1, bytes: [], top_logprobs: [] }]
        }
      ],
      id: 'msg_1'
    },
    { type: 'function_call', status: 'completed', id: 'fc_1', call_id: 'c1', name: 'f', arguments: '{"x":1}' },
    {
      type: 'function_call',
      status: 'completed',
      id: 'fc_2',
      call_id: 'c2',
      name: 'g',
      namespace: 'n',
      arguments: '{}'
    },
    { type: 'custom_tool_call', status: 'completed', id: 'ctc_1', call_id: 'c3', name: 'p', input: '*** x' }
  ],
  background: false,
  instructions: 'Be brief.',
  max_output_tokens: null,
  metadata: {},
  parallel_tool_calls: false,
  previous_response_id: null,
  reasoning: { effort: 'low', summary: null },
  service_tier: 'default',
  temperature: 1,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [lookUp],
  top_p: 1,
  truncation: 'disabled',
  usage: {
    input_tokens: 9,
    input_tokens_details: { cached_tokens: 3, cache_write_tokens: 1 },
    output_tokens: 5,
    output_tokens_details: { reasoning_tokens: 2 },
    total_tokens: 14
  }
}

export const base = { id: 'resp_x1', model: 'a-model', status: 'in_progress', output: [] }
export const created = { type: 'response.created', response: base }
export const completed = (output: Json[] = []) => ({
  type: 'response.completed',
  response: { ...base, status: 'completed', output }
})
export const added = (output_index: number, item: Json) => ({ type: 'response.output_item.added', output_index, item })
export const done = (output_index: number, item: Json) => ({ type: 'response.output_item.done', output_index, item })
export const text = (output_index: number, delta: string, content_index = 0) => ({
  type: 'response.output_text.delta',
  output_index,
  content_index,
  item_id: `i${output_index}`,
  delta
})
export const args = (output_index: number, delta: string) => ({
  type: 'response.function_call_arguments.delta',
  output_index,
  item_id: `i${output_index}`,
  delta
})
export const fn = (id: string, call_id: string, said = '') => ({
  type: 'function_call',
  id,
  call_id,
  name: 'f',
  arguments: said
})
export const msg = (id: string, said?: string): Json => ({
  type: 'message',
  id,
  role: 'assistant',
  content: said === undefined ? [] : [{ type: 'output_text', text: said, annotations: [] }]
})
/** Each kind of block. */
export const SAID: ChatEvent[] = [
  { type: 'start', id: 'x1', model: 'a-model' },
  { type: 'block-start', index: 0, block: { type: 'thinking', text: '' } },
  { type: 'block-delta', index: 0, text: 'Hm.' },
  { type: 'block-extra', index: 0, extra: { anthropic: { signature: 'c2ln' } } },
  { type: 'block-end', index: 0 },
  { type: 'block-start', index: 1, block: { type: 'text', text: '' } },
  { type: 'block-delta', index: 1, text: 'On' },
  { type: 'block-delta', index: 1, text: 'e' },
  { type: 'block-end', index: 1 },
  { type: 'block-start', index: 2, block: { type: 'text', text: '', refusal: true } },
  { type: 'block-delta', index: 2, text: 'No.' },
  { type: 'block-end', index: 2 },
  { type: 'block-start', index: 3, block: { type: 'tool-call', id: 'a', name: 'agents__spawn', input: '' } },
  { type: 'block-end', index: 3 },
  { type: 'block-start', index: 4, block: { type: 'tool-call', id: 'b', name: 'apply_patch', input: '' } },
  { type: 'block-delta', index: 4, text: '{"input":"*** Be' },
  { type: 'block-delta', index: 4, text: 'gin"}' },
  { type: 'block-end', index: 4 },
  { type: 'usage', usage: { input: 9, output: 5, cacheRead: 3, cacheWrite: 0, reasoning: 2 } },
  { type: 'finish', reason: 'tool-calls' }
]

/** What the last event of a stream holds. */
export function outputOf(said: readonly Json[]): Json[] {
  const { response } = said.at(-1) as { response: { output: Json[] } }
  return response.output
}
