// OpenAI Responses: what Codex and the SDKs send, and what servers of this dialect answer.
import t from 'tap'
import {
  ANSWER,
  answered,
  anthropic,
  CODEX,
  decoded,
  encoded,
  type Json,
  lookUp,
  openai,
  PATCH_GRAMMAR,
  responses,
  user
} from './support/responses.ts'
import { CONTEXT } from './support/translate.ts'

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

t.test('tools that an item adds are tools like any other', async t => {
  const custom = { type: 'custom', name: 'exec', description: 'Runs JavaScript.', format: { type: 'text' } }
  const functions = { type: 'namespace', name: 'functions', description: '', tools: [custom, lookUp] }
  const asked = {
    model: 'gpt-6-sol',
    input: [
      { type: 'additional_tools', role: 'developer', tools: [functions, { type: 'web_search' }], id: 'at_1' },
      { type: 'message', role: 'developer', content: 'You are Codex.' },
      user('Hi'),
      { type: 'custom_tool_call', call_id: 'c', name: 'exec', namespace: 'functions', input: '1' },
      { type: 'custom_tool_call_output', call_id: 'c', output: 'x' }
    ],
    tool_choice: 'auto',
    parallel_tool_calls: false
  }
  const chat = decoded(asked)
  t.same(plain(encoded(chat, responses, 'official').body), plain(asked))
  t.match(encoded(chat, openai, 'local').body, {
    tools: [{ function: { name: 'exec' } }, { function: { name: 'look' } }],
    messages: [
      { role: 'system', content: 'You are Codex.' },
      { role: 'user' },
      { tool_calls: [{ function: { name: 'exec', arguments: '{"input":"1"}' } }] },
      { role: 'tool', content: 'x' }
    ]
  })
  t.match(encoded(chat, responses, 'compatible').body, {
    tools: [{ type: 'function', name: 'exec' }, { type: 'function', name: 'look' }, { type: 'web_search' }],
    input: [{ role: 'developer' }, {}, { type: 'function_call', name: 'exec', namespace: undefined }, {}]
  })
  const call = { type: 'tool-call' as const, id: 'c', name: 'exec', input: '{"input":"1"}' }
  const answer = { id: '', model: '', blocks: [call], finish: 'tool-calls' as const }
  t.match(responses.encodeAnswer(answer, { ...CONTEXT, tools: chat.tools })['output'], [
    { type: 'custom_tool_call', name: 'exec', namespace: 'functions', input: '1' }
  ])
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
