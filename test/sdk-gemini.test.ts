// The official SDK of Google, below /v1 as its third version has it and below /v1beta, against upstreams of each dialect.
import { ApiError, type CallableTool, type GenerateContentResponse, GoogleGenAI, Type } from '@google/genai'
import t from 'tap'
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
  PERSON_SCHEMA,
  UPSTREAM_PATH,
  UPSTREAMS,
  weatherIn,
  withBench
} from './support/sdk.ts'

function clientOf({ url, fetch }: Bench, apiKey = KEY, options: object = {}): GoogleGenAI {
  return new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url, fetch, ...options } })
}

const textOf = (chunks: readonly GenerateContentResponse[]): string => chunks.map(({ text }) => text ?? '').join('')

/** A tool that the SDK calls by itself. */
function weatherTool(cities: string[]): CallableTool {
  return {
    tool: async () => ({
      functionDeclarations: [
        { name: 'get_weather', description: 'Weather of a city', parametersJsonSchema: CITY_SCHEMA }
      ]
    }),
    callTool: async calls =>
      calls.map(({ id, name, args }) => {
        cities.push(String(args?.['city']))
        const response = { output: weatherIn(String(args?.['city'])) }
        return { functionResponse: { ...(id !== undefined && { id }), name: name ?? '', response } }
      })
  }
}

for (const name of UPSTREAMS) {
  const model = modelOf(name)

  t.test(`Gemini to ${name}`, t =>
    withBench(t, async bench => {
      const { models } = clientOf(bench)
      const config = { systemInstruction: 'Be brief.', temperature: 0.5, maxOutputTokens: 500 }
      const plain = await models.generateContent({ model, contents: HELLO, config })
      t.match(plain.text, /hello there/)
      t.equal(plain.candidates?.[0]?.finishReason, 'STOP')
      t.ok((plain.usageMetadata?.candidatesTokenCount ?? 0) > 5)
      t.match(bench.sent[0]?.path, `/v1/models/${model}:generateContent`)
      t.match(bench.upstream.requests[0]?.url, UPSTREAM_PATH[name])

      const chunks = await drained(models.generateContentStream({ model, contents: HELLO, config }))
      t.ok(chunks.length > 3, 'it comes in pieces')
      t.equal(textOf(chunks), plain.text)
      const usage = chunks.findLast(chunk => chunk.usageMetadata !== undefined)?.usageMetadata
      t.equal(usage?.candidatesTokenCount, plain.usageMetadata?.candidatesTokenCount)

      const beta = clientOf(bench, KEY, { apiVersion: 'v1beta' })
      t.match((await beta.models.generateContent({ model, contents: HELLO })).text, /hello there/)
      const thinkingConfig = { includeThoughts: true }
      const thinking = models.generateContentStream({
        model: modelOf(name, 'thinking'),
        contents: HELLO,
        config: { thinkingConfig }
      })
      const parts = (await drained(thinking)).flatMap(chunk => chunk.candidates?.[0]?.content?.parts ?? [])
      const thoughts = parts.filter(part => part.thought === true).map(part => part.text)
      t.match(thoughts.join(''), /asked something/)
    })
  )

  t.test(`tools and structures to ${name}`, t =>
    withBench(t, async bench => {
      const client = clientOf(bench)
      const cities: string[] = []
      const ask = { model, contents: ASK_WEATHER, config: { tools: [weatherTool(cities)] } }
      t.match((await client.models.generateContent(ask)).text, /rain over Paris/, 'the result reached the model')
      t.match(textOf(await drained(client.models.generateContentStream(ask))), /rain over Paris/)
      t.same(cities, ['Paris', 'Paris'])

      const chat = client.chats.create({
        model,
        config: {
          tools: [
            {
              functionDeclarations: [
                { name: 'get_weather', parameters: { type: Type.OBJECT, properties: { city: { type: Type.STRING } } } }
              ]
            }
          ]
        }
      })
      const called = await chat.sendMessage({ message: ASK_WEATHER })
      const [call] = called.functionCalls ?? []
      t.match(call, { name: 'get_weather', args: { city: 'Paris' } })
      const id = call?.id === undefined ? {} : { id: call.id }
      const result = { functionResponse: { ...id, name: 'get_weather', response: { output: weatherIn('Paris') } } }
      t.match(textOf(await drained(chat.sendMessageStream({ message: [result] }))), /rain over Paris/)
      t.equal(chat.getHistory(true).at(-1)?.role, 'model')

      const responseMimeType = 'application/json'
      const responseSchema = {
        type: Type.OBJECT,
        properties: { name: { type: Type.STRING }, age: { type: Type.INTEGER } },
        required: ['name', 'age']
      }
      for (const schema of [{ responseJsonSchema: PERSON_SCHEMA }, { responseSchema }]) {
        const config = { responseMimeType, ...schema }
        const answer = await client.models.generateContent({ model, contents: ASK_PERSON, config })
        t.same(JSON.parse(answer.text ?? ''), PERSON)
        const streamed = await drained(client.models.generateContentStream({ model, contents: ASK_PERSON, config }))
        t.same(JSON.parse(textOf(streamed)), PERSON)
      }
    })
  )

  t.test(`a stream of ${name} that breaks is an error`, t =>
    withBench(t, async bench => {
      const { models } = clientOf(bench, KEY, { fetch })
      for (const fault of BREAKS) {
        const stream = models.generateContentStream({ model: modelOf(name, fault), contents: HELLO })
        await t.rejects(drained(stream), fault)
      }
    })
  )

  t.test(`a client that leaves takes ${name} with it`, t =>
    withBench(t, async bench => {
      const { models } = clientOf(bench, KEY, { fetch })
      const control = new AbortController()
      const stream = await models.generateContentStream({
        model: modelOf(name, 'slow'),
        contents: HELLO,
        config: { abortSignal: control.signal }
      })
      const read = async () => {
        for await (const _ of stream) control.abort()
      }
      await t.rejects(read(), { name: 'AbortError' })
      await bench.upstream.aborted(0)
    })
  )
}

t.test('failures are the typed errors of the SDK', t =>
  withBench(t, async bench => {
    const { models } = clientOf(bench)
    for (const name of UPSTREAMS) {
      const model = modelOf(name, '429')
      await t.rejects(models.generateContent({ model, contents: HELLO }), ApiError)
      t.match(await errorOf(models.generateContent({ model, contents: HELLO })), {
        status: 429,
        message: /RESOURCE_EXHAUSTED/
      })
      t.match(await errorOf(models.generateContentStream({ model, contents: HELLO })), { status: 429 })
    }
    t.match(await errorOf(models.generateContent({ model: 'nobody', contents: HELLO })), {
      status: 404,
      message: /NOT_FOUND/
    })
    const stranger = clientOf(bench, 'wrong').models
    t.match(await errorOf(stranger.generateContent({ model: 'gemini', contents: HELLO })), {
      status: 401,
      message: /UNAUTHENTICATED/
    })
    t.match(await errorOf(stranger.list()), { status: 401 })
  })
)

t.test('models, counts and embeddings', t =>
  withBench(t, async bench => {
    const { models } = clientOf(bench)
    const names: (string | undefined)[] = []
    for await (const model of await models.list()) names.push(model.name)
    for (const name of UPSTREAMS) t.ok(names.includes(`models/${name}`))
    t.match(await models.get({ model: 'anthropic' }), { name: 'models/anthropic' })
    for (const model of UPSTREAMS) {
      const { totalTokens = 0 } = await models.countTokens({ model, contents: HELLO })
      t.ok(totalTokens > 1 && totalTokens < 30, `${model}: ${totalTokens} tokens`)
    }
    const vectors = []
    for (const model of ['openai-chat', 'gemini']) {
      const config = { outputDimensionality: 64 }
      const { embeddings = [] } = await models.embedContent({ model, contents: ['one rain', 'two rains'], config })
      t.same(
        embeddings.map(({ values }) => values?.length),
        [64, 64]
      )
      vectors.push(embeddings[1]?.values ?? [])
    }
    t.ok(isNear(vectors[0] ?? [], vectors[1] ?? []), 'both upstreams embed alike')
  })
)
