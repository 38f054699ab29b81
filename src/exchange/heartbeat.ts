import type { Deadline, Deadlines } from '../lib/deadlines.ts'

export interface Patient {
  /** Nothing has come for so long. False: there is nobody left to keep patient. */
  beat(): boolean
}

/** Speaks up for an upstream that is silent: agents give up a stream on which nothing happens for minutes. */
export class Heartbeat implements Deadline {
  place = -1
  phaseAt: number
  readonly totalAt = Number.POSITIVE_INFINITY
  readonly #every: number
  readonly #patient: Patient
  readonly #deadlines: Deadlines

  constructor(every: number, patient: Patient, deadlines: Deadlines) {
    this.#every = every
    this.#patient = patient
    this.#deadlines = deadlines
    this.phaseAt = deadlines.start() + every
    deadlines.add(this)
  }

  /** Something has come. */
  moved(): void {
    this.phaseAt = this.#deadlines.now + this.#every
  }

  expire(): void {
    if (!this.#patient.beat()) return
    this.phaseAt = this.#deadlines.now + this.#every
    this.#deadlines.add(this)
  }

  stop(): void {
    this.#deadlines.remove(this)
  }
}
