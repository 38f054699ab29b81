import type { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'

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
}
