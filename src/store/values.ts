// What goes into a statement and comes out of a row: the same for both drivers, so that nothing above knows which one it is.

/** Lists and objects become JSON; columns that hold several values are `jsonb`. */
export type Parameter = string | number | bigint | boolean | null | object

export type Row = Readonly<Record<string, unknown>>

/** The text that PostgreSQL reads a parameter from, whatever its column's type. */
export function encodeParameter(value: Parameter): string | null {
  if (value === null) return null
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  return typeof value === 'object' ? encodeJson(value) : String(value)
}

/** Amounts of money are larger than what JSON numbers hold exactly, so they travel as strings. Bytes are secrets: they have no place in JSON. */
function encodeJson(value: object): string {
  return JSON.stringify(value, function (this: Row, key: string, shown: unknown) {
    // A Buffer's own `toJSON` has run by now, so what it was is asked of its owner.
    const original = this[key]
    if (original instanceof Uint8Array) return undefined
    return typeof shown === 'bigint' ? String(shown) : shown
  })
}

/** By the number of the type. What is not here stays text: `numeric` above all, which no number of ours holds. */
export const PARSERS: Readonly<Record<number, (text: string) => unknown>> = {
  16: text => text === 't',
  17: text => Buffer.from(text.slice(2), 'hex'),
  20: BigInt,
  21: Number,
  23: Number,
  26: Number,
  114: text => JSON.parse(text),
  701: Number,
  1184: text => new Date(text),
  3802: text => JSON.parse(text)
}

/** For text that a client chose and that is kept whatever it holds: PostgreSQL refuses NUL and lone surrogates. */
export function storable(text: string): string {
  return text.replace(/\0|\p{Surrogate}/gu, '\ufffd')
}

export function text(row: Row, column: string): string {
  const value = row[column]
  return typeof value === 'string' ? value : unexpected(column, 'text')
}

export function textOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : text(row, column)
}

export function flag(row: Row, column: string): boolean {
  const value = row[column]
  return typeof value === 'boolean' ? value : unexpected(column, 'boolean')
}

export function integer(row: Row, column: string): number {
  const value = row[column]
  return typeof value === 'number' ? value : unexpected(column, 'integer')
}

export function integerOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : integer(row, column)
}

export function big(row: Row, column: string): bigint {
  const value = row[column]
  return typeof value === 'bigint' ? value : unexpected(column, 'bigint')
}

export function bigOrNull(row: Row, column: string): bigint | null {
  return row[column] === null ? null : big(row, column)
}

export function time(row: Row, column: string): Date {
  const value = row[column]
  return value instanceof Date ? value : unexpected(column, 'timestamp')
}

export function timeOrNull(row: Row, column: string): Date | null {
  return row[column] === null ? null : time(row, column)
}

export function bytesOrNull(row: Row, column: string): Buffer | null {
  const value = row[column]
  if (value === null) return null
  // A Buffer that comes out of a worker is a plain array of bytes.
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : unexpected(column, 'bytes')
}

/** An object of JSON; whatever else stands there counts as empty. */
export function object(row: Row, column: string): Row {
  return asObject(row[column])
}

export function asObject(value: unknown): Row {
  return isObject(value) ? value : {}
}

function isObject(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A list of strings in JSON; what is no string is left out. */
export function texts(row: Row, column: string): readonly string[] {
  const value = row[column]
  return Array.isArray(value) ? value.filter(item => typeof item === 'string') : []
}

function unexpected(column: string, wanted: string): never {
  throw new Error(`the column ${column} holds no ${wanted}`)
}
