// Keys that were seen before, remembered without their secrets: found in the same tick, forgotten when the store says that they changed.

import { Failure } from '../chat/failure.ts'
import type { Change } from '../store/changes.ts'
import type { Queries } from '../store/database.ts'
import type { Caller } from './caller.ts'
import { callerOf, type Found } from './lookup.ts'
import { type Digest, fingerprint } from './secret.ts'

export interface DirectoryTimes {
  /** After this it is looked up again beside the request. */
  readonly fresh: number
  /** A database that is away is not asked: what is known goes on for this long. */
  readonly outage: number
  /** How long a key that nobody has is remembered as such. */
  readonly unknown: number
}

const TIMES: DirectoryTimes = { fresh: 60_000, outage: 600_000, unknown: 30_000 }

/** Memory does not grow with the number of keys. */
const MOST_KNOWN = 10_000
const MOST_UNKNOWN = 10_000
/** Strangers who try keys must not fill the database's line. */
const MOST_LOOKUPS = 200

interface Entry {
  readonly fingerprint: string
  found: Found
  /** When the store last said so. */
  confirmedAt: number
  /** Changes may have been missed: the store is asked before it counts again. */
  suspect: boolean
  usedAt: number
  /** Since the last time that somebody had to go. */
  recent: boolean
}

export class Directory {
  readonly #digest: Digest
  readonly #times: DirectoryTimes
  #queries: Queries | undefined
  /** By fingerprint, in the order in which they go. */
  readonly #known = new Map<string, Entry>()
  readonly #byKey = new Map<string, Set<Entry>>()
  #unknown = new Map<string, number>()
  readonly #lookups = new Map<string, Promise<Caller | Failure>>()
  /** Whether the store answered when it was last asked. */
  isReachable = true
  /** Grows with every change: what was read before one is not remembered. */
  #changes = 0

  constructor(digest: Digest, times: DirectoryTimes = TIMES) {
    this.#digest = digest
    this.#times = times
  }

  /** From here on it can look up. */
  use(queries: Queries): void {
    this.#queries = queries
  }

  /** In the same tick when the key is known. The failure says that there is none, or that nobody can tell now. */
  find(credential: string): Caller | Failure | Promise<Caller | Failure> {
    const print = fingerprint(credential)
    const now = Date.now()
    const entry = this.#known.get(print)
    if (entry !== undefined && !entry.suspect && now < entry.found.until) {
      const age = now - entry.confirmedAt
      if (age < this.#times.outage) {
        entry.usedAt = now
        entry.recent = true
        if (age > this.#times.fresh) void this.#lookUp(print, credential)
        return entry.found.caller
      }
    }
    const until = this.#unknown.get(print)
    if (until !== undefined && now < until) return nobody()
    return this.#lookUp(print, credential)
  }

  /** What was told of the store. */
  forget(change: Change | 'all'): void {
    this.#changes++
    this.#unknown = new Map()
    if (change === 'all' || change.kind === 'plan') return this.#suspectAll()
    const { kind, id } = ownerOf(change)
    if (kind === 'key') {
      for (const entry of this.#byKey.get(id) ?? []) this.#drop(entry)
      return
    }
    for (const entry of this.#known.values()) if (concerns(entry.found.caller, kind, id)) this.#drop(entry)
  }

  /** When keys were used since then, by their id. */
  usedSince(since: number): Map<string, Date> {
    const used = new Map<string, Date>()
    for (const { found, usedAt } of this.#known.values()) {
      const before = used.get(found.caller.id)
      if (usedAt > since && (before === undefined || before.getTime() < usedAt))
        used.set(found.caller.id, new Date(usedAt))
    }
    return used
  }

  get size(): number {
    return this.#known.size
  }

  /** One for all who ask for the same key meanwhile. */
  #lookUp(print: string, credential: string): Promise<Caller | Failure> {
    const under = this.#lookups.get(print)
    if (under !== undefined) return under
    if (this.#queries === undefined) return Promise.resolve(unreachable())
    if (this.#lookups.size >= MOST_LOOKUPS) return Promise.resolve(unreachable('Too many keys are looked up at once.'))
    const asked = this.#ask(this.#queries, print, credential).finally(() => this.#lookups.delete(print))
    this.#lookups.set(print, asked)
    return asked
  }

  async #ask(queries: Queries, print: string, credential: string): Promise<Caller | Failure> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const changes = this.#changes
      const at = Date.now()
      const found = await callerOf(queries, credential, this.#digest, at)
      this.isReachable = !(found instanceof Failure)
      if (found instanceof Failure) return this.#without(print, at, found)
      // Something changed while it was read; what was read may be from before.
      if (changes !== this.#changes) {
        if (attempt < 2) continue
        return found?.caller ?? nobody()
      }
      if (found === undefined) {
        this.#forgetPrint(print)
        this.#remember(print, at)
        return nobody()
      }
      this.#keep(print, found, at)
      return found.caller
    }
    return unreachable()
  }

  /** The store cannot say: what it said lately counts, and nothing else does. */
  #without(print: string, at: number, failure: Failure): Caller | Failure {
    const entry = this.#known.get(print)
    if (entry === undefined || failure.kind !== 'unavailable') return asUnavailable(failure)
    return at - entry.confirmedAt < this.#times.outage && at < entry.found.until
      ? entry.found.caller
      : asUnavailable(failure)
  }

  #keep(print: string, found: Found, at: number): void {
    const known = this.#known.get(print)
    if (known !== undefined) {
      known.found = found
      known.confirmedAt = at
      known.suspect = false
      known.usedAt = at
      return
    }
    if (this.#known.size >= MOST_KNOWN) this.#makeRoom()
    const entry = { fingerprint: print, found, confirmedAt: at, suspect: false, usedAt: at, recent: false }
    this.#known.set(print, entry)
    const { id } = found.caller
    this.#byKey.set(id, (this.#byKey.get(id) ?? new Set()).add(entry))
  }

  /** The one that came first goes, unless it was used since the last time it came to that. */
  #makeRoom(): void {
    for (const entry of this.#known.values()) {
      if (!entry.recent) return this.#drop(entry)
      entry.recent = false
      this.#known.delete(entry.fingerprint)
      this.#known.set(entry.fingerprint, entry)
    }
  }

  #remember(print: string, at: number): void {
    const [oldest] = this.#unknown.keys()
    if (this.#unknown.size >= MOST_UNKNOWN && oldest !== undefined) this.#unknown.delete(oldest)
    this.#unknown.set(print, at + this.#times.unknown)
  }

  #suspectAll(): void {
    for (const entry of this.#known.values()) entry.suspect = true
  }

  #forgetPrint(print: string): void {
    const entry = this.#known.get(print)
    if (entry !== undefined) this.#drop(entry)
  }

  #drop(entry: Entry): void {
    this.#known.delete(entry.fingerprint)
    const { id } = entry.found.caller
    const same = this.#byKey.get(id)
    same?.delete(entry)
    if (same?.size === 0) this.#byKey.delete(id)
  }
}

/** Budgets and members are told with what they belong to. */
function ownerOf({ kind, id }: Change): { kind: string; id: string } {
  if (kind !== 'budget' && kind !== 'member') return { kind, id }
  const colon = id.indexOf(':')
  return { kind: id.slice(0, colon), id: id.slice(colon + 1) }
}

function concerns({ teamId, userId, organizationId, tags }: Caller, kind: string, id: string): boolean {
  if (kind === 'team') return teamId === id
  if (kind === 'user') return userId === id
  if (kind === 'organization') return organizationId === id
  if (kind === 'tag') return tags.includes(id)
  // A plan's budget, or something that is not known here yet.
  return kind !== 'customer'
}

export function nobody(): Failure {
  return new Failure('unauthenticated', 'This key is not known here.', {
    code: 'token_not_found_in_db',
    recommendations: ['An administrator lists the keys there are: GET /key/list.']
  })
}

function unreachable(message = 'Keys cannot be looked up at the moment.'): Failure {
  return new Failure('unavailable', message, { retryAfter: 2 })
}

/** What went wrong in the database is no business of somebody who may be nobody. */
function asUnavailable({ details }: Failure): Failure {
  return new Failure('unavailable', 'Keys cannot be looked up at the moment.', {
    retryAfter: details.retryAfter ?? 2,
    cause: details.cause
  })
}
