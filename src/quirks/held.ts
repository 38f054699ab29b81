/** The most characters of one call that are held back until it is whole. */
export const MOST_HELD = 8 * 1024 * 1024

/** Text that comes in pieces, however small. */
export class Held {
  readonly #joined: string[] = []
  #pieces: string[] = []
  length = 0

  append(text: string): void {
    this.length += text.length
    this.#pieces.push(text)
    if (this.#pieces.length < 1024) return
    this.#joined.push(this.#pieces.join(''))
    this.#pieces = []
  }

  toString(): string {
    return this.#joined.join('') + this.#pieces.join('')
  }
}

/** As much white space as may be waiting for what comes after it. */
const MOST_SPACE = 64

/** Where the white space begins that ends at `end`. */
export function spaceBefore(text: string, end: number, from = 0): number {
  const least = Math.max(from, end - MOST_SPACE)
  let at = end
  while (at > least && isSpace(text.charCodeAt(at - 1))) at--
  return at
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d)
}

/** Where the text's end begins that may be the beginning of one of the markers. */
export function partialMarker(text: string, from: number, markers: readonly string[], longest: number): number {
  for (let at = Math.max(from, text.length - longest + 1); at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code !== 0x3c && code !== 0x5b) continue
    const tail = text.slice(at)
    if (markers.some(marker => marker.startsWith(tail))) return at
  }
  return text.length
}
