// What local models do to their answers, undone: calls written as text, thinking left in it, arguments that are no JSON.
import type { FinishReason } from '../chat/answer.ts'
import type { Block, TextBlock } from '../chat/block.ts'
import type { ChatEvent } from '../chat/events.ts'
import type { Extra, Tool } from '../chat/request.ts'
import { parseObject } from '../lib/json-repair.ts'
import { mendInput } from './fit.ts'
import { Held, MOST_HELD } from './held.ts'
import { Offer, type TextCall } from './offer.ts'
import type { Quirk } from './quirks.ts'
import { CallScanner } from './text-calls.ts'
import { type TextPiece, ThinkingSplitter } from './thinking.ts'
import { BlockWriter } from './writer.ts'

export interface MendOptions {
  /** The tools of the request. */
  readonly tools: readonly Tool[]
  /** Ids of calls are made from this one; without it, from the upstream's id of the answer. */
  readonly id?: string
}

export interface MendCounts {
  /** Calls that stood in the text. */
  readonly textCalls: number
  /** Blocks of thinking that stood in the text. */
  readonly thinking: number
  /** Calls whose arguments were changed, and those that no repair made fit their schema. */
  readonly repaired: number
  readonly unrepaired: number
}

/** A text as it comes: what takes it apart, and what is to be said of it. */
interface TextRun {
  readonly kind: 'text'
  readonly block: TextBlock
  readonly thinking: ThinkingSplitter | undefined
  readonly calls: CallScanner | undefined
  /** Known before the first text is out. */
  extras: Extra[]
  hasSaid: boolean
}

/** A call whose input is held until it is whole. */
interface HeldCall {
  readonly kind: 'call'
  readonly tool: Tool | undefined
  readonly input: Held
}

type Current = TextRun | HeldCall | { readonly kind: 'as-is' }

/** An answer that was stopped is not completed: half a file is worse than none. */
const CUT: ReadonlySet<FinishReason> = new Set(['length', 'context-exceeded', 'content-filter', 'refusal'])

/** A synchronous machine over the events of one answer. */
export class Mender {
  readonly #quirks: ReadonlySet<Quirk>
  readonly #offer: Offer
  readonly #writer = new BlockWriter()
  readonly #counts = { textCalls: 0, thinking: 0, repaired: 0, unrepaired: 0 }
  #place: string | undefined
  #current: Current = { kind: 'as-is' }
  /** Ended, and no JSON: whether it may be completed says what comes next. */
  #waiting: HeldCall | undefined
  #isFirstText = true

  constructor(quirks: ReadonlySet<Quirk>, { tools, id }: MendOptions) {
    this.#quirks = quirks
    this.#offer = new Offer(tools)
    if (id !== undefined) this.#place = placeOf(id)
  }

  get counts(): MendCounts {
    return this.#counts
  }

  push(event: ChatEvent): ChatEvent[] {
    switch (event.type) {
      case 'start':
        this.#place ??= placeOf(event.id)
        this.#writer.say(event)
        break
      case 'block-start':
        this.#settle(false)
        this.#begin(event.block)
        break
      case 'block-delta':
        this.#delta(event.text)
        break
      case 'block-extra':
        this.#extra(event.extra)
        break
      case 'block-end':
        this.#end()
        break
      case 'finish':
        this.#settle(CUT.has(event.reason))
        this.#writer.say(this.#finish(event))
        break
      case 'failure':
        this.#abandon()
        this.#writer.say(event)
        break
      default:
        this.#writer.say(event)
    }
    return this.#writer.taken()
  }

  #begin(block: Block): void {
    if (block.type === 'text' && block.refusal !== true && this.#takesText()) {
      const isOpened = this.#isFirstText && this.#quirks.has('think-opened')
      const splits = isOpened || this.#quirks.has('think-tags')
      this.#isFirstText = false
      this.#current = {
        kind: 'text',
        block,
        thinking: splits ? new ThinkingSplitter(isOpened) : undefined,
        calls: this.#takesCalls() ? new CallScanner(this.#offer) : undefined,
        extras: [],
        hasSaid: false
      }
      return
    }
    // Whoever tells thinking from text by itself has left none in the text.
    if (block.type === 'thinking') this.#isFirstText = false
    const isHeld = block.type === 'tool-call' && block.freeform !== true && this.#quirks.has('repair-arguments')
    this.#current = isHeld ? { kind: 'call', tool: this.#offer.tool(block.name), input: new Held() } : { kind: 'as-is' }
    this.#writer.begin(block)
  }

  #takesCalls(): boolean {
    return this.#quirks.has('text-tools') && !this.#offer.isEmpty
  }

  #takesText(): boolean {
    return this.#takesCalls() || this.#quirks.has('think-tags') || this.#quirks.has('think-opened')
  }

  #delta(text: string): void {
    const current = this.#current
    if (current.kind === 'text') return this.#text(current, current.thinking?.push(text) ?? [{ kind: 'text', text }])
    if (current.kind === 'as-is') return this.#writer.delta(text)
    current.input.append(text)
    if (current.input.length <= MOST_HELD) return
    this.#counts.unrepaired++
    this.#writer.delta(current.input.toString())
    this.#current = { kind: 'as-is' }
  }

  #extra(extra: Extra): void {
    const current = this.#current
    if (current.kind === 'text' && this.#writer.open !== 'text') current.extras.push(extra)
    else this.#writer.extra(extra)
  }

  #end(): void {
    const current = this.#current
    this.#current = { kind: 'as-is' }
    if (current.kind === 'call') {
      this.#waiting = current
      if (parseObject(current.input.toString()) !== undefined) this.#settle(false)
      return
    }
    if (current.kind === 'text') this.#endText(current)
    this.#writer.end()
  }

  #endText(run: TextRun): void {
    this.#text(run, run.thinking?.end() ?? [])
    for (const piece of run.calls?.end() ?? []) this.#write(run, piece)
    // An empty block is one as well.
    if (!run.hasSaid) this.#beginText(run)
  }

  #text(run: TextRun, pieces: readonly TextPiece[]): void {
    for (const piece of pieces) {
      if (piece.kind === 'thinking' || run.calls === undefined) this.#write(run, piece)
      else for (const inner of run.calls.push(piece.text)) this.#write(run, inner)
    }
  }

  #write(run: TextRun, piece: TextPiece | { readonly kind: 'call'; readonly call: TextCall }): void {
    if (piece.kind === 'call') this.#call(piece.call)
    else {
      if (this.#writer.open !== piece.kind) {
        if (piece.kind === 'text') this.#beginText(run)
        else {
          this.#counts.thinking++
          this.#writer.begin({ type: 'thinking', text: '' })
        }
      }
      this.#writer.delta(piece.text)
    }
    run.hasSaid = true
  }

  /** What was known of the block stays with the first that comes of it. */
  #beginText(run: TextRun): void {
    const isFirst = run.extras.length > 0 || !run.hasSaid
    this.#writer.begin(isFirst ? run.block : { type: 'text', text: '' })
    for (const extra of run.extras) this.#writer.extra(extra)
    run.extras = []
  }

  #call({ tool, input }: TextCall): void {
    const id = `call_${this.#place ?? '0'}_t${this.#counts.textCalls++}`
    const freeform = tool.freeform === true
    this.#writer.begin({ type: 'tool-call', id, name: tool.name, input: '', ...(freeform && { freeform }) })
    const mends = !freeform && this.#quirks.has('repair-arguments')
    this.#writer.delta(mends ? this.#mended(input, tool) : input)
    this.#writer.end()
  }

  /** Says a call that was held. */
  #settle(isCut: boolean): void {
    const call = this.#waiting
    if (call === undefined) return
    this.#waiting = undefined
    const input = call.input.toString()
    if (isCut) this.#counts.unrepaired++
    const said = isCut ? input : this.#mended(input, call.tool)
    if (said !== '') this.#writer.delta(said)
    this.#writer.end()
  }

  #mended(input: string, tool: Tool | undefined): string {
    const mended = mendInput(input, tool?.schema)
    if (!mended.fits) this.#counts.unrepaired++
    else if (mended.input !== input) this.#counts.repaired++
    return mended.input
  }

  /** The answer has failed: what is held is said as it came, and no block is ended. */
  #abandon(): void {
    const current = this.#current
    this.#current = { kind: 'as-is' }
    const call = this.#waiting ?? (current.kind === 'call' ? current : undefined)
    this.#waiting = undefined
    if (call !== undefined && call.input.length > 0) this.#writer.delta(call.input.toString())
    if (current.kind === 'text') this.#endText(current)
  }

  #finish(event: ChatEvent & { type: 'finish' }): ChatEvent {
    const { reason, stopSequence, ...rest } = event
    const isTurn = this.#counts.textCalls > 0 && (reason === 'stop' || reason === 'stop-sequence')
    return isTurn ? { ...rest, reason: 'tool-calls' } : event
  }
}

function placeOf(id: string): string {
  return id.replace(/[^\w-]/g, '') || '0'
}
