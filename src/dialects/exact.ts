// Whole numbers that JavaScript cannot hold: ids of databases in the arguments of tools. Node 20 can neither see their
// text in `JSON.parse` nor write such in `JSON.stringify`. So they are carried as marked strings, between one and the other.
import { parseJson, parseObject } from '../lib/json-repair.ts'
import { endOfString } from './bare-keys.ts'

/** A noncharacter, which no text holds. */
const MARK = '\ufdd0'
const MARKED = new RegExp(`"${MARK}(-?\\d+)${MARK}"`, 'g')

/** The fewest digits of a number that may be too large. */
const DIGITS = 16
const ZERO = 0x30
const NINE = 0x39
const QUOTE = 0x22

/** The text's value, with each whole number that is too large as a marked string. */
export function parseExact(text: string): unknown {
  return parseJson(hasLong(text) ? marked(text) : text)
}

/** The text's object likewise, or undefined when it holds none. */
export function exactObject(text: string): Record<string, unknown> | undefined {
  return hasLong(text) ? parseObject(marked(text)) : parseObject(text)
}

/** JSON of what `parseExact` gave, with all its digits. */
export function exactJson(value: unknown): string {
  return unmarked(JSON.stringify(value))
}

/** Without the marks. */
export function unmarked(json: string): string {
  return json.includes(MARK) ? json.replace(MARKED, '$1') : json
}

/** The number that was marked, as near as JavaScript can say it. */
export function nearest(text: string): number | undefined {
  return text.startsWith(MARK) && text.endsWith(MARK) ? Number(text.slice(1, -1)) : undefined
}

/** A run of so many digits lies under each such step: one look in sixteen finds it. */
function hasLong(text: string): boolean {
  for (let at = DIGITS - 1; at < text.length; at += DIGITS) {
    if (!isDigit(text, at)) continue
    let from = at
    while (isDigit(text, from - 1)) from--
    let to = at
    while (isDigit(text, to + 1)) to++
    if (to - from + 1 >= DIGITS) return true
  }
  return false
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= ZERO && code <= NINE
}

const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/y

function marked(text: string): string {
  const out: string[] = []
  let done = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (isDigit(text, at)) {
      const start = text[at - 1] === '-' ? at - 1 : at
      NUMBER.lastIndex = start
      const number = NUMBER.exec(text)?.[0] ?? ''
      at = start + number.length - 1
      if (!isTooLarge(number)) continue
      out.push(text.slice(done, start), `"${MARK}${number}${MARK}"`)
      done = at + 1
    }
  }
  return out.join('') + text.slice(done)
}

function isTooLarge(number: string): boolean {
  return number.length >= DIGITS && /^-?\d+$/.test(number) && String(Number(number)) !== number
}
