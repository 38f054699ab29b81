// What tokens cost, in whole numbers: nano-dollars for a million tokens, so that no amount is ever rounded twice.

import type { Usage } from '../chat/usage.ts'

/** The price of one kind of token: long prompts may cost more a token. */
export interface Rate {
  /** Nano-dollars a million tokens. */
  readonly base: bigint
  /** In order: prompts of more tokens than `above` are charged this throughout. */
  readonly steps: readonly { readonly above: number; readonly price: bigint }[]
}

export interface Tariff {
  readonly input: Rate
  readonly output: Rate
  readonly cacheRead: Rate
  readonly cacheWrite: Rate
  /** Nobody knows the price, and the operator says what to take for it. */
  readonly assumed: boolean
}

const MILLION = 1_000_000n

/** Nano-dollars of a call, rounded once and up: what is owed is never less. */
export function costOf(tariff: Tariff, usage: Pick<Usage, 'input' | 'output' | 'cacheRead' | 'cacheWrite'>): bigint {
  if (tariff === FREE) return 0n
  const input = whole(usage.input)
  const read = Math.min(whole(usage.cacheRead), input)
  const written = Math.min(whole(usage.cacheWrite), input - read)
  const sum =
    of(tariff.input, input, input - read - written) +
    of(tariff.cacheRead, input, read) +
    of(tariff.cacheWrite, input, written) +
    of(tariff.output, input, whole(usage.output))
  return (sum + MILLION - 1n) / MILLION
}

function of(rate: Rate, prompt: number, tokens: number): bigint {
  if (tokens === 0) return 0n
  let { base: price } = rate
  for (const step of rate.steps) if (prompt > step.above) price = step.price
  return price * BigInt(tokens)
}

/** An upstream's numbers are its own: what is no count is none. */
function whole(tokens: number): number {
  return Number.isFinite(tokens) && tokens > 0 ? Math.round(tokens) : 0
}

/** From USD a million tokens, as price lists say it. */
export function rate(dollars: number, steps: readonly { readonly start: number; readonly price: number }[] = []): Rate {
  return { base: nano(dollars), steps: steps.map(step => ({ above: step.start, price: nano(step.price) })) }
}

function nano(dollars: number): bigint {
  return BigInt(Math.round(dollars * 1e9))
}

const NOTHING = rate(0)

/** The operator's own machine. */
export const FREE: Tariff = {
  input: NOTHING,
  output: NOTHING,
  cacheRead: NOTHING,
  cacheWrite: NOTHING,
  assumed: false
}

export function dollars(nanoDollars: bigint): number {
  return Number(nanoDollars) / 1e9
}

/** Without exponents: `0.000012`. */
export function inDollars(nanoDollars: bigint): string {
  const digits = String(nanoDollars).padStart(10, '0')
  const fraction = digits.slice(-9).replace(/0+$/, '')
  const whole = digits.slice(0, -9)
  return fraction === '' ? whole : `${whole}.${fraction}`
}
