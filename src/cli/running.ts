import { dirname, join, resolve } from 'node:path'
import { loadConfig } from '../config/load.ts'
import { findConfig, type Where } from './find-config.ts'
import { type Identity, identify, type PidRecord, readPidFile, removePidFile } from './pid-file.ts'

export interface Found {
  readonly dataDir: string
  /** Undefined: nothing runs here. */
  readonly record: PidRecord | undefined
  readonly identity: Identity
}

/** The gateway that runs from the folder that is meant; a string says why none can be looked for. */
export async function findRunning(where: Where): Promise<Found | string> {
  const source = findConfig(where, process.env)
  if (typeof source === 'string') return source
  const dataDir = folderOf(source.file, source.whence === 'packaged' ? source.home : undefined)
  const record = readPidFile(dataDir)
  if (record === undefined) return { dataDir, record, identity: 'gone' }
  const identity = await identify(record)
  if (identity !== 'gone') return { dataDir, record, identity }
  // Left by one that was killed.
  removePidFile(dataDir, record.pid)
  return { dataDir, record: undefined, identity }
}

function folderOf(file: string, home: string | undefined): string {
  const said = process.env['SLUICE_DATA_DIR']
  if (said) return resolve(dirname(file), said)
  if (home !== undefined) return join(home, '.sluice')
  const result = loadConfig(file, { env: process.env })
  // A file that is broken since still has its gateway running from the usual place.
  return result.ok ? result.loaded.dataDir : join(dirname(file), '.sluice')
}
