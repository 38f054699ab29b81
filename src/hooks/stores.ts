import type { Kv } from './hook.ts'
import { MemoryKv } from './memory-kv.ts'
import { RedisKv } from './redis-kv.ts'

/** Where hooks keep what they want to find again: this process, or the Redis that a configuration names. */
export class Stores {
  readonly #memory = new MemoryKv()
  readonly #redis = new Map<string, RedisKv>()

  /** `url`: empty for memory. Nothing is connected before it is used. */
  at(url: string): Kv {
    if (url === '') return this.#memory
    return {
      get: key => this.#at(url).get(key),
      set: (key, value, seconds) => this.#at(url).set(key, value, seconds),
      delete: key => this.#at(url).delete(key)
    }
  }

  /** Whether what hooks keep can be reached, of all that was used; undefined where it lies in memory or nobody asked yet. */
  get redis(): 'healthy' | 'unreachable' | undefined {
    const states = [...this.#redis.values()].map(kv => kv.state)
    return states.find(state => state === 'unreachable') ?? states.find(state => state === 'healthy')
  }

  /** Closes the connections that nobody has a use for any more; one that is asked for again is opened again. */
  keepOnly(urls: ReadonlySet<string>): void {
    for (const [url, kv] of this.#redis) {
      if (urls.has(url)) continue
      this.#redis.delete(url)
      kv.close()
    }
  }

  #at(url: string): RedisKv {
    let kv = this.#redis.get(url)
    if (kv === undefined) {
      kv = new RedisKv(url)
      this.#redis.set(url, kv)
    }
    return kv
  }
}
