// One call between two dialects: a request for the upstream, and its answer for the client, through the hub.
// The work is done by synchronous machines; nothing here waits.

import type { ChatEvent } from '../chat/events.ts'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { Usage } from '../chat/usage.ts'
import type { Dialect, Flavour, StreamDecoder, StreamEncoder, Translator } from '../dialects/dialect.ts'
import { parseJson } from '../lib/json-repair.ts'
import { SseReader } from '../lib/sse.ts'

export interface TranslationContext {
  /** The gateway's id of the call. */
  readonly id: string
  /** The model as the client named it. */
  readonly model: string
  /** Unix seconds. */
  readonly created: number
}

export interface TranslatedRequest {
  readonly body: Buffer
  /** What the upstream's dialect cannot say. */
  readonly dropped: readonly string[]
  readonly translation: Translation
}

/** True when a client of one dialect can be served by an upstream of the other. */
export function canTranslate(client: Dialect, upstream: Dialect): boolean {
  return client.translate !== undefined && upstream.translate !== undefined
}

/** Reads a client's request. */
export function readRequest(client: Dialect, chunks: readonly Buffer[]): ChatRequest | Failure {
  const body = parseJson(Buffer.concat(chunks).toString('utf8'))
  if (body === undefined) return new Failure('invalid-request', 'The body is not JSON.')
  return translatorOf(client).decodeRequest(body)
}

/** Writes the request for an upstream; the answer goes back through `translation`. */
export function writeRequest(
  chat: ChatRequest,
  client: Dialect,
  upstream: Dialect,
  flavour: Flavour,
  context: TranslationContext
): TranslatedRequest | Failure {
  const encoded = translatorOf(upstream).encodeRequest(chat, flavour)
  if (encoded instanceof Failure) return encoded
  const translation = new Translation(translatorOf(client), translatorOf(upstream), chat, context)
  return { body: Buffer.from(JSON.stringify(encoded.body)), dropped: encoded.dropped, translation }
}

/** What a piece of a stream came to: text for the client, or the failure that ends it. */
export interface Translated {
  readonly text: string
  readonly failure: Failure | undefined
}

/** The way back of one call. */
export class Translation {
  readonly #client: Translator
  readonly #upstream: Translator
  readonly #context: TranslationContext & { streamUsage: boolean }
  readonly #tools: readonly string[]
  readonly #reader = new SseReader()
  #decoder: StreamDecoder | undefined
  #encoder: StreamEncoder | undefined
  usage: Usage | undefined

  constructor(client: Translator, upstream: Translator, chat: ChatRequest, context: TranslationContext) {
    this.#client = client
    this.#upstream = upstream
    this.#context = { ...context, streamUsage: chat.streamUsage === true }
    this.#tools = chat.tools.map(tool => tool.name)
  }

  answer(bytes: Buffer): Buffer | Failure {
    const body = parseJson(bytes.toString('utf8'))
    if (body === undefined) return new Failure('upstream-failed', 'the answer is not JSON')
    const answer = this.#upstream.decodeAnswer(body, { id: this.#context.id, tools: this.#tools })
    if (answer instanceof Failure) return answer
    this.usage = answer.usage
    return Buffer.from(JSON.stringify(this.#client.encodeAnswer(answer, this.#context)))
  }

  push(chunk: Buffer): Translated {
    return this.#say(this.#reader.push(chunk).flatMap(frame => this.#decode().push(frame)))
  }

  /** The upstream has closed: the rest of the stream, or the failure that something is missing. */
  end(): Translated {
    const events = this.#reader.end().flatMap(frame => this.#decode().push(frame))
    const { text, failure } = this.#say([...events, ...this.#decode().end()])
    return failure === undefined ? { text: text + this.#encode().end(), failure } : { text, failure }
  }

  #say(events: readonly ChatEvent[]): Translated {
    let text = ''
    for (const event of events) {
      // The failure is written by whoever ends the exchange, like any other.
      if (event.type === 'failure') return { text, failure: event.failure }
      if (event.type === 'usage' || event.type === 'start') this.usage = event.usage ?? this.usage
      text += this.#encode().push(event)
    }
    const failure = this.#reader.overflowed
      ? new Failure('upstream-failed', 'one event of the stream is larger than anything we read')
      : undefined
    return { text, failure }
  }

  #decode(): StreamDecoder {
    this.#decoder ??= this.#upstream.decodeStream({ id: this.#context.id, tools: this.#tools })
    return this.#decoder
  }

  #encode(): StreamEncoder {
    this.#encoder ??= this.#client.encodeStream(this.#context)
    return this.#encoder
  }
}

function translatorOf(dialect: Dialect): Translator {
  if (dialect.translate === undefined) throw new Error(`${dialect.name} has no translator`)
  return dialect.translate
}
