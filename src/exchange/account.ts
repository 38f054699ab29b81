import type { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { Caller } from '../keys/caller.ts'
import type { MendCounts } from '../quirks/mend.ts'
import type { Attempts } from './attempts.ts'
import type { Spending } from './bill.ts'
import type { Delivery } from './delivery.ts'
import type { Inbound } from './inbound.ts'
import type { CallRecord } from './record.ts'

interface Over {
  readonly inbound: Inbound
  readonly delivery: Delivery
  readonly route: string | undefined
  readonly upstreamModel: string | undefined
  readonly tries: Attempts
  readonly usage: Usage | undefined
  readonly spending: Spending
  readonly dropped: readonly string[]
  readonly mended: MendCounts | undefined
  readonly waited: number
  readonly overhead: number
  readonly failure: Failure | undefined
  readonly clientGone: boolean
  readonly generation: number
}

const LONGEST_NAME = 200

/** The account of a request that is over. */
export function callRecord(over: Over): CallRecord {
  const { inbound, tries, delivery, failure, mended, waited, clientGone, overhead, spending, ...same } = over
  const { model, receivedAt } = inbound
  const { counted: _, ...costs } = spending
  return {
    route: same.route,
    provider: tries.latest?.target.provider,
    upstreamModel: same.upstreamModel,
    attempts: tries.records,
    usage: same.usage,
    ...costs,
    dropped: same.dropped,
    generation: same.generation,
    id: inbound.id,
    ...(tries.spans !== undefined && { traceId: tries.spans.traceId }),
    at: Date.now(),
    endpoint: inbound.endpoint,
    ...ownerOf(inbound.caller),
    stream: inbound.stream,
    model: model === undefined || model.length <= LONGEST_NAME ? model : `${model.slice(0, LONGEST_NAME)}…`,
    status: clientGone ? 499 : delivery.status,
    ...(mended !== undefined && { mended }),
    ...(waited > 0 && { waitedMilliseconds: Math.round(waited) }),
    firstByteMilliseconds: delivery.firstByteAt === 0 ? undefined : delivery.firstByteAt - receivedAt,
    milliseconds: performance.now() - receivedAt,
    overheadMilliseconds: overhead,
    bytesIn: inbound.body.length,
    bytesOut: delivery.bytes,
    failure: failure?.kind,
    failureMessage: failure?.message,
    clientGone
  }
}

/** Whose call it is, as records say it. The administrator's is nobody's. */
export function ownerOf(caller: Caller | undefined): Partial<CallRecord> {
  if (caller === undefined || caller.master) return NOBODY
  const { id, alias, userId, teamId, organizationId } = caller
  return {
    keyId: id,
    ...(alias !== undefined && { keyAlias: alias }),
    ...(userId !== undefined && { userId }),
    ...(teamId !== undefined && { teamId }),
    ...(organizationId !== undefined && { organizationId })
  }
}

const NOBODY = {}
