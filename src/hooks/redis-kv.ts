import { Redis } from 'ioredis'
import type { Kv } from './hook.ts'

const PREFIX = 'sluice:kv:'
/** A store that takes longer costs more than it saves. */
const COMMAND_TIMEOUT = 500
const CONNECTING = 1000
const RESTING = 1000

/** Texts that several gateways share. Each call fails at once while Redis is away, and works again when it is back. */
export class RedisKv implements Kv {
  readonly #redis: Redis
  #restsUntil = 0
  #opening: Promise<unknown> | undefined

  constructor(url: string) {
    this.#redis = new Redis(url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: COMMAND_TIMEOUT,
      connectTimeout: CONNECTING,
      retryStrategy: times => Math.min(50 * times, 1000)
    })
    // Whoever asks is told; without a listener the process would end.
    this.#redis.on('error', () => undefined)
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.#run(redis => redis.get(PREFIX + key))) ?? undefined
  }

  async set(key: string, value: string, seconds: number): Promise<void> {
    const milliseconds = Math.round(seconds * 1000)
    if (milliseconds <= 0) return this.delete(key)
    await this.#run(redis => redis.set(PREFIX + key, value, 'PX', milliseconds))
  }

  async delete(key: string): Promise<void> {
    await this.#run(redis => redis.del(PREFIX + key))
  }

  close(): void {
    this.#redis.disconnect()
  }

  async #run<Value>(work: (redis: Redis) => Promise<Value>): Promise<Value> {
    if (performance.now() < this.#restsUntil) throw new Error('Redis did not answer lately')
    await this.#opened()
    try {
      return await work(this.#redis)
    } catch (error) {
      // One that hangs is asked now and then, not by every request.
      if (/timed out/.test(String(error))) this.#restsUntil = performance.now() + RESTING
      throw error
    }
  }

  /** Undefined before anybody asked it for something. */
  get state(): 'healthy' | 'unreachable' | undefined {
    if (this.#opening === undefined) return undefined
    return this.#redis.status === 'ready' && performance.now() >= this.#restsUntil ? 'healthy' : 'unreachable'
  }

  /** The first to ask waits for the connection; who asks while it is lost does not. */
  #opened(): Promise<unknown> | undefined {
    if (this.#redis.status === 'ready') return undefined
    this.#opening ??= Promise.race([
      this.#redis.connect().catch(() => undefined),
      new Promise(resolve => setTimeout(resolve, CONNECTING).unref())
    ])
    return this.#opening
  }
}
