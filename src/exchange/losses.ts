import type { DialectName } from '../dialects/dialect.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { Target } from '../routing/target.ts'
import type { Inbound } from './inbound.ts'

/** What could not be said on the way to an upstream, and what of its answer on the way back. */
export class Losses {
  readonly #inbound: Inbound
  readonly #metrics: Metrics | undefined
  /** What of the answer is lost by now. */
  readonly #back: () => readonly string[]
  #there: readonly string[] = []
  #upstream: DialectName | undefined
  /** The operator does not want clients and logs to be told. */
  #isQuiet = false

  constructor(inbound: Inbound, metrics: Metrics | undefined, back: () => readonly string[]) {
    this.#inbound = inbound
    this.#metrics = metrics
    this.#back = back
  }

  /** A request goes out without these. */
  asked(target: Target, upstream: DialectName, dropped: readonly string[]): void {
    this.#there = dropped
    this.#upstream = upstream
    this.#isQuiet = target.onUnsupported === 'drop'
    for (const field of dropped) this.#metrics?.droppedField(this.#inbound.dialect, upstream, field)
  }

  /** As clients are told: of a stream only what is known when it begins. */
  get told(): readonly string[] {
    if (this.#isQuiet) return []
    const back = this.#back()
    return back.length === 0 ? this.#there : [...this.#there, ...back]
  }

  /** As the log is told, once all is over. */
  settled(): readonly string[] {
    const upstream = this.#upstream
    if (upstream !== undefined)
      for (const field of this.#back()) this.#metrics?.droppedField(upstream, this.#inbound.dialect, field)
    return this.told
  }
}
