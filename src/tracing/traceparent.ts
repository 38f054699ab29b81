// The W3C's header that says to whose trace a request belongs.

export interface Parent {
  readonly traceId: string
  readonly spanId: string
  /** Whoever began the trace keeps it. */
  readonly sampled: boolean
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)

/** Undefined for what is none: then a trace begins here. Later versions may add to the end, the first may not. */
export function readTraceparent(value: string | string[] | undefined): Parent | undefined {
  if (typeof value !== 'string') return undefined
  const [, version, traceId = NO_TRACE, spanId = NO_SPAN, flags = '', more] = FORM.exec(value) ?? []
  if (traceId === NO_TRACE || spanId === NO_SPAN || version === 'ff') return undefined
  if (version === '00' && more !== undefined) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export function writeTraceparent(traceId: string, spanId: string): string {
  return `00-${traceId}-${spanId}-01`
}
