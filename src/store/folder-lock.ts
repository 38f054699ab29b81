// Two processes on one folder of the embedded database lose rows without a word, and it takes no lock itself.

import { randomUUID } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../chat/failure.ts'
import { birthOf, isRunning, placeOfProcesses } from '../lib/process-birth.ts'
import { unavailable } from './failures.ts'
import { asObject } from './values.ts'

export interface FolderLock {
  release(): void
}

export interface LockEvents {
  /** The holder is not of this machine, as far as we can see, and is watched for a while. */
  waiting(): void
  /** Another process took the lock although we hold it: nothing more may be written. */
  lost(): void
}

export interface LockTimes {
  /** How often the holder shows that it lives. */
  readonly beat: number
  /** A holder whose process we cannot see (in another container) is gone when it has shown nothing for this long. */
  readonly patience: number
}

/** Nobody needs this long to take over a lock: whoever left the mark behind died over it. */
const TAKING_MS = 30_000

interface Holder {
  readonly text: string
  readonly pid: number
  readonly birth: string | undefined
  readonly place: string
}

/** A lock of a process that has gone is taken over; one that is held is a failure. */
export async function lockFolder(path: string, events: LockEvents, times: LockTimes): Promise<FolderLock | Failure> {
  const mine = JSON.stringify({
    pid: process.pid,
    birth: birthOf(process.pid),
    place: placeOfProcesses(),
    since: new Date().toISOString(),
    token: randomUUID()
  })
  try {
    if (!create(path, mine)) {
      const refused = await takeOver(path, mine, events, times)
      if (refused !== undefined) return refused
    }
  } catch (error) {
    return unavailable(`The lock ${path} cannot be written.`, error)
  }
  return keep(path, mine, events, times)
}

function keep(path: string, mine: string, { lost }: LockEvents, { beat }: LockTimes): FolderLock {
  const beats = setInterval(() => {
    if (readText(path) === mine) return touch(path)
    clearInterval(beats)
    lost()
  }, beat).unref()
  return {
    release: () => {
      clearInterval(beats)
      if (readText(path) === mine) rmSync(path, { force: true })
    }
  }
}

/** False when there is one already. */
function create(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (error instanceof Object && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

async function takeOver(
  path: string,
  mine: string,
  events: LockEvents,
  times: LockTimes
): Promise<Failure | undefined> {
  const holder = readHolder(path)
  if (holder !== undefined && !(await isGone(path, holder, events, times))) return held(path, holder)
  // Of two that find the same dead holder, one goes on; else the second would take away what the first has just taken.
  const mark = `${path}.taking`
  if (!create(mark, mine)) {
    if (ageOf(mark) > TAKING_MS) rmSync(mark, { force: true })
    return unavailable(`Another process is taking over ${path} at this moment.`)
  }
  try {
    const now = readHolder(path)
    if (now !== undefined && now.text !== holder?.text) return held(path, now)
    const fresh = `${path}.${process.pid}`
    writeFileSync(fresh, mine, { mode: 0o600 })
    renameSync(fresh, path)
    return undefined
  } finally {
    rmSync(mark, { force: true })
  }
}

async function isGone(path: string, holder: Holder, events: LockEvents, times: LockTimes): Promise<boolean> {
  if (holder.place === placeOfProcesses()) return !isRunning(holder.pid, holder.birth)
  // Clocks of two machines need not agree, so only whether the time changes is asked.
  events.waiting()
  const before = stampOf(path)
  for (let waited = 0; waited < times.patience; waited += times.beat) {
    await wait(times.beat)
    if (stampOf(path) !== before) return false
  }
  return true
}

function held(path: string, holder: Holder): Failure {
  return new Failure('unavailable', `The embedded database is in use by another process (${holder.pid}): ${path}.`, {
    recommendations: [
      'Stop the other gateway, give this one a store.data_dir of its own, or let both use one DATABASE_URL.'
    ]
  })
}

/** Undefined when it has gone meanwhile. */
function readHolder(path: string): Holder | undefined {
  const text = readText(path)
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Half written: its writer is alive and at it, or died over it. Time tells.
  }
  const { pid, birth, place } = asObject(value)
  return {
    text,
    pid: typeof pid === 'number' ? pid : 0,
    birth: typeof birth === 'string' ? birth : undefined,
    place: typeof place === 'string' ? place : ''
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function touch(path: string): void {
  try {
    const now = new Date()
    utimesSync(path, now, now)
  } catch {
    // It was taken at this moment, which the next look finds out.
  }
}

function stampOf(path: string): string {
  const stats = statSync(path, { throwIfNoEntry: false })
  return `${stats?.mtimeMs} ${stats?.ino}`
}

function ageOf(path: string): number {
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
}
