// A call as the journal keeps it: whose it was, what it cost, and no word of it.

import type { Usage } from '../chat/usage.ts'
import { type Caller, LOCAL } from '../keys/caller.ts'
import type { Resolved } from '../routing/routes.ts'
import type { Target } from '../routing/target.ts'
import type { SettledCall } from '../store/spend.ts'
import type { Inbound } from './inbound.ts'
import type { CallRecord } from './record.ts'

/** What a record does not say. */
export interface Account {
  readonly caller: Caller
  /** The name that limits and reports know the model by: the first that was asked for, whoever answered in the end. */
  readonly model: string
  readonly dialect?: string | undefined
  readonly customerId?: string | undefined
  /** As it was counted. */
  readonly usage?: Usage | undefined
}

const LONGEST = 200

/** Undefined where nobody had to say who they are: what they use is nobody's. */
export function accountOf(
  { caller, dialect, endUser, model }: Inbound,
  resolved: Resolved | undefined,
  usage?: Usage
): Account | undefined {
  if (caller === undefined || caller.id === LOCAL.id) return undefined
  return {
    caller,
    model: (resolved?.asked ?? model ?? 'other').slice(0, LONGEST),
    dialect,
    customerId: endUser,
    usage
  }
}

function whose({ caller, customerId }: Account): Partial<SettledCall> {
  return {
    keyId: caller.master ? undefined : caller.id,
    keyAlias: caller.alias,
    userId: caller.userId,
    teamId: caller.teamId,
    organizationId: caller.organizationId,
    tags: tagsOf(caller),
    customerId
  }
}

export function settledCall(record: CallRecord, account: Account): SettledCall {
  const { at, milliseconds, firstByteMilliseconds, attempts, failure, cost = 0, saved } = record
  const { model, dialect, usage } = account
  return {
    callId: record.id,
    settledAt: new Date(at),
    startedAt: new Date(at - milliseconds),
    durationMs: Math.round(milliseconds),
    firstTokenMs: firstByteMilliseconds === undefined ? undefined : Math.round(firstByteMilliseconds),
    ...whose(account),
    route: record.endpoint,
    dialect,
    requestedModel: record.model ?? model,
    model,
    provider: record.provider,
    target: attempts.at(-1)?.target,
    status: failure === undefined && !record.clientGone ? 'success' : 'failure',
    failureKind: failure,
    httpStatus: record.status,
    attempts: attempts.length,
    stream: record.stream,
    cache: record.savedBy === 'cache' ? 'hit' : undefined,
    inputTokens: usage?.input,
    outputTokens: usage?.output,
    cacheReadTokens: usage?.cacheRead,
    cacheWriteTokens: usage?.cacheWrite,
    reasoningTokens: usage?.reasoning,
    costNano: nano(cost),
    savedNano: saved === undefined ? undefined : nano(saved),
    estimated: record.costEstimated
  }
}

/** A call whose end is not known, at the price of what such calls usually come to. */
export function sentCall(
  { id, endpoint, stream, model: asked }: Inbound,
  account: Account,
  { provider, name }: Target,
  usage: Usage,
  costNano: bigint
): SettledCall {
  const now = new Date()
  const { model, dialect } = account
  return {
    callId: id,
    settledAt: now,
    startedAt: now,
    durationMs: 0,
    ...whose(account),
    route: endpoint,
    dialect,
    requestedModel: asked?.slice(0, LONGEST) ?? model,
    model,
    provider,
    target: name,
    status: 'failure',
    failureKind: 'interrupted',
    stream,
    inputTokens: usage.input,
    outputTokens: usage.output,
    costNano,
    estimated: true
  }
}

function tagsOf({ tags }: Caller): readonly string[] | undefined {
  return tags.length === 0 ? undefined : tags
}

/** Exact: a double holds nano-dollars up to nine millions. */
function nano(dollars: number): bigint {
  return BigInt(Math.round(dollars * 1e9))
}
