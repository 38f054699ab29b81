import { CST, Lexer } from 'yaml'

/** Deeper than any configuration. */
export const MAX_DEPTH = 64

/** Marks of the lexer that stand for no text. */
const MARKS = new Set([CST.BOM, CST.DOCUMENT, CST.FLOW_END, CST.SCALAR])

/** What the parser takes some seconds for, in which nothing else is done. */
const MAX_TOKENS = 1_500_000

/**
 * The offset at which braces and brackets nest deeper than they may, or the text is too much, or -1. The lexer alone looks, which does not
 * recurse: 20,000 open brackets given to the parser end the process, in a way that nothing can catch.
 */
export function findExcess(text: string): number {
  let offset = 0
  let tokens = 0
  let depth = 0
  let isScalar = false
  for (const token of new Lexer().lex(text)) {
    const type = isScalar ? null : CST.tokenType(token)
    if (type === 'flow-map-start' || type === 'flow-seq-start') depth++
    else if (type === 'flow-map-end' || type === 'flow-seq-end') depth = Math.max(0, depth - 1)
    if (depth > MAX_DEPTH || ++tokens > MAX_TOKENS) return offset
    isScalar = !isScalar && token === CST.SCALAR
    if (!MARKS.has(token)) offset += token.length
  }
  return -1
}
