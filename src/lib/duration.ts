const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `500ms`, `30s`, `10m`, `24h`, `7d` or of a plain number of seconds; undefined when it is none of them. */
export function readDuration(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value * 1000 : undefined
  const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?)(ms|[smhd])$/.exec(value) ?? []
  const factor = UNITS[unit]
  return amount === undefined || factor === undefined ? undefined : Number(amount) * factor
}

/** Like `readDuration`, for values that the schema has let through. */
export function parseDuration(value: string | number): number {
  const milliseconds = readDuration(value)
  if (milliseconds === undefined) throw new Error('not a duration that the schema allows')
  return milliseconds
}
