import type { Block, ToolCallBlock } from '../../chat/block.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { Fields } from '../../chat/request.ts'
import type { Usage } from '../../chat/usage.ts'
import type { EncodeContext, StreamEncoder } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { fields, someFields } from '../read.ts'
import { encodeFinish, encodeUsage, isWhole } from './answer.ts'
import { encodeFailureFrame } from './failure.ts'
import { PartWriter } from './parts.ts'
import { NAME } from './shape.ts'

export function encodeStream(context: EncodeContext): StreamEncoder {
  return new GeminiEncoder(context)
}

interface Open {
  readonly index: number
  readonly block: Block
  /** What stands before and after the text of a delta; undefined for what has none of its own. */
  readonly around: readonly [before: string, after: string] | undefined
  /** The input of a call. */
  readonly pieces: string[]
  own: Fields
}

/** Frames are answers with one part each. Calls go out whole: nobody reads them in pieces. No comments, no pings: Gemini CLI crashes at what is no answer. */
class GeminiEncoder implements StreamEncoder {
  readonly #writer = new PartWriter(new Dropped(NAME), 'compatible', '')
  /** A frame before and after its part. */
  readonly #head = 'data: {"candidates":[{"content":{"parts":['
  readonly #tail: string
  readonly #context: EncodeContext
  #over = false
  #open: Open | undefined
  /** A call that cannot be read: it is mended, unless the answer turns out to be cut. */
  #doubtful: ToolCallBlock | undefined
  #words = false
  #usage: Usage | undefined

  constructor(context: EncodeContext) {
    this.#context = context
    const { model: modelVersion, id: responseId } = context
    const names = JSON.stringify({ modelVersion, responseId }).slice(1)
    this.#tail = `],"role":"model"},"index":0}],${names}\n\n`
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-delta':
        return this.#delta(event.index, event.text)
      case 'start':
        this.#usage = event.usage
        return ''
      case 'block-start':
        return this.#startBlock(event.index, event.block)
      case 'block-extra':
        return this.#open?.index === event.index ? this.#extra(this.#open, event.extra[NAME]) : ''
      case 'block-end':
        return this.#open?.index === event.index ? this.#endBlock(this.#open) : ''
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        return this.#finish(event)
      case 'failure':
        return this.#fail(event.failure)
      case 'ping':
        // A frame for each would fill the histories of clients, which keep every one.
        return ''
    }
  }

  /** An empty text, as Google's streams end with. Without any part, Google's SDK would forget the whole answer. */
  keepAlive(): string {
    if (this.#over) return ''
    const isThinking = this.#open?.block.type === 'thinking'
    return this.#parts([{ text: '', ...(isThinking && { thought: true }) }])
  }

  end(): string {
    if (this.#over) return ''
    return this.#fail(new Failure('upstream-failed', 'The answer ended before it was complete.'))
  }

  #startBlock(index: number, block: Block): string {
    const before = this.#mended()
    this.#open = { index, block, around: aroundOf(block), pieces: [], own: {} }
    if (this.#open.around !== undefined || block.type === 'tool-call') return before
    return before + this.#parts(this.#writer.parts([block]))
  }

  #delta(index: number, text: string): string {
    const open = this.#open
    if (open?.index !== index || text === '') return ''
    if (open.around === undefined) {
      if (open.block.type === 'tool-call') open.pieces.push(text)
      return ''
    }
    if (open.block.type === 'text') this.#words = true
    const [before, after] = open.around
    return this.#head + before + JSON.stringify(text) + after + this.#tail
  }

  #extra(open: Open, own: Fields | undefined): string {
    if (own === undefined) return ''
    open.own = { ...open.own, ...own }
    if (open.around === undefined) return ''
    return this.#parts([{ text: '', ...(open.block.type === 'thinking' && { thought: true }), ...own }])
  }

  #endBlock({ block, pieces, own }: Open): string {
    this.#open = undefined
    if (block.type !== 'tool-call') return ''
    const known = someFields({ ...block.extra?.[NAME], ...own })
    const input = pieces.length === 0 ? block.input : pieces.join('')
    const call: ToolCallBlock = { ...block, input, ...(known !== undefined && { extra: { [NAME]: known } }) }
    if (isWhole(call)) return this.#parts(this.#writer.parts([call]))
    this.#doubtful = call
    return ''
  }

  #mended(): string {
    const call = this.#doubtful
    this.#doubtful = undefined
    return call === undefined ? '' : this.#parts(this.#writer.parts([call]))
  }

  #finish({ reason, extra }: ChatEvent & { type: 'finish' }): string {
    const before = reason === 'length' ? '' : this.#mended()
    this.#over = true
    const { candidate, candidates: _, usageMetadata, ...rest } = extra?.[NAME] ?? {}
    const last = {
      candidates: [
        {
          content: { parts: [{ text: '' }], role: 'model' },
          finishReason: encodeFinish(reason, this.#words),
          index: 0,
          ...fields(candidate)
        }
      ],
      usageMetadata: encodeUsage(this.#usage, fields(usageMetadata)),
      modelVersion: this.#context.model,
      responseId: this.#context.id,
      ...rest
    }
    return `${before}data: ${JSON.stringify(last)}\n\n`
  }

  #fail(failure: Failure): string {
    this.#over = true
    return encodeFailureFrame(failure)
  }

  #parts(parts: readonly Fields[]): string {
    return parts.map(part => this.#head + JSON.stringify(part) + this.#tail).join('')
  }
}

function aroundOf({ type }: Block): Open['around'] {
  if (type === 'thinking') return ['{"text":', ',"thought":true}']
  return type === 'text' ? ['{"text":', '}'] : undefined
}
