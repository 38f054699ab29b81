// The JSON form of an older proxy: `.llmrc.json` of a project, two variables, and one file for the user.

import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { nearest } from '../lib/nearest.ts'
import { findPlainSecrets } from './checks/secrets.ts'
import { put } from './litellm/place.ts'
import type { Tree } from './load.ts'
import { child, type Located, type LocatedMap, mapAt, scalarAt } from './located.ts'
import { errorAt, type Path, type Problem, type Spot, shownKey } from './problem.ts'
import { readYaml } from './read-yaml.ts'
import { readSource } from './source.ts'

type Variables = Readonly<Record<string, string | undefined>>

export const LLMRC = '.llmrc.json'
const GLOBAL = join('.llm-proxy', 'config.json')
const BACKEND_VARIABLE = 'LLM_BACKEND_CONFIG'
const PORT_VARIABLE = 'LLM_PROXY_PORT'

const TOP_KEYS = ['backend', 'port', 'backends']
/** Their key of a backend → ours. */
const BACKEND_KEYS: Readonly<Record<string, string>> = {
  type: 'provider',
  url: 'api_base',
  apiKey: 'api_key',
  description: 'description'
}

/** Somewhere that says a part of it; the first to say something wins. */
interface Source {
  /** What people call it, and what stands before the line in a problem. */
  readonly name: string
  /** Absolute; undefined for a variable that says it all. */
  readonly file: string | undefined
  /** Undefined: the file's own. */
  readonly text?: string
  /** It was asked for by name: that it is not there is a mistake. */
  readonly needed?: boolean
}

/** Whether a path is that of such a file. */
export function isLlmrc(path: string): boolean {
  return basename(path) === LLMRC || path.endsWith(sep + GLOBAL)
}

/** What would be read for a folder's file, in the order in which it wins. Empty: nothing of this form is there. */
export function llmrcSources(file: string, env: Variables): string[] {
  const named = sourcesOf(file, env)
    .filter(source => source.needed === true || isThere(source))
    .map(source => source.name)
  return named.every(name => name === `$${PORT_VARIABLE}`) ? [] : named
}

/** Reads all of it as one configuration of ours, each value at the place that says it. */
export function readLlmrc(file: string, env: Variables): Tree {
  const top: Spot = { file, line: 1, column: 1 }
  const root = mapAt(top)
  const problems: Problem[] = []
  const files = new Set([file])
  let found = false
  for (const source of sourcesOf(file, env)) {
    if (source.file !== undefined) files.add(source.file)
    if (!isThere(source) && source.needed !== true) continue
    const said = read(source, env, files, problems)
    if (said === undefined) continue
    found = true
    if (said.kind === 'map') adopt(said, root, problems)
    else problems.push(errorAt(said.spot, [], 'this has to be a map of `backend`, `port` and `backends`'))
  }
  if (found) complete(root, problems)
  else if (problems.length === 0) problems.push(errorAt(top, [], 'the file does not exist'))
  problems.push(...findPlainSecrets(root))
  return { root, problems, files, globs: new Set() }
}

function sourcesOf(file: string, env: Variables): Source[] {
  const others: Source[] = []
  const said = env[BACKEND_VARIABLE]?.trim()
  if (said) others.push(fromVariable(said, dirname(file)))
  const port = env[PORT_VARIABLE]?.trim()
  if (port) {
    const value = /^\d+$/.test(port) ? port : JSON.stringify(port)
    others.push({ name: `$${PORT_VARIABLE}`, file: undefined, text: `{"port": ${value}}` })
  }
  const global = join(env['HOME'] || homedir(), GLOBAL)
  if (global !== file) others.push({ name: `~/${GLOBAL}`, file: global })
  return [{ name: basename(file), file }, ...others]
}

function isThere({ file }: Source): boolean {
  return file === undefined || existsSync(file)
}

/** The variable holds the whole, or names a file with it, or the backend that is active. */
function fromVariable(said: string, folder: string): Source {
  const name = `$${BACKEND_VARIABLE}`
  if (said.startsWith('{')) return { name, file: undefined, text: said }
  if (!/[/\\]|\.json$/.test(said)) return { name, file: undefined, text: JSON.stringify({ backend: said }) }
  const file = resolve(folder, said)
  return { name: `${file} (${name})`, file, needed: true }
}

function read(source: Source, env: Variables, files: Set<string>, problems: Problem[]): Located | undefined {
  const place = source.file ?? source.name
  const top: Spot = { file: place, line: 1, column: 1 }
  const text = source.text ?? readSource(place, top)
  if (typeof text !== 'string') {
    problems.push(text)
    return undefined
  }
  // No string of JSON holds a tab, and YAML, of which JSON is a part, minds those that indent.
  const spaced = text.replaceAll('\t', ' ')
  const parsed = readYaml(spaced, { env, file: place, onFile: path => files.add(path) })
  problems.push(...parsed.problems)
  if (parsed.root === undefined && parsed.problems.length === 0) problems.push(errorAt(top, [], 'the file is empty'))
  return source.file === undefined && parsed.root !== undefined ? asVariable(parsed.root) : parsed.root
}

/** A secret in a variable stands in no file. */
function asVariable(node: Located): Located {
  if (node.kind === 'scalar') return scalarAt(node.spot, node.value, true)
  if (node.kind === 'list') return { ...node, items: node.items.map(asVariable) }
  const entries = [...node.entries].map(([key, entry]) => [key, { ...entry, node: asVariable(entry.node) }] as const)
  return { ...node, entries: new Map(entries) }
}

function adopt(said: LocatedMap, root: LocatedMap, problems: Problem[]): void {
  for (const [key, { key: spot, node }] of said.entries) {
    if (key === 'backend') put(root, ['active_backend'], spot, node)
    else if (key === 'port') put(root, ['server', 'port'], spot, node)
    else if (key === 'backends') adoptBackends(node, root, problems)
    else problems.push(unknownKey(key, spot, [key], TOP_KEYS))
  }
}

/** A backend is taken whole from where it is said first: an address never meets the key of another. */
function adoptBackends(said: Located, root: LocatedMap, problems: Problem[]): void {
  if (said.kind !== 'map') {
    problems.push(errorAt(said.spot, ['backends'], 'must be a map of names to backends'))
    return
  }
  for (const [name, { key, node }] of said.entries) {
    const path = ['backends', name]
    if (child(child(root, 'backends'), name) !== undefined) continue
    if (node.kind !== 'map') {
      problems.push(errorAt(node.spot, path, 'must be a map of `type`, `url`, `apiKey` and `description`'))
      continue
    }
    const backend = mapAt(node.spot)
    for (const [field, entry] of node.entries) {
      const ours = Object.hasOwn(BACKEND_KEYS, field) ? BACKEND_KEYS[field] : undefined
      if (ours === undefined) problems.push(unknownKey(field, entry.key, [...path, field], Object.keys(BACKEND_KEYS)))
      else if (entry.node.kind !== 'scalar' || entry.node.value !== null) backend.entries.set(ours, entry)
    }
    if (backend.entries.has('provider')) put(root, path, key, backend)
    else problems.push(errorAt(key, [...path, 'type'], 'is missing', 'such as "cerebras" or "self-hosted"'))
  }
}

function unknownKey(key: string, spot: Spot, path: Path, known: readonly string[]): Problem {
  const near = nearest(key, known, 1)[0]
  const hint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`
  return errorAt(spot, path, `unknown key ${JSON.stringify(shownKey(key))}`, hint)
}

/** Whatever model is asked for, the active backend is asked for it. */
function complete(root: LocatedMap, problems: Problem[]): void {
  const backends = child(root, 'backends')
  const names = backends?.kind === 'map' ? [...backends.entries.keys()] : []
  const [only] = names
  if (only === undefined) {
    if (problems.length === 0) problems.push(errorAt(root.spot, ['backends'], 'no backend is declared'))
    return
  }
  if (!root.entries.has('active_backend')) {
    if (names.length > 1) {
      const hint = `declared: ${names.join(', ')}`
      problems.push(errorAt(root.spot, ['backend'], 'says which backend is used, and is missing', hint))
      return
    }
    put(root, ['active_backend'], root.spot, scalarAt(root.spot, only))
  }
  const spot = root.entries.get('active_backend')?.node.spot ?? root.spot
  const entry = mapAt(spot)
  put(entry, ['model_name'], spot, scalarAt(spot, '*'))
  put(entry, ['backend'], spot, scalarAt(spot, 'active'))
  root.entries.set('model_list', { key: spot, node: { kind: 'list', spot, items: [entry] } })
}
