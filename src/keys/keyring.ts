// The store of keys while a gateway runs: opened beside everything else, tried again until it is there, closed last.

import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../chat/failure.ts'
import type { Change } from '../store/changes.ts'
import type { StoreLog } from '../store/database.ts'
import { touchKeys } from '../store/keys.ts'
import type { Store } from '../store/store.ts'
import type { Caller } from './caller.ts'
import { Customers } from './customers.ts'
import { Directory, type DirectoryTimes, nobody } from './directory.ts'
import { type Digest, digestWith } from './secret.ts'

export interface KeyringSettings {
  /** Empty: the embedded database under `dataDir`. */
  readonly databaseUrl: string
  readonly dataDir: string
  /** What digests are made under, when the operator has one; every gateway on one database needs the same. */
  readonly pepper?: string | undefined
  readonly times?: DirectoryTimes
}

/** How long an administrator's first request waits for the database to be made. */
const PATIENCE = 60_000
const FIRST_PAUSE = 1_000
const LONGEST_PAUSE = 15_000
/** How often it is written down when keys were last used. */
const TOUCH_EVERY = 60_000
const NO_PEPPER = 'sluice keys'

export class Keyring {
  readonly #settings: KeyringSettings
  readonly #log: StoreLog
  readonly #closing = new AbortController()
  readonly #directory: Directory
  /** End users that requests name. */
  readonly customers = new Customers()
  readonly #whenOpen: ((store: Store) => void)[] = []
  readonly #whenWoken: (() => void)[] = []
  /** Called when it is known whether it opens. */
  readonly #whenTried: (() => void)[] = []
  #digest: Digest | undefined
  #store: Store | undefined
  #opening: Promise<void> | undefined
  #failure: Failure | undefined
  #touching: NodeJS.Timeout | undefined
  #touchedAt = Date.now()

  constructor(settings: KeyringSettings, log: StoreLog) {
    this.#settings = settings
    this.#log = log
    this.#directory = new Directory(secret => this.digest(secret), settings.times)
  }

  /**
   * Opens the store if there may be keys in it: an embedded one that nobody has made yet holds none, and those who use the master key
   * alone are spared a database. `declared`: there are keys to be put into it.
   */
  wake(declared = false): void {
    const { databaseUrl, dataDir } = this.#settings
    if (declared || databaseUrl !== '' || existsSync(join(dataDir, 'pg'))) this.#begin()
  }

  /** Opens it in any case; undefined when that does not succeed at once, or takes too long. */
  async opened(): Promise<Store | undefined> {
    this.#begin()
    if (this.#store === undefined && this.#failure === undefined) {
      const tried = new Promise<void>(resolve => this.#whenTried.push(resolve))
      await Promise.race([tried, wait(PATIENCE, undefined, { ref: false })])
    }
    return this.#store
  }

  /** Undefined until it is open; `problem` says why. */
  get store(): Store | undefined {
    return this.#store
  }

  /** For `/health`. `disabled`: nobody has made a key. */
  get state(): 'disabled' | 'opening' | 'unreachable' | 'healthy' {
    if (this.#opening === undefined) return 'disabled'
    if (this.#store !== undefined) return this.#directory.isReachable ? 'healthy' : 'unreachable'
    return this.#failure === undefined ? 'opening' : 'unreachable'
  }

  /** Why there is no store. */
  get problem(): Failure {
    const message = this.#failure?.message ?? 'The database of keys is being opened.'
    return new Failure('unavailable', message, { retryAfter: 2, cause: this.#failure?.details.cause })
  }

  /** Called once, when it begins to open; at once if it has. */
  onWake(listener: () => void): void {
    if (this.#opening === undefined) this.#whenWoken.push(listener)
    else listener()
  }

  /** Called once, at once if it is open already. */
  onOpen(listener: (store: Store) => void): void {
    if (this.#store === undefined) this.#whenOpen.push(listener)
    else listener(this.#store)
  }

  /** What this gateway has just changed itself: whoever did it need not wait until the database tells. */
  forget(change: Change | 'all'): void {
    this.#directory.forget(change)
    this.customers.forget(change)
  }

  find(credential: string): Caller | Failure | Promise<Caller | Failure> {
    return this.#opening === undefined ? nobody() : this.#directory.find(credential)
  }

  digest(secret: string): Buffer {
    this.#digest ??= digestWith(this.#pepper())
    return this.#digest(secret)
  }

  /** Writes down when keys were last used. */
  async touch(): Promise<void> {
    const used = this.#directory.usedSince(this.#touchedAt)
    const now = Date.now()
    if (this.#store === undefined || used.size === 0) return
    if ((await touchKeys(this.#store, used)) === undefined) this.#touchedAt = now
  }

  async close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#touching)
    await this.#opening
    if (this.#store === undefined) return
    await this.touch()
    await this.#store.close()
  }

  #begin(): void {
    if (this.#opening !== undefined) return
    this.#opening = this.#open()
    for (const listener of this.#whenWoken.splice(0)) listener()
  }

  async #open(): Promise<void> {
    const { databaseUrl, dataDir } = this.#settings
    const { signal } = this.#closing
    // Read only when wanted: gateways without keys need no driver in memory.
    const { openStore } = await import('../store/store.ts')
    for (let pause = FIRST_PAUSE; !signal.aborted; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      const began = performance.now()
      const store = await openStore({ databaseUrl, dataDir }, this.#log)
      if (!(store instanceof Failure)) return this.#use(store, performance.now() - began)
      if (this.#failure?.message !== store.message) {
        const { cause } = store.details
        const error = cause instanceof Error ? { error: cause.message } : {}
        this.#log('error', `keys cannot be looked up: ${store.message}`, error)
      }
      this.#failure = store
      for (const tried of this.#whenTried.splice(0)) tried()
      await wait(pause, undefined, { signal }).catch(() => undefined)
    }
  }

  async #use(store: Store, milliseconds: number): Promise<void> {
    if (this.#closing.signal.aborted) return store.close()
    // Listened first, so that nothing is remembered of which a change would not be heard.
    await store.onChange(change => this.forget(change))
    this.#directory.use(store)
    this.customers.use(store)
    this.#store = store
    this.#log('info', `keys are on (${store.kind})`, { database: store.kind, milliseconds: Math.round(milliseconds) })
    for (const listener of this.#whenOpen.splice(0)) listener(store)
    for (const tried of this.#whenTried.splice(0)) tried()
    this.#touching = setInterval(() => void this.touch(), TOUCH_EVERY).unref()
  }

  /**
   * The operator's own, else one in a file beside the embedded database. A database that gateways on several machines share
   * has none without the operator: secrets of 256 random bits need it least.
   */
  #pepper(): string | Buffer {
    const { pepper, databaseUrl, dataDir } = this.#settings
    if (pepper) return pepper
    if (databaseUrl) return NO_PEPPER
    const file = join(dataDir, 'key-pepper')
    try {
      return readFileSync(file)
    } catch {
      // None yet.
    }
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    const made = randomBytes(32)
    // Never over one that another process has just written.
    try {
      writeFileSync(file, made, { mode: 0o600, flag: 'wx' })
      chmodSync(file, 0o600)
      return made
    } catch {
      return readFileSync(file)
    }
  }
}
