// Clients of one dialect and upstreams of another, through a listening gateway: what is sent, what comes back, what fails.
import t from 'tap'
import { type TestGateway, testGateway } from './support/app.ts'
import { post } from './support/ask.ts'
import { demoUpstream, recordedUpstream, type Upstream } from './support/upstream.ts'

const TOOL = {
  name: 'get_weather',
  description: 'Weather of a city',
  input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
}
const ANTHROPIC = { model: 'claude-x', max_tokens: 500, messages: [{ role: 'user', content: 'hello there' }] }
const OPENAI = { model: 'gpt-x', messages: [{ role: 'user', content: 'hello there' }] }

async function between(run: (gateway: TestGateway, upstream: Upstream) => Promise<void>): Promise<void> {
  const upstream = await demoUpstream()
  const gateway = await testGateway({
    model_list: [
      {
        model_name: 'claude-*',
        provider: 'mlx',
        api_base: `${upstream.url}/v1`,
        model: 'local-qwen',
        api_key: 'k',
        max_tokens: 400
      },
      { model_name: 'gpt-*', provider: 'anthropic', api_base: upstream.url, model: 'far-claude', api_key: 'k' },
      ...['cut', 'early-end', 'error-event', '429', '500', 'context', 'garbage'].map(fault => ({
        model_name: fault,
        provider: 'mlx',
        api_base: `${upstream.url}/v1`,
        model: `demo-${fault}`
      }))
    ]
  })
  try {
    await run(gateway, upstream)
    t.same(gateway.bugs, [])
    t.equal(gateway.gateway.running.size, 0)
  } finally {
    await gateway.close()
    await upstream.close()
  }
}

/** The events of an Anthropic stream, by name. */
function eventsOf(text: string): string[] {
  return [...text.matchAll(/^event: (.+)$/gm)].map(match => match[1] ?? '')
}

t.test('Claude Code reaches a model that speaks OpenAI Chat', async t => {
  await between(async (gateway, upstream) => {
    const headers = {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'x',
      'x-api-key': 'mine',
      'user-agent': 'claude-cli/2'
    }
    const answer = await post(
      `${gateway.url}/v1/messages?beta=true`,
      { ...ANTHROPIC, top_k: 5, context_management: { edits: [] } },
      headers
    )
    t.equal(answer.status, 200)
    t.match(answer.json, {
      type: 'message',
      role: 'assistant',
      model: 'claude-x',
      content: [{ type: 'text', text: /hello there/ }],
      stop_reason: 'end_turn',
      usage: { input_tokens: Number, output_tokens: Number }
    })
    t.equal(answer.headers['x-model'], 'local-qwen')
    t.match(answer.headers['x-gateway-dropped'], /context_management/)
    const [sent] = upstream.requests
    t.equal(sent?.url, '/v1/chat/completions')
    t.equal(sent?.headers['authorization'], 'Bearer k')
    t.equal(sent?.headers['anthropic-beta'], undefined)
    t.equal(sent?.headers['x-api-key'], undefined)
    t.match(JSON.parse(sent?.body.toString() ?? ''), { model: 'local-qwen', max_tokens: 400, top_k: 5 })
    t.ok((gateway.records[0]?.usage?.output ?? 0) > 0)
    t.match(
      await gateway.gateway.metrics.render(),
      /gateway_translation_dropped_total\{from="anthropic",to="openai-chat",field="context_management/
    )

    const streamed = await post(`${gateway.url}/v1/messages`, { ...ANTHROPIC, stream: true })
    const events = eventsOf(streamed.text)
    t.equal(events[0], 'message_start')
    t.equal(events.at(-1), 'message_stop')
    t.ok(events.includes('content_block_delta'))
    t.match(streamed.headers['content-type'], /text\/event-stream/)
    t.ok((gateway.records[1]?.usage?.output ?? 0) > 0, 'usage of a stream')
  })
})

t.test('tools are called and their results taken, streamed too', async t => {
  await between(async gateway => {
    const ask = { ...ANTHROPIC, tools: [TOOL], messages: [{ role: 'user', content: 'call get_weather for "Paris"' }] }
    const called = await post(`${gateway.url}/v1/messages`, ask)
    t.match(called.json, { stop_reason: 'tool_use' })
    const content = called.json?.['content'] as { type: string; id: string; input: object }[]
    const call = content.find(block => block.type === 'tool_use')
    t.match(call, { name: 'get_weather', input: { city: 'Paris' } })
    const next = await post(`${gateway.url}/v1/messages`, {
      ...ask,
      messages: [
        ...ask.messages,
        { role: 'assistant', content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call?.id, content: 'rain' }] }
      ]
    })
    t.match(next.json, { stop_reason: 'end_turn', content: [{ type: 'text', text: /rain/ }] })
    const streamed = await post(`${gateway.url}/v1/messages`, { ...ask, stream: true })
    const partials = [...streamed.text.matchAll(/"partial_json":"((?:[^"\\]|\\.)*)"/g)].map(
      match => JSON.parse(`"${match[1]}"`) as string
    )
    t.match(JSON.parse(partials.join('')), { city: 'Paris' })
    t.match(streamed.text, /"stop_reason":"tool_use"/)
  })
})

t.test('OpenAI Chat clients reach Anthropic', async t => {
  await between(async (gateway, upstream) => {
    const answer = await post(`${gateway.url}/v1/chat/completions`, OPENAI)
    t.match(answer.json, {
      object: 'chat.completion',
      model: 'gpt-x',
      choices: [{ message: { role: 'assistant', content: /hello there/ }, finish_reason: 'stop' }]
    })
    t.equal(upstream.requests[0]?.url, '/v1/messages')
    t.equal(upstream.requests[0]?.headers['x-api-key'], 'k')
    t.equal(upstream.requests[0]?.headers['anthropic-version'], '2023-06-01')
    t.match(JSON.parse(upstream.requests[0]?.body.toString() ?? ''), { model: 'far-claude', max_tokens: Number })
    const streamed = await post(`${gateway.url}/v1/chat/completions`, {
      ...OPENAI,
      stream: true,
      stream_options: { include_usage: true }
    })
    t.match(streamed.text, /"finish_reason":"stop"/)
    t.match(streamed.text, /"usage":\{"prompt_tokens":\d/)
    t.match(streamed.text, /data: \[DONE\]\n\n$/)
    const plain = await post(`${gateway.url}/v1/chat/completions`, { ...OPENAI, stream: true })
    t.notMatch(plain.text, /prompt_tokens/, 'usage is said to those who ask')
  })
})

t.test('what goes wrong upstream is said in the dialect of the client', async t => {
  await between(async gateway => {
    for (const [fault, status, type] of [
      ['429', 429, 'rate_limit_error'],
      ['500', 502, 'api_error'],
      ['context', 400, 'invalid_request_error']
    ] as const) {
      const answer = await post(`${gateway.url}/v1/messages`, { ...ANTHROPIC, model: fault, stream: true })
      t.equal(answer.status, status, fault)
      t.match(answer.json, { type: 'error', error: { type, message: String } })
      if (fault === 'context') t.match(answer.text, /prompt is too long/)
    }
    for (const fault of ['cut', 'early-end', 'garbage', 'error-event']) {
      const answer = await post(`${gateway.url}/v1/messages`, { ...ANTHROPIC, model: fault, stream: true })
      if (answer.status === 200) {
        t.equal(eventsOf(answer.text).at(-1), 'error', fault)
        t.notOk(eventsOf(answer.text).includes('message_stop'), `${fault} never ends as if it were whole`)
      } else {
        t.match(answer.json, { type: 'error' }, fault)
      }
      t.match(gateway.records.at(-1)?.failure, /^upstream-/)
    }
  })
})

t.test('an upstream that answers nonsense or no stream gives a proper failure', async t => {
  for (const [bytes, stream] of [
    ['{"hello":1}', false],
    ['not json', false],
    ['{"choices":[]}', true]
  ] as const) {
    const upstream = await recordedUpstream({
      status: 200,
      headers: { 'content-type': 'application/json' },
      chunks: [Buffer.from(bytes)]
    })
    const gateway = await testGateway({ model_list: [{ model_name: 'm', provider: 'custom', api_base: upstream.url }] })
    const answer = await post(`${gateway.url}/v1/messages`, { ...ANTHROPIC, model: 'm', stream })
    t.equal(answer.status, 502, bytes)
    t.match(answer.json, { type: 'error', error: { message: /custom \(http/ } })
    await gateway.close()
    await upstream.close()
  }
})

t.test('a broken request is the fault of the client, for every target', async t => {
  await between(async (gateway, upstream) => {
    const answer = await post(`${gateway.url}/v1/messages`, { model: 'claude-x', max_tokens: 5, messages: 'nonsense' })
    t.equal(answer.status, 400)
    t.match(answer.json, { type: 'error', error: { type: 'invalid_request_error' } })
    const thread = await post(`${gateway.url}/v1/messages`, { ...ANTHROPIC, thread: { type: 'create' } })
    t.match(thread.json, { error: { details: { error_code: 'thread_unsupported_request' } } })
    t.equal(upstream.requests.length, 0)
  })
})
