import type { Citation } from './citation.ts'
import type { TokenProbability } from './probability.ts'
import type { Extra, Fields } from './request.ts'

/** Where the bytes of an image, a document or a sound are. */
export type Source =
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'base64'; readonly mediaType: string; readonly data: string }
  /** Uploaded before, to this very upstream. */
  | { readonly kind: 'file'; readonly dialect: string; readonly id: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'blocks'; readonly blocks: readonly Block[] }

export interface TextBlock {
  readonly type: 'text'
  readonly text: string
  /** The text says why the model will not answer. */
  readonly refusal?: boolean
  /** Where it is from. */
  readonly citations?: readonly Citation[]
  /** The tokens it was made of. */
  readonly logprobs?: readonly TokenProbability[]
  readonly extra?: Extra
}

/** Thinking that another upstream must be able to verify has its proof in `extra`: what has none there is of our making. */
interface ThinkingBlock {
  readonly type: 'thinking'
  readonly text: string
  readonly extra?: Extra
}

/** Thinking that only the upstream which made it can read; it is all in `extra`. */
interface RedactedThinkingBlock {
  readonly type: 'redacted-thinking'
  readonly extra: Extra
}

export interface ToolCallBlock {
  readonly type: 'tool-call'
  readonly id: string
  readonly name: string
  /** The text of a JSON object, as the model wrote it; of a freeform tool, any text. */
  readonly input: string
  readonly freeform?: boolean
  readonly extra?: Extra
}

export interface ToolResultBlock {
  readonly type: 'tool-result'
  readonly callId: string
  readonly isError?: boolean
  readonly blocks: readonly Block[]
  readonly extra?: Extra
}

interface ImageBlock {
  readonly type: 'image'
  readonly source: Source
  readonly detail?: string
  readonly extra?: Extra
}

export interface DocumentBlock {
  readonly type: 'document'
  readonly source: Source
  /** Its title or file name. */
  readonly name?: string
  readonly extra?: Extra
}

interface AudioBlock {
  readonly type: 'audio'
  readonly source: Source
  readonly extra?: Extra
}

/** A block that only `dialect` knows, as it stands there. */
interface ForeignBlock {
  readonly type: 'foreign'
  readonly dialect: string
  readonly value: Fields
  /** What others can say instead. */
  readonly text?: string
}

export type Block =
  | TextBlock
  | ThinkingBlock
  | RedactedThinkingBlock
  | ToolCallBlock
  | ToolResultBlock
  | ImageBlock
  | DocumentBlock
  | AudioBlock
  | ForeignBlock
