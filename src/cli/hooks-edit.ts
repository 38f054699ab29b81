import { readFileSync } from 'node:fs'
import { addItem, type Removed, removeItem } from '../config/list-items.ts'
import { parseConfig, readTree } from '../config/load.ts'
import { plain } from '../config/located.ts'
import type { Replaced } from '../config/replace.ts'
import { checkOptions, hookLoader, readDefinition } from '../hooks/definition.ts'
import { findHook, knownHooks } from '../hooks/files.ts'
import { nearest } from '../lib/nearest.ts'
import { PROVIDER_NAMES } from '../providers/presets.ts'
import type { ConfigFile } from './find-config.ts'
import { colors, EXIT, fail, print, printJson } from './output.ts'
import { shorter, tell } from './prepare.ts'
import { replaceFile } from './write-file.ts'

interface Said {
  /** The file in which `hooks` stands, or would. */
  readonly file: string
  readonly names: readonly (string | undefined)[]
}

/** Puts a hook at the end of the list. */
export async function enable(
  name: string,
  source: ConfigFile,
  { json, options }: { readonly json?: boolean; readonly options?: string }
): Promise<number> {
  const said = read(source)
  if (Array.isArray(said)) return fail(said, json === true)
  if (said.names.includes(name)) return done(`${colors.bold(name)} is listed already.`, { name, changed: false }, json)
  const item = await itemFor(name, source, options)
  if (Array.isArray(item)) return fail(item, json === true)
  const changed = change(said.file, source, text => addItem(text, 'hooks', item))
  if (Array.isArray(changed)) return fail(changed, json === true)
  const place = `${shorter(said.file)}:${changed.line}`
  const text = `${colors.bold(name)} is listed (${place}), and runs after those before it. ${WHEN}`
  return done(text, { name, changed: true, file: said.file, line: changed.line }, json)
}

const WHEN = 'A gateway that runs takes it over within a second.'

/** Takes a hook off the list. */
export function disable(name: string, source: ConfigFile, json: boolean): number {
  const said = read(source)
  if (Array.isArray(said)) return fail(said, json)
  const index = said.names.lastIndexOf(name)
  if (index < 0) {
    const listed = said.names.filter(other => other !== undefined)
    return fail([`${name} is not listed in ${shorter(said.file)}; listed: ${listed.join(', ') || 'nothing'}.`], json)
  }
  const changed = change(said.file, source, text => removeItem(text, 'hooks', index))
  if (Array.isArray(changed)) return fail(changed, json)
  const { removed, line } = changed
  const text = `${colors.bold(name)} is taken off (${shorter(said.file)}:${line}). ${WHEN} It said:\n- ${removed}`
  return done(text, { name, changed: true, file: said.file, line, removed }, json)
}

function read(source: ConfigFile): Said | string[] {
  try {
    const { root, problems } = readTree(readFileSync(source.file, 'utf8'), source.file, { env: process.env })
    if (root.kind !== 'map') return tell(problems)
    const entry = root.entries.get('hooks')
    const items: unknown = entry === undefined ? [] : plain(entry.node)
    const names = Array.isArray(items) ? items.map(nameOf) : []
    return { file: entry?.key.file ?? source.file, names }
  } catch (error) {
    return [`${shorter(source.file)} cannot be read: ${error instanceof Error ? error.message : String(error)}.`]
  }
}

function nameOf(item: unknown): string | undefined {
  if (typeof item === 'string') return item
  if (typeof item !== 'object' || item === null) return undefined
  return Object.keys(item).find(key => !['when', 'timeout', 'onError', 'isolation'].includes(key))
}

/** How the hook stands in the list, or why it cannot. */
async function itemFor(name: string, { file }: ConfigFile, options: string | undefined): Promise<string | string[]> {
  const found = findHook(name, file)
  if (found === undefined) {
    const near = nearest(
      name,
      knownHooks(file).map(hook => hook.name)
    )
    return [`There is no hook \`${name}\`.${near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`}`]
  }
  const definition = await readDefinition(hookLoader(), found.file)
  if (typeof definition === 'string') return [definition]
  let given: unknown
  try {
    given = options === undefined ? undefined : JSON.parse(options)
  } catch {
    return [`--options is not JSON: ${options}`]
  }
  const checked = checkOptions(definition, given)
  if (!('options' in checked))
    return [
      ...checked.map(({ path, message }) => `${['options', ...path].join('.')}: ${message}`),
      `Say them: sluice hooks enable ${name} --options '{"…": …}'`
    ]
  const key = /^[A-Za-z][\w-]*$/.test(name) ? name : JSON.stringify(name)
  return given === undefined ? key : `${key}: ${JSON.stringify(given)}`
}

function change<Made extends Replaced | Removed>(
  file: string,
  source: ConfigFile,
  edit: (text: string) => Made | string
): Made | string[] {
  const here = shorter(file)
  try {
    const changed = edit(readFileSync(file, 'utf8'))
    if (typeof changed === 'string') return [`${here} was left as it is: ${changed}.`]
    if (file === source.file) {
      const result = parseConfig(changed.text, file, { env: process.env, known: { providers: PROVIDER_NAMES } })
      if (!result.ok) return [...tell(result.problems), `${here} was left as it is: put that right first.`]
    }
    replaceFile(file, changed.text)
    return changed
  } catch (error) {
    return [`${here} cannot be written: ${error instanceof Error ? error.message : String(error)}.`]
  }
}

function done(text: string, told: object, json: boolean | undefined): number {
  if (json === true) printJson({ ok: true, ...told })
  else print(text)
  return EXIT.done
}
