// What the gateway makes of a call that cannot simply pass: counts, embeddings, completions, stored answers, silence.
import t, { type Test } from 'tap'
import { type PartialConfig, type TestGateway, testGateway } from './support/app.ts'
import { type Asked, post } from './support/ask.ts'
import { demoUpstream, recordedUpstream, startUpstream, type Upstream } from './support/upstream.ts'

type Entry = NonNullable<PartialConfig['model_list']>[number]
const JSON_HEADERS = { 'content-type': 'application/json' }
const SSE = { 'content-type': 'text/event-stream' }

async function through(
  t: Test,
  upstream: Upstream,
  entry: Partial<Entry> | readonly Partial<Entry>[]
): Promise<TestGateway> {
  const entries = Array.isArray(entry) ? entry : [entry]
  const gateway = await testGateway({
    model_list: entries.map(more => ({ model_name: 'm', api_base: upstream.url, api_key: 'k', ...more })) as Entry[]
  })
  t.teardown(async () => {
    if (gateway.bugs[0] !== undefined) throw gateway.bugs[0]
    if (gateway.gateway.running.size > 0) throw new Error('a request is still under way')
    await gateway.close()
    await upstream.close()
  })
  return gateway
}

const messageOf = (asked: Asked) => (asked.json?.['error'] as { message?: string } | undefined)?.message ?? ''
const bodyOf = (upstream: Upstream, index = 0) =>
  JSON.parse(upstream.requests[index]?.body.toString() ?? 'null') as Record<string, unknown>

const COUNTED = { model: 'm', system: 'Be brief.', messages: [{ role: 'user', content: 'How many tokens are these?' }] }

t.test('tokens are counted by an upstream that can, and estimated for one that cannot', async t => {
  await t.test('of another dialect: asked in its own words', async t => {
    const upstream = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: ['{"totalTokens":17}'] })
    const gateway = await through(t, upstream, { provider: 'gemini', model: 'gemini-x' })
    const answer = await post(`${gateway.url}/v1/messages/count_tokens`, COUNTED)
    t.same(answer.json, { input_tokens: 17 })
    t.equal(answer.headers['x-gateway-estimated'], undefined)
    t.match(upstream.requests[0]?.url, '/v1beta/models/gemini-x:countTokens')
    t.match(bodyOf(upstream), { generateContentRequest: { model: 'models/gemini-x', contents: [{ role: 'user' }] } })
  })
  await t.test('the other way round', async t => {
    const upstream = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: ['{"input_tokens":9}'] })
    const gateway = await through(t, upstream, { provider: 'anthropic', model: 'claude-x' })
    const answer = await post(`${gateway.url}/v1beta/models/m:countTokens`, {
      contents: [{ role: 'user', parts: [{ text: 'hi' }] }]
    })
    t.same(answer.json, { totalTokens: 9 })
    t.equal(upstream.requests[0]?.url, '/v1/messages/count_tokens')
    t.same(Object.keys(bodyOf(upstream)).sort(), ['messages', 'model'])
  })
  for (const [status, text] of [
    [404, '{"error":{"message":"no"}}'],
    [404, '<html>Not Found</html>'],
    [405, '{"detail":"Method Not Allowed"}']
  ] as const) {
    await t.test(`a server of the same dialect that answers ${status} ${text}`, async t => {
      const upstream = await recordedUpstream({ status, headers: JSON_HEADERS, chunks: [text] })
      const gateway = await through(t, upstream, { provider: 'self-hosted', dialect: 'anthropic' })
      const answer = await post(`${gateway.url}/v1/messages/count_tokens`, COUNTED)
      t.equal(answer.status, 200)
      t.equal(answer.headers['x-gateway-estimated'], 'true')
      const tokens = Number(answer.json?.['input_tokens'])
      t.ok(tokens >= 9 && tokens <= 25, `${tokens} tokens`)
    })
  }
  await t.test('a dialect that has no counting: nobody is asked', async t => {
    const upstream = await demoUpstream()
    const gateway = await through(t, upstream, { provider: 'custom', dialect: 'openai-chat' })
    const whole = await post(`${gateway.url}/v1/messages/count_tokens`, COUNTED)
    t.equal(whole.headers['x-gateway-estimated'], 'true')
    const tool = { name: 'read', description: 'Reads a file', input_schema: { type: 'object', properties: {} } }
    const more = await post(`${gateway.url}/v1/messages/count_tokens`, { ...COUNTED, tools: [tool] })
    t.ok(Number(more.json?.['input_tokens']) > Number(whole.json?.['input_tokens']) + 10)
    const gemini = await post(`${gateway.url}/v1beta/models/m:countTokens`, { contents: 'hello' })
    t.ok(Number(gemini.json?.['totalTokens']) > 0)
    t.equal(upstream.requests.length, 0)
    const run = await post(`${gateway.url}/v1/messages/count_tokens`, {
      ...COUNTED,
      messages: [{ role: 'user', content: 'x'.repeat(2_000_000) }]
    })
    t.ok(Number(run.json?.['input_tokens']) > 100_000, 'a run without spaces is counted too')
  })
  await t.test('a request that cannot be read says so', async t => {
    const upstream = await demoUpstream()
    const gateway = await through(t, upstream, { provider: 'custom', dialect: 'openai-chat' })
    const answer = await post(`${gateway.url}/v1/messages/count_tokens`, { model: 'm', messages: 'x' })
    t.equal(answer.status, 400)
    t.match(messageOf(answer), /messages/)
  })
})

t.test('embeddings go between OpenAI and Gemini', async t => {
  const upstream = await demoUpstream()
  const gateway = await through(t, upstream, [
    { model_name: 'far', provider: 'gemini', dialect: 'gemini', model: 'embed-x' },
    { model_name: 'near', provider: 'custom', dialect: 'openai-chat', model: 'embed-y' }
  ])
  const openai = await post(`${gateway.url}/v1/embeddings`, { model: 'far', input: ['one', 'two'] })
  t.equal(openai.status, 200)
  t.match(openai.json, { object: 'list', model: 'far', data: [{ index: 0 }, { index: 1 }] })
  t.match(upstream.requests[0]?.url, '/v1beta/models/embed-x:batchEmbedContents')
  const base64 = await post(`${gateway.url}/v1/embeddings`, { model: 'far', input: 'one', encoding_format: 'base64' })
  const [first] = (base64.json?.['data'] ?? []) as { embedding: string }[]
  const floats = ((openai.json?.['data'] ?? []) as { embedding: number[] }[])[0]?.embedding ?? []
  t.equal(Buffer.from(first?.embedding ?? '', 'base64').length, floats.length * 4)
  const gemini = await post(`${gateway.url}/v1beta/models/near:embedContent`, { content: { parts: [{ text: 'one' }] } })
  t.match(gemini.json, { embedding: { values: Array } })
  t.equal(upstream.requests.at(-1)?.url, '/v1/embeddings')
  const tokens = await post(`${gateway.url}/v1/embeddings`, { model: 'far', input: [1, 2, 3] })
  t.equal(tokens.status, 400)
})

t.test('a completion is asked of a model that only chats', async t => {
  const upstream = await demoUpstream()
  const gateway = await through(t, upstream, { provider: 'anthropic', model: 'claude-x' })
  const ask = { model: 'm', prompt: 'hello there', max_tokens: 50, suffix: 'end' }
  const whole = await post(`${gateway.url}/v1/completions`, ask)
  t.equal(whole.status, 200)
  t.match(whole.json, { object: 'text_completion', model: 'm', choices: [{ index: 0, finish_reason: 'stop' }] })
  const [choice] = (whole.json?.['choices'] ?? []) as { text: string }[]
  t.ok((choice?.text.length ?? 0) > 5)
  t.match(whole.headers['x-gateway-dropped'], /suffix/)
  t.match(bodyOf(upstream), { messages: [{ role: 'user' }], max_tokens: 50 })
  const streamed = await post(`${gateway.url}/v1/completions`, {
    ...ask,
    stream: true,
    stream_options: { include_usage: true }
  })
  const chunks = [...streamed.text.matchAll(/^data: (\{.*)$/gm)].map(match => JSON.parse(match[1] ?? ''))
  t.equal(chunks.map(chunk => chunk.choices[0]?.text ?? '').join(''), choice?.text)
  t.ok(chunks.at(-1)?.usage.total_tokens > 0)
  t.match(streamed.text, /data: \[DONE\]\n\n$/)
  const lists = await post(`${gateway.url}/v1/completions`, { ...ask, prompt: ['a', 'b'] })
  t.equal(lists.status, 400)
  t.match(messageOf(lists), /^prompt: /)
})

t.test('what a dialect cannot say is told, left out or refused', async t => {
  const upstream = await demoUpstream()
  const gateway = await through(t, upstream, [
    { model_name: 'warn', provider: 'anthropic' },
    { model_name: 'drop', provider: 'anthropic', on_unsupported: 'drop' },
    { model_name: 'reject', provider: 'anthropic', on_unsupported: 'reject' }
  ])
  const ask = (model: string) =>
    post(`${gateway.url}/v1/chat/completions`, { model, seed: 5, messages: [{ role: 'user', content: 'hi' }] })
  const warned = await ask('warn')
  t.equal(warned.status, 200)
  t.match(warned.headers['x-gateway-dropped'], /seed/)
  t.match(gateway.records.at(-1)?.dropped.join(), /seed/)
  const dropped = await ask('drop')
  t.equal(dropped.status, 200)
  t.equal(dropped.headers['x-gateway-dropped'], undefined)
  const rejected = await ask('reject')
  t.equal(rejected.status, 400)
  t.match(messageOf(rejected), /seed/)
  t.equal(upstream.requests.length, 2)
})

t.test('a Responses client goes on from an answer by its id, though the upstream keeps none', async t => {
  const upstream = await demoUpstream()
  const gateway = await through(t, upstream, { provider: 'anthropic' })
  const ask = (body: object, headers = {}) => post(`${gateway.url}/v1/responses`, { model: 'm', ...body }, headers)
  const mine = { authorization: 'Bearer mine' }
  const first = await ask({ input: 'My name is Ada.' }, mine)
  t.equal(first.status, 200)
  const id = String(first.json?.['id'])
  for (const stream of [false, true]) {
    const next = await ask({ input: 'Who am I?', previous_response_id: id, stream }, mine)
    t.equal(next.status, 200)
    t.equal(next.headers['x-gateway-dropped'], undefined)
    const { messages } = bodyOf(upstream, upstream.requests.length - 1) as { messages: { role: string }[] }
    t.same(
      messages.map(message => message.role),
      ['user', 'assistant', 'user']
    )
  }
  const last = gateway.records.at(-1)?.id
  const third = await ask({ input: 'And now?', previous_response_id: `resp_${last}` }, mine)
  t.equal((bodyOf(upstream, 3)['messages'] as object[]).length, 5, 'a streamed answer is kept too')
  t.equal(third.status, 200)
  const others = await ask({ input: 'Who am I?', previous_response_id: id }, { authorization: 'Bearer yours' })
  t.equal(others.status, 400)
  t.equal((others.json?.['error'] as { code?: string } | undefined)?.code, 'previous_response_not_found')
  const forgotten = await ask({ input: 'A secret.', store: false }, mine)
  const gone = await ask({ input: 'What?', previous_response_id: forgotten.json?.['id'] }, mine)
  t.equal(gone.status, 400)
})

const CHUNK = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`

t.test('a client that waits for a long prompt is told that somebody is there', async t => {
  for (const [path, body, sign] of [
    ['/v1/messages', { max_tokens: 9 }, /event: message_start[\s\S]+content_block_start[\s\S]+"text":""\}/],
    ['/v1/chat/completions', {}, /"role":"assistant"[\s\S]+"delta":\{\}/],
    ['/v1/responses', { input: 'hi' }, /response\.created[\s\S]+response\.in_progress[\s\S]+response\.in_progress/]
  ] as const) {
    await t.test(path, async t => {
      const upstream = await startUpstream((_request, response) => {
        setTimeout(() => {
          response.writeHead(200, SSE)
          response.end(`${CHUNK({ role: 'assistant', content: 'late' })}${CHUNK({}, 'stop')}data: [DONE]\n\n`)
        }, 400)
      })
      const gateway = await through(t, upstream, { provider: 'custom', keep_alive: '100ms' })
      const messages = [{ role: 'user', content: 'hi' }]
      const answer = await post(gateway.url + path, { model: 'm', stream: true, messages, ...body })
      t.equal(answer.status, 200)
      const [before = '', ...after] = answer.text.split('late')
      t.match(before, sign)
      t.match(after.join(), /message_stop|\[DONE\]|response\.completed/)
      t.equal(answer.text.match(/"role":"assistant"/g)?.length ?? 0, path.includes('responses') ? 3 : 1)
    })
  }
  await t.test('an upstream that fails after that is told within the stream', async t => {
    const upstream = await startUpstream((_request, response) => {
      setTimeout(() => response.writeHead(500, JSON_HEADERS).end('{"error":{"message":"out of memory"}}'), 250)
    })
    const gateway = await through(t, upstream, { provider: 'custom', keep_alive: '100ms' })
    const answer = await post(`${gateway.url}/v1/messages`, {
      model: 'm',
      stream: true,
      max_tokens: 5,
      messages: [{ role: 'user', content: 'hi' }]
    })
    t.equal(answer.status, 200)
    t.match(answer.text, /event: error\ndata: .*out of memory/)
  })
  await t.test('another target may still answer, for nothing of an answer was sent', async t => {
    const upstream = await startUpstream((request, response) => {
      if (request.url.startsWith('/bad')) {
        setTimeout(() => response.writeHead(500, JSON_HEADERS).end('{"error":{"message":"no"}}'), 250)
        return
      }
      response.writeHead(200, SSE)
      response.end(`${CHUNK({ role: 'assistant', content: 'rescued' })}${CHUNK({}, 'stop')}data: [DONE]\n\n`)
    })
    const gateway = await testGateway({
      model_list: [
        { model_name: 'm', provider: 'custom', api_base: `${upstream.url}/bad/v1`, api_key: 'k', keep_alive: '100ms' },
        { model_name: 'spare', provider: 'custom', api_base: `${upstream.url}/v1`, api_key: 'k' }
      ],
      routing: { retries: 0, fallbacks: { m: ['spare'] } }
    })
    const messages = [{ role: 'user', content: 'hi' }]
    const answer = await post(`${gateway.url}/v1/chat/completions`, { model: 'm', stream: true, messages })
    t.match(answer.text, /rescued[\s\S]+\[DONE\]/)
    t.notMatch(answer.text, /"error"/)
    t.equal(gateway.records[0]?.attempts.length, 2)
    await gateway.close()
    await upstream.close()
  })
  await t.test('one that is asked for a whole answer waits as ever', async t => {
    const upstream = await startUpstream((_request, response) => {
      setTimeout(() => response.writeHead(500, JSON_HEADERS).end('{"error":{"message":"no"}}'), 250)
    })
    const gateway = await through(t, upstream, { provider: 'custom', keep_alive: '50ms' })
    const answer = await post(`${gateway.url}/v1/chat/completions`, { model: 'm', messages: [] })
    t.equal(answer.status, 502)
  })
})

t.test('what a local model wrote as text becomes what it meant', async t => {
  const said =
    '<think>The user wants the weather.</think><tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
  const tool = { name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }
  const messages = [{ role: 'user', content: 'Weather?' }]
  for (const stream of [false, true]) {
    await t.test(stream ? 'in a stream' : 'whole', async t => {
      const upstream = await startUpstream((_request, response) => {
        response.writeHead(200, stream ? SSE : JSON_HEADERS)
        const pieces = said.match(/.{1,5}/gs) ?? []
        if (stream) for (const piece of pieces) response.write(CHUNK({ content: piece }))
        if (stream) return response.end(`${CHUNK({}, 'stop')}data: [DONE]\n\n`)
        return response.end(
          JSON.stringify({ choices: [{ index: 0, message: { content: said }, finish_reason: 'stop' }] })
        )
      })
      const gateway = await through(t, upstream, [
        { provider: 'mlx' },
        { model_name: 'listed', provider: 'custom', quirks: ['text-tools', 'think-tags'] },
        { model_name: 'plain', provider: 'mlx' }
      ])
      const claude = { max_tokens: 99, tools: [tool], messages, stream }
      const anthropic = await post(`${gateway.url}/v1/messages`, { model: 'm', ...claude })
      t.match(anthropic.text, /"type":"tool_use"/)
      t.match(anthropic.text, /"stop_reason":"tool_use"/)
      t.match(anthropic.text, /"thinking":"The/)
      t.notMatch(anthropic.text, /<think>|<tool_call>/)
      const { name, input_schema: parameters } = tool
      const openai = { messages, stream, tools: [{ type: 'function', function: { name, parameters } }] }
      const listed = await post(`${gateway.url}/v1/chat/completions`, { model: 'listed', ...openai })
      t.match(listed.text, /"tool_calls":\[/)
      t.match(listed.text, /"finish_reason":"tool_calls"/)
      const plain = await post(`${gateway.url}/v1/chat/completions`, { model: 'plain', ...openai })
      t.match(plain.text, stream ? /<thi/ : /<think>/, 'bytes pass where the operator said nothing')
    })
  }
})

t.test('a Gemini client that asks for no events gets one JSON array', async t => {
  const upstream = await demoUpstream()
  const gateway = await through(t, upstream, { provider: 'custom', dialect: 'openai-chat' })
  const ask = { contents: [{ role: 'user', parts: [{ text: 'hi' }] }] }
  const answer = await post(`${gateway.url}/v1beta/models/m:streamGenerateContent`, ask)
  t.match(answer.headers['content-type'], /^application\/json/)
  const frames = JSON.parse(answer.text) as { candidates?: { finishReason?: string }[] }[]
  t.ok(frames.length > 2)
  t.equal(frames.at(-1)?.candidates?.[0]?.finishReason, 'STOP')
})

t.test('an upstream that answers in the other form is understood', async t => {
  const whole = JSON.stringify({ choices: [{ index: 0, message: { content: 'whole' }, finish_reason: 'stop' }] })
  const streamed = `${CHUNK({ content: 'streamed' })}${CHUNK({}, 'stop')}data: [DONE]\n\n`
  const ask = { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }
  const json = await recordedUpstream({ status: 200, headers: JSON_HEADERS, chunks: [whole] })
  const first = await through(t, json, { provider: 'custom' })
  const stream = await post(`${first.url}/v1/messages`, { ...ask, stream: true })
  t.match(stream.headers['content-type'], /^text\/event-stream/)
  t.match(stream.text, /event: message_start[\s\S]+"text":"whole"[\s\S]+event: message_stop/)
  const events = await recordedUpstream({ status: 200, headers: SSE, chunks: [streamed] })
  const second = await through(t, events, { provider: 'custom' })
  const answer = await post(`${second.url}/v1/messages`, ask)
  t.match(answer.headers['content-type'], /^application\/json/)
  t.match(answer.json, { type: 'message', content: [{ type: 'text', text: 'streamed' }], stop_reason: 'end_turn' })
})
