// Many deadlines, one timer: streams move theirs with every chunk, which has to cost an assignment and nothing more.

import { type Member, Roster } from './roster.ts'

export interface Deadline extends Member {
  /** Milliseconds on the clock of `Deadlines.now`; Infinity while nothing is awaited. */
  phaseAt: number
  totalAt: number
  /** Called once; the deadline has been removed before. */
  expire(which: 'phase' | 'total'): void
}

const TICK = 20

export class Deadlines {
  /** Coarse: as old as one tick while something is active. */
  now = performance.now()
  readonly #active = new Roster<Deadline>()
  #timer: NodeJS.Timeout | undefined
  #idleTicks = 0

  add(deadline: Deadline): void {
    this.#active.add(deadline)
  }

  /** The present, refreshed when no tick does it. Call before computing a deadline that is not moved from a tick. */
  start(): number {
    if (this.#timer === undefined) {
      this.now = performance.now()
      this.#timer = setInterval(() => this.#tick(), TICK)
      this.#timer.unref()
    }
    this.#idleTicks = 0
    return this.now
  }

  remove(deadline: Deadline): void {
    this.#active.remove(deadline)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#active.each(deadline => this.#active.remove(deadline))
  }

  #tick(): void {
    this.now = performance.now()
    if (this.#active.size === 0) {
      // Starting an interval costs more than a few empty ticks, so it goes on for a second.
      if (++this.#idleTicks > 50) {
        clearInterval(this.#timer)
        this.#timer = undefined
      }
      return
    }
    this.#active.each(deadline => {
      const which = this.now >= deadline.phaseAt ? 'phase' : this.now >= deadline.totalAt ? 'total' : undefined
      if (which === undefined) return
      this.#active.remove(deadline)
      deadline.expire(which)
    })
  }
}
