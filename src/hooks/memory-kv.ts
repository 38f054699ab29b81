import type { Kv } from './hook.ts'

interface Kept {
  readonly value: string
  readonly until: number
  readonly bytes: number
}

const OVERHEAD = 200

/** What was used last stays, up to so many bytes. */
export class MemoryKv implements Kv {
  readonly #kept = new Map<string, Kept>()
  readonly #most: number
  #bytes = 0

  constructor(most = 64 * 1024 * 1024) {
    this.#most = most
  }

  async get(key: string): Promise<string | undefined> {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#remove(key)
    if (kept.until <= Date.now()) return undefined
    this.#put(key, kept)
    return kept.value
  }

  async set(key: string, value: string, seconds: number): Promise<void> {
    this.#remove(key)
    const bytes = 2 * (key.length + value.length) + OVERHEAD
    // One that fills a fifth of the room would drive out all others.
    if (bytes > this.#most / 5 || seconds <= 0) return
    this.#put(key, { value, until: Date.now() + seconds * 1000, bytes })
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#most) return
      this.#remove(oldest)
    }
  }

  async delete(key: string): Promise<void> {
    this.#remove(key)
  }

  #put(key: string, kept: Kept): void {
    this.#kept.set(key, kept)
    this.#bytes += kept.bytes
  }

  #remove(key: string): void {
    this.#bytes -= this.#kept.get(key)?.bytes ?? 0
    this.#kept.delete(key)
  }
}
