import type { Block } from './block.ts'
import type { Extra } from './request.ts'
import type { Usage } from './usage.ts'

/** Why a model stopped. `pause`: it would go on if it were sent its own answer. */
export type FinishReason =
  | 'stop'
  | 'length'
  | 'tool-calls'
  | 'stop-sequence'
  | 'refusal'
  | 'content-filter'
  | 'context-exceeded'
  | 'pause'

export interface ChatAnswer {
  /** The upstream's own id; empty when it has none. */
  readonly id: string
  readonly model: string
  readonly blocks: readonly Block[]
  readonly finish: FinishReason
  /** The sequence that `stop-sequence` means, where the upstream says so. */
  readonly stopSequence?: string
  readonly usage?: Usage
  readonly extra?: Extra
}
