// End users that requests name: what the store says of them binds a request beside what binds its caller. A client says who its end
// user is, so nothing here keeps anybody out, and nothing here stops those of whom nothing is known.

import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../chat/failure.ts'
import type { Change } from '../store/changes.ts'
import type { Queries } from '../store/database.ts'
import { listEntities } from '../store/entity.ts'
import { CUSTOMERS } from '../store/scopes.ts'
import { storable } from '../store/values.ts'
import type { Caller } from './caller.ts'
import { boundBy, type Customer, customerNamed } from './customer.ts'

export interface CustomerTimes {
  /** After this it is looked up again beside the request. */
  readonly fresh: number
  /** How long a name that nobody declared is remembered as such. */
  readonly unknown: number
  /** How long a database that gave no answer is not asked again. */
  readonly away: number
  /** How long a request waits for what it may go without. */
  readonly patience: number
}

const TIMES: CustomerTimes = { fresh: 60_000, unknown: 60_000, away: 1_000, patience: 2_000 }

/** Memory does not grow with the number of customers, nor with the names that clients make up. */
const MOST_KNOWN = 10_000
const MOST_UNKNOWN = 10_000
const MOST_LOOKUPS = 100

interface Entry {
  customer: Customer
  confirmedAt: number
  /** It may have changed: the store is asked before it counts again. */
  suspect: boolean
}

type Found = Customer | undefined

export class Customers {
  readonly #times: CustomerTimes
  #queries: Queries | undefined
  /** False: none is declared, so nobody is looked for. */
  #some = false
  /** Those that were confirmed last stand last. */
  readonly #known = new Map<string, Entry>()
  readonly #unknown = new Map<string, number>()
  readonly #lookups = new Map<string, Promise<Found>>()
  #counting = false
  #awayUntil = 0
  /** Grows with every change: what was read before one is not remembered. */
  #changes = 0

  constructor(times: CustomerTimes = TIMES) {
    this.#times = times
  }

  /** From here on it can look up. */
  use(queries: Queries): void {
    this.#queries = queries
    this.#count(queries)
  }

  /** The caller with what binds its end user too; in the same tick when that is known. The failure says that the end user is blocked. */
  bind(caller: Caller, name: string): Caller | Failure | Promise<Caller | Failure> {
    if (!this.#some || this.#queries === undefined) return caller
    const found = this.#find(this.#queries, name)
    return found instanceof Promise ? found.then(later => boundBy(caller, later)) : boundBy(caller, found)
  }

  /** What was told of the store. */
  forget(change: Change | 'all'): void {
    const id = customerOf(change)
    if (id === undefined) return
    this.#changes++
    if (id === 'all') {
      this.#unknown.clear()
      for (const entry of this.#known.values()) entry.suspect = true
    } else {
      this.#unknown.delete(id.name)
      const entry = this.#known.get(id.name)
      if (entry !== undefined) entry.suspect = true
    }
    if (this.#queries !== undefined) this.#count(this.#queries)
  }

  /** How many are remembered, those who are none among them. */
  get size(): number {
    return this.#known.size + this.#unknown.size
  }

  #find(queries: Queries, name: string): Found | Promise<Found> {
    const now = Date.now()
    const entry = this.#known.get(name)
    const isAway = now < this.#awayUntil
    if (entry !== undefined && (!entry.suspect || isAway)) {
      if (!isAway && now - entry.confirmedAt > this.#times.fresh) void this.#lookUp(queries, name)
      return entry.customer
    }
    if (entry === undefined && (isAway || now < (this.#unknown.get(name) ?? 0))) return undefined
    return this.#lookUp(queries, name)
  }

  /** One for all who ask for the same name meanwhile. */
  #lookUp(queries: Queries, name: string): Found | Promise<Found> {
    const under = this.#lookups.get(name)
    if (under !== undefined) return under
    // Such a name is nobody's: the store takes none like it.
    if (this.#lookups.size >= MOST_LOOKUPS || storable(name) !== name) return this.#known.get(name)?.customer
    const answered = new AbortController()
    const asked = this.#ask(queries, name).finally(() => {
      this.#lookups.delete(name)
      answered.abort()
    })
    const late = wait(this.#times.patience, undefined, { signal: answered.signal }).then(
      () => this.#goOn(name),
      () => asked
    )
    const first = Promise.race([asked, late])
    this.#lookups.set(name, first)
    return first
  }

  /** Without an answer: what was known counts, and the database is let alone for a while. */
  #goOn(name: string): Found {
    this.#awayUntil = Date.now() + this.#times.away
    return this.#known.get(name)?.customer
  }

  async #ask(queries: Queries, name: string): Promise<Found> {
    let found: Found | Failure
    for (let attempt = 0; attempt < 3; attempt++) {
      const changes = this.#changes
      const at = Date.now()
      found = await customerNamed(queries, name, at)
      if (found instanceof Failure) return this.#goOn(name)
      // Something changed while it was read; what was read may be from before.
      if (changes !== this.#changes) continue
      this.#keep(name, found, at)
      return found
    }
    return found instanceof Failure ? undefined : found
  }

  #keep(name: string, customer: Found, at: number): void {
    this.#known.delete(name)
    this.#unknown.delete(name)
    if (customer === undefined) {
      if (this.#unknown.size >= MOST_UNKNOWN) dropFirst(this.#unknown)
      this.#unknown.set(name, at + this.#times.unknown)
      return
    }
    if (this.#known.size >= MOST_KNOWN) dropFirst(this.#known)
    this.#known.set(name, { customer, confirmedAt: at, suspect: false })
  }

  /** Until the store has said that there are none, there may be some. */
  #count(queries: Queries): void {
    this.#some = true
    if (this.#counting) return
    this.#counting = true
    void this.#countNow(queries).finally(() => {
      this.#counting = false
    })
  }

  async #countNow(queries: Queries): Promise<void> {
    for (let changes = -1; changes !== this.#changes; ) {
      changes = this.#changes
      const listed = await listEntities(queries, CUSTOMERS, {}, { limit: 1 })
      if (listed instanceof Failure) return
      if (changes === this.#changes) this.#some = listed.items.length > 0
    }
  }
}

/** Whom a change concerns here: one, anybody, or nobody. */
function customerOf(change: Change | 'all'): { readonly name: string } | 'all' | undefined {
  if (change === 'all' || change.kind === 'plan') return 'all'
  const { kind, id } = change
  if (kind === 'customer') return { name: id }
  if (kind !== 'budget') return undefined
  if (id.startsWith('plan:')) return 'all'
  return id.startsWith('customer:') ? { name: id.slice('customer:'.length) } : undefined
}

function dropFirst(map: Map<string, unknown>): void {
  const [first] = map.keys()
  if (first !== undefined) map.delete(first)
}
