// What of an answer its client cannot be told, through the door: it is named in a header, in the log and in the metrics.
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { eventsOf } from '../src/chat/replay.ts'
import { Dropped } from '../src/dialects/dropped.ts'
import { DIALECTS } from '../src/dialects/index.ts'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { get, post } from './support/ask.ts'
import { CONTEXT, events, frames, NAMES, stream, translator } from './support/translate.ts'
import { recordedUpstream, type Upstream } from './support/upstream.ts'

type Entry = NonNullable<PartialConfig['model_list']>[number]
const JSON_HEADERS = { 'content-type': 'application/json' }
const SSE = { 'content-type': 'text/event-stream' }

/** A gateway before an upstream that gives these answers: objects whole, texts as streams. */
async function before(
  t: Test,
  entry: Partial<Entry> | readonly Partial<Entry>[],
  ...answers: (object | string)[]
): Promise<{ readonly gateway: TestGateway; readonly upstream: Upstream }> {
  const upstream = await recordedUpstream(
    answers.map(answer => {
      const isStream = typeof answer === 'string'
      return { headers: isStream ? SSE : JSON_HEADERS, chunks: [isStream ? answer : JSON.stringify(answer)] }
    })
  )
  const entries: readonly Partial<Entry>[] = Array.isArray(entry) ? entry : [entry]
  const gateway = await testGateway({
    model_list: entries.map(more => {
      const api_base = more.provider === 'anthropic' ? upstream.url : `${upstream.url}/v1`
      return { model_name: 'm', model: 'far', api_base, api_key: 'k', ...more } as Entry
    })
  })
  t.teardown(async () => {
    if (gateway.bugs[0] !== undefined) throw gateway.bugs[0]
    await gateway.close()
    await upstream.close()
  })
  return { gateway, upstream }
}

const PROBABLE = { content: [{ token: 'Yes', logprob: -0.1, bytes: null, top_logprobs: [] }], refusal: null }
const COMPLETION = {
  id: 'c1',
  object: 'chat.completion',
  created: 1,
  model: 'far',
  system_fingerprint: 'fp_1',
  service_tier: 'default',
  choices: [
    { index: 0, message: { role: 'assistant', content: 'Yes' }, logprobs: PROBABLE, finish_reason: 'stop' },
    { index: 1, message: { role: 'assistant', content: 'No' }, finish_reason: 'stop' }
  ]
}
const SPOKEN = { id: 'audio_1', data: 'UklGRg==', expires_at: 1, transcript: 'Yes' }
const chunk = (delta: object, more: object = {}, of: object = {}) => ({
  id: 'c1',
  model: 'far',
  system_fingerprint: 'fp_1',
  choices: [{ index: 0, delta, ...more }],
  ...of
})
const STREAM = frames(
  chunk({ role: 'assistant', content: 'Yes' }, { logprobs: PROBABLE }),
  { id: 'c1', choices: [{ index: 1, delta: { content: 'No' } }] },
  chunk({ audio: { data: 'UklGRg==' } }),
  chunk({}, { finish_reason: 'stop' }, { citations: ['https://example.com'] }),
  '[DONE]'
)
const MESSAGES = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'hi' }] }

t.test('what of an answer its client cannot be told is named, and what nobody misses is not', async t => {
  const spoken = {
    ...COMPLETION,
    choices: [{ index: 0, message: { role: 'assistant', content: null, audio: SPOKEN }, finish_reason: 'stop' }]
  }
  const { gateway } = await before(t, { provider: 'openai', dialect: 'openai-chat' }, COMPLETION, spoken)
  const answer = await post(`${gateway.url}/v1/messages`, MESSAGES)
  t.match(answer.json, { content: [{ type: 'text', text: 'Yes' }] })
  t.equal(answer.headers['x-gateway-dropped'], 'answer.choices, answer.logprobs')
  t.same(gateway.records.at(-1)?.dropped, ['answer.choices', 'answer.logprobs'])
  const { text } = await get(`${gateway.url}/metrics`)
  t.match(
    text,
    /gateway_translation_dropped_total\{from="openai-chat",to="anthropic",field="answer\.logprobs"\} 1\n/,
    'from the upstream to the client'
  )
  const audio = await post(`${gateway.url}/v1/messages`, MESSAGES)
  t.equal(audio.headers['x-gateway-dropped'], 'answer.audio')
})

t.test('of a stream it is told once the headers are gone: in the log and the metrics', async t => {
  const { gateway } = await before(t, { provider: 'openai', dialect: 'openai-chat' }, STREAM)
  const answer = await post(`${gateway.url}/v1/messages`, { ...MESSAGES, stream: true })
  t.match(answer.text, /"text":"Yes"/)
  t.match(answer.text, /event: message_stop/)
  t.same(gateway.records.at(-1)?.dropped, ['answer.audio', 'answer.choices', 'answer.citations', 'answer.logprobs'])
  const { text } = await get(`${gateway.url}/metrics`)
  t.match(text, /dropped_total\{from="openai-chat",to="anthropic",field="answer\.choices"\} 1\n/)
})

t.test('an entry that says `drop` has it counted alone', async t => {
  const { gateway } = await before(
    t,
    { provider: 'openai', dialect: 'openai-chat', on_unsupported: 'drop' },
    COMPLETION
  )
  const answer = await post(`${gateway.url}/v1/messages`, MESSAGES)
  t.equal(answer.headers['x-gateway-dropped'], undefined)
  t.same(gateway.records.at(-1)?.dropped, [])
  t.match((await get(`${gateway.url}/metrics`)).text, /field="answer\.logprobs"\} 1\n/)
})

t.test('what an earlier target’s answer lost is nothing to that of the next', async t => {
  const gone = frames({ id: 'c1', choices: [{ index: 1, delta: { content: 'No' } }] })
  const passed = {
    candidates: [{ content: { parts: [{ text: 'Yes' }], role: 'model' }, finishReason: 'STOP', index: 0 }]
  }
  const { gateway, upstream } = await before(
    t,
    [
      { provider: 'openai', dialect: 'openai-chat', order: 1 },
      { provider: 'gemini', order: 2 }
    ],
    gone,
    frames(passed)
  )
  const contents = [{ role: 'user', parts: [{ text: 'hi' }] }]
  const answer = await post(`${gateway.url}/v1beta/models/m:streamGenerateContent?alt=sse`, { contents })
  t.match(answer.text, /"Yes"/)
  t.equal(upstream.requests.length, 2)
  t.same(gateway.records.at(-1)?.dropped, [])
})

t.test('an answer that passes has lost nothing', async t => {
  const { gateway } = await before(t, { provider: 'openai', dialect: 'openai-chat' }, COMPLETION)
  const answer = await post(`${gateway.url}/v1/chat/completions`, { model: 'm', messages: MESSAGES.messages })
  t.equal(answer.headers['x-gateway-dropped'], undefined)
  t.same(answer.json, COMPLETION)
})

t.test('thinking that only its maker can verify, and tools that only it knows, are named', async t => {
  const message = {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'far',
    content: [
      { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
      { type: 'redacted_thinking', data: 'ZW4=' },
      { type: 'server_tool_use', id: 's1', name: 'web_search', input: { query: 'x' } },
      { type: 'text', text: 'Yes' }
    ],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
    container: { id: 'c1' }
  }
  const { gateway } = await before(t, { provider: 'anthropic' }, message, message)
  const answer = await post(`${gateway.url}/v1/chat/completions`, { model: 'm', messages: MESSAGES.messages })
  t.equal(
    answer.headers['x-gateway-dropped'],
    'answer.redacted_thinking, answer.server_tool_use, answer.thinking.signature'
  )
  const carried = await post(`${gateway.url}/v1/responses`, { model: 'm', input: 'hi' })
  t.equal(carried.headers['x-gateway-dropped'], 'answer.server_tool_use', 'a Responses client carries the proofs')
})

t.test('an older completion has only a text', async t => {
  const chat = translator('openai-chat')
  const message = {
    role: 'assistant',
    content: 'Yes',
    annotations: [{ type: 'url_citation', url_citation: { url: 'https://example.com', title: 'x' } }],
    tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }]
  }
  const whole = chat.decodeAnswer({ choices: [{ index: 0, message, logprobs: PROBABLE, finish_reason: 'stop' }] })
  if (whole instanceof Failure) return t.fail(whole.message)
  const [once, pieces] = [new Dropped('openai-chat', 'answer'), new Dropped('openai-chat', 'answer')]
  DIALECTS['openai-chat'].completions?.encodeAnswer(whole, { ...CONTEXT, dropped: once })
  const encoder = DIALECTS['openai-chat'].completions?.encodeStream({ ...CONTEXT, dropped: pieces })
  for (const event of eventsOf(whole)) encoder?.push(event)
  for (const dropped of [once, pieces])
    t.same(dropped.list(), ['answer.citations', 'answer.logprobs', 'answer.tool_call'])
})

t.test('a signature of Gemini’s on a call is missed by everybody else, streamed or whole', async t => {
  const part = { functionCall: { name: 'f', args: {} }, thoughtSignature: 'c2ln' }
  const answer = { candidates: [{ content: { parts: [part], role: 'model' }, finishReason: 'STOP', index: 0 }] }
  const gemini = translator('gemini')
  const whole = gemini.decodeAnswer(answer)
  const streamed = events(gemini, frames(answer))
  for (const name of NAMES) {
    const missed = name === 'gemini' ? [] : ['answer.tool_calls.thoughtSignature']
    const [once, pieces] = [new Dropped(name, 'answer'), new Dropped(name, 'answer')]
    if (!(whole instanceof Failure)) translator(name).encodeAnswer(whole, { ...CONTEXT, dropped: once })
    stream(translator(name), streamed, { ...CONTEXT, dropped: pieces })
    t.same(once.list(), missed, name)
    t.same(pieces.list(), missed, `${name}, streamed`)
  }
})

// Cursor's agent.

const CURSOR = {
  model: 'm',
  input: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'input_text', text: 'hi' }] }
  ],
  tools: [{ type: 'function', name: 'read_file', description: 'Reads.', parameters: { type: 'object' } }],
  stream_options: { include_usage: true }
}

t.test('who sends Chat what Responses is sent is answered as Chat answers', async t => {
  const { gateway, upstream } = await before(t, { provider: 'openai', dialect: 'openai-chat' }, COMPLETION, STREAM)
  const answer = await post(`${gateway.url}/v1/chat/completions`, CURSOR)
  t.match(answer.json, { object: 'chat.completion', choices: [{ message: { content: 'Yes' } }] })
  t.match(JSON.parse(upstream.requests[0]?.body.toString() ?? ''), {
    model: 'far',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'hi' }
    ],
    tools: [{ type: 'function', function: { name: 'read_file' } }],
    input: undefined
  })
  const streamed = await post(`${gateway.url}/v1/chat/completions`, { ...CURSOR, stream: true })
  t.match(streamed.text, /"object":"chat\.completion\.chunk"/)
  t.match(streamed.text, /"choices":\[\],"usage":\{/, 'with the usage that it asked for')
  t.match(streamed.text, /data: \[DONE\]\n\n$/)
})

const PATCH = '*** Begin Patch\n"quoted"\n*** End Patch'

t.test('Cursor’s tools that take text are functions to it, with the bare text', async t => {
  const calls = (input: string) => [{ id: 'a', type: 'function', function: { name: 'ApplyPatch', arguments: input } }]
  const wrapped = JSON.stringify({ input: PATCH })
  const whole = {
    id: 'c1',
    choices: [{ index: 0, message: { role: 'assistant', tool_calls: calls(wrapped) }, finish_reason: 'tool_calls' }]
  }
  const custom = { index: 0, id: 'a', type: 'custom', custom: { name: 'ApplyPatch', input: PATCH } }
  const streams = [
    frames(
      chunk({ tool_calls: [{ index: 0, ...calls(wrapped.slice(0, 20))[0] }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: wrapped.slice(20) } }] }),
      chunk({}, { finish_reason: 'tool_calls' }),
      '[DONE]'
    ),
    frames(chunk({ tool_calls: [custom] }), chunk({}, { finish_reason: 'tool_calls' }), '[DONE]')
  ]
  const { gateway, upstream } = await before(t, { provider: 'vllm', dialect: 'openai-chat' }, whole, ...streams)
  const asked = {
    ...CURSOR,
    input: [
      { role: 'user', content: 'hi' },
      { type: 'function_call', call_id: 'p0', name: 'ApplyPatch', arguments: PATCH },
      { type: 'function_call_output', call_id: 'p0', output: 'done' }
    ],
    tools: [{ type: 'custom', name: 'ApplyPatch', description: 'Patches.' }]
  }
  const answer = await post(`${gateway.url}/v1/chat/completions`, asked)
  t.match(answer.json, { choices: [{ message: { tool_calls: calls(PATCH) } }] })
  const { messages } = JSON.parse(upstream.requests[0]?.body.toString() ?? '') as { messages: object[] }
  t.match(messages[1], { tool_calls: [{ function: { name: 'ApplyPatch', arguments: wrapped } }] }, 'and back again')
  for (const way of ['in an object', 'bare']) {
    const { text } = await post(`${gateway.url}/v1/chat/completions`, { ...asked, stream: true })
    const deltas = [...text.matchAll(/"tool_calls":(\[\{.*?\}\])\},"logprobs"/g)].flatMap(
      ([, list]) => JSON.parse(list ?? '') as { type?: string; function?: { name?: string; arguments: string } }[]
    )
    t.match(deltas[0], { type: 'function', function: { name: 'ApplyPatch' } }, way)
    t.equal(deltas.map(delta => delta.function?.arguments).join(''), PATCH, way)
  }
})

t.test('who sends neither is told so by the upstream', async t => {
  const { gateway, upstream } = await before(t, { provider: 'openai', dialect: 'openai-chat' }, COMPLETION)
  await post(`${gateway.url}/v1/chat/completions`, { model: 'm' })
  t.equal(upstream.requests.length, 1)
})

// Whole numbers that JavaScript cannot hold.

const LARGE = '{"id":12345678901234567890,"near":-9007199254740993,"text":"9007199254740993","some":[1.5,7]}'

t.test('large whole numbers in the input of a tool keep their digits', async t => {
  const called = (input: string) => `{"id":"msg_1","type":"message","role":"assistant","model":"far","content":[
    {"type":"tool_use","id":"t1","name":"find","input":${input}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`
  const upstream = await recordedUpstream({ headers: JSON_HEADERS, chunks: [called(LARGE)] })
  const gateway = await testGateway({
    model_list: [{ model_name: 'm', model: 'far', provider: 'anthropic', api_base: upstream.url, api_key: 'k' }]
  })
  t.teardown(async () => {
    await gateway.close()
    await upstream.close()
  })
  const tools = [{ type: 'function', function: { name: 'find', parameters: { maximum: 1 } } }]
  const history = [
    { role: 'user', content: 'hi' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 't0', type: 'function', function: { name: 'find', arguments: LARGE } }]
    },
    { role: 'tool', tool_call_id: 't0', content: 'none' }
  ]
  const answer = await post(`${gateway.url}/v1/chat/completions`, { model: 'm', messages: history, tools })
  t.match(answer.json, { choices: [{ message: { tool_calls: [{ function: { name: 'find', arguments: LARGE } }] } }] })
  t.match(upstream.requests[0]?.body.toString(), `"input":${LARGE}`, 'there')
  const gemini = await post(`${gateway.url}/v1beta/models/m:generateContent`, {
    contents: [{ role: 'user', parts: [{ text: 'hi' }] }]
  })
  t.match(gemini.text, `"args":${LARGE}`, 'back')
})
