import { Failure } from '../chat/failure.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { CallSeries } from '../metrics/series.ts'
import type { Resolved } from '../routing/routes.ts'
import type { Target } from '../routing/target.ts'
import type { Inbound } from './inbound.ts'
import type { CallRecord } from './record.ts'
import type { Runtime } from './runtime.ts'

const MENDED = ['textCalls', 'thinking', 'repaired', 'unrepaired'] as const

/** What the hook says that keeps answers, as `x-gateway-cache`. */
const CACHE_RESULTS = ['hit', 'semantic', 'coalesced', 'miss', 'bypass'] as const
export type CacheResult = (typeof CACHE_RESULTS)[number]

/** What a cache did for a request; undefined when none was asked. A hook may say anything there. */
export function cacheResult(headers: Readonly<Record<string, string>> | undefined): CacheResult | undefined {
  const said = headers?.['x-gateway-cache']
  return said === undefined ? undefined : CACHE_RESULTS.find(result => result === said)
}

/** Whether it was answered without an upstream of its own. */
export function isFromCache(cache: CacheResult | undefined): boolean {
  return cache === 'hit' || cache === 'semantic' || cache === 'coalesced'
}

/** Counts what became of a request. Called once for each, after its last byte. */
export function count(record: CallRecord, series: CallSeries, metrics: Metrics, cache?: CacheResult): void {
  const { usage, stream, milliseconds, firstByteMilliseconds: firstByte } = record
  series.status(record.status)
  series.duration.observe(milliseconds / 1000)
  metrics.overhead.observe(record.overheadMilliseconds / 1000)
  if (firstByte !== undefined && stream) series.firstToken.observe(firstByte / 1000)
  if (cache === 'semantic') metrics.cacheLooked('semantic', 'hit')
  else if (cache !== undefined) metrics.cacheLooked('exact', cache)
  const target = record.attempts.at(-1)?.target
  if (record.mended !== undefined && target !== undefined)
    for (const kind of MENDED) metrics.mended(target, kind, record.mended[kind])
  const { cost = 0, saved = 0, savedBy } = record
  if (cost > 0) series.cost.add(cost)
  if (savedBy !== undefined && saved > 0) metrics.saved(savedBy, saved)
  if (usage === undefined) return
  series.inputTokens.observe(usage.input)
  series.outputTokens.observe(usage.output)
  if (stream && firstByte !== undefined && usage.output > 1) {
    series.perToken.observe((milliseconds - firstByte) / 1000 / (usage.output - 1))
  }
}

/** Where it is counted: what a hook answered or a limit refused has asked for a name too. A stranger chose one that leads nowhere. */
export function seriesOf(
  target: Target | undefined,
  resolved: Resolved | undefined,
  { model, endpoint }: Inbound,
  { routes }: Runtime,
  metrics: Metrics
): CallSeries {
  if (target !== undefined) return target.series.call(endpoint)
  const asked = resolved ?? (model === undefined ? undefined : routes.resolve(model))
  const name = asked === undefined || asked instanceof Failure ? 'other' : asked.route.name
  return metrics.call(name, 'none', endpoint)
}
