// The JSON that models write: cut at the end, with raw newlines, single quotes, commas too many or words of Python.

/** Longer texts are only completed. */
const MOST_REWRITTEN = 1024 * 1024
/** A fence around a string around the object is the most that is looked into. */
const MOST_WRAPPED = 4

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Follows an object while it is written. Each character is looked at once. */
export class ObjectProgress {
  #closers: string[] = []
  #inString = false
  #escaped = false
  #begun = false

  push(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (this.#escaped) this.#escaped = false
      else if (this.#inString) {
        if (code === BACKSLASH) this.#escaped = true
        else if (code === QUOTE) this.#inString = false
      } else if (code === QUOTE) this.#inString = true
      else if (code === 0x7b) this.#open('}')
      else if (code === 0x5b) this.#open(']')
      else if (code === 0x7d || code === 0x5d) this.#closers.pop()
    }
  }

  /** Its last brace has been written. */
  get complete(): boolean {
    return this.#begun && this.#closers.length === 0
  }

  /** What comes next belongs to a string. */
  get inString(): boolean {
    return this.#inString
  }

  /** What may be missing at the end, the likeliest first. */
  endings(): string[] {
    const quote = this.#inString ? (this.#escaped ? '\\"' : '"') : ''
    const closers = this.#closers.toReversed().join('')
    return ['', ':null', 'null'].map(value => quote + value + closers)
  }

  #open(closer: string): void {
    this.#begun = true
    this.#closers.push(closer)
  }
}

/** Deeper than any honest value, and far from what `JSON.stringify` has a stack for. */
const MOST_NESTED = 1_000

function isTooDeep(text: string): boolean {
  // Each level needs two characters.
  if (text.length < 2 * MOST_NESTED) return false
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (code === 0x7b || code === 0x5b) depth++
    else if (code === 0x7d || code === 0x5d) depth--
    if (depth > MOST_NESTED) return true
  }
  return false
}

/** The index of the closing quote, or the end of the text. */
function endOfString(text: string, opening: number): number {
  for (let at = opening + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === BACKSLASH) at++
    else if (code === QUOTE) return at
  }
  return text.length
}

/** The text's value; undefined when it is no JSON, or nested so deep that it could not be written again. */
export function parseJson(text: string): unknown {
  try {
    return isTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The text's object, or undefined when it holds none. */
export function parseObject(text: string): Record<string, unknown> | undefined {
  const value = parseJson(text)
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

/** What must follow the text to make it an object; undefined when nothing could. */
export function missingEnd(text: string, progress?: ObjectProgress): string | undefined {
  let followed = progress
  if (followed === undefined) {
    followed = new ObjectProgress()
    followed.push(text)
  }
  if (text.trim() === '') return '{}'
  return ['', ...followed.endings()].find(ending => parseObject(text + ending) !== undefined)
}

/** The text as the text of an object; undefined when it cannot be read as one. What is valid stays as it is. */
export function repairObject(text: string): string | undefined {
  let inner = text
  for (let turn = 0; turn < MOST_WRAPPED; turn++) {
    const ending = missingEnd(inner)
    if (ending !== undefined) return inner + ending
    const unwrapped = unwrap(inner)
    if (unwrapped === undefined) break
    inner = unwrapped
  }
  if (inner.length > MOST_REWRITTEN) return undefined
  for (const token of [TOKEN, TOKEN_WITH_QUOTES]) {
    const rewritten = rewrite(inner, token)
    const end = missingEnd(rewritten)
    if (end !== undefined) return rewritten + end
  }
  return undefined
}

/** Without the fence around it, or the text of a JSON string; undefined when it is neither. */
function unwrap(text: string): string | undefined {
  const trimmed = text.trim()
  if (trimmed.startsWith('```') && trimmed.endsWith('```')) {
    const end = trimmed.indexOf('\n')
    const isFence = end > 0 && end < 64 && /^```\w*\s*$/.test(trimmed.slice(0, end))
    return isFence ? trimmed.slice(end + 1, -3).trim() : undefined
  }
  if (!trimmed.startsWith('"')) return undefined
  const value = parseJson(trimmed)
  return typeof value === 'string' ? value : undefined
}

const OTHERS = /\/\/[^\n]*|-?\.?\d[\w.+-]*|[A-Za-z_$][\w$]*|\s+|[\s\S]/
const TOKEN = new RegExp(
  `"[^"\\\\]*(?:\\\\[\\s\\S][^"\\\\]*)*"?|'[^'\\\\]*(?:\\\\[\\s\\S][^'\\\\]*)*'?|${OTHERS.source}`,
  'g'
)
/** Here a quote ends a string only where a string may end: models forget to escape those inside. */
const TOKEN_WITH_QUOTES = new RegExp(
  ['"', "'"]
    .map(quote => {
      const inner = `${quote}(?!\\s*(?:[,:}\\]]|$))`
      return `${quote}[^${quote}\\\\]*(?:(?:\\\\[\\s\\S]|${inner})[^${quote}\\\\]*)*${quote}?`
    })
    .concat(OTHERS.source)
    .join('|'),
  'g'
)
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const WORDS: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ['True', 'true'],
  ['False', 'false'],
  ['None', 'null'],
  ['undefined', 'null'],
  ['NaN', 'null'],
  ['true', 'true'],
  ['false', 'false'],
  ['null', 'null']
])

/** The same in the words of JSON, with commas and brackets where they have to be, up to the end of the first value. */
function rewrite(text: string, tokens: RegExp): string {
  const out: string[] = []
  const closers: string[] = []
  const open = { '}': 0, ']': 0 }
  let previous = ''
  let comma = -1
  let isApart = false
  for (const token of text.match(tokens) ?? []) {
    const word = wordOf(token)
    if (word.trim() === '') {
      isApart = true
      out.push(word)
      continue
    }
    if (word === '}' || word === ']') {
      if (previous === ',') out[comma] = ''
      // One too many.
      if (open[word] === 0) continue
      for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) {
        open[closer === '}' ? '}' : ']']--
        out.push(closer)
        if (closer === word) break
      }
      if (closers.length === 0) break
    } else {
      if (isApart && /["\w}\]]$/.test(previous) && /^["\w{[-]/.test(word)) out.push(',')
      if (word === '{' || word === '[') {
        const closer = word === '{' ? '}' : ']'
        open[closer]++
        closers.push(closer)
      }
      if (word === ',') comma = out.length
      out.push(word)
    }
    previous = word
    isApart = false
  }
  return out.join('')
}

function wordOf(token: string): string {
  const first = token[0] ?? ''
  if (first === '"' || first === "'") return rewriteString(token, first)
  if (token.startsWith('//')) return ''
  if (/[A-Za-z_$]/.test(first)) return WORDS.get(token) ?? JSON.stringify(token)
  if (/\d/.test(token) && !NUMBER.test(token)) return JSON.stringify(token)
  return token
}

const ESCAPE = /\\(?:u[\dA-Fa-f]{4}|[\s\S])|[\u0000-\u001f"]/g

function rewriteString(token: string, quote: string): string {
  const closed = token.length > 1 && token.endsWith(quote)
  const inner = token.slice(1, closed ? -1 : undefined).replace(ESCAPE, found => {
    if (found === "\\'") return "'"
    if (found.length > 1) return /^\\(?:u[\dA-Fa-f]{4}|["\\/bfnrt])$/.test(found) ? found : `\\${found}`
    return JSON.stringify(found).slice(1, -1)
  })
  return `"${inner}${closed ? '"' : ''}`
}
