import type { Deadlines } from '../lib/deadlines.ts'
import type { Target } from '../routing/target.ts'
import { Heartbeat, type Patient } from './heartbeat.ts'
import { Wait, type Waiter } from './wait.ts'

/** What a request does while nothing comes: it waits its turn or its time, and keeps its client patient. */
export class Patience implements Waiter {
  #waited = 0
  #wait: Wait | undefined
  #heart: Heartbeat | undefined
  readonly #owner: Waiter & Patient
  readonly #stream: boolean
  readonly #deadlines: Deadlines

  /** `stream`: only a client that reads a stream can be told anything. */
  constructor(owner: Waiter & Patient, stream: boolean, deadlines: Deadlines) {
    this.#owner = owner
    this.#stream = stream
    this.#deadlines = deadlines
  }

  /** Milliseconds that it has waited with nothing under way, until now. */
  get waitedFor(): number {
    return this.#wait === undefined ? this.#waited : this.#waited + performance.now()
  }

  /** From here on a client that waits is told that somebody is there, if the target is one that takes its time. */
  watchOver({ keepAlive }: Target): void {
    if (keepAlive !== undefined && this.#stream) this.#heart ??= new Heartbeat(keepAlive, this.#owner, this.#deadlines)
  }

  /** Nothing is under way and the client has seen nothing. `queued`: in line for a slot of the target. */
  wait(target: Target, queued: boolean, milliseconds: number): void {
    this.watchOver(target)
    this.#wait = new Wait(this, target, queued, milliseconds, this.#deadlines)
    this.#waited -= performance.now()
  }

  waited(wait: Wait, over: 'slot' | 'time'): void {
    this.#wait = undefined
    this.#waited += performance.now()
    this.#owner.waited(wait, over)
  }

  /** Something has come. */
  moved(): void {
    this.#heart?.moved()
  }

  stop(): void {
    this.#wait?.cancel()
    this.#heart?.stop()
  }
}
