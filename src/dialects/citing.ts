// Citations that an answer tells apart from its texts, put to the text that each of them is of.
import type { Block, TextBlock } from '../chat/block.ts'
import type { Citation, PageCitation } from '../chat/citation.ts'

/** Places count from the beginning of the first text, as if there were nothing between them. */
export function citing(blocks: readonly Block[], citations: readonly Citation[]): Block[] {
  if (citations.length === 0) return [...blocks]
  const texts = blocks.filter(isSaid)
  const of = new Map<TextBlock, Citation[]>()
  for (const citation of citations) {
    let from = 0
    const place = citation.type === 'page' ? (citation.start ?? 0) : 0
    const at = texts.findIndex(({ text }) => {
      const isWithin = place < from + text.length
      if (!isWithin) from += text.length
      return isWithin
    })
    const text = texts[at] ?? texts.at(-1)
    if (text === undefined) continue
    if (at === -1) from -= text.text.length
    const own = of.get(text) ?? []
    own.push(citation.type === 'page' ? moved(citation, -from) : citation)
    of.set(text, own)
  }
  return blocks.map(block => {
    const own = isSaid(block) ? of.get(block) : undefined
    return own === undefined ? block : { ...block, citations: own }
  })
}

const isSaid = (block: Block): block is TextBlock => block.type === 'text' && block.refusal !== true

/** The citation with its place so much further on. */
export function moved(citation: PageCitation, by: number): PageCitation {
  const { start, end } = citation
  if (by === 0) return citation
  return {
    ...citation,
    ...(start !== undefined && { start: Math.max(0, start + by) }),
    ...(end !== undefined && { end: Math.max(0, end + by) })
  }
}
