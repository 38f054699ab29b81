import type { Block } from '../../chat/block.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { Usage } from '../../chat/usage.ts'
import type { EncodeContext, StreamEncoder } from '../dialect.ts'
import { completionId, encodeFinish, encodeUsage, isRefusal } from './answer.ts'
import { encodeFailureFrame } from './failure.ts'

export function encodeStream(context: EncodeContext): StreamEncoder {
  return new OpenAIChatEncoder(context)
}

interface Open {
  readonly index: number
  readonly block: Block
  /** What stands before and after the text of a delta; undefined for what cannot be said. */
  readonly around: readonly [before: string, after: string] | undefined
  said: boolean
}

class OpenAIChatEncoder implements StreamEncoder {
  readonly #context: EncodeContext
  /** A chunk up to its choices, and after them. */
  readonly #head: string
  readonly #tail: string
  #started = false
  #over = false
  #open: Open | undefined
  #calls = 0
  #refused = false
  #usage: Usage | undefined

  constructor(context: EncodeContext) {
    this.#context = context
    const { created, model } = context
    const chunk = JSON.stringify({ id: completionId(context), object: 'chat.completion.chunk', created, model })
    this.#head = `data: ${chunk.slice(0, -1)},"choices":[`
    this.#tail = context.streamUsage === true ? '],"usage":null}\n\n' : ']}\n\n'
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-delta':
        return this.#delta(event.index, event.text)
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
        return ''
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
    if (block.type !== 'tool-call') {
      if (isRefusal(block)) this.#refused = true
      this.#open = { index, block, around: this.#around(block), said: true }
      return before
    }
    const { id, name, freeform = false } = block
    const number = this.#calls++
    const inner = freeform
      ? { type: 'custom', custom: { name, input: '' } }
      : { type: 'function', function: { name, arguments: '' } }
    const opening = freeform ? '"custom":{"input":' : '"function":{"arguments":'
    const around = [`{"tool_calls":[{"index":${number},${opening}`, '}}]}'] as const
    this.#open = { index, block, around, said: freeform }
    return before + this.#chunk(JSON.stringify({ tool_calls: [{ index: number, id, ...inner }] }))
  }

  #around(block: Block): Open['around'] {
    if (block.type === 'thinking') return ['{"reasoning_content":', '}']
    if (block.type !== 'text') return undefined
    return [block.refusal === true ? '{"refusal":' : '{"content":', '}']
  }

  #delta(index: number, text: string): string {
    const open = this.#open
    if (open?.index !== index || open.around === undefined) return ''
    if (text !== '') open.said = true
    const [before, after] = open.around
    return this.#chunk(before + JSON.stringify(text) + after)
  }

  /** Arguments are JSON, so there is no call without any. */
  #endBlock(index: number): string {
    const open = this.#open
    if (open?.index !== index) return ''
    const empty = open.said ? '' : this.#delta(index, '{}')
    this.#open = undefined
    return empty
  }

  #finish({ reason }: ChatEvent & { type: 'finish' }): string {
    const before = this.#start()
    this.#over = true
    const ended = this.#chunk('{}', encodeFinish(reason, this.#refused))
    const usage = `${this.#head}],"usage":${JSON.stringify(encodeUsage(this.#usage))}}\n\n`
    return `${before}${ended}${this.#context.streamUsage === true ? usage : ''}data: [DONE]\n\n`
  }

  #fail(failure: Failure): string {
    this.#over = true
    return encodeFailureFrame(failure)
  }

  #chunk(delta: string, finish?: string): string {
    const reason = finish === undefined ? 'null' : `"${finish}"`
    return `${this.#head}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}${this.#tail}`
  }
}
