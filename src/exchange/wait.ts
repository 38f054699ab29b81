import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Target } from '../routing/target.ts'
import type { Waiting } from '../routing/target-state.ts'

/** Told when a wait is over: `slot`, its turn has come; `time`, its time is over. */
export interface Waiter {
  waited(wait: Wait, over: 'slot' | 'time'): void
}

/** A request that waits: in line for a slot of a target, or for a target that failed to come to itself. */
export class Wait implements Deadline, Waiting {
  place = -1
  readonly phaseAt: number
  readonly totalAt = Number.POSITIVE_INFINITY
  readonly target: Target
  /** In line; else it only lets time pass. */
  readonly queued: boolean
  readonly limit: number
  readonly milliseconds: number
  readonly #waiter: Waiter
  readonly #deadlines: Deadlines

  constructor(waiter: Waiter, target: Target, queued: boolean, milliseconds: number, deadlines: Deadlines) {
    this.target = target
    this.queued = queued
    this.limit = target.maxParallel ?? Number.POSITIVE_INFINITY
    this.milliseconds = milliseconds
    this.#waiter = waiter
    this.#deadlines = deadlines
    this.phaseAt = deadlines.start() + milliseconds
    deadlines.add(this)
    if (queued) target.state.join(this)
  }

  wake(): void {
    this.#deadlines.remove(this)
    this.#waiter.waited(this, 'slot')
  }

  expire(): void {
    if (this.queued) this.target.state.leave(this)
    this.#waiter.waited(this, 'time')
  }

  /** Nobody waits any more. */
  cancel(): void {
    this.#deadlines.remove(this)
    if (this.queued) this.target.state.leave(this)
  }
}
