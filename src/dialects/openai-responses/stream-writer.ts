import type { FinishReason } from '../../chat/answer.ts'
import type { Block } from '../../chat/block.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import type { Usage } from '../../chat/usage.ts'
import type { EncodeContext, StreamEncoder } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { CountedIds, declare, encodeResponse, type ItemIds } from './answer.ts'
import { NAME } from './content.ts'
import { encodeFailureFrame } from './failure.ts'
import { joinsMessage, OpenItem } from './open-item.ts'

export function encodeStream(context: EncodeContext): StreamEncoder {
  return new ResponsesEncoder(context)
}

class ResponsesEncoder implements StreamEncoder {
  readonly #context: EncodeContext
  readonly #ids: ItemIds
  readonly #dropped: Dropped
  #number = 0
  #started = false
  #over = false
  /** The items that are complete. */
  readonly #output: Fields[] = []
  #open: OpenItem | undefined
  #usage: Usage | undefined

  constructor(context: EncodeContext) {
    this.#context = context
    this.#ids = new CountedIds(context)
    this.#dropped = context.dropped ?? new Dropped(NAME, 'answer')
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-delta':
        return this.#open?.delta(event.index, event.text, event.logprobs) ?? ''
      case 'start':
        this.#usage = event.usage
        return this.#start()
      case 'block-start':
        return this.#start() + this.#startBlock(event.index, event.block)
      case 'block-extra':
        return this.#open?.extra(event.index, event.extra, event.citations) ?? ''
      case 'block-end':
        return this.#open?.endBlock(event.index) ?? ''
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        return this.#finish(event.reason, event.extra)
      case 'failure':
        return this.#fail(event.failure)
      case 'ping':
        return this.keepAlive()
    }
  }

  /** Codex takes any event for life, and SDKs read this one anew each time: it holds all that was said so far. */
  keepAlive(): string {
    if (this.#over) return ''
    if (!this.#started) return this.#start()
    return this.#lifecycle('response.in_progress')
  }

  end(): string {
    if (this.#over) return ''
    return this.#fail(new Failure('upstream-failed', 'The answer ended before it was complete.'))
  }

  #start(): string {
    if (this.#started) return ''
    this.#started = true
    return this.#lifecycle('response.created') + this.#lifecycle('response.in_progress')
  }

  #startBlock(index: number, block: Block): string {
    if (this.#open !== undefined && joinsMessage(this.#open, block)) return this.#open.startPart(index, block)
    const before = this.#close('completed')
    const opened = OpenItem.open(block, {
      context: this.#context,
      ids: this.#ids,
      dropped: this.#dropped,
      index: this.#output.length,
      frame: (type, rest) => this.#frame(type, rest),
      nextNumber: () => this.#number++
    })
    this.#open = opened
    if (block.type !== 'text') declare(block, this.#dropped, opened !== undefined)
    return opened === undefined ? before : before + opened.added + opened.startPart(index, block)
  }

  #close(status: 'completed' | 'incomplete'): string {
    const open = this.#open
    if (open === undefined) return ''
    this.#open = undefined
    const { text, item } = open.close(status)
    this.#output.push(item)
    return text
  }

  #finish(reason: FinishReason, extra: Extra | undefined): string {
    const isCut = reason === 'length' || reason === 'context-exceeded'
    const before = this.#start() + this.#close(isCut ? 'incomplete' : 'completed')
    this.#over = true
    const known = this.#dropped.extra(extra)
    const response = encodeResponse(this.#context, { finish: reason, output: this.#output, usage: this.#usage, known })
    const { status } = response
    return before + this.#frame(status === 'incomplete' ? 'response.incomplete' : 'response.completed', { response })
  }

  #fail(failure: Failure): string {
    this.#over = true
    const last = this.#number === 0 ? '' : `{"sequence_number":${this.#number - 1}}`
    return encodeFailureFrame(failure, this.#context.id, last)
  }

  #lifecycle(type: string): string {
    const open = this.#open?.soFar()
    const output = open === undefined ? this.#output : [...this.#output, open]
    return this.#frame(type, { response: encodeResponse(this.#context, { output, known: {} }) })
  }

  #frame(type: string, rest: Fields): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#number++, ...rest })}\n\n`
  }
}
