import type { ChatAnswer } from '../chat/answer.ts'
import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'
import type { WireHeaders } from '../lib/wire.ts'
import type { Translation } from '../relay/translate.ts'
import type { Attempt, ErrorAnswer } from './attempt.ts'
import { addReturned } from './headers.ts'
import type { Client, Inbound } from './inbound.ts'
import type { Known, Preparation } from './prepare.ts'

export interface DeliveryOwner {
  /** The gateway's own headers, as they are to be now. */
  ownHeaders(): string[]
}

const EVENTS = 'text/event-stream'
const STREAM_HEADERS = ['cache-control', 'no-cache', 'x-accel-buffering', 'no']
/** Clients that are not told when to come back do at once, or never. */
const COME_BACK: ReadonlySet<number> = new Set([429, 503, 529])
const COME_BACK_SECONDS = '5'

/** What a client is sent, in order: a head once, then an answer, or a failure in whatever form is still possible. */
export class Delivery {
  readonly #client: Client
  readonly #inbound: Inbound
  readonly #dialect: Dialect
  readonly #preparation: Preparation
  readonly #owner: DeliveryOwner
  #framed = false
  status = 0
  /** The client has been sent a status. */
  begun = false
  /** It has been sent some of an answer, so there is no going back to another target. */
  answering = false
  firstByteAt = 0
  bytes = 0

  constructor(client: Client, inbound: Inbound, preparation: Preparation, owner: DeliveryOwner) {
    this.#client = client
    this.#inbound = inbound
    this.#dialect = DIALECTS[inbound.dialect]
    this.#preparation = preparation
    this.#owner = owner
  }

  /** A stream of events is being sent. */
  get framed(): boolean {
    return this.#framed
  }

  /** `length`: of a whole answer; a stream has none. */
  begin(status: number, upstream: WireHeaders, length: number | undefined): void {
    this.firstByteAt = performance.now()
    this.answering = true
    this.#framed ||= length === undefined && String(upstream['content-type']).startsWith(EVENTS)
    if (this.begun) return
    this.begun = true
    const headers = this.#owner.ownHeaders()
    addReturned(upstream, headers)
    if (length !== undefined) headers.push('content-length', String(length))
    else if (this.#framed) headers.push(...STREAM_HEADERS)
    this.#head(status, headers)
  }

  /** False: the client takes no more for now. */
  write(chunk: Buffer): boolean {
    this.bytes += chunk.length
    return this.#client.write(chunk)
  }

  end(last: Buffer | undefined): void {
    this.bytes += last?.length ?? 0
    this.#client.end(last)
  }

  /** An answer that no upstream gave. `done` is called at once unless hooks take their time over it. */
  answer(way: Translation | Failure, answer: ChatAnswer, done: (failure?: Failure, usage?: Usage) => void): void {
    if (way instanceof Failure) return done(way)
    if (this.#inbound.stream) {
      const { text, failure } = way.writeStream(answer)
      if (failure !== undefined) return done(failure)
      this.begin(200, { 'content-type': way.streamType }, undefined)
      this.end(Buffer.from(text))
      return done(undefined, way.usage)
    }
    const tell = (body: Buffer | Failure) => {
      if (body instanceof Failure || this.begun) return done(body instanceof Failure ? body : undefined, way.usage)
      this.begin(200, { 'content-type': 'application/json' }, body.length)
      this.end(body)
      done(undefined, way.usage)
    }
    const written = way.write(answer)
    if (written instanceof Promise) void written.then(tell)
    else tell(written)
  }

  /** What takes no upstream at all. */
  tell({ body }: Known): void {
    const headers = this.#owner.ownHeaders()
    headers.push('x-gateway-estimated', 'true', 'content-type', 'application/json')
    this.#whole(200, headers, body)
  }

  /** Tells a client that waits for a stream that somebody is there; false when it cannot be told any more. */
  reassure(attempt: Attempt | undefined): boolean {
    // Bytes that pass are the upstream's own; there is nothing of ours to put between them.
    if (attempt?.listens === false) return false
    const sign = this.#preparation.signOfLife()
    if (sign === '') return false
    if (!this.begun) {
      this.begun = true
      const { streamType } = this.#preparation
      this.#framed = streamType.startsWith(EVENTS)
      this.#head(200, [...this.#owner.ownHeaders(), 'content-type', streamType, ...STREAM_HEADERS])
    }
    this.write(Buffer.from(sign))
    attempt?.speakThrough(() => this.#preparation.ownWay(attempt.target))
    return true
  }

  /** Ends what was begun so that nobody takes a part for the whole. */
  breakOff(failure: Failure, attempt: Attempt | undefined): void {
    // After part of a JSON body only a broken connection says that it is not whole.
    if (this.#framed) this.end(Buffer.from(this.#lastWords(failure, attempt)))
    else this.#client.destroy()
  }

  /** An upstream's error in its own words. */
  pass(answer: ErrorAnswer): void {
    const headers = this.#owner.ownHeaders()
    addReturned(answer.headers, headers)
    // Codex gives up on a 429 that does not say when to come back.
    if (answer.status === 429 && answer.headers['retry-after'] === undefined)
      headers.push('retry-after', COME_BACK_SECONDS)
    this.#whole(answer.status, headers, answer.body)
  }

  fail(failure: Failure): void {
    const status = this.#dialect.statusOf(failure)
    const { retryAfter } = failure.details
    const headers = this.#owner.ownHeaders()
    headers.push('content-type', 'application/json')
    if (retryAfter !== undefined) headers.push('retry-after', String(Math.ceil(retryAfter)))
    else if (COME_BACK.has(status)) headers.push('retry-after', COME_BACK_SECONDS)
    this.#whole(status, headers, Buffer.from(this.#dialect.encodeFailure(failure, this.#inbound.id)))
  }

  #whole(status: number, headers: string[], body: Buffer): void {
    this.begun = true
    headers.push('content-length', String(body.length))
    this.#head(status, headers)
    this.end(body)
  }

  #head(status: number, headers: string[]): void {
    this.status = status
    this.#client.begin(status, headers)
  }

  /** Goes on from what the client was sent last. */
  #lastWords(failure: Failure, attempt: Attempt | undefined): string {
    const said = attempt?.listens === false ? undefined : this.#preparation.lastWords(failure)
    return said ?? this.#dialect.encodeFailureFrame(failure, this.#inbound.id, attempt?.tail)
  }
}
