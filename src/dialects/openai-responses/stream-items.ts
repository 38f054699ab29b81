// The items of a stream, each with the blocks that it has become so far.
import type { ChatEvent } from '../../chat/events.ts'
import type { Fields } from '../../chat/request.ts'
import { missingEnd } from '../../lib/json-repair.ts'
import type { DecodeContext } from '../dialect.ts'
import { decodeAnnotations } from '../openai-citations.ts'
import { decodeLogprobs } from '../openai-logprobs.ts'
import { fields, list, number, string } from '../read.ts'
import { placed } from './answer.ts'
import { NAME, own } from './content.ts'
import { decodeCall, decodeReasoningItem, decodeSaid, reasoningText } from './items.ts'
import { type Segment, Segments } from './segments.ts'

interface Item {
  /** As it was when it began. */
  readonly head: Fields
  /** Of a message, by the number of the part; of others the only one is 0. */
  readonly segments: Map<number, Segment>
  /** The part of a summary that was said last, and whose thinking it was: some say it twice, in full and in short. */
  spoken: number
  voice: string
  annotations: number
  /** Of a call, all of its input. */
  readonly pieces: string[]
  over: boolean
}

type Key = number | string

/** What the type of an event says about its item, when the item has not been announced. */
const KIND: readonly (readonly [prefix: string, type: string])[] = [
  ['response.function_call_arguments.', 'function_call'],
  ['response.custom_tool_call_input.', 'custom_tool_call'],
  ['response.reasoning_', 'reasoning']
]

export class StreamItems {
  /** The upstream's id of the answer. */
  answer = ''
  calls = false
  refusal = false
  readonly #segments: Segments
  readonly #context: DecodeContext
  readonly #items = new Map<Key, Item>()
  #count = 0

  constructor(emit: (event: ChatEvent) => void, context: DecodeContext) {
    this.#segments = new Segments(emit)
    this.#context = context
  }

  read(type: string, event: Fields): void {
    switch (type) {
      case 'response.output_text.delta':
        return this.#text(this.#item(event, type), event, 'output_text', event['delta'])
      case 'response.function_call_arguments.delta':
      case 'response.custom_tool_call_input.delta':
        return this.#input(this.#item(event, type), event['delta'])
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return this.#thinking(this.#item(event, type), type, event, event['delta'])
      case 'response.output_item.added':
        return this.#added(event, fields(event['item']))
      case 'response.output_item.done':
        return this.#itemDone(this.#item(event, type, fields(event['item'])), fields(event['item']))
      default:
        return this.#rest(type, event)
    }
  }

  /** Of an output that is complete, what has not been said yet. `isCut`: the model was stopped. */
  all(output: readonly Fields[], isCut: boolean): void {
    for (const [at, whole] of output.entries()) {
      const id = string(whole['id'])
      const known = id === undefined ? undefined : [...this.#items.values()].find(({ head }) => head['id'] === id)
      this.#itemDone(known ?? this.#item({ output_index: at }, '', whole), whole)
    }
    for (const item of this.#items.values()) if (!item.over && !isCut) this.#mend(item)
    this.#segments.flush()
  }

  #rest(type: string, event: Fields): void {
    switch (type) {
      case 'response.refusal.delta':
        return this.#text(this.#item(event, type), event, 'refusal', event['delta'])
      case 'response.output_text.done':
        return this.#textDone(event, { type: 'output_text', text: event['text'] })
      case 'response.refusal.done':
        return this.#textDone(event, { type: 'refusal', refusal: event['refusal'] })
      case 'response.output_text.annotation.added':
        return this.#annotation(this.#item(event, type), event)
      case 'response.content_part.done': {
        const part = fields(event['part'])
        if (part['type'] === 'reasoning_text') return
        const item = this.#item(event, type)
        return this.#partDone(item, number(event['content_index']) ?? 0, part)
      }
      case 'response.function_call_arguments.done':
        return this.#inputDone(this.#item(event, type), event['arguments'])
      case 'response.custom_tool_call_input.done':
        return this.#inputDone(this.#item(event, type), event['input'])
      case 'response.reasoning_summary_text.done':
      case 'response.reasoning_text.done':
        return this.#thinkingDone(this.#item(event, type), type, event)
    }
  }

  /** The item that an event belongs to; the last one, where it does not say. */
  #item(event: Fields, type: string, head?: Fields): Item {
    const at = number(event['output_index']) ?? string(event['item_id']) ?? string(head?.['id'])
    const key = at ?? Math.max(0, this.#items.size - 1)
    const known = this.#items.get(key)
    if (known !== undefined) return known
    const [, kind = 'message'] = KIND.find(([prefix]) => type.startsWith(prefix)) ?? []
    const itemId = event['item_id']
    const item: Item = {
      head: { ...(head ?? { type: kind, role: 'assistant', ...(itemId ? { id: itemId } : {}) }), status: undefined },
      segments: new Map(),
      spoken: 0,
      voice: '',
      annotations: 0,
      pieces: [],
      over: false
    }
    this.#items.set(key, item)
    return item
  }

  #added(event: Fields, head: Fields): void {
    const item = this.#item(event, '', head)
    if (isCall(item)) this.#call(item)
  }

  #call(item: Item): Segment {
    const known = item.segments.get(0)
    if (known !== undefined) return known
    this.calls = true
    const call = decodeCall({ ...item.head, arguments: '', input: '' })
    const segment = this.#segments.add(placed(call, this.#context, this.answer, this.#count++))
    item.segments.set(0, segment)
    return segment
  }

  #input(item: Item, delta: unknown): void {
    if (!isCall(item) || typeof delta !== 'string' || delta === '') return
    const segment = this.#call(item)
    if (!segment.ended) item.pieces.push(delta)
    this.#segments.text(segment, delta)
  }

  /** Some servers send no deltas. */
  #inputDone(item: Item, whole: unknown): void {
    if (!isCall(item)) return
    const segment = this.#call(item)
    const text = typeof whole === 'string' ? whole : whole ? JSON.stringify(whole) : ''
    if (!segment.hasText) this.#input(item, text)
  }

  /** The arguments of a model that was not stopped, as an object: some models forget to end it. */
  #mend(item: Item): void {
    const text = item.pieces.join('')
    item.pieces.length = 0
    const ending = item.head['type'] === 'function_call' && text !== '' ? missingEnd(text) : undefined
    if (ending !== undefined) this.#segments.text(this.#call(item), ending)
  }

  #text(item: Item, event: Fields, type: string, delta: unknown): void {
    if (typeof delta !== 'string' || delta === '' || !isMessage(item)) return
    const segment = this.#part(item, number(event['content_index']) ?? 0, type)
    const { logprobs } = event
    const hasTokens = Array.isArray(logprobs) && logprobs.length > 0
    this.#segments.text(segment, delta, hasTokens ? decodeLogprobs(logprobs).logprobs : undefined)
  }

  #part(item: Item, at: number, type: string): Segment {
    const known = item.segments.get(at)
    if (known !== undefined) return known
    // A part that has not ended by now has: they come one after the other.
    for (const segment of item.segments.values()) this.#segments.end(segment)
    const content = [type === 'refusal' ? { type, refusal: '' } : { type, text: '' }]
    const head = item.segments.size === 0 ? item.head : {}
    const [block] = decodeSaid({ ...head, type: 'message', role: 'assistant', content }) ?? []
    if (type === 'refusal') this.refusal = true
    const segment = this.#segments.add(block ?? { type: 'text', text: '' })
    item.segments.set(at, segment)
    return segment
  }

  #textDone(event: Fields, part: Fields): void {
    const item = this.#item(event, '')
    const at = number(event['content_index']) ?? 0
    if (item.segments.get(at)?.hasText !== true) this.#text(item, event, string(part['type']) ?? '', textOf(part))
  }

  #annotation(item: Item, { content_index: at, annotation }: Fields): void {
    const segment = item.segments.get(number(at) ?? 0)
    if (segment === undefined || !isMessage(item) || !annotation) return
    item.annotations++
    this.#segments.cite(segment, decodeAnnotations(NAME, [annotation]).citations)
  }

  #partDone(item: Item, at: number, part: Fields): void {
    const known = item.segments.get(at)
    if (known?.ended === true || !isMessage(item)) return
    if (known?.hasText !== true) {
      const { logprobs } = part
      this.#text(item, { content_index: at, logprobs }, string(part['type']) ?? '', textOf(part))
    }
    const segment = item.segments.get(at)
    if (segment === undefined) return
    const { annotations } = part
    if (item.annotations === 0) this.#segments.cite(segment, decodeAnnotations(NAME, annotations).citations)
    item.annotations = 0
    this.#segments.end(segment)
  }

  #thinking(item: Item, type: string, event: Fields, delta: unknown): void {
    if (typeof delta !== 'string' || delta === '' || item.head['type'] !== 'reasoning') return
    const voice = type.startsWith('response.reasoning_summary') ? 'summary' : 'content'
    if (item.voice !== '' && item.voice !== voice) return
    item.voice = voice
    const segment = item.segments.get(0) ?? this.#thought(item)
    const at = number(event['summary_index'] ?? event['content_index']) ?? 0
    if (at !== item.spoken && segment.hasText) this.#segments.text(segment, '\n\n')
    item.spoken = at
    this.#segments.text(segment, delta)
  }

  #thought(item: Item): Segment {
    const { head } = item
    const known = decodeReasoningItem({ ...head, summary: [], content: [], encrypted_content: undefined })
    const about = own({ ...('extra' in known && known.extra !== undefined && { extra: known.extra }) })['item']
    const extra = about === undefined ? {} : { extra: { [NAME]: { item: about } } }
    const segment = this.#segments.add({ type: 'thinking', text: '', ...extra })
    item.segments.set(0, segment)
    return segment
  }

  #thinkingDone(item: Item, type: string, event: Fields): void {
    const at = number(event['summary_index'] ?? event['content_index']) ?? 0
    const isSaid = item.segments.get(0)?.hasText === true && item.spoken >= at
    if (!isSaid) this.#thinking(item, type, event, event['text'])
  }

  #itemDone(item: Item, whole: Fields): void {
    if (item.over) return
    item.over = true
    if (isCall(item)) {
      const { head } = item
      this.#inputDone(item, whole['arguments'] ?? whole['input'] ?? head['arguments'] ?? head['input'])
      if (whole['status'] !== 'incomplete') this.#mend(item)
    } else if (isMessage(item)) {
      for (const [at, part] of list(whole['content']).entries()) this.#partDone(item, at, part)
    } else if (item.head['type'] === 'reasoning') this.#reasoningDone(item, whole)
    else {
      for (const block of decodeSaid(whole) ?? []) this.#segments.end(this.#segments.add(block))
    }
    for (const segment of item.segments.values()) this.#segments.end(segment)
  }

  #reasoningDone(item: Item, whole: Fields): void {
    const { status: _, ...known } = whole
    const block = decodeReasoningItem(known)
    if (item.segments.get(0) === undefined && block.type !== 'thinking') {
      this.#segments.end(this.#segments.add(block))
      return
    }
    const text = reasoningText(whole['summary']) || reasoningText(whole['content'])
    const segment = item.segments.get(0) ?? this.#thought(item)
    if (!segment.hasText) this.#segments.text(segment, text)
    if (!('extra' in block) || block.extra === undefined) return
    const { item: _item, ...rest } = own(block)
    const { [NAME]: _own, ...others } = block.extra
    const extra = { ...others, ...(Object.keys(rest).length > 0 && { [NAME]: rest }) }
    if (Object.keys(extra).length > 0) this.#segments.extra(segment, extra)
  }
}

const isCall = ({ head }: Item): boolean => head['type'] === 'function_call' || head['type'] === 'custom_tool_call'
const isMessage = ({ head }: Item): boolean => (head['type'] ?? 'message') === 'message'

function textOf(part: Fields): string {
  return string(part['text']) ?? string(part['refusal']) ?? ''
}
