import type { Deadlines } from '../lib/deadlines.ts'
import type { Target } from '../routing/target.ts'
import type { TargetState } from '../routing/target-state.ts'
import { Call } from '../upstream/call.ts'
import type { Runtime } from './runtime.ts'

/** Whose targets are asked. */
export interface Checked {
  readonly runtime: Runtime
  readonly deadlines: Deadlines
}

/** How often it is looked who is due. */
const TICK = 250
/** A list of models takes no longer, or something is wrong. */
const PATIENCE = 10_000

/** Asks targets that want it, at an interval, whether they are there. Costs nothing where nobody wants it. */
export class HealthChecks {
  readonly #checked: Checked
  /** When each is to be asked next, on the clock of `performance.now()`. */
  readonly #due = new Map<TargetState, number>()
  #timer: NodeJS.Timeout | undefined

  constructor(checked: Checked) {
    this.#checked = checked
  }

  /** Begins, goes on or stops, as the runtime in force asks for. */
  watch(): void {
    const wanted = new Set(this.#targets().map(target => target.state))
    for (const state of this.#due.keys()) if (!wanted.has(state)) this.#due.delete(state)
    if (wanted.size === 0) return this.stop()
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#tick(), TICK)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #targets(): Target[] {
    return this.#checked.runtime.targets.filter(target => target.check !== undefined)
  }

  #tick(): void {
    const now = performance.now()
    for (const target of this.#targets()) {
      if (now < (this.#due.get(target.state) ?? 0)) continue
      // Not again before it has answered.
      this.#due.set(target.state, Number.POSITIVE_INFINITY)
      this.#ask(target, now)
    }
  }

  #ask(target: Target, startedAt: number): void {
    const { check, surfaces, state, place, timeouts, wire } = target
    if (check === undefined) return
    const { cooldown } = this.#checked.runtime.rules
    const tell = (problem: string | undefined): void => {
      const now = performance.now()
      const milliseconds = Math.round(now - startedAt)
      this.#due.set(state, now + check.every)
      // Left out until a check has had the time to find it well again.
      const out = cooldown.failures === 0 ? 0 : 2 * check.every + PATIENCE
      state.checked(problem, milliseconds, out, now)
    }
    let status = 0
    const request = {
      method: 'GET',
      path: check.path,
      headers: [...(surfaces[0]?.headers ?? [])],
      body: [],
      bodyLength: 0
    }
    const patience = { connect: timeouts.connect, firstToken: PATIENCE, idle: PATIENCE, total: PATIENCE }
    new Call(wire, request, place, patience, this.#checked.deadlines, {
      onHead: code => {
        status = code
      },
      onData: () => undefined,
      // It is there, whatever it thinks of the question.
      onEnd: () => tell(status < 500 ? undefined : `${place} answered ${status} to its health check.`),
      onFailure: failure => tell(failure.message)
    })
  }
}
