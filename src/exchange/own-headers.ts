import type { Target } from '../routing/target.ts'
import { inDollars } from '../spend/tariff.ts'
import { addOver } from './headers.ts'

interface Told {
  readonly id: string
  /** Who is asked, and what it calls the model. */
  readonly target: Target | undefined
  readonly model: string
  readonly dropped: readonly string[]
  /** Attempts that went out. */
  readonly sent: number
  readonly generation: number
  readonly overhead: number
  readonly trace: string | undefined
  /** What it cost, where that is known; in nano-dollars. */
  readonly cost: bigint | undefined
  /** How the caller's limits stand, as the client's API tells it. */
  readonly limits: readonly string[]
  /** What hooks say, over ours. */
  readonly more: Readonly<Record<string, string>> | undefined
}

/** The gateway's own headers of an answer, as a flat list. */
export function ownHeaders(told: Told): string[] {
  const { id, target, model, dropped, sent, generation, overhead, trace, cost, limits, more } = told
  const headers = ['x-task-id', id]
  if (target !== undefined) headers.push('x-provider', target.provider, 'x-model', headerSafe(model))
  if (dropped.length > 0) headers.push('x-gateway-dropped', headerSafe(dropped.join(', ').slice(0, 2000)))
  headers.push(
    'x-gateway-attempts',
    String(sent),
    'x-gateway-cache',
    'bypass',
    'x-gateway-config',
    String(generation),
    'x-gateway-overhead-ms',
    overhead.toFixed(2)
  )
  if (cost !== undefined) headers.push('x-gateway-cost', inDollars(cost))
  if (limits.length > 0) headers.push(...limits)
  if (trace !== undefined) headers.push('x-gateway-trace', trace)
  if (more !== undefined) addOver(headers, more)
  return headers
}

/** A model's name goes into a header, and a client may have chosen it. */
function headerSafe(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text)
}
