import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Fields } from '../../chat/request.ts'
import { offeredToolName } from '../../chat/tool-names.ts'
import type { Usage } from '../../chat/usage.ts'
import { parseJson } from '../../lib/json-repair.ts'
import type { SseFrame } from '../../lib/sse.ts'
import type { DecodeContext, StreamDecoder } from '../dialect.ts'
import { decodeAnnotations } from '../openai-citations.ts'
import { decodeLogprobs } from '../openai-logprobs.ts'
import { defined, fields, list, number, someFields, string, unread } from '../read.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { decodeFinish, decodeUsage, placeOf, READ } from './answer.ts'
import { decodeContent, NAME } from './content.ts'
import { reasoningText } from './messages.ts'
import { type CallSegment, Segments } from './segments.ts'

export function decodeStream(context: DecodeContext = {}): StreamDecoder {
  return new OpenAIChatDecoder(context)
}

class OpenAIChatDecoder implements StreamDecoder {
  readonly #context: DecodeContext
  readonly #segments = new Segments(event => this.#out.push(event))
  #out: ChatEvent[] = []
  #started = false
  #over = false
  #place = ''
  /** The calls by the upstream's number, each with the id that the upstream gave it. */
  readonly #calls = new Map<number, { said: string; segment: CallSegment }>()
  readonly #numbers = new Map<string, number>()
  #callCount = 0
  #refused = false
  #usage: Usage | undefined
  /** The choice that said why it ended. */
  #ended: Fields | undefined
  /** What only Chat says of the answer. */
  #own: Fields | undefined
  /** Tokens of something else than a text. */
  readonly #tokens: unknown[] = []

  constructor(context: DecodeContext) {
    this.#context = context
  }

  push(frame: SseFrame): ChatEvent[] {
    if (!this.#over) this.#read(frame)
    return this.#taken()
  }

  end(): ChatEvent[] {
    if (!this.#over && this.#ended !== undefined) this.#finish()
    if (!this.#over) {
      const message = 'The upstream ended its stream before the answer was complete.'
      this.#fail(new Failure('upstream-failed', message, { code: 'stream_truncated' }))
    }
    return this.#taken()
  }

  #taken(): ChatEvent[] {
    const events = this.#out
    this.#out = []
    return events
  }

  #read(frame: SseFrame): void {
    // Some servers say no reason, and this instead.
    if (frame.data.trim() === '[DONE]') return this.#started ? this.#finish() : undefined
    const event = parseJson(frame.data)
    if (event === undefined) {
      return this.#fail(new Failure('upstream-failed', 'The upstream sent an event that is not JSON.'))
    }
    const chunk = fields(event)
    if (chunk['error'] || chunk['object'] === 'error' || frame.event === 'error')
      return this.#fail(decodeUpstreamFailure(0, frame.data))
    this.#start(chunk)
    const usage = someFields(chunk['usage']) ?? someFields(fields(chunk['x_groq'])['usage'])
    if (usage !== undefined) this.#usage = decodeUsage(usage)
    const choices = list(chunk['choices'])
    const choice = choices.find(({ index }) => index === undefined || index === 0)
    if (choices.length > (choice === undefined ? 0 : 1)) this.#context.dropped?.add('choices')
    if (choice !== undefined) {
      // What is said of the whole answer, the last chunk says too.
      if (typeof choice['finish_reason'] === 'string') this.#own = unread(NAME, chunk, READ).extra?.[NAME]
      this.#choice(choice, frame)
    }
    if (choices.length === 0 && usage !== undefined && this.#ended !== undefined) this.#finish()
  }

  #start(chunk: Fields): void {
    if (this.#started) return
    this.#started = true
    const id = string(chunk['id']) ?? ''
    this.#place = placeOf(this.#context, id)
    this.#out.push({ type: 'start', id, model: string(chunk['model']) ?? '' })
  }

  #choice(choice: Fields, frame: SseFrame): void {
    // Some servers send a whole message at the end of their stream, or as its only event.
    const delta = fields(choice['delta'] ?? choice['message'])
    const { content, refusal = '', annotations } = delta
    this.#segments.text('thinking', reasoningText(delta))
    if (choice['logprobs']) this.#withTokens(content, refusal, fields(choice['logprobs']))
    else {
      this.#content(content)
      if (typeof refusal === 'string') this.#refusal(refusal)
    }
    if (annotations !== undefined) this.#cite(annotations)
    if (delta['audio']) this.#context.dropped?.add('audio')
    for (const call of list(delta['tool_calls'])) this.#call(call)
    if (delta['function_call']) this.#call({ index: 0, function: delta['function_call'] })
    if (typeof choice['finish_reason'] !== 'string') return
    if (choice['finish_reason'] === 'error') return this.#fail(decodeUpstreamFailure(0, frame.data))
    this.#ended = choice
    this.#segments.flush(choice['finish_reason'] === 'length')
  }

  #withTokens(content: unknown, refusal: unknown, logprobs: Fields): void {
    const words = decodeLogprobs(logprobs['content']).logprobs
    const refusing = decodeLogprobs(logprobs['refusal']).logprobs
    if (typeof content === 'string' && content !== '') this.#segments.text('text', content, words)
    else {
      this.#content(content)
      if (Array.isArray(logprobs['content'])) for (const token of logprobs['content']) this.#tokens.push(token)
    }
    if (typeof refusal === 'string') this.#refusal(refusal, refusing)
  }

  #refusal(text: string, logprobs?: readonly TokenProbability[]): void {
    if (text === '') return
    this.#refused = true
    this.#segments.text('refusal', text, logprobs)
  }

  #cite(annotations: unknown): void {
    const { citations } = decodeAnnotations(NAME, annotations)
    if (citations !== undefined) this.#segments.cite(citations)
  }

  /** Mistral's content is a list of parts, some of them thinking. */
  #content(content: unknown): void {
    if (typeof content === 'string') return this.#segments.text('text', content)
    for (const block of decodeContent(content)) {
      if (block.type === 'text' || block.type === 'thinking') this.#segments.text(block.type, block.text)
    }
  }

  #call(delta: Fields): void {
    const said = string(delta['id']) ?? ''
    const inner = fields(delta['function'] ?? delta['custom'])
    const name = string(inner['name']) ?? ''
    const input = inner['arguments'] ?? inner['input']
    const call = this.#callOf(number(delta['index']), said, name)
    if (delta['type'] === 'custom') call.freeform = true
    // vLLM may send the first delta of a call without its name, others send the name with each delta.
    if (call.name === '' && name !== '') call.name = offeredToolName(name, this.#context.tools)
    this.#segments.grow(call, typeof input === 'string' ? input : input ? JSON.stringify(input) : '')
  }

  /** Some servers leave out the number, or say 0 for each call: then a new id with a name is a new call. */
  #callOf(number: number | undefined, said: string, name: string): CallSegment {
    const at =
      number ??
      (said === '' && name === '' ? Math.max(0, this.#calls.size - 1) : (this.#numbers.get(said) ?? this.#calls.size))
    const known = this.#calls.get(at)
    const isOther = said !== '' && known?.said !== '' && known?.said !== said && name !== ''
    if (known !== undefined && !isOther) return known.segment
    const segment = this.#segments.call(said || `call_${this.#place}_${this.#callCount}`)
    this.#callCount++
    this.#calls.set(at, { said, segment })
    if (said !== '') this.#numbers.set(said, at)
    return segment
  }

  #finish(): void {
    const { finish_reason: reason, stop_reason: stopReason } = this.#ended ?? {}
    this.#segments.flush(reason === 'length')
    const held = { calls: this.#callCount > 0, refusal: this.#refused, stopReason }
    if (this.#usage !== undefined) this.#out.push({ type: 'usage', usage: this.#usage })
    const logprobs = this.#tokens.length > 0 ? { content: this.#tokens, refusal: null } : undefined
    const own = someFields({ ...this.#own, ...defined({ logprobs }) })
    const extra = own === undefined ? {} : { extra: { [NAME]: own } }
    this.#out.push({ type: 'finish', ...decodeFinish(reason, held), ...extra })
    this.#over = true
  }

  #fail(failure: Failure): void {
    this.#out.push({ type: 'failure', failure })
    this.#over = true
  }
}
