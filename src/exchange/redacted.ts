import type { GatewayConfig } from '../config/generated/types.ts'

/** Names whose values are secrets wherever they stand; headers may hold one under any name. */
const SECRET = /key|token|secret|password|authorization|cookie|_url$/i
/** Numbers of tokens and the wait for the first one are none. */
const PUBLIC = /_tokens$|^first_token$/
const MASK = '•••'

/** A configuration that may be shown: same shape, no secret. */
export function redacted(config: GatewayConfig): unknown {
  return walk(config, '', false)
}

function walk(value: unknown, name: string, masked: boolean): unknown {
  if (Array.isArray(value)) return value.map(item => walk(item, name, masked))
  if (value !== null && typeof value === 'object') {
    const inside = masked || name === 'headers'
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner, key, inside)]))
  }
  const hidden = masked || (SECRET.test(name) && !PUBLIC.test(name))
  return hidden && typeof value === 'string' && value !== '' ? MASK : value
}
