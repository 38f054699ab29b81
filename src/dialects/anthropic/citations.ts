import type { Citation, PageCitation } from '../../chat/citation.ts'
import type { Fields } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { defined, fields, list, string, unread } from '../read.ts'

const NAME = 'anthropic'

const FOUND = 'web_search_result_location'
/** A result that the client has searched for itself: its source is what the client says it is. */
const SEARCHED = 'search_result_location'

const PAGE = new Set(['cited_text', 'title', 'url'])
const RESULT = new Set(['cited_text', 'title', 'source'])

/** Undefined where there is none. */
export function decodeCitations(value: unknown): { citations?: readonly Citation[] } {
  const citations = list(value).map(decodeCitation)
  return citations.length === 0 ? {} : { citations }
}

function decodeCitation(value: Fields): Citation {
  const isResult = value['type'] === SEARCHED
  const url = string(isResult ? value['source'] : value['url'])
  const isPage = value['type'] === FOUND || (isResult && /^https?:\/\//.test(url ?? ''))
  if (url === undefined || !isPage) return { type: 'foreign', dialect: NAME, value }
  const quote = string(value['cited_text']) || undefined
  const known = defined({ title: string(value['title']), quote })
  return { type: 'page', url, ...known, ...unread(NAME, ours(value), isResult ? RESULT : PAGE) }
}

/** Without what we have filled in for what nobody knew. */
function ours(value: Fields): Fields {
  const { type, encrypted_index: index, ...rest } = value
  return { ...rest, type: type === FOUND ? undefined : type, encrypted_index: index === '' ? undefined : index }
}

/** Of a text of some length. Anthropic has no places in a text: the block is the place. */
export function encodeCitations(
  citations: readonly Citation[] | undefined,
  length: number,
  dropped: Dropped
): object[] {
  return dropped.citations(citations).flatMap(citation => {
    if (citation.type === 'foreign') return [{ ...citation.value }]
    const isPart = (citation.start ?? 0) > 0 || (citation.end ?? length) < length
    if (isPart) dropped.add('messages.citations.place')
    const own = fields(citation.extra?.[NAME])
    const isKnown = own['type'] !== undefined || own['encrypted_index'] !== undefined
    if (dropped.of === 'answer' || isKnown) return [encodePage(citation, own)]
    // A request may only name what Anthropic's own search has found.
    dropped.add('messages.citations')
    return []
  })
}

function encodePage({ url, title, quote = '' }: PageCitation, own: Fields): object {
  const words = { cited_text: quote, title: title ?? null }
  if (own['type'] === SEARCHED) return { ...own, ...words, source: url }
  return { type: FOUND, ...words, url, encrypted_index: '', ...own }
}
