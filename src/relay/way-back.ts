import type { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'

/** What a piece of a stream came to: text for the client, or the failure that ends it. */
export interface Translated {
  readonly text: string
  readonly failure: Failure | undefined
}

/** How the answer of an upstream that was asked in another way than the client did becomes the client's. */
export interface WayBack {
  /** The media type of a stream. */
  readonly streamType: string
  readonly usage: Usage | undefined
  /** What a hook has refused the answer with; it is not the upstream's failure. */
  readonly refusal?: Failure | undefined
  /** A whole answer. */
  answer(bytes: Buffer): Buffer | Failure | Promise<Buffer | Failure>
  /** A whole answer for a client that asked for a stream. */
  answerStream(bytes: Buffer): Translated
  /** A piece of a stream. */
  push(chunk: Buffer): Translated
  /** The upstream has closed: the rest of the stream, or the failure that something is missing. */
  end(): Translated
  /** What a stream came to, for a client that asked for none. */
  gathered(): Buffer | Failure | Promise<Buffer | Failure>
}
