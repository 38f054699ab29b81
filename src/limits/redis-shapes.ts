// What goes into the scripts of Redis and comes out of them.

import type { Bound } from '../store/bound.ts'
import { counterOf, DAY, type Gauge, type Standing, windowOf } from './limits.ts'

/** One hash slot, since a step needs all of its keys at once. */
export const ROOT = 'sluice:{limits}'
export const INSTANCES = `${ROOT}:instances`
/** How long a purse without an end is kept after it was last used: what it held is in the store by then. */
const ENDLESS_KEEP = 60 * DAY

/** A purse and where in the list of bounds it was named. */
export interface PurseKey {
  readonly key: string
  readonly keep: number
}

export interface Shape {
  readonly counters: readonly string[]
  /** By bound, then by budget. */
  readonly purses: readonly (readonly PurseKey[])[]
  readonly keys: readonly string[]
  readonly json: string
}

export function shapeOf(bounds: readonly Bound[], now: number): Shape {
  const counters: string[] = []
  const purses: PurseKey[][] = []
  const keys = [INSTANCES]
  const told: object[] = []
  for (const bound of bounds) {
    const counter = counterOf(bound)
    const key = `${ROOT}:c:${counter}`
    counters.push(key)
    keys.push(key)
    const own: PurseKey[] = []
    const budgets = bound.budgets.map(budget => {
      const { from, until, spent } = windowOf(budget, now)
      const endless = !Number.isFinite(until)
      const keep = endless ? ENDLESS_KEEP : Math.max(1, Math.ceil(until - now)) + DAY
      own.push({ key: `${ROOT}:p:${counter}:${from}`, keep })
      const ends = endless ? ENDLESS_KEEP : Math.max(1, Math.ceil(until - now))
      return { limit: String(budget.limit), spent: String(spent), ends, keep }
    })
    purses.push(own)
    for (const { key: purse } of own) keys.push(purse)
    const { requestsPerMinute: rpm, requestsPerDay: rpd, tokensPerMinute: tpm, parallel } = bound
    told.push({ rpm, rpd, tpm, parallel, budgets })
  }
  return { counters, purses, keys, json: JSON.stringify(told) }
}

export interface Answer {
  readonly admitted: boolean
  /** By Redis' clock. */
  readonly now: number
  readonly instances: number
  /** Which bound did not fit, from 1, by which dimension, and which of its budgets, from 1. */
  readonly bound: number
  readonly dimension: string
  readonly budget: number
  readonly wait: number
  readonly standing: Standing
  /** By bound, then by budget. */
  readonly spent: readonly (readonly bigint[])[]
}

const HEAD = 7

export function readAnswer(answer: unknown, bounds: readonly Bound[]): Answer | undefined {
  if (!Array.isArray(answer) || answer.length < HEAD) return undefined
  const values: readonly string[] = answer.map(String)
  const number = (index: number) => Number(values[index])
  let requests: Gauge | undefined
  let tokens: Gauge | undefined
  const spent: bigint[][] = []
  let at = HEAD
  for (const bound of bounds) {
    if (bound.requestsPerMinute !== undefined)
      requests = tighter(requests, bound.requestsPerMinute, number(at), number(at + 1))
    if (bound.tokensPerMinute !== undefined)
      tokens = tighter(tokens, bound.tokensPerMinute, number(at + 2), number(at + 3))
    at += 4
    spent.push(bound.budgets.map(() => BigInt(values[at++] ?? '0')))
  }
  return {
    admitted: number(0) === 0,
    now: number(1),
    instances: number(2),
    bound: number(3),
    dimension: values[4] ?? '',
    budget: number(5),
    wait: number(6),
    standing: { requests, tokens },
    spent
  }
}

function tighter(one: Gauge | undefined, limit: number, used: number, reset: number): Gauge {
  const remaining = Math.max(0, Math.floor(limit - used + 1e-6))
  return one === undefined || remaining < one.remaining ? { limit, remaining, reset } : one
}
