// The official SDK of Anthropic against upstreams of each dialect, its tool runner with message threads among it.
import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import t from 'tap'
import { z } from 'zod'
import {
  ASK_PERSON,
  ASK_WEATHER,
  type Bench,
  BREAKS,
  CITY_SCHEMA,
  drained,
  errorOf,
  HELLO,
  KEY,
  modelOf,
  PERSON,
  UPSTREAM_PATH,
  UPSTREAMS,
  weatherIn,
  withBench
} from './support/sdk.ts'

const Person = z.object({ name: z.string(), age: z.int() })
const rest = { max_tokens: 500, messages: [{ role: 'user' as const, content: HELLO }] }

function clientOf({ url, fetch, logger }: Bench, options: object = {}): Anthropic {
  return new Anthropic({ baseURL: url, apiKey: KEY, fetch, logger, logLevel: 'debug', maxRetries: 0, ...options })
}

const textOf = ({ content }: Anthropic.Message): string =>
  content.map(block => (block.type === 'text' ? block.text : '')).join('')

for (const name of UPSTREAMS) {
  const model = modelOf(name)

  t.test(`Messages to ${name}`, t =>
    withBench(t, async bench => {
      const { messages } = clientOf(bench)
      const plain = await messages.create({ model, ...rest, system: [{ type: 'text', text: 'Be brief.' }] })
      t.match(plain, { type: 'message', role: 'assistant', stop_reason: 'end_turn' })
      t.match(textOf(plain), /hello there/)
      t.ok(plain.usage.input_tokens > 0 && plain.usage.output_tokens > 5)
      t.match(bench.upstream.requests[0]?.url.split('?')[0], UPSTREAM_PATH[name])

      const stream = messages.stream({ model, ...rest, system: 'Be brief.' })
      const deltas: string[] = []
      stream.on('text', delta => deltas.push(delta))
      const whole = await stream.finalMessage()
      t.ok(deltas.length > 3, 'it comes in pieces')
      t.equal(deltas.join(''), textOf(plain))
      t.same(whole.content, plain.content)
      t.equal(whole.usage.output_tokens, plain.usage.output_tokens)

      const thinking = { type: 'adaptive' as const }
      const thought = await messages.stream({ model: modelOf(name, 'thinking'), ...rest, thinking }).finalMessage()
      t.match(thought.content[0], { type: 'thinking', thinking: /asked something/, signature: String })
      t.match(textOf(thought), /hello there/)
      const again = [
        ...rest.messages,
        { role: 'assistant' as const, content: thought.content },
        { role: 'user' as const, content: 'and once more' }
      ]
      t.match(textOf(await messages.create({ model, max_tokens: 500, messages: again })), /once more/)
    })
  )

  t.test(`the tool runner and structures to ${name}`, t =>
    withBench(t, async bench => {
      const client = clientOf(bench)
      for (const stream of [false, true]) {
        const cities: string[] = []
        const tool = betaTool({
          name: 'get_weather',
          description: 'Weather of a city',
          inputSchema: CITY_SCHEMA,
          run: ({ city }) => {
            cities.push(city)
            return weatherIn(city)
          }
        })
        const messages = [{ role: 'user' as const, content: ASK_WEATHER }]
        const before = bench.sent.length
        const final = await client.beta.messages.toolRunner({ model, max_tokens: 500, messages, tools: [tool], stream })
        t.match(final.content, [{ type: 'text', text: /rain over Paris/ }], 'the result reached the model')
        t.same(cities, ['Paris'])
        const calls = bench.sent.slice(before)
        t.ok(
          calls.some(({ request }) => 'thread' in request),
          'the SDK tried a thread'
        )
        const [refused] = calls.filter(({ status }) => status !== 200)
        t.match(refused, { status: 400 })
        t.match(await refused?.text, /thread_unsupported_request/)
        t.notOk('thread' in (calls.at(-1)?.request ?? {}), 'and went on without')
      }
      const parsed = await client.messages.parse({
        model,
        max_tokens: 500,
        messages: [{ role: 'user', content: ASK_PERSON }],
        output_config: { format: zodOutputFormat(Person) }
      })
      t.same(parsed.parsed_output, PERSON)
      const streamed = client.messages.stream({
        model,
        max_tokens: 500,
        messages: [{ role: 'user', content: ASK_PERSON }],
        output_config: { format: zodOutputFormat(Person) }
      })
      t.same((await streamed.finalMessage()).parsed_output, PERSON)
    })
  )

  t.test(`parallel calls of ${name}, streamed`, t =>
    withBench(t, async bench => {
      const { messages } = clientOf(bench)
      const content = 'call both get_weather and get_time for "Rome" and "Oslo"'
      const tools = ['get_weather', 'get_time'].map(tool => ({
        name: tool,
        input_schema: { ...CITY_SCHEMA, required: [...CITY_SCHEMA.required] }
      }))
      const stream = messages.stream({ model, max_tokens: 500, messages: [{ role: 'user', content }], tools })
      const { content: blocks, stop_reason: reason } = await stream.finalMessage()
      t.equal(reason, 'tool_use')
      const calls = blocks.filter(block => block.type === 'tool_use')
      t.match(calls, [
        { name: 'get_weather', input: { city: 'Rome' } },
        { name: 'get_time', input: { city: 'Oslo' } }
      ])
      t.not(calls[0]?.id, calls[1]?.id)
    })
  )

  t.test(`a stream of ${name} that breaks is an error`, t =>
    withBench(t, async bench => {
      const { messages } = clientOf(bench, { fetch, logLevel: 'off' })
      for (const fault of BREAKS) {
        await t.rejects(messages.stream({ model: modelOf(name, fault), ...rest }).finalMessage(), Anthropic.APIError)
        await t.rejects(
          drained(messages.create({ model: modelOf(name, fault), ...rest, stream: true })),
          Anthropic.APIError
        )
      }
    })
  )

  t.test(`a client that leaves takes ${name} with it`, t =>
    withBench(t, async bench => {
      const { messages } = clientOf(bench, { fetch })
      const stream = messages.stream({ model: modelOf(name, 'slow'), ...rest })
      stream.on('text', () => stream.abort())
      await t.rejects(stream.done(), Anthropic.APIUserAbortError)
      await bench.upstream.aborted(0)
    })
  )
}

t.test('failures are the typed errors of the SDK', t =>
  withBench(t, async bench => {
    const { messages } = clientOf(bench)
    for (const name of UPSTREAMS) {
      const model = modelOf(name, '429')
      await t.rejects(messages.create({ model, ...rest }), Anthropic.RateLimitError)
      const streamed = await errorOf(messages.stream({ model, ...rest }).finalMessage())
      t.match(streamed, { status: 429, type: 'rate_limit_error' })
    }
    await t.rejects(messages.create({ model: 'nobody', ...rest }), Anthropic.NotFoundError)
    t.match(await errorOf(messages.create({ model: 'nobody', ...rest })), { type: 'not_found_error' })
    const stranger = clientOf(bench, { apiKey: 'wrong' })
    await t.rejects(stranger.messages.create({ model: 'anthropic', ...rest }), Anthropic.AuthenticationError)
    await t.rejects(stranger.models.list(), Anthropic.AuthenticationError)
    const wrong = messages.create({ model: 'gemini', max_tokens: 5, messages: undefined as never })
    await t.rejects(wrong, Anthropic.BadRequestError)
  })
)

t.test('models and counts', t =>
  withBench(t, async bench => {
    const client = clientOf(bench)
    const ids: string[] = []
    for await (const { id, type } of client.models.list({ limit: 3 })) ids.push(`${type} ${id}`)
    for (const name of UPSTREAMS) t.ok(ids.includes(`model ${name}`))
    t.match(await client.models.retrieve('openai-chat'), { type: 'model', id: 'openai-chat', display_name: String })
    for (const model of UPSTREAMS) {
      const { input_tokens: tokens } = await client.messages.countTokens({ model, messages: rest.messages })
      t.ok(tokens > 1 && tokens < 30, `${model}: ${tokens} tokens`)
    }
  })
)
