import { birthOf } from '../lib/process-birth.ts'
import type { Logs } from './logs.ts'
import type { Doors } from './open-doors.ts'
import { identify, type PidRecord, readPidFile, writePidFile } from './pid-file.ts'
import { shorter } from './prepare.ts'

/** Leaves in the data folder what `status` and `stop` look for, unless another gateway has. */
export async function leavePidFile(
  dataDir: string,
  { url, port, metricsUrl }: Doors,
  file: string,
  logs: Logs
): Promise<PidRecord | undefined> {
  const before = readPidFile(dataDir)
  if (before !== undefined && before.pid !== process.pid && (await identify(before)) !== 'gone') {
    logs.event(
      'warn',
      `${shorter(dataDir)} belongs to the gateway at ${before.url} (pid ${before.pid}); \`sluice stop\` ends that one, not this`
    )
    return undefined
  }
  const born = birthOf(process.pid)
  const record: PidRecord = {
    pid: process.pid,
    url,
    port,
    ...(metricsUrl !== undefined && { metrics: metricsUrl }),
    startedAt: Date.now(),
    ...(born !== undefined && { born }),
    config: file
  }
  const problem = writePidFile(dataDir, record)
  if (problem === undefined) return record
  logs.event(
    'warn',
    `${shorter(dataDir)} cannot be written (${problem}): \`sluice status\` and \`sluice stop\` will not find this gateway`
  )
  return undefined
}
