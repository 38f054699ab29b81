// The item that a stream is writing, and the events that it comes to.
import type { Block, TextBlock } from '../../chat/block.ts'
import type { Citation } from '../../chat/citation.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import type { EncodeContext } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { encodeAnnotation } from '../openai-citations.ts'
import { encodeLogprobs } from '../openai-logprobs.ts'
import { answerPart, encodeItem, type ItemIds, itemOf, messageItem } from './answer.ts'
import { NAME, own } from './content.ts'

interface Place {
  readonly context: EncodeContext
  readonly ids: ItemIds
  readonly dropped: Dropped
  /** The item's number in the output. */
  readonly index: number
  /** An event, with the next number of the sequence. */
  readonly frame: (type: string, rest: Fields) => string
  readonly nextNumber: () => number
}

type Kind = 'message' | 'reasoning' | 'function_call' | 'custom_tool_call' | 'whole'

/** The event of a delta, and what stands before and after its number and its text. */
type Delta = readonly [before: string, between: string, after: string]

/** A text goes on in the message before it, unless its upstream has begun another one there. */
export function joinsMessage(open: OpenItem, block: Block): boolean {
  return open.kind === 'message' && block.type === 'text' && own(block)['item'] === undefined
}

export class OpenItem {
  readonly kind: Kind
  readonly added: string
  readonly #place: Place
  /** The item as it began: its id and names. */
  readonly #head: Fields
  readonly #block: Block
  /** A tool that takes text, and was called as a function: its text is read when all of it is there. */
  readonly #isWrapped: boolean
  #hubIndex = -1
  #part: Block
  #delta: Delta | undefined
  #pieces: string[] = []
  #extra: Record<string, Record<string, unknown>> = {}
  #citations: Citation[] = []
  #logprobs: TokenProbability[] = []
  #hasSummary = false
  /** Of a message, the parts that are complete. */
  readonly #parts: Fields[] = []

  /** Undefined for a block that cannot be said. */
  static open(block: Block, place: Place): OpenItem | undefined {
    const item = itemOf(block)
    if (block.type === 'text') {
      return new OpenItem('message', block, messageItem(place.ids.next('msg', item), item, []), place)
    }
    const head = encodeItem(block, place.context, place.ids)
    if (head === undefined) return undefined
    const { type } = head
    if (block.type === 'tool-call') {
      return new OpenItem(type === 'custom_tool_call' ? type : 'function_call', block, head, place)
    }
    return new OpenItem(block.type === 'thinking' ? 'reasoning' : 'whole', block, head, place)
  }

  private constructor(kind: Kind, block: Block, head: Fields, place: Place) {
    this.kind = kind
    this.#block = block
    this.#part = block
    this.#head = head
    this.#place = place
    this.#isWrapped = kind === 'custom_tool_call' && block.type === 'tool-call' && block.freeform !== true
    this.added = this.#say('response.output_item.added', { item: kind === 'whole' ? head : this.#begun() })
  }

  startPart(hubIndex: number, block: Block): string {
    this.#hubIndex = hubIndex
    this.#part = block
    this.#pieces = []
    this.#citations = []
    this.#logprobs = []
    this.#extra = {}
    if ('extra' in block && block.extra !== undefined) this.#grow(block.extra)
    if (block.type !== 'text') {
      this.#delta = this.#deltaOf(this.kind, {})
      return ''
    }
    const content_index = this.#parts.length
    this.#delta = this.#deltaOf(block.refusal === true ? 'refusal' : 'message', { content_index })
    return this.#say(
      'response.content_part.added',
      { content_index, part: answerPart({ ...block, text: '' }, {}, this.#place.dropped) },
      true
    )
  }

  delta(hubIndex: number, text: string, logprobs?: readonly TokenProbability[]): string {
    if (hubIndex !== this.#hubIndex) return ''
    if (text !== '') this.#pieces.push(text)
    for (const token of logprobs ?? []) this.#logprobs.push(token)
    if (this.#delta === undefined) return ''
    const before = this.kind === 'reasoning' && !this.#hasSummary ? this.#startSummary() : ''
    return before + this.#deltaFrame(this.#delta, text, logprobs)
  }

  extra(hubIndex: number, extra: Extra, citations: readonly Citation[] = []): string {
    if (hubIndex !== this.#hubIndex) return ''
    this.#grow(extra)
    if (this.#block.type === 'tool-call') this.#place.dropped.extra(extra, 'tool_calls.')
    if (this.kind !== 'message' || citations.length === 0) return ''
    const { dropped } = this.#place
    const length = this.#pieces.join('').length
    const content_index = this.#parts.length
    return dropped
      .citations(citations)
      .map(citation => {
        const annotation = encodeAnnotation(NAME, citation, length, dropped)
        const where = { content_index, annotation_index: this.#citations.push(citation) - 1, annotation }
        return this.#say('response.output_text.annotation.added', where, true)
      })
      .join('')
  }

  /** A part of a message ends with its block. The item may go on, or have been cut: that is said when the next begins. */
  endBlock(hubIndex: number): string {
    if (hubIndex !== this.#hubIndex) return ''
    this.#hubIndex = -1
    this.#delta = undefined
    if (this.kind !== 'message') return ''
    const content_index = this.#parts.length
    const part = this.#textPart()
    this.#parts.push(part)
    const { text, refusal, logprobs = [] } = part
    const done =
      part['type'] === 'refusal'
        ? this.#say('response.refusal.done', { content_index, refusal }, true)
        : this.#say('response.output_text.done', { content_index, text, logprobs }, true)
    this.#pieces = []
    return done + this.#say('response.content_part.done', { content_index, part }, true)
  }

  close(status: 'completed' | 'incomplete'): { readonly text: string; readonly item: Fields } {
    const before = this.#hubIndex === -1 ? '' : this.endBlock(this.#hubIndex)
    const item = this.#whole(status)
    const done = this.#partsDone(item)
    return { text: before + done + this.#say('response.output_item.done', { item }), item }
  }

  /** The item as it is by now. */
  soFar(): Fields {
    if (this.kind === 'whole') return this.#head
    if (this.kind === 'message') {
      const parts = this.#hubIndex === -1 ? this.#parts : [...this.#parts, this.#textPart()]
      return { ...this.#head, status: 'in_progress', content: parts }
    }
    const text = this.#isWrapped ? '' : this.#pieces.join('')
    if (this.kind === 'reasoning') {
      return { ...this.#begun(), summary: this.#hasSummary ? [{ type: 'summary_text', text }] : [] }
    }
    return { ...this.#begun(), [this.kind === 'function_call' ? 'arguments' : 'input']: text }
  }

  #begun(): Fields {
    switch (this.kind) {
      case 'message':
        return { ...this.#head, status: 'in_progress', content: [] }
      case 'reasoning': {
        const { encrypted_content: _, content: __, ...head } = this.#head
        return { ...head, summary: [] }
      }
      case 'function_call':
        return { ...this.#head, status: 'in_progress', arguments: '' }
      case 'custom_tool_call':
        return { ...this.#head, status: 'in_progress', input: '' }
      case 'whole':
        return this.#head
    }
  }

  #whole(status: string): Fields {
    const { id } = this.#head
    if (this.kind === 'message') return { ...this.#head, status, content: this.#parts }
    if (this.kind === 'whole') return this.#head
    const text = this.#pieces.join('')
    const ids = { next: () => `${id}` }
    const extra = { extra: this.#extra }
    const known = this.#block.type === 'thinking' ? { ...this.#block, text, ...extra } : this.#call(text)
    const { context } = this.#place
    const item = known.type === 'thinking' || known.type === 'tool-call' ? encodeItem(known, context, ids) : undefined
    return this.kind === 'reasoning' ? { ...item } : { ...this.#head, ...item, status }
  }

  #call(text: string): Block {
    return this.#block.type === 'tool-call' ? { ...this.#block, input: text } : this.#block
  }

  /** What is said of all of an item's text, before the item is. */
  #partsDone(item: Fields): string {
    if (this.kind === 'function_call') {
      const { name, arguments: text } = item
      const empty = this.#pieces.length === 0 ? this.#wholeDelta(text) : ''
      return empty + this.#say('response.function_call_arguments.done', { name, arguments: text }, true)
    }
    if (this.kind === 'custom_tool_call') {
      const { input } = item
      const all = this.#isWrapped && input !== '' ? this.#wholeDelta(input) : ''
      return all + this.#say('response.custom_tool_call_input.done', { input }, true)
    }
    if (this.kind !== 'reasoning' || !this.#hasSummary) return ''
    const text = this.#pieces.join('')
    const part = { type: 'summary_text', text }
    return (
      this.#say('response.reasoning_summary_text.done', { summary_index: 0, text }, true) +
      this.#say('response.reasoning_summary_part.done', { summary_index: 0, part }, true)
    )
  }

  #wholeDelta(text: unknown): string {
    const type = this.kind === 'function_call' ? 'function_call_arguments' : 'custom_tool_call_input'
    return this.#say(`response.${type}.delta`, { delta: text }, true)
  }

  #startSummary(): string {
    this.#hasSummary = true
    const part = { type: 'summary_text', text: '' }
    return this.#say('response.reasoning_summary_part.added', { summary_index: 0, part }, true)
  }

  #textPart(): Fields {
    const text = this.#pieces.join('')
    const { dropped } = this.#place
    const { item: _, ...known } = dropped.extra(this.#extra)
    const head: TextBlock = this.#part.type === 'text' ? this.#part : { type: 'text', text }
    const citations = this.#citations.length > 0 && { citations: this.#citations }
    const logprobs = this.#logprobs.length > 0 && { logprobs: this.#logprobs }
    return answerPart({ ...head, text, ...citations, ...logprobs }, known, dropped)
  }

  /** A list grows by what it is sent. */
  #grow(extra: Extra): void {
    for (const [dialect, known] of Object.entries(extra)) {
      this.#extra[dialect] ??= {}
      const grown = this.#extra[dialect]
      for (const [key, value] of Object.entries(known)) {
        const before = grown[key]
        if (Array.isArray(before) && Array.isArray(value)) for (const one of value) before.push(one)
        else grown[key] = Array.isArray(value) ? [...value] : value
      }
    }
  }

  #deltaOf(kind: Kind | 'refusal', where: Fields): Delta | undefined {
    const type = this.#isWrapped ? undefined : DELTA[kind]
    if (type === undefined) return undefined
    const at = kind === 'reasoning' ? { summary_index: 0 } : where
    const between = JSON.stringify({ item_id: this.#head['id'], output_index: this.#place.index, ...at })
    return [
      `event: ${type}\ndata: {"type":"${type}","sequence_number":`,
      `,${between.slice(1, -1)},"delta":`,
      kind === 'message' ? ',"logprobs":[]}\n\n' : '}\n\n'
    ]
  }

  #deltaFrame([before, between, after]: Delta, text: string, logprobs?: readonly TokenProbability[]): string {
    const start = before + this.#place.nextNumber() + between + JSON.stringify(text)
    if (logprobs === undefined || this.#part.type !== 'text' || this.#part.refusal === true) return start + after
    return `${start},"logprobs":${JSON.stringify(encodeLogprobs(logprobs, []))}}\n\n`
  }

  #say(type: string, rest: Fields, isWithin = false): string {
    const where = { ...(isWithin && { item_id: this.#head['id'] }), output_index: this.#place.index }
    return this.#place.frame(type, { ...where, ...rest })
  }
}

const DELTA: Readonly<Record<Kind | 'refusal', string | undefined>> = {
  message: 'response.output_text.delta',
  refusal: 'response.refusal.delta',
  reasoning: 'response.reasoning_summary_text.delta',
  function_call: 'response.function_call_arguments.delta',
  custom_tool_call: 'response.custom_tool_call_input.delta',
  whole: undefined
}
