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
  const { translate } = DIALECTS[outer.dialect]
  if (translate === undefined) return new Failure('unsupported', `Nothing can be asked in ${outer.dialect}.`)
  const encoded = translate.encodeRequest({ ...chat, stream: false })
  if (encoded instanceof Failure) return encoded
  const bytes = Buffer.from(exactJson(encoded.body))
  const fields = scanObject([bytes], WANTED_KEYS)
  if ('problem' in fields) return new Failure('invalid-request', fields.problem)
  return {
    ...outer,
    id,
    isInner: true,
    operation: 'chat',
    stream: false,
    model: chat.model,
    action: outer.dialect === 'gemini' ? 'generateContent' : undefined,
    query: '',
    body: { chunks: [bytes], length: bytes.length, fields },
    receivedAt: performance.now()
  }
}

/** A client that keeps what it is sent. */
export class InnerClient implements Client {
  readonly #inbound: Inbound
  readonly #done: (answer: ChatAnswer | Failure) => void
  readonly #chunks: Buffer[] = []
  #status = 0

  constructor(inbound: Inbound, done: (answer: ChatAnswer | Failure) => void) {
    this.#inbound = inbound
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
    const dialect = DIALECTS[this.#inbound.dialect]
    const status = this.#status
    if (status < 200 || status > 299) return this.#done(dialect.decodeFailure(status, text))
    const answer = dialect.translate?.decodeAnswer(parseJson(text), { id: this.#inbound.id })
    this.#done(answer ?? new Failure('unsupported', 'The answer cannot be read.'))
  }

  destroy(): void {
    this.#done(new Failure('upstream-failed', 'The answer broke off.'))
  }
}
