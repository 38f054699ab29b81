import { TargetState } from './target-state.ts'

/** How targets do, by what they are: a reload that says the same target again finds it as it was. */
export class HealthBook {
  readonly #states = new Map<string, TargetState>()

  /** `identity`: name, address and credential; two keys of one provider fail each for itself. */
  state(name: string, identity: string): TargetState {
    let state = this.#states.get(identity)
    if (state === undefined) {
      state = new TargetState(name, identity)
      this.#states.set(identity, state)
    }
    return state
  }

  /** Forgets what no configuration names any more and nobody uses. */
  keepOnly(states: ReadonlySet<TargetState>): void {
    for (const [identity, state] of this.#states) {
      if (!states.has(state) && state.inflight === 0 && state.waiting === 0) this.#states.delete(identity)
    }
  }
}
