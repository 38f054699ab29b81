import type { Block } from '../chat/block.ts'
import type { ChatEvent } from '../chat/events.ts'
import type { Extra } from '../chat/request.ts'

/** Writes blocks one after the other, with numbers of its own. */
export class BlockWriter {
  #out: ChatEvent[] = []
  #open: Block['type'] | undefined
  #next = 0

  get open(): Block['type'] | undefined {
    return this.#open
  }

  begin(block: Block): void {
    this.end()
    this.#open = block.type
    this.#out.push({ type: 'block-start', index: this.#next, block })
  }

  delta(text: string): void {
    if (this.#open !== undefined) this.#out.push({ type: 'block-delta', index: this.#next, text })
  }

  extra(extra: Extra): void {
    if (this.#open !== undefined) this.#out.push({ type: 'block-extra', index: this.#next, extra })
  }

  end(): void {
    if (this.#open === undefined) return
    this.#open = undefined
    this.#out.push({ type: 'block-end', index: this.#next++ })
  }

  say(event: ChatEvent): void {
    this.#out.push(event)
  }

  taken(): ChatEvent[] {
    const out = this.#out
    this.#out = []
    return out
  }
}
