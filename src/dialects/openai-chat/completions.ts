// OpenAI's older way of asking, `/v1/completions`, for models that only chat: the prompt is what the user says.

import type { ChatAnswer, FinishReason } from '../../chat/answer.ts'
import type { Block } from '../../chat/block.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { ChatRequest } from '../../chat/request.ts'
import type { Usage } from '../../chat/usage.ts'
import type { ClientSide, EncodeContext, StreamEncoder } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { fields } from '../read.ts'
import { encodeFinish, encodeUsage } from './answer.ts'
import { NAME, plainText } from './content.ts'
import { encodeFailureFrame } from './failure.ts'
import { decodeRequest } from './request.ts'

export const completions: ClientSide = { decodeRequest: decodePrompt, encodeAnswer, encodeStream }

function decodePrompt(input: unknown): ChatRequest | Failure {
  const { prompt, ...rest } = fields(input)
  const [text, ...others] = Array.isArray(prompt) ? prompt : [prompt]
  if (typeof text !== 'string' || others.length > 0) {
    const message =
      'prompt: this upstream only chats, so the prompt has to be one text; lists of several, and of tokens, cannot be asked.'
    return new Failure('unsupported', message, { field: 'prompt' })
  }
  // A number of them is asked here, in chats it is a switch beside the number.
  const { logprobs, ...sampling } = rest
  const asked = typeof logprobs === 'number' ? { logprobs: true, top_logprobs: logprobs } : {}
  return decodeRequest({ ...sampling, ...asked, messages: [{ role: 'user', content: text }] })
}

function finishReason(reason: FinishReason): string {
  const said = encodeFinish(reason, false)
  return said === 'tool_calls' ? 'stop' : said
}

function encodeAnswer(answer: ChatAnswer, context: EncodeContext): Record<string, unknown> {
  const dropped = context.dropped ?? new Dropped(NAME, 'answer')
  dropped.extra(answer.extra)
  for (const block of answer.blocks) declare(block, dropped)
  const choice = {
    text: plainText(answer.blocks),
    index: 0,
    logprobs: null,
    finish_reason: finishReason(answer.finish)
  }
  return { ...head(context), choices: [choice], usage: encodeUsage(answer.usage) }
}

/** Declares all but a text. */
function declare(block: Block, dropped: Dropped): void {
  if (block.type !== 'text') return dropped.block(block)
  dropped.extra(block.extra)
  if (block.citations !== undefined) dropped.add('citations')
  if (block.logprobs !== undefined) dropped.add('logprobs')
}

function head({ id, created, model }: EncodeContext): Record<string, unknown> {
  return { id: `cmpl-${id}`, object: 'text_completion', created, model }
}

function encodeStream(context: EncodeContext): StreamEncoder {
  return new CompletionsEncoder(context)
}

class CompletionsEncoder implements StreamEncoder {
  readonly #context: EncodeContext
  readonly #head: string
  readonly #dropped: Dropped
  #text: number | undefined
  #usage: Usage | undefined
  #over = false

  constructor(context: EncodeContext) {
    this.#context = context
    this.#dropped = context.dropped ?? new Dropped(NAME, 'answer')
    this.#head = `data: ${JSON.stringify(head(context)).slice(0, -1)},"choices":[`
  }

  push(event: ChatEvent): string {
    if (this.#over) return ''
    switch (event.type) {
      case 'block-start':
        declare(event.block, this.#dropped)
        this.#text = event.block.type === 'text' ? event.index : undefined
        return ''
      case 'block-extra':
        this.#dropped.extra(event.extra)
        if (event.citations !== undefined) this.#dropped.add('citations')
        return ''
      case 'block-delta':
        if (event.logprobs !== undefined) this.#dropped.add('logprobs')
        return event.index === this.#text && event.text !== '' ? this.#chunk(event.text) : ''
      case 'start':
      case 'usage':
        this.#usage = event.usage ?? this.#usage
        return ''
      case 'finish':
        this.#dropped.extra(event.extra)
        return this.#finish(event.reason)
      case 'failure':
        this.#over = true
        return encodeFailureFrame(event.failure)
      default:
        return ''
    }
  }

  keepAlive(): string {
    return this.#over ? '' : this.#chunk('')
  }

  end(): string {
    if (this.#over) return ''
    this.#over = true
    return encodeFailureFrame(new Failure('upstream-failed', 'The answer ended before it was complete.'))
  }

  #finish(reason: FinishReason): string {
    this.#over = true
    const usage = `${this.#head}],"usage":${JSON.stringify(encodeUsage(this.#usage))}}\n\n`
    const last = this.#chunk('', finishReason(reason))
    return `${last}${this.#context.streamUsage === true ? usage : ''}data: [DONE]\n\n`
  }

  #chunk(text: string, reason?: string): string {
    const finish = reason === undefined ? 'null' : `"${reason}"`
    return `${this.#head}{"text":${JSON.stringify(text)},"index":0,"logprobs":null,"finish_reason":${finish}}]}\n\n`
  }
}
