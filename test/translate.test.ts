import t from 'tap'
import type { Block } from '../src/chat/block.ts'
import { Failure } from '../src/chat/failure.ts'
import type { ChatRequest } from '../src/chat/request.ts'
import type { Translator } from '../src/dialects/dialect.ts'
import { CONTEXT, call, chunk, ended, events, frames, summary, translator } from './support/translate.ts'

const anthropic = translator('anthropic')
const openai = translator('openai-chat')

// What servers of OpenAI's dialect really send.

const upstream = (...chunks: (object | string)[]) => summary(events(openai, frames(...chunks)))

t.test('interleaved calls become blocks one after the other', async t => {
  const mixed = [call(0, 'a', 'f', '{"x"'), call(1, 'b', 'g', '{"y"'), call(0, undefined, undefined, ':1}')]
  const whole = upstream(...mixed, call(1, undefined, undefined, ':2}'), ended('tool_calls'), '[DONE]')
  t.same(whole, ['a f: {"x":1}', 'b g: {"y":2}', '= tool-calls'])
  t.same(
    upstream(call(0, 'a', 'f', '{"x":'), chunk({ content: 'Then.' }), call(0, undefined, undefined, '1}'), '[DONE]'),
    ['a f: {"x":1}', 'text: Then.', '= tool-calls']
  )
})

t.test('calls are read as servers send them', async t => {
  t.same(
    upstream(
      call(0, 'a', undefined, ''),
      call(0, undefined, 'f', ''),
      call(0, undefined, undefined, '{}'),
      ended('stop')
    ),
    ['a f: {}', '= tool-calls']
  )
  const unnumbered = (id: string, name: string, input: string) =>
    chunk({ tool_calls: [{ id, function: { name, arguments: input } }] })
  t.same(upstream(unnumbered('a', 'f', '{}'), unnumbered('b', 'f', '{"x":1}'), ended('tool_calls')), [
    'a f: {}',
    'b f: {"x":1}',
    '= tool-calls'
  ])
  t.same(upstream(call(0, 'a', 'f', '{}'), call(0, 'b', 'g', '{}'), ended('tool_calls')), [
    'a f: {}',
    'b g: {}',
    '= tool-calls'
  ])
  t.same(upstream(call(0, '', 'f', '{}'), call(1, '', 'f', ''), ended('tool_calls')), [
    'call_c1_0 f: {}',
    'call_c1_1 f: {}',
    '= tool-calls'
  ])
  t.same(upstream(chunk({ function_call: { name: 'f', arguments: '{}' } }), ended('function_call')), [
    'call_c1_0 f: {}',
    '= tool-calls'
  ])
})

t.test('arguments that were cut are completed, but not when the model was stopped', async t => {
  t.same(upstream(call(0, 'a', 'f', '{"x":["y'), ended('tool_calls')), ['a f: {"x":["y"]}', '= tool-calls'])
  t.same(upstream(call(0, 'a', 'f', '{"x":["y'), ended('length')), ['a f: {"x":["y', '= length'])
  const message = (text: string, finish_reason: string) => {
    const tool_calls = [{ id: 'a', function: { name: 'bash', arguments: text } }]
    const answer = openai.decodeAnswer(
      { choices: [{ message: { content: null, tool_calls }, finish_reason }] },
      { tools: ['Bash'] }
    )
    return answer instanceof Failure ? answer : answer.blocks
  }
  for (const text of ["{'x': True,}", '{"x": true', '```json\n{"x": true}\n```', '"{\\"x\\": true}"']) {
    const [block] = message(text, 'tool_calls') as Block[]
    t.equal(block?.type === 'tool-call' && block.name, 'Bash')
    t.same(block?.type === 'tool-call' && JSON.parse(block.input), { x: true }, text)
  }
  t.same(message('{"x": "half of a f', 'length'), [])
})

t.test('the end of a stream is said, or it is a failure', async t => {
  const usage = { id: 'c1', choices: [], usage: { prompt_tokens: 5, completion_tokens: 2 } }
  const said = events(
    openai,
    frames(chunk({ role: 'assistant', content: '' }), chunk({ content: 'Hi' }), ended('stop'), usage)
  )
  t.match(said.slice(-2), [
    { type: 'usage', usage: { input: 5, output: 2 } },
    { type: 'finish', reason: 'stop' }
  ])
  t.same(upstream(chunk({ content: 'Hi' }), ended('stop')), ['text: Hi', '= stop'])
  t.same(upstream(chunk({ content: 'Hi' }), '[DONE]'), ['text: Hi', '= stop'])
  t.same(upstream(chunk({ content: 'Hi' })), ['text: Hi', '! upstream-failed'])
  t.same(upstream('[DONE]'), ['! upstream-failed'])
  t.same(upstream(chunk({ content: 'Hi' }), '{"half'), ['text: Hi', '! upstream-failed'])
  t.same(upstream(chunk({ content: 'Hi' }), { error: { message: 'busy', code: 503 } }), [
    'text: Hi',
    '! upstream-overloaded'
  ])
  t.same(upstream({ error: { message: 'maximum context length is 10 tokens', code: 400 } }), ['! context-exceeded'])
  const begun =
    'event: message_start\ndata: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":3}}}\n\n'
  t.same(summary(events(anthropic, begun)), ['! upstream-failed'])
  const overloaded = 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
  t.same(summary(events(anthropic, begun + overloaded)), ['! upstream-overloaded'])
  const reason = 'data: {"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":7}}\n\n'
  t.match(events(anthropic, begun + reason).slice(-2), [{ usage: { input: 3, output: 7 } }, { reason: 'length' }])
})

t.test('text, thinking and refusals are read under each of their names', async t => {
  const switches = [
    chunk({ reasoning: 'a' }),
    chunk({ reasoning_content: 'b' }),
    chunk({ content: 'c' }),
    chunk({ content: '' })
  ]
  t.same(upstream(...switches, chunk({ reasoning_details: [{ text: 'd' }] }), chunk({ content: 'e' }), ended('stop')), [
    'thinking: ab',
    'text: c',
    'thinking: d',
    'text: e',
    '= stop'
  ])
  t.same(upstream(chunk({ refusal: 'No.' }), ended('stop')), ['refusal: No.', '= refusal'])
  t.match(events(openai, frames(chunk({ content: 'x' }, { finish_reason: 'stop', stop_reason: '##' }))).at(-1), {
    reason: 'stop-sequence',
    stopSequence: '##'
  })
})

t.test('a client is kept waiting with what it takes for progress', async t => {
  const waiting = anthropic.encodeStream(CONTEXT)
  const text = [
    waiting.keepAlive(),
    waiting.push({
      type: 'start',
      id: 'x',
      model: 'm',
      usage: { input: 7, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    }),
    waiting.keepAlive(),
    waiting.push({ type: 'block-start', index: 0, block: { type: 'text', text: '' } }),
    waiting.push({ type: 'block-delta', index: 0, text: 'Hi' }),
    waiting.push({ type: 'block-end', index: 0 }),
    waiting.keepAlive(),
    waiting.push({ type: 'block-start', index: 1, block: { type: 'tool-call', id: 'a', name: 'f', input: '' } }),
    waiting.keepAlive(),
    waiting.push({ type: 'block-end', index: 1 }),
    waiting.push({ type: 'finish', reason: 'tool-calls' }),
    waiting.keepAlive()
  ].join('')
  t.equal(text.match(/"text_delta","text":""/g)?.length, 3)
  t.match(text, '"partial_json":""')
  t.same(summary(events(anthropic, text)), ['text: Hi', 'text: ', 'a f: {}', '= tool-calls'])
  t.match(text, '"usage":{"input_tokens":7')
  const other = openai.encodeStream(CONTEXT)
  t.match(other.keepAlive(), '"delta":{"role":"assistant","content":""}')
  t.match(other.keepAlive(), '"delta":{}')
})

t.test('what the search for tools found is told in words', async t => {
  const content = [{ type: 'tool_reference', tool_name: 'WebFetch' }]
  const messages = [
    { role: 'user', content: 'Find it.' },
    { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'ToolSearch', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content }] }
  ]
  const request = { model: 'm', max_tokens: 2_000, thinking: { type: 'adaptive', display: 'omitted' }, messages }
  const { body, dropped } = encoded(openai, anthropic.decodeRequest(request), 'local')
  t.match(body['messages'], [{}, {}, { role: 'tool', content: '[the tool WebFetch is available]' }])
  t.same(dropped, ['thinking.display'])
  t.same(encoded(anthropic, anthropic.decodeRequest(request)).body, request)
})

// What Claude Code sends, to each kind of upstream.

const AGENT = {
  model: 'claude-sonnet-4-5',
  max_tokens: 32000,
  stream: true,
  system: [
    { type: 'text', text: 'x-anthropic-billing-header: cc_version=2.1; cc_entrypoint=cli;' },
    { type: 'text', text: 'You are an agent.', cache_control: { type: 'ephemeral' } }
  ],
  thinking: { type: 'disabled' },
  top_k: 5,
  metadata: { user_id: JSON.stringify({ device_id: 'd'.repeat(64), account_uuid: '', session_id: 's1' }) },
  tools: [
    { name: 'Bash', input_schema: { type: 'object' } },
    { type: 'web_search_20250305', name: 'web_search' }
  ],
  tool_choice: { type: 'tool', name: 'web_search' },
  messages: [
    { role: 'user', content: [{ type: 'text', text: 'Look.' }] },
    { role: 'system', content: 'Agents: none.' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 'sluice:unsigned' },
        { type: 'tool_use', id: 't.1', name: 'Bash', input: {} },
        { type: 'tool_use', id: 't.2', name: 'Bash', input: {} }
      ]
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 't.1', is_error: true, content: 'exit 1' },
        { type: 'tool_result', tool_use_id: 'lost', content: 'old' }
      ]
    }
  ]
}

function encoded(translate: Translator, chat: ChatRequest | Failure, flavour?: 'official' | 'local') {
  const result = chat instanceof Failure ? chat : translate.encodeRequest(chat, flavour)
  if (result instanceof Failure) throw new Error(result.message)
  return result
}

t.test('an agent for Anthropic is understood by a local model', async t => {
  const { body, dropped } = encoded(openai, anthropic.decodeRequest(AGENT), 'local')
  t.match(body, {
    top_k: 5,
    max_tokens: 32000,
    chat_template_kwargs: { enable_thinking: false },
    tool_choice: undefined
  })
  t.same(body['messages'], [
    { role: 'system', content: 'You are an agent.' },
    { role: 'user', content: 'Look.\n\n<system-reminder>\nAgents: none.\n</system-reminder>' },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'Hm.',
      tool_calls: ['t.1', 't.2'].map(id => ({ id, type: 'function', function: { name: 'Bash', arguments: '{}' } }))
    },
    { role: 'tool', tool_call_id: 't.1', content: 'Error: exit 1' },
    { role: 'tool', tool_call_id: 't.2', content: '[no result]' },
    { role: 'user', content: '[result of a tool call that is no longer in the conversation]\n\nold' }
  ])
  t.same(dropped, [
    'system.cache_control',
    'tool_choice',
    'tools.web_search_20250305',
    'user',
    'x-anthropic-billing-header'
  ])
})

t.test('what is not understood is declared or refused, and what is Anthropic’s stays', async t => {
  const own = encoded(anthropic, anthropic.decodeRequest(AGENT))
  t.same(own.body['system'], AGENT.system)
  t.same(own.dropped, ['messages.thinking'], 'thinking of another model')
  t.match(own.body['messages'], [
    {},
    { role: 'system' },
    { content: [{ id: 't_1' }, {}] },
    { content: [{ tool_use_id: 't_1' }] }
  ])
  t.match(encoded(openai, anthropic.decodeRequest(AGENT), 'official').dropped, ['messages.thinking'])
  t.match(anthropic.decodeRequest({ thread: {}, messages: [] }), {
    kind: 'unsupported',
    details: { code: 'thread_unsupported_request', field: 'thread' }
  })
  const many = openai.decodeRequest({ n: 2, messages: [{ role: 'user', content: 'Hi' }] })
  t.match(many instanceof Failure ? many : anthropic.encodeRequest(many), {
    kind: 'unsupported',
    details: { field: 'n' }
  })
  for (const translate of [anthropic, openai]) t.match(translate.decodeRequest({}), { details: { field: 'messages' } })
})

t.test('sampling and thinking fit the model of Anthropic that they go to', async t => {
  const messages = [{ role: 'user', content: 'Hi' }]
  const asked = (model: string, more: object) => encoded(anthropic, openai.decodeRequest({ model, messages, ...more }))
  t.match(asked('claude-sonnet-4-5', { temperature: 0.5, top_p: 0.9 }), {
    body: { temperature: 0.5, top_p: undefined },
    dropped: ['top_p']
  })
  t.match(asked('claude-sonnet-4-20250514', { temperature: 0.5, top_p: 0.9 }), { body: { top_p: 0.9 }, dropped: [] })
  t.match(asked('claude-opus-4-8', { temperature: 0.5, top_p: 1 }), {
    body: { temperature: undefined },
    dropped: ['temperature']
  })
  t.match(asked('claude-opus-4-6', { reasoning_effort: 'high' }).body, {
    thinking: { type: 'adaptive' },
    output_config: { effort: 'high' }
  })
  t.match(asked('claude-haiku-4-5', { reasoning_effort: 'high', max_tokens: 4_000 }).body, {
    thinking: { budget_tokens: 2_000 }
  })
  t.match(asked('claude-3-haiku-20240307', {}).body, { max_tokens: 4_096, thinking: undefined })
})
