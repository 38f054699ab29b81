import type { ChatEvent } from '../chat/events.ts'

/** Whatever hooks make of events, clients are sent a proper stream: one start, blocks one after the other, one end. */
export class ValidStream {
  #started = false
  #ended = false
  /** The open block, by the index that hooks know it by and the one that the client does. */
  #open: { readonly known: number; readonly sent: number } | undefined
  #next = 0

  push(event: ChatEvent): ChatEvent[] {
    if (this.#ended) return []
    switch (event.type) {
      case 'start':
        if (this.#started) return []
        this.#started = true
        return [event]
      case 'block-start': {
        const before = [...this.#begin(), ...this.#close()]
        this.#open = { known: event.index, sent: this.#next++ }
        return [...before, indexed(event, this.#open.sent)]
      }
      case 'block-delta':
      case 'block-extra':
        // Of a block that was dropped, or is over.
        return this.#open?.known === event.index ? [indexed(event, this.#open.sent)] : []
      case 'block-end':
        return this.#open?.known === event.index ? this.#close() : []
      case 'finish':
      case 'failure':
        this.#ended = true
        return [...(event.type === 'finish' ? this.#begin() : []), ...this.#close(), event]
      case 'usage':
        return [...this.#begin(), event]
      case 'ping':
        return [event]
    }
  }

  #begin(): ChatEvent[] {
    if (this.#started) return []
    this.#started = true
    return [{ type: 'start', id: '', model: '' }]
  }

  #close(): ChatEvent[] {
    if (this.#open === undefined) return []
    const { sent } = this.#open
    this.#open = undefined
    return [{ type: 'block-end', index: sent }]
  }
}

function indexed<Event extends ChatEvent & { readonly index: number }>(event: Event, index: number): Event {
  return event.index === index ? event : { ...event, index }
}
