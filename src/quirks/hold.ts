import { ObjectProgress } from '../lib/json-repair.ts'
import type { Format } from './formats.ts'
import { Held, MOST_HELD, spaceBefore } from './held.ts'

/** Enough of the text before a piece to see a closer that is cut, and what stands before it. */
const WINDOW = 128

/** A call in the text, while it is written. Each character is looked at once, however it comes. */
export class Hold {
  /** White space that belongs to nothing if this is a call. */
  readonly before: string
  readonly format: Format
  readonly #held = new Held()
  #window = ''
  #begun = false
  /** Of a JSON call: a closer within one of its strings is part of the string. */
  #progress: ObjectProgress | undefined
  /** Where the first tag within a call of tags stands. */
  #firstTag = -1

  constructor(before: string, format: Format) {
    this.before = before
    this.format = format
  }

  /** Takes what belongs to the call: the rest of the text once it has ended, undefined before. */
  push(text: string, isTrusting: boolean): string | undefined {
    if (!this.#begun) this.#begin(text)
    const { closer } = this.format
    const end = closer === undefined ? undefined : this.#endIn(text, closer, isTrusting)
    const taken = end === undefined ? text : text.slice(0, end)
    this.#held.append(taken)
    if (end !== undefined) return text.slice(end)
    this.#window = (this.#window + text.slice(-WINDOW)).slice(-WINDOW)
    return undefined
  }

  get isTooLong(): boolean {
    return this.#held.length > MOST_HELD
  }

  /** All of the call's text after its opener. */
  get text(): string {
    return this.#held.toString()
  }

  #begin(text: string): void {
    const first = text.trimStart()[0]
    if (first === undefined) return
    this.#begun = true
    if (this.format.isNested === true && (first === '{' || first === '[')) this.#progress = new ObjectProgress()
  }

  #endIn(text: string, closer: string, isTrusting: boolean): number | undefined {
    const known = this.#window.length
    const joined = this.#window + text
    const offset = this.#held.length - known
    if (this.#firstTag < 0) {
      const at = text.indexOf('<')
      if (at >= 0) this.#firstTag = this.#held.length + at
    }
    let followed = known
    for (let at = joined.indexOf(closer, Math.max(0, known - closer.length + 1)); at >= 0; ) {
      if (at > followed) this.#progress?.push(joined.slice(followed, at))
      followed = Math.max(followed, at)
      if (isTrusting || this.#endsBefore(joined, at, offset)) return at + closer.length - known
      at = joined.indexOf(closer, at + closer.length)
    }
    this.#progress?.push(joined.slice(followed))
    return undefined
  }

  #endsBefore(joined: string, at: number, offset: number): boolean {
    if (this.format.isNested !== true) return true
    if (this.#progress !== undefined) return !this.#progress.inString
    return this.#firstTag >= offset + at || joined[spaceBefore(joined, at) - 1] === '>'
  }
}
