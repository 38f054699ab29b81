// Embeddings between OpenAI's and Gemini's shapes, both ways.
import fc from 'fast-check'
import t from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { geminiEmbedding, geminiEmbeddings, openAIEmbeddings } from '../src/demo/embeddings.ts'
import { EMBEDDINGS } from '../src/dialects/embeddings.ts'

function translator(name: 'openai-chat' | 'gemini') {
  const found = EMBEDDINGS[name]
  if (found === undefined) throw new Error(name)
  return found
}

function right<T>(value: T | Failure): T {
  if (value instanceof Failure) throw new Error(value.message)
  return value
}

const openai = translator('openai-chat')
const gemini = translator('gemini')

/** A request of one dialect as the other is sent it. */
function asked(from: typeof openai, to: typeof openai, body: unknown) {
  return right(to.encodeRequest(right(from.decodeRequest(body)), 'embed-1'))
}

t.test('a request of OpenAI’s becomes a batch of Gemini’s', async t => {
  t.same(
    asked(openai, gemini, { model: 'x', input: ['Hi', 'Ho'], dimensions: 8, encoding_format: 'base64', user: 'u' }),
    {
      body: {
        requests: ['Hi', 'Ho'].map(text => ({
          model: 'models/embed-1',
          content: { parts: [{ text }] },
          outputDimensionality: 8
        }))
      },
      dropped: ['user']
    }
  )
  t.same(asked(openai, gemini, { input: 'Hi', store: true }), {
    body: { requests: [{ model: 'models/embed-1', content: { parts: [{ text: 'Hi' }] } }] },
    dropped: ['store']
  })
})

t.test('requests of Gemini’s become OpenAI’s', async t => {
  const content = { parts: [{ text: 'Hi' }] }
  const one = { content, taskType: 'RETRIEVAL_QUERY', outputDimensionality: 8 }
  t.same(asked(gemini, openai, one), { body: { model: 'embed-1', input: 'Hi', dimensions: 8 }, dropped: ['taskType'] })
  const two = { content: { parts: [{ text: 'Ho' }, { text: 'Hum' }] }, output_dimensionality: 8, title: 'T' }
  const requests = [one, { ...two, model: 'models/x' }]
  t.same(asked(gemini, openai, { requests }), {
    body: { model: 'embed-1', input: ['Hi', 'Ho\nHum'], dimensions: 8 },
    dropped: ['taskType', 'title']
  })
  const config = { content: 'Hi', embedContentConfig: { outputDimensionality: 4, taskType: 'CLUSTERING' } }
  t.same(asked(gemini, openai, config), {
    body: { model: 'embed-1', input: 'Hi', dimensions: 4 },
    dropped: ['taskType']
  })
})

t.test('a request stays what it is in its own dialect', async t => {
  for (const body of [
    { model: 'embed-1', input: ['a', 'b'], dimensions: 3, encoding_format: 'base64', user: 'u', truncate: true },
    { model: 'embed-1', input: 'a' },
    { model: 'embed-1', input: [1, 2, 3] },
    { model: 'embed-1', input: [[1, 2], [3]] }
  ])
    t.same(asked(openai, openai, body), { body, dropped: [] })
  const image = { parts: [{ text: 'a' }, { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }] }
  const requests = [
    { model: 'models/embed-1', content: image, outputDimensionality: 3 },
    { model: 'models/embed-1', content: { parts: [{ text: 'b' }] }, outputDimensionality: 3, taskType: 'CLUSTERING' }
  ]
  t.same(asked(gemini, gemini, { requests }), { body: { requests }, dropped: [] })
})

t.test('what cannot be asked is refused', async t => {
  const tokens = right(openai.decodeRequest({ input: [[1, 2], [3]] }))
  t.match(gemini.encodeRequest(tokens, 'm'), { kind: 'unsupported', details: { field: 'input' } })
  const image = { content: { parts: [{ inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }] } }
  t.match(openai.encodeRequest(right(gemini.decodeRequest(image)), 'm'), { kind: 'unsupported' })
  for (const body of [{}, { input: [] }, { input: { a: 1 } }, { input: ['a', {}] }, { input: [1, 'a'] }, null])
    t.match(openai.decodeRequest(body), { kind: 'invalid-request', details: { field: 'input' } })
  t.match(gemini.decodeRequest({}), { kind: 'invalid-request', details: { field: 'content' } })
  for (const requests of [[], [{}], 7])
    t.match(gemini.decodeRequest({ requests }), { kind: 'invalid-request', details: { field: 'requests' } })
  const content = { parts: [{ text: 'a' }] }
  const lengths = [{ content, outputDimensionality: 3 }, { content }]
  t.match(gemini.decodeRequest({ requests: lengths }), { kind: 'unsupported' })
})

t.test('what our own upstream answers is the same to a client of either', async t => {
  const request = right(openai.decodeRequest({ input: ['Hello there', 'Good day'], dimensions: 16 }))
  const { body } = right(gemini.encodeRequest(request, 'demo'))
  const vectors = right(gemini.decodeAnswer(geminiEmbeddings(body), 2))
  const direct = openAIEmbeddings({ input: ['Hello there', 'Good day'], dimensions: 16 }, 'demo')
  t.match(openai.encodeAnswer(vectors, request, 'demo'), { ...direct, usage: { prompt_tokens: 0 } })
  const wanted = { input: ['Hello there', 'Good day'], dimensions: 16, encoding_format: 'base64' }
  const base64 = right(openai.decodeAnswer(openAIEmbeddings(wanted, 'demo'), 2))
  t.same(base64.vectors, vectors.vectors)
  t.ok((base64.usage?.input ?? 0) > 0)
  const asBase64 = right(openai.decodeRequest(wanted))
  t.match(openai.encodeAnswer(vectors, asBase64, 'demo'), {
    ...openAIEmbeddings(wanted, 'demo'),
    usage: { prompt_tokens: 0 }
  })
  const single = right(
    gemini.decodeRequest({ content: { parts: [{ text: 'Hello there' }] }, outputDimensionality: 16 })
  )
  const one = right(openai.decodeAnswer(openAIEmbeddings({ input: 'Hello there', dimensions: 16 }, 'demo'), 1))
  t.match(gemini.encodeAnswer(one, single, 'demo'), {
    ...geminiEmbedding({ content: { parts: [{ text: 'Hello there' }] }, outputDimensionality: 16 }),
    usageMetadata: { promptTokenCount: one.usage?.input }
  })
  t.match(gemini.encodeAnswer(vectors, request, 'demo'), { embeddings: [{ values: vectors.vectors[0] }, {}] })
  const metered = { embedding: { values: [1] }, usageMetadata: { promptTokenCount: 5 } }
  t.match(gemini.decodeAnswer(metered, 1), { vectors: [[1]], usage: { input: 5 } })
})

t.test('answers are put in order and counted', async t => {
  const data = [
    { index: 1, embedding: [2] },
    { index: 0, embedding: [1] }
  ]
  t.same(openai.decodeAnswer({ data }, 2), { vectors: [[1], [2]] })
  t.same(openai.decodeAnswer({ data: [{ embedding: [1] }, { embedding: [2] }] }, 2), { vectors: [[1], [2]] })
  t.match(openai.decodeAnswer({ data }, 3), { kind: 'upstream-failed' })
  for (const embedding of [[], ['a'], 'abc', '', null, 7, [1, null]])
    t.match(openai.decodeAnswer({ data: [{ embedding }] }, 1), { kind: 'upstream-failed' }, JSON.stringify(embedding))
  for (const body of [{}, null, [], { embeddings: 7 }, { embeddings: [{}] }, { embedding: { values: 'x' } }])
    t.match(gemini.decodeAnswer(body, 1), { kind: 'upstream-failed' })
})

t.test('any vector survives base64, and no body throws', async () => {
  const vector = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 9 })
  const request = right(openai.decodeRequest({ input: 'x', encoding_format: 'base64' }))
  fc.assert(
    fc.property(vector, numbers => {
      const answer = openai.encodeAnswer({ vectors: [numbers] }, request, 'm')
      const [found] = right(openai.decodeAnswer(answer, 1)).vectors
      if (found?.some((value, at) => !Object.is(value, numbers[at]))) throw new Error(String(numbers))
    })
  )
  const key = fc.constantFrom(
    'input',
    'content',
    'requests',
    'parts',
    'text',
    'data',
    'embedding',
    'embeddings',
    'values'
  )
  const { any } = fc.letrec(tie => ({
    any: fc.oneof(
      { maxDepth: 5 },
      fc.jsonValue(),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(key, tie('any'))
    )
  }))
  fc.assert(
    fc.property(any, body => {
      for (const from of [openai, gemini]) {
        const decoded = from.decodeRequest(body)
        const answer = from.decodeAnswer(body, 1)
        for (const to of [openai, gemini]) {
          if (!(decoded instanceof Failure)) JSON.stringify(to.encodeRequest(decoded, 'm'))
          if (!(answer instanceof Failure)) JSON.stringify(to.encodeAnswer(answer, request, 'm'))
        }
      }
    }),
    { numRuns: 1_000 }
  )
})
