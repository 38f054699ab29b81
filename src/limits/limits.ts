import type { Failure } from '../chat/failure.ts'
import type { Bound, BudgetBound } from '../store/bound.ts'

/** What a request may take at most, or what it took. Money in nano-dollars. */
export interface Amount {
  readonly tokens: number
  readonly cost: bigint
}

/** How one limit stands. */
export interface Gauge {
  readonly limit: number
  readonly remaining: number
  /** Milliseconds until all of it is there again, if nothing more is used. */
  readonly reset: number
}

/** The tightest limits of a minute, for those who ask how far they may go. */
export interface Standing {
  readonly requests: Gauge | undefined
  readonly tokens: Gauge | undefined
}

/** What has been set aside for one request. Settled once, on every path. */
export interface Reservation {
  readonly standing: Standing
  /** Puts the truth in the place of the estimate; nothing at all where the request came to nothing. */
  settle(used: Amount): void
}

export interface Refused {
  readonly failure: Failure
  readonly standing: Standing
}

/** Counts what callers use. All bounds of a request are looked at and taken in one step, or none is. */
export interface Limits {
  reserve(bounds: readonly Bound[], ask: Amount): Reservation | Refused | Promise<Reservation | Refused>
  /** What a scope has spent is as the store says from now on: somebody has set it back. */
  forget(scope: string, id: string): void
  remaining(): readonly Remaining[]
  /** Whether Redis answers, as of the last that was heard of it. Absent: they are counted without one. */
  readonly redis?: 'healthy' | 'unreachable'
  close(): Promise<void>
}

export const DIMENSIONS = [
  'requests_per_minute',
  'requests_per_day',
  'tokens_per_minute',
  'parallel',
  'budget'
] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** A limit that a request does not fit under now. */
export interface Hit {
  readonly bound: Bound
  readonly dimension: Dimension
  readonly budget?: BudgetBound
  /** Milliseconds until it would fit, if nothing more is used. */
  readonly wait: number
}

/** Told of each decision, for counting. */
export type OnDecision = (scope: string, dimension: string, decision: 'admitted' | 'refused') => void

/** A budget is half gone, nearly gone, or gone. */
export interface Alert {
  readonly bound: Bound
  readonly budget: BudgetBound
  readonly spent: bigint
  readonly percent: number
}

export type OnAlert = (alert: Alert) => void

export interface Remaining {
  readonly scope: string
  readonly id: string
  readonly ratio: number
}

export const MINUTE = 60_000
export const DAY = 86_400_000

/** One for each that is counted apart. */
export function counterOf({ scope, id, model = '' }: Bound): string {
  return `${scope}:${id}:${model}`
}

/** The window of a budget that `now` lies in. A caller may have been looked up before the last one ended. */
export function windowOf(budget: BudgetBound, now: number): Pick<BudgetBound, 'from' | 'until' | 'spent'> {
  const { from, until, spent } = budget
  if (now < until) return { from, until, spent }
  const length = until - from
  const passed = Math.floor((now - from) / length) * length
  return { from: from + passed, until: from + passed + length, spent: 0n }
}
