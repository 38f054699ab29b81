// The conversation as we hold it: nobody's wire format, rich enough for each of them.
import type { Block, TextBlock } from './block.ts'

export type Fields = Readonly<Record<string, unknown>>

/** What only one dialect knows, under that dialect's name. Only that dialect reads it. */
export type Extra = Readonly<Record<string, Fields>>

/** Tool results are blocks of a `user` turn. A `system` turn is one in the middle; what precedes all turns is `system`. */
export interface Turn {
  readonly role: 'user' | 'assistant' | 'system'
  readonly blocks: readonly Block[]
  readonly extra?: Extra
}

export interface Tool {
  readonly name: string
  readonly description?: string
  /** JSON Schema of the arguments. None: `foreign` or free text. */
  readonly schema?: Fields
  readonly strict?: boolean
  /** Its input is text, not JSON; the format it has to follow is extra. */
  readonly freeform?: boolean
  /** A tool that only `dialect` knows, as it stands there: the upstream runs it itself. */
  readonly foreign?: { readonly dialect: string; readonly value: Fields }
  readonly extra?: Extra
}

export type ToolChoice = { readonly mode: 'auto' | 'any' | 'none' } | { readonly mode: 'named'; readonly name: string }

export const EFFORTS = ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
export type Effort = (typeof EFFORTS)[number]

export interface Reasoning {
  /** `adaptive`: the model decides. None: nothing but an effort or a budget was said. */
  readonly mode?: 'on' | 'off' | 'adaptive'
  readonly effort?: Effort
  /** Tokens it may think for. */
  readonly budget?: number
}

export interface Sampling {
  readonly temperature?: number
  readonly topP?: number
  readonly topK?: number
  readonly minP?: number
  readonly seed?: number
  readonly frequencyPenalty?: number
  readonly presencePenalty?: number
}

export type ResponseFormat =
  | { readonly type: 'text' | 'json' }
  | {
      readonly type: 'schema'
      readonly schema: Fields
      readonly name?: string
      readonly description?: string
      readonly strict?: boolean
    }

export interface ChatRequest {
  readonly model: string
  readonly system: readonly TextBlock[]
  readonly turns: readonly Turn[]
  readonly tools: readonly Tool[]
  readonly toolChoice?: ToolChoice
  /** False: one call an answer at most. */
  readonly parallelTools?: boolean
  readonly maxTokens?: number
  readonly stop?: readonly string[]
  readonly sampling?: Sampling
  readonly reasoning?: Reasoning
  readonly responseFormat?: ResponseFormat
  readonly stream: boolean
  /** An OpenAI client that asked for the usage of its stream. */
  readonly streamUsage?: boolean
  /** How many answers; more than one is OpenAI's and Gemini's alone. */
  readonly choices?: number
  readonly logprobs?: { readonly top?: number }
  /** Who the end user is, in the client's own terms. */
  readonly user?: string
  readonly metadata?: Fields
  readonly serviceTier?: string
  /** Fields of the request itself that only one dialect knows. */
  readonly extra?: Extra
}
