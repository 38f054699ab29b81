import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { Fields } from '../../chat/request.ts'
import { parseJson } from '../../lib/json-repair.ts'
import type { SseFrame } from '../../lib/sse.ts'
import type { DecodeContext, StreamDecoder } from '../dialect.ts'
import { fields, list, string } from '../read.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { decodeFinish, decodeUsage, envelopeExtra } from './answer.ts'
import { StreamItems } from './stream-items.ts'

export function decodeStream(context: DecodeContext = {}): StreamDecoder {
  return new ResponsesDecoder(context)
}

class ResponsesDecoder implements StreamDecoder {
  readonly #items: StreamItems
  #out: ChatEvent[] = []
  #started = false
  /** One `in_progress` belongs to each stream; more of them say that the upstream is alive. */
  #inProgress = 0
  #over = false

  constructor(context: DecodeContext) {
    this.#items = new StreamItems(event => this.#out.push(event), context)
  }

  push(frame: SseFrame): ChatEvent[] {
    if (!this.#over && frame.data.trim() !== '[DONE]') this.#read(frame)
    return this.#taken()
  }

  end(): ChatEvent[] {
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
    const value = parseJson(frame.data)
    if (value === undefined) {
      return this.#fail(new Failure('upstream-failed', 'The upstream sent an event that is not JSON.'))
    }
    const event = fields(value)
    const type = string(event['type']) ?? frame.event ?? ''
    const response = fields(event['response'])
    switch (type) {
      case 'response.created':
      case 'response.queued':
        return this.#start(response)
      case 'response.in_progress':
        this.#start(response)
        return this.#inProgress++ > 0 ? this.#ping() : undefined
      case 'keepalive':
        this.#start(response)
        return this.#ping()
      case 'response.completed':
      case 'response.incomplete':
        return this.#finish(response, type)
      case 'response.failed':
      case 'error':
        return this.#fail(decodeUpstreamFailure(0, frame.data))
      case 'response.cancelled':
        return this.#fail(new Failure('upstream-failed', 'The upstream cancelled the response.'))
      default:
        // OpenAI adds events, so unknown ones mean nothing.
        if (event['error'] || event['object'] === 'error') return this.#fail(decodeUpstreamFailure(0, frame.data))
        if (!type.startsWith('response.')) return
        this.#start(response)
        this.#items.read(type, event)
    }
  }

  #start(response: Fields): void {
    if (this.#started) return
    this.#started = true
    const id = string(response['id']) ?? ''
    this.#items.answer = id
    this.#out.push({ type: 'start', id, model: string(response['model']) ?? '' })
  }

  #ping(): void {
    this.#out.push({ type: 'ping' })
  }

  #finish(response: Fields, type: string): void {
    this.#start(response)
    // Some servers send no events for items, and all of them here.
    this.#items.all(list(response['output']), type === 'response.incomplete')
    if (response['usage']) this.#out.push({ type: 'usage', usage: decodeUsage(fields(response['usage'])) })
    const status = type === 'response.incomplete' ? 'incomplete' : 'completed'
    const reason = decodeFinish({ ...response, status }, this.#items)
    this.#out.push({ type: 'finish', reason, ...envelopeExtra({ ...response, status }) })
    this.#over = true
  }

  #fail(failure: Failure): void {
    this.#out.push({ type: 'failure', failure })
    this.#over = true
  }
}
