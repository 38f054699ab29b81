import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const EXTENSIONS = ['.ts', '.js', '.mjs', '.cjs'] as const
const SHIPPED = fileURLToPath(new URL('../../../hooks', import.meta.url))
const MAX_FILES = 200

export interface HookFile {
  readonly name: string
  /** Absolute. */
  readonly file: string
  readonly shipped: boolean
}

/** The folder of a configuration's own hooks. */
export function hooksFolder(configFile: string): string {
  return join(dirname(configFile), 'hooks')
}

/** Every hook that gateway.yaml may name, its own before those that are shipped. */
export function knownHooks(configFile: string): HookFile[] {
  const own = hooksFolder(configFile)
  const found = new Map<string, HookFile>()
  for (const folder of own === SHIPPED ? [SHIPPED] : [own, SHIPPED])
    for (const file of hooksIn(folder)) {
      const name = basename(file, extname(file))
      if (!found.has(name)) found.set(name, { name, file, shipped: folder === SHIPPED })
    }
  return [...found.values()]
}

function hooksIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .filter(name => EXTENSIONS.some(end => name.endsWith(end)) && !/^\.|\.d\.ts$|\.test\./.test(name))
    .sort((a, b) => order(a) - order(b) || a.localeCompare(b))
    .map(name => join(folder, name))
}

const order = (name: string) => EXTENSIONS.findIndex(end => name.endsWith(end))

/** The file that a name or a path in gateway.yaml means. */
export function findHook(asked: string, configFile: string): HookFile | undefined {
  if (EXTENSIONS.some(end => asked.endsWith(end)) || asked.includes('/')) {
    const file = isAbsolute(asked) ? asked : resolve(dirname(configFile), asked)
    return isFile(file) ? { name: basename(file, extname(file)), file, shipped: false } : undefined
  }
  return knownHooks(configFile).find(hook => hook.name === asked)
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** A hook's file and what it imports by relative paths, wherever that lies. */
export function filesOfHook(file: string): string[] {
  const found = new Set([file])
  for (const path of found) {
    if (found.size > MAX_FILES) break
    for (const asked of importsOf(path)) {
      const below = resolveImport(dirname(path), asked)
      if (below !== undefined) found.add(below)
    }
  }
  return [...found]
}

function importsOf(file: string): string[] {
  try {
    const text = readFileSync(file, 'utf8')
    return [...text.matchAll(/(?:from|import|require|import\()\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g)].map(
      ([, path = '']) => path
    )
  } catch {
    return []
  }
}

function resolveImport(folder: string, asked: string): string | undefined {
  const path = resolve(folder, asked)
  const typed = path.replace(/\.(m|c)?js$/, '.$1ts')
  return [path, typed, ...EXTENSIONS.map(end => path + end), ...EXTENSIONS.map(end => join(path, `index${end}`))].find(
    isFile
  )
}

/** Differs when anything in the files does. */
export function stampOfFiles(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) {
    hash.update(`${file}\0`)
    try {
      hash.update(readFileSync(file))
    } catch {
      hash.update('absent')
    }
  }
  return hash.digest('base64')
}
