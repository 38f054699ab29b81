import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { matchesName } from './include.ts'

/** What is watched: files, globs whose matches count, and folders in which every file does. All absolute. */
export interface Watched {
  readonly files: readonly string[]
  readonly globs: readonly string[]
  readonly folders: readonly string[]
}

/** Every file that counts now, in a fixed order. */
export function filesOf(watched: Watched): string[] {
  const files = new Set(watched.files)
  for (const glob of watched.globs) {
    for (const name of list(dirname(glob))) if (matchesName(name, basename(glob))) files.add(join(dirname(glob), name))
  }
  for (const folder of watched.folders) {
    for (const name of list(folder)) if (!name.startsWith('.') && !name.endsWith('~')) files.add(join(folder, name))
  }
  return [...files].sort()
}

/**
 * What has to be listened to. Known files by themselves: the log often stands beside them, and each line that is written
 * to a watched folder would have all of it listed again (a tenth of the time under load). Folders only where files may appear.
 */
export function pathsOf(watched: Watched): string[] {
  return [...new Set([...watched.files, ...watched.globs.map(dirname), ...watched.folders])]
}

/** Cheap: differs whenever a file was written, replaced, or pointed elsewhere. */
export function stampOf(files: readonly string[]): string {
  return files.map(file => `${file}\0${stamp(file)}`).join('\n')
}

/** Exact: differs only when what stands in the files does. */
export function contentOf(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) {
    hash.update(`${file}\0`)
    try {
      const text = readFileSync(file)
      hash.update(`${text.length}\0`).update(text)
    } catch {
      hash.update('absent\0')
    }
  }
  return hash.digest('base64')
}

export function isEmpty(file: string): boolean {
  try {
    return statSync(file).size === 0
  } catch {
    return true
  }
}

function stamp(file: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(file)
    return `${ino} ${mtimeMs} ${size}`
  } catch {
    return 'absent'
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(entry => !entry.isDirectory())
      .map(entry => entry.name)
  } catch {
    return []
  }
}
