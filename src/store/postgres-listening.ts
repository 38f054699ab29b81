// One connection that only listens. It comes back by itself, and says so, since what was told meanwhile is lost.

import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import type { StoreLog } from './database.ts'

type Listener = (payload: string | undefined) => void

/** A connection that died without a word is found out after this long and an answer's deadline. */
const PING_MS = 15_000
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 5_000

export class Listening {
  readonly #connect: () => pg.Client
  readonly #log: StoreLog
  readonly #listeners = new Map<string, Set<Listener>>()
  readonly #closing = new AbortController()
  #client: pg.Client | undefined
  #running: Promise<void> | undefined
  #tried: Promise<void> | undefined

  constructor(connect: () => pg.Client, log: StoreLog) {
    this.#connect = connect
    this.#log = log
  }

  /** Settles when it listens, or when the first attempt has failed: it goes on trying. */
  async listen(channel: string, listener: Listener): Promise<() => void> {
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners.add(listener))
    if (this.#client !== undefined) await this.#begin(this.#client, channel).catch(() => undefined)
    this.#tried ??= new Promise(resolve => {
      this.#running = this.#run(resolve)
    })
    await this.#tried
    return () => listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#client?.end().catch(() => undefined)
    await this.#running
  }

  async #run(tried: () => void): Promise<void> {
    let pause = FIRST_PAUSE_MS
    let interrupted = false
    while (!this.#closing.signal.aborted) {
      const client = this.#connect()
      const lost = new Promise<Error>(resolve => {
        client.on('error', resolve)
        client.on('end', () => resolve(new Error('the connection ended')))
      })
      client.on('notification', ({ channel, payload }) => this.#tell(channel, payload))
      try {
        await client.connect()
        for (const channel of this.#listeners.keys()) await this.#begin(client, channel)
        this.#client = client
        if (interrupted) for (const channel of this.#listeners.keys()) this.#tell(channel, undefined)
        pause = FIRST_PAUSE_MS
        tried()
        throw await this.#watch(client, lost)
      } catch (error) {
        tried()
        this.#client = undefined
        client.end().catch(() => undefined)
        if (this.#closing.signal.aborted) return
        if (!interrupted || pause === FIRST_PAUSE_MS) {
          this.#log('warn', 'changes on other gateways are not heard for now', {
            error: error instanceof Error ? error.message : String(error)
          })
        }
        interrupted = true
      }
      await wait(pause, undefined, { signal: this.#closing.signal }).catch(() => undefined)
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS)
    }
  }

  /** The error that ended it. */
  async #watch(client: pg.Client, lost: Promise<Error>): Promise<unknown> {
    let pings: NodeJS.Timeout | undefined
    const deaf = new Promise<unknown>(resolve => {
      // A query has a deadline, so a connection that died without a word fails here.
      pings = setInterval(() => client.query('select 1').catch(resolve), PING_MS).unref()
    })
    const error = await Promise.race([lost, deaf])
    clearInterval(pings)
    return error
  }

  async #begin(client: pg.Client, channel: string): Promise<void> {
    await client.query(`listen ${pg.escapeIdentifier(channel)}`)
  }

  #tell(channel: string, payload: string | undefined): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener(payload)
  }
}
