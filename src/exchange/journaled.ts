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
  { caller, dialect, body, model }: Inbound,
  resolved: Resolved | undefined,
  usage?: Usage
): Account | undefined {
  if (caller === undefined || caller.id === LOCAL.id) return undefined
  const user = body.fields.found['user']?.value
  return {
    caller,
    model: (resolved?.asked ?? model ?? 'other').slice(0, LONGEST),
    dialect,
    ...(typeof user === 'string' && user !== '' && user.length <= LONGEST && { customerId: user }),
    usage
  }
}

export function settledCall(record: CallRecord, { caller, model, dialect, customerId, usage }: Account): SettledCall {
  const { at, milliseconds, firstByteMilliseconds, attempts, cost = 0, saved } = record
  return {
    callId: record.id,
    settledAt: new Date(at),
    startedAt: new Date(at - milliseconds),
    durationMs: Math.round(milliseconds),
    ...(firstByteMilliseconds !== undefined && { firstTokenMs: Math.round(firstByteMilliseconds) }),
    ...ownerOf(caller),
    ...(customerId !== undefined && { customerId }),
    route: record.endpoint,
    ...(dialect !== undefined && { dialect }),
    requestedModel: record.model ?? model,
    model,
    provider: record.provider,
    target: attempts.at(-1)?.target,
    status: record.failure === undefined && !record.clientGone ? 'success' : 'failure',
    ...(record.failure !== undefined && { failureKind: record.failure }),
    httpStatus: record.status,
    attempts: attempts.length,
    stream: record.stream,
    ...(record.savedBy === 'cache' && { cache: 'hit' }),
    ...tokensOf(usage),
    costNano: nano(cost),
    ...(saved !== undefined && { savedNano: nano(saved) }),
    ...(record.costEstimated === true && { estimated: true })
  }
}

/** A call whose end is not known, at the price of what such calls usually come to. */
export function sentCall(
  { id, endpoint, stream, model: asked }: Inbound,
  { caller, model, dialect, customerId }: Account,
  { provider, name }: Target,
  usage: Usage,
  costNano: bigint
): SettledCall {
  const now = new Date()
  return {
    callId: id,
    settledAt: now,
    startedAt: now,
    durationMs: 0,
    ...ownerOf(caller),
    ...(customerId !== undefined && { customerId }),
    route: endpoint,
    ...(dialect !== undefined && { dialect }),
    requestedModel: asked?.slice(0, LONGEST) ?? model,
    model,
    provider,
    target: name,
    status: 'failure',
    failureKind: 'interrupted',
    stream,
    ...tokensOf(usage),
    costNano,
    estimated: true
  }
}

function ownerOf({ id, master, alias, userId, teamId, organizationId, tags }: Caller): Partial<SettledCall> {
  if (master) return {}
  return { keyId: id, keyAlias: alias, userId, teamId, organizationId, ...(tags.length > 0 && { tags }) }
}

function tokensOf(usage: Usage | undefined): Partial<SettledCall> {
  if (usage === undefined) return {}
  const { input, output, cacheRead, cacheWrite, reasoning } = usage
  return {
    inputTokens: input,
    outputTokens: output,
    ...(cacheRead > 0 && { cacheReadTokens: cacheRead }),
    ...(cacheWrite > 0 && { cacheWriteTokens: cacheWrite }),
    ...(reasoning > 0 && { reasoningTokens: reasoning })
  }
}

/** Exact: a double holds nano-dollars up to nine millions. */
function nano(dollars: number): bigint {
  return BigInt(Math.round(dollars * 1e9))
}
