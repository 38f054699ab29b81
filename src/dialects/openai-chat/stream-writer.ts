import type { Block } from '../../chat/block.ts'
import type { Citation } from '../../chat/citation.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Usage } from '../../chat/usage.ts'
import type { EncodeContext, StreamEncoder } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { encodeNestedAnnotation } from '../openai-citations.ts'
import { completionId, encodeFinish, encodeUsage, isRefusal } from './answer.ts'
import { NAME } from './content.ts'
import { encodeFailureFrame } from './failure.ts'
import { declare, declareExtra, encodeTokens } from './said.ts'

export function encodeStream(context: EncodeContext): StreamEncoder {
  return new OpenAIChatEncoder(context)
}

interface Open {
  readonly index: number
  readonly block: Block
  /** What stands before and after the text of a delta; undefined for what cannot be said. */
  readonly around: readonly [before: string, after: string] | undefined
  said: boolean
  /** Where it begins in the text of the message; a text that is none of it has no place there. */
  readonly from: number
}

class OpenAIChatEncoder implements StreamEncoder {
  readonly #context: EncodeContext
  /** A chunk up to its choices, and after them. */
  readonly #head: string
  readonly #tail: string
  #started = false
  #over = false
  #open: Open | undefined
  readonly #dropped: Dropped
  #calls = 0
  /** Characters of the message's text so far. */
  #length = 0
  #refused = false
  #usage: Usage | undefined

  constructor(context: EncodeContext) {
    this.#context = context
    this.#dropped = context.dropped ?? new Dropped(NAME, 'answer')
    const { created, model } = context
    const chunk = JSON.stringify({ id: completionId(context), object: 'chat.completion.chunk', created, model })
    this.#head = `data: ${chunk.slice(0, -1)},"choices":[`
    this.#tail = context.streamUsage === true ? '],"usage":null}\n\n' : ']}\n\n'
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-delta':
        return this.#delta(event.index, event.text, event.logprobs)
      case 'start':
        this.#usage = event.usage
        return this.#start()
      case 'block-start':
        return this.#startBlock(event.index, event.block)
      case 'block-end':
        return this.#endBlock(event.index)
      case 'usage':
        this.#usage = event.usage
        return ''
      case 'finish':
        return this.#finish(event)
      case 'failure':
        return this.#fail(event.failure)
      case 'ping':
        return this.keepAlive()
      case 'block-extra':
        if (this.#open?.index !== event.index) return ''
        declareExtra(this.#open.block, event.extra, this.#dropped)
        return event.citations === undefined ? '' : this.#cite(this.#open, event.citations)
    }
  }

  keepAlive(): string {
    return this.#over ? '' : this.#start() || this.#chunk('{}')
  }

  end(): string {
    if (this.#over) return ''
    return this.#fail(new Failure('upstream-failed', 'The answer ended before it was complete.'))
  }

  #start(): string {
    if (this.#started) return ''
    this.#started = true
    return this.#chunk('{"role":"assistant","content":""}')
  }

  #startBlock(index: number, block: Block): string {
    const before = this.#start()
    declare(block, this.#dropped)
    const from = this.#length
    if (block.type !== 'tool-call') {
      if (isRefusal(block)) this.#refused = true
      this.#open = { index, block, around: this.#around(block), said: true, from }
      return before
    }
    const { id, name, freeform = false } = block
    const number = this.#calls++
    const inner = freeform
      ? { type: 'custom', custom: { name, input: '' } }
      : { type: 'function', function: { name, arguments: '' } }
    const opening = freeform ? '"custom":{"input":' : '"function":{"arguments":'
    const around = [`{"tool_calls":[{"index":${number},${opening}`, '}}]}'] as const
    this.#open = { index, block, around, said: freeform, from }
    return before + this.#chunk(JSON.stringify({ tool_calls: [{ index: number, id, ...inner }] }))
  }

  #around(block: Block): Open['around'] {
    if (block.type === 'thinking') return ['{"reasoning_content":', '}']
    if (block.type !== 'text') return undefined
    return [block.refusal === true ? '{"refusal":' : '{"content":', '}']
  }

  #delta(index: number, text: string, logprobs?: readonly TokenProbability[]): string {
    const open = this.#open
    if (open?.index !== index || open.around === undefined) return ''
    if (text !== '') open.said = true
    if (open.block.type === 'text' && open.block.refusal !== true) this.#length += text.length
    const [before, after] = open.around
    const tokens = logprobs === undefined ? 'null' : encodeTokens(logprobs, isRefusal(open.block))
    return this.#chunk(before + JSON.stringify(text) + after, undefined, tokens)
  }

  #cite(open: Open, citations: readonly Citation[]): string {
    const length = this.#length - open.from
    const said = this.#dropped.citations(citations)
    const annotations = said.map(citation => encodeNestedAnnotation(NAME, citation, open.from, length))
    return annotations.length === 0 ? '' : this.#chunk(JSON.stringify({ annotations }))
  }

  /** Arguments are JSON, so there is no call without any. */
  #endBlock(index: number): string {
    const open = this.#open
    if (open?.index !== index) return ''
    const empty = open.said ? '' : this.#delta(index, '{}')
    this.#open = undefined
    return empty
  }

  #finish({ reason, extra }: ChatEvent & { type: 'finish' }): string {
    const before = this.#start()
    this.#over = true
    const { logprobs = null, choices: _, message: __, ...own } = this.#dropped.extra(extra)
    const more = Object.keys(own).length === 0 ? '' : `,${JSON.stringify(own).slice(1, -1)}`
    const ended = this.#chunk('{}', encodeFinish(reason, this.#refused), JSON.stringify(logprobs), more)
    const usage = `${this.#head}],"usage":${JSON.stringify(encodeUsage(this.#usage))}}\n\n`
    return `${before}${ended}${this.#context.streamUsage === true ? usage : ''}data: [DONE]\n\n`
  }

  #fail(failure: Failure): string {
    this.#over = true
    return encodeFailureFrame(failure)
  }

  /** `own`: fields of the chunk beside those that each has. */
  #chunk(delta: string, finish?: string, logprobs = 'null', own = ''): string {
    const reason = finish === undefined ? 'null' : `"${finish}"`
    const choice = `{"index":0,"delta":${delta},"logprobs":${logprobs},"finish_reason":${reason}}`
    return this.#head + choice + (own === '' ? this.#tail : `]${own}${this.#tail.slice(1)}`)
  }
}
