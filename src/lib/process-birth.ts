import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** When the system says that a process began, in its own unit: a later process of the same id has another. Undefined when there is none, or no /proc. */
export function birthOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in parentheses may hold spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended; only its parent has not heard yet.
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/** Somebody has this number now, who need not be the one that is meant. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!(error instanceof Object && 'code' in error && error.code === 'EPERM')) return false
  }
  return hasNoBirths() || birthOf(pid) !== undefined
}

export function isRunning(pid: number, birth: string | undefined): boolean {
  return isAlive(pid) && (hasNoBirths() || birthOf(pid) === birth)
}

/** Where the system has no /proc, the number alone has to do. */
function hasNoBirths(): boolean {
  return birthOf(process.pid) === undefined
}

/** Where process ids mean the same. Two containers on one machine share neither the ids nor the host's name. */
export function placeOfProcesses(): string {
  const parts = [hostname()]
  for (const read of [
    () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8'),
    () => readlinkSync('/proc/self/ns/pid')
  ]) {
    try {
      parts.push(read().trim())
    } catch {
      // Not Linux.
    }
  }
  return parts.join(' ')
}
