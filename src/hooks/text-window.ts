import type { ChatEvent } from '../chat/events.ts'

/**
 * Changes the text of an answer though what is looked for may be cut by the pieces it comes in. `hold` says how many
 * characters at the end may be the beginning of it; they wait for more.
 */
export class TextWindow {
  readonly #hold: (text: string) => number
  readonly #change: (text: string) => string
  #open = -1
  #held = ''

  constructor(hold: (text: string) => number, change: (text: string) => string) {
    this.#hold = hold
    this.#change = change
  }

  /** What an event becomes; for `onEvent`. */
  push(event: ChatEvent): ChatEvent | readonly ChatEvent[] | null | undefined {
    switch (event.type) {
      case 'start':
        this.#open = -1
        this.#held = ''
        return undefined
      case 'block-start': {
        const { block } = event
        this.#open = block.type === 'text' || block.type === 'thinking' ? event.index : -1
        this.#held = ''
        return undefined
      }
      case 'block-delta':
        return event.index === this.#open ? this.#more(event) : undefined
      case 'block-end': {
        if (event.index !== this.#open || this.#held === '') return undefined
        const text = this.#change(this.#held)
        this.#held = ''
        return text === '' ? event : [{ type: 'block-delta', index: event.index, text }, event]
      }
      default:
        return undefined
    }
  }

  #more(event: ChatEvent & { readonly type: 'block-delta' }): ChatEvent | null | undefined {
    const whole = this.#held + event.text
    const ready = whole.length - Math.min(whole.length, Math.max(0, this.#hold(whole)))
    if (ready === 0) {
      this.#held = whole
      return null
    }
    const hadNone = this.#held === ''
    this.#held = whole.slice(ready)
    const text = this.#change(whole.slice(0, ready))
    if (hadNone && text === event.text) return undefined
    return text === '' ? null : { ...event, text }
  }
}
