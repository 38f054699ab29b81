// One call between two dialects: a request for the upstream, and its answer for the client, through the hub.
// The work is done by synchronous machines; nothing here waits.

import type { ChatAnswer } from '../chat/answer.ts'
import { Collector } from '../chat/collect.ts'
import type { ChatEvent } from '../chat/events.ts'
import { Failure } from '../chat/failure.ts'
import { eventsOf } from '../chat/replay.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { Usage } from '../chat/usage.ts'
import type {
  ClientSide,
  DecodeContext,
  EncodeContext,
  StreamDecoder,
  StreamEncoder,
  Translator
} from '../dialects/dialect.ts'
import { exactJson, parseExact } from '../dialects/exact.ts'
import { SseReader } from '../lib/sse.ts'
import { blockWithOwnTokens, lessIn, withOwnTokens } from './own-tokens.ts'
import type { Translated, WayBack } from './way-back.ts'

/** Sees each event of an answer on its way to the client, and may make others of it. */
interface Stage {
  push(event: ChatEvent): readonly ChatEvent[]
}

type Reviewed = ChatAnswer | Failure
type Written = Buffer | Failure | Promise<Buffer | Failure>

export interface TranslationSettings {
  readonly client: ClientSide
  readonly upstream: Translator
  readonly chat: ChatRequest
  readonly context: EncodeContext
  /** In the order in which events pass them. */
  readonly stages: readonly Stage[]
  /** What the client's stream is written with; part of it may have been written already. */
  readonly encoder: StreamEncoder
  /** What the client takes the stream for. */
  readonly streamType: string
  /** May make another answer of the whole one, or refuse it. Of a stream it can change nothing any more. */
  readonly review: ((answer: ChatAnswer) => Reviewed | Promise<Reviewed>) | undefined
  /** Given the whole answer, once it is there. */
  readonly keep: ((answer: ChatAnswer) => void) | undefined
}

/** The way back of one chat. */
export class Translation implements WayBack {
  readonly #settings: TranslationSettings
  readonly #tools: readonly string[]
  readonly #reader = new SseReader()
  readonly #collector: Collector | undefined
  #decoder: StreamDecoder | undefined
  readonly streamType: string
  usage: Usage | undefined
  refusal: Failure | undefined

  constructor(settings: TranslationSettings) {
    this.#settings = settings
    this.streamType = settings.streamType
    this.#tools = settings.chat.tools.map(tool => tool.name)
    const passes = settings.keep === undefined && settings.review === undefined && settings.chat.stream
    this.#collector = passes ? undefined : new Collector()
  }

  get #decoding(): DecodeContext {
    const { id, dropped } = this.#settings.context
    return { id, tools: this.#tools, ...(dropped !== undefined && { dropped }) }
  }

  answer(bytes: Buffer): Written {
    const answer = this.#read(bytes)
    return answer instanceof Failure ? answer : this.write(answer)
  }

  /** An answer that no upstream gave. */
  write(answer: ChatAnswer): Written {
    this.usage = answer.usage
    const staged = this.#staged(answer)
    return staged instanceof Failure ? staged : this.#reviewed(staged)
  }

  /** The same for a client that asked for a stream. */
  writeStream(answer: ChatAnswer): Translated {
    const said = this.#say(eventsOf(answer))
    return said.failure === undefined ? this.#close(said.text) : said
  }

  /** For an upstream that answers as a whole though a stream was asked for. */
  answerStream(bytes: Buffer): Translated {
    const answer = this.#read(bytes)
    return answer instanceof Failure ? { text: '', failure: answer } : this.writeStream(answer)
  }

  push(chunk: Buffer): Translated {
    return this.#say(this.#reader.push(chunk).flatMap(frame => this.#decode().push(frame)))
  }

  end(): Translated {
    const events = this.#reader.end().flatMap(frame => this.#decode().push(frame))
    const { text, failure } = this.#say([...events, ...this.#decode().end()])
    return failure === undefined ? this.#close(text) : { text, failure }
  }

  /** For an upstream that streams though an answer was asked for: after `push` and `end`, what it came to. */
  gathered(): Written {
    const answer = this.#collector?.answer() ?? new Failure('upstream-failed', 'the answer came as a stream')
    return answer instanceof Failure ? answer : this.#reviewed(answer)
  }

  #read(bytes: Buffer): ChatAnswer | Failure {
    const body = parseExact(bytes.toString('utf8'))
    if (body === undefined) return new Failure('upstream-failed', 'the answer is not JSON')
    const { upstream } = this.#settings
    const answer = upstream.decodeAnswer(body, this.#decoding)
    if (!(answer instanceof Failure)) this.usage = answer.usage
    return answer
  }

  /** An answer passes the stages as the events it would have been. */
  #staged(answer: ChatAnswer): ChatAnswer | Failure {
    if (this.#settings.stages.length === 0) return answer
    const collector = new Collector()
    for (const event of this.#pass(eventsOf(answer))) collector.push(event)
    const staged = collector.answer()
    if (!(staged instanceof Failure)) return { ...answer, ...staged }
    // The answer was whole before the stages saw it.
    this.refusal = staged
    return staged
  }

  #reviewed(answer: ChatAnswer): Written {
    const said = this.#settings.review?.(answer) ?? answer
    return said instanceof Promise ? said.then(late => this.#written(late)) : this.#written(said)
  }

  #written(answer: Reviewed): Buffer | Failure {
    if (answer instanceof Failure) {
      this.refusal = answer
      return answer
    }
    this.#settings.keep?.(answer)
    const told = this.#settings.review === undefined ? answer : this.#reworded(answer)
    return Buffer.from(exactJson(this.#encodeAnswer(told)))
  }

  #reworded(answer: ChatAnswer): ChatAnswer {
    const blocks = answer.blocks.map(blockWithOwnTokens)
    if (blocks.some((block, at) => block !== answer.blocks[at])) this.#settings.context.dropped?.add('logprobs')
    return { ...answer, blocks }
  }

  #encodeAnswer(answer: ChatAnswer): Record<string, unknown> {
    return this.#settings.client.encodeAnswer(answer, this.#settings.context)
  }

  #pass(events: readonly ChatEvent[]): readonly ChatEvent[] {
    const { stages, context } = this.#settings
    if (stages.length === 0) return events
    let passed = events
    for (const stage of stages) passed = passed.flatMap(event => stage.push(event))
    const told = passed.map(withOwnTokens)
    for (const what of lessIn(told, events)) context.dropped?.add(what)
    return told
  }

  #say(events: readonly ChatEvent[]): Translated {
    let text = ''
    for (const event of this.#pass(events)) {
      // The failure is written by whoever ends the exchange, like any other.
      if (event.type === 'failure') {
        if (!events.includes(event)) this.refusal = event.failure
        return { text, failure: event.failure }
      }
      if (event.type === 'usage' || event.type === 'start') this.usage = event.usage ?? this.usage
      this.#collector?.push(event)
      text += this.#settings.encoder.push(event)
    }
    const failure = this.#reader.overflowed
      ? new Failure('upstream-failed', 'one event of the stream is larger than anything we read')
      : undefined
    return { text, failure }
  }

  #close(text: string): Translated {
    const { keep, review, chat } = this.#settings
    const answer = chat.stream ? this.#collector?.answer() : undefined
    if (answer !== undefined && !(answer instanceof Failure)) {
      keep?.(answer)
      void review?.(answer)
    }
    return { text: text + this.#settings.encoder.end(), failure: undefined }
  }

  #decode(): StreamDecoder {
    this.#decoder ??= this.#settings.upstream.decodeStream(this.#decoding)
    return this.#decoder
  }
}
