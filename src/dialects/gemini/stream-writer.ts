import type { Block, ToolCallBlock } from '../../chat/block.ts'
import type { Citation } from '../../chat/citation.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Fields } from '../../chat/request.ts'
import type { Usage } from '../../chat/usage.ts'
import { moved } from '../citing.ts'
import type { EncodeContext, StreamEncoder } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { exactJson } from '../exact.ts'
import { fields, someFields } from '../read.ts'
import { encodeFinish, encodeUsage, isWhole } from './answer.ts'
import { encodeFailureFrame } from './failure.ts'
import { encodeGrounding, isGrounded } from './grounding.ts'
import { encodeLogprobs } from './logprobs.ts'
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
  /** Characters of the answer's text before it. */
  readonly from: number
}

/** Frames are answers with one part each. Calls go out whole: nobody reads them in pieces. No comments, no pings: Gemini CLI crashes at what is no answer. */
class GeminiEncoder implements StreamEncoder {
  readonly #dropped: Dropped
  readonly #writer: PartWriter
  /** A frame before and after its part. */
  readonly #head = 'data: {"candidates":[{"content":{"parts":['
  readonly #tail: string
  readonly #context: EncodeContext
  #over = false
  #open: Open | undefined
  /** A call that cannot be read: it is mended, unless the answer turns out to be cut. */
  #doubtful: ToolCallBlock | undefined
  #words = false
  /** All of the text so far, and what it is from. */
  readonly #texts: string[] = []
  #length = 0
  readonly #sources: Citation[] = []
  #usage: Usage | undefined

  constructor(context: EncodeContext) {
    this.#context = context
    this.#dropped = context.dropped ?? new Dropped(NAME, 'answer')
    this.#writer = new PartWriter(this.#dropped, 'compatible', '')
    const { model: modelVersion, id: responseId } = context
    const names = JSON.stringify({ modelVersion, responseId }).slice(1)
    this.#tail = `],"role":"model"},"index":0}],${names}\n\n`
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-delta':
        return this.#delta(event.index, event.text, event.logprobs)
      case 'start':
        this.#usage = event.usage
        return ''
      case 'block-start':
        return this.#startBlock(event.index, event.block)
      case 'block-extra':
        return this.#open?.index === event.index ? this.#extra(this.#open, event) : ''
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
    this.#open = { index, block, around: aroundOf(block), pieces: [], own: {}, from: this.#length }
    if (block.type === 'text' || block.type === 'thinking')
      this.#dropped.extra(block.extra, block.type === 'text' ? '' : 'thinking.')
    if (this.#open.around !== undefined || block.type === 'tool-call') return before
    return before + this.#parts(this.#writer.parts([block]))
  }

  #delta(index: number, text: string, logprobs?: readonly TokenProbability[]): string {
    const open = this.#open
    if (open?.index !== index || text === '') return ''
    if (open.around === undefined) {
      if (open.block.type === 'tool-call') open.pieces.push(text)
      return ''
    }
    if (open.block.type === 'text') {
      this.#words = true
      this.#texts.push(text)
      this.#length += text.length
    }
    const [before, after] = open.around
    const part = this.#head + before + JSON.stringify(text) + after
    return part + (logprobs === undefined ? this.#tail : this.#tailWith(logprobs))
  }

  #tailWith(logprobs: readonly TokenProbability[]): string {
    const tokens = `,"logprobsResult":${JSON.stringify(encodeLogprobs(logprobs))}`
    return this.#tail.replace(',"index":0', () => `,"index":0${tokens}`)
  }

  #extra(open: Open, { extra, citations }: ChatEvent & { type: 'block-extra' }): string {
    const { type } = open.block
    const own = this.#dropped.extra(extra, type === 'tool-call' ? 'tool_calls.' : type === 'text' ? '' : `${type}.`)
    this.#cite(citations)
    if (Object.keys(own).length === 0) return ''
    open.own = { ...open.own, ...own }
    if (open.around === undefined) return ''
    return this.#parts([{ text: '', ...(open.block.type === 'thinking' && { thought: true }), ...own }])
  }

  /** The places are in all of the text, as Google's streams have it. */
  #cite(citations: readonly Citation[] | undefined): void {
    if (citations === undefined) return
    const { from = 0 } = this.#open ?? {}
    for (const citation of citations) {
      const { start = 0, end = this.#length - from } = citation.type === 'page' ? citation : {}
      this.#sources.push(citation.type === 'page' ? moved({ ...citation, start, end }, from) : citation)
    }
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
    const { candidate, candidates: _, usageMetadata, ...rest } = this.#dropped.extra(extra)
    const last = {
      candidates: [
        {
          content: { parts: [{ text: '' }], role: 'model' },
          finishReason: encodeFinish(reason, this.#words),
          index: 0,
          ...(this.#sources.length > 0 && !isGrounded(fields(candidate)) && this.#grounding()),
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

  #grounding(): Fields {
    return encodeGrounding([{ text: this.#texts.join(''), citations: this.#sources, part: 0 }], this.#dropped)
  }

  #fail(failure: Failure): string {
    this.#over = true
    return encodeFailureFrame(failure)
  }

  #parts(parts: readonly Fields[]): string {
    return parts.map(part => this.#head + exactJson(part) + this.#tail).join('')
  }
}

function aroundOf({ type }: Block): Open['around'] {
  if (type === 'thinking') return ['{"text":', ',"thought":true}']
  return type === 'text' ? ['{"text":', '}'] : undefined
}
