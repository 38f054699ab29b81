import type { RoomLog } from './logs.ts'

/** Of those that are as the last one was, one in so many is told. */
const EVERY = 100

/** Tells of probes: the first of its kind, each whose answer differs from the last, and a sample of the rest. */
export function probeLog(log: RoomLog): (path: string, status: number, milliseconds: number) => void {
  const seen = new Map<string, { status: number; left: number }>()
  return (path, status, milliseconds) => {
    const last = seen.get(path)
    if (last?.status === status && --last.left > 0) return
    seen.set(path, { status, left: EVERY })
    log.event('debug', 'probe', { path, status, ms: Math.round(milliseconds * 10) / 10 })
  }
}
