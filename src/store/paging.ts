import { Failure } from '../chat/failure.ts'

export interface Page {
  /** At most this many; more than a thousand are never given. */
  readonly limit: number
  /** `next` of the page before. */
  readonly cursor?: string | undefined
  /** For those who number their pages; slower the further it goes. */
  readonly offset?: number | undefined
}

export interface Paged<Item> {
  readonly items: readonly Item[]
  /** The cursor of the page after; undefined on the last one. */
  readonly next: string | undefined
}

const MOST = 1_000

export function limitOf({ limit }: Page): number {
  return Math.min(Math.max(Math.trunc(limit) || 1, 1), MOST)
}

/** The place of a row in a list that is ordered by a time and an id, newest first. */
export interface Place {
  readonly at: Date
  readonly id: string
}

export function encodeCursor({ at, id }: Place): string {
  return Buffer.from(`${at.getTime()} ${id}`).toString('base64url')
}

export function decodeCursor(cursor: string): Place | Failure {
  const [, at, id] = /^(-?\d{1,15}) (.+)$/s.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (at !== undefined && id !== undefined) return { at: new Date(Number(at)), id }
  return new Failure('invalid-request', 'This cursor was not given out here.', { field: 'cursor' })
}

/** Cuts off the row that was read to see whether there are more. */
export function paged<Item>(rows: readonly Item[], page: Page, cursorOf: (last: Item) => string): Paged<Item> {
  const items = rows.slice(0, limitOf(page))
  const last = items.at(-1)
  return { items, next: rows.length > items.length && last !== undefined ? cursorOf(last) : undefined }
}
