const UNITS: Record<string, number> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

/** Bytes of `512kb`, `32mb`, `1gb` or of a plain number of bytes; undefined when it is none of them. */
export function readSize(value: string | number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.floor(value) : undefined
  const [, amount, unit = ''] = /^(\d{1,15}(?:\.\d{1,9})?)([kmg]?b)$/i.exec(value) ?? []
  const factor = UNITS[unit.toLowerCase()]
  return amount === undefined || factor === undefined ? undefined : Math.floor(Number(amount) * factor)
}

/** Like `readSize`, for values that the schema has let through. */
export function parseSize(value: string | number): number {
  const bytes = readSize(value)
  if (bytes === undefined) throw new Error('not a size that the schema allows')
  return bytes
}
