// From the journal's files to the store, in batches, again and again until it takes them. Sent twice, a call counts once.

import { Failure } from '../chat/failure.ts'
import type { StoreLog } from '../store/database.ts'
import type { Inserted, SettledCall } from '../store/spend.ts'
import { decodeLine, isSent } from './journal-line.ts'
import { readPiece, type Segment } from './segment.ts'

/** Writes calls into the store. */
export type Ship = (calls: readonly SettledCall[]) => Promise<Inserted | Failure>

interface Files {
  /** This process wrote it. */
  isOurs(segment: Segment): boolean
  /** All of it is in the store; true when the file has gone. */
  served(segment: Segment): boolean
}

const SHIP_EVERY = 150
const FIRST_PAUSE = 500
const LONGEST_PAUSE = 15_000

export class Shipping {
  readonly #log: StoreLog
  readonly #segments: readonly Segment[]
  readonly #files: Files
  #ship: Ship | undefined
  #pending = 0
  #timer: NodeJS.Timeout | undefined
  #under: Promise<void> | undefined
  #pause = FIRST_PAUSE
  #failing = false
  /** Calls of processes before this one were told apart: which ended, and which did not. */
  #reviewed = false
  #closed = false

  constructor(log: StoreLog, segments: readonly Segment[], files: Files) {
    this.#log = log
    this.#segments = segments
    this.#files = files
  }

  get pending(): number {
    return this.#pending
  }

  begin(ship: Ship): void {
    this.#ship = ship
    this.#schedule(0)
  }

  /** A line has been written. */
  added(): void {
    this.#pending++
    this.#schedule(SHIP_EVERY)
  }

  /** Tries once more, for so many milliseconds at most. */
  async close(milliseconds: number): Promise<void> {
    clearTimeout(this.#timer)
    const late = new Promise(resolve => setTimeout(resolve, milliseconds).unref())
    await Promise.race([this.#under, late])
    if (this.#pending > 0 && this.#ship !== undefined && !this.#failing) await Promise.race([this.#run(), late])
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #schedule(milliseconds: number): void {
    if (this.#ship === undefined || this.#closed || this.#timer !== undefined || this.#under !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#run()
    }, milliseconds).unref()
  }

  async #run(): Promise<void> {
    const ship = this.#ship
    if (ship === undefined || this.#under !== undefined) return this.#under
    this.#under = this.#all(ship).then(
      failure => this.#rest(failure),
      (error: unknown) => this.#rest(new Failure('bug', 'The journal cannot be read.', { cause: error }))
    )
    return this.#under
  }

  #rest(failure: Failure | undefined): void {
    this.#under = undefined
    if (failure === undefined) {
      if (this.#failing) this.#log('info', 'spend is being written into the database again', { pending: this.#pending })
      this.#failing = false
      this.#pause = FIRST_PAUSE
      if (this.#pending > 0) this.#schedule(SHIP_EVERY)
      return
    }
    if (!this.#failing) {
      const { cause } = failure.details
      const error = cause instanceof Error ? { error: cause.message } : {}
      const message = `spend cannot be written into the database, and is kept on this machine's disk: ${failure.message}`
      this.#log('error', message, { pending: this.#pending, ...error })
    }
    this.#failing = true
    this.#schedule(this.#pause)
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE)
  }

  async #all(ship: Ship): Promise<Failure | undefined> {
    if (!this.#reviewed) {
      const failure = await this.#review(ship)
      if (failure !== undefined) return failure
      this.#reviewed = true
    }
    for (;;) {
      // What others have left goes, even where nothing is in it.
      const segment = this.#segments.find(each => each.shipped < each.size || !this.#files.isOurs(each))
      if (segment === undefined) return undefined
      const failure = await this.#drain(segment, ship)
      if (failure !== undefined) return failure
      if (segment.shipped === segment.size && !this.#files.served(segment)) return undefined
    }
  }

  async #drain(segment: Segment, ship: Ship): Promise<Failure | undefined> {
    const { lines, end } = await readPiece(segment, segment.shipped)
    if (lines.length === 0) {
      // What follows the last whole line was never finished.
      segment.shipped = segment.size
      return undefined
    }
    const calls: SettledCall[] = []
    let broken = 0
    for (const text of lines) {
      if (isSent(text)) continue
      const line = decodeLine(text)
      if (line === undefined) broken++
      else if (line.kind === 'settled') calls.push(line.call)
    }
    if (broken > 0) this.#log('warn', 'lines of the journal of spend cannot be read', { lines: broken })
    const failure = await this.#insert(calls, ship)
    if (failure !== undefined) return failure
    this.#pending = Math.max(0, this.#pending - calls.length - broken)
    segment.shipped = end
    return undefined
  }

  async #insert(calls: readonly SettledCall[], ship: Ship): Promise<Failure | undefined> {
    if (calls.length === 0) return undefined
    const inserted = await ship(calls)
    if (inserted instanceof Failure) return inserted
    for (const call of inserted.refused) {
      const cost = String(call.costNano)
      this.#log('error', 'the database does not take what a call cost', { call: call.callId, cost_nano: cost })
    }
    return undefined
  }

  /** What processes before this one sent and did not live to see answered: somebody may have been paid for it. */
  async #review(ship: Ship): Promise<Failure | undefined> {
    const open = new Map<string, SettledCall>()
    let settled = 0
    for (const segment of this.#segments) {
      if (this.#files.isOurs(segment)) continue
      for (let at = 0; ; ) {
        const { lines, end } = await readPiece(segment, at)
        if (lines.length === 0) break
        for (const text of lines) {
          const line = decodeLine(text)
          if (line?.kind === 'sent') open.set(line.call.callId, line.call)
          else settled++
          if (line?.kind === 'settled') open.delete(line.call.callId)
        }
        at = end
      }
    }
    if (open.size > 0 || settled > 0)
      this.#log('info', 'spend of an earlier run is written into the database', { calls: settled, unended: open.size })
    const failure = await this.#insert([...open.values()], ship)
    if (failure === undefined) this.#pending += settled
    return failure
  }
}
