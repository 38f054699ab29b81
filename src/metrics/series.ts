// Counters that cost a few nanoseconds: plain numbers found once, when a configuration is compiled, and read when
// somebody scrapes. prom-client's own `observe` with labels costs 2 µs, which is felt a dozen times a request.

import { METRICS } from './table.ts'

export class Count {
  value = 0

  add(amount = 1): void {
    this.value += amount
  }
}

export class Distribution {
  readonly buckets: readonly number[]
  readonly counts: Uint32Array
  sum = 0
  count = 0

  constructor(buckets: readonly number[]) {
    this.buckets = buckets
    this.counts = new Uint32Array(buckets.length)
  }

  observe(value: number): void {
    this.sum += value
    this.count++
    const { buckets } = this
    for (let index = 0; index < buckets.length; index++) {
      if (value <= (buckets[index] as number)) {
        // Only its own bucket; the ones above it are added up when scraped.
        this.counts[index] = (this.counts[index] as number) + 1
        return
      }
    }
  }
}

export const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx'] as const

/** What is counted for one model, provider and endpoint. */
export class CallSeries {
  readonly statuses = STATUS_CLASSES.map(() => new Count())
  readonly duration = new Distribution(METRICS.gen_ai_client_operation_duration_seconds.buckets)
  readonly firstToken = new Distribution(METRICS.gen_ai_server_time_to_first_token_seconds.buckets)
  readonly perToken = new Distribution(METRICS.gen_ai_server_time_per_output_token_seconds.buckets)
  readonly inputTokens = new Distribution(METRICS.gen_ai_client_token_usage.buckets)
  readonly outputTokens = new Distribution(METRICS.gen_ai_client_token_usage.buckets)
  /** USD. */
  readonly cost = new Count()
  readonly model: string
  readonly provider: string
  readonly endpoint: string

  constructor(model: string, provider: string, endpoint: string) {
    this.model = model
    this.provider = provider
    this.endpoint = endpoint
  }

  status(status: number): void {
    this.statuses[Math.min(Math.max(Math.floor(status / 100), 2), 5) - 2]?.add()
  }
}

/** What is counted for one target: its attempts by reason (`ok` when it worked), and its calls by endpoint. */
export class TargetSeries {
  readonly #attempts: Map<string, Count>
  readonly #calls = new Map<string, CallSeries>()
  readonly #find: (endpoint: string) => CallSeries

  constructor(attempts: Map<string, Count>, find: (endpoint: string) => CallSeries) {
    this.#attempts = attempts
    this.#find = find
  }

  attempt(reason: string): void {
    countIn(this.#attempts, reason).add()
  }

  call(endpoint: string): CallSeries {
    let series = this.#calls.get(endpoint)
    if (series === undefined) {
      series = this.#find(endpoint)
      this.#calls.set(endpoint, series)
    }
    return series
  }
}

function countIn(counts: Map<string, Count>, key: string): Count {
  let count = counts.get(key)
  if (count === undefined) {
    count = new Count()
    counts.set(key, count)
  }
  return count
}
