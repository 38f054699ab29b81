// How limits are told to clients: each API has its own names and forms for the same numbers.

import type { DialectName } from '../dialects/dialect.ts'
import type { Gauge, Standing } from './limits.ts'

/** As a flat list. Gemini's clients know of no such headers and are told in OpenAI's. */
export function limitHeaders(standing: Standing, dialect: DialectName, now: number): string[] {
  const headers: string[] = []
  const { requests, tokens } = standing
  if (requests !== undefined) tell(headers, 'requests', requests, dialect, now)
  if (tokens !== undefined) tell(headers, 'tokens', tokens, dialect, now)
  return headers
}

function tell(headers: string[], what: string, gauge: Gauge, dialect: DialectName, now: number): void {
  const { limit, remaining, reset } = gauge
  if (dialect === 'anthropic') {
    const name = `anthropic-ratelimit-${what}`
    const at = `${new Date(now + reset).toISOString().slice(0, 19)}Z`
    headers.push(`${name}-limit`, `${limit}`, `${name}-remaining`, `${remaining}`, `${name}-reset`, at)
    return
  }
  headers.push(
    `x-ratelimit-limit-${what}`,
    `${limit}`,
    `x-ratelimit-remaining-${what}`,
    `${remaining}`,
    `x-ratelimit-reset-${what}`,
    spelled(reset)
  )
}

/** `1m3.2s`, `250ms`: as OpenAI writes it. */
function spelled(milliseconds: number): string {
  const whole = Math.ceil(milliseconds)
  if (whole < 1000) return `${whole}ms`
  const minutes = Math.floor(whole / 60_000)
  const seconds = (whole % 60_000) / 1000
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`
}
