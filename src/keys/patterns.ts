// Names in which each `*` stands for any characters. No regular expression: the texts come from strangers.

export class Patterns {
  readonly #exact = new Set<string>()
  readonly #globs: (readonly string[])[] = []
  readonly #all: boolean

  constructor(patterns: readonly string[]) {
    this.#all = patterns.includes('*')
    for (const pattern of patterns) {
      if (pattern.includes('*')) this.#globs.push(pattern.split('*'))
      else this.#exact.add(pattern)
    }
  }

  has(name: string): boolean {
    return this.#all || this.#exact.has(name) || this.#globs.some(parts => matches(parts, name))
  }
}

function matches(parts: readonly string[], name: string): boolean {
  const first = parts[0] ?? ''
  const last = parts[parts.length - 1] ?? ''
  if (!name.startsWith(first)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return name.length - last.length >= at && name.endsWith(last)
}
