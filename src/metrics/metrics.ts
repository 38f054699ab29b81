import { collectDefaultMetrics, Registry } from 'prom-client'
import { conventional, costsOf, histogram, statusesOf, type Value } from './exposition.ts'
import { CallSeries, type Count, Distribution, TargetSeries } from './series.ts'
import { METRICS, type MetricName, type MetricRow } from './table.ts'
import { Tally } from './tally.ts'

/** Names that clients and hooks choose: so many are told apart. */
const MAX_CHOSEN = 300
const MAX_NAME = 80

/** What a target's gauges show. */
export interface TargetLoad {
  /** How many of this name are left out for their failures. */
  readonly cooling: number
  readonly waiting: number
  readonly inflight: number
}

/** All the gateway counts. One for the process; it outlives every configuration, so counters never go back. */
export class Metrics {
  inflight = 0
  generation = 0
  /** By target; asked when somebody scrapes. */
  targets: () => ReadonlyMap<string, TargetLoad> = () => new Map()
  /** Asked when somebody scrapes. */
  journal: () => { readonly pending: number; readonly lost: number } = () => ({ pending: 0, lost: 0 })
  budgets: () => readonly { readonly scope: string; readonly id: string; readonly ratio: number }[] = () => []
  readonly overhead = new Distribution(METRICS.gateway_overhead_seconds.buckets)
  #rejected = false
  readonly #streamAborts = new Tally(METRICS.gateway_stream_aborts_total.labels)
  readonly #reloads = new Tally(METRICS.gateway_config_reloads_total.labels)
  readonly #fallbacks = new Tally(METRICS.gateway_fallbacks_total.labels)
  readonly #dropped = new Tally(METRICS.gateway_translation_dropped_total.labels, MAX_CHOSEN)
  readonly #mended = new Tally(METRICS.gateway_mended_total.labels)
  readonly #spans = new Tally(METRICS.gateway_trace_spans_total.labels)
  readonly #hookErrors = new Tally(METRICS.gateway_hook_errors_total.labels)
  readonly #hookEvents = new Tally(METRICS.gateway_hook_events_total.labels, MAX_CHOSEN)
  readonly #lookups = new Tally(METRICS.gateway_cache_lookups_total.labels)
  readonly #savings = new Tally(METRICS.gateway_savings_usd_total.labels)
  readonly #limits = new Tally(METRICS.gateway_limit_decisions_total.labels)
  readonly #alerts = new Tally(METRICS.gateway_budget_alerts_total.labels)
  /** By hook, then by phase. */
  readonly #hooks = new Map<string, Map<string, Distribution>>()
  /** By target, then by reason. */
  readonly #attempts = new Map<string, Map<string, Count>>()
  /** By model, provider and endpoint: targets that share a name share these. */
  readonly #calls = new Map<string, CallSeries>()
  readonly #registry = new Registry()

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    const sources = this.#sources()
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const { help, type }: MetricRow = METRICS[name]
      const get = async () => ({ name, help, type, values: sources[name]() })
      const metric = { name, help, type, aggregator: 'sum', get }
      this.#registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0])
    }
  }

  target(target: string, model: string, provider: string): TargetSeries {
    let attempts = this.#attempts.get(target)
    if (attempts === undefined) {
      attempts = new Map()
      this.#attempts.set(target, attempts)
    }
    return new TargetSeries(attempts, endpoint => this.call(model, provider, endpoint))
  }

  /** Requests that reached no target count as model `other`: a stranger chose the name. */
  call(model: string, provider: string, endpoint: string): CallSeries {
    const key = `${model}\n${provider}\n${endpoint}`
    let series = this.#calls.get(key)
    if (series === undefined) {
      series = new CallSeries(model, provider, endpoint)
      this.#calls.set(key, series)
    }
    return series
  }

  streamAborted(by: 'client' | 'upstream' | 'gateway'): void {
    this.#streamAborts.add([by])
  }

  reloaded(result: 'accepted' | 'rejected' | 'unchanged'): void {
    this.#rejected = result === 'rejected'
    this.#reloads.add([result])
  }

  fellBack(from: string, to: string, reason: string): void {
    this.#fallbacks.add([from, to, reason])
  }

  /** Field names come from clients. */
  droppedField(from: string, to: string, field: string): void {
    this.#dropped.add([from, to, field.replace(/\[\d+\]/g, '[]').slice(0, MAX_NAME)])
  }

  mended(target: string, kind: string, times: number): void {
    if (times > 0) this.#mended.add([target, kind], times)
  }

  /** Found once for each hook and phase. */
  hookDuration(hook: string, phase: string): Distribution {
    let phases = this.#hooks.get(hook)
    if (phases === undefined) {
      phases = new Map()
      this.#hooks.set(hook, phases)
    }
    let duration = phases.get(phase)
    if (duration === undefined) {
      duration = new Distribution(METRICS.gateway_hook_duration_seconds.buckets)
      phases.set(phase, duration)
    }
    return duration
  }

  spansEnded(result: 'exported' | 'dropped', spans: number): void {
    this.#spans.add([result], spans)
  }

  hookFailed(hook: string): void {
    this.#hookErrors.add([hook])
  }

  /** A hook may say anything; counters only go up. */
  hookCounted(hook: string, event: string, amount: number): void {
    if (Number.isFinite(amount) && amount > 0) this.#hookEvents.add([hook, String(event).slice(0, MAX_NAME)], amount)
  }

  cacheLooked(kind: 'exact' | 'semantic', result: 'hit' | 'coalesced' | 'miss' | 'bypass'): void {
    this.#lookups.add([kind, result])
  }

  saved(by: string, dollars: number): void {
    this.#savings.add([by], dollars)
  }

  limited(scope: string, dimension: string, decision: string): void {
    this.#limits.add([scope, dimension, decision])
  }

  alerted(scope: string, percent: number): void {
    this.#alerts.add([scope, String(percent)])
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text that Prometheus scrapes. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }

  /** Where each row of the table gets its numbers from when somebody scrapes. */
  #sources(): Readonly<Record<MetricName, () => Value[]>> {
    const attempts = () => [...this.#attempts].flatMap(([target, reasons]) => attemptsAt(target, reasons))
    const overhead = () => histogram('gateway_overhead_seconds', { phase: 'before_upstream' }, this.overhead)
    return {
      gateway_requests_total: () => [...this.#calls.values()].flatMap(statusesOf),
      gateway_overhead_seconds: overhead,
      gateway_upstream_attempts_total: attempts,
      gateway_fallbacks_total: () => this.#fallbacks.values(),
      gateway_target_cooling: () => this.#gauges('cooling'),
      gateway_target_queue: () => this.#gauges('waiting'),
      gateway_target_inflight: () => this.#gauges('inflight'),
      gateway_inflight: () => [{ value: this.inflight, labels: {} }],
      gateway_stream_aborts_total: () => this.#streamAborts.values(),
      gateway_translation_dropped_total: () => this.#dropped.values(),
      gateway_mended_total: () => this.#mended.values(),
      gateway_hook_duration_seconds: () => this.#hookDurations(),
      gateway_hook_errors_total: () => this.#hookErrors.values(),
      gateway_hook_events_total: () => this.#hookEvents.values(),
      gateway_cache_lookups_total: () => this.#lookups.values(),
      gateway_cost_usd_total: () => [...this.#calls.values()].flatMap(costsOf),
      gateway_savings_usd_total: () => this.#savings.values(),
      gateway_limit_decisions_total: () => this.#limits.values(),
      gateway_budget_alerts_total: () => this.#alerts.values(),
      gateway_budget_remaining_ratio: () =>
        this.budgets().map(({ scope, id, ratio }) => ({ value: ratio, labels: { scope, id } })),
      gateway_journal_pending: () => [{ value: this.journal().pending, labels: {} }],
      gateway_journal_lost_total: () => [{ value: this.journal().lost, labels: {} }],
      gateway_trace_spans_total: () => this.#spans.values(),
      gateway_config_reloads_total: () => this.#reloads.values(),
      gateway_config_generation: () => [{ value: this.generation, labels: {} }],
      gateway_config_rejected: () => [{ value: this.#rejected ? 1 : 0, labels: {} }],
      gen_ai_client_operation_duration_seconds: () =>
        this.#ofCalls('gen_ai_client_operation_duration_seconds', 'duration'),
      gen_ai_server_time_to_first_token_seconds: () =>
        this.#ofCalls('gen_ai_server_time_to_first_token_seconds', 'firstToken'),
      gen_ai_server_time_per_output_token_seconds: () =>
        this.#ofCalls('gen_ai_server_time_per_output_token_seconds', 'perToken'),
      gen_ai_client_token_usage: () => [
        ...this.#ofCalls('gen_ai_client_token_usage', 'inputTokens', 'input'),
        ...this.#ofCalls('gen_ai_client_token_usage', 'outputTokens', 'output')
      ]
    }
  }

  #gauges(of: keyof TargetLoad): Value[] {
    return [...this.targets()].map(([target, load]) => ({ value: load[of], labels: { target } }))
  }

  #hookDurations(): Value[] {
    return [...this.#hooks].flatMap(([hook, phases]) =>
      [...phases].flatMap(([phase, duration]) => histogram('gateway_hook_duration_seconds', { hook, phase }, duration))
    )
  }

  #ofCalls(name: MetricName, of: CallDistribution, tokens?: 'input' | 'output'): Value[] {
    const type = tokens === undefined ? {} : { gen_ai_token_type: tokens }
    return [...this.#calls.values()].flatMap(call => histogram(name, { ...conventional(call), ...type }, call[of]))
  }
}

type CallDistribution = 'duration' | 'firstToken' | 'perToken' | 'inputTokens' | 'outputTokens'

function attemptsAt(target: string, reasons: ReadonlyMap<string, Count>): Value[] {
  return [...reasons].map(([reason, { value }]) => ({
    value,
    labels: { target, outcome: reason === 'ok' ? 'success' : 'failure', reason }
  }))
}
