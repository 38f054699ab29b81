// Where keys, budgets and spend are kept: PostgreSQL when an address is given, else a database of our own in a folder.

import { Failure } from '../chat/failure.ts'
import { type Change, onChange } from './changes.ts'
import type { Database, StoreLog } from './database.ts'
import { type EmbeddedTimes, openEmbedded } from './embedded.ts'
import { migrate } from './migrate.ts'
import { openPostgres } from './postgres.ts'

export interface StoreSettings {
  /** Empty or undefined: the embedded database under `dataDir`. */
  readonly databaseUrl?: string | undefined
  readonly dataDir: string
  readonly times?: EmbeddedTimes
}

export interface Store extends Database {
  /** Also what this gateway itself changes. The returned function ends it. */
  onChange(listener: (change: Change | 'all') => void): Promise<() => void>
}

/** Opens it, migrated. The functions of this room take it, or the queries of a transaction on it. */
export async function openStore(
  { databaseUrl, dataDir, times }: StoreSettings,
  log: StoreLog
): Promise<Store | Failure> {
  const database = databaseUrl ? openPostgres(databaseUrl, log) : await openEmbedded(dataDir, log, times)
  if (database instanceof Failure) return database
  const refused = await migrate(database, log)
  if (refused !== undefined) {
    await database.close()
    return refused
  }
  return {
    kind: database.kind,
    query: (text, parameters) => database.query(text, parameters),
    transaction: (run, options) => database.transaction(run, options),
    listen: (channel, listener) => database.listen(channel, listener),
    onChange: listener => onChange(database, listener),
    close: () => database.close()
  }
}
