// Virtual keys. Only digests come here, never a key.

import { Failure } from '../chat/failure.ts'
import { AUDIT_COLUMNS, type AuditEntry, auditParameter } from './audit.ts'
import { NEW_BUDGETS, type NewBudget, wrongWindow } from './budgets.ts'
import { telling } from './changes.ts'
import type { Queries } from './database.ts'
import {
  deleteEntities,
  ENTITY_COLUMNS,
  type Entity,
  type Fresh,
  findEntity,
  first,
  insertion,
  type Patch,
  readEntity,
  type Shape,
  selected,
  the,
  updateEntity
} from './entity.ts'
import { bytesOrNull, integer, object, type Row, text, textOrNull, texts, timeOrNull } from './values.ts'

export interface KeyRecord extends Entity {
  /** What is shown instead of the key: its ends. */
  readonly name: string
  /** HMAC-SHA-256 of the secret; null for one that came from LiteLLM and was not rotated since. */
  readonly hash: Buffer | null
  /** Valid as well, until then. */
  readonly previousHash: Buffer | null
  readonly previousUntil: Date | null
  /** SHA-256 of the whole key in hex, as LiteLLM keeps it. */
  readonly litellmHash: string | null
  readonly litellmUntil: Date | null
  readonly userId: string | null
  readonly teamId: string | null
  readonly organizationId: string | null
  readonly planId: string | null
  readonly expiresAt: Date | null
  /** What this key calls a model → what it is. */
  readonly aliases: Row
  readonly tags: readonly string[]
  readonly allowedRoutes: readonly string[]
  readonly allowedIps: readonly string[]
  readonly hooks: readonly string[]
  readonly rotations: number
  readonly rotatedAt: Date | null
  readonly lastUsedAt: Date | null
}

type Secret = 'hash' | 'previousHash' | 'previousUntil' | 'litellmHash' | 'litellmUntil'
type Kept = 'rotations' | 'rotatedAt' | 'lastUsedAt'

/** Either `hash` or `litellmHash` has to be there. */
export type NewKey = Omit<Fresh<KeyRecord, 'id' | 'name'>, Kept>
export type KeyPatch = Omit<Patch<KeyRecord>, Secret | Kept>

export const KEYS: Shape<KeyRecord> = {
  table: 'keys',
  kind: 'key',
  columns: {
    ...ENTITY_COLUMNS,
    name: 'name',
    hash: 'hash',
    previousHash: 'previous_hash',
    previousUntil: 'previous_until',
    litellmHash: 'litellm_hash',
    litellmUntil: 'litellm_until',
    userId: 'user_id',
    teamId: 'team_id',
    organizationId: 'organization_id',
    planId: 'plan_id',
    expiresAt: 'expires_at',
    aliases: 'aliases',
    tags: 'tags',
    allowedRoutes: 'allowed_routes',
    allowedIps: 'allowed_ips',
    hooks: 'hooks'
  },
  more: ['rotations', 'rotated_at', 'last_used_at'],
  read: row => ({
    ...readEntity(row),
    name: text(row, 'name'),
    hash: bytesOrNull(row, 'hash'),
    previousHash: bytesOrNull(row, 'previous_hash'),
    previousUntil: timeOrNull(row, 'previous_until'),
    litellmHash: textOrNull(row, 'litellm_hash'),
    litellmUntil: timeOrNull(row, 'litellm_until'),
    userId: textOrNull(row, 'user_id'),
    teamId: textOrNull(row, 'team_id'),
    organizationId: textOrNull(row, 'organization_id'),
    planId: textOrNull(row, 'plan_id'),
    expiresAt: timeOrNull(row, 'expires_at'),
    aliases: object(row, 'aliases'),
    tags: texts(row, 'tags'),
    allowedRoutes: texts(row, 'allowed_routes'),
    allowedIps: texts(row, 'allowed_ips'),
    hooks: texts(row, 'hooks'),
    rotations: integer(row, 'rotations'),
    rotatedAt: timeOrNull(row, 'rotated_at'),
    lastUsedAt: timeOrNull(row, 'last_used_at')
  })
}

export interface WithKey {
  readonly budgets?: readonly Omit<NewBudget, 'scope'>[] | undefined
  readonly audit?: AuditEntry | undefined
}

/** With its budgets and the note about it in one statement: four of them would take four times as long on the embedded database. */
export async function createKey(
  queries: Queries,
  fields: NewKey,
  by: string | null,
  { budgets = [], audit }: WithKey = {}
): Promise<KeyRecord | Failure> {
  const wrong = wrongWindow(budgets)
  if (wrong !== undefined) return wrong
  const { text, parameters } = insertion(KEYS, fields, by)
  const parts = [`made as (${text})`]
  if (budgets.length > 0) {
    parameters.push(budgets.map(budget => ({ ...budget, scope: { kind: 'key', id: fields.id } })))
    parts.push(`limited as (${NEW_BUDGETS(`$${parameters.length}`)})`)
  }
  if (audit !== undefined) {
    parameters.push(auditParameter(audit))
    parts.push(`noted as (${AUDIT_COLUMNS(`$${parameters.length}`)})`)
  }
  return the(
    KEYS,
    await queries.query(`with ${parts.join(', ')} select ${selected(KEYS)} from made`, parameters),
    fields.id
  )
}

export function keyById(queries: Queries, id: string): Promise<KeyRecord | undefined | Failure> {
  return findEntity(queries, KEYS, id)
}

/** Undefined also when its time is over. */
export async function keyByLitellmHash(queries: Queries, hash: string): Promise<KeyRecord | undefined | Failure> {
  const rows = await queries.query(
    `select ${selected(KEYS)} from sluice.keys
     where litellm_hash = $1 and (litellm_until is null or litellm_until > now())`,
    [hash]
  )
  return first(rows, KEYS.read)
}

export async function keysMadeBy(queries: Queries, maker: string): Promise<readonly KeyRecord[] | Failure> {
  const rows = await queries.query(`select ${selected(KEYS)} from sluice.keys where created_by = $1`, [maker])
  return rows instanceof Failure ? rows : rows.map(KEYS.read)
}

export function updateKey(
  queries: Queries,
  id: string,
  patch: KeyPatch,
  by: string | null
): Promise<KeyRecord | Failure> {
  return updateEntity(queries, KEYS, id, patch, by)
}

export function blockKey(queries: Queries, id: string, by: string | null): Promise<KeyRecord | Failure> {
  return updateEntity(queries, KEYS, id, { blocked: true }, by)
}

export function unblockKey(queries: Queries, id: string, by: string | null): Promise<KeyRecord | Failure> {
  return updateEntity(queries, KEYS, id, { blocked: false }, by)
}

export interface Rotation {
  readonly hash: Uint8Array
  readonly name: string
  /** How long the secret of before stays valid; null: not at all. */
  readonly graceUntil: Date | null
}

export async function rotateKey(
  queries: Queries,
  id: string,
  { hash, name, graceUntil }: Rotation,
  by: string | null
): Promise<KeyRecord | Failure> {
  const rows = await queries.query(
    `update sluice.keys set
       previous_hash = case when $4::timestamptz is null then null else hash end,
       previous_until = case when hash is null then null else $4::timestamptz end,
       litellm_until = case when litellm_hash is null then null else least(litellm_until, coalesce($4::timestamptz, now())) end,
       hash = $2, name = $3, rotations = rotations + 1, rotated_at = now(),
       version = version + 1, updated_at = now(), updated_by = $5
     where id = $1 returning ${selected(KEYS)}, ${telling('key')}`,
    [id, hash, name, graceUntil, by]
  )
  return the(KEYS, rows, id)
}

export function deleteKeys(queries: Queries, ids: readonly string[]): Promise<readonly KeyRecord[] | Failure> {
  return deleteEntities(queries, KEYS, ids)
}

export async function deleteKeysOf(
  queries: Queries,
  owner: 'team_id' | 'user_id',
  owners: readonly string[]
): Promise<Failure | undefined> {
  const rows = await queries.query(
    `select id from sluice.keys where ${owner} in (select jsonb_array_elements_text($1::jsonb))`,
    [owners]
  )
  if (rows instanceof Failure) return rows
  const deleted = await deleteKeys(
    queries,
    rows.map(row => text(row, 'id'))
  )
  return deleted instanceof Failure ? deleted : undefined
}

/** When keys were last used, many at once. Nobody has to hear of it. */
export async function touchKeys(queries: Queries, uses: ReadonlyMap<string, Date>): Promise<Failure | undefined> {
  const rows = await queries.query(
    `update sluice.keys set last_used_at = use.at
     from jsonb_to_recordset($1::jsonb) as use (id text, at timestamptz)
     where keys.id = use.id and (last_used_at is null or last_used_at < use.at)`,
    [[...uses].map(([id, at]) => ({ id, at }))]
  )
  return rows instanceof Failure ? rows : undefined
}
