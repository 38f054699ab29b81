// Vercel's AI SDK with its three providers, four protocols of a client, against upstreams of each dialect.
import { createAnthropic } from '@ai-sdk/anthropic'
import { createGoogle } from '@ai-sdk/google'
import { createOpenAI } from '@ai-sdk/openai'
import { APICallError, embedMany, generateText, isStepCount, type LanguageModel, Output, streamText, tool } from 'ai'
import t from 'tap'
import { z } from 'zod'
import {
  ASK_PERSON,
  ASK_WEATHER,
  type Bench,
  BREAKS,
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

type Make = (bench: Pick<Bench, 'url' | 'fetch'>, apiKey?: string) => (model: string) => LanguageModel

const PROVIDERS: Record<string, Make> = {
  'OpenAI Chat': (bench, apiKey) => createOpenAI(settings(bench, '/v1', apiKey)).chat,
  'OpenAI Responses': (bench, apiKey) => createOpenAI(settings(bench, '/v1', apiKey)).responses,
  Anthropic: (bench, apiKey) => createAnthropic(settings(bench, '/v1', apiKey)),
  Google: (bench, apiKey) => createGoogle(settings(bench, '/v1beta', apiKey))
}

function settings({ url, fetch }: Pick<Bench, 'url' | 'fetch'>, base: string, apiKey = KEY) {
  return { baseURL: url + base, apiKey, fetch }
}

const once = { maxRetries: 0 }
const output = Output.object({ schema: z.object({ name: z.string(), age: z.int() }) })

function weatherTool(cities: string[]) {
  return tool({
    description: 'Weather of a city',
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => {
      cities.push(city)
      return weatherIn(city)
    }
  })
}

/** All of a stream, whose errors are parts of it: the SDK throws none. */
async function read({ fullStream }: Pick<ReturnType<typeof streamText>, 'fullStream'>) {
  const seen = { text: '', reasoning: '', pieces: 0, errors: [] as unknown[], finish: '' }
  for await (const part of fullStream) {
    if (part.type === 'text-delta') {
      seen.text += part.text
      seen.pieces++
    } else if (part.type === 'reasoning-delta') seen.reasoning += part.text
    else if (part.type === 'error') seen.errors.push(part.error)
    else if (part.type === 'finish') seen.finish = part.finishReason
  }
  return seen
}

// Each call would warn that the model is not one that the SDK knows.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })
const quiet = { onError: () => undefined }

for (const [provider, make] of Object.entries(PROVIDERS)) {
  for (const name of UPSTREAMS) {
    t.test(`${provider} to ${name}`, t =>
      withBench(t, async bench => {
        const models = make(bench)
        const model = models(modelOf(name))
        const plain = await generateText({ model, ...once, prompt: HELLO, system: 'Be brief.' })
        t.match(plain.text, /hello there/)
        t.equal(plain.finishReason, 'stop')
        t.ok((plain.usage.outputTokens ?? 0) > 5)
        t.match(bench.upstream.requests[0]?.url.replace('?beta=true', ''), UPSTREAM_PATH[name])

        const streamed = await read(streamText({ model, ...once, ...quiet, prompt: HELLO, system: 'Be brief.' }))
        t.match(streamed, { text: plain.text, errors: [], finish: 'stop' })
        t.ok(streamed.pieces > 3, 'it comes in pieces')
        const thinking = models(modelOf(name, 'thinking'))
        const thought = await read(streamText({ model: thinking, ...once, ...quiet, prompt: HELLO }))
        t.same(thought.errors, [])
        if (provider !== 'OpenAI Chat') t.match(thought.reasoning, /asked something/)
      })
    )

    t.test(`${provider}'s tools and structures to ${name}`, t =>
      withBench(t, async bench => {
        const model = make(bench)(modelOf(name))
        const cities: string[] = []
        const ask = {
          model,
          ...once,
          prompt: ASK_WEATHER,
          tools: { get_weather: weatherTool(cities) },
          stopWhen: isStepCount(3)
        }
        const { text, steps } = await generateText(ask)
        t.match(text, /rain over Paris/, 'the result reached the model')
        t.equal(steps.length, 2)
        t.match(await read(streamText({ ...ask, ...quiet })), { text: /rain over Paris/, errors: [] })
        t.same(cities, ['Paris', 'Paris'])
        t.same((await generateText({ model, ...once, prompt: ASK_PERSON, output })).output, PERSON)
        const stream = streamText({ model, ...once, ...quiet, prompt: ASK_PERSON, output })
        t.same((await read(stream)).errors, [])
        t.same(await stream.output, PERSON)
      })
    )

    t.test(`a stream of ${name} that breaks is an error for ${provider}`, t =>
      withBench(t, async bench => {
        const models = make({ url: bench.url, fetch })
        for (const fault of BREAKS) {
          const model = models(modelOf(name, fault))
          const { errors } = await read(streamText({ model, ...once, ...quiet, prompt: HELLO }))
          t.ok(errors.length > 0, fault)
        }
        const control = new AbortController()
        const left = streamText({
          model: models(modelOf(name, 'slow')),
          ...once,
          ...quiet,
          prompt: HELLO,
          abortSignal: control.signal
        })
        for await (const part of left.fullStream) if (part.type === 'text-delta') control.abort()
        await bench.upstream.aborted(BREAKS.length)
      })
    )
  }

  t.test(`failures are typed errors for ${provider}`, t =>
    withBench(t, async bench => {
      const models = make(bench)
      const failing = (model: LanguageModel) => errorOf(generateText({ model, ...once, prompt: HELLO }))
      for (const name of UPSTREAMS) {
        const limited = await failing(models(modelOf(name, '429')))
        t.ok(APICallError.isInstance(limited))
        t.match(limited, { statusCode: 429, isRetryable: true, message: /rate/i })
      }
      t.match(await failing(models('nobody')), { statusCode: 404, isRetryable: false, message: /nobody/ })
      t.match(await failing(make(bench, 'wrong')('gemini')), { statusCode: 401, message: /key/ })
    })
  )
}

t.test('embeddings of both providers', t =>
  withBench(t, async bench => {
    const openai = createOpenAI(settings(bench, '/v1'))
    const google = createGoogle(settings(bench, '/v1beta'))
    const values = ['one rain', 'two rains']
    const vectors: number[][] = []
    for (const name of ['openai-chat', 'gemini']) {
      for (const model of [openai.embeddingModel(name), google.embeddingModel(name)]) {
        const { embeddings } = await embedMany({ model, values, ...once })
        t.equal(embeddings.length, 2)
        vectors.push(embeddings[1] ?? [])
      }
    }
    t.ok(
      vectors.every(vector => isNear(vector, vectors[0] ?? [])),
      'all four ways embed alike'
    )
  })
)
