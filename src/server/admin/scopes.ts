// What teams, users, organizations, customers, tags and shared budgets have in common: made, shown, changed, listed, blocked.

import { Failure } from '../../chat/failure.ts'
import { type BudgetOwner, type Standing, setBudgets, standings } from '../../store/budgets.ts'
import type { Queries } from '../../store/database.ts'
import type { Entity, Limits } from '../../store/entity.ts'
import type { Page, Paged } from '../../store/paging.ts'
import type { Scope } from '../../store/scopes.ts'
import type { Row } from '../../store/values.ts'
import { type AdminRoute, type Asked, missing, noted, withNote } from './asked.ts'
import { Fields, idsOf } from './fields.ts'
import { type Account, accountsOf, NO_ACCOUNT, readTerms, type Terms, tellPlan, tellTerms } from './terms.ts'

/** What may be said of any of them; each table takes the columns it has. */
interface Said {
  readonly alias?: string | null | undefined
  readonly blocked?: boolean | undefined
  readonly models?: readonly string[] | undefined
  readonly metadata?: Row | undefined
  readonly limits?: Limits | undefined
  readonly settings?: Row | undefined
  readonly planId?: string | null | undefined
  readonly organizationId?: string | null | undefined
  readonly email?: string | null | undefined
  readonly role?: string | null | undefined
  readonly defaultModel?: string | null | undefined
  readonly region?: string | null | undefined
}

export type Item = Entity & { readonly planId?: string | null }

/** One kind of them. */
export interface Table<Kept extends Item> {
  readonly kind: Scope['kind'] | 'plan'
  /** What LiteLLM calls its id: `team_id`. */
  readonly idField: string
  create(queries: Queries, id: string, said: Said, by: string): Promise<Kept | Failure>
  find(queries: Queries, id: string): Promise<Kept | undefined | Failure>
  update(queries: Queries, id: string, said: Said, by: string): Promise<Kept | Failure>
  list(queries: Queries, filter: Listing, page: Page): Promise<Paged<Kept> | Failure>
  count(queries: Queries, filter: Listing): Promise<number | Failure>
  /** In a transaction of whoever calls. */
  remove(queries: Queries, ids: readonly string[]): Promise<readonly Kept[] | Failure>
  read(fields: Fields): Said
  tell(item: Kept): Row
}

interface Listing {
  readonly alias?: string | undefined
  readonly organizationId?: string | undefined
  readonly search?: string | undefined
}

interface Request {
  readonly said: Said
  readonly terms: Terms
}

/** What is said of limits, models and the like. */
export function readSaid<Kept extends Item>(table: Table<Kept>, fields: Fields): Request {
  const metadata = fields.object('metadata')
  const said: Said = {
    ...table.read(fields),
    metadata: metadata === null ? {} : metadata,
    blocked: fields.flag('blocked')
  }
  // A plan's own id has the name that others refer to it by.
  const terms = readTerms(fields)
  return { said: table.kind === 'plan' ? said : { ...said, planId: terms.planId === '' ? null : terms.planId }, terms }
}

function ownerOf<Kept extends Item>({ kind }: Table<Kept>, id: string): BudgetOwner {
  return { kind, id }
}

/** A plan spends nothing itself; its budgets are asked for by somebody who has spent nothing either. */
function standingOf<Kept extends Item>(
  { kind }: Table<Kept>,
  queries: Queries,
  id: string,
  at: Date
): Promise<readonly Standing[] | Failure> {
  const spender = kind === 'plan' ? { kind: 'key' as const, id: '', planId: id } : { kind, id }
  return standings(queries, [spender], at)
}

export async function make<Kept extends Item>(
  table: Table<Kept>,
  asked: Asked,
  id: string,
  { said, terms }: Request,
  more: (queries: Queries) => Promise<Failure | undefined> = async () => undefined
): Promise<Row | Failure> {
  const settings = terms.settings ?? {}
  const wanted = terms.budgets([], settings) ?? []
  const done = await withNote(asked, async queries => {
    const made = await table.create(queries, id, { ...said, limits: terms.limits({}), settings }, asked.by)
    if (made instanceof Failure) return made
    const budgets = wanted.length === 0 ? [] : await setBudgets(queries, ownerOf(table, id), wanted)
    if (budgets instanceof Failure) return budgets
    const failure = await more(queries)
    if (failure !== undefined) return failure
    const after = { ...made, budgets }
    return { result: made, note: noted(asked, { action: 'create', kind: table.kind, target: id, after }) }
  })
  return told(table, asked, done)
}

export async function change<Kept extends Item>(
  table: Table<Kept>,
  asked: Asked,
  id: string,
  { said, terms }: Request,
  action = 'update'
): Promise<Row | Failure> {
  const done = await withNote(asked, async queries => {
    const before = await table.find(queries, id)
    if (before instanceof Failure) return before
    if (before === undefined) return missing(table.kind, id, table.idField)
    const standing = await standingOf(table, queries, id, asked.at)
    if (standing instanceof Failure) return standing
    const settings = { ...before.settings, ...terms.settings }
    const kept = standing.map(({ budget }) => budget).filter(budget => budget.scope.kind === table.kind)
    const wanted = terms.budgets(kept, settings)
    const updated = await table.update(
      queries,
      id,
      { ...said, limits: terms.limits(before.limits), settings },
      asked.by
    )
    if (updated instanceof Failure) return updated
    const budgets = wanted === undefined ? undefined : await setBudgets(queries, ownerOf(table, id), wanted)
    if (budgets instanceof Failure) return budgets
    const after = { ...updated, ...(budgets !== undefined && { budgets }) }
    return { result: updated, note: noted(asked, { action, kind: table.kind, target: id, before, after }) }
  })
  return told(table, asked, done)
}

async function told<Kept extends Item>(table: Table<Kept>, asked: Asked, done: Kept | Failure): Promise<Row | Failure> {
  if (done instanceof Failure) return done
  // Whoever is bound by it is looked up again.
  asked.keyring.forget('all')
  const rows = await tellAllOf(table, asked, [done])
  return rows instanceof Failure ? rows : (rows[0] ?? {})
}

async function tellAllOf<Kept extends Item>(
  table: Table<Kept>,
  { store, at }: Asked,
  items: readonly Kept[]
): Promise<readonly Row[] | Failure> {
  if (table.kind === 'plan') {
    const rows: Row[] = []
    for (const item of items) {
      const own = await standingOf(table, store, item.id, at)
      if (own instanceof Failure) return own
      rows.push(tellOne(table, item, { total: 0n, own, plan: [] }))
    }
    return rows
  }
  const planned = items.map(item => ({ ...item, planId: item.planId ?? null }))
  const accounts = await accountsOf(store, table.kind, planned, at)
  if (accounts instanceof Failure) return accounts
  return items.map(item => tellOne(table, item, accounts.get(item.id) ?? NO_ACCOUNT))
}

function tellOne<Kept extends Item>(table: Table<Kept>, item: Kept, account: Account): Row {
  const planId = item.planId ?? null
  return {
    ...(table.kind !== 'plan' && { budget_id: planId, litellm_budget_table: tellPlan(planId, account) }),
    [table.idField]: item.id,
    ...table.tell(item),
    ...tellTerms(item, account),
    models: item.models,
    metadata: item.metadata,
    blocked: item.blocked,
    created_at: item.createdAt,
    created_by: item.createdBy,
    updated_at: item.updatedAt,
    updated_by: item.updatedBy
  }
}

/** One that is asked for by its id, with its account. */
export async function show<Kept extends Item>(
  table: Table<Kept>,
  asked: Asked,
  id: string
): Promise<{ readonly item: Kept; readonly row: Row } | Failure> {
  const item = await table.find(asked.store, id)
  if (item instanceof Failure) return item
  if (item === undefined) return missing(table.kind, id, table.idField)
  const rows = await tellAllOf(table, asked, [item])
  return rows instanceof Failure ? rows : { item, row: rows[0] ?? {} }
}

export interface ListedRows {
  readonly rows: readonly Row[]
  readonly total: number
  readonly page: number
  readonly size: number
}

export async function listAll<Kept extends Item>(
  table: Table<Kept>,
  asked: Asked,
  names: { readonly page?: string; readonly size?: string; readonly fallback?: number } = {}
): Promise<ListedRows | Failure> {
  const fields = new Fields(asked)
  const { page } = fields.page(1_000, names)
  const size = fields.whole(names.size ?? 'size', 1, 1_000) ?? names.fallback ?? 10
  const filter: Listing = {
    alias: fields.word(`${table.kind}_alias`),
    organizationId: fields.word('organization_id'),
    search: fields.word('search')
  }
  if (fields.failure !== undefined) return fields.failure
  const [items, total] = await Promise.all([
    table.list(asked.store, filter, { limit: size, offset: (page - 1) * size }),
    table.count(asked.store, filter)
  ])
  if (items instanceof Failure) return items
  if (total instanceof Failure) return total
  const rows = await tellAllOf(table, asked, items.items)
  return rows instanceof Failure ? rows : { rows, total, page, size }
}

export const NO_TERMS: Terms = {
  limits: () => undefined,
  budgets: () => undefined,
  settings: undefined,
  planId: undefined
}

export function setBlocked<Kept extends Item>(
  table: Table<Kept>,
  asked: Asked,
  id: string,
  blocked: boolean
): Promise<Row | Failure> {
  return change(table, asked, id, { said: { blocked }, terms: NO_TERMS }, blocked ? 'block' : 'unblock')
}

/** All of them with what hangs on them, or none; that one is not there is told before anything is done. */
export async function removeAll<Kept extends Item>(
  table: Table<Kept>,
  asked: Asked,
  ids: readonly string[]
): Promise<readonly string[] | Failure> {
  for (const id of ids) {
    const item = await table.find(asked.store, id)
    if (item instanceof Failure) return item
    if (item === undefined) return missing(table.kind, id, table.idField)
  }
  const gone = await withNote(asked, async queries => {
    const items = await table.remove(queries, ids)
    if (items instanceof Failure) return items
    const target = ids.join(' ').slice(0, 2_000)
    return {
      result: ids,
      note: noted(asked, { action: 'delete', kind: table.kind, target, before: { items } })
    }
  })
  asked.keyring.forget('all')
  return gone
}

/** `told`: what the answer calls those that are gone. */
export function removing<Kept extends Item>(table: Table<Kept>, field: string, told = 'deleted'): AdminRoute['answer'] {
  return async asked => {
    const ids = idsOf(new Fields(asked), field)
    if (ids instanceof Failure) return ids
    const gone = await removeAll(table, asked, ids)
    return gone instanceof Failure ? gone : { [told]: gone }
  }
}

/** Teams and users are told in an envelope. */
export function updating<Kept extends Item>(table: Table<Kept>): AdminRoute['answer'] {
  return async asked => {
    const fields = new Fields(asked)
    const id = fields.needed(table.idField)
    const request = readSaid(table, fields)
    if (fields.failure !== undefined) return fields.failure
    const row = await change(table, asked, id, request)
    return row instanceof Failure ? row : { [table.idField]: id, data: row }
  }
}
