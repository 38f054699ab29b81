import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { birthOf, isAlive } from '../lib/process-birth.ts'
import { ask } from './client.ts'

/** What a gateway leaves in its data folder for `status` and `stop`. */
export interface PidRecord {
  readonly pid: number
  readonly url: string
  readonly port: number
  /** Where metrics are, when they have a port of their own. */
  readonly metrics?: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** When the system says that the process began, in its own unit: a number that a later process of this id does not share. */
  readonly born?: string
  readonly config: string
  /** While it ends: requests that are still answered, and how long they may take. */
  readonly draining?: { readonly left: number; readonly milliseconds: number }
}

const NAME = 'gateway.json'

export function readPidFile(folder: string): PidRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(join(folder, NAME), 'utf8')) as PidRecord
    return Number.isInteger(record.pid) && record.pid > 0 && typeof record.url === 'string' ? record : undefined
  } catch {
    return undefined
  }
}

/** Undefined when it is written, else why not. */
export function writePidFile(folder: string, record: PidRecord): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    chmodSync(folder, 0o700)
    const fresh = join(folder, `${NAME}.${record.pid}`)
    writeFileSync(fresh, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 })
    renameSync(fresh, join(folder, NAME))
    return undefined
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

/** Takes the file away if it is this process's. */
export function removePidFile(folder: string, pid: number): void {
  if (readPidFile(folder)?.pid !== pid) return
  try {
    rmSync(join(folder, NAME), { force: true })
  } catch {
    // It says a process that has gone, which readers find out.
  }
}

/** `ours`: the gateway that wrote the record. `gone`: no such process, or its number is another's now. `unsure`: it is there and says nothing. */
export type Identity = 'ours' | 'gone' | 'unsure'

/** Whose process a record means today: numbers are used again, so the number alone proves nothing. */
export async function identify(record: PidRecord): Promise<Identity> {
  if (!isAlive(record.pid)) return 'gone'
  const born = birthOf(record.pid)
  if (record.born !== undefined && born !== undefined) return record.born === born ? 'ours' : 'gone'
  const health = await ask(record.url, '/health', 1000)
  const uptime = typeof health === 'string' ? undefined : health.body['uptime_seconds']
  if (typeof uptime !== 'number') return 'unsure'
  return Math.abs(Date.now() - uptime * 1000 - record.startedAt) < 5000 ? 'ours' : 'gone'
}
