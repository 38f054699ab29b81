import type { Value } from './exposition.ts'

interface Entry {
  readonly labels: readonly string[]
  value: number
}

/** Counts what happens seldom, by its labels. Once there are `most` of them, a new one counts as `other` in its last label. */
export class Tally {
  readonly #names: readonly string[]
  readonly #most: number
  readonly #entries = new Map<string, Entry>()

  constructor(names: readonly string[], most = Number.POSITIVE_INFINITY) {
    this.#names = names
    this.#most = most
  }

  add(labels: readonly string[], amount = 1): void {
    const known = this.#entries.get(JSON.stringify(labels))
    if (known !== undefined) known.value += amount
    else if (this.#entries.size < this.#most) this.#entries.set(JSON.stringify(labels), { labels, value: amount })
    else this.#addToOther([...labels.slice(0, -1), 'other'], amount)
  }

  values(): Value[] {
    return [...this.#entries.values()].map(({ labels, value }) => ({
      labels: Object.fromEntries(this.#names.map((name, index) => [name, labels[index] ?? ''])),
      value
    }))
  }

  /** The labels before the last are the operator's own, so these are few. */
  #addToOther(labels: readonly string[], amount: number): void {
    const key = JSON.stringify(labels)
    const known = this.#entries.get(key)
    if (known !== undefined) known.value += amount
    else this.#entries.set(key, { labels, value: amount })
  }
}
