// Finds keys in a piece of JSON or SSE text whose beginning may be missing. It works because of one property of JSON:
// inside a string each quote is escaped, so a key whose opening quote has no backslash before it is a key, not text.

/** A hostile upstream could fill a tail with one key, and each costs a look at all that follows. */
const MOST_KEYS = 200

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const NEWLINE = 0x0a
const OPENING: ReadonlySet<number> = new Set([0x7b, 0x5b])
const CLOSING: ReadonlySet<number> = new Set([0x7d, 0x5d])

/** Where the value of each `"key":` begins that is a key and not a part of some text, the last one first. */
export function* valuesFromEnd(text: string, key: string): Generator<number> {
  const quoted = `"${key}"`
  let found = text.length
  for (let seen = 0; found > 0 && seen < MOST_KEYS; seen++) {
    found = text.lastIndexOf(quoted, found - 1)
    if (found === -1) return
    const valueAt = valueAfter(text, found + quoted.length)
    if (text.charCodeAt(found - 1) !== BACKSLASH && valueAt !== undefined) yield valueAt
  }
}

function valueAfter(text: string, from: number): number | undefined {
  let at = skipSpace(text, from)
  if (text.charCodeAt(at) !== COLON) return undefined
  at = skipSpace(text, at + 1)
  return at < text.length ? at : undefined
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text.charCodeAt(at) <= 0x20) at++
  return at
}

/** Braces and brackets that close after `from`, to the end of its frame: 1 for what the outermost object holds. */
export function depthAt(text: string, from: number): number {
  let level = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (OPENING.has(code)) level--
    else if (CLOSING.has(code)) level++
    // JSON has no blank line, SSE ends its frames with one.
    else if (code === NEWLINE && (text[at + 1] === '\n' || text[at + 1] === '\r')) break
  }
  return level
}

/** The index of the closing quote, or the end of the text. */
export function endOfString(text: string, opening: number): number {
  let closing = text.indexOf('"', opening + 1)
  while (closing !== -1) {
    let backslashes = 0
    while (text.charCodeAt(closing - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return closing
    closing = text.indexOf('"', closing + 1)
  }
  return text.length
}

/** The object that begins at `from`, parsed; undefined when there is none or it is cut. */
export function objectAt(text: string, from: number): Record<string, unknown> | undefined {
  if (text[from] !== '{') return undefined
  let level = 0
  for (let at = from; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (OPENING.has(code)) level++
    else if (CLOSING.has(code) && --level === 0) return parsedObject(text.slice(from, at + 1))
  }
  return undefined
}

function parsedObject(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** The last object under `key`, at one of `depths`, that has a number under one of `proofs`. */
export function lastObject(
  text: string,
  key: string,
  depths: readonly number[],
  proofs: readonly string[]
): Record<string, unknown> | undefined {
  for (const valueAt of valuesFromEnd(text, key)) {
    // A tool's arguments may have a key of this name too; they lie deeper.
    if (text[valueAt] !== '{' || !depths.includes(depthAt(text, valueAt))) continue
    const object = objectAt(text, valueAt)
    if (object !== undefined && proofs.some(proof => typeof object[proof] === 'number')) return object
  }
  return undefined
}

/** The object under `key` of the outermost object, where an answer says it before its content. */
export function firstObject(head: string, key: string): Record<string, unknown> | undefined {
  if (!head.startsWith('{')) return undefined
  const quoted = `"${key}"`
  let level = 0
  for (let at = 0; at < head.length; at++) {
    const code = head.charCodeAt(at)
    if (OPENING.has(code)) level++
    else if (CLOSING.has(code)) level--
    else if (code === QUOTE) {
      const closing = endOfString(head, at)
      const valueAt = level === 1 && head.startsWith(quoted, at) ? valueAfter(head, closing + 1) : undefined
      if (valueAt !== undefined) return objectAt(head, valueAt)
      at = closing
    }
  }
  return undefined
}

/** The number under `key`, if it is one. */
export function count(object: unknown, key: string): number | undefined {
  const value = typeof object === 'object' && object !== null ? (object as Record<string, unknown>)[key] : undefined
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}
