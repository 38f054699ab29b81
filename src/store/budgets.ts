// How much whom may spend in which time, and how much of it is gone.

import { Failure } from '../chat/failure.ts'
import { telling } from './changes.ts'
import type { Queries } from './database.ts'
import type { Scope } from './scopes.ts'
import { big, bigOrNull, integer, type Row, text, time, timeOrNull } from './values.ts'
import { isWindow, windowBounds } from './windows.ts'

/** What a budget belongs to: a scope, or a plan that scopes share (each with its own spend). */
export interface BudgetOwner {
  readonly kind: Scope['kind'] | 'plan'
  readonly id: string
}

export interface NewBudget {
  readonly id: string
  readonly scope: BudgetOwner
  /** Empty: all models together. */
  readonly model?: string | undefined
  /** `total`, `1h`, `1d`, `30d`, `1w`, `1mo` … */
  readonly window: string
  readonly limitNano: bigint
  readonly softLimitNano?: bigint | null | undefined
}

export interface Budget {
  readonly id: string
  readonly scope: { readonly kind: string; readonly id: string }
  readonly model: string
  readonly window: string
  readonly limitNano: bigint
  readonly softLimitNano: bigint | null
  /** On top of the limit, until then. */
  readonly extraNano: bigint
  readonly extraUntil: Date | null
  /** Of what was spent in the window that began then, this much does not count. */
  readonly forgivenNano: bigint
  readonly forgivenSince: Date | null
  readonly anchor: Date
}

const COLUMNS = `id, scope_kind, scope_id, model, window_length, limit_nano, soft_limit_nano,
  extra_nano, extra_until, forgiven_nano, forgiven_since, anchor`

const OWNER = "scope_kind || ':' || scope_id"

/** The statement that makes or changes those that stand in a parameter. */
export const NEW_BUDGETS = (parameter: string) =>
  `insert into sluice.budgets (id, scope_kind, scope_id, model, window_length, limit_nano, soft_limit_nano)
   select id, scope->>'kind', scope->>'id', coalesce(model, ''), "window", "limitNano", "softLimitNano"
   from jsonb_to_recordset(${parameter}::jsonb)
   as budget (id text, scope jsonb, model text, "window" text, "limitNano" bigint, "softLimitNano" bigint)
   on conflict on constraint budgets_scope
   do update set limit_nano = excluded.limit_nano, soft_limit_nano = excluded.soft_limit_nano
   returning ${COLUMNS}, ${telling('budget', OWNER)}`

/** Makes these the budgets of a scope. One of the same model and window goes on where it was. */
export async function setBudgets(
  queries: Queries,
  scope: BudgetOwner,
  budgets: readonly Omit<NewBudget, 'scope'>[]
): Promise<readonly Budget[] | Failure> {
  const wrong = wrongWindow(budgets)
  if (wrong !== undefined) return wrong
  const rows = await queries.query(
    `with gone as (
       delete from sluice.budgets where scope_kind = $1 and scope_id = $2 and (model, window_length) not in (
         select coalesce(model, ''), "window" from jsonb_to_recordset($3::jsonb) as budget (model text, "window" text)
       ) returning ${telling('budget', OWNER)}
     ), kept as (${NEW_BUDGETS('$3')})
     select ${COLUMNS} from kept order by model, window_length`,
    [scope.kind, scope.id, budgets.map(budget => ({ ...budget, scope }))]
  )
  return rows instanceof Failure ? rows : rows.map(readBudget)
}

export function wrongWindow(budgets: readonly Pick<NewBudget, 'window'>[]): Failure | undefined {
  const wrong = budgets.find(({ window }) => !isWindow(window))
  if (wrong === undefined) return undefined
  return new Failure('invalid-request', `A budget cannot last \`${wrong.window.slice(0, 50)}\`.`, {
    field: 'budget_duration',
    recommendations: ['Use hours, days, weeks or months: 1h, 1d, 30d, 1w, 1mo.']
  })
}

/** Lets a scope spend more for a while. */
export async function raiseBudgets(
  queries: Queries,
  scope: BudgetOwner,
  extraNano: bigint,
  until: Date
): Promise<Failure | undefined> {
  const rows = await queries.query(
    `update sluice.budgets set extra_nano = $3, extra_until = $4
     where scope_kind = $1 and scope_id = $2 returning ${telling('budget', OWNER)}`,
    [scope.kind, scope.id, extraNano, until]
  )
  return rows instanceof Failure ? rows : undefined
}

export interface Standing {
  readonly scope: Scope
  readonly budget: Budget
  /** With what was granted on top, as long as that lasts. */
  readonly limitNano: bigint
  readonly spentNano: bigint
  /** Of the window it is in now. */
  readonly since: Date | undefined
  readonly until: Date | undefined
}

export interface Spender extends Scope {
  readonly planId?: string | null | undefined
}

/** Every budget that binds these, their plans' among them, and how far it is used. */
export async function standings(
  queries: Queries,
  spenders: readonly Spender[],
  at: Date
): Promise<readonly Standing[] | Failure> {
  const rows = await queries.query(
    `select ${COLUMNS.replace(/\w+/g, column => `budgets.${column}`)}, spender.place::integer as place
     from jsonb_to_recordset($1::jsonb) as spender (place bigint, kind text, id text, "planId" text)
     join sluice.budgets on (scope_kind = kind and scope_id = spender.id) or (scope_kind = 'plan' and scope_id = "planId")
     order by place, model, window_length`,
    [spenders.map((spender, place) => ({ ...spender, place }))]
  )
  if (rows instanceof Failure) return rows
  const standing: Omit<Standing, 'spentNano'>[] = []
  for (const row of rows) {
    const budget = readBudget(row)
    const spender = spenders[integer(row, 'place')]
    if (spender === undefined) continue
    const extra = budget.extraUntil !== null && budget.extraUntil > at ? budget.extraNano : 0n
    const { since, until } = windowBounds(budget.window, budget.anchor, at)
    const scope = { kind: spender.kind, id: spender.id }
    standing.push({ scope, budget, limitNano: budget.limitNano + extra, since, until })
  }
  return withSpend(queries, standing, at)
}

async function withSpend(
  queries: Queries,
  standing: readonly Omit<Standing, 'spentNano'>[],
  at: Date
): Promise<readonly Standing[] | Failure> {
  const wanted = standing.map(({ scope, budget, since, until }, place) => ({
    ...scope,
    place,
    since: since ?? new Date(0),
    until: until ?? new Date(8.64e15 / 100),
    model: budget.model,
    grain: windowBounds(budget.window, budget.anchor, at).grain
  }))
  const rows = await queries.query(
    `select place::integer, sum(cost_nano)::bigint as spent
     from jsonb_to_recordset($1::jsonb) as wanted
       (place bigint, kind text, id text, model text, grain text, since timestamptz, until timestamptz)
     join sluice.spend_counters as counter on counter.scope_kind = kind and counter.scope_id = wanted.id
       and counter.model = wanted.model and counter.grain = wanted.grain
       and counter.since >= wanted.since and counter.since < wanted.until
     group by place`,
    [wanted]
  )
  if (rows instanceof Failure) return rows
  const spent = new Map(rows.map(row => [integer(row, 'place'), big(row, 'spent')]))
  return standing.map((item, place) => ({ ...item, spentNano: (spent.get(place) ?? 0n) - forgiven(item) }))
}

function forgiven({ budget, since }: Omit<Standing, 'spentNano'>): bigint {
  return budget.forgivenSince?.getTime() === (since?.getTime() ?? 0) ? budget.forgivenNano : 0n
}

/** Makes a scope stand at an amount in every window it is in now. What it spent stays in the reports. */
export async function resetSpend(
  queries: Queries,
  spender: Spender,
  toNano: bigint,
  at: Date
): Promise<readonly Standing[] | Failure> {
  const standing = await standings(queries, [spender], at)
  if (standing instanceof Failure) return standing
  // A plan's budgets are shared, and what one scope is forgiven is not forgiven to others.
  const own = standing.filter(({ budget }) => budget.scope.kind === spender.kind)
  const rows = await queries.query(
    `update sluice.budgets set forgiven_nano = pardon.forgiven, forgiven_since = pardon.since
     from jsonb_to_recordset($1::jsonb) as pardon (id text, forgiven bigint, since timestamptz)
     where budgets.id = pardon.id returning ${telling('budget', OWNER)}`,
    [
      own.map(item => ({
        id: item.budget.id,
        forgiven: item.spentNano + forgiven(item) - toNano,
        since: item.since ?? new Date(0)
      }))
    ]
  )
  return rows instanceof Failure ? rows : standings(queries, [spender], at)
}

function readBudget(row: Row): Budget {
  return {
    id: text(row, 'id'),
    scope: { kind: text(row, 'scope_kind'), id: text(row, 'scope_id') },
    model: text(row, 'model'),
    window: text(row, 'window_length'),
    limitNano: big(row, 'limit_nano'),
    softLimitNano: bigOrNull(row, 'soft_limit_nano'),
    extraNano: big(row, 'extra_nano'),
    extraUntil: timeOrNull(row, 'extra_until'),
    forgivenNano: big(row, 'forgiven_nano'),
    forgivenSince: timeOrNull(row, 'forgiven_since'),
    anchor: time(row, 'anchor')
  }
}
