import type { ChatAnswer } from '../chat/answer.ts'
import type { ChatEvent } from '../chat/events.ts'
import type { Failure } from '../chat/failure.ts'
import type { ChatRequest, Tool } from '../chat/request.ts'
import type { Usage } from '../chat/usage.ts'
import type { SseFrame } from '../lib/sse.ts'
import type { Dropped } from './dropped.ts'

export type DialectName = 'openai-chat' | 'openai-responses' | 'anthropic' | 'gemini'

/** What a route asks a model for. Each dialect speaks some of them. */
export type Operation = 'chat' | 'completions' | 'embeddings' | 'count-tokens'

/** A wire protocol. Pure: no clock, no network, no config. */
export interface Dialect {
  readonly name: DialectName
  /** The JSON body of an answer that failed. `requestId` is the gateway's own id of the call. */
  encodeFailure(failure: Failure, requestId: string): string
  /** The status to answer with, where this protocol's clients expect another one than the table's. */
  statusOf(failure: Failure): number
  /**
   * The SSE bytes that tell a client whose stream has begun that it failed. `tail` is what the client was sent last:
   * Responses goes on counting from there. The caller ends a frame that was cut before it sends this one.
   */
  encodeFailureFrame(failure: Failure, requestId: string, tail?: string): string
  /** Reads an upstream's error answer, or the data of an error frame (`status` below 400: the text has to say which). */
  decodeFailure(status: number, text: string): Failure
  /** Usage of a whole JSON answer or of a stream, read from its first and last bytes; undefined when it says none. */
  readUsage(head: string, tail: string): Usage | undefined
  /** True when a stream's last bytes hold this protocol's proper end. */
  streamEnded(tail: string): boolean
  /** To and from the conversation as we hold it; a dialect without it passes bytes only. */
  readonly translate?: Translator
  /** The clients of another operation whose answers a chat can give. */
  readonly completions?: ClientSide
  /** Its clients that want a stream as one JSON array. */
  readonly array?: ClientSide
}

/**
 * How much of a dialect an upstream takes. `official`: what its company documents, and refuses the rest; `compatible`:
 * what all who imitate it take; `local`: a server of open models, with their own fields (`top_k`, `chat_template_kwargs`).
 */
export type Flavour = 'official' | 'compatible' | 'local'

export interface DecodeContext {
  /** Ids that the upstream leaves out are made from this one; without it, from the upstream's id of the answer. */
  readonly id?: string
  /** Names of the tools on offer: calls are matched to them without regard to case. */
  readonly tools?: readonly string[]
  /** Takes what of an answer cannot be held. */
  readonly dropped?: Dropped
}

export interface EncodeContext {
  /** The id of the answer without a prefix: letters, digits, `_` and `-`. */
  readonly id: string
  /** The model's name as the client knows it. */
  readonly model: string
  /** Unix seconds. */
  readonly created: number
  /** OpenAI's clients get the usage of a stream only when they ask for it. */
  readonly streamUsage?: boolean
  /** The tools of the request: Responses calls some by a namespace, and some with text for their input. */
  readonly tools?: readonly Tool[]
  /** Takes what of an answer the client cannot be told. */
  readonly dropped?: Dropped
}

export interface EncodedRequest {
  readonly body: Record<string, unknown>
  /** Field paths that could not be said, sorted, each once. */
  readonly dropped: string[]
}

/** A synchronous machine: what a frame means, now. `end` says what is missing when the upstream closes. */
export interface StreamDecoder {
  push(frame: SseFrame): ChatEvent[]
  end(): ChatEvent[]
}

/** SSE text of an event, empty when there is nothing to say. `end` after the last event: a stream never just stops. */
export interface StreamEncoder {
  push(event: ChatEvent): string
  /** For a client that would give up: what it takes for progress, while there is none. Comments and pings are not. */
  keepAlive(): string
  end(): string
}

/** What a client sends and is sent. */
export type ClientSide = Pick<Translator, 'decodeRequest' | 'encodeAnswer' | 'encodeStream'>

export interface Translator {
  decodeRequest(body: unknown): ChatRequest | Failure
  encodeRequest(chat: ChatRequest, flavour?: Flavour): EncodedRequest | Failure
  decodeAnswer(body: unknown, context?: DecodeContext): ChatAnswer | Failure
  encodeAnswer(answer: ChatAnswer, context: EncodeContext): Record<string, unknown>
  decodeStream(context?: DecodeContext): StreamDecoder
  encodeStream(context: EncodeContext): StreamEncoder
}
