// Readers of parsed JSON: loose, because upstreams and clients are, and without a copy.
import type { Extra, Fields } from '../chat/request.ts'
import { nearest } from './exact.ts'

/** The value as an object: empty when it is none. */
export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

/** The objects of a list: empty when it is none. */
export function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fields) : []
}

export function string(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

export function number(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  return typeof value === 'string' ? nearest(value) : undefined
}

export function boolean(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined
}

/** An object, or undefined when it is none or empty. */
export function someFields(value: unknown): Fields | undefined {
  const object = fields(value)
  return Object.keys(object).length > 0 ? object : undefined
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> }

/** Without the keys that have no value. */
export function defined<T extends object>(object: T): Defined<T> {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Defined<T>
}

/** What is left of an object when `read` has been read, as an `extra` of the dialect; nothing when nothing is left. */
export function unread(dialect: string, object: Fields, read: ReadonlySet<string>): { extra?: Extra } {
  let rest: Record<string, unknown> | undefined
  for (const key of Object.keys(object)) {
    if (read.has(key) || object[key] === undefined || object[key] === null) continue
    rest ??= Object.create(null) as Record<string, unknown>
    rest[key] = object[key]
  }
  return rest === undefined ? {} : { extra: { [dialect]: { ...rest } } }
}
