// What keys, teams, users and their like have in common: made, changed, listed, taken away, each change told.

import { Failure } from '../chat/failure.ts'
import { type ChangedKind, telling } from './changes.ts'
import { Conditions } from './conditions.ts'
import type { Queries } from './database.ts'
import { decodeCursor, encodeCursor, limitOf, type Page, type Paged, paged } from './paging.ts'
import { big, flag, integer, object, type Parameter, type Row, text, textOrNull, texts, time } from './values.ts'

export interface Limits {
  readonly rpm?: number
  readonly rpd?: number
  readonly tpm?: number
  readonly tpd?: number
  readonly maxParallel?: number
  /** By model, beside those of all. */
  readonly models?: Readonly<Record<string, Omit<Limits, 'models'>>>
}

type Json = Readonly<Record<string, unknown>>

export interface Entity {
  readonly id: string
  readonly alias: string | null
  readonly blocked: boolean
  readonly models: readonly string[]
  readonly limits: Limits
  readonly metadata: Json
  /** What nobody searches for. */
  readonly settings: Json
  /** Grows with every change: whoever remembers an older one forgets it. */
  readonly version: bigint
  readonly createdAt: Date
  readonly createdBy: string | null
  readonly updatedAt: Date
  readonly updatedBy: string | null
}

type Kept = 'version' | 'createdAt' | 'createdBy' | 'updatedAt' | 'updatedBy'

type Writable<Item> = { readonly [Field in Exclude<keyof Item, Kept>]?: Item[Field] | undefined }

/** What a new one needs, and what it may have. */
export type Fresh<Item, Needed extends keyof Item> = Pick<Item, Needed> & Writable<Item>

/** A field that is undefined stays as it is. */
export type Patch<Item> = Omit<Writable<Item>, 'id'>

export interface Shape<Item extends Entity> {
  readonly table: string
  readonly kind: ChangedKind
  /** Of every field that is written as it is, in a row that is read. */
  readonly columns: Readonly<Partial<Record<keyof Item, string>>>
  /** Of those that are only read. */
  readonly more?: readonly string[]
  read(row: Row): Item
}

export const ENTITY_COLUMNS = {
  id: 'id',
  alias: 'alias',
  blocked: 'blocked',
  models: 'models',
  limits: 'limits',
  metadata: 'metadata',
  settings: 'settings'
} as const

const KEPT = ['version', 'created_at', 'created_by', 'updated_at', 'updated_by']

/** Never `*`: a column that a newer gateway adds would make the statements that older ones have prepared invalid. */
export function selected<Item extends Entity>({ columns, more = [] }: Shape<Item>): string {
  return [...Object.values(columns), ...more, ...KEPT].join(', ')
}

export function readEntity(row: Row): Entity {
  return {
    id: text(row, 'id'),
    alias: textOrNull(row, 'alias'),
    blocked: flag(row, 'blocked'),
    models: texts(row, 'models'),
    limits: readLimits(object(row, 'limits')),
    metadata: object(row, 'metadata'),
    settings: object(row, 'settings'),
    version: big(row, 'version'),
    createdAt: time(row, 'created_at'),
    createdBy: textOrNull(row, 'created_by'),
    updatedAt: time(row, 'updated_at'),
    updatedBy: textOrNull(row, 'updated_by')
  }
}

const AMOUNTS = ['rpm', 'rpd', 'tpm', 'tpd', 'maxParallel'] as const

export function readLimits(value: Row): Limits {
  const limits: { -readonly [Name in keyof Limits]: Limits[Name] } = {}
  for (const name of AMOUNTS) {
    const amount = value[name]
    if (typeof amount === 'number') limits[name] = amount
  }
  const models = Object.keys(object(value, 'models'))
  if (models.length > 0) {
    limits.models = Object.fromEntries(models.map(model => [model, readLimits(object(object(value, 'models'), model))]))
  }
  return limits
}

/** The statement that makes one, and its parameters; `returning` its row. */
export function insertion<Item extends Entity>(
  shape: Shape<Item>,
  fields: object,
  by: string | null
): { text: string; parameters: Parameter[] } {
  const { table, kind, columns } = shape
  const given = columnsOf(columns, fields)
  const names = [...given.map(([column]) => column), 'created_by', 'updated_by']
  const parameters = [...given.map(([, value]) => value), by, by]
  const places = names.map((_, index) => `$${index + 1}`)
  return {
    text: `insert into sluice.${table} (${names.join(', ')}) values (${places.join(', ')})
      returning ${selected(shape)}, ${telling(kind)}`,
    parameters
  }
}

export async function createEntity<Item extends Entity>(
  queries: Queries,
  shape: Shape<Item>,
  fields: Fresh<Item, 'id'>,
  by: string | null
): Promise<Item | Failure> {
  const { text, parameters } = insertion(shape, fields, by)
  return the(shape, await queries.query(text, parameters), fields.id)
}

/** Undefined when there is none. */
export async function findEntity<Item extends Entity>(
  queries: Queries,
  shape: Shape<Item>,
  id: string
): Promise<Item | undefined | Failure> {
  const rows = await queries.query(`select ${selected(shape)} from sluice.${shape.table} where id = $1`, [id])
  return first(rows, shape.read)
}

export async function updateEntity<Item extends Entity>(
  queries: Queries,
  shape: Shape<Item>,
  id: string,
  patch: Patch<Item>,
  by: string | null
): Promise<Item | Failure> {
  const given = columnsOf({ ...shape.columns, id: undefined }, patch)
  const sets = given.map(([column], index) => `${column} = $${index + 3}, `).join('')
  const rows = await queries.query(
    `update sluice.${shape.table} set ${sets}version = version + 1, updated_at = now(), updated_by = $2
     where id = $1 returning ${selected(shape)}, ${telling(shape.kind)}`,
    [id, by, ...given.map(([, value]) => value)]
  )
  return the(shape, rows, id)
}

/** With what hangs on them: budgets, and what they have spent so far in all. What they spent by day stays in the reports. */
export async function deleteEntities<Item extends Entity>(
  queries: Queries,
  shape: Shape<Item>,
  ids: readonly string[]
): Promise<readonly Item[] | Failure> {
  const { table, kind, read } = shape
  const rows = await queries.query(
    `with gone as (
       delete from sluice.${table} where id in (select jsonb_array_elements_text($1::jsonb))
       returning ${selected(shape)}, ${telling(kind)}
     ), free as (
       delete from sluice.budgets where scope_kind = '${kind}' and scope_id in (select id from gone)
     ), forgotten as (
       delete from sluice.spend_counters where grain = 'total' and scope_kind = '${kind}' and scope_id in (select id from gone)
     )
     select * from gone`,
    [ids]
  )
  return rows instanceof Failure ? rows : rows.map(read)
}

export type Filter<Item> = Writable<
  Pick<Item, Extract<keyof Item, 'alias' | 'blocked' | 'email' | 'userId' | 'teamId' | 'organizationId' | 'planId'>>
> & {
  /** A part of the id or the alias, in any case. */
  readonly search?: string | undefined
}

/** Newest first. */
export async function listEntities<Item extends Entity>(
  queries: Queries,
  shape: Shape<Item>,
  filter: Filter<Item>,
  page: Page
): Promise<Paged<Item> | Failure> {
  const conditions = conditionsOf(shape.columns, filter)
  if (page.cursor !== undefined) {
    const place = decodeCursor(page.cursor)
    if (place instanceof Failure) return place
    conditions.add(`(created_at, id) < (${conditions.parameter(place.at)}, ?)`, place.id)
  }
  const rows = await queries.query(
    `select ${selected(shape)} from sluice.${shape.table}${conditions.where} order by created_at desc, id desc
     limit ${conditions.parameter(limitOf(page) + 1)} offset ${conditions.parameter(page.offset ?? 0)}`,
    conditions.parameters
  )
  if (rows instanceof Failure) return rows
  return paged(rows.map(shape.read), page, ({ createdAt, id }) => encodeCursor({ at: createdAt, id }))
}

export async function countEntities<Item extends Entity>(
  queries: Queries,
  { table, columns }: Shape<Item>,
  filter: Filter<Item>
): Promise<number | Failure> {
  const conditions = conditionsOf(columns, filter)
  const rows = await queries.query(
    `select count(*)::integer as amount from sluice.${table}${conditions.where}`,
    conditions.parameters
  )
  return rows instanceof Failure ? rows : rows.reduce((_, row) => integer(row, 'amount'), 0)
}

function conditionsOf<Item>(columns: Readonly<Partial<Record<keyof Item, string>>>, filter: Filter<Item>): Conditions {
  const conditions = new Conditions()
  for (const [column, value] of columnsOf(columns, filter)) {
    conditions.equal(column, value)
  }
  conditions.add('(position(lower(?) in lower(id)) > 0 or position(lower(?) in lower(alias)) > 0)', filter.search)
  return conditions
}

/** Only what the table names: a field that came along from elsewhere never becomes SQL. */
function columnsOf(columns: object, fields: object): [string, Parameter][] {
  const values = new Map<string, Parameter | undefined>(Object.entries(fields))
  const given: [string, Parameter][] = []
  for (const [field, column] of Object.entries(columns)) {
    const value = values.get(field)
    if (typeof column === 'string' && value !== undefined) given.push([column, value])
  }
  return given
}

/** The row that must be there, or says that it is not. */
export function the<Item extends Entity>(
  { kind, read }: Shape<Item>,
  rows: readonly Row[] | Failure,
  id: string
): Item | Failure {
  return first(rows, read) ?? new Failure('not-found', `There is no ${kind} \`${id}\`.`, { field: 'id' })
}

export function first<Item>(rows: readonly Row[] | Failure, read: (row: Row) => Item): Item | undefined | Failure {
  if (rows instanceof Failure) return rows
  const [row] = rows
  return row === undefined ? undefined : read(row)
}
