import type { Ask, Fields } from './ask.ts'
import type { Reply } from './reply.ts'

/** How one dialect asks and is answered. */
export interface Writer {
  readAsk(body: Fields): Ask
  encodeAnswer(reply: Reply, body: Fields): object
  /** The SSE frames of a stream, in the groups that go out together: a beginning, one a piece, an end. */
  encodeStream(reply: Reply, body: Fields): string[]
}

/** Every answer was made at this second: the same request has the same bytes. */
export const CREATED = 1_767_225_600

export function dataFrame(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

export function eventFrame(event: { readonly type: string; readonly [key: string]: unknown }): string {
  return `event: ${event.type}\n${dataFrame(event)}`
}

/** A call's arguments as they are streamed: in pieces that cut words and escapes, as models do. */
export function argumentPieces(text: string): string[] {
  const size = Math.max(12, Math.ceil(text.length / 64))
  return text.match(new RegExp(`[^]{1,${size}}`, 'gu')) ?? []
}
