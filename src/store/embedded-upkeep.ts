// What a server's background processes do. The embedded database has none: its journal would grow for ever, and be read again
// from the start after a crash; what is deleted would keep its room, and plans would be made for tables as they once were.

import { Failure } from '../chat/failure.ts'
import type { Queries } from './database.ts'
import { text } from './values.ts'

/** A crash costs the time to read this much. */
const MOST_JOURNAL = 32 * 1024 * 1024

/** A little of it at a time: whoever asks meanwhile waits. */
export async function upkeep(queries: Queries): Promise<Failure | undefined> {
  const journal = await queries.query(
    'select pg_current_wal_lsn() - redo_lsn > $1::numeric as much from pg_control_checkpoint()',
    [MOST_JOURNAL]
  )
  if (journal instanceof Failure) return journal
  if (journal[0]?.['much'] === true) {
    const written = await queries.query('checkpoint', [])
    if (written instanceof Failure) return written
  }
  // PostgreSQL's own rule for when a table is worth it, with its threshold raised for small ones.
  const worn = await queries.query(
    `select format('%I.%I', schemaname, relname) as name from pg_stat_user_tables
     where n_dead_tup > 1000 + 0.2 * n_live_tup or n_mod_since_analyze > 1000 + 0.1 * n_live_tup
     order by n_dead_tup desc, n_mod_since_analyze desc limit 1`,
    []
  )
  if (worn instanceof Failure) return worn
  for (const row of worn) {
    const swept = await queries.query(`vacuum (analyze) ${text(row, 'name')}`)
    if (swept instanceof Failure) return swept
  }
  return undefined
}
