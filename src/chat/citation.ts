import type { Extra, Fields } from './request.ts'

/** A page that a text rests on. The place is in the text of the block, in JavaScript's characters; none: all of it. */
export interface PageCitation {
  readonly type: 'page'
  readonly url: string
  readonly title?: string
  /** Words of the page. */
  readonly quote?: string
  readonly start?: number
  readonly end?: number
  readonly extra?: Extra
}

/** A source that only `dialect` can name, as it stands there. */
interface ForeignCitation {
  readonly type: 'foreign'
  readonly dialect: string
  readonly value: Fields
}

export type Citation = PageCitation | ForeignCitation
