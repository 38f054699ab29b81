// A streamed answer. `start` comes first and once; blocks follow one after the other with indices 0, 1, 2, …, never two
// open at a time; the last `usage` counts; `finish` or `failure` is the last event.
import type { FinishReason } from './answer.ts'
import type { Block } from './block.ts'
import type { Citation } from './citation.ts'
import type { Failure } from './failure.ts'
import type { TokenProbability } from './probability.ts'
import type { Extra } from './request.ts'
import type { Usage } from './usage.ts'

export type ChatEvent =
  | {
      readonly type: 'start'
      readonly id: string
      readonly model: string
      /** What is known before the answer: the prompt's tokens. */
      readonly usage?: Usage
    }
  /** A block without its text, thinking or input, which come as deltas. Others come whole. */
  | { readonly type: 'block-start'; readonly index: number; readonly block: Block }
  | {
      readonly type: 'block-delta'
      readonly index: number
      readonly text: string
      readonly logprobs?: readonly TokenProbability[]
    }
  /** More of the open block: what one dialect alone knows, a signature say (a list grows by what it is sent); sources of its text. */
  | {
      readonly type: 'block-extra'
      readonly index: number
      readonly extra: Extra
      readonly citations?: readonly Citation[]
    }
  | { readonly type: 'block-end'; readonly index: number }
  | { readonly type: 'usage'; readonly usage: Usage }
  | { readonly type: 'finish'; readonly reason: FinishReason; readonly stopSequence?: string; readonly extra?: Extra }
  | { readonly type: 'failure'; readonly failure: Failure }
  /** Nothing happened, and the upstream is alive. */
  | { readonly type: 'ping' }
