// The numbers in the shape that prom-client's registry writes out.

import { type CallSeries, type Distribution, STATUS_CLASSES } from './series.ts'

export type Labels = Readonly<Record<string, string>>

export interface Value {
  readonly value: number
  readonly labels: Labels
  readonly metricName?: string
}

export function statusesOf(call: CallSeries): Value[] {
  const { model, provider, endpoint } = call
  return call.statuses.flatMap(({ value }, index) =>
    value === 0 ? [] : [{ value, labels: { model, provider, endpoint, status: STATUS_CLASSES[index] ?? '' } }]
  )
}

export function costsOf({ model, provider, endpoint, cost }: CallSeries): Value[] {
  return cost.value === 0 ? [] : [{ value: cost.value, labels: { model, provider, endpoint } }]
}

/** As OpenTelemetry's conventions name a model, its provider and what was asked of it. */
export function conventional(call: CallSeries): Labels {
  return { gen_ai_operation_name: call.endpoint, gen_ai_provider_name: call.provider, gen_ai_request_model: call.model }
}

/** Nothing while nothing was observed: a model that never streams has no empty time to first token. */
export function histogram(name: string, labels: Labels, distribution: Distribution): Value[] {
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
