/** A model name in which each `*` stands for any characters, anchored at both ends. No regular expression: the text comes from strangers. */
export class Glob {
  readonly pattern: string
  /** Characters that are not `*`: the more of them, the more specific. */
  readonly literals: number
  readonly #parts: readonly string[]

  constructor(pattern: string) {
    this.pattern = pattern
    this.#parts = pattern.split('*')
    this.literals = pattern.length - this.#parts.length + 1
  }

  /** What each `*` stood for, or undefined when the name does not match. */
  match(name: string): string[] | undefined {
    const first = this.#parts[0] ?? ''
    const last = this.#parts[this.#parts.length - 1] ?? ''
    const stars = this.#parts.length - 1
    if (stars === 0) return name === first ? [] : undefined
    if (name.length < this.literals || !name.startsWith(first) || !name.endsWith(last)) return undefined
    const captured: string[] = []
    let at = first.length
    for (let index = 1; index < stars; index++) {
      const part = this.#parts[index] ?? ''
      const found = name.indexOf(part, at)
      if (found < 0) return undefined
      captured.push(name.slice(at, found))
      at = found + part.length
    }
    if (at > name.length - last.length) return undefined
    captured.push(name.slice(at, name.length - last.length))
    return captured
  }
}

/** Puts what the stars of a glob stood for into the stars of a template, in order; the last one serves any that are left. */
export function fillStars(template: string, captured: readonly string[]): string {
  if (captured.length === 0 || !template.includes('*')) return template
  let index = 0
  return template.replace(/\*/g, () => captured[Math.min(index++, captured.length - 1)] ?? '')
}
