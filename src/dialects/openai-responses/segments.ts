// Items of an upstream may come interleaved. Here they become blocks, one after the other: what may not be said yet is
// held back until what is open has ended.
import type { Block } from '../../chat/block.ts'
import type { Citation } from '../../chat/citation.ts'
import type { ChatEvent } from '../../chat/events.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Extra } from '../../chat/request.ts'

/** Some of a text with its tokens, or more that is known of the block. */
interface Piece {
  readonly text?: string
  readonly logprobs?: readonly TokenProbability[] | undefined
  readonly extra?: Extra
  readonly citations?: readonly Citation[]
}

/** A block, while it is written. */
export interface Segment {
  readonly block: Block
  /** What has come and is not said yet. */
  held: (string | Piece)[]
  hasText: boolean
  ended: boolean
}

export class Segments {
  readonly #emit: (event: ChatEvent) => void
  /** The first is the open block. */
  #queue: Segment[] = []
  #blocks = 0

  constructor(emit: (event: ChatEvent) => void) {
    this.#emit = emit
  }

  add(block: Block): Segment {
    const segment = { block, held: [], hasText: false, ended: false }
    this.#queue.push(segment)
    if (this.#queue.length === 1) this.#begin(segment)
    return segment
  }

  text(segment: Segment, text: string, logprobs?: readonly TokenProbability[]): void {
    if (text === '' || segment.ended) return
    segment.hasText = true
    this.#say(segment, logprobs === undefined ? text : { text, logprobs })
  }

  cite(segment: Segment, citations: readonly Citation[] | undefined): void {
    if (citations !== undefined && !segment.ended) this.#say(segment, { citations })
  }

  extra(segment: Segment, extra: Extra | undefined): void {
    if (extra !== undefined && !segment.ended) this.#say(segment, { extra })
  }

  end(segment: Segment): void {
    if (segment.ended) return
    segment.ended = true
    if (segment === this.#queue[0]) this.#advance()
  }

  /** Ends all that is open or held. */
  flush(): void {
    for (const segment of this.#queue) segment.ended = true
    this.#advance()
  }

  #advance(): void {
    let done = 0
    for (const segment of this.#queue) {
      if (done > 0) this.#begin(segment)
      if (!segment.ended) break
      this.#emit({ type: 'block-end', index: this.#blocks++ })
      done++
    }
    this.#queue = this.#queue.slice(done)
  }

  #begin(segment: Segment): void {
    this.#emit({ type: 'block-start', index: this.#blocks, block: segment.block })
    const { held } = segment
    segment.held = []
    for (const said of held) this.#say(segment, said, true)
  }

  #say(segment: Segment, said: string | Piece, isOpen = segment === this.#queue[0]): void {
    const index = this.#blocks
    if (!isOpen) segment.held.push(said)
    else if (typeof said === 'string') this.#emit({ type: 'block-delta', index, text: said })
    else {
      const { text, logprobs, extra = {}, citations } = said
      if (text !== undefined) this.#emit({ type: 'block-delta', index, text, ...(logprobs && { logprobs }) })
      else this.#emit({ type: 'block-extra', index, extra, ...(citations && { citations }) })
    }
  }
}
