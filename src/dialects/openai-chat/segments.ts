// OpenAI's deltas say what they belong to, not where it begins or ends, and calls may come interleaved. Here they
// become blocks, one after the other: what may not be said yet is held back until what is open has ended.
import type { Block } from '../../chat/block.ts'
import type { Citation } from '../../chat/citation.ts'
import type { ChatEvent } from '../../chat/events.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import { missingEnd, ObjectProgress, repairObject } from '../../lib/json-repair.ts'

export type TextKind = 'text' | 'thinking' | 'refusal'

/** More of a text: words, with their tokens, or where they are from. */
interface Piece {
  readonly text: string
  readonly logprobs: readonly TokenProbability[] | undefined
  readonly citations: readonly Citation[] | undefined
}

interface TextSegment {
  readonly kind: TextKind
  held: Piece[]
}

/** A call, while it is written. */
export interface CallSegment {
  readonly kind: 'call'
  id: string
  name: string
  freeform: boolean
  readonly progress: ObjectProgress
  /** All of its input, of which `said` pieces are out. */
  readonly pieces: string[]
  said: number
  ended: boolean
}

type Segment = TextSegment | CallSegment

export class Segments {
  readonly #emit: (event: ChatEvent) => void
  /** The first is the open block, if it has begun. */
  #queue: Segment[] = []
  #first = 0
  #begun = false
  #blocks = 0

  constructor(emit: (event: ChatEvent) => void) {
    this.#emit = emit
  }

  text(kind: TextKind, text: string, logprobs?: readonly TokenProbability[]): void {
    if (text === '') return
    const last = this.#queue.at(-1)
    if (last?.kind === kind && this.#begun && last === this.#queue[this.#first]) this.#delta(text, logprobs)
    else this.#more(kind, { text, logprobs, citations: undefined })
  }

  /** Of the text that was said last; of an empty one when there is none. */
  cite(citations: readonly Citation[]): void {
    this.#more('text', { text: '', logprobs: undefined, citations })
  }

  #more(kind: TextKind, piece: Piece): void {
    const last = this.#queue.at(-1)
    if (last === undefined || last.kind === 'call' || last.kind !== kind) this.#add({ kind, held: [piece] })
    else if (this.#begun && last === this.#queue[this.#first]) this.#piece(piece)
    else last.held.push(piece)
  }

  call(id: string): CallSegment {
    const call = { kind: 'call' as const, id, name: '', freeform: false, progress: new ObjectProgress() }
    const segment: CallSegment = { ...call, pieces: [], said: 0, ended: false }
    this.#add(segment)
    return segment
  }

  /** More of a call's input, or its name, has come. What comes after its last brace belongs to nothing. */
  grow(call: CallSegment, input: string): void {
    if (call.ended) return
    if (input !== '') {
      call.pieces.push(input)
      call.progress.push(input)
    }
    if (call === this.#queue[this.#first]) this.#advance()
  }

  /** Ends all that is held. `isCut`: the model was stopped, so what is not complete stays so. */
  flush(isCut: boolean): void {
    for (; this.#first < this.#queue.length; this.#close(isCut)) {
      const segment = this.#queue[this.#first]
      if (!this.#begun && segment?.kind === 'call' && !isCut) mend(segment)
      this.#say(true)
    }
    this.#queue = []
    this.#first = 0
  }

  #add(segment: Segment): void {
    this.#queue.push(segment)
    this.#advance()
  }

  #advance(): void {
    for (;;) {
      this.#say(false)
      const segment = this.#queue[this.#first]
      const isLast = this.#first + 1 >= this.#queue.length
      if (segment === undefined || isLast) return
      if (segment.kind === 'call' && (segment.name === '' || segment.freeform || !segment.progress.complete)) return
      this.#close(false)
    }
  }

  /** Says what the first segment holds. */
  #say(anyway: boolean): void {
    const segment = this.#queue[this.#first]
    if (segment === undefined) return
    if (segment.kind !== 'call') {
      this.#begin(blockOf(segment.kind))
      for (const piece of segment.held) this.#piece(piece)
      segment.held = []
      return
    }
    if (segment.name === '' && !anyway) return
    const { id, name, freeform } = segment
    this.#begin({ type: 'tool-call', id, name: name || 'unknown', input: '', ...(freeform && { freeform }) })
    for (; segment.said < segment.pieces.length; segment.said++) this.#delta(segment.pieces[segment.said] ?? '')
  }

  #begin(block: Block): void {
    if (this.#begun) return
    this.#begun = true
    this.#emit({ type: 'block-start', index: this.#blocks, block })
  }

  #piece({ text, logprobs, citations }: Piece): void {
    if (citations === undefined) this.#delta(text, logprobs)
    else this.#emit({ type: 'block-extra', index: this.#blocks, extra: {}, citations })
  }

  #delta(text: string, logprobs?: readonly TokenProbability[]): void {
    const index = this.#blocks
    this.#emit(
      logprobs === undefined ? { type: 'block-delta', index, text } : { type: 'block-delta', index, text, logprobs }
    )
  }

  #close(isCut: boolean): void {
    const segment = this.#queue[this.#first]
    if (segment?.kind === 'call') {
      segment.ended = true
      if (!segment.freeform && !isCut && !segment.progress.complete) {
        const ending = missingEnd(segment.pieces.join(''), segment.progress)
        if (ending !== undefined && ending !== '') this.#delta(ending)
      }
      segment.pieces.length = 0
    }
    this.#emit({ type: 'block-end', index: this.#blocks++ })
    this.#begun = false
    this.#first++
    // Segments that have been said are let go.
    if (this.#first > 64 && this.#first * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#first)
      this.#first = 0
    }
  }
}

function blockOf(kind: TextKind): Block {
  if (kind === 'thinking') return { type: 'thinking', text: '' }
  return kind === 'text' ? { type: 'text', text: '' } : { type: 'text', text: '', refusal: true }
}

/** Nothing of the call has been said, so all of it can be mended. */
function mend(call: CallSegment): void {
  if (call.freeform) return
  const text = call.pieces.join('')
  const mended = repairObject(text)
  if (mended !== undefined && mended !== text) call.pieces.splice(0, call.pieces.length, mended)
}
