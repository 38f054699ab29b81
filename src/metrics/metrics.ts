import { collectDefaultMetrics, Registry } from 'prom-client'
import { CallSeries, type Count, countIn, Distribution, STATUS_CLASSES, TargetSeries } from './series.ts'
import { METRICS, type MetricName, type MetricRow } from './table.ts'

const MAX_DROPPED_FIELDS = 300

type Labels = Record<string, string>
interface Value {
  value: number
  labels: Labels
  metricName?: string
}

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
  readonly overhead = new Distribution(METRICS.gateway_overhead_seconds.buckets)
  readonly streamAborts = new Map<string, Count>()
  readonly reloads = new Map<string, Count>()
  readonly fallbacks = new Map<string, Count>()
  readonly #dropped = new Map<string, Count>()
  /** By target, then by reason. */
  readonly #attempts = new Map<string, Map<string, Count>>()
  /** By model, provider and endpoint: targets that share a name share these. */
  readonly #calls = new Map<string, CallSeries>()
  readonly #registry = new Registry()

  constructor() {
    collectDefaultMetrics({ register: this.#registry })
    for (const name of Object.keys(METRICS) as MetricName[]) {
      const row: MetricRow = METRICS[name]
      const metric = {
        name,
        help: row.help,
        type: row.type,
        aggregator: 'sum',
        get: async () => ({ name, help: row.help, type: row.type, values: this.#values(name) })
      }
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
    countIn(this.streamAborts, by).add()
  }

  reloaded(result: 'accepted' | 'rejected' | 'unchanged'): void {
    countIn(this.reloads, result).add()
  }

  fellBack(from: string, to: string, reason: string): void {
    countIn(this.fallbacks, JSON.stringify([from, to, reason])).add()
  }

  /** Field names come from clients: the first few hundred are told apart. */
  droppedField(from: string, to: string, field: string): void {
    const plain = field.replace(/\[\d+\]/g, '[]').slice(0, 80)
    const key = JSON.stringify([from, to, plain])
    const known = this.#dropped.has(key) || this.#dropped.size < MAX_DROPPED_FIELDS
    countIn(this.#dropped, known ? key : JSON.stringify([from, to, 'other'])).add()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text that Prometheus scrapes. */
  render(): Promise<string> {
    return this.#registry.metrics()
  }

  #gauges(of: keyof TargetLoad): Value[] {
    return [...this.targets()].map(([target, load]) => ({ value: load[of], labels: { target } }))
  }

  #values(name: MetricName): Value[] {
    switch (name) {
      case 'gateway_requests_total':
        return [...this.#calls.values()].flatMap(call =>
          call.statuses.flatMap((count, index) =>
            count.value === 0
              ? []
              : [{ value: count.value, labels: { ...placeOf(call), status: STATUS_CLASSES[index] ?? '' } }]
          )
        )
      case 'gateway_overhead_seconds':
        return histogram(name, { phase: 'before_upstream' }, this.overhead)
      case 'gateway_upstream_attempts_total':
        return [...this.#attempts].flatMap(([target, reasons]) =>
          [...reasons].map(([reason, count]) => ({
            value: count.value,
            labels: { target, outcome: reason === 'ok' ? 'success' : 'failure', reason }
          }))
        )
      case 'gateway_fallbacks_total':
        return [...this.fallbacks].map(([key, count]) => {
          const [from = '', to = '', reason = ''] = JSON.parse(key) as string[]
          return { value: count.value, labels: { from, to, reason } }
        })
      case 'gateway_translation_dropped_total':
        return [...this.#dropped].map(([key, count]) => {
          const [from = '', to = '', field = ''] = JSON.parse(key) as string[]
          return { value: count.value, labels: { from, to, field } }
        })
      case 'gateway_target_cooling':
        return this.#gauges('cooling')
      case 'gateway_target_queue':
        return this.#gauges('waiting')
      case 'gateway_target_inflight':
        return this.#gauges('inflight')
      case 'gateway_inflight':
        return [{ value: this.inflight, labels: {} }]
      case 'gateway_stream_aborts_total':
        return counted(this.streamAborts, 'by')
      case 'gateway_config_reloads_total':
        return counted(this.reloads, 'result')
      case 'gateway_config_generation':
        return [{ value: this.generation, labels: {} }]
      case 'gen_ai_client_operation_duration_seconds':
        return [...this.#calls.values()].flatMap(call => histogram(name, conventional(call), call.duration))
      case 'gen_ai_server_time_to_first_token_seconds':
        return [...this.#calls.values()].flatMap(call => histogram(name, conventional(call), call.firstToken))
      case 'gen_ai_server_time_per_output_token_seconds':
        return [...this.#calls.values()].flatMap(call => histogram(name, conventional(call), call.perToken))
      case 'gen_ai_client_token_usage':
        return [...this.#calls.values()].flatMap(call => [
          ...histogram(name, { ...conventional(call), gen_ai_token_type: 'input' }, call.inputTokens),
          ...histogram(name, { ...conventional(call), gen_ai_token_type: 'output' }, call.outputTokens)
        ])
    }
  }
}

function placeOf(call: CallSeries): Labels {
  return { model: call.model, provider: call.provider, endpoint: call.endpoint }
}

function conventional(call: CallSeries): Labels {
  return { gen_ai_operation_name: call.endpoint, gen_ai_provider_name: call.provider, gen_ai_request_model: call.model }
}

function counted(counts: ReadonlyMap<string, Count>, label: string): Value[] {
  return [...counts].map(([key, count]) => ({ value: count.value, labels: { [label]: key } }))
}

function histogram(name: string, labels: Labels, distribution: Distribution): Value[] {
  if (distribution.count === 0) return []
  let below = 0
  const values: Value[] = distribution.buckets.map((bound, index) => {
    below += distribution.counts[index] ?? 0
    return { metricName: `${name}_bucket`, labels: { ...labels, le: String(bound) }, value: below }
  })
  values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: distribution.count })
  values.push({ metricName: `${name}_sum`, labels, value: distribution.sum })
  values.push({ metricName: `${name}_count`, labels, value: distribution.count })
  return values
}
