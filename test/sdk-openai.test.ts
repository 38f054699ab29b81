// The official SDK of OpenAI, Chat and Responses, against upstreams of each dialect.
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import type { ResponseInput } from 'openai/resources/responses/responses'
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
  isNear,
  KEY,
  modelOf,
  PERSON,
  UPSTREAM_PATH,
  UPSTREAMS,
  weatherIn,
  withBench
} from './support/sdk.ts'

const Person = z.object({ name: z.string(), age: z.int() })
const messages = [{ role: 'user' as const, content: HELLO }]
const TOOL = {
  type: 'function',
  name: 'get_weather',
  description: 'Weather of a city',
  parameters: CITY_SCHEMA,
  strict: true
} as const

function clientOf({ url, fetch, logger }: Bench, options: object = {}): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, fetch, logger, logLevel: 'debug', maxRetries: 0, ...options })
}

for (const name of UPSTREAMS) {
  const model = modelOf(name)

  t.test(`Chat to ${name}`, t =>
    withBench(t, async bench => {
      const { chat } = clientOf(bench)
      const plain = await chat.completions.create({ model, messages })
      t.match(plain.choices, [{ message: { role: 'assistant', content: /hello there/ }, finish_reason: 'stop' }])
      t.ok((plain.usage?.completion_tokens ?? 0) > 5)
      t.match(bench.upstream.requests[0]?.url, UPSTREAM_PATH[name])

      const stream = chat.completions.stream({ model, messages, stream_options: { include_usage: true } })
      const deltas: string[] = []
      stream.on('content.delta', ({ delta }) => deltas.push(delta))
      const whole = await stream.finalChatCompletion()
      t.ok(deltas.length > 3, 'it comes in pieces')
      t.equal(deltas.join(''), plain.choices[0]?.message.content)
      t.equal(whole.choices[0]?.message.content, plain.choices[0]?.message.content)
      t.same(whole.usage?.completion_tokens, plain.usage?.completion_tokens)

      const thought = await chat.completions
        .stream({ model: modelOf(name, 'thinking'), messages })
        .finalChatCompletion()
      t.match(thought.choices[0]?.message.content, /hello there/)
    })
  )

  t.test(`Chat's tools and structures to ${name}`, t =>
    withBench(t, async bench => {
      const { chat } = clientOf(bench)
      const cities: string[] = []
      const tool = zodFunction({
        name: 'get_weather',
        description: 'Weather of a city',
        parameters: z.object({ city: z.string() }),
        function: ({ city }) => {
          cities.push(city)
          return weatherIn(city)
        }
      })
      const ask = { model, messages: [{ role: 'user' as const, content: ASK_WEATHER }], tools: [tool] }
      t.match(await chat.completions.runTools(ask).finalContent(), /rain over Paris/, 'the result reached the model')
      t.match(await chat.completions.runTools({ ...ask, stream: true }).finalContent(), /rain over Paris/)
      t.same(cities, ['Paris', 'Paris'])

      const parsed = await chat.completions.parse({
        model,
        messages: [{ role: 'user', content: ASK_PERSON }],
        response_format: zodResponseFormat(Person, 'person')
      })
      t.same(parsed.choices[0]?.message.parsed, PERSON)
      const two = await chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'call both get_weather and get_time for "Rome" and "Oslo"' }],
        tools: ['get_weather', 'get_time'].map(tool => ({
          type: 'function',
          function: { name: tool, parameters: CITY_SCHEMA }
        }))
      })
      const calls = two.choices[0]?.message.tool_calls?.map(call => call.type === 'function' && call.function)
      t.same(
        calls?.map(call => call && { name: call.name, ...JSON.parse(call.arguments) }),
        [
          { name: 'get_weather', city: 'Rome' },
          { name: 'get_time', city: 'Oslo' }
        ]
      )
    })
  )

  t.test(`Responses to ${name}`, t =>
    withBench(t, async bench => {
      const { responses } = clientOf(bench)
      const plain = await responses.create({ model, input: HELLO, instructions: 'Be brief.' })
      t.match(plain.output_text, /hello there/)
      t.equal(plain.status, 'completed')
      t.match(bench.upstream.requests[0]?.url, UPSTREAM_PATH[name])

      const stream = responses.stream({ model, input: HELLO, instructions: 'Be brief.' })
      const deltas: string[] = []
      stream.on('response.output_text.delta', ({ delta }) => deltas.push(delta))
      const whole = await stream.finalResponse()
      t.ok(deltas.length > 3, 'it comes in pieces')
      t.equal(deltas.join(''), plain.output_text)
      t.equal(whole.output_text, plain.output_text)
      t.same(whole.usage?.output_tokens, plain.usage?.output_tokens)

      const thought = await responses.stream({ model: modelOf(name, 'thinking'), input: HELLO }).finalResponse()
      const [reasoning] = thought.output
      t.match(reasoning, { type: 'reasoning' })
      t.match(JSON.stringify(reasoning), /asked something/)
    })
  )

  t.test(`Responses' tools and structures to ${name}`, t =>
    withBench(t, async bench => {
      const { responses } = clientOf(bench)
      for (const stream of [false, true]) {
        const ask = (input: ResponseInput, previous?: string) => {
          const params = { model, input, tools: [TOOL], ...(previous && { previous_response_id: previous }) }
          return stream ? responses.stream(params).finalResponse() : responses.create(params)
        }
        const asked: ResponseInput = [{ role: 'user', content: ASK_WEATHER }]
        const called = await ask(asked)
        const call = called.output.find(item => item.type === 'function_call')
        t.match(call, { name: 'get_weather', arguments: '{"city":"Paris"}' })
        const result = {
          type: 'function_call_output',
          call_id: call?.type === 'function_call' ? call.call_id : '',
          output: weatherIn('Paris')
        } as const
        const items = called.output as ResponseInput
        t.match((await ask([...asked, ...items, result])).output_text, /rain over Paris/)
        t.match((await ask([result], called.id)).output_text, /rain over Paris/, 'the conversation is kept')
      }
      const format = { text: { format: zodTextFormat(Person, 'person') } }
      t.same((await responses.parse({ model, input: ASK_PERSON, ...format })).output_parsed, PERSON)
      t.same((await responses.stream({ model, input: ASK_PERSON, ...format }).finalResponse()).output_parsed, PERSON)
    })
  )

  t.test(`a stream of ${name} that breaks is an error`, t =>
    withBench(t, async bench => {
      const { chat, responses } = clientOf(bench, { fetch, logLevel: 'off' })
      for (const fault of BREAKS) {
        const broken = modelOf(name, fault)
        const error = await errorOf(chat.completions.stream({ model: broken, messages }).finalChatCompletion())
        t.ok(error instanceof OpenAI.APIError, fault)
        t.match(error, { message: /./ })
        await t.rejects(drained(chat.completions.create({ model: broken, messages, stream: true })), fault)
        const events = drained(responses.create({ model: broken, input: HELLO, stream: true }))
        // Responses says a failure as an event, for whoever reads events.
        const last = await events.then(
          all => all.at(-1)?.type,
          () => 'error'
        )
        t.match(last, /^(response\.failed|error)$/, fault)
        await t.rejects(responses.stream({ model: broken, input: HELLO }).finalResponse(), fault)
      }
    })
  )

  t.test(`a client that leaves takes ${name} with it`, t =>
    withBench(t, async bench => {
      const { chat, responses } = clientOf(bench, { fetch })
      const slow = modelOf(name, 'slow')
      for await (const _ of await chat.completions.create({ model: slow, messages, stream: true })) break
      await bench.upstream.aborted(0)
      for await (const _ of await responses.create({ model: slow, input: HELLO, stream: true })) break
      await bench.upstream.aborted(1)
    })
  )
}

t.test('failures are the typed errors of the SDK', t =>
  withBench(t, async bench => {
    const { chat, responses } = clientOf(bench)
    for (const name of UPSTREAMS) {
      const model = modelOf(name, '429')
      const limited = await errorOf(chat.completions.create({ model, messages }))
      t.ok(limited instanceof OpenAI.RateLimitError)
      t.ok(limited instanceof OpenAI.RateLimitError && limited.headers.get('retry-after'), 'and say when to come again')
      t.ok((await errorOf(responses.create({ model, input: HELLO }))) instanceof OpenAI.RateLimitError)
      t.ok((await errorOf(responses.create({ model, input: HELLO, stream: true }))) instanceof OpenAI.RateLimitError)
    }
    const nobody = await errorOf(chat.completions.create({ model: 'nobody', messages }))
    t.ok(nobody instanceof OpenAI.NotFoundError)
    t.match(nobody, { code: 'model_not_found' })
    t.ok((await errorOf(responses.create({ model: 'nobody', input: HELLO }))) instanceof OpenAI.NotFoundError)
    const stranger = clientOf(bench, { apiKey: 'wrong' })
    const refused = [stranger.chat.completions.create({ model: 'anthropic', messages }), stranger.models.list()]
    for (const promise of refused) t.ok((await errorOf(promise)) instanceof OpenAI.AuthenticationError)
    const wrong = await errorOf(chat.completions.create({ model: 'anthropic', messages: 5 as never }))
    t.ok(wrong instanceof OpenAI.BadRequestError)
  })
)

t.test('what both of OpenAI’s dialects have travels between them', t =>
  withBench(t, async bench => {
    const { chat, responses } = clientOf(bench)
    const same = { prompt_cache_key: 'my-cache', safety_identifier: 'somebody' }
    await chat.completions.create({ model: 'openai-responses', messages, verbosity: 'low', ...same })
    await responses.create({ model: 'openai-chat', input: HELLO, text: { verbosity: 'low' }, ...same })
    await responses.create({ model: 'gemini', input: HELLO, ...same })
    const [toResponses, toChat, toGemini] = bench.upstream.requests.map(({ body }) => body.toString())
    t.match(JSON.parse(toResponses ?? ''), { ...same, text: { verbosity: 'low' } })
    t.match(JSON.parse(toChat ?? ''), { ...same, verbosity: 'low' })
    t.notMatch(toGemini, /my-cache/)
  })
)

t.test('models and embeddings', t =>
  withBench(t, async bench => {
    const client = clientOf(bench)
    const ids: string[] = []
    for await (const { id, object } of client.models.list()) ids.push(`${object} ${id}`)
    for (const name of UPSTREAMS) t.ok(ids.includes(`model ${name}`))
    t.match(await client.models.retrieve('gemini'), { id: 'gemini', object: 'model' })
    const vectors = []
    for (const model of ['openai-chat', 'gemini']) {
      // The SDK asks for base64 unless it is told a format.
      const { data } = await client.embeddings.create({ model, input: ['one rain', 'two rains'], dimensions: 64 })
      t.same(
        data.map(({ embedding }) => embedding.length),
        [64, 64]
      )
      const floats = await client.embeddings.create({
        model,
        input: 'two rains',
        dimensions: 64,
        encoding_format: 'float'
      })
      t.ok(isNear(data[1]?.embedding ?? [], floats.data[0]?.embedding ?? []))
      vectors.push(data[0]?.embedding ?? [])
    }
    t.ok(isNear(vectors[0] ?? [], vectors[1] ?? []), 'both upstreams embed alike')
  })
)
