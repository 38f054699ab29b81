import { readdirSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { matchesGlob } from './checks/served.ts'
import { type Located, type LocatedEntry, type LocatedMap, plain, textOf } from './located.ts'
import { errorAt, type Path, type Problem, type Spot, shownFile, warningAt } from './problem.ts'
import { readYaml } from './read-yaml.ts'
import type { ReferenceSource } from './references.ts'
import { readSource } from './source.ts'

export interface Gathered {
  root: Located | undefined
  /** It says nothing at all. */
  isEmpty: boolean
  readonly problems: Problem[]
  /** Absolute, in the order they were read: the YAML files, and the files that `${file:…}` names. */
  readonly files: Set<string>
  /** Absolute globs: a file that appears and matches one belongs to the configuration. */
  readonly globs: Set<string>
}

/** Lists of the top level that files extend; any other list belongs to one file. */
const EXTENDED = new Set(['model_list', 'hooks'])

/** Reads a file and, through `include`, what it joins to itself. */
export function gather(text: string, file: string, env: ReferenceSource['env']): Gathered {
  const gathered: Gathered = { root: undefined, isEmpty: false, problems: [], files: new Set([file]), globs: new Set() }
  gathered.root = readInto(gathered, text, file, env)
  gathered.isEmpty = gathered.root === undefined && gathered.problems.length === 0
  return gathered
}

function readInto(gathered: Gathered, text: string, file: string, env: ReferenceSource['env']): Located | undefined {
  const read = readYaml(text, { env, file, onFile: path => gathered.files.add(path) })
  gathered.problems.push(...read.problems)
  const { root } = read
  const include = root?.kind === 'map' ? root.entries.get('include') : undefined
  if (root?.kind !== 'map' || include?.node.kind !== 'list') return root
  for (const [index, item] of include.node.items.entries()) {
    const pattern = textOf(item)
    if (pattern === undefined || pattern === '') continue
    for (const path of expandGlob(gathered, resolve(dirname(file), pattern), item.spot, ['include', index])) {
      const included = readIncluded(gathered, path, item.spot, env)
      if (included !== undefined) joinMaps(gathered, root, included, [])
    }
  }
  return root
}

function readIncluded(
  gathered: Gathered,
  path: string,
  askedAt: Spot,
  env: ReferenceSource['env']
): LocatedMap | undefined {
  gathered.files.add(path)
  const text = readSource(path, askedAt)
  if (typeof text !== 'string') {
    gathered.problems.push(text)
    return undefined
  }
  const root = readInto(gathered, text, path, env)
  if (root === undefined || root.kind === 'map') return root
  gathered.problems.push(errorAt(root.spot, [], 'an included file must be a map of keys, as gateway.yaml is'))
  return undefined
}

/** The files meant. What was read before is an error when it is named, and passed over when it merely matches. */
function expandGlob(gathered: Gathered, pattern: string, spot: Spot, path: Path): string[] {
  if (dirname(pattern).includes('*')) {
    gathered.problems.push(errorAt(spot, path, '`*` can stand in the name of a file, not of a folder'))
    return []
  }
  if (!pattern.includes('*')) {
    if (!gathered.files.has(pattern)) return [pattern]
    gathered.problems.push(errorAt(spot, path, 'this file is included already, or includes itself'))
    return []
  }
  gathered.globs.add(pattern)
  let names: string[] = []
  try {
    names = readdirSync(dirname(pattern)).filter(name => matchesName(name, basename(pattern)))
  } catch {
    // A folder that is not there has no files: said below.
  }
  if (names.length === 0) gathered.problems.push(warningAt(spot, path, 'no file matches'))
  const paths = names.sort().map(name => join(dirname(pattern), name))
  return paths.filter(found => !gathered.files.has(found))
}

/** Whether a file's name matches a pattern of one folder; hidden files do not, unless the pattern is hidden too. */
export function matchesName(name: string, pattern: string): boolean {
  return (!name.startsWith('.') || pattern.startsWith('.')) && matchesGlob(pattern, name)
}

/** Lists are extended, maps are merged, and two different values for one key are an error at the second. */
function joinMaps(gathered: Gathered, into: LocatedMap, from: LocatedMap, path: Path): void {
  for (const [key, entry] of from.entries) {
    if (path.length === 0 && key === 'include') continue
    const earlier = into.entries.get(key)
    if (earlier === undefined) into.entries.set(key, entry)
    else joinEntry(gathered, earlier, entry, [...path, key])
  }
}

function joinEntry(gathered: Gathered, earlier: LocatedEntry, entry: LocatedEntry, path: Path): void {
  const { node } = entry
  if (earlier.node.kind === 'map' && node.kind === 'map') {
    joinMaps(gathered, earlier.node, node, path)
  } else if (
    earlier.node.kind === 'list' &&
    node.kind === 'list' &&
    path.length === 1 &&
    EXTENDED.has(String(path[0]))
  ) {
    earlier.node.items.push(...node.items)
  } else if (JSON.stringify(plain(earlier.node)) !== JSON.stringify(plain(node))) {
    const { file, line, column } = earlier.key
    gathered.problems.push(
      errorAt(entry.key, path, `this is already set, to something else, at ${shownFile(file)}:${line}:${column}`)
    )
  }
}
