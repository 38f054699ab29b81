import { isIP, isIPv6 } from 'node:net'
import { type CheckContext, errorAtValue } from './context.ts'

/** Keys that are declared can be told apart, and somebody looks at them. */
export function checkKeys(context: CheckContext): void {
  const { auth, keys } = context.config
  if (keys.length === 0) return
  if (auth === 'none' || !auth.master_key) {
    const hint = auth === 'none' ? '`auth: none` lets anybody in' : 'set auth.master_key'
    errorAtValue(context, ['keys'], 'nobody is asked for a key here', hint)
  }
  for (const field of ['alias', 'hash'] as const) {
    const seen = new Set<string>()
    for (const [index, { [field]: value }] of keys.entries()) {
      if (seen.has(value)) errorAtValue(context, ['keys', index, field], 'is another key’s already')
      seen.add(value)
    }
  }
  for (const [index, { expires, allowed_ips: ranges = [] }] of keys.entries()) {
    if (expires !== undefined && Number.isNaN(Date.parse(expires)))
      errorAtValue(context, ['keys', index, 'expires'], 'is no time', 'for example 2027-01-31 or 2027-01-31T12:00:00Z')
    for (const [place, range] of ranges.entries())
      if (!isRange(range))
        errorAtValue(context, ['keys', index, 'allowed_ips', place], 'is neither an address nor a range', '10.0.0.0/8')
  }
}

function isRange(range: string): boolean {
  const [address = '', bits, ...more] = range.split('/')
  if (isIP(address) === 0 || address.includes('%') || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv6(address) ? 128 : 32))
}
