// Keys that stand in gateway.yaml by their hashes: rows of the store like all others, as long as the file says them.

import { hash } from 'node:crypto'
import { Failure } from '../../chat/failure.ts'
import type { DeclaredKey } from '../../config/generated/types.ts'
import type { Gateway } from '../../exchange/gateway.ts'
import type { Keyring } from '../../keys/keyring.ts'
import { createKey, deleteKeys, type KeyRecord, keysMadeBy } from '../../store/keys.ts'
import type { Store } from '../../store/store.ts'
import { noteOf, THE_FILE, withNotes } from './asked.ts'
import { Fields } from './fields.ts'
import { readKey } from './key-fields.ts'
import { change } from './keys.ts'

type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void

/** Keeps the store's rows as the file says, from when it is open and after each reload, one round after the other. */
export function declareKeys(gateway: Gateway, keyring: Keyring, log: Log): void {
  let last = Promise.resolve()
  const run = () => {
    const { config, masterKey } = gateway.runtime
    const { store } = keyring
    if (store !== undefined) last = last.then(() => round(gateway.runtime.config.keys, keyring, store, log))
    else if (masterKey !== undefined) keyring.wake(config.keys.length > 0)
  }
  gateway.onSwap = run
  keyring.onOpen(run)
}

async function round(declared: readonly DeclaredKey[], keyring: Keyring, store: Store, log: Log): Promise<void> {
  const rows = await keysMadeBy(store, THE_FILE)
  if (rows instanceof Failure) return log('error', `the keys of ${THE_FILE} are not in force: ${rows.message}`)
  const before = new Map(rows.map(row => [row.id, row]))
  const wanted = new Map(declared.map(entry => [idOf(entry), entry]))
  const gone = rows.filter(({ id }) => !wanted.has(id))
  // First of all: what is not said any more opens nothing, and its alias may be another's now.
  if (gone.length > 0) await report('removed', await remove(store, gone), gone.map(nameOf).join(', '), log)
  for (const [id, entry] of wanted) {
    const row = before.get(id)
    if (row?.settings['declared'] === stampOf(entry)) continue
    const done = await (row === undefined ? make(store, id, entry) : renew(store, row, entry))
    await report(row === undefined ? 'added' : 'changed', done, entry.alias, log)
  }
  keyring.forget('all')
}

async function report(what: string, done: unknown, alias: string, log: Log): Promise<void> {
  if (done instanceof Failure)
    log('error', `the key ${alias} of ${THE_FILE} was not ${what}: ${done.message}`, { field: done.details.field })
  else log('info', `key ${what}, as ${THE_FILE} says: ${alias}`)
}

/** Its hash is what it is: another one is another key. */
function idOf({ hash: digest }: DeclaredKey): string {
  return `file-${digest.slice(0, 16)}`
}

function nameOf({ alias, id }: KeyRecord): string {
  return alias ?? id
}

function stampOf(entry: DeclaredKey): string {
  return hash('sha256', JSON.stringify(entry))
}

/** What is not said is nothing, whatever it was before. */
const UNSAID = {
  models: [],
  tags: [],
  allowed_routes: [],
  allowed_ips: [],
  metadata: {},
  max_budget: null,
  budget_duration: null,
  rpm_limit: null,
  rpd_limit: null,
  tpm_limit: null,
  max_parallel_requests: null,
  team_id: null,
  user_id: null
}

function read(entry: DeclaredKey) {
  const { hash: digest, alias, expires, ...rest } = entry
  const fields = new Fields({ sent: { ...UNSAID, ...rest, key_alias: alias }, isQuery: false })
  const { patch, terms } = readKey(fields, new Date())
  const expiresAt = expires === undefined ? null : new Date(expires)
  const settings = { ...terms.settings, declared: stampOf(entry) }
  return fields.failure ?? { patch: { ...patch, expiresAt }, terms: { ...terms, settings }, digest }
}

async function make(store: Store, id: string, entry: DeclaredKey): Promise<unknown> {
  const said = read(entry)
  if (said instanceof Failure) return said
  const { patch, terms, digest } = said
  const budgets = terms.budgets([], terms.settings) ?? []
  const key = { ...patch, id, name: 'sk-...', litellmHash: digest, limits: terms.limits({}), settings: terms.settings }
  const audit = { actor: THE_FILE, action: 'create', kind: 'key', target: id, after: { ...key, budgets } }
  return createKey(store, key, THE_FILE, { budgets, audit })
}

async function renew(store: Store, before: KeyRecord, entry: DeclaredKey): Promise<unknown> {
  const said = read(entry)
  if (said instanceof Failure) return said
  return withNotes(store, async queries => {
    const changed = await change(queries, { by: THE_FILE, at: new Date() }, before, said, undefined)
    if (changed instanceof Failure) return changed
    const note = noteOf(THE_FILE, { action: 'update', kind: 'key', target: before.id, before, after: changed.note })
    return { result: changed.record, note }
  })
}

function remove(store: Store, gone: readonly KeyRecord[]): Promise<unknown> {
  return withNotes(store, async queries => {
    const ids = gone.map(({ id }) => id)
    const rows = await deleteKeys(queries, ids)
    if (rows instanceof Failure) return rows
    const note = noteOf(THE_FILE, { action: 'delete', kind: 'key', target: ids.join(' ').slice(0, 2_000) })
    return { result: rows, note }
  })
}
