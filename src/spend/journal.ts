// What calls cost, kept on this machine's disk until the store has it. A line is in the file before its answer is complete,
// so it outlives the process; `fsync` follows within a tenth of a second. Neither a full disk nor a database that is away
// holds up an answer: both are told, loudly.

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { StoreLog } from '../store/database.ts'
import type { SettledCall } from '../store/spend.ts'
import { encodeLine } from './journal-line.ts'
import { leftBehind, OpenSegment, remove, type Segment, segmentName } from './segment.ts'
import { type Ship, Shipping } from './shipping.ts'

export interface JournalSettings {
  /** Made when the first call is written down. */
  readonly folder: string
  /** Bytes of all files together. */
  readonly maxBytes: number
  readonly log: StoreLog
  /** Bytes after which a new file is begun. */
  readonly segmentBytes?: number
}

const SYNC_EVERY = 80
const SEGMENT_BYTES = 4 * 1024 * 1024
/** A file that is this long and all in the store has served its purpose. */
const SERVED_BYTES = 256 * 1024
const RETRY_EVERY = 1000
/** What the disk does not take waits in memory, so many lines of it. */
const MOST_WAITING = 10_000
const TELL_EVERY = 10_000
/** How long the end of the gateway waits for the store. */
const LAST_WORDS = 3000

export class Journal {
  readonly #settings: JournalSettings
  readonly #startedAt = Date.now()
  /** Oldest first; the last one is being written. */
  readonly #segments: Segment[] = []
  #current: OpenSegment | undefined
  #count = 0
  /** Sent and not settled, by their ids. */
  readonly #sent = new Map<string, string>()
  /** Lines that the disk has not taken yet. */
  readonly #waiting: string[] = []
  readonly #shipping: Shipping
  #opened = false
  #closed = false
  #syncing = false
  #unsynced: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined
  #toldAt = 0
  #lost = 0
  #lostSinceTold = 0

  constructor(settings: JournalSettings) {
    this.#settings = settings
    this.#shipping = new Shipping(settings.log, this.#segments, {
      isOurs: segment => segment instanceof OpenSegment,
      served: segment => this.#served(segment)
    })
  }

  /** Calls that are written down here and not in the store. */
  get pending(): number {
    return this.#shipping.pending + this.#waiting.length
  }

  /** Calls of which nothing is left but what the metrics say. */
  get lost(): number {
    return this.#lost
  }

  /** A call that costs money goes out: should we not live to see its end, it will be known that there was one. */
  sent(call: SettledCall): void {
    const line = encodeLine('sent', call)
    this.#sent.set(call.callId, line)
    // Where it cannot be written, its end may be.
    if (this.#open() && this.#waiting.length === 0 && this.#fits(line)) this.#append(line)
  }

  settled(call: SettledCall): void {
    const line = encodeLine('settled', call)
    this.#sent.delete(call.callId)
    this.#open()
    if (this.#waiting.length === 0 && this.#fits(line) && this.#append(line)) return this.#shipping.added()
    if (this.#fits(line) && this.#waiting.length < MOST_WAITING) this.#waiting.push(line)
    else this.#lose()
  }

  /** Hands on what is here and what will come, whenever the store takes it. */
  ship(to: Ship): void {
    this.#open()
    this.#shipping.begin(to)
  }

  /** Everything is on the disk when this resolves, and in the store if that answers soon. */
  async close(): Promise<void> {
    clearTimeout(this.#unsynced)
    this.#write()
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#shipping.close(LAST_WORDS)
    const current = this.#current
    if (current === undefined) return
    this.#current = undefined
    await new Promise<void>(resolve => current.sync(() => resolve()))
    current.close()
    if (current.shipped === current.size) remove(current)
  }

  /** Finds what processes before this one have left. */
  #open(): boolean {
    if (this.#opened) return this.#current !== undefined || this.#begin()
    this.#opened = true
    const { folder } = this.#settings
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      this.#segments.push(...leftBehind(folder, readdirSync(folder)))
    } catch (error) {
      this.#fail(error)
    }
    return this.#begin()
  }

  #begin(): boolean {
    if (this.#closed) return false
    let next: OpenSegment | undefined
    try {
      const { folder } = this.#settings
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      next = new OpenSegment(join(folder, segmentName(this.#startedAt, this.#count++)))
      // What has not ended yet is told again, so that the file before can go once it is in the store.
      for (const line of this.#sent.values()) next.append(line)
    } catch (error) {
      next?.close()
      if (next !== undefined) remove(next)
      this.#fail(error)
      return false
    }
    const before = this.#current
    before?.sync(() => before.close())
    this.#current = next
    this.#segments.push(next)
    return true
  }

  #append(line: string): boolean {
    const { segmentBytes = SEGMENT_BYTES } = this.#settings
    if ((this.#current?.size ?? 0) >= segmentBytes) this.#begin()
    try {
      this.#current?.append(line)
      this.#unsynced ??= setTimeout(() => this.#sync(), SYNC_EVERY).unref()
      return this.#current !== undefined
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  #sync(): void {
    this.#unsynced = undefined
    const current = this.#current
    if (current === undefined) return
    // A slow disk is asked again once it has answered.
    if (this.#syncing) {
      this.#unsynced = setTimeout(() => this.#sync(), SYNC_EVERY).unref()
      return
    }
    this.#syncing = true
    current.sync(error => {
      this.#syncing = false
      if (error !== null && current === this.#current) this.#fail(error)
    })
  }

  #fits(line: string): boolean {
    let used = line.length
    for (const { size } of this.#segments) used += size
    return used <= this.#settings.maxBytes
  }

  #served(segment: Segment): boolean {
    if (segment === this.#current) {
      if (segment.size < SERVED_BYTES || !this.#begin()) return false
    }
    const at = this.#segments.indexOf(segment)
    if (at >= 0) this.#segments.splice(at, 1)
    remove(segment)
    return true
  }

  /** The disk does not take it now. */
  #fail(error: unknown): void {
    this.#tell('the journal of spend cannot be written; what calls cost is kept in memory for now', {
      error: String(error)
    })
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      this.#write()
    }, RETRY_EVERY).unref()
  }

  #write(): void {
    while (this.#waiting.length > 0) {
      const [line = ''] = this.#waiting
      if (!this.#open() || !this.#append(line)) return
      this.#waiting.shift()
      this.#shipping.added()
    }
  }

  #lose(): void {
    this.#lost++
    this.#lostSinceTold++
    this.#tell('the journal of spend is full: what calls cost is not written down any more', {
      bytes: this.#settings.maxBytes
    })
  }

  #tell(message: string, fields: Readonly<Record<string, unknown>>): void {
    const now = Date.now()
    if (now - this.#toldAt < TELL_EVERY) return
    this.#toldAt = now
    this.#settings.log('error', message, { ...fields, pending: this.pending, lost: this.#lostSinceTold })
    this.#lostSinceTold = 0
  }
}
