import type { DialectName, Operation } from '../dialects/dialect.ts'
import type { Caller } from '../keys/caller.ts'
import type { ScannedObject } from '../lib/json-scan.ts'

/** Top-level keys we look for while a body comes in. */
export const WANTED_KEYS: ReadonlySet<string> = new Set([
  'model',
  'stream',
  'max_tokens',
  'max_completion_tokens',
  'max_output_tokens',
  'generationConfig',
  'generation_config',
  'n',
  'prompt_cache_key',
  'user',
  'safety_identifier',
  'metadata',
  'messages'
])

/** A request's body as the chunks it came in, with what a scan found in them. */
export interface Body {
  readonly chunks: readonly Buffer[]
  readonly length: number
  readonly fields: ScannedObject
}

/** What a client asked, before anybody decided what becomes of it. */
export interface Inbound {
  readonly id: string
  /** The row of the endpoint table, as logs and metrics name it. */
  readonly endpoint: string
  readonly dialect: DialectName
  readonly operation: Operation
  readonly body: Body
  /** Undefined when the request names none. */
  readonly model: string | undefined
  readonly stream: boolean
  /** Gemini names the operation in the path: `streamGenerateContent`. */
  readonly action: string | undefined
  /** With its question mark, without credentials; empty when there is none. */
  readonly query: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** The administrator wants to be told how the answer came about. */
  readonly trace?: boolean
  /** Who asks; absent where nobody was asked who they are: in tests, and offline. */
  readonly caller?: Caller
  /** For whom the caller asks, as its client says. */
  readonly endUser?: string | undefined
  /** A hook asks this for a request that is being answered: it takes no place of its own. */
  readonly isInner?: true
  /** `performance.now()` when the body was complete. */
  readonly receivedAt: number
}

/** The way back to a client. */
export interface Client {
  /** Status and headers, as a flat list. Sent together with the first bytes. */
  begin(status: number, headers: string[]): void
  /** False: wait for `resume`. */
  write(chunk: Buffer): boolean
  end(chunk?: Buffer): void
  /** Cuts the connection, so that nobody takes a part for the whole. */
  destroy(): void
}
