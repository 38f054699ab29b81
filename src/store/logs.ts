// What was written of calls, read again and in time taken away.

import { Failure } from '../chat/failure.ts'
import { Conditions } from './conditions.ts'
import type { Queries } from './database.ts'
import { decodeCursor, encodeCursor, limitOf, type Page, type Paged, paged } from './paging.ts'
import { NAMES, type SettledCall } from './spend.ts'
import {
  big,
  bigOrNull,
  flag,
  integer,
  integerOrNull,
  object,
  type Row,
  text,
  textOrNull,
  texts,
  time
} from './values.ts'

/** A call as it was written: what it did not say is null. */
export type LoggedCall = {
  readonly [Field in keyof SettledCall]-?: undefined extends SettledCall[Field]
    ? Exclude<SettledCall[Field], undefined> | null
    : SettledCall[Field]
}

export interface LogFilter {
  readonly callId?: string | undefined
  readonly keyId?: string | undefined
  readonly teamId?: string | undefined
  readonly userId?: string | undefined
  readonly organizationId?: string | undefined
  readonly customerId?: string | undefined
  readonly tag?: string | undefined
  readonly model?: string | undefined
  readonly status?: 'success' | 'failure' | undefined
  readonly sessionId?: string | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}

/** Newest first. */
export async function listCalls(queries: Queries, filter: LogFilter, page: Page): Promise<Paged<LoggedCall> | Failure> {
  const conditions = logConditions(filter)
  if (page.cursor !== undefined) {
    const place = decodeCursor(page.cursor)
    if (place instanceof Failure) return place
    conditions.add(`(settled_at, call_id) < (${conditions.parameter(place.at)}, ?)`, place.id)
  }
  const rows = await queries.query(
    `select ${NAMES} from sluice.spend_logs${conditions.where} order by settled_at desc, call_id desc
     limit ${conditions.parameter(limitOf(page) + 1)} offset ${conditions.parameter(page.offset ?? 0)}`,
    conditions.parameters
  )
  if (rows instanceof Failure) return rows
  return paged(rows.map(readCall), page, ({ settledAt, callId }) => encodeCursor({ at: settledAt, id: callId }))
}

export async function countCalls(queries: Queries, filter: LogFilter): Promise<number | Failure> {
  const conditions = logConditions(filter)
  const rows = await queries.query(
    `select count(*)::integer as amount from sluice.spend_logs${conditions.where}`,
    conditions.parameters
  )
  return rows instanceof Failure ? rows : rows.reduce((_, row) => integer(row, 'amount'), 0)
}

export function logConditions(filter: LogFilter): Conditions {
  const conditions = new Conditions()
  conditions.add('call_id = ?', filter.callId)
  conditions.add('key_id = ?', filter.keyId)
  conditions.add('team_id = ?', filter.teamId)
  conditions.add('user_id = ?', filter.userId)
  conditions.add('organization_id = ?', filter.organizationId)
  conditions.add('customer_id = ?', filter.customerId)
  conditions.add('tags @> ?::jsonb', filter.tag === undefined ? undefined : [filter.tag])
  conditions.add('model = ?', filter.model)
  conditions.add('status = ?', filter.status)
  conditions.add('session_id = ?', filter.sessionId)
  conditions.add('settled_at >= ?', filter.from)
  conditions.add('settled_at < ?', filter.to)
  return conditions
}

/**
 * Takes away what was settled before, so many at a time that nobody waits long; answers how many there were. The counters keep
 * their sums. A call that is sent once more after this counts twice, so keep logs longer than a journal may lie unsent.
 */
export async function deleteCallsBefore(queries: Queries, before: Date, most = 5_000): Promise<number | Failure> {
  const rows = await queries.query(
    `with old as (
       select call_id from sluice.spend_logs where settled_at < $1 order by settled_at limit $2 for update skip locked
     ), gone as (delete from sluice.spend_logs using old where spend_logs.call_id = old.call_id returning 1)
     select count(*)::integer as amount from gone`,
    [before, most]
  )
  return rows instanceof Failure ? rows : rows.reduce((_, row) => integer(row, 'amount'), 0)
}

/** Hours are only asked for by budgets that last hours; days make the reports. */
export async function deleteCountersBefore(
  queries: Queries,
  grain: 'hour' | 'day',
  before: Date
): Promise<Failure | undefined> {
  const rows = await queries.query('delete from sluice.spend_counters where grain = $1 and since < $2', [grain, before])
  return rows instanceof Failure ? rows : undefined
}

function readCall(row: Row): LoggedCall {
  return {
    callId: text(row, 'call_id'),
    settledAt: time(row, 'settled_at'),
    startedAt: time(row, 'started_at'),
    durationMs: integer(row, 'duration_ms'),
    firstTokenMs: integerOrNull(row, 'first_token_ms'),
    keyId: textOrNull(row, 'key_id'),
    keyAlias: textOrNull(row, 'key_alias'),
    userId: textOrNull(row, 'user_id'),
    teamId: textOrNull(row, 'team_id'),
    organizationId: textOrNull(row, 'organization_id'),
    customerId: textOrNull(row, 'customer_id'),
    tags: texts(row, 'tags'),
    route: text(row, 'route'),
    dialect: textOrNull(row, 'dialect'),
    requestedModel: text(row, 'requested_model'),
    model: text(row, 'model'),
    provider: textOrNull(row, 'provider'),
    target: textOrNull(row, 'target'),
    status: row['status'] === 'success' ? 'success' : 'failure',
    failureKind: textOrNull(row, 'failure_kind'),
    httpStatus: integerOrNull(row, 'http_status'),
    attempts: integer(row, 'attempts'),
    stream: flag(row, 'stream'),
    cache: textOrNull(row, 'cache'),
    inputTokens: Number(big(row, 'input_tokens')),
    outputTokens: Number(big(row, 'output_tokens')),
    cacheReadTokens: Number(big(row, 'cache_read_tokens')),
    cacheWriteTokens: Number(big(row, 'cache_write_tokens')),
    reasoningTokens: Number(big(row, 'reasoning_tokens')),
    costNano: big(row, 'cost_nano'),
    savedNano: bigOrNull(row, 'saved_nano'),
    estimated: flag(row, 'estimated'),
    sessionId: textOrNull(row, 'session_id'),
    ip: textOrNull(row, 'ip'),
    metadata: object(row, 'metadata')
  }
}
