/** The last words of a conversation, as a vector. */
export interface Prompt {
  /** Everything but the words that are compared. */
  readonly scope: string
  /** Of length 1. */
  readonly vector: Float32Array
}

/** Prompts by where they point, for as many as fit. */
export class Prompts {
  readonly #threshold: number
  readonly #most: number
  /** In the order of their age. */
  readonly #known = new Map<string, Prompt>()
  readonly #byScope = new Map<string, Set<string>>()

  constructor(threshold: number, most: number) {
    this.#threshold = threshold
    this.#most = most
  }

  add(key: string, prompt: Prompt): void {
    this.#remove(key)
    this.#known.set(key, prompt)
    const keys = this.#byScope.get(prompt.scope) ?? new Set()
    this.#byScope.set(prompt.scope, keys.add(key))
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#most) return
      this.#remove(oldest)
    }
  }

  nearest({ scope, vector }: Prompt): { readonly key: string; readonly similarity: number } | undefined {
    let found: { readonly key: string; readonly similarity: number } | undefined
    for (const key of this.#byScope.get(scope) ?? []) {
      const known = this.#known.get(key)
      const similarity = known === undefined ? 0 : cosine(known.vector, vector)
      if (similarity >= this.#threshold && similarity > (found?.similarity ?? 0)) found = { key, similarity }
    }
    return found
  }

  #remove(key: string): void {
    const prompt = this.#known.get(key)
    if (prompt === undefined) return
    this.#known.delete(key)
    const keys = this.#byScope.get(prompt.scope)
    keys?.delete(key)
    if (keys?.size === 0) this.#byScope.delete(prompt.scope)
  }
}

export function unit(vector: readonly number[]): Float32Array {
  const length = Math.hypot(...vector) || 1
  return Float32Array.from(vector, number => number / length)
}

/** Of two vectors of length 1; those of two models cannot be compared. */
function cosine(one: Float32Array, other: Float32Array): number {
  if (one.length !== other.length) return 0
  let sum = 0
  for (let at = 0; at < one.length; at++) sum += (one[at] ?? 0) * (other[at] ?? 0)
  return sum
}
