import type { Extra } from '../chat/request.ts'

const MOST = 40

/** What Responses and OpenAI Chat note to say the same thing again in the same way; no other dialect misses it. */
const BOOKKEEPING: ReadonlySet<string> = new Set(['item', 'part', 'added', 'namespace', 'system.role'])

/** What could not be said, as paths of fields. They go into a header: clients choose some of the names. */
export class Dropped {
  readonly #mine: string
  readonly #paths = new Set<string>()

  constructor(mine: string) {
    this.#mine = mine
  }

  add(path: string): void {
    if (this.#paths.size < MOST) this.#paths.add(path.slice(0, 80).replace(/[^\w.-]/g, '_'))
  }

  /** Declares what other dialects keep in an `extra`, and returns what this one does. */
  extra(extra: Extra | undefined, at = ''): Readonly<Record<string, unknown>> {
    if (extra === undefined) return {}
    for (const [dialect, known] of Object.entries(extra)) {
      if (dialect !== this.#mine)
        for (const key of Object.keys(known))
          if (!BOOKKEEPING.has(key) && !BOOKKEEPING.has(at + key)) this.add(at + key)
    }
    return extra[this.#mine] ?? {}
  }

  list(): string[] {
    return [...this.#paths].sort()
  }
}
