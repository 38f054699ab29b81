// Limits of one process. A reservation is one synchronous step, so nothing can come between looking and taking.

import type { Bound, BudgetBound } from '../store/bound.ts'
import {
  type Amount,
  counterOf,
  DAY,
  type Dimension,
  type Gauge,
  type Hit,
  type Limits,
  MINUTE,
  type OnAlert,
  type OnDecision,
  type Refused,
  type Remaining,
  type Reservation,
  type Standing,
  windowOf
} from './limits.ts'
import { levelOf, type Purse, percentOf, SOON, shortFor } from './purse.ts'
import { refusal } from './refusal.ts'
import { Window } from './window.ts'

/** All that is counted for one scope, or for one model of it. */
class Counter {
  readonly minute = new Window(MINUTE)
  readonly day = new Window(DAY)
  readonly tokens = new Window(MINUTE)
  parallel = 0
  /** By the moment they begin. */
  readonly purses = new Map<number, Purse>()
  usedAt = 0

  purse(budget: BudgetBound, now: number): Purse {
    const { from, until, spent } = windowOf(budget, now)
    const purse = this.purses.get(from)
    if (purse !== undefined) {
      // What the store knows came from here or from another gateway: it can only be behind, or know more.
      if (spent > purse.spent) {
        purse.known += spent - purse.spent
        purse.spent = spent
      }
      return purse
    }
    for (const [since, old] of this.purses) if (old.until <= now && old.reserved === 0n) this.purses.delete(since)
    const fresh = { until, spent, reserved: 0n, known: spent, told: new Map(), before: spent }
    this.purses.set(from, fresh)
    return fresh
  }
}

/** What counts for nobody any more is looked for each time that so many counters were made. */
const SWEEP_EVERY = 1000
const IDLE_MS = 2 * DAY
/** Metrics name no person. */
const PRIVATE: ReadonlySet<string> = new Set(['key', 'user', 'customer'])
/** So many are shown to whoever scrapes. */
const MOST_TOLD = 300

export class MemoryLimits implements Limits {
  readonly #counters = new Map<string, Counter>()
  readonly #clock: () => number
  readonly #onDecision: OnDecision
  readonly #onAlert: OnAlert
  #sweepAt = SWEEP_EVERY

  constructor(
    clock: () => number = Date.now,
    onDecision: OnDecision = () => undefined,
    onAlert: OnAlert = () => undefined
  ) {
    this.#clock = clock
    this.#onDecision = onDecision
    this.#onAlert = onAlert
  }

  /** `share`: the part of each limit that may be given away here, where others give away the rest. */
  reserve(bounds: readonly Bound[], ask: Amount, share = 1): Reservation | Refused {
    const now = this.#clock()
    let hit: Hit | undefined
    for (const bound of bounds) hit = later(hit, this.#check(bound, ask, now, share))
    if (hit !== undefined) {
      this.#onDecision(hit.bound.scope, hit.dimension, 'refused')
      return { failure: refusal(hit), standing: this.#standing(bounds, now, share) }
    }
    this.#onDecision('all', 'all', 'admitted')
    return this.take(bounds, ask, share)
  }

  /** Without asking whether it fits: somebody else has said so. */
  take(bounds: readonly Bound[], ask: Amount, share = 1): Reservation {
    const now = this.#clock()
    const counters = bounds.map(bound => this.#counter(bound))
    const purses: Purse[] = []
    for (const [index, bound] of bounds.entries()) {
      const counter = counters[index]
      if (counter === undefined) continue
      counter.usedAt = now
      if (bound.parallel !== undefined) counter.parallel++
      if (bound.requestsPerMinute !== undefined) counter.minute.add(1, now)
      if (bound.requestsPerDay !== undefined) counter.day.add(1, now)
      if (bound.tokensPerMinute !== undefined) counter.tokens.add(ask.tokens, now)
      for (const budget of bound.budgets) {
        const purse = counter.purse(budget, now)
        if (!purses.includes(purse)) purses.push(purse)
      }
    }
    for (const purse of purses) purse.reserved += ask.cost
    const standing = this.#standing(bounds, now, share)
    return new Taken(bounds, ask, now, counters, purses, standing, this.#clock, (...charged) => this.#alert(...charged))
  }

  /** What all gateways have counted. What is over here and has not reached them yet is more. */
  learn(bound: Bound, budget: BudgetBound, spent: bigint): void {
    const purse = this.#counter(bound).purse(budget, this.#clock())
    if (spent > purse.spent) purse.spent = spent
    purse.known = spent
    this.#alert(bound, budget, purse)
  }

  /** What is left of the tightest budget of each, in shares of 1. */
  remaining(): readonly Remaining[] {
    const now = this.#clock()
    const found: Remaining[] = []
    for (const [name, { purses }] of this.#counters) {
      const [scope = '', id = ''] = name.split(':')
      if (PRIVATE.has(scope) || found.length >= MOST_TOLD) continue
      let ratio = 2
      for (const { until, spent, told } of purses.values())
        for (const limit of told.keys()) if (until > now) ratio = Math.min(ratio, 1 - percentOf(spent, limit) / 100)
      if (ratio <= 1) found.push({ scope, id, ratio: Math.max(0, ratio) })
    }
    return found
  }

  forget(scope: string, id: string): void {
    const own = `${scope}:${id}:`
    for (const [name, { purses }] of this.#counters) {
      if (!name.startsWith(own)) continue
      for (const purse of purses.values()) {
        purse.spent = purse.known = 0n
        purse.told.clear()
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #alert(bound: Bound, budget: BudgetBound, { spent, told, before }: Purse): void {
    const { limit } = budget
    const known = told.get(limit) ?? levelOf(before, limit)
    const level = levelOf(spent, limit)
    if (known !== level || !told.has(limit)) told.set(limit, Math.max(known, level))
    if (level > known) this.#onAlert({ bound, budget, spent, percent: level })
  }

  #check(bound: Bound, ask: Amount, now: number, share: number): Hit | undefined {
    const counter = this.#counters.get(counterOf(bound))
    const { requestsPerMinute, requestsPerDay, tokensPerMinute, parallel } = bound
    let hit: Hit | undefined
    const meet = (dimension: Dimension, wait: number, budget?: BudgetBound) => {
      if (wait > 0) hit = later(hit, { bound, dimension, wait, ...(budget !== undefined && { budget }) })
    }
    const over = (dimension: Dimension, limit: number | undefined, amount: number, window: Window | undefined) => {
      if (limit !== undefined) meet(dimension, limit <= 0 ? DAY : (window?.wait(amount, part(limit, share), now) ?? 0))
    }
    over('requests_per_minute', requestsPerMinute, 1, counter?.minute)
    over('requests_per_day', requestsPerDay, 1, counter?.day)
    over('tokens_per_minute', tokensPerMinute, ask.tokens, counter?.tokens)
    if (parallel !== undefined && (counter?.parallel ?? 0) >= part(parallel, share))
      meet('parallel', parallel <= 0 ? DAY : SOON)
    if (bound.budgets.length === 0) return hit
    const own = counter ?? this.#counter(bound)
    for (const budget of bound.budgets)
      meet('budget', shortFor(own.purse(budget, now), budget, ask, now, share), budget)
    return hit
  }

  #standing(bounds: readonly Bound[], now: number, share: number): Standing {
    let requests: Gauge | undefined
    let tokens: Gauge | undefined
    for (const bound of bounds) {
      if (bound.requestsPerMinute === undefined && bound.tokensPerMinute === undefined) continue
      const { minute, tokens: used } = this.#counter(bound)
      if (bound.requestsPerMinute !== undefined)
        requests = tighter(requests, gauge(minute, part(bound.requestsPerMinute, share), now))
      if (bound.tokensPerMinute !== undefined)
        tokens = tighter(tokens, gauge(used, part(bound.tokensPerMinute, share), now))
    }
    return { requests, tokens }
  }

  #counter(bound: Bound): Counter {
    const name = counterOf(bound)
    let counter = this.#counters.get(name)
    if (counter === undefined) {
      if (this.#counters.size >= this.#sweepAt) this.#sweep()
      counter = new Counter()
      counter.usedAt = this.#clock()
      this.#counters.set(name, counter)
    }
    return counter
  }

  #sweep(): void {
    const before = this.#clock() - IDLE_MS
    for (const [name, { parallel, usedAt }] of this.#counters)
      if (parallel === 0 && usedAt < before) this.#counters.delete(name)
    this.#sweepAt = Math.max(SWEEP_EVERY, 2 * this.#counters.size)
  }
}

type OnCharge = (bound: Bound, budget: BudgetBound, purse: Purse) => void

class Taken implements Reservation {
  readonly standing: Standing
  readonly #bounds: readonly Bound[]
  readonly #ask: Amount
  readonly #at: number
  readonly #counters: readonly Counter[]
  readonly #purses: readonly Purse[]
  readonly #clock: () => number
  readonly #onCharge: OnCharge
  #settled = false

  constructor(
    bounds: readonly Bound[],
    ask: Amount,
    at: number,
    counters: readonly Counter[],
    purses: readonly Purse[],
    standing: Standing,
    clock: () => number,
    onCharge: OnCharge
  ) {
    this.#bounds = bounds
    this.#ask = ask
    this.#at = at
    this.#counters = counters
    this.#purses = purses
    this.standing = standing
    this.#clock = clock
    this.#onCharge = onCharge
  }

  settle(used: Amount): void {
    if (this.#settled) return
    this.#settled = true
    const now = this.#clock()
    const difference = used.tokens - this.#ask.tokens
    for (const [index, counter] of this.#counters.entries()) {
      counter.usedAt = now
      if (this.#bounds[index]?.parallel !== undefined) counter.parallel--
      if (this.#bounds[index]?.tokensPerMinute !== undefined) counter.tokens.correct(difference, this.#at, now)
    }
    for (const purse of this.#purses) purse.reserved -= this.#ask.cost
    if (used.cost === 0n) return
    // Money counts in the window in which it was known, as the store counts it.
    const charged = new Set<Purse>()
    for (const [index, bound] of this.#bounds.entries()) {
      for (const budget of bound.budgets) {
        const purse = this.#counters[index]?.purse(budget, now)
        if (purse === undefined) continue
        if (!charged.has(purse)) purse.spent += used.cost
        charged.add(purse)
        this.#onCharge(bound, budget, purse)
      }
    }
  }
}

function gauge(window: Window, limit: number, now: number): Gauge {
  const remaining = Math.max(0, Math.floor(limit - window.used(now) + 1e-9))
  return { limit, remaining, reset: window.reset(now) }
}

function tighter(one: Gauge | undefined, other: Gauge): Gauge {
  return one === undefined || other.remaining < one.remaining ? other : one
}

/** The one that lasts longer: before it is over, coming back helps nobody. */
function later(one: Hit | undefined, other: Hit | undefined): Hit | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return other.wait > one.wait ? other : one
}

function part(limit: number, share: number): number {
  return share === 1 ? limit : Math.ceil(limit * share)
}
