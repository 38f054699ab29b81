import type { Failure } from '../chat/failure.ts'
import { Deadlines } from '../lib/deadlines.ts'
import { type Member, Roster } from '../lib/roster.ts'
import type { Alert, Limits, OnAlert, OnDecision } from '../limits/limits.ts'
import { MemoryLimits } from '../limits/memory.ts'
import type { Metrics, TargetLoad } from '../metrics/metrics.ts'
import type { HealthBook } from '../routing/health.ts'
import type { Journal } from '../spend/journal.ts'
import { ListPrices } from '../spend/prices.ts'
import type { Tracer } from '../tracing/tracer.ts'
import { HealthChecks } from './checks.ts'
import { type Account, settledCall } from './journaled.ts'
import { CallLog, type CallRecord } from './record.ts'
import type { Runtime } from './runtime.ts'
import { StoredResponses } from './stored.ts'

/** Something under way that can be told to stop. */
export interface Running extends Member {
  stop(failure: Failure): void
  /** Told when the gateway begins to drain; what has no end of its own, such as a WebSocket, ends now. */
  leave?(): void
}

/** What lives as long as the process: the runtime in force, and what its successors inherit. */
export class Gateway {
  runtime: Runtime
  /** Set when the process is about to end: new requests are refused. */
  draining = false
  /** Absent: nothing is traced. */
  tracer: Tracer | undefined
  readonly metrics: Metrics
  readonly deadlines = new Deadlines()
  readonly calls = new CallLog()
  readonly stored = new StoredResponses()
  /** How every target did; each configuration's targets look into it. */
  readonly health: HealthBook
  readonly checks = new HealthChecks(this)
  readonly running = new Roster<Running>()
  /** What callers may still use. One of its own for each process, unless several share it. */
  limits: Limits
  /** Where calls of keys are written down; absent where there are none. */
  journal: Journal | undefined
  readonly listPrices = new ListPrices()
  onAlert: OnAlert = () => undefined
  /** Told when another configuration is in force. */
  onSwap: () => void = () => undefined
  readonly startedAt = Date.now()
  readonly #onSettled: (record: CallRecord, error: unknown) => void

  constructor(
    runtime: Runtime,
    metrics: Metrics,
    onSettled: (record: CallRecord, error: unknown) => void = () => undefined
  ) {
    this.runtime = runtime
    this.metrics = metrics
    this.health = runtime.health
    this.#onSettled = onSettled
    metrics.generation = runtime.generation
    metrics.targets = () => this.#loads()
    metrics.budgets = () => this.limits.remaining()
    metrics.journal = () => this.journal ?? { pending: 0, lost: 0 }
    this.limits = new MemoryLimits(Date.now, this.onDecision, alert => this.alert(alert))
    this.checks.watch()
  }

  /** Puts a new runtime in force. Requests under way keep the one they began with. */
  swap(runtime: Runtime): void {
    const { hooks } = this.runtime
    this.runtime = runtime
    hooks?.leave()
    this.metrics.generation = runtime.generation
    this.health.keepOnly(new Set(runtime.targets.map(target => target.state)))
    this.checks.watch()
    this.onSwap()
  }

  /** What the gauges of targets show: targets that share a name are added up. */
  #loads(): Map<string, TargetLoad> {
    const now = performance.now()
    const loads = new Map<string, TargetLoad>()
    const seen = new Set(this.runtime.targets.map(target => target.state))
    for (const state of seen) {
      const { cooling, waiting, inflight } = loads.get(state.name) ?? { cooling: 0, waiting: 0, inflight: 0 }
      loads.set(state.name, {
        cooling: cooling + (state.coolingFor(now) > 0 ? 1 : 0),
        waiting: waiting + state.waiting,
        inflight: inflight + state.inflight
      })
    }
    return loads
  }

  /** `account`: whose it was, where that is written down. What never left here costs nobody anything. */
  settled(record: CallRecord, error: unknown, account?: Account): void {
    this.calls.add(record)
    this.#onSettled(record, error)
    if (this.journal === undefined || account === undefined) return
    if (record.attempts.length > 0 || record.failure === undefined) this.journal.settled(settledCall(record, account))
  }

  readonly onDecision: OnDecision = (scope, dimension, decision) => this.metrics.limited(scope, dimension, decision)

  /** A budget is half gone, nearly gone, or gone. */
  alert(alert: Alert): void {
    this.metrics.alerted(alert.bound.scope, alert.percent)
    this.onAlert(alert)
  }

  /** Resolves when nothing runs any more, or stops what is left when the time is over. */
  async drain(milliseconds: number, failure: Failure): Promise<void> {
    this.draining = true
    this.checks.stop()
    this.running.each(running => running.leave?.())
    const until = performance.now() + milliseconds
    while (this.running.size > 0 && performance.now() < until) await new Promise(resolve => setTimeout(resolve, 20))
    this.running.each(running => running.stop(failure))
  }
}
