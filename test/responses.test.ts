// OpenAI Responses, both ways: what Codex and the SDKs send and read, and what servers of this dialect answer.
import fc from 'fast-check'
import t from 'tap'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import type { ChatRequest } from '../src/chat/request.ts'
import { openaiResponses as demo } from '../src/demo/openai-responses.ts'
import { replyTo } from '../src/demo/reply.ts'
import type { EncodeContext, Flavour, Translator } from '../src/dialects/dialect.ts'
import {
  CONTEXT,
  CUTS,
  call,
  chunk,
  ended,
  events,
  frames,
  problemIn,
  stream,
  summary,
  translator
} from './support/translate.ts'

const responses = translator('openai-responses')
const openai = translator('openai-chat')
const anthropic = translator('anthropic')

type Json = Record<string, unknown>

function decoded(body: unknown, translate = responses): ChatRequest {
  const chat = translate.decodeRequest(body)
  if (chat instanceof Failure) throw new Error(chat.message)
  return chat
}

function encoded(chat: ChatRequest, translate: Translator, flavour?: Flavour) {
  const request = translate.encodeRequest(chat, flavour)
  if (request instanceof Failure) throw new Error(request.message)
  return { body: JSON.parse(JSON.stringify(request.body)) as Json, dropped: request.dropped }
}

function answered(body: unknown, translate = responses) {
  const answer = translate.decodeAnswer(body)
  if (answer instanceof Failure) throw new Error(answer.message)
  return answer
}

const sse = (...list: Json[]) =>
  list.map(event => `event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`).join('')

/** The data of each frame. */
const dataOf = (text: string): Json[] =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as Json)

const user = (content: unknown): Json => ({ type: 'message', role: 'user', content })
const lookUp = { type: 'function', name: 'look', parameters: { type: 'object', properties: {} }, strict: false }

// Requests.

const PATCH_GRAMMAR = 'start: "*** Begin Patch"'
const CODEX = {
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

/** A list of one text is the text. */
function plain(body: unknown): Json {
  const said = JSON.parse(JSON.stringify(body)) as { input: { content?: unknown; output?: unknown; role?: string }[] }
  for (const item of said.input) {
    for (const key of ['content', 'output'] as const) {
      const list = item[key]
      if (!Array.isArray(list) || list.length !== 1 || item.role === 'assistant') continue
      const [only] = list as Json[]
      if (only?.['type'] === 'input_text' && Object.keys(only).length === 2) item[key] = only['text']
    }
  }
  return said as unknown as Json
}

t.test('what Codex sends comes back as it was', async t => {
  const { body, dropped } = encoded(decoded(CODEX), responses, 'official')
  t.same(plain(body), plain(CODEX))
  t.same(dropped, [])
})

t.test('every field of a request comes back as it was', async t => {
  const rich = {
    model: 'gpt-5.1',
    instructions: 'Be brief.',
    input: [
      user([
        { type: 'input_text', text: 'a' },
        { type: 'input_image', file_id: 'file_1', detail: 'low' },
        { type: 'input_image', image_url: 'https://example.com/a.png' },
        { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA==' },
        { type: 'input_file', file_id: 'file_2' },
        { type: 'input_file', file_url: 'https://example.com/b.pdf', detail: 'high' },
        { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
        { type: 'input_new', value: 1 }
      ]),
      { type: 'message', role: 'developer', content: 'In the middle.' },
      { type: 'message', role: 'user', content: 'b', id: 'msg_u' },
      { type: 'web_search_call', id: 'ws_1', status: 'completed', action: { type: 'search', query: 'x' } },
      { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAA' },
      {
        type: 'reasoning',
        id: 'rs_2',
        summary: [
          { type: 'summary_text', text: 'One.' },
          { type: 'summary_text', text: 'Two.' }
        ]
      },
      { type: 'reasoning', id: 'rs_3', summary: [], content: [{ type: 'reasoning_text', text: 'Open.' }] },
      {
        type: 'message',
        role: 'assistant',
        content: [
          { type: 'output_text', text: 'c', annotations: [{ type: 'file_path', file_id: 'f', index: 0 }] },
          { type: 'refusal', refusal: 'No.' }
        ],
        id: 'msg_a'
      },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'd', annotations: [] }] },
      {
        type: 'local_shell_call',
        id: 'ls_1',
        call_id: 'c9',
        status: 'completed',
        action: { type: 'exec', command: [] }
      },
      { type: 'local_shell_call_output', id: 'c9', output: 'x' },
      { type: 'mcp_approval_response', approval_request_id: 'r', approve: true },
      user('e')
    ],
    tools: [lookUp, { type: 'mcp', server_label: 's', server_url: 'https://example.com' }, { type: 'local_shell' }],
    tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'look' }] },
    parallel_tool_calls: false,
    max_output_tokens: 100,
    temperature: 0.5,
    top_p: 0.9,
    reasoning: { effort: 'minimal', summary: 'detailed' },
    text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true }, verbosity: 'high' },
    include: ['file_search_call.results', 'message.output_text.logprobs'],
    top_logprobs: 3,
    user: 'u',
    metadata: { a: 'b' },
    service_tier: 'flex',
    truncation: 'auto',
    background: false,
    max_tool_calls: 3,
    safety_identifier: 's',
    stream: true,
    stream_options: { include_obfuscation: false }
  }
  const { body, dropped } = encoded(decoded(rich), responses, 'official')
  t.same(plain(body), plain(rich))
  t.same(dropped, [])
  for (const more of [
    { tool_choice: { type: 'function', name: 'look' } },
    { tool_choice: 'required' },
    { tool_choice: { type: 'web_search_preview' } },
    { text: { format: { type: 'json_object' } } },
    { reasoning: { effort: 'none' } },
    { top_logprobs: 2 }
  ]) {
    const asked = { model: 'gpt-5.1', input: [user('Hi')], tools: [lookUp], ...more }
    t.same(encoded(decoded(asked), responses).body, asked, JSON.stringify(more))
  }
})

t.test('results whose calls the upstream has kept stay results', async t => {
  const kept = {
    model: 'm',
    input: [{ type: 'custom_tool_call_output', call_id: 'c1', output: 'x' }],
    previous_response_id: 'resp_1'
  }
  t.same(encoded(decoded(kept), responses).body, kept)
  const referred = {
    model: 'm',
    input: [
      { type: 'item_reference', id: 'fc_1' },
      { type: 'function_call_output', call_id: 'c1', output: 'x' }
    ]
  }
  t.same(encoded(decoded(referred), responses).body, referred)
  t.same(encoded(decoded(kept), openai).dropped, ['messages.custom', 'previous_response_id'].slice(1))
  t.match(decoded({ model: 'm', previous_response_id: 'r' }), { turns: [] })
  t.match(responses.decodeRequest({ model: 'm' }), { kind: 'invalid-request', details: { field: 'input' } })
})

t.test('Codex is understood by a model of Chat Completions and of Anthropic', async t => {
  const chat = decoded(CODEX)
  const local = encoded(chat, openai, 'local')
  const functions = (local.body['tools'] as { function: Json }[]).map(tool => tool.function)
  t.same(
    functions.map(({ name }) => name),
    ['shell', 'agents__spawn', 'apply_patch']
  )
  t.match(functions[2], { parameters: { required: ['input'] } })
  t.match(functions[2]?.['description'], `Patches.\n\nThe input follows this lark grammar:\n${PATCH_GRAMMAR}`)
  t.match(local.body['messages'], [
    { role: 'system', content: 'You are Codex.\n\nSandboxed.' },
    {
      role: 'user',
      content: [{ type: 'text' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }]
    },
    {
      role: 'assistant',
      content: 'I look.',
      tool_calls: [
        { id: 'c1', function: { name: 'shell', arguments: '{"command":["ls"]}' } },
        { id: 'c2', function: { name: 'agents__spawn' } },
        { id: 'c3', function: { name: 'apply_patch', arguments: '{"input":"*** Begin Patch"}' } }
      ]
    },
    { role: 'tool', tool_call_id: 'c1', content: 'a.ts' },
    { role: 'tool', tool_call_id: 'c2', content: 'one' },
    { role: 'tool', tool_call_id: 'c3', content: 'Done.' }
  ])
  t.ok(local.dropped.includes('tools.web_search'))
  const { body } = encoded(chat, anthropic, 'official')
  t.match(body['tools'], [
    { name: 'shell' },
    { name: 'agents__spawn' },
    { name: 'apply_patch', input_schema: { required: ['input'] } }
  ])
  t.match((body['messages'] as Json[])[1], {
    role: 'assistant',
    content: [
      { type: 'text', text: 'I look.' },
      { type: 'tool_use', id: 'c1', input: { command: ['ls'] } },
      { type: 'tool_use', name: 'agents__spawn' },
      { type: 'tool_use', name: 'apply_patch', input: { input: '*** Begin Patch' } }
    ]
  })
  const flat = encoded(chat, responses, 'local')
  t.match(flat.body['tools'], [
    { name: 'shell' },
    { type: 'function', name: 'agents__spawn' },
    { type: 'function', name: 'apply_patch', parameters: { required: ['input'] } }
  ])
  const calls = (flat.body['input'] as Json[]).filter(item => String(item['type']).includes('call'))
  t.match(calls[1], { type: 'function_call', name: 'agents__spawn', namespace: undefined })
  t.match(calls[2], { type: 'function_call', name: 'apply_patch', arguments: '{"input":"*** Begin Patch"}' })
  t.match(calls[5], { type: 'function_call_output', call_id: 'c3' })
})

t.test('clients of other dialects reach a model of Responses', async t => {
  const { body, dropped } = encoded(
    decoded(
      {
        model: 'gpt-5.1',
        max_tokens: 100,
        stop_sequences: ['x'],
        top_k: 4,
        system: 'Be brief.',
        thinking: { type: 'enabled', budget_tokens: 8000 },
        tools: [{ name: 'f', input_schema: { type: 'object' } }],
        tool_choice: { type: 'tool', name: 'f' },
        messages: [
          {
            role: 'user',
            content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AA==' } }]
          },
          {
            role: 'assistant',
            content: [
              { type: 'thinking', thinking: 'Hm.', signature: 's' },
              { type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } },
              { type: 'tool_use', id: 'b', name: 'f', input: {} }
            ]
          },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 'a', is_error: true, content: 'exit 1' },
              {
                type: 'tool_result',
                tool_use_id: 'b',
                content: [{ type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } }]
              },
              { type: 'text', text: 'Go on.' }
            ]
          }
        ]
      },
      anthropic
    ),
    responses,
    'official'
  )
  t.same(body, {
    model: 'gpt-5.1',
    instructions: 'Be brief.',
    input: [
      user([{ type: 'input_image', image_url: 'data:image/png;base64,AA==' }]),
      { type: 'function_call', call_id: 'a', name: 'f', arguments: '{"x":1}' },
      { type: 'function_call', call_id: 'b', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: 'Error: exit 1' },
      {
        type: 'function_call_output',
        call_id: 'b',
        output: [{ type: 'input_image', image_url: 'https://example.com/a.png' }]
      },
      user('Go on.')
    ],
    tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: false }],
    tool_choice: { type: 'function', name: 'f' },
    max_output_tokens: 100,
    reasoning: { effort: 'medium' }
  })
  t.same(dropped, ['messages.thinking', 'messages.thinking.signature', 'stop', 'top_k'])
  const chat = decoded(
    { messages: [{ role: 'system', content: 'Alone.' }], n: 1, seed: 0, presence_penalty: 0 },
    openai
  )
  const alone = encoded(chat, responses)
  t.same(alone.body['input'], [{ type: 'message', role: 'system', content: 'Alone.' }])
  t.same(alone.dropped, ['seed'])
  t.match(responses.encodeRequest({ ...chat, choices: 2 }), { kind: 'unsupported', details: { field: 'n' } })
})

// Answers.

const ANSWER = {
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

t.test('an answer comes back as it was', async t => {
  t.same(responses.encodeAnswer(answered(ANSWER), CONTEXT), ANSWER)
  const { finish, usage, blocks } = answered(ANSWER)
  t.equal(finish, 'tool-calls')
  t.same(usage, { input: 9, output: 5, cacheRead: 3, cacheWrite: 1, reasoning: 2 })
  t.same(
    blocks.flatMap(block => (block.type === 'tool-call' ? [block.name] : [])),
    ['f', 'n__g', 'p']
  )
})

t.test('an answer says why it ended', async t => {
  const message = (content: object[]) => [{ type: 'message', id: 'm', role: 'assistant', content }]
  const output = message([{ type: 'output_text', text: 'x' }])
  const ends: [string, Json][] = [
    ['stop', { output }],
    ['length', { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, output }],
    ['content-filter', { status: 'incomplete', incomplete_details: { reason: 'content_filter' }, output }],
    ['refusal', { output: message([{ type: 'refusal', refusal: 'No.' }]) }],
    ['pause', { status: 'in_progress', output: [] }]
  ]
  for (const [finish, body] of ends) t.equal(answered(body).finish, finish)
  t.same(answered({ output }).usage, undefined)
  const cut = { type: 'function_call', call_id: 'a', name: 'f', arguments: '{"half' }
  t.same(answered({ status: 'incomplete', output: [cut] }).blocks, [])
  t.match(answered({ output: [{ ...cut, arguments: "{'x': True}" }] }).blocks, [{ input: '{"x": true}' }])
  t.match(answered({ output: [{ ...cut, call_id: '' }], id: 'resp_9' }).blocks, [{ id: 'call_resp_9_0' }])
  const failed = { status: 'failed', error: { code: 'rate_limit_exceeded', message: 'slow' }, output: [] }
  t.match(responses.decodeAnswer(failed), { kind: 'upstream-rate-limited' })
  t.match(responses.decodeAnswer({ status: 'cancelled', output: [] }), { kind: 'upstream-failed' })
  t.match(responses.decodeAnswer({}), { kind: 'upstream-failed' })
  const said = { id: 'x', model: 'm', blocks: [] }
  t.match(responses.encodeAnswer({ ...said, finish: 'length' }, CONTEXT), {
    status: 'incomplete',
    incomplete_details: { reason: 'max_output_tokens' },
    output: []
  })
  t.match(responses.encodeAnswer({ ...said, finish: 'content-filter' }, CONTEXT), {
    incomplete_details: { reason: 'content_filter' }
  })
})

// Streams.

const base = { id: 'resp_x1', model: 'a-model', status: 'in_progress', output: [] }
const created = { type: 'response.created', response: base }
const completed = (output: Json[] = []) => ({
  type: 'response.completed',
  response: { ...base, status: 'completed', output }
})
const added = (output_index: number, item: Json) => ({ type: 'response.output_item.added', output_index, item })
const done = (output_index: number, item: Json) => ({ type: 'response.output_item.done', output_index, item })
const text = (output_index: number, delta: string, content_index = 0) => ({
  type: 'response.output_text.delta',
  output_index,
  content_index,
  item_id: `i${output_index}`,
  delta
})
const args = (output_index: number, delta: string) => ({
  type: 'response.function_call_arguments.delta',
  output_index,
  item_id: `i${output_index}`,
  delta
})
const fn = (id: string, call_id: string, said = '') => ({
  type: 'function_call',
  id,
  call_id,
  name: 'f',
  arguments: said
})
const msg = (id: string, said?: string): Json => ({
  type: 'message',
  id,
  role: 'assistant',
  content: said === undefined ? [] : [{ type: 'output_text', text: said, annotations: [] }]
})
const read = (...list: Json[]) => {
  const said = events(responses, sse(...list))
  t.equal(problemIn(said), undefined)
  return summary(said)
}

t.test('items that come interleaved become blocks one after the other', async t => {
  t.same(
    read(
      created,
      added(0, msg('i0')),
      text(0, 'Hel'),
      added(1, fn('i1', 'a')),
      args(1, '{"x"'),
      added(2, fn('i2', 'b')),
      args(2, '{}'),
      text(0, 'lo'),
      done(0, msg('i0', 'Hello')),
      done(2, fn('i2', 'b', '{}')),
      args(1, ':1}'),
      done(1, fn('i1', 'a', '{"x":1}')),
      completed()
    ),
    ['text: Hello', 'a f: {"x":1}', 'b f: {}', '= tool-calls']
  )
  t.same(read(created, added(0, msg('i0')), text(0, 'a'), text(0, 'b', 1), text(0, 'c', 1), completed()), [
    'text: a',
    'text: bc',
    '= stop'
  ])
})

t.test('what no delta has said is said', async t => {
  const custom = { type: 'custom_tool_call', id: 'i1', call_id: 'b', name: 'p', input: '*** x' }
  const reasoning = { type: 'reasoning', id: 'i2', summary: [{ type: 'summary_text', text: 'Hm.' }] }
  const whole = ['text: Hi', 'b p: *** x', 'thinking: Hm.', 'a f: {}', '= tool-calls']
  const items = [msg('i0', 'Hi'), custom, reasoning, fn('i3', 'a', '{}')]
  t.same(read(created, ...items.map((item, at) => done(at, item)), completed(items)), whole, 'only items')
  t.same(read(created, completed(items)), whole, 'only the response')
  t.same(read(completed(items)), whole, 'nothing but its end')
  const shouted = items.flatMap((item, at) => [added(at, item), done(at, item)])
  t.same(read(created, ...shouted, completed(items)), whole, 'said three times')
  t.same(
    read(
      created,
      added(0, msg('i0')),
      { type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'Hi' },
      {
        type: 'response.content_part.done',
        output_index: 0,
        content_index: 0,
        part: { type: 'output_text', text: 'Hi' }
      },
      added(1, fn('i1', 'a')),
      { type: 'response.function_call_arguments.done', output_index: 1, arguments: '{}' },
      added(2, { type: 'reasoning', id: 'i2', summary: [] }),
      { type: 'response.reasoning_summary_text.done', output_index: 2, summary_index: 0, text: 'a' },
      { type: 'response.reasoning_summary_text.done', output_index: 2, summary_index: 1, text: 'b' },
      { type: 'response.refusal.done', output_index: 3, content_index: 0, refusal: 'No.' },
      completed()
    ),
    ['text: Hi', 'a f: {}', 'thinking: a\n\nb', 'refusal: No.', '= tool-calls']
  )
})

t.test('thinking is read in each of its forms', async t => {
  const delta = (kind: string, at: object, said: string) => ({
    type: `response.reasoning_${kind}.delta`,
    output_index: 0,
    ...at,
    delta: said
  })
  const item = { type: 'reasoning', id: 'i0', summary: [] }
  t.same(
    read(
      created,
      added(0, item),
      delta('summary_text', { summary_index: 0 }, 'a'),
      delta('summary_text', { summary_index: 1 }, 'b'),
      delta('text', { content_index: 0 }, 'at length'),
      done(0, { ...item, summary: [{ text: 'a' }], encrypted_content: 'gAAA' }),
      completed()
    ),
    ['thinking: a\n\nb {"openai-responses":{"encrypted_content":"gAAA"}}', '= stop']
  )
  t.same(read(created, delta('text', { content_index: 0 }, 'open'), completed()), ['thinking: open', '= stop'])
  const hidden = events(responses, sse(created, done(0, { ...item, encrypted_content: 'gAAA' }), completed()))
  t.match(hidden[1], {
    block: {
      type: 'redacted-thinking',
      extra: { 'openai-responses': { encrypted_content: 'gAAA', item: { id: 'i0' } } }
    }
  })
})

t.test('the end of a stream is said, or it is a failure', async t => {
  const begun = [created, added(0, msg('i0')), text(0, 'Hi')]
  t.same(read(...begun), ['text: Hi', '! upstream-failed'])
  t.same(read(), ['! upstream-failed'])
  const incomplete = { ...base, status: 'incomplete', incomplete_details: { reason: 'content_filter' } }
  t.same(read(...begun, { type: 'response.incomplete', response: incomplete }), ['text: Hi', '= content-filter'])
  t.same(read(...begun, { type: 'response.incomplete', response: {} }), ['text: Hi', '= length'])
  const error = { code: 'context_length_exceeded', message: 'Your input exceeds the context window' }
  t.same(read(...begun, { type: 'response.failed', response: { ...base, status: 'failed', error } }), [
    'text: Hi',
    '! context-exceeded'
  ])
  t.same(read(...begun, { type: 'error', code: 'rate_limit_exceeded', message: 'slow' }), [
    'text: Hi',
    '! upstream-rate-limited'
  ])
  t.same(read(...begun, { type: 'response.cancelled', response: base }), ['text: Hi', '! upstream-failed'])
  t.same(summary(events(responses, `${sse(...begun)}data: {"half\n\n`)), ['text: Hi', '! upstream-failed'])
  t.same(read(...begun, { type: 'response.new_thing.delta', delta: 'x' }, { type: 'codex.note' }, completed()), [
    'text: Hi',
    '= stop'
  ])
  const alive = { type: 'response.in_progress', response: base }
  const pings = events(responses, sse(created, alive, alive, { type: 'keepalive' }, completed()))
  t.same(
    pings.map(({ type }) => type),
    ['start', 'ping', 'ping', 'finish']
  )
})

const SAID: ChatEvent[] = [
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
function outputOf(said: readonly Json[]): Json[] {
  const { response } = said.at(-1) as { response: { output: Json[] } }
  return response.output
}

/** The rules that the SDK checks: items are added in order, and each event belongs to the item and part it names. */
function checkGrammar(said: readonly Json[]): Json[] {
  const items: Json[] = []
  const texts = new Map<string, string>()
  for (const [at, event] of said.entries()) {
    const { type, sequence_number: number, output_index: index, item_id: id } = event
    if (number !== at) throw new Error(`number ${String(number)} at ${at}`)
    if (type === 'response.output_item.added') {
      if (index !== items.length) throw new Error('an item out of order')
      items.push(event['item'] as Json)
    } else if (typeof index === 'number') {
      const item = (type === 'response.output_item.done' ? event['item'] : { id }) as Json
      if (items[index] === undefined || items[index]['id'] !== item['id']) throw new Error(`${String(type)}: whose?`)
      const key = `${index} ${String(event['content_index'] ?? event['summary_index'] ?? 0)}`
      if (String(type).endsWith('.delta')) texts.set(key, (texts.get(key) ?? '') + String(event['delta']))
      const all = event['text'] ?? event['arguments'] ?? event['input'] ?? event['refusal']
      if (String(type).endsWith('.done') && all !== undefined && all !== (texts.get(key) ?? '')) {
        throw new Error(`${String(type)}: ${String(all)} is not ${texts.get(key)}`)
      }
      if (type === 'response.output_item.done') items[index] = item
    }
  }
  t.same(outputOf(said), items, 'the end holds what was said')
  return items
}

t.test('a stream is written in the grammar that SDKs check', async t => {
  const context: EncodeContext = { ...CONTEXT, tools: decoded(CODEX).tools }
  const said = dataOf(stream(responses, SAID, context))
  const items = checkGrammar(said)
  t.same(
    said.slice(0, 2).map(({ type }) => type),
    ['response.created', 'response.in_progress']
  )
  t.match(said.at(-1), {
    type: 'response.completed',
    response: { id: 'resp_x1', status: 'completed', usage: { input_tokens: 9, total_tokens: 14 } }
  })
  t.match(items, [
    { type: 'reasoning', summary: [{ text: 'Hm.' }], encrypted_content: /^sluice:/ },
    {
      type: 'message',
      content: [
        { type: 'output_text', text: 'One' },
        { type: 'refusal', refusal: 'No.' }
      ]
    },
    { type: 'function_call', call_id: 'a', name: 'spawn', namespace: 'agents', arguments: '{}' },
    { type: 'custom_tool_call', call_id: 'b', name: 'apply_patch', input: '*** Begin' }
  ])
  t.equal(items[3]?.['arguments'], undefined)
  // The same in one piece.
  const blocks = SAID.flatMap(event => (event.type === 'block-start' ? [event.block] : []))
  const texts = ['Hm.', 'One', 'No.', '', '{"input":"*** Begin"}']
  const whole = blocks.map((block, at) =>
    block.type === 'tool-call' ? { ...block, input: texts[at] ?? '' } : { ...block, text: texts[at] ?? '' }
  )
  const [first, ...rest] = whole as typeof blocks
  const thinking = { ...first, extra: { anthropic: { signature: 'c2ln' } } } as (typeof blocks)[number]
  const answer = { id: 'x1', model: 'm', blocks: [thinking, ...rest], finish: 'tool-calls' as const }
  t.same(responses.encodeAnswer(answer, context)['output'], items)
})

t.test('the proof of thinking comes back to the upstream that made it', async t => {
  const said = dataOf(stream(responses, SAID))
  const output = outputOf(said)
  const next = decoded({ model: 'claude-opus-4-6', input: [user('Hi'), ...output, user('Go on.')] })
  t.match((encoded(next, anthropic, 'official').body['messages'] as Json[])[1], {
    content: [{ type: 'thinking', thinking: 'Hm.', signature: 'c2ln' }, {}, {}, {}, {}]
  })
  const other = encoded(next, responses, 'official')
  t.ok(other.dropped.includes('messages.thinking'), 'OpenAI would refuse it')
  t.match(encoded(next, responses, 'local').body['input'], [
    {},
    { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] }
  ])
  const redacted = { type: 'redacted-thinking' as const, extra: { anthropic: { data: 'ZW4=' } } }
  const answer = responses.encodeAnswer({ id: '', model: '', blocks: [redacted], finish: 'stop' }, CONTEXT)
  t.same(answered(answer).blocks, [redacted])
})

t.test('a client is kept waiting, at any time, with all that was said so far', async t => {
  const encoder = responses.encodeStream(CONTEXT)
  const waited = encoder.keepAlive() + SAID.map(event => encoder.push(event) + encoder.keepAlive()).join('')
  const data = dataOf(waited)
  const items = checkGrammar(data)
  t.match(items, [{}, {}, { name: 'agents__spawn' }, { arguments: '{"input":"*** Begin"}' }])
  let open = 0
  for (const { type, response } of data) {
    if (type === 'response.output_item.added') open++
    else if (type === 'response.in_progress') t.equal((response as { output: Json[] }).output.length, open)
  }
  t.ok(data.filter(({ type }) => type === 'response.in_progress').length >= SAID.length - 1)
  t.equal(encoder.keepAlive(), '')
  t.same(summary(events(responses, waited)).length, 6)
})

t.test('a stream that fails says so twice, and goes on counting', async t => {
  const encoder = responses.encodeStream(CONTEXT)
  const begun = SAID.slice(0, 3)
    .map(event => encoder.push(event))
    .join('')
  const data = dataOf(begun + encoder.end())
  t.match(data.slice(-2), [{ type: 'error' }, { type: 'response.failed', response: { status: 'failed' } }])
  t.same(
    data.map(event => event['sequence_number']),
    data.map((_, at) => at)
  )
  t.equal(encoder.push({ type: 'ping' }), '')
  const cut = dataOf(stream(responses, [...SAID.slice(0, -1), { type: 'finish', reason: 'length' }]))
  t.match(cut.at(-1), { type: 'response.incomplete', response: { status: 'incomplete', output: { length: 4 } } })
  t.match(cut.at(-2), { type: 'response.output_item.done', item: { status: 'incomplete' } })
})

t.test('a stream through us is what it was, but for empty lists', async t => {
  const own = dataOf(stream(responses, events(responses, stream(responses, SAID))))
  t.same(own, dataOf(stream(responses, SAID)))
  const item = ANSWER.output[2] as { content: { annotations: Json[]; logprobs: Json[] }[] }
  const [part] = item.content
  const where = { output_index: 0, content_index: 0, item_id: 'msg_1' }
  const wire = [
    { type: 'response.created', response: { ...base, status: 'in_progress' } },
    added(0, { ...item, content: [] }),
    { type: 'response.output_text.delta', ...where, delta: 'Here.', logprobs: part?.logprobs },
    { type: 'response.output_text.annotation.added', ...where, annotation_index: 0, annotation: part?.annotations[0] },
    { type: 'response.content_part.done', ...where, part },
    done(0, item),
    done(1, ANSWER.output[1] as Json),
    completed()
  ]
  t.same(outputOf(dataOf(stream(responses, events(responses, sse(...wire))))), [item, ANSWER.output[1]])
})

t.test('however a stream is cut, it says the same', async t => {
  const tools = ['get_weather', 'get_time'].map(name => ({ name, schema: { type: 'object' } }))
  const ask = {
    prompt: 'Call get_weather and get_time',
    results: [],
    tools,
    toolChoice: 'auto',
    parallel: true
  } as const
  const orders = {
    pace: 0,
    firstByte: 0,
    fail: undefined,
    retryAfter: undefined,
    text: 'Ünï 🙂',
    thinking: 'Both.',
    chunks: 9
  }
  const reply = replyTo({ ...ask, schema: undefined, cap: undefined, stops: [], input: 7 }, orders, 'abc', 'demo')
  for (const wire of [demo.encodeStream(reply, {}).join(''), stream(responses, SAID)]) {
    const whole = events(responses, wire)
    t.equal(problemIn(whole), undefined)
    for (const cut of CUTS) {
      t.same(events(responses, wire, cut), whole, `cut at ${cut}`)
      t.same(events(responses, wire.replaceAll('\n', '\r\n'), cut), whole, `cut at ${cut}, with CRLF`)
    }
  }
  const streamed = summary(events(responses, demo.encodeStream(reply, {}).join('')))
  const answer = answered(demo.encodeAnswer(reply, {}))
  t.equal(streamed.length, answer.blocks.length + 1)
  t.same(streamed.slice(0, 2), ['thinking: Both.', 'text: Ünï 🙂'])
})

t.test('Codex reads what other models stream', async t => {
  const context = { ...CONTEXT, tools: decoded(CODEX).tools }
  const chat = frames(
    chunk({ reasoning_content: 'Hm.' }),
    chunk({ content: 'I do.' }),
    call(0, 'a', 'shell', '{"command":'),
    call(1, 'b', 'apply_patch', '{"input":"x'),
    call(0, undefined, undefined, '["ls"]}'),
    call(1, undefined, undefined, '"}'),
    ended('tool_calls'),
    '[DONE]'
  )
  const items = checkGrammar(dataOf(stream(responses, events(openai, chat, 3), context)))
  t.match(items, [
    { type: 'reasoning' },
    { type: 'message', content: [{ text: 'I do.' }] },
    { type: 'function_call', name: 'shell', arguments: '{"command":["ls"]}' },
    { type: 'custom_tool_call', name: 'apply_patch', input: 'x' }
  ])
  // And what Codex's own upstream streams, Claude Code reads.
  const back = events(anthropic, stream(anthropic, events(responses, stream(responses, SAID))))
  t.same(
    summary(back.filter(({ type }) => type !== 'ping')).map(line => line.replace(/ \{"anthropic.*/, '')),
    [
      'thinking: Hm.',
      'text: One',
      'text: No.',
      'a agents__spawn: {}',
      'b apply_patch: {"input":"*** Begin"}',
      '= tool-calls'
    ]
  )
})

t.test('what is of the wrong type never throws', async t => {
  const keys = [
    'type',
    'input',
    'role',
    'content',
    'output',
    'tools',
    'name',
    'tool_choice',
    'reasoning',
    'text',
    'item'
  ]
  const types = [
    'message',
    'function_call',
    'custom_tool_call',
    'reasoning',
    'input_image',
    'input_file',
    'namespace',
    'custom'
  ]
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom<unknown>(...types))
  const value = fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys, 'summary', 'encrypted_content', 'arguments', 'format'), tie('value'))
    )
  })).value
  const kinds = ['output_item.added', 'output_item.done', 'output_text.delta', 'output_text.done', 'content_part.done']
  const more = ['function_call_arguments.delta', 'custom_tool_call_input.done', 'reasoning_text.delta', 'completed']
  const event = fc.record({
    type: fc.constantFrom(
      ...[...kinds, ...more, 'refusal.delta', 'output_text.annotation.added'].map(kind => `response.${kind}`)
    ),
    output_index: fc.oneof(fc.nat(2), leaf),
    content_index: fc.oneof(fc.nat(2), leaf),
    item: value,
    part: value,
    delta: fc.oneof(fc.string(), leaf),
    text: leaf,
    annotation: leaf,
    arguments: leaf,
    response: fc.record({ output: value, usage: leaf, id: leaf })
  })
  fc.assert(
    fc.property(
      fc.array(fc.oneof(event, value), { maxLength: 8 }),
      fc.array(value, { maxLength: 4 }),
      (list, input) => {
        const found = events(responses, frames(...list.map(entry => JSON.stringify(entry))))
        const problem = problemIn(found)
        if (problem !== undefined) throw new Error(problem)
        for (const translate of [responses, openai, anthropic]) stream(translate, found)
        const [tools, choice] = input
        const chat = responses.decodeRequest({ input, tools, tool_choice: choice, text: choice, reasoning: choice })
        const answer = responses.decodeAnswer({ output: input, usage: choice })
        for (const translate of [responses, openai, anthropic]) {
          for (const flavour of ['official', 'local'] as const) {
            if (!(chat instanceof Failure)) translate.encodeRequest(chat, flavour)
          }
          if (!(answer instanceof Failure)) translate.encodeAnswer(answer, CONTEXT)
        }
      }
    ),
    { numRuns: 300 }
  )
  t.pass()
})

t.test('a long answer costs no more than its length', async t => {
  const count = 60_000
  const deltas = Array.from(
    { length: count },
    (_, at): ChatEvent => ({ type: 'block-delta', index: 0, text: `word ${at} ` })
  )
  const block = { type: 'text' as const, text: '' }
  const long: ChatEvent[] = [
    { type: 'start', id: 'x', model: 'm' },
    { type: 'block-start', index: 0, block },
    ...deltas,
    { type: 'block-end', index: 0 },
    { type: 'finish', reason: 'stop' }
  ]
  const started = performance.now()
  const wire = stream(responses, long)
  const written = performance.now()
  const found = events(responses, wire, 1 << 14)
  const took = performance.now() - started
  t.equal(found.length, long.length + 1, 'and its usage')
  t.comment(
    `write ${((written - started) / count) * 1000} µs, read ${((took - written + started) / count) * 1000} µs an event`
  )
  t.ok(took < 4_000, `${took} ms`)
})
