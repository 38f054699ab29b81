import type { ChatAnswer } from '../chat/answer.ts'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import { exactJson } from '../dialects/exact.ts'
import { DIALECTS } from '../dialects/index.ts'
import { parseJson } from '../lib/json-repair.ts'
import { scanObject } from '../lib/json-scan.ts'
import { type Client, type Inbound, WANTED_KEYS } from './inbound.ts'

/** What a hook asks the gateway itself, as the request that a client of the same kind would send. */
export function innerInbound(chat: ChatRequest, outer: Inbound, id: string): Inbound | Failure {
  const { dialect } = outer
  const { translate } = DIALECTS[dialect]
  if (translate === undefined) return new Failure('unsupported', `Nothing can be asked in ${dialect}.`)
  const encoded = translate.encodeRequest({ ...chat, stream: false })
  if (encoded instanceof Failure) return encoded
  const action = dialect === 'gemini' ? 'generateContent' : undefined
  return within(outer, id, { body: encoded.body, operation: 'chat', model: chat.model, action, dialect })
}

/** The same for the vectors of texts, which everybody asks for in OpenAI's words. */
export function innerEmbedding(model: string, texts: readonly string[], outer: Inbound, id: string): Inbound | Failure {
  const body = { model, input: texts, encoding_format: 'float' }
  const asked = within(outer, id, { body, operation: 'embeddings', model, action: undefined, dialect: 'openai-chat' })
  return asked instanceof Failure ? asked : { ...asked, endpoint: '/v1/embeddings' }
}

interface Asked extends Pick<Inbound, 'operation' | 'model' | 'action' | 'dialect'> {
  readonly body: object
}

function within(outer: Inbound, id: string, { body, ...asked }: Asked): Inbound | Failure {
  const bytes = Buffer.from(exactJson(body))
  const fields = scanObject([bytes], WANTED_KEYS)
  if ('problem' in fields) return new Failure('invalid-request', fields.problem)
  return {
    ...outer,
    ...asked,
    id,
    isInner: true,
    stream: false,
    query: '',
    body: { chunks: [bytes], length: bytes.length, fields },
    receivedAt: performance.now()
  }
}

/** What a chat was answered with. */
export function answerIn(text: string, { dialect, id }: Inbound): ChatAnswer | Failure {
  const answer = DIALECTS[dialect].translate?.decodeAnswer(parseJson(text), { id })
  return answer ?? new Failure('unsupported', 'The answer cannot be read.')
}

/** A vector for each of so many texts. */
export function vectorsIn(text: string, count: number): readonly (readonly number[])[] | Failure {
  const value = parseJson(text)
  const rows: unknown = typeof value === 'object' && value !== null && 'data' in value ? value.data : undefined
  const vectors = Array.isArray(rows) ? rows.map(vectorOf) : []
  const whole = vectors.filter(vector => vector !== undefined)
  return whole.length === count && count === vectors.length
    ? whole
    : new Failure('upstream-failed', 'The answer does not hold a vector for each text.')
}

function vectorOf(row: unknown): readonly number[] | undefined {
  const vector: unknown = typeof row === 'object' && row !== null && 'embedding' in row ? row.embedding : undefined
  const isVector = Array.isArray(vector) && vector.length > 0 && vector.every(number => typeof number === 'number')
  return isVector ? vector : undefined
}

/** A client that keeps what it is sent, and reads it when it is whole. */
export class InnerClient<Answer> implements Client {
  readonly #inbound: Inbound
  readonly #read: (text: string) => Answer | Failure
  readonly #done: (answer: Answer | Failure) => void
  readonly #chunks: Buffer[] = []
  #status = 0

  constructor(inbound: Inbound, read: (text: string) => Answer | Failure, done: (answer: Answer | Failure) => void) {
    this.#inbound = inbound
    this.#read = read
    this.#done = done
  }

  begin(status: number): void {
    this.#status = status
  }

  write(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    return true
  }

  end(chunk?: Buffer): void {
    if (chunk !== undefined) this.#chunks.push(chunk)
    const text = Buffer.concat(this.#chunks).toString('utf8')
    const status = this.#status
    if (status >= 200 && status <= 299) this.#done(this.#read(text))
    else this.#done(DIALECTS[this.#inbound.dialect].decodeFailure(status, text))
  }

  destroy(): void {
    this.#done(new Failure('upstream-failed', 'The answer broke off.'))
  }
}
