// How many tokens a text comes to, without a vocabulary. Real tokenizers take quadratic time on long runs without a
// space (seconds for 20,000 characters), and each model has its own; this reads every character once.

type Kind = 'space' | 'newline' | 'lower' | 'upper' | 'digit' | 'mark' | 'latin' | 'alphabet' | 'ideograph' | 'other'

/** Tokens of a run of one kind of character, by its length. Measured against o200k; `test/tokens.test.ts` holds the texts. */
const TOKENS: Record<Kind, (length: number) => number> = {
  // One space belongs to the word behind it.
  space: length => (length < 2 ? 0 : 1 + Math.floor(length / 80)),
  newline: length => 0.8 + Math.floor(length / 16),
  lower: word,
  // Capitals are rarer in the vocabulary.
  upper: length => (length < 3 ? 1 : length / 2.2),
  digit: length => Math.ceil(length / 3),
  mark: length => (length < 3 ? 0.8 : 0.6 + length / 8),
  latin: length => 0.6 + length / 4,
  alphabet: length => 0.3 + length / 4.2,
  ideograph: length => length * 0.7,
  other: length => length
}

function word(length: number): number {
  return length < 8 ? 1 : length < 16 ? 1 + (length - 7) / 7 : length / 3.4
}

export function estimateTokens(text: string): number {
  let tokens = 0
  let kind: Kind | undefined
  let length = 0
  for (let at = 0; at < text.length; at++) {
    const next = kindOf(text.charCodeAt(at))
    // `Word` is one run, `camelCase` two.
    const goesOn = next === kind || (kind === 'upper' && next === 'lower' && length === 1)
    if (!goesOn) {
      if (kind !== undefined) tokens += TOKENS[kind](length)
      length = 0
    }
    kind = next
    length++
  }
  if (kind !== undefined) tokens += TOKENS[kind](length)
  return Math.ceil(tokens)
}

function kindOf(code: number): Kind {
  if (code < 0x80) return asciiKind(code)
  if (code < 0x250) return 'latin'
  if (code < 0x1200) return 'alphabet'
  if ((code >= 0x3040 && code < 0xa000) || (code >= 0xac00 && code < 0xd7b0) || (code >= 0xf900 && code < 0xfb00))
    return 'ideograph'
  return 'other'
}

function asciiKind(code: number): Kind {
  if (code >= 0x61 && code <= 0x7a) return 'lower'
  if (code >= 0x41 && code <= 0x5a) return 'upper'
  if (code >= 0x30 && code <= 0x39) return 'digit'
  if (code === 0x20 || code === 0x09) return 'space'
  return code === 0x0a || code === 0x0d ? 'newline' : 'mark'
}
