import t from 'tap'
import { valueFor } from '../src/demo/schema-value.ts'
import { DIALECTS } from '../src/dialects/index.ts'
import { dataOf, eventsOf, type Headers, NAMES, PATHS, play, says, streamOf } from './support/demo.ts'

const runs = (names: string[]): string[] => names.filter((name, index) => name !== names[index - 1])

t.test('the demo names itself, quotes the user, and reports the same usage streamed or not', async t => {
  for (const name of NAMES) {
    const [path, , body] = PATHS[name]
    const answer = await play(path, body)
    const stream = await streamOf(name)
    t.match(answer, { status: 200, ending: 'end', text: /Sluice's demo model demo.*hello there/ }, name)
    t.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.text)))
    const usage = DIALECTS[name].readUsage(answer.text, answer.text)
    t.ok(usage !== undefined && usage.input > 0 && usage.output > 10)
    if (name !== 'openai-chat') t.same(DIALECTS[name].readUsage(stream.text, stream.text), usage)
    t.ok(DIALECTS[name].streamEnded(stream.text))
    t.match(stream.headers['content-type'], /^text\/event-stream/)
  }
})

t.test('the same request has the same bytes', async t => {
  for (const name of NAMES) {
    t.equal((await streamOf(name)).text, (await streamOf(name, { 'x-demo-pace': '1ms' })).text)
    const [path, , body] = PATHS[name]
    t.equal((await play(path, body)).text, (await play(path, body)).text)
  }
})

t.test('chat streams say their usage when asked', async t => {
  const [path, , body] = PATHS['openai-chat']
  const { text } = await play(path, { ...body, stream: true, stream_options: { include_usage: true } })
  const chunks: { choices: unknown[]; usage: unknown }[] = dataOf(text)
  t.match(chunks.at(-1), { choices: [], usage: { total_tokens: Number } })
  t.ok(chunks.slice(0, -1).every(chunk => chunk.usage === null && chunk.choices.length === 1))
  t.match(chunks.at(-2), { choices: [{ delta: {}, finish_reason: 'stop' }] })
  t.ok(text.endsWith('data: [DONE]\n\n'))
  t.notMatch((await streamOf('openai-chat')).text, '"usage"')
})

t.test('a stream has the events of its API in their order', async t => {
  t.same(runs(eventsOf((await streamOf('anthropic')).text)), [
    'message_start',
    'ping',
    'content_block_start',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop'
  ])
  const { text } = await streamOf('openai-responses', { 'x-demo-thinking': 'Hm.' })
  t.same(runs(eventsOf(text)), [
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.reasoning_summary_part.added',
    'response.reasoning_summary_text.delta',
    'response.reasoning_summary_text.done',
    'response.reasoning_summary_part.done',
    'response.output_item.done',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed'
  ])
  const numbers = dataOf(text).map((event: { sequence_number: number }) => event.sequence_number)
  t.same(numbers, [...numbers.keys()])
  const chunks: { candidates: { finishReason?: string }[] }[] = dataOf((await streamOf('gemini')).text)
  t.same(chunks.map(chunk => chunk.candidates[0]?.finishReason).filter(Boolean), ['STOP'])
})

t.test('a Gemini stream without alt=sse is one array', async t => {
  const { text, headers } = await play('/v1beta/models/demo:streamGenerateContent', PATHS.gemini[2])
  t.equal(headers['content-type'], 'application/json')
  t.ok((JSON.parse(text) as unknown[]).length > 3)
  t.ok(DIALECTS.gemini.streamEnded(text))
})

t.test('an answer is cut at the most tokens it may have', async t => {
  const ends = {
    'openai-chat': [{ max_tokens: 3 }, { choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 3 } }],
    'openai-responses': [
      { max_output_tokens: 3 },
      { status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }
    ],
    anthropic: [{ max_tokens: 3 }, { stop_reason: 'max_tokens', usage: { output_tokens: 3 } }],
    gemini: [{ generationConfig: { maxOutputTokens: 3 } }, { candidates: [{ finishReason: 'MAX_TOKENS' }] }]
  } as const
  for (const name of NAMES) {
    const [path, , body] = PATHS[name]
    t.match(JSON.parse((await play(path, { ...body, ...ends[name][0] })).text), ends[name][1], name)
  }
  const stopped = { ...PATHS.anthropic[2], stop_sequences: ['never', 'demo'] }
  t.match(JSON.parse((await play('/v1/messages', stopped)).text), {
    stop_reason: 'stop_sequence',
    stop_sequence: 'demo',
    content: [{ text: "Hello! This is Sluice's " }]
  })
})

const schema = {
  type: 'object',
  properties: { city: { type: 'string' }, unit: { enum: ['c', 'f'] }, days: { type: 'integer', maximum: 7 } },
  required: ['city', 'unit', 'days']
}
const chatTools = ['get_weather', 'Write'].map(name => ({ type: 'function', function: { name, parameters: schema } }))
const chatCalls = async (prompt: string, more = {}) => {
  const { text } = await play('/v1/chat/completions', {
    model: 'demo',
    messages: says(prompt),
    tools: chatTools,
    ...more
  })
  const [choice] = (
    JSON.parse(text) as { choices: { message: { tool_calls?: { function: { name: string; arguments: string } }[] } }[] }
  ).choices
  return choice?.message.tool_calls?.map(call => [call.function.name, JSON.parse(call.function.arguments)]) ?? []
}

t.test('a tool is called when the prompt names it, asks for one, or the request forces it', async t => {
  const paris = { city: 'Paris', unit: 'c', days: 3 }
  t.same(await chatCalls('Please get_weather for "Paris" and 3 days'), [['get_weather', paris]])
  t.same(await chatCalls('How does one get weather in «Paris» for 99 days?'), [['get_weather', { ...paris, days: 7 }]])
  t.same(await chatCalls('use a tool'), [['get_weather', { city: 'demo city', unit: 'c', days: 1 }]])
  t.same(await chatCalls('hi', { tool_choice: { type: 'function', function: { name: 'Write' } } }), [
    ['Write', { city: 'demo city', unit: 'c', days: 1 }]
  ])
  t.equal((await chatCalls('hi', { tool_choice: 'required' })).length, 1)
  t.same(await chatCalls('call Write with {"city":"x"}'), [['Write', { city: 'x' }]])
  t.same(await chatCalls('write a poem about the weather'), [])
  t.same(await chatCalls('<system-reminder>call get_weather</system-reminder>hi'), [])
  t.same(await chatCalls('get_weather', { tool_choice: 'none' }), [])
})

t.test('two tools are called when two are asked for and one after the other is not', async t => {
  const names = (calls: unknown[][]) => calls.map(([name]) => name)
  t.same(names(await chatCalls('Write, then get_weather')), ['Write', 'get_weather'])
  t.same(names(await chatCalls('call both')), ['get_weather', 'Write'])
  t.same(names(await chatCalls('call both', { parallel_tool_calls: false })), ['get_weather'])
})

t.test('tool calls stream in each dialect and their arguments concatenate', async t => {
  const prompt = 'get_weather for "Zürich 🏔"'
  const expected = { city: 'Zürich 🏔', unit: 'c', days: 1 }
  const joined = (pieces: (string | undefined)[]) => JSON.parse(pieces.join('')) as unknown

  const chat = await play('/chat/completions', {
    model: 'demo',
    stream: true,
    messages: says(prompt),
    tools: chatTools
  })
  const chunks: { choices: { delta: { tool_calls?: { function: { arguments: string } }[] } }[] }[] = dataOf(chat.text)
  t.same(joined(chunks.map(chunk => chunk.choices[0]?.delta.tool_calls?.[0]?.function.arguments)), expected)
  t.match(chat.text, '"finish_reason":"tool_calls"')

  const tools = [{ name: 'get_weather', input_schema: schema }]
  const claude = await play('/v1/messages', {
    model: 'demo',
    max_tokens: 99,
    stream: true,
    messages: says(prompt),
    tools
  })
  const events: { delta?: { partial_json?: string } }[] = dataOf(claude.text)
  t.same(joined(events.map(event => event.delta?.partial_json)), expected)
  t.match(claude.text, '"stop_reason":"tool_use"')

  const flat = [{ type: 'function', name: 'get_weather', parameters: schema }, { type: 'web_search' }]
  const grouped = [{ type: 'namespace', name: 'ns', tools: flat }]
  const codex = await play('/v1/responses', { model: 'demo', stream: true, input: prompt, tools: grouped })
  const items: { type: string; delta?: string }[] = dataOf(codex.text)
  t.same(joined(items.filter(({ type }) => type.endsWith('arguments.delta')).map(({ delta }) => delta)), expected)
  t.match(codex.text, '"namespace":"ns"')

  const functionDeclarations = [{ name: 'get_weather', parameters: { ...schema, type: 'OBJECT' } }]
  const body = { contents: [{ role: 'user', parts: [{ text: prompt }] }], tools: [{ functionDeclarations }] }
  const gemini = await play(PATHS.gemini[1], body)
  t.match(dataOf(gemini.text)[0], {
    candidates: [{ content: { parts: [{ functionCall: { name: 'get_weather', args: expected } }] } }]
  })
})

t.test('a tool result is answered in text that quotes it', async t => {
  const call = { id: 'c1', type: 'function', function: { name: 'get_weather', arguments: '{}' } }
  const messages = [
    ...says('call get_weather'),
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'c1', content: [{ type: 'text', text: '21 degrees' }] }
  ]
  t.match((await play('/v1/chat/completions', { model: 'demo', messages, tools: chatTools })).text, '“21 degrees”')
  const claude = [
    ...says('call get_weather'),
    { role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'get_weather', input: {} }] },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'c1', content: '21 degrees' }] }
  ]
  const tools = [{ name: 'get_weather', input_schema: schema }]
  t.match((await play('/v1/messages', { model: 'demo', max_tokens: 99, messages: claude, tools })).text, '“21 degrees”')
})

t.test('a structured answer is valid by its schema', async t => {
  const valid = { city: 'Rome', unit: 'c', days: 1 }
  const format = { type: 'json_schema', name: 'x', schema }
  const asked = says('about "Rome"')
  const chat = await play('/v1/chat/completions', {
    model: 'demo',
    messages: asked,
    response_format: { type: 'json_schema', json_schema: format }
  })
  t.match(chat.text, JSON.stringify(JSON.stringify(valid)))
  const claude = await play('/v1/messages', { model: 'demo', messages: asked, output_config: { format } })
  t.match(claude.text, JSON.stringify(JSON.stringify(valid)))
  const codex = await play('/v1/responses', { model: 'demo', input: 'about "Rome"', text: { format } })
  t.match(codex.text, JSON.stringify(JSON.stringify(valid)))
  const generationConfig = { responseMimeType: 'application/json', responseSchema: schema }
  const contents = [{ role: 'user', parts: [{ text: 'about "Rome"' }] }]
  t.match((await play(PATHS.gemini[0], { contents, generationConfig })).text, JSON.stringify(JSON.stringify(valid)))
})

t.test('a schema that refers to itself ends', async t => {
  const node = { type: 'object', properties: { left: { $ref: '#' }, right: { $ref: '#' }, name: { type: 'string' } } }
  const offer = { texts: [], numbers: [] }
  t.ok(JSON.stringify(valueFor(node, offer)).length < 100_000)
  t.match(valueFor({ $ref: '#/$defs/a', $defs: { a: { allOf: [{ $ref: '#/$defs/b' }] }, b: { const: 4 } } }, offer), 4)
  t.same(valueFor({ type: 'array', minItems: 2, items: { type: ['null', 'boolean'] } }, offer), [true, true])
})

t.test('embeddings are unit vectors, and texts that share words lie near each other', async t => {
  const input = ['the quick fox', 'the quick dog', 'unrelated']
  const { text } = await play('/v1/embeddings', { model: 'demo', input, dimensions: 64 })
  const [fox = [], dog = [], other = []] = (JSON.parse(text) as { data: { embedding: number[] }[] }).data.map(
    entry => entry.embedding
  )
  const dot = (left: number[], right: number[]) =>
    left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0)
  t.equal(fox.length, 64)
  t.ok(Math.abs(dot(fox, fox) - 1) < 1e-5)
  t.ok(dot(fox, dog) > dot(fox, other) + 0.2)
  const packed = await play('/v1/embeddings', {
    model: 'demo',
    input: 'the quick fox',
    dimensions: 64,
    encoding_format: 'base64'
  })
  const { embedding } = (JSON.parse(packed.text) as { data: [{ embedding: string }] }).data[0]
  t.equal(Buffer.from(embedding, 'base64').readFloatLE(0), fox[0])
  const content = { parts: [{ text: 'x' }] }
  t.match(JSON.parse((await play('/v1beta/models/demo:embedContent', { content })).text), {
    embedding: { values: [Number] }
  })
  const batch = await play('/v1/models/demo:batchEmbedContents', { requests: [{ content }, { content }] })
  t.equal((JSON.parse(batch.text) as { embeddings: unknown[] }).embeddings.length, 2)
})

t.test('tokens are counted and models are listed', async t => {
  t.match(JSON.parse((await play('/v1/messages/count_tokens', PATHS.anthropic[2])).text), { input_tokens: 4 })
  t.match(JSON.parse((await play('/v1beta/models/demo:countTokens', PATHS.gemini[2])).text), { totalTokens: 4 })
  const get = async (path: string, headers: Headers = {}) =>
    JSON.parse((await play(path, '', headers, { method: 'GET' })).text) as unknown
  t.match(await get('/v1/models'), { object: 'list', data: [{ id: 'demo', object: 'model' }] })
  t.match(await get('/v1/models', { 'anthropic-version': '2023-06-01' }), {
    data: [{ type: 'model', id: 'demo' }],
    has_more: false
  })
  t.match(await get('/v1beta/models'), { models: [{ name: 'models/demo' }] })
  t.match(await get('/v1/models/demo'), { id: 'demo' })
})
