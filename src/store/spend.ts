// Settled calls: written once, however often they are sent, and counted in the same statement.

import { Failure } from '../chat/failure.ts'
import type { Database } from './database.ts'
import { storable, text } from './values.ts'

/** What is kept of a call. Never a prompt, never an answer. */
export interface SettledCall {
  readonly callId: string
  /** When its cost was known: the time that it counts in. */
  readonly settledAt: Date
  readonly startedAt: Date
  readonly durationMs: number
  readonly firstTokenMs?: number | undefined
  readonly keyId?: string | undefined
  readonly keyAlias?: string | undefined
  readonly userId?: string | undefined
  readonly teamId?: string | undefined
  readonly organizationId?: string | undefined
  readonly customerId?: string | undefined
  readonly tags?: readonly string[] | undefined
  readonly route: string
  readonly dialect?: string | undefined
  readonly requestedModel: string
  readonly model: string
  readonly provider?: string | undefined
  readonly target?: string | undefined
  readonly status: 'success' | 'failure'
  readonly failureKind?: string | undefined
  readonly httpStatus?: number | undefined
  readonly attempts?: number | undefined
  readonly stream?: boolean | undefined
  readonly cache?: string | undefined
  readonly inputTokens?: number | undefined
  readonly outputTokens?: number | undefined
  readonly cacheReadTokens?: number | undefined
  readonly cacheWriteTokens?: number | undefined
  readonly reasoningTokens?: number | undefined
  readonly costNano: bigint
  readonly savedNano?: bigint | undefined
  /** The upstream did not say what it used. */
  readonly estimated?: boolean | undefined
  readonly sessionId?: string | undefined
  readonly ip?: string | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

type CallField = keyof SettledCall

/** Column, type in SQL, and what stands there when the call does not say. */
const CALL_COLUMNS: Readonly<Record<CallField, readonly [column: string, type: string, otherwise?: string]>> = {
  callId: ['call_id', 'text'],
  settledAt: ['settled_at', 'timestamptz'],
  startedAt: ['started_at', 'timestamptz'],
  durationMs: ['duration_ms', 'integer'],
  firstTokenMs: ['first_token_ms', 'integer'],
  keyId: ['key_id', 'text'],
  keyAlias: ['key_alias', 'text'],
  userId: ['user_id', 'text'],
  teamId: ['team_id', 'text'],
  organizationId: ['organization_id', 'text'],
  customerId: ['customer_id', 'text'],
  tags: ['tags', 'jsonb', "'[]'"],
  route: ['route', 'text'],
  dialect: ['dialect', 'text'],
  requestedModel: ['requested_model', 'text'],
  model: ['model', 'text'],
  provider: ['provider', 'text'],
  target: ['target', 'text'],
  status: ['status', 'text'],
  failureKind: ['failure_kind', 'text'],
  httpStatus: ['http_status', 'integer'],
  attempts: ['attempts', 'integer', '1'],
  stream: ['stream', 'boolean', 'false'],
  cache: ['cache', 'text'],
  inputTokens: ['input_tokens', 'bigint', '0'],
  outputTokens: ['output_tokens', 'bigint', '0'],
  cacheReadTokens: ['cache_read_tokens', 'bigint', '0'],
  cacheWriteTokens: ['cache_write_tokens', 'bigint', '0'],
  reasoningTokens: ['reasoning_tokens', 'bigint', '0'],
  costNano: ['cost_nano', 'bigint'],
  savedNano: ['saved_nano', 'bigint', '0'],
  estimated: ['estimated', 'boolean', 'false'],
  sessionId: ['session_id', 'text'],
  ip: ['ip', 'text'],
  metadata: ['metadata', 'jsonb', "'{}'"]
}

const COLUMNS = Object.values(CALL_COLUMNS)
export const NAMES = COLUMNS.map(([column]) => column).join(', ')

const COUNTED = [
  ['requests', 'count(*)'],
  ['failures', "count(*) filter (where status = 'failure')"],
  ['input_tokens', 'sum(input_tokens)'],
  ['output_tokens', 'sum(output_tokens)'],
  ['cache_read_tokens', 'sum(cache_read_tokens)'],
  ['cache_write_tokens', 'sum(cache_write_tokens)'],
  ['cost_nano', 'sum(cost_nano)'],
  ['saved_nano', 'sum(saved_nano)']
] as const

const AMOUNTS = COUNTED.map(([column]) => column).join(', ')

// Rows go in by the order of their keys, here and on every other gateway, so that no two wait for one another.
const INSERT = `
with given as (
  select * from jsonb_to_recordset($1::jsonb) as call (${COLUMNS.map(([column, type]) => `${column} ${type}`).join(', ')})
), fresh as (
  insert into sluice.spend_logs (${NAMES})
  select ${COLUMNS.map(([column, , otherwise]) => (otherwise === undefined ? column : `coalesce(${column}, ${otherwise})`)).join(', ')}
  from given order by call_id
  on conflict (call_id) do nothing
  returning *
), scoped as (
  select fresh.*, scope_kind, scope_id from fresh cross join lateral (
    values ('all', ''), ('key', key_id), ('team', team_id), ('user', user_id),
           ('organization', organization_id), ('customer', customer_id)
    union all select distinct 'tag', tag from jsonb_array_elements_text(tags) as tag
  ) as scope (scope_kind, scope_id) where scope_id is not null
), charged as (
  select scope_kind, scope_id, counted_model, grain, since, ${COUNTED.map(([column, sum]) => `${sum} as ${column}`).join(', ')}
  from scoped cross join lateral (values ('', true), (model, scope_kind not in ('customer', 'tag')))
    as of_model (counted_model, is_counted)
  cross join lateral (values
    ('hour', date_trunc('hour', settled_at, 'UTC')),
    ('day', date_trunc('day', settled_at, 'UTC')),
    ('total', 'epoch'::timestamptz)
  ) as period (grain, since)
  where is_counted
  group by scope_kind, scope_id, counted_model, grain, since
), counted as (
  insert into sluice.spend_counters as counter (scope_kind, scope_id, model, grain, since, ${AMOUNTS})
  select * from charged order by scope_kind, scope_id, counted_model, grain, since
  on conflict (scope_kind, scope_id, model, grain, since)
  do update set ${COUNTED.map(([column]) => `${column} = counter.${column} + excluded.${column}`).join(', ')}
)
select call_id from fresh`

export interface Inserted {
  /** The ids of those that were new: calls that are there already change nothing. */
  readonly fresh: ReadonlySet<string>
  /** Those that the database takes in no way, whatever the reason: kept apart, so that they hold up no others. */
  readonly refused: readonly SettledCall[]
}

export async function insertCalls(database: Database, calls: readonly SettledCall[]): Promise<Inserted | Failure> {
  const rows = await database.query(INSERT, [calls.map(toColumns)])
  if (!(rows instanceof Failure)) return { fresh: new Set(rows.map(row => text(row, 'call_id'))), refused: [] }
  if (rows.kind !== 'invalid-request') return rows
  if (calls.length < 2) return { fresh: new Set(), refused: calls }
  const half = calls.length >> 1
  const first = await insertCalls(database, calls.slice(0, half))
  if (first instanceof Failure) return first
  const second = await insertCalls(database, calls.slice(half))
  if (second instanceof Failure) return second
  return { fresh: new Set([...first.fresh, ...second.fresh]), refused: [...first.refused, ...second.refused] }
}

/** Texts that PostgreSQL cannot hold and numbers that are not whole are mended: money was spent all the same. */
function toColumns(call: SettledCall): object {
  const values = new Map<string, unknown>(Object.entries(call))
  const columns: Record<string, unknown> = {}
  for (const [field, [column, type]] of Object.entries(CALL_COLUMNS)) {
    const value = values.get(field)
    columns[column] = typeof value === 'number' ? whole(value, type) : cleaned(value)
  }
  return columns
}

function whole(value: number, type: string): number {
  const most = type === 'integer' ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER
  return Math.max(-most, Math.min(most, Math.round(value) || 0))
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return storable(value)
  if (Array.isArray(value)) return value.map(cleaned)
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [storable(name), cleaned(inner)]))
}
