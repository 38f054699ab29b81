// Gemini's streams for a client that did not ask for events (`alt=sse`): one JSON array, an element at a time.

import type { ChatEvent } from '../../chat/events.ts'
import type { ClientSide, EncodeContext, StreamEncoder } from '../dialect.ts'
import { encodeAnswer } from './answer.ts'
import { decodeRequest } from './request.ts'
import { encodeStream } from './stream-writer.ts'

export const array: ClientSide = { decodeRequest, encodeAnswer, encodeStream: context => new ArrayEncoder(context) }

class ArrayEncoder implements StreamEncoder {
  readonly #events: StreamEncoder
  #said = false

  constructor(context: EncodeContext) {
    this.#events = encodeStream(context)
  }

  push(event: ChatEvent): string {
    const text = this.#elements(this.#events.push(event))
    return event.type === 'finish' || event.type === 'failure' ? `${text}]` : text
  }

  keepAlive(): string {
    return this.#elements(this.#events.keepAlive())
  }

  end(): string {
    const text = this.#events.end()
    return text === '' ? '' : `${this.#elements(text)}]`
  }

  /** Each frame is one line of data. */
  #elements(frames: string): string {
    let text = ''
    for (const frame of frames.split(/\r?\n\r?\n/)) {
      if (frame === '') continue
      text += (this.#said ? ',\n' : '[') + frame.slice(frame.indexOf('{'))
      this.#said = true
    }
    return text
  }
}
