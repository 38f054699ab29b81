// `/key/*`: made, shown, changed, rotated and taken away.

import { Failure } from '../../chat/failure.ts'
import { recordOf } from '../../keys/lookup.ts'
import { fingerprint, nameOf, newSecret } from '../../keys/secret.ts'
import { raiseBudgets, resetSpend, setBudgets, standings } from '../../store/budgets.ts'
import type { Queries } from '../../store/database.ts'
import { countEntities, type Filter, listEntities } from '../../store/entity.ts'
import {
  blockKey,
  createKey,
  deleteKeys,
  KEYS,
  type KeyRecord,
  keyById,
  keyByLitellmHash,
  type NewKey,
  rotateKey,
  unblockKey,
  updateKey
} from '../../store/keys.ts'
import type { Row } from '../../store/values.ts'
import { type AdminRoute, type Asked, missing, noted, pageOf, pagesOf, THE_FILE, type Told, withNote } from './asked.ts'
import { Fields, invalid } from './fields.ts'
import { type KeySaid, readKey, tellKey, wrongOwnKey } from './key-fields.ts'
import { accountsOf, freshAccount, NO_ACCOUNT } from './terms.ts'

/** A key by itself, its id, LiteLLM's hash of it, or its alias. */
export async function find(queries: Queries, asked: Asked, reference: string): Promise<KeyRecord | Failure> {
  const none = missing('key', reference.startsWith('sk-') ? nameOf(reference) : reference, 'key')
  if (reference.startsWith('sk-')) {
    const digest = (secret: string) => asked.keyring.digest(secret)
    const owned = await recordOf(queries, reference, digest, asked.at.getTime())
    return owned instanceof Failure ? owned : (owned?.record ?? none)
  }
  const record = await keyById(queries, reference)
  if (record !== undefined) return record
  const imported = /^[0-9a-f]{64}$/.test(reference) ? await keyByLitellmHash(queries, reference) : undefined
  if (imported !== undefined) return imported
  const named = await listEntities(queries, KEYS, { alias: reference }, { limit: 1 })
  return named instanceof Failure ? named : (named.items[0] ?? none)
}

/** One that is ours to change: what the file says would be said again with its next reload. */
async function findOurs(queries: Queries, asked: Asked, reference: string): Promise<KeyRecord | Failure> {
  const record = await find(queries, asked, reference)
  if (record instanceof Failure || record.createdBy !== THE_FILE) return record
  return invalid('key', `The key \`${record.alias ?? record.id}\` is declared in ${THE_FILE}; change it there.`)
}

async function tellWith(queries: Queries, record: KeyRecord, at: Date): Promise<Row | Failure> {
  const accounts = await accountsOf(queries, 'key', [record], at)
  return accounts instanceof Failure ? accounts : tellKey(record, accounts.get(record.id) ?? NO_ACCOUNT)
}

async function generate(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const said = readKey(fields, asked.at)
  const own = fields.word('key', 256)
  if (fields.failure !== undefined) return fields.failure
  const wrong = own === undefined ? undefined : wrongOwnKey(own, asked.gateway.runtime.masterKey)
  return wrong ?? makeKey(asked.store, asked, said, own)
}

/** Also for a user who gets one with their account. */
export async function makeKey(
  queries: Queries,
  asked: Asked,
  { patch, terms }: KeySaid,
  own?: string
): Promise<Row | Failure> {
  const { keyring, at, by } = asked
  const secret = newSecret(value => keyring.digest(value))
  const settings = terms.settings ?? {}
  const budgets = terms.budgets([], settings) ?? []
  const { id } = secret
  const fresh: NewKey = {
    ...patch,
    limits: terms.limits({}),
    settings,
    id,
    ...(own === undefined
      ? { name: secret.name, hash: secret.hash }
      : { name: nameOf(own), litellmHash: fingerprint(own) })
  }
  const after = { ...fresh, hash: undefined, budgets }
  const audit = noted(asked, { action: 'create', kind: 'key', target: id, after })
  const record = await createKey(queries, fresh, by, { budgets, audit })
  if (record instanceof Failure) return record
  keyring.forget({ kind: 'key', id })
  const account = freshAccount({ kind: 'key', id }, budgets, at)
  return { key: own ?? secret.key, token_id: id, ...tellKey(record, account) }
}

async function info(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const said = fields.word('key')
  if (fields.failure !== undefined) return fields.failure
  const { caller, store, at } = asked
  if (said === undefined && caller.master) return invalid('key', 'Say which key: /key/info?key=…')
  const record = await find(store, asked, said ?? caller.id)
  if (!caller.master && (record instanceof Failure || record.id !== caller.id))
    return new Failure('forbidden', 'A key may ask about itself alone.', { code: 'not_allowed' })
  if (record instanceof Failure) return record
  const told = await tellWith(store, record, at)
  return told instanceof Failure ? told : { key: said ?? record.id, info: told }
}

async function update(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const reference = fields.needed('key')
  const said = readKey(fields, asked.at)
  const extra = readExtra(fields)
  if (fields.failure !== undefined) return fields.failure
  const done = await withNote(asked, async queries => {
    const before = await findOurs(queries, asked, reference)
    if (before instanceof Failure) return before
    const after = await change(queries, asked, before, said, extra)
    if (after instanceof Failure) return after
    return {
      result: after.record,
      note: noted(asked, { action: 'update', kind: 'key', target: before.id, before, after: after.note })
    }
  })
  return settled(asked, done, reference)
}

/** After the transaction: nobody here waits until the database has told. */
async function settled(asked: Asked, done: KeyRecord | Failure, reference: string): Promise<Told> {
  if (done instanceof Failure) return done
  asked.keyring.forget({ kind: 'key', id: done.id })
  const told = await tellWith(asked.store, done, asked.at)
  return told instanceof Failure ? told : { key: reference, ...told }
}

interface Extra {
  readonly nano: bigint
  readonly until: Date
}

/** More money for a while, on every budget of the key. */
function readExtra(fields: Fields): Extra | undefined {
  const nano = fields.dollars('temp_budget_increase')
  const until = fields.time('temp_budget_expiry')
  if (typeof nano === 'bigint' && until !== undefined) return { nano, until }
  if (typeof nano === 'bigint' || until !== undefined)
    fields.fail(invalid('temp_budget_expiry', '`temp_budget_increase` and `temp_budget_expiry` belong together.'))
  return undefined
}

export async function change(
  queries: Queries,
  { by, at }: Pick<Asked, 'by' | 'at'>,
  before: KeyRecord,
  { patch, terms }: KeySaid,
  extra: Extra | undefined
): Promise<{ readonly record: KeyRecord; readonly note: object } | Failure> {
  const { id } = before
  const standing = await standings(queries, [{ kind: 'key', id }], at)
  if (standing instanceof Failure) return standing
  const settings = { ...before.settings, ...terms.settings }
  const wanted = terms.budgets(
    standing.map(({ budget }) => budget),
    settings
  )
  const record = await updateKey(queries, id, { ...patch, limits: terms.limits(before.limits), settings }, by)
  if (record instanceof Failure) return record
  const budgets = wanted === undefined ? [] : await setBudgets(queries, { kind: 'key', id }, wanted)
  if (budgets instanceof Failure) return budgets
  const raised = extra && (await raiseBudgets(queries, { kind: 'key', id }, extra.nano, extra.until))
  if (raised !== undefined) return raised
  return {
    record,
    note: { ...record, ...(wanted !== undefined && { budgets }), ...(extra !== undefined && { extra }) }
  }
}

async function remove(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const [keys = [], aliases = []] = [fields.texts('keys'), fields.texts('key_aliases')]
  if (fields.failure !== undefined) return fields.failure
  const references = [...keys, ...aliases]
  if (references.length === 0) return invalid('keys', 'Say which: {"keys": ["sk-…"]}.')
  const records: KeyRecord[] = []
  for (const reference of references) {
    const record = await findOurs(asked.store, asked, reference)
    if (record instanceof Failure) return record
    records.push(record)
  }
  const ids = records.map(({ id }) => id)
  const done = await withNote(asked, async queries => {
    const gone = await deleteKeys(queries, ids)
    if (gone instanceof Failure) return gone
    const note = noted(asked, {
      action: 'delete',
      kind: 'key',
      target: ids.join(' ').slice(0, 2_000),
      before: { keys: gone.map(readable) }
    })
    return { result: gone, note }
  })
  if (done instanceof Failure) return done
  for (const id of ids) asked.keyring.forget({ kind: 'key', id })
  return { deleted_keys: references }
}

/** Without its digests: nested, the audit log would not find them. */
function readable({ hash, previousHash, litellmHash, ...record }: KeyRecord): object {
  return record
}

function blocking(action: 'block' | 'unblock'): AdminRoute['answer'] {
  const run = action === 'block' ? blockKey : unblockKey
  return async asked => {
    const fields = new Fields(asked)
    const reference = fields.needed('key')
    if (fields.failure !== undefined) return fields.failure
    const done = await withNote(asked, async queries => {
      const before = await find(queries, asked, reference)
      if (before instanceof Failure) return before
      const record = await run(queries, before.id, asked.by)
      if (record instanceof Failure) return record
      const note = noted(asked, {
        action,
        kind: 'key',
        target: before.id,
        before: { blocked: before.blocked },
        after: { blocked: record.blocked }
      })
      return { result: record, note }
    })
    return settled(asked, done, reference)
  }
}

/** A new secret for the same key; the old one goes on for `grace_period`, if that is said. */
async function regenerate(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const reference = fields.needed('key')
  const grace = fields.duration('grace_period')
  const said = readKey(fields, asked.at)
  if (fields.failure !== undefined) return fields.failure
  let key = ''
  const done = await withNote(asked, async queries => {
    const before = await findOurs(queries, asked, reference)
    if (before instanceof Failure) return before
    const changed = await change(queries, asked, before, said, undefined)
    if (changed instanceof Failure) return changed
    const secret = newSecret(value => asked.keyring.digest(value), before.id)
    const graceUntil = typeof grace === 'number' ? new Date(asked.at.getTime() + grace) : null
    const record = await rotateKey(queries, before.id, { hash: secret.hash, name: secret.name, graceUntil }, asked.by)
    if (record instanceof Failure) return record
    key = secret.key
    const after = { name: record.name, rotations: record.rotations, previousUntil: record.previousUntil }
    return {
      result: record,
      note: noted(asked, { action: 'rotate', kind: 'key', target: before.id, before: { name: before.name }, after })
    }
  })
  const told = await settled(asked, done, key)
  return told instanceof Failure ? told : { ...told, token_id: done instanceof Failure ? '' : done.id }
}

async function reset(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const reference = fields.needed('key')
  const to = fields.dollars('reset_to') ?? 0n
  if (fields.failure !== undefined) return fields.failure
  const done = await withNote(asked, async queries => {
    const record = await find(queries, asked, reference)
    if (record instanceof Failure) return record
    const standing = await resetSpend(queries, { kind: 'key', id: record.id }, to, asked.at)
    if (standing instanceof Failure) return standing
    return {
      result: record,
      note: noted(asked, { action: 'reset-spend', kind: 'key', target: record.id, after: { to } })
    }
  })
  return settled(asked, done, reference)
}

async function list(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const numbered = fields.page(100)
  const filter: Filter<KeyRecord> = {
    userId: fields.word('user_id'),
    teamId: fields.word('team_id'),
    organizationId: fields.word('organization_id'),
    alias: fields.word('key_alias'),
    search: fields.word('search')
  }
  const hash = fields.word('key_hash')
  const isFull = fields.flag('return_full_object') === true
  // Lists are always the newest first, and of everybody's keys.
  for (const name of ['include_team_keys', 'include_created_by_keys']) fields.flag(name)
  if (fields.failure !== undefined) return fields.failure
  if (hash !== undefined) return listOne(asked, hash, isFull)
  const [page, total] = await Promise.all([
    listEntities(asked.store, KEYS, filter, pageOf(numbered)),
    countEntities(asked.store, KEYS, filter)
  ])
  if (page instanceof Failure) return page
  if (total instanceof Failure) return total
  const keys = isFull ? await tellAll(asked, page.items) : page.items.map(({ id }) => id)
  if (keys instanceof Failure) return keys
  return { keys, total_count: total, current_page: numbered.page, total_pages: pagesOf(total, numbered) }
}

async function listOne(asked: Asked, reference: string, isFull: boolean): Promise<Told> {
  const record = await find(asked.store, asked, reference)
  if (record instanceof Failure && record.kind !== 'not-found') return record
  const records = record instanceof Failure ? [] : [record]
  const keys = isFull ? await tellAll(asked, records) : records.map(({ id }) => id)
  if (keys instanceof Failure) return keys
  return { keys, total_count: records.length, current_page: 1, total_pages: records.length }
}

export async function tellAll({ store, at }: Asked, records: readonly KeyRecord[]): Promise<readonly Row[] | Failure> {
  const accounts = await accountsOf(store, 'key', records, at)
  if (accounts instanceof Failure) return accounts
  return records.map(record => tellKey(record, accounts.get(record.id) ?? NO_ACCOUNT))
}

export const KEY_ROUTES: readonly AdminRoute[] = [
  { method: 'POST', path: '/key/generate', summary: 'Make a key; the answer alone ever shows it', answer: generate },
  { method: 'GET', path: '/key/info', summary: 'A key, its limits and its spend', own: true, answer: info },
  { method: 'POST', path: '/key/update', summary: 'Change a key', answer: update },
  { method: 'POST', path: '/key/delete', summary: 'Delete keys', answer: remove },
  { method: 'GET', path: '/key/list', summary: 'The keys there are, newest first', answer: list },
  { method: 'POST', path: '/key/block', summary: 'Block a key', answer: blocking('block') },
  { method: 'POST', path: '/key/unblock', summary: 'Unblock a key', answer: blocking('unblock') },
  { method: 'POST', path: '/key/regenerate', summary: 'A new secret for a key', answer: regenerate },
  { method: 'POST', path: '/key/:key/regenerate', summary: 'A new secret for a key', answer: regenerate },
  { method: 'POST', path: '/key/:key/reset_spend', summary: 'Let a key’s budgets begin again', answer: reset }
]
