import type { Bound } from './bound.ts'

/** The hooks of one configuration. They are let go after its last request. */
export class HookSet {
  readonly own: readonly Bound[]
  /** By the place of the entry in model_list. */
  readonly byEntry: readonly (readonly Bound[])[]
  /** Differs when any hook does, its files or its options. */
  readonly stamp: string
  readonly #release: () => void
  #users = 1

  constructor(own: readonly Bound[], byEntry: readonly (readonly Bound[])[], stamp: string, release: () => void) {
    this.own = own
    this.byEntry = byEntry
    this.stamp = stamp
    this.#release = release
  }

  get isEmpty(): boolean {
    return this.own.length === 0 && this.byEntry.every(list => list.length === 0)
  }

  /** A request begins. */
  enter(): void {
    this.#users++
  }

  /** A request is over, or the configuration is not in force any more. */
  leave(): void {
    this.#users--
    if (this.#users === 0) this.#release()
  }
}
