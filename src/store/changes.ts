// Who has to forget what: every change is told to every gateway in the statement that makes it, so it is told when it holds and not before.

import type { Database } from './database.ts'

const CHANNEL = 'sluice_keys'

export type ChangedKind = 'key' | 'team' | 'user' | 'organization' | 'customer' | 'tag' | 'plan' | 'budget' | 'member'

const KINDS: Readonly<Record<ChangedKind, true>> = {
  key: true,
  team: true,
  user: true,
  organization: true,
  customer: true,
  tag: true,
  plan: true,
  budget: true,
  member: true
}

export interface Change {
  readonly kind: ChangedKind
  /** Of a budget or a member, `<kind>:<id>` of what it belongs to. */
  readonly id: string
}

/** SQL that tells a change of the row that a `returning` clause stands on. */
export function telling(kind: ChangedKind, id = 'id'): string {
  return `pg_notify('${CHANNEL}', left('${kind}:' || ${id}, 7999)) as told`
}

/** `all`: some may have been missed, so nothing that is remembered can be relied on. */
export function onChange(database: Database, listener: (change: Change | 'all') => void): Promise<() => void> {
  return database.listen(CHANNEL, payload => {
    const colon = payload?.indexOf(':') ?? -1
    const kind = payload?.slice(0, colon)
    // A newer gateway may tell of kinds that are new.
    if (payload === undefined || !isKind(kind)) listener('all')
    else listener({ kind, id: payload.slice(colon + 1) })
  })
}

function isKind(kind: string | undefined): kind is ChangedKind {
  return kind !== undefined && Object.hasOwn(KINDS, kind)
}
