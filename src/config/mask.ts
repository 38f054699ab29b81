import { referenceEnd } from './references.ts'

// In a flow map `{ api_key: ${NAME} }` YAML would read the braces as its own. Before the parser sees the text, the
// characters inside a reference that mean something to YAML are replaced, one for one so that positions stay, by
// noncharacters of Unicode, which no text interchanged may hold; in the values they are put back.
const MEANT = '{}[],:#'
const FIRST = 0xfdd0
const STAND_IN = /[\ufdd0-\ufdd6]/g

export function maskReferences(text: string): string {
  let result = ''
  let at = 0
  for (;;) {
    const start = text.indexOf('${', at)
    const end = start < 0 ? -1 : referenceEnd(text, start)
    if (start < 0) return result + text.slice(at)
    // A quote inside is more likely the end of the text around it than a part of a default.
    if (end < 0 || /["']/.test(text.slice(start, end))) {
      result += text.slice(at, start + 2)
      at = start + 2
      continue
    }
    result += text.slice(at, start)
    for (const character of text.slice(start, end + 1)) {
      const index = MEANT.indexOf(character)
      result += index < 0 ? character : String.fromCharCode(FIRST + index)
    }
    at = end + 1
  }
}

export function unmask(text: string): string {
  return text.replace(STAND_IN, character => MEANT[character.charCodeAt(0) - FIRST] ?? character)
}

/** Where the text already holds a stand-in; -1 when it does not. */
export function findStandIn(text: string): number {
  return text.search(STAND_IN)
}
