// Where an answer is from. Gemini says that of the whole candidate: sources, and which bytes of its text rest on which.
import type { Citation, PageCitation } from '../../chat/citation.ts'
import type { Fields } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { defined, fields, list, number, string } from '../read.ts'
import { NAME } from './shape.ts'

/** The sources of a candidate; their places are in `text`, all that it says. */
export function decodeGrounding(candidate: Fields, text: string): readonly Citation[] {
  const grounding = fields(candidate['groundingMetadata'])
  const chunks = list(grounding['groundingChunks'])
  const supports = list(grounding['groundingSupports'])
  const metadata = fields(candidate['citationMetadata'])
  const cited = list(metadata['citationSources'] ?? metadata['citations'])
  if (chunks.length + cited.length === 0) return []
  const places = new Places(text)
  const used = new Set<unknown>()
  const supported = supports.flatMap(({ segment, groundingChunkIndices: indices }) => {
    const place = places.of(fields(segment))
    return (Array.isArray(indices) ? indices : []).flatMap(index => {
      const chunk = typeof index === 'number' ? chunks[index] : undefined
      if (chunk === undefined) return []
      used.add(chunk)
      return [citationOf(chunk, place)]
    })
  })
  const others = chunks.filter(chunk => !used.has(chunk)).map(chunk => citationOf(chunk, {}))
  return [...supported, ...others, ...cited.map(source => sourceOf(source, places))]
}

type Place = Pick<PageCitation, 'start' | 'end'>

function citationOf(chunk: Fields, place: Place): Citation {
  const { uri, title } = fields(chunk['web'])
  if (typeof uri !== 'string') return { type: 'foreign', dialect: NAME, value: chunk }
  return { type: 'page', url: uri, ...defined({ title: string(title) }), ...place }
}

function sourceOf(source: Fields, places: Places): Citation {
  const { uri, title } = source
  if (typeof uri !== 'string') return { type: 'foreign', dialect: NAME, value: source }
  return { type: 'page', url: uri, ...defined({ title: string(title) }), ...places.of(source) }
}

/** Gemini counts bytes, from a beginning that in a stream is not always the same. What it quotes can be looked for. */
class Places {
  readonly #text: string
  readonly #bytes: Buffer

  constructor(text: string) {
    this.#text = text
    this.#bytes = Buffer.from(text)
  }

  of(segment: Fields): Place {
    const from = number(segment['startIndex']) ?? 0
    const to = number(segment['endIndex'])
    const quoted = string(segment['text']) ?? ''
    if (to === undefined) return {}
    const start = this.#characters(from)
    const end = this.#characters(to)
    if (quoted === '' || this.#text.slice(start, end) === quoted) return { start, end }
    const found = this.#text.indexOf(quoted)
    return found === -1 ? {} : { start: found, end: found + quoted.length }
  }

  #characters(bytes: number): number {
    const isPlain = this.#bytes.length === this.#text.length
    return isPlain ? Math.min(bytes, this.#text.length) : this.#bytes.toString('utf8', 0, bytes).length
  }
}

/** A text of an answer, and the number of its part. */
export interface Said {
  readonly text: string
  readonly citations: readonly Citation[] | undefined
  readonly part: number
}

/** Citations of others as Gemini says them; nothing where there are none. */
export function encodeGrounding(texts: readonly Said[], dropped: Dropped): { groundingMetadata?: Fields } {
  const groundingChunks: Fields[] = []
  const groundingSupports: Fields[] = []
  const known = new Map<string, number>()
  for (const { text, citations, part } of texts) {
    for (const citation of dropped.citations(citations)) {
      if (citation.type === 'foreign') continue
      const { url: uri, title, quote, start = 0, end = text.length } = citation
      if (quote !== undefined) dropped.add('citations.quote')
      const at = known.get(uri) ?? groundingChunks.push({ web: { uri, title: title ?? uri } }) - 1
      known.set(uri, at)
      const segment = {
        ...defined({ partIndex: part === 0 ? undefined : part }),
        startIndex: Buffer.byteLength(text.slice(0, start)),
        endIndex: Buffer.byteLength(text.slice(0, end)),
        text: text.slice(start, end)
      }
      groundingSupports.push({ segment, groundingChunkIndices: [at] })
    }
  }
  return groundingChunks.length === 0 ? {} : { groundingMetadata: { groundingChunks, groundingSupports } }
}

/** True where the candidate itself says where it is from. */
export function isGrounded(candidate: Fields): boolean {
  return candidate['groundingMetadata'] !== undefined || candidate['citationMetadata'] !== undefined
}
