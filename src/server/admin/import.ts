// Keys that LiteLLM made, from the rows of its table: nobody needs another one, and no key is told to anybody.

import { Failure } from '../../chat/failure.ts'
import { newId } from '../../keys/secret.ts'
import { resetSpend } from '../../store/budgets.ts'
import type { Queries } from '../../store/database.ts'
import { createKey } from '../../store/keys.ts'
import type { Row } from '../../store/values.ts'
import { type AdminRoute, type Asked, noted, type Told } from './asked.ts'
import { Fields, invalid } from './fields.ts'
import { type KeySaid, readKey } from './key-fields.ts'

/** Of its columns, those that mean something here; the others are its own business. */
const TAKEN =
  `key_alias models aliases user_id team_id organization_id metadata tpm_limit rpm_limit max_parallel_requests max_budget
  soft_budget budget_duration budget_limits model_max_budget budget_id blocked allowed_routes tags`.split(/\s+/)

interface Imported {
  readonly hash: string
  readonly name: string
  readonly said: KeySaid
  readonly expiresAt: Date | undefined
  readonly spentNano: bigint
}

function readRow(row: Row, at: Date): Imported | Failure {
  const sent = Object.fromEntries(TAKEN.flatMap(name => (Object.hasOwn(row, name) ? [[name, row[name]]] : [])))
  const fields = new Fields({ sent, isQuery: false })
  const said = readKey(fields, at)
  const own = new Fields({ sent: row, isQuery: false })
  const hash = own.needed('token', 64)
  const name = own.word('key_name', 40) ?? 'sk-...'
  const expiresAt = own.time('expires')
  const spentNano = own.dollars('spend') ?? 0n
  const wrong = fields.failure ?? own.mistake
  if (wrong !== undefined) return wrong
  if (!/^[0-9a-f]{64}$/.test(hash)) return invalid('token', '`token` must be the SHA-256 of a key, in hex.')
  return { hash, name: /^sk-\.\.\..{0,8}$/.test(name) ? name : 'sk-...', said, expiresAt, spentNano }
}

async function take(queries: Queries, asked: Asked, imported: Imported): Promise<string | Failure> {
  const { hash, name, said, expiresAt, spentNano } = imported
  const { patch, terms } = said
  const id = newId()
  const settings = terms.settings ?? {}
  const budgets = terms.budgets([], settings) ?? []
  const fields = { ...patch, id, name, litellmHash: hash, expiresAt, limits: terms.limits({}), settings }
  const audit = noted(asked, { action: 'import', kind: 'key', target: id, after: { ...fields, budgets } })
  const record = await createKey(queries, fields, asked.by, { budgets, audit })
  if (record instanceof Failure) return record
  if (spentNano === 0n) return id
  // What it spent there counts for the windows it is in now.
  const standing = await resetSpend(queries, { kind: 'key', id }, spentNano, asked.at)
  return standing instanceof Failure ? standing : id
}

async function importKeys(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const rows = fields.objects('keys') ?? []
  if (fields.failure !== undefined) return fields.failure
  if (rows.length === 0) return invalid('keys', 'Send rows of LiteLLM’s table of keys: {"keys": [{"token": "…"}]}.')
  const imported: Imported[] = []
  for (const [index, row] of rows.entries()) {
    const read = readRow(row, asked.at)
    if (read instanceof Failure) return placed(read, index)
    imported.push(read)
  }
  const done = await asked.store.transaction(async queries => {
    const ids: string[] = []
    for (const [index, item] of imported.entries()) {
      const id = await take(queries, asked, item)
      if (id instanceof Failure) return placed(id, index)
      ids.push(id)
    }
    return ids
  })
  if (done instanceof Failure) return done
  asked.keyring.forget('all')
  return { imported: done.length, tokens: done }
}

/** Which of them it was. */
function placed({ kind, message, details }: Failure, index: number): Failure {
  const field = details.field === undefined ? 'keys' : `keys[${index}].${details.field}`
  return new Failure(kind, message, { ...details, field })
}

export const IMPORT_ROUTES: readonly AdminRoute[] = [
  { method: 'POST', path: '/key/import', summary: 'Take over keys of LiteLLM by their hashes', answer: importKeys }
]
