// What `/metrics` says, read back.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g
const ESCAPED: Readonly<Record<string, string>> = { n: '\n' }

/** The samples of a scrape. Lines that are none are passed over. */
export function readScrape(text: string): Sample[] {
  return text.split('\n').flatMap(line => {
    const [, name, labels = '', value] = line.startsWith('#') ? [] : (LINE.exec(line) ?? [])
    const number = Number(value)
    // What nobody has measured yet is «NaN».
    if (name === undefined || Number.isNaN(number)) return []
    const pairs = [...labels.matchAll(LABEL)].map(([, label = '', said = '']) => [
      label,
      said.replace(/\\(.)/g, (_, character: string) => ESCAPED[character] ?? character)
    ])
    return [{ name, labels: Object.fromEntries(pairs), value: number }]
  })
}

/** Two scrapes and the seconds between them: what went on meanwhile. */
export class Meanwhile {
  readonly #now: ReadonlyMap<string, readonly Sample[]>
  readonly #before: ReadonlyMap<string, number>
  readonly seconds: number

  constructor(before: readonly Sample[], now: readonly Sample[], seconds: number) {
    this.#before = new Map(before.map(sample => [identityOf(sample), sample.value]))
    this.#now = grouped(now)
    this.seconds = seconds
  }

  /** As it is now. */
  gauge(name: string, match: Readonly<Record<string, string>> = {}): number | undefined {
    const samples = this.#matching(name, match)
    return samples.length === 0 ? undefined : samples.reduce((sum, { value }) => sum + value, 0)
  }

  /** By how much a counter went up; undefined where it is not there. */
  increase(name: string, match: Readonly<Record<string, string>> = {}): number | undefined {
    const samples = this.#matching(name, match)
    return samples.length === 0 ? undefined : samples.reduce((sum, sample) => sum + this.#grown(sample), 0)
  }

  rate(name: string, match: Readonly<Record<string, string>> = {}): number | undefined {
    const increase = this.increase(name, match)
    return increase === undefined ? undefined : increase / this.seconds
  }

  /** Undefined while nothing was observed. Within a bucket all values are taken to lie evenly, as Prometheus does. */
  quantile(of: number, name: string, match: Readonly<Record<string, string>>): number | undefined {
    const counts = new Map<number, number>()
    for (const sample of this.#matching(`${name}_bucket`, match)) {
      const bound = Number(sample.labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : sample.labels['le'])
      counts.set(bound, (counts.get(bound) ?? 0) + this.#grown(sample))
    }
    const buckets = [...counts].sort(([a], [b]) => a - b)
    const total = buckets.at(-1)?.[1] ?? 0
    if (total === 0) return undefined
    let [low, below] = [0, 0]
    for (const [bound, upTo] of buckets) {
      if (upTo >= of * total)
        return bound === Number.POSITIVE_INFINITY ? low : low + ((bound - low) * (of * total - below)) / (upTo - below)
      low = bound
      below = upTo
    }
    return low
  }

  /** What a label says, in the order of the alphabet. */
  values(name: string, label: string): string[] {
    return [...new Set(this.#matching(name, {}).flatMap(({ labels }) => labels[label] ?? []))].sort()
  }

  #matching(name: string, match: Readonly<Record<string, string>>): Sample[] {
    const wanted = Object.entries(match)
    return (this.#now.get(name) ?? []).filter(({ labels }) => wanted.every(([label, value]) => labels[label] === value))
  }

  /** A counter that went back was begun anew. */
  #grown(sample: Sample): number {
    const before = this.#before.get(identityOf(sample)) ?? 0
    return sample.value < before ? sample.value : sample.value - before
  }
}

function identityOf({ name, labels }: Sample): string {
  return `${name}${JSON.stringify(labels)}`
}

function grouped(samples: readonly Sample[]): Map<string, Sample[]> {
  const groups = new Map<string, Sample[]>()
  for (const sample of samples) {
    const group = groups.get(sample.name)
    if (group === undefined) groups.set(sample.name, [sample])
    else group.push(sample)
  }
  return groups
}
