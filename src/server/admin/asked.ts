import { Failure } from '../../chat/failure.ts'
import type { Gateway } from '../../exchange/gateway.ts'
import type { Caller } from '../../keys/caller.ts'
import type { Keyring } from '../../keys/keyring.ts'
import { type AuditEntry, appendAudit } from '../../store/audit.ts'
import type { Queries } from '../../store/database.ts'
import type { Store } from '../../store/store.ts'
import type { Row } from '../../store/values.ts'

/** Whoever made a key, when it was the file. */
export const THE_FILE = 'gateway.yaml'

/** What an administrator asks, and what it is done with. */
export interface Asked {
  readonly gateway: Gateway
  readonly keyring: Keyring
  readonly store: Store
  readonly caller: Caller
  /** What was sent: in the path, the body and the query, in this order of weight. */
  readonly sent: Row
  /** Values of a query are texts. */
  readonly isQuery: boolean
  readonly at: Date
  /** For the audit log. */
  readonly by: string
  readonly ip: string | undefined
}

export type Told = object | Failure

export interface AdminRoute {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly summary: string
  /** Whoever has a key may ask about it; all else is the administrator's. */
  readonly own?: boolean
  answer(asked: Asked): Promise<Told> | Told
}

type Note = Pick<AuditEntry, 'action' | 'kind' | 'target' | 'before' | 'after'>

export function noted({ by, ip }: Asked, note: Note): AuditEntry {
  return { ...note, actor: by, ip }
}

export function noteOf(actor: string, note: Note): AuditEntry {
  return { ...note, actor }
}

type Run<Result> = (queries: Queries) => Promise<{ readonly result: Result; readonly note: AuditEntry } | Failure>

/** Does it and writes down that it was done, or neither. */
export function withNotes<Result>(store: Store, run: Run<Result>): Promise<Result | Failure> {
  return store.transaction(async queries => {
    const done = await run(queries)
    if (done instanceof Failure) return done
    const failure = await appendAudit(queries, done.note)
    return failure ?? done.result
  })
}

export function withNote<Result>({ store }: Asked, run: Run<Result>): Promise<Result | Failure> {
  return withNotes(store, run)
}

export function missing(kind: string, id: string, field: string): Failure {
  return new Failure('not-found', `There is no ${kind} \`${id.slice(0, 100)}\`.`, { field })
}

/** Page and size, as LiteLLM counts them: from one. */
export interface Numbered {
  readonly page: number
  readonly size: number
}

export function pageOf({ page, size }: Numbered): { limit: number; offset: number } {
  return { limit: size, offset: (page - 1) * size }
}

export function pagesOf(total: number, { size }: Numbered): number {
  return Math.ceil(total / size)
}
