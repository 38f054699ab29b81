// Brings a database to the shape that this code needs, whoever else tries the same at the same moment.

import { createHash } from 'node:crypto'
import { Failure } from '../chat/failure.ts'
import type { Database, Queries, StoreLog } from './database.ts'
import { unavailable } from './failures.ts'
import { MIGRATIONS, type Migration } from './migrations/index.ts'
import { flag, integer, type Row, text } from './values.ts'

/** Any number that no other program takes its lock with. */
const LOCK = 7_295_118_846
/** An index on many millions of rows takes minutes, and a second gateway waits for the first. */
const PATIENCE_MS = 600_000

/** Undefined when the database is as the code wants it. */
export async function migrate(
  database: Database,
  log: StoreLog,
  migrations: readonly Migration[] = MIGRATIONS
): Promise<Failure | undefined> {
  // Looking needs no lock and no right to change anything, so most starts need neither.
  const applied = await readApplied(database)
  if (applied instanceof Failure) return applied
  let missing = missingOf(applied, migrations)
  while (!(missing instanceof Failure) && missing.length > 0) {
    const done = await database.transaction(queries => applyNext(queries, migrations), { patience: PATIENCE_MS })
    if (done instanceof Failure) return done
    if (done.applied !== undefined) log('info', 'migrated the database', { migration: done.applied })
    missing = done.left
  }
  return missing instanceof Failure ? missing : undefined
}

/** One migration a transaction: what was done stays done, and old gateways get their turn between two. */
async function applyNext(
  queries: Queries,
  migrations: readonly Migration[]
): Promise<{ applied: string | undefined; left: readonly Migration[] } | Failure> {
  // It is released with the transaction, also behind a pooler.
  await queries.query('select pg_advisory_xact_lock($1::bigint)', [LOCK])
  const existing = await readApplied(queries)
  if (existing instanceof Failure) return existing
  const missing = missingOf(existing, migrations)
  if (missing instanceof Failure) return missing
  const [next, ...left] = missing
  if (next === undefined) return { applied: undefined, left }
  if (existing === undefined) await queries.query(await creation(queries))
  const failed = await queries.query(next.sql)
  if (failed instanceof Failure) return failed
  await queries.query('insert into sluice.migrations (number, name, checksum, breaking) values ($1, $2, $3, $4)', [
    next.number,
    next.name,
    checksum(next),
    next.breaking ?? false
  ])
  return { applied: `${next.number} ${next.name}`, left }
}

/** Whoever may not create a schema can be given one: then we only fill it. */
async function creation(queries: Queries): Promise<string> {
  const found = await queries.query("select exists (select from pg_namespace where nspname = 'sluice') as there")
  const there = !(found instanceof Failure) && found[0]?.['there'] === true
  return `${there ? '' : 'create schema sluice;'}
    create table sluice.migrations (
      number integer primary key, name text not null, checksum text not null,
      breaking boolean not null, applied_at timestamptz(3) not null default now()
    )`
}

/** Undefined when there is no table of them yet. */
async function readApplied(queries: Queries): Promise<readonly Row[] | undefined | Failure> {
  // Not `to_regclass`: it may answer from before the lock was ours.
  const found = await queries.query(
    `select exists (
       select from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       where nspname = 'sluice' and relname = 'migrations'
     ) as there`
  )
  if (found instanceof Failure) return found
  if (found[0]?.['there'] !== true) return undefined
  return queries.query('select number, name, checksum, breaking from sluice.migrations order by number')
}

function missingOf(
  applied: readonly Row[] | undefined,
  migrations: readonly Migration[]
): readonly Migration[] | Failure {
  const known = new Map(migrations.map(migration => [migration.number, migration]))
  for (const row of applied ?? []) {
    const migration = known.get(integer(row, 'number'))
    if (migration === undefined && flag(row, 'breaking')) {
      return unavailable(
        `The database was changed by a newer Sluice in a way that this one cannot work with: «${text(row, 'name')}».`
      )
    }
    if (migration !== undefined && checksum(migration) !== text(row, 'checksum')) {
      return unavailable(`The database was made by another version of the migration «${migration.name}».`)
    }
    known.delete(integer(row, 'number'))
  }
  return [...known.values()]
}

function checksum({ sql }: Migration): string {
  return createHash('sha256').update(sql).digest('hex')
}
