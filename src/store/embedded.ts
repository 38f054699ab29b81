// PostgreSQL without a server: PGlite in a worker, its files in a folder of ours.

import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Failure } from '../chat/failure.ts'
import { again, type Database, type Queries, runTransaction, type StoreLog } from './database.ts'
import type { Answer, Ask, Start } from './embedded-messages.ts'
import { upkeep } from './embedded-upkeep.ts'
import { failureOf, unavailable } from './failures.ts'
import { type FolderLock, type LockEvents, type LockTimes, lockFolder } from './folder-lock.ts'
import { encodeParameter, type Parameter, type Row } from './values.ts'

/** Its files are read by no other version, and it says so in no way that a person could understand. */
const POSTGRESQL = '18'
const WORKER = new URL('./embedded-worker.js', import.meta.url)
const ANSWER_MS = 30_000
/** A thread that died is not started more often than this. */
const RESTART_MS = 1_000

export interface EmbeddedTimes extends LockTimes {
  /** How often it is looked after. */
  readonly upkeep: number
}

const TIMES: EmbeddedTimes = { beat: 2_000, patience: 9_000, upkeep: 30_000 }

export async function openEmbedded(
  dataDir: string,
  log: StoreLog,
  times: EmbeddedTimes = TIMES
): Promise<Database | Failure> {
  const folder = join(dataDir, 'pg')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    chmodSync(dataDir, 0o700)
    chmodSync(folder, 0o700)
  } catch (error) {
    return unavailable(`The folder ${folder} cannot be made.`, error)
  }
  const version = versionOf(folder)
  if (version !== undefined && version !== POSTGRESQL) {
    return unavailable(`${folder} was made by PostgreSQL ${version}, and this Sluice embeds ${POSTGRESQL}.`)
  }
  let database: Embedded | undefined
  const events: LockEvents = {
    waiting: () => log('info', 'waiting to see whether another machine uses the embedded database', { folder }),
    lost: () => {
      log('error', 'another process took the embedded database: nothing is written any more', { folder })
      database?.surrender()
    }
  }
  const lock = await lockFolder(join(dataDir, 'pg.lock'), events, times)
  if (lock instanceof Failure) return lock
  const unmade = version === undefined ? await make(folder) : undefined
  if (unmade !== undefined) {
    lock.release()
    return unmade
  }
  database = new Embedded(folder, lock, log, times)
  const ready = await database.ready()
  if (ready === undefined) return database
  await database.close()
  return ready
}

/** In a thread that ends with it: what making takes, half a gigabyte, would stay with the one that serves. */
function make(folder: string): Promise<Failure | undefined> {
  return new Promise(resolve => {
    let failed: Failure | undefined
    const workerData: Start = { folder, make: true }
    const worker = new Worker(WORKER, { workerData, execArgv: [] })
    worker.on('message', (answer: Answer) => {
      if ('cannotStart' in answer) failed = unavailable(`No database can be made in ${folder}: ${answer.cannotStart}`)
    })
    worker.on('error', error => {
      failed = unavailable(`No database can be made in ${folder}.`, error)
    })
    worker.on('exit', () => resolve(failed))
  })
}

function versionOf(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'PG_VERSION'), 'utf8').trim()
  } catch {
    return undefined
  }
}

interface Waiting {
  readonly resolve: (result: readonly Row[] | Failure) => void
  readonly late: NodeJS.Timeout
}

class Embedded implements Database {
  readonly kind = 'embedded'
  readonly #folder: string
  readonly #lock: FolderLock
  readonly #times: EmbeddedTimes
  #upkeep: NodeJS.Timeout | undefined
  readonly #log: StoreLog
  readonly #waiting = new Map<number, Waiting>()
  readonly #listeners = new Map<string, Set<(payload: string | undefined) => void>>()
  #thread: Thread | undefined
  #startedAt = 0
  #asked = 0
  #lookedAfter = 0
  /** Settles when the last transaction so far is over: there is one session, so others wait for it. */
  #turn: Promise<void> = Promise.resolve()
  #ended: Failure | undefined

  constructor(folder: string, lock: FolderLock, log: StoreLog, times: EmbeddedTimes) {
    this.#folder = folder
    this.#lock = lock
    this.#log = log
    this.#times = times
    this.#planUpkeep()
  }

  async query(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[] | Failure> {
    await this.#turn
    return this.#ask(this.#running(), { text, parameters: parameters?.map(encodeParameter) })
  }

  async transaction<Result>(run: (queries: Queries) => Promise<Result | Failure>): Promise<Result | Failure> {
    const before = this.#turn
    let done = () => {}
    this.#turn = new Promise(resolve => {
      done = resolve
    })
    await before
    // A thread that was started meanwhile knows of no transaction: what is left of one must not reach it.
    const thread = this.#running()
    const queries: Queries = {
      query: (text, parameters) => this.#ask(thread, { text, parameters: parameters?.map(encodeParameter) })
    }
    try {
      return await again(() => runTransaction(queries, 'begin', run))
    } finally {
      done()
    }
  }

  async listen(channel: string, listener: (payload: string | undefined) => void): Promise<() => void> {
    const listeners = this.#listeners.get(channel) ?? new Set()
    this.#listeners.set(channel, listeners.add(listener))
    await this.#turn
    await this.#ask(this.#running(), { text: '', parameters: undefined, channel })
    return () => listeners.delete(listener)
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return
    clearTimeout(this.#upkeep)
    await this.#turn
    const thread = this.#thread
    const closed = thread && this.#ask(thread, { text: '', parameters: undefined, close: true })
    this.#ended = unavailable('The database is closed.')
    await closed
    await thread?.worker.terminate()
    this.#lock.release()
  }

  /** Ends at once, without another byte written. */
  surrender(): void {
    clearTimeout(this.#upkeep)
    this.#ended = unavailable('Another process has taken the embedded database.')
    this.#thread?.worker.terminate()
  }

  /** Undefined when the thread has the database open. */
  ready(): Promise<Failure | undefined> {
    this.#thread ??= this.#start()
    return this.#thread.ready
  }

  #planUpkeep(): void {
    if (this.#ended === undefined) this.#upkeep = setTimeout(() => this.#lookAfter(), this.#times.upkeep).unref()
  }

  async #lookAfter(): Promise<void> {
    // Where nobody has asked for anything since the last time, there is nothing to look after.
    const failed = this.#asked === this.#lookedAfter ? undefined : await upkeep(this)
    if (failed !== undefined && this.#ended === undefined) {
      this.#log('warn', 'the embedded database could not be looked after', { error: failed.message })
    }
    this.#lookedAfter = this.#asked
    this.#planUpkeep()
  }

  #running(): Thread | Failure {
    if (this.#ended !== undefined) return this.#ended
    if (this.#thread === undefined) {
      if (Date.now() - this.#startedAt < RESTART_MS) return unavailable('The embedded database is starting again.')
      this.#thread = this.#start()
    }
    return this.#thread
  }

  async #ask(thread: Thread | Failure, ask: Omit<Ask, 'id'>): Promise<readonly Row[] | Failure> {
    if (thread instanceof Failure) return thread
    if (thread !== this.#thread) return unavailable('The embedded database has stopped.')
    const id = this.#asked++
    return new Promise(resolve => {
      // The thread reads what came while it was starting, in order.
      const late = setTimeout(() => this.#settle(id, unavailable('The database took too long.')), ANSWER_MS)
      this.#waiting.set(id, { resolve, late })
      thread.worker.postMessage({ ...ask, id } satisfies Ask)
    })
  }

  #start(): Thread {
    this.#startedAt = Date.now()
    const workerData: Start = { folder: this.#folder }
    const worker = new Worker(WORKER, { workerData, execArgv: [] })
    const restarted = this.#asked > 0
    const ready = new Promise<Failure | undefined>(resolve => {
      worker.on('message', (answer: Answer) => {
        if ('ready' in answer) resolve(undefined)
        else if ('cannotStart' in answer) {
          resolve(unavailable(`The embedded database does not open: ${answer.cannotStart}`))
          worker.terminate()
        } else if ('channel' in answer) this.#tell(answer.channel, answer.payload)
        else this.#settle(answer.id, 'rows' in answer ? answer.rows : failureOf(answer.trouble))
      })
      let cause: unknown
      // An error that nobody caught is followed by the exit.
      worker.on('error', error => {
        cause = error
      })
      worker.on('exit', () => {
        this.#thread = undefined
        const gone = unavailable('The embedded database has stopped.', cause)
        if (this.#ended === undefined) this.#log('error', 'the embedded database has stopped', { error: String(cause) })
        resolve(gone)
        for (const id of this.#waiting.keys()) this.#settle(id, this.#ended ?? gone)
      })
    })
    const thread = { worker, ready }
    if (restarted) ready.then(failed => failed ?? this.#listenAgain(thread))
    return thread
  }

  #listenAgain(thread: Thread): void {
    for (const [channel, listeners] of this.#listeners) {
      this.#ask(thread, { text: '', parameters: undefined, channel }).then(() => {
        for (const listener of listeners) listener(undefined)
      })
    }
  }

  #settle(id: number, result: readonly Row[] | Failure): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) return
    this.#waiting.delete(id)
    clearTimeout(waiting.late)
    waiting.resolve(result)
  }

  #tell(channel: string, payload: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) listener(payload)
  }
}

interface Thread {
  readonly worker: Worker
  readonly ready: Promise<Failure | undefined>
}
