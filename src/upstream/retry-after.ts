// When an upstream says it may be asked again: six families of headers, none of which all of them send.

import type { WireHeaders } from '../lib/wire.ts'

/** Said outright, in seconds or milliseconds; the most exact first. */
const OUTRIGHT: readonly (readonly [name: string, milliseconds: number])[] = [
  ['retry-after-ms', 1],
  ['x-ms-retry-after-ms', 1],
  ['retry-after', 1000],
  ['x-ratelimit-retry-after', 1000]
]

/** `x-ratelimit-reset-tokens`, `anthropic-ratelimit-requests-reset`, `ratelimit-reset`, each beside what is left. */
const RESET = /^(?:(?:x-)?ratelimit-reset(?:-[a-z-]+)?|anthropic-ratelimit-[a-z-]+-reset)$/

/** Seconds, or undefined when nothing usable is said. `now`: milliseconds since 1970. */
export function retryAfterOf(headers: WireHeaders, now: number): number | undefined {
  for (const [name, unit] of OUTRIGHT) {
    const value = headers[name]
    if (typeof value !== 'string') continue
    const seconds = /^\d+(\.\d+)?$/.test(value.trim()) ? (Number(value) * unit) / 1000 : untilDate(value, now)
    if (seconds !== undefined) return seconds
  }
  let exhausted: number | undefined
  let unknown: number | undefined
  for (const name in headers) {
    const value = headers[name]
    if (typeof value !== 'string' || !RESET.test(name)) continue
    const seconds = untilReset(value, now)
    if (seconds === undefined) continue
    const left = headers[name.replace('reset', 'remaining')]
    // Of several limits only those that are used up count, and the last of them to end.
    if (left === undefined) unknown = Math.min(unknown ?? seconds, seconds)
    else if (Number(left) <= 0) exhausted = Math.max(exhausted ?? 0, seconds)
  }
  return exhausted ?? unknown
}

/** A number of seconds, a moment since 1970 in seconds or milliseconds, a date, or `6m0s`. */
function untilReset(text: string, now: number): number | undefined {
  const value = text.trim()
  if (/^\d+(\.\d+)?$/.test(value)) {
    const number = Number(value)
    if (number > 1e12) return Math.max(0, (number - now) / 1000)
    return number > 1e9 ? Math.max(0, number - now / 1000) : number
  }
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)]
  if (parts.length > 0 && parts.map(part => part[0]).join('') === value) {
    return parts.reduce((sum, [, amount, unit = 's']) => sum + Number(amount) * (SECONDS[unit] ?? 0), 0)
  }
  return untilDate(value, now)
}

const SECONDS: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 }

function untilDate(text: string, now: number): number | undefined {
  const at = /[a-z]|-\d\d-/i.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, (at - now) / 1000)
}
