import { setTimeout as wait } from 'node:timers/promises'
import { isAlive } from '../lib/process-birth.ts'
import type { Where } from './find-config.ts'
import { count, EXIT, fail, print, printJson } from './output.ts'
import { identify, type PidRecord, readPidFile } from './pid-file.ts'
import { shorter } from './prepare.ts'
import { findRunning } from './running.ts'

const UNTIL_FORCE = 10_000
/** Beyond the drain: closing what is left takes a moment. */
const GRACE = 15_000

/** Ends the gateway that runs here and waits until it has. Never touches a process that is not one. */
export async function stop(flags: Where & { json?: boolean; force?: boolean }): Promise<number> {
  const json = flags.json === true
  const found = await findRunning(flags)
  if (typeof found === 'string') return fail([found], json)
  const { record, identity, dataDir } = found
  if (record === undefined) {
    if (json) printJson({ stopped: false, running: false })
    else print(`No gateway runs here (${shorter(dataDir)} has none).`)
    return EXIT.notRunning
  }
  if (identity === 'unsure')
    return fail(
      [
        `Process ${record.pid} may be the gateway or another program by now: it does not answer at ${record.url}.`,
        'Nothing was done. Look at it, and end it by hand if it is the gateway.'
      ],
      json
    )
  try {
    process.kill(record.pid, 'SIGTERM')
  } catch (error) {
    return fail(
      [
        `Process ${record.pid} cannot be told to stop (${(error as { code?: string }).code}); it may be another user's.`
      ],
      json
    )
  }
  const how = await untilGone(record, dataDir, flags.force === true, json)
  if (how === 'there')
    return fail([`The gateway (pid ${record.pid}) has not ended yet. \`sluice stop --force\` kills it.`], json)
  if (json) printJson({ stopped: true, pid: record.pid, killed: how === 'killed' })
  else
    print(how === 'killed' ? `Killed the gateway (pid ${record.pid}).` : `The gateway (pid ${record.pid}) has stopped.`)
  return EXIT.done
}

async function untilGone(
  record: PidRecord,
  dataDir: string,
  force: boolean,
  json: boolean
): Promise<'ended' | 'killed' | 'there'> {
  const began = Date.now()
  let told = -1
  for (;;) {
    await wait(100)
    if (!isAlive(record.pid)) return 'ended'
    const { draining } = readPidFile(dataDir) ?? record
    const waited = Date.now() - began
    if (!json && draining !== undefined && draining.left !== told) {
      told = draining.left
      if (told > 0) print(`draining ${count(told, 'request')}… (at most ${draining.milliseconds / 1000} s)`)
    }
    if (force && waited > UNTIL_FORCE) return (await kill(record)) ? 'killed' : 'ended'
    if (!force && waited > (draining?.milliseconds ?? 0) + GRACE) return 'there'
  }
}

/** Asks once more whose process it is: the number may be another's since. */
async function kill(record: PidRecord): Promise<boolean> {
  if ((await identify(record)) === 'gone') return false
  process.kill(record.pid, 'SIGKILL')
  while (isAlive(record.pid)) await wait(20)
  return true
}
