import { createHash } from 'node:crypto'
import { type Fields, fields, list, textOf, tokensIn, wholeNumber } from './ask.ts'

const DIMENSIONS = 256
const MOST_DIMENSIONS = 4_096
const MOST_WORDS = 2_000

/** A unit vector of a text: the sum of one of each word, so that texts with common words lie near each other. */
function embed(text: string, dimensions: number): number[] {
  const sum = new Float64Array(dimensions)
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []
  for (const word of words.length > 0 ? words.slice(0, MOST_WORDS) : [text]) addWord(word, sum)
  const length = Math.hypot(...sum) || 1
  // As 32 bits hold it, so that both encodings say the same number.
  return Array.from(sum, value => Math.fround(value / length))
}

function addWord(word: string, sum: Float64Array): void {
  let state = createHash('sha256').update(word).digest().readUInt32LE(0) || 1
  for (let index = 0; index < sum.length; index++) {
    // xorshift32: small, and the same on each machine.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    sum[index] = (sum[index] ?? 0) + (state >> 0) / 2 ** 31
  }
}

/** One input is a text, or token numbers, which are a text of another kind. */
function inputsOf(input: unknown): string[] {
  if (!Array.isArray(input)) return [typeof input === 'string' ? input : JSON.stringify(input ?? '')]
  if (input.length > 0 && input.every(entry => typeof entry === 'number')) return [input.join(' ')]
  return input.map(entry =>
    typeof entry === 'string' ? entry : Array.isArray(entry) ? entry.join(' ') : JSON.stringify(entry)
  )
}

export function openAIEmbeddings(body: Fields, model: string): object {
  const dimensions = Math.min(wholeNumber(body['dimensions']) ?? DIMENSIONS, MOST_DIMENSIONS)
  const tokens = tokensIn(inputsOf(body['input']))
  const data = inputsOf(body['input']).map((text, index) => {
    const vector = embed(text, dimensions)
    const embedding = body['encoding_format'] === 'base64' ? base64Of(vector) : vector
    return { object: 'embedding', index, embedding }
  })
  return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } }
}

function base64Of(vector: readonly number[]): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * 4)
  return bytes.toString('base64')
}

export function geminiEmbedding(body: Fields): object {
  return { embedding: { values: valuesOf(body) } }
}

export function geminiEmbeddings(body: Fields): object {
  return { embeddings: list(body['requests']).map(request => ({ values: valuesOf(request) })) }
}

function valuesOf(request: Fields): number[] {
  const config = fields(request['embedContentConfig'])
  const asked = wholeNumber(request['outputDimensionality'], config['outputDimensionality'])
  const dimensions = Math.min(asked ?? DIMENSIONS, MOST_DIMENSIONS)
  return embed(textOf(fields(request['content'])['parts']), dimensions)
}
