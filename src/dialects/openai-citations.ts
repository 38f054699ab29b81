// Sources of a text as OpenAI's dialects name them: Chat has the same a level deeper.
import type { Citation, PageCitation } from '../chat/citation.ts'
import type { Fields } from '../chat/request.ts'
import type { Dropped } from './dropped.ts'
import { defined, fields, list, number, string, unread } from './read.ts'

const PAGE = new Set(['type', 'url', 'title', 'start_index', 'end_index'])
const PAGE_WITH_WORDS = new Set([...PAGE, 'content'])

/** Undefined where there is none. */
export function decodeAnnotations(dialect: string, annotations: unknown): { citations?: readonly Citation[] } {
  const citations = list(annotations).map(annotation => decodeAnnotation(dialect, annotation))
  return citations.length === 0 ? {} : { citations }
}

function decodeAnnotation(dialect: string, value: Fields): Citation {
  const inner = value['url_citation']
  const page = fields(inner ?? value)
  const url = string(page['url'])
  if (value['type'] !== 'url_citation' || url === undefined) return { type: 'foreign', dialect, value }
  return {
    type: 'page',
    url,
    ...defined({
      title: string(page['title']),
      // OpenRouter's, in Chat alone.
      quote: inner === undefined ? undefined : string(page['content']),
      start: number(page['start_index']),
      end: number(page['end_index'])
    }),
    ...unread(dialect, page, inner === undefined ? PAGE : PAGE_WITH_WORDS)
  }
}

/** In the words of Responses. Title and place are required: without them it is all of a text, by its address. */
export function encodeAnnotation(dialect: string, citation: Citation, length: number, dropped: Dropped): Fields {
  if (citation.type === 'foreign') return { ...citation.value }
  if (citation.quote !== undefined) dropped.add('messages.citations.quote')
  return { type: 'url_citation', ...pageOf(dialect, citation, 0, length) }
}

/** In the words of Chat. `from`: where the block begins in the text of the message. */
export function encodeNestedAnnotation(dialect: string, citation: Citation, from: number, length: number): Fields {
  if (citation.type === 'foreign') return { ...citation.value }
  const { quote } = citation
  const page = { ...pageOf(dialect, citation, from, length), ...(quote !== undefined && { content: quote }) }
  return { type: 'url_citation', url_citation: page }
}

function pageOf(dialect: string, { url, title, start, end, extra }: PageCitation, from: number, length: number) {
  const place = { start_index: from + (start ?? 0), end_index: from + (end ?? length) }
  return { ...extra?.[dialect], ...place, title: title ?? url, url }
}
