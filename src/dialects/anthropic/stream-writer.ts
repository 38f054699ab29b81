import type { Block } from '../../chat/block.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { Usage } from '../../chat/usage.ts'
import type { EncodeContext, StreamEncoder } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { encodeFinish, encodeUsage, messageId } from './answer.ts'
import { BlockWriter, NAME, OWN_SIGNATURE } from './blocks.ts'
import { encodeCitations } from './citations.ts'
import { encodeFailureFrame } from './failure.ts'

export function encodeStream(context: EncodeContext): StreamEncoder {
  return new AnthropicEncoder(context)
}

/** How a block's deltas are said; other blocks have none. */
const DELTA: Partial<Record<Block['type'], readonly [type: string, field: string]>> = {
  text: ['text_delta', 'text'],
  thinking: ['thinking_delta', 'thinking'],
  'tool-call': ['input_json_delta', 'partial_json'],
  foreign: ['input_json_delta', 'partial_json']
}

interface Open {
  /** Our number of the block, and the hub's: they differ once a block could not be said. */
  readonly index: number
  readonly hubIndex: number
  readonly block: Block
  /** What stands before and after the text of a delta. */
  readonly head: string
  signed: boolean
  /** Of its text. */
  length: number
}

const PLACES: Partial<Record<Block['type'], string>> = { thinking: 'thinking.', 'tool-call': 'tool_calls.' }

/** No block of the hub has this number. */
const NOBODYS = -1

const PING = frame({ type: 'ping' })

class AnthropicEncoder implements StreamEncoder {
  readonly #context: EncodeContext
  readonly #dropped: Dropped
  readonly #writer: BlockWriter
  #started = false
  #over = false
  #open: Open | undefined
  #blocks = 0
  #usage: Usage | undefined

  constructor(context: EncodeContext) {
    this.#context = context
    this.#dropped = context.dropped ?? new Dropped(NAME, 'answer')
    this.#writer = new BlockWriter(this.#dropped, 'compatible')
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-delta':
        if (this.#open?.hubIndex !== event.index || this.#open.head === '') return ''
        if (event.logprobs !== undefined) this.#dropped.add('logprobs')
        if (this.#open.block.type === 'text') this.#open.length += event.text.length
        return said(this.#open, isFreeform(this.#open.block) ? JSON.stringify(event.text).slice(1, -1) : event.text)
      case 'start':
        return this.#start(event.usage)
      case 'block-start':
        return this.#start() + this.#startBlock(event.index, event.block)
      case 'block-extra':
        return this.#open?.hubIndex === event.index ? this.#extra(this.#open, event) : ''
      case 'block-end':
        return this.#open?.hubIndex === event.index ? this.#closeBlock() : ''
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        return this.#finish(event)
      case 'failure':
        return this.#fail(event.failure)
      case 'ping':
        return PING
    }
  }

  /** An empty delta. Where no block is open, one of text is opened for it, which the answer's own text goes on with. */
  keepAlive(): string {
    if (this.#over) return ''
    const before =
      this.#start() + (this.#open === undefined ? this.#startBlock(NOBODYS, { type: 'text', text: '' }) : '')
    return before + (this.#open?.head ? said(this.#open, '') : PING)
  }

  end(): string {
    if (this.#over) return ''
    return this.#fail(new Failure('upstream-failed', 'The answer ended before it was complete.'))
  }

  #start(usage?: Usage): string {
    this.#usage = usage ?? this.#usage
    if (this.#started) return ''
    this.#started = true
    const message = {
      id: messageId(this.#context),
      type: 'message',
      role: 'assistant',
      model: this.#context.model,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: encodeUsage(usage)
    }
    return frame({ type: 'message_start', message }) + PING
  }

  #startBlock(hubIndex: number, block: Block): string {
    if (this.#open?.hubIndex === NOBODYS && block.type === 'text') {
      this.#open = { ...this.#open, hubIndex }
      return ''
    }
    const before = this.#closeBlock()
    const start = this.#blockStart(block)
    if (start === undefined) return before
    const index = this.#blocks++
    const [type, field] = DELTA[block.type] ?? []
    const head =
      type === undefined
        ? ''
        : `event: content_block_delta\ndata: {"type":"content_block_delta","index":${index},"delta":{"type":"${type}","${field}":`
    this.#open = { index, hubIndex, block, head, signed: false, length: 0 }
    const begun = isFreeform(block) ? said(this.#open, '{"input":"') : ''
    return before + frame({ type: 'content_block_start', index, content_block: start }) + begun
  }

  #blockStart(block: Block): object | undefined {
    switch (block.type) {
      case 'text':
        this.#dropped.extra(block.extra)
        return { type: 'text', text: '' }
      case 'thinking':
        this.#dropped.extra(block.extra, 'thinking.')
        return { type: 'thinking', thinking: '', signature: '' }
      case 'tool-call':
        return { ...this.#writer.block(block), input: {} }
      default:
        return this.#writer.block(block)
    }
  }

  #extra(open: Open, { extra, citations }: ChatEvent & { type: 'block-extra' }): string {
    const { signature } = this.#dropped.extra(extra, PLACES[open.block.type])
    let text = ''
    if (typeof signature === 'string' && open.block.type === 'thinking') {
      open.signed = true
      text += delta(open.index, { type: 'signature_delta', signature })
    }
    if (citations === undefined || open.block.type !== 'text') return text
    for (const citation of encodeCitations(citations, open.length, this.#dropped))
      text += delta(open.index, { type: 'citations_delta', citation })
    return text
  }

  #closeBlock(): string {
    if (this.#open === undefined) return ''
    const { index, block, signed } = this.#open
    const ended = isFreeform(block) ? said(this.#open, '"}') : ''
    this.#open = undefined
    const isOurs = block.type === 'thinking' && !signed
    const signature = isOurs ? delta(index, { type: 'signature_delta', signature: OWN_SIGNATURE }) : ''
    return signature + ended + frame({ type: 'content_block_stop', index })
  }

  #finish({ reason, stopSequence, extra }: ChatEvent & { type: 'finish' }): string {
    const before = this.#start() + this.#closeBlock()
    this.#over = true
    const { container, ...rest } = this.#dropped.extra(extra)
    const ended = {
      stop_reason: encodeFinish(reason, this.#blocks > 0),
      stop_sequence: stopSequence ?? null,
      ...(container !== undefined && { container })
    }
    const usage = encodeUsage(this.#usage)
    return before + frame({ type: 'message_delta', delta: ended, usage, ...rest }) + frame({ type: 'message_stop' })
  }

  #fail(failure: Failure): string {
    this.#over = true
    return encodeFailureFrame(failure, this.#context.id)
  }
}

/** Anthropic has no tools whose input is text: there it is the one field of an object. */
function isFreeform(block: Block): boolean {
  return block.type === 'tool-call' && block.freeform === true
}

function said({ head }: Open, text: string): string {
  return `${head}${JSON.stringify(text)}}}\n\n`
}

function delta(index: number, value: object): string {
  return frame({ type: 'content_block_delta', index, delta: value })
}

function frame(event: { readonly type: string; readonly [key: string]: unknown }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}
