// Who changed what, read again.

import { Failure } from '../../chat/failure.ts'
import { type AuditRecord, listAudit } from '../../store/audit.ts'
import type { AdminRoute, Asked, Told } from './asked.ts'
import { Fields } from './fields.ts'

async function list(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const filter = {
    kind: fields.word('kind'),
    target: fields.word('object_id'),
    actor: fields.word('changed_by'),
    from: fields.time('start_date'),
    to: fields.time('end_date')
  }
  const limit = fields.whole('page_size', 1, 1_000) ?? 50
  const cursor = fields.word('cursor', 40)
  if (fields.failure !== undefined) return fields.failure
  const page = await listAudit(asked.store, filter, { limit, cursor })
  if (page instanceof Failure) return page
  return { audit_logs: page.items.map(tell), next_cursor: page.next ?? null }
}

function tell({ id, at, actor, action, kind, target, before, after, ip }: AuditRecord): object {
  return {
    id: String(id),
    updated_at: at,
    changed_by: actor,
    action,
    table_name: kind,
    object_id: target,
    before_value: before,
    updated_values: after,
    ip
  }
}

export const AUDIT_ROUTES: readonly AdminRoute[] = [
  { method: 'GET', path: '/audit', summary: 'Who changed what, from what to what, newest first', answer: list }
]
