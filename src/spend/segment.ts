// One file of the journal. Lines are only added; where a write stopped midway, the next one begins at the same place.

import { closeSync, fdatasync, openSync, statSync, unlinkSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { birthOf, isRunning } from '../lib/process-birth.ts'

const NAME = /^(\d+)-(\d+)-(\d+)-(\d+)\.ndjson$/
const CHUNK = 256 * 1024
const NEWLINE = 0x0a

/** A file to be read: one of this process or of one before it. */
export interface Segment {
  readonly path: string
  /** Bytes of it that are whole lines. */
  size: number
  /** So many of them are in the store. */
  shipped: number
}

/** The file that this process adds to. */
export class OpenSegment implements Segment {
  readonly path: string
  size = 0
  shipped = 0
  readonly #file: number

  constructor(path: string) {
    this.path = path
    this.#file = openSync(path, 'wx', 0o600)
  }

  /** Throws what the disk says. Without `fsync` it outlives this process, but not the machine. */
  append(text: string): void {
    const length = Buffer.byteLength(text)
    let written = writeSync(this.#file, text, this.size)
    if (written < length) {
      const bytes = Buffer.from(text)
      while (written < length) written += writeSync(this.#file, bytes, written, length - written, this.size + written)
    }
    this.size += length
  }

  sync(done: (error: Error | null) => void): void {
    fdatasync(this.#file, done)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** Names files so that they sort by their age, and say who writes them. */
export function segmentName(startedAt: number, count: number): string {
  return `${process.pid}-${birthOf(process.pid) ?? 0}-${startedAt}-${count}.ndjson`
}

/** What processes that are gone have left in a folder, oldest first. */
export function leftBehind(folder: string, names: readonly string[]): Segment[] {
  const found: { readonly segment: Segment; readonly startedAt: number; readonly count: number }[] = []
  for (const name of names) {
    const [, pid = '', birth = '', startedAt = '', count = ''] = NAME.exec(name) ?? []
    if (pid === '') continue
    const path = `${folder}/${name}`
    if (isRunning(Number(pid), birth === '0' ? undefined : birth)) continue
    const segment = { path, size: statSync(path).size, shipped: 0 }
    found.push({ segment, startedAt: Number(startedAt), count: Number(count) })
  }
  found.sort((one, other) => one.startedAt - other.startedAt || one.count - other.count)
  return found.map(({ segment }) => segment)
}

export interface Piece {
  readonly lines: readonly string[]
  /** Where the next piece begins. */
  readonly end: number
}

/** The whole lines from a place on, some hundred at a time; none when nothing whole is left. */
export async function readPiece({ path, size }: Segment, from: number): Promise<Piece> {
  const file = await open(path)
  try {
    for (let length = CHUNK; ; length *= 2) {
      const wanted = Math.min(length, size - from)
      if (wanted <= 0) return { lines: [], end: from }
      const { bytesRead, buffer } = await file.read(Buffer.alloc(wanted), 0, wanted, from)
      const end = buffer.lastIndexOf(NEWLINE, bytesRead - 1) + 1
      if (end > 0) return { lines: buffer.toString('utf8', 0, end - 1).split('\n'), end: from + end }
      if (bytesRead < length) return { lines: [], end: from }
    }
  } finally {
    await file.close()
  }
}

export function remove({ path }: Segment): void {
  try {
    unlinkSync(path)
  } catch {
    // Sent once more after the next start, which changes nothing.
  }
}
