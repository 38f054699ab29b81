// Sums of spend. Counters answer what they can, in time that does not grow with the calls; the rest is summed from the logs.

import { Failure } from '../chat/failure.ts'
import { Conditions } from './conditions.ts'
import type { Queries } from './database.ts'
import { type LogFilter, logConditions } from './logs.ts'
import { limitOf } from './paging.ts'
import type { Scope, ScopeKind } from './scopes.ts'
import { big, type Row, text } from './values.ts'

type Grouping = ScopeKind | 'model' | 'day'

export interface ReportRequest {
  readonly by: Grouping
  readonly from: Date
  readonly to: Date
  /** Only what this scope spent. */
  readonly within?: Scope | undefined
  readonly limit: number
}

export interface Sum {
  /** Of a day, `2026-11-21`. */
  readonly id: string
  readonly requests: bigint
  readonly failures: bigint
  readonly inputTokens: bigint
  readonly outputTokens: bigint
  readonly cacheReadTokens: bigint
  readonly cacheWriteTokens: bigint
  readonly costNano: bigint
  readonly savedNano: bigint
}

const COUNTER_SUMS = `sum(requests)::bigint as requests, sum(failures)::bigint as failures,
  sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
  sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens,
  sum(cost_nano)::bigint as cost_nano, sum(saved_nano)::bigint as saved_nano`

const LOG_SUMS = COUNTER_SUMS.replace('sum(requests)::bigint', 'count(*)').replace(
  'sum(failures)::bigint',
  "count(*) filter (where status = 'failure')"
)

const DAY = "to_char(since at time zone 'UTC', 'YYYY-MM-DD')"

/** Days in order, everything else by cost. Parts of a day at the ends of the time count whole, except where one scope is split by another. */
export async function reportSpend(queries: Queries, request: ReportRequest): Promise<readonly Sum[] | Failure> {
  const { by, within } = request
  const splitsScope = within !== undefined && by !== 'day' && (by !== 'model' || hasNoModels(within.kind))
  const rows = splitsScope ? await fromLogs(queries, request, within) : await fromCounters(queries, request)
  return rows instanceof Failure ? rows : rows.map(readSum)
}

/** What customers and tags spend is not counted by model. */
function hasNoModels(kind: ScopeKind): boolean {
  return kind === 'customer' || kind === 'tag'
}

function fromCounters(queries: Queries, { by, from, to, within, limit }: ReportRequest) {
  const conditions = new Conditions()
  const groups = { model: 'model', day: DAY }
  const group = by === 'model' || by === 'day' ? groups[by] : 'scope_id'
  const kind = by === 'model' || by === 'day' ? (within?.kind ?? 'all') : by
  conditions.add('scope_kind = ?', kind)
  conditions.add("grain = 'day' and since >= date_trunc('day', ?::timestamptz, 'UTC')", from)
  conditions.add('since < ?', to)
  conditions.add('scope_id = ?', within?.id)
  conditions.add(by === 'model' ? 'model <> ?' : 'model = ?', '')
  return sums(queries, 'spend_counters', group, COUNTER_SUMS, conditions, by, limit)
}

const FIELDS: Readonly<Record<ScopeKind, keyof LogFilter>> = {
  key: 'keyId',
  team: 'teamId',
  user: 'userId',
  organization: 'organizationId',
  customer: 'customerId',
  tag: 'tag'
}

function fromLogs(queries: Queries, { by, from, to, limit }: ReportRequest, within: Scope) {
  const conditions = logConditions({ from, to, [FIELDS[within.kind]]: within.id })
  const source = by === 'tag' ? 'spend_logs cross join lateral jsonb_array_elements_text(tags) as tag' : 'spend_logs'
  const group = by === 'tag' || by === 'model' ? by : `${by}_id`
  conditions.add(`${group} <> ?`, '')
  return sums(queries, source, group, LOG_SUMS, conditions, by, limit)
}

function sums(
  queries: Queries,
  source: string,
  group: string,
  amounts: string,
  conditions: Conditions,
  by: Grouping,
  limit: number
): Promise<readonly Row[] | Failure> {
  return queries.query(
    `select ${group} as id, ${amounts} from sluice.${source}${conditions.where}
     group by 1 order by ${by === 'day' ? 'id' : 'cost_nano desc, id'} limit ${conditions.parameter(limitOf({ limit }))}`,
    conditions.parameters
  )
}

function readSum(row: Row): Sum {
  return {
    id: text(row, 'id'),
    requests: big(row, 'requests'),
    failures: big(row, 'failures'),
    inputTokens: big(row, 'input_tokens'),
    outputTokens: big(row, 'output_tokens'),
    cacheReadTokens: big(row, 'cache_read_tokens'),
    cacheWriteTokens: big(row, 'cache_write_tokens'),
    costNano: big(row, 'cost_nano'),
    savedNano: big(row, 'saved_nano')
  }
}

/** What scopes have spent in all, as LiteLLM shows beside each; `all` is everybody. */
export async function totalSpend(
  queries: Queries,
  scopes: readonly { readonly kind: ScopeKind | 'all'; readonly id: string }[]
): Promise<readonly bigint[] | Failure> {
  const rows = await queries.query(
    `select coalesce(cost_nano, 0) as spent from jsonb_to_recordset($1::jsonb) as asked (place bigint, kind text, id text)
     left join sluice.spend_counters on scope_kind = kind and scope_id = asked.id and model = '' and grain = 'total'
     order by place`,
    [scopes.map((scope, place) => ({ ...scope, place }))]
  )
  return rows instanceof Failure ? rows : rows.map(row => big(row, 'spent'))
}
