import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** Puts a new text in a file's place at once: who reads meanwhile sees the old one or the new one, never half. A link stays a link. */
export function replaceFile(path: string, text: string): void {
  const file = realpathSync(path)
  const fresh = write(file, text, statSync(file).mode & 0o777)
  try {
    renameSync(fresh, file)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw error
  }
}

/** Writes a file that must not be there yet, for its owner alone. Throws EEXIST when it is. */
export function createFile(file: string, text: string): void {
  const fresh = write(file, text, 0o600)
  try {
    // Unlike a rename, a link never takes the place of another file.
    linkSync(fresh, file)
  } finally {
    rmSync(fresh, { force: true })
  }
}

function write(file: string, text: string, mode: number): string {
  const fresh = join(dirname(file), `.${basename(file)}.${process.pid}`)
  const handle = openSync(fresh, 'wx', mode)
  try {
    // The mode above is less what the shell's umask takes off.
    chmodSync(fresh, mode)
    writeSync(handle, text)
    fsyncSync(handle)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw error
  } finally {
    closeSync(handle)
  }
  return fresh
}
