// Finds keys in a piece of JSON or SSE text whose beginning may be missing. It works because of one property of JSON:
// inside a string each quote is escaped, so a key whose opening quote has no backslash before it is a key, not text.

export interface BareKey {
  /** Where its value begins. */
  readonly valueAt: number
  /** Braces and brackets that close after it, to the end of its frame: 1 is a key of the outermost object. */
  readonly depth: number
}

/** Each occurrence of `"key":` that is a key and not a part of some text, the last one first. */
export function* bareKeysFromEnd(text: string, key: string): Generator<BareKey> {
  const quoted = `"${key}"`
  let from = text.length
  while (from >= 0) {
    const found = text.lastIndexOf(quoted, from)
    if (found === -1) return
    from = found - 1
    const valueAt = valueAfter(text, found + quoted.length)
    if (text[found - 1] !== '\\' && valueAt !== undefined) yield { valueAt, depth: depthAt(text, valueAt) }
    if (found === 0) return
  }
}

function valueAfter(text: string, from: number): number | undefined {
  let at = skipSpace(text, from)
  if (text[at] !== ':') return undefined
  at = skipSpace(text, at + 1)
  return at < text.length ? at : undefined
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++
  return at
}

function depthAt(text: string, from: number): number {
  let level = 0
  for (let at = from; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at)
    else if (character === '{' || character === '[') level--
    else if (character === '}' || character === ']') level++
    // JSON has no blank line, SSE ends its frames with one.
    else if (character === '\n' && (text[at + 1] === '\n' || text[at + 1] === '\r')) break
  }
  return level
}

/** The index of the closing quote, or the end of the text. */
function endOfString(text: string, opening: number): number {
  for (let at = opening + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}

/** The object that begins at `from`, parsed; undefined when there is none or it is cut. */
export function objectAt(text: string, from: number): Record<string, unknown> | undefined {
  if (text[from] !== '{') return undefined
  let level = 0
  for (let at = from; at < text.length; at++) {
    const character = text[at]
    if (character === '"') at = endOfString(text, at)
    else if (character === '{') level++
    else if (character === '}' && --level === 0) return parsedObject(text.slice(from, at + 1))
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
  for (const { valueAt, depth } of bareKeysFromEnd(text, key)) {
    // A tool's arguments may have a key of this name too; they lie deeper.
    if (!depths.includes(depth) || text[valueAt] !== '{') continue
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
    const character = head[at]
    if (character === '{' || character === '[') level++
    else if (character === '}' || character === ']') level--
    else if (character === '"') {
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
  return typeof value === 'number' && value >= 0 ? value : undefined
}
