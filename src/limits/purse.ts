// The money of one window: what is spent of it, what is set aside, and how far it has been told.

import type { BudgetBound } from '../store/bound.ts'
import type { Amount } from './limits.ts'

/** What is spent and set aside since a moment. Budgets that begin together share it: they count the same money. */
export interface Purse {
  readonly until: number
  spent: bigint
  reserved: bigint
  /** The part of `spent` that everybody knows of. */
  known: bigint
  /** By limit: the highest percentage that was told. */
  readonly told: Map<bigint, number>
  /** What was spent before this was looked at: told by somebody else. */
  readonly before: bigint
}

/** Nobody knows when a request that is under way will end. */
export const SOON = 1000

/** Milliseconds until a budget can cover it; 0 when it does. */
export function shortFor(purse: Purse, { limit }: BudgetBound, ask: Amount, now: number, share: number): number {
  const { spent, reserved, until, known } = purse
  // What costs nothing goes on until all is gone.
  if (spent >= limit) return until - now
  // Of what was left when all were last agreed, each gives away its own share and counts what it gave.
  const left =
    share === 1 ? limit - spent : ((limit - known) * BigInt(Math.floor(share * 1e6))) / 1_000_000n - (spent - known)
  if (reserved + ask.cost <= left) return 0
  return ask.cost <= left ? SOON : until - now
}

const LEVELS = [100, 80, 50]

export function levelOf(spent: bigint, limit: bigint): number {
  const percent = percentOf(spent, limit)
  return LEVELS.find(level => percent >= level) ?? 0
}

export function percentOf(spent: bigint, limit: bigint): number {
  return limit <= 0n ? 100 : Number((spent * 10_000n) / limit) / 100
}
