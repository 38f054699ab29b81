// Who changed what, from what to what. Nothing here is ever changed.

import { Failure } from '../chat/failure.ts'
import { Conditions } from './conditions.ts'
import type { Queries } from './database.ts'
import { limitOf, type Page, type Paged, paged } from './paging.ts'
import { asObject, big, type Row, text, textOrNull, time } from './values.ts'

export interface AuditEntry {
  readonly actor: string
  /** What was done: `create`, `update`, `delete`, `block`, `rotate` … */
  readonly action: string
  readonly kind: string
  readonly target: string
  /** Digests in them are left out. */
  readonly before?: object | null | undefined
  readonly after?: object | null | undefined
  readonly ip?: string | null | undefined
}

export interface AuditRecord {
  readonly id: bigint
  readonly at: Date
  readonly actor: string
  readonly action: string
  readonly kind: string
  readonly target: string
  readonly before: Row | null
  readonly after: Row | null
  readonly ip: string | null
}

/** The statement that appends what stands in a parameter. */
export const AUDIT_COLUMNS = (parameter: string) =>
  `insert into sluice.audit_log (actor, action, kind, target, before, after, ip)
   select * from jsonb_to_record(${parameter}::jsonb)
   as entry (actor text, action text, kind text, target text, before jsonb, after jsonb, ip text)`

/** A digest of a key is no secret that opens anything, but it has no reader here either. */
export function auditParameter({ before, after, ...entry }: AuditEntry): object {
  return { ...entry, before: withoutDigests(before), after: withoutDigests(after) }
}

function withoutDigests(value: object | null | undefined): object | null {
  if (value === null || value === undefined) return null
  return Object.fromEntries(Object.entries(value).filter(([field]) => !/hash/i.test(field)))
}

export async function appendAudit(queries: Queries, entry: AuditEntry): Promise<Failure | undefined> {
  const rows = await queries.query(AUDIT_COLUMNS('$1'), [auditParameter(entry)])
  return rows instanceof Failure ? rows : undefined
}

export interface AuditFilter {
  readonly kind?: string | undefined
  readonly target?: string | undefined
  readonly actor?: string | undefined
  readonly from?: Date | undefined
  readonly to?: Date | undefined
}

/** Newest first. */
export async function listAudit(
  queries: Queries,
  { kind, target, actor, from, to }: AuditFilter,
  page: Page
): Promise<Paged<AuditRecord> | Failure> {
  const conditions = new Conditions()
  conditions.add('kind = ?', kind)
  conditions.add('target = ?', target)
  conditions.add('actor = ?', actor)
  conditions.add('at >= ?', from)
  conditions.add('at < ?', to)
  if (page.cursor !== undefined && !/^\d{1,18}$/.test(page.cursor)) {
    return new Failure('invalid-request', 'This cursor was not given out here.', { field: 'cursor' })
  }
  conditions.add('id < ?::bigint', page.cursor)
  const rows = await queries.query(
    `select id, at, actor, action, kind, target, before, after, ip from sluice.audit_log${conditions.where} order by id desc
     limit ${conditions.parameter(limitOf(page) + 1)} offset ${conditions.parameter(page.offset ?? 0)}`,
    conditions.parameters
  )
  return rows instanceof Failure ? rows : paged(rows.map(readAudit), page, ({ id }) => String(id))
}

function readAudit(row: Row): AuditRecord {
  return {
    id: big(row, 'id'),
    at: time(row, 'at'),
    actor: text(row, 'actor'),
    action: text(row, 'action'),
    kind: text(row, 'kind'),
    target: text(row, 'target'),
    before: row['before'] === null ? null : asObject(row['before']),
    after: row['after'] === null ? null : asObject(row['after']),
    ip: textOrNull(row, 'ip')
  }
}
