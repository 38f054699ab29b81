// Embeddings as OpenAI and Gemini have them. They are no conversation, so they have a small hub of their own.
import { Failure } from '../chat/failure.ts'
import type { Extra, Fields } from '../chat/request.ts'
import type { Usage } from '../chat/usage.ts'
import type { DialectName, EncodedRequest } from './dialect.ts'
import { Dropped } from './dropped.ts'
import { defined, fields, list, number, someFields, string, unread } from './read.ts'

type EmbeddingInput =
  | { readonly kind: 'text'; readonly text: string; readonly extra?: Extra }
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] }
  /** A content with more than text, which only Gemini can embed. */
  | { readonly kind: 'content'; readonly value: unknown; readonly extra?: Extra }

interface EmbeddingsRequest {
  readonly inputs: readonly EmbeddingInput[]
  readonly dimensions?: number
  /** How an OpenAI client wants its numbers. */
  readonly encoding?: 'float' | 'base64'
  /** It asked for one vector, not for a list of them. */
  readonly single: boolean
  readonly user?: string
  readonly extra?: Extra
}

interface EmbeddingsAnswer {
  readonly vectors: readonly (readonly number[])[]
  readonly usage?: Usage
}

/** Pure, like a chat translator. The model stands in the address or in each request of Gemini's, and in OpenAI's body. */
interface EmbeddingsTranslator {
  decodeRequest(body: unknown): EmbeddingsRequest | Failure
  /** Gemini's is always the body of `:batchEmbedContents`. */
  encodeRequest(request: EmbeddingsRequest, model: string): EncodedRequest | Failure
  /** `count` vectors, in the order of the inputs. */
  decodeAnswer(body: unknown, count: number): EmbeddingsAnswer | Failure
  /** What the client gets for the request it made. */
  encodeAnswer(answer: EmbeddingsAnswer, request: EmbeddingsRequest, model: string): Record<string, unknown>
}

/** The dialects that have embeddings. */
export const EMBEDDINGS: Partial<Record<DialectName, EmbeddingsTranslator>> = {
  'openai-chat': {
    decodeRequest: decodeOpenAIRequest,
    encodeRequest: encodeOpenAIRequest,
    decodeAnswer: decodeOpenAIAnswer,
    encodeAnswer: encodeOpenAIAnswer
  },
  gemini: {
    decodeRequest: decodeGeminiRequest,
    encodeRequest: encodeGeminiRequest,
    decodeAnswer: decodeGeminiAnswer,
    encodeAnswer: encodeGeminiAnswer
  }
}

const OPENAI = new Set(['model', 'input', 'dimensions', 'encoding_format', 'user'])

function decodeOpenAIRequest(input: unknown): EmbeddingsRequest | Failure {
  const body = fields(input)
  const inputs = decodeInputs(body['input'])
  if (inputs === undefined || inputs.length === 0) {
    return new Failure('invalid-request', 'input: a text or a list of texts is required.', { field: 'input' })
  }
  const encoding = body['encoding_format']
  return {
    inputs,
    single: false,
    ...(encoding === 'float' || encoding === 'base64' ? { encoding } : {}),
    ...defined({ dimensions: number(body['dimensions']), user: string(body['user']) }),
    ...unread('openai-chat', body, OPENAI)
  }
}

/** A text, the numbers of its tokens, or a list of either. */
function decodeInputs(input: unknown): EmbeddingInput[] | undefined {
  if (typeof input === 'string') return [{ kind: 'text', text: input }]
  if (!Array.isArray(input)) return undefined
  if (input.length > 0 && input.every(isNumber)) return [{ kind: 'tokens', tokens: input }]
  const inputs = input.map((entry): EmbeddingInput | undefined => {
    if (typeof entry === 'string') return { kind: 'text', text: entry }
    return Array.isArray(entry) && entry.every(isNumber) ? { kind: 'tokens', tokens: entry } : undefined
  })
  return inputs.every(entry => entry !== undefined) ? inputs : undefined
}

const isNumber = (value: unknown): value is number => typeof value === 'number'

function encodeOpenAIRequest(request: EmbeddingsRequest, model: string): EncodedRequest | Failure {
  const dropped = new Dropped('openai-chat')
  const input: unknown[] = []
  for (const entry of request.inputs) {
    if (entry.kind === 'content') {
      const message = 'content: this upstream embeds text alone.'
      return new Failure('unsupported', message, { field: 'content' })
    }
    if (entry.kind === 'text') dropped.extra(entry.extra)
    input.push(entry.kind === 'text' ? entry.text : entry.tokens)
  }
  const { dimensions, encoding, user } = request
  const body = {
    model,
    input: request.inputs.length === 1 ? input[0] : input,
    ...defined({ dimensions, encoding_format: encoding, user }),
    ...dropped.extra(request.extra)
  }
  return { body, dropped: dropped.list() }
}

function decodeOpenAIAnswer(input: unknown, count: number): EmbeddingsAnswer | Failure {
  const body = fields(input)
  const data = list(body['data'])
  // The index says where one belongs; servers that leave it out send them in order.
  const ordered = data
    .map((entry, at) => ({ at: number(entry['index']) ?? at, vector: vectorOf(entry['embedding']) }))
    .sort((one, other) => one.at - other.at)
  const usage = someFields(body['usage'])
  const input_tokens = number(usage?.['prompt_tokens']) ?? number(usage?.['total_tokens'])
  return answerOf(
    ordered.map(({ vector }) => vector),
    count,
    input_tokens
  )
}

function encodeOpenAIAnswer(
  { vectors, usage }: EmbeddingsAnswer,
  request: EmbeddingsRequest,
  model: string
): Record<string, unknown> {
  const data = vectors.map((vector, index) => ({
    object: 'embedding',
    index,
    embedding: request.encoding === 'base64' ? base64Of(vector) : vector
  }))
  const tokens = usage?.input ?? 0
  return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } }
}

const GEMINI = new Set(['model', 'content', 'outputDimensionality', 'output_dimensionality', 'embedContentConfig'])
const GEMINI_CONFIG = new Set(['outputDimensionality'])

/** The body of `:embedContent`, or of `:batchEmbedContents`. */
function decodeGeminiRequest(input: unknown): EmbeddingsRequest | Failure {
  const body = fields(input)
  const single = body['requests'] === undefined
  const requests = single ? [body] : list(body['requests'])
  if (requests.length === 0 || requests.some(request => request['content'] === undefined)) {
    const field = single ? 'content' : 'requests'
    return new Failure('invalid-request', `${field}: what is to be embedded is required.`, { field })
  }
  const dimensions = requests.map(dimensionsOf)
  if (dimensions.some(entry => entry !== dimensions[0])) {
    const message = 'requests: vectors of different lengths cannot be asked for at once.'
    return new Failure('unsupported', message, { field: 'outputDimensionality' })
  }
  return { inputs: requests.map(decodeGeminiInput), single, ...defined({ dimensions: dimensions[0] }) }
}

function dimensionsOf(request: Fields): number | undefined {
  return (
    number(request['outputDimensionality']) ??
    number(request['output_dimensionality']) ??
    number(fields(request['embedContentConfig'])['outputDimensionality'])
  )
}

function decodeGeminiInput(request: Fields): EmbeddingInput {
  const { content, embedContentConfig } = request
  const own = someFields({
    ...unread('gemini', request, GEMINI).extra?.['gemini'],
    ...unread('gemini', fields(embedContentConfig), GEMINI_CONFIG).extra?.['gemini']
  })
  const extra = own === undefined ? {} : { extra: { gemini: own } }
  const said = typeof content === 'string' ? content : fields(content)['parts']
  const parts = typeof said === 'string' ? [{ text: said }] : Array.isArray(said) ? list(said) : [fields(said)]
  const texts = parts.map(part => string(part['text'])).filter(text => text !== undefined)
  if (texts.length < parts.length) return { kind: 'content', value: content, ...extra }
  return { kind: 'text', text: texts.join('\n'), ...extra }
}

function encodeGeminiRequest(request: EmbeddingsRequest, model: string): EncodedRequest | Failure {
  const dropped = new Dropped('gemini')
  const requests: object[] = []
  for (const entry of request.inputs) {
    if (entry.kind === 'tokens') {
      const message = 'input: this upstream takes texts, not the numbers of their tokens.'
      return new Failure('unsupported', message, { field: 'input' })
    }
    requests.push({
      model: model.startsWith('models/') ? model : `models/${model}`,
      content: entry.kind === 'text' ? { parts: [{ text: entry.text }] } : entry.value,
      ...defined({ outputDimensionality: request.dimensions }),
      ...dropped.extra(entry.extra)
    })
  }
  if (request.user !== undefined) dropped.add('user')
  dropped.extra(request.extra)
  return { body: { requests }, dropped: dropped.list() }
}

function decodeGeminiAnswer(input: unknown, count: number): EmbeddingsAnswer | Failure {
  const body = fields(input)
  const said = body['embedding'] === undefined ? list(body['embeddings']) : [fields(body['embedding'])]
  const tokens = number(fields(body['usageMetadata'])['promptTokenCount'])
  return answerOf(
    said.map(({ values }) => vectorOf(values)),
    count,
    tokens
  )
}

function encodeGeminiAnswer({ vectors, usage }: EmbeddingsAnswer, request: EmbeddingsRequest): Record<string, unknown> {
  const embeddings = vectors.map(values => ({ values }))
  const usageMetadata =
    usage === undefined ? undefined : { promptTokenCount: usage.input, totalTokenCount: usage.input }
  return { ...(request.single ? { embedding: embeddings[0] } : { embeddings }), ...defined({ usageMetadata }) }
}

function answerOf(
  vectors: readonly (readonly number[] | undefined)[],
  count: number,
  input: number | undefined
): EmbeddingsAnswer | Failure {
  const found = vectors.filter(vector => vector !== undefined)
  if (found.length !== count) {
    return new Failure('upstream-failed', `The upstream answered with ${found.length} vectors for ${count} inputs.`)
  }
  if (input === undefined) return { vectors: found }
  return { vectors: found, usage: { input, output: 0, cacheRead: 0, cacheWrite: 0, reasoning: 0 } }
}

/** Numbers, or the base64 of their 32 bits each, the lowest first. */
function vectorOf(value: unknown): readonly number[] | undefined {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64')
    if (bytes.length === 0 || bytes.length % 4 !== 0) return undefined
    return Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(at * 4))
  }
  return Array.isArray(value) && value.length > 0 && value.every(isNumber) ? value : undefined
}

function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4)
  return bytes.toString('base64')
}
