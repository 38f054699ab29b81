import { readFileSync } from 'node:fs'
import { isLlmrc, readLlmrc } from '../config/llmrc.ts'
import { parseConfig, readTree } from '../config/load.ts'
import { child, type Located, textOf } from '../config/located.ts'
import { replaceValue } from '../config/replace.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { nearest } from '../lib/nearest.ts'
import { PROVIDER_NAMES, presetOf } from '../providers/presets.ts'
import { ask } from './client.ts'
import { type ConfigFile, findConfig, type Where } from './find-config.ts'
import { offline } from './offline.ts'
import { colors, EXIT, fail, print, printJson, table } from './output.ts'
import { shorter, tell } from './prepare.ts'
import { findRunning } from './running.ts'
import { replaceFile } from './write-file.ts'

export type SwitchFlags = Where & { readonly json?: boolean }

/** What a file says about its backends, right or not: a wrong name must be mendable by this very command. */
interface Said {
  readonly root: Located
  readonly names: readonly string[]
  readonly active: string | undefined
  /** The file that says it, or would. */
  readonly file: string
}

/** Sends what goes to the active backend to another one, or lists what there is. */
export async function switchBackend(name: string | undefined, flags: SwitchFlags): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  const said = read(source)
  if (Array.isArray(said)) return fail(said, json)
  if (name === undefined) return list(said, source, json)
  if (!said.names.includes(name)) return fail(unknown(name, said, source), json)
  if (name === said.active) return tellOutcome(said, source, { name, line: undefined, force: undefined, json })
  const gateway = await lookForGateway(flags)
  const line = write(name, said, source)
  if (typeof line !== 'number') return fail(line, json)
  const force = gateway === undefined ? undefined : await untilInForce(gateway, source.file)
  return tellOutcome(said, source, { name, line, force, json })
}

function read(source: ConfigFile): Said | string[] {
  try {
    const { root, problems } = isLlmrc(source.file)
      ? readLlmrc(source.file, process.env)
      : readTree(readFileSync(source.file, 'utf8'), source.file, { env: process.env })
    const backends = child(root, 'backends')
    if (root.kind !== 'map') return tell(problems)
    const names = backends?.kind === 'map' ? [...backends.entries.keys()] : []
    const own = root.entries.get('active_backend')
    const file = own?.key.file ?? root.entries.get('backends')?.key.file ?? source.file
    if (names.length === 0 && problems.some(problem => problem.severity === 'error')) return tell(problems)
    return { root, names, active: textOf(own?.node), file }
  } catch (error) {
    return [`${shorter(source.file)} cannot be read: ${reasonOf(error)}.`]
  }
}

function unknown(name: string, { names }: Said, { file, whence }: ConfigFile): string[] {
  if (names.length === 0) {
    const own = whence === 'packaged' ? 'The packaged gateway.yaml' : shorter(file)
    return [`${own} declares no backends.`, 'Declare them below `backends:`, and let entries say `backend: active`.']
  }
  const near = nearest(name, names)
  const hint = near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`
  return [`No backend \`${name}\` is declared in ${shorter(file)}.${hint}`, `Declared: ${names.join(', ')}.`]
}

/** The line that was changed, or why nothing was. */
function write(name: string, { file }: Said, source: ConfigFile): number | string[] {
  if (source.whence === 'packaged') return ['The packaged gateway.yaml is not yours to change: copy it here first.']
  const here = shorter(file)
  if (file.startsWith('$')) return [`${file} says which backend is active: set that instead.`]
  const foreign = isLlmrc(source.file)
  try {
    const changed = replaceValue(readFileSync(file, 'utf8'), foreign ? 'backend' : 'active_backend', name)
    if (typeof changed === 'string') return [`${here} was left as it is: ${changed}.`]
    // A file that would be refused with the new line is told before anything is written.
    if (file === source.file && !foreign) {
      const known = { providers: PROVIDER_NAMES }
      const result = parseConfig(changed.text, file, { env: process.env, known })
      if (!result.ok) return [...tell(result.problems), `${here} was left as it is: put that right first.`]
      if (result.loaded.config.active_backend !== name) return [`${here} was left as it is: the line was not found.`]
    }
    replaceFile(file, changed.text)
    return changed.line
  } catch (error) {
    return [`${here} cannot be written: ${reasonOf(error)}.`]
  }
}

interface Outcome {
  readonly name: string
  /** Undefined: it was active already. */
  readonly line: number | undefined
  readonly force: Force | undefined
  readonly json: boolean
}

async function tellOutcome(said: Said, source: ConfigFile, { name, line, force, json }: Outcome): Promise<number> {
  const prepared = await offline(source.file)
  if (!('loaded' in prepared)) return fail(tell(prepared.problems), json)
  const moved = movedBy(prepared.runtime, name)
  const from = said.active ?? null
  const place = line === undefined ? { file: said.file } : { file: said.file, line }
  const gateway = force === undefined ? null : { url: force.url, state: force.state }
  if (json) {
    printJson({ ok: true, changed: line !== undefined, from, to: name, ...place, moved, gateway })
    return EXIT.done
  }
  if (line === undefined) print(`${colors.bold(name)} is the active backend already.`)
  else print(`${from ?? 'nothing'} → ${colors.bold(name)} (${shorter(said.file)}:${line})`)
  const rows = moved.map(({ model, place, asked }) => [model, `→ ${place}${asked === null ? '' : `, as ${asked}`}`])
  print(rows.length > 0 ? table(rows, '  ') : 'No entry says `backend: active`: byte-for-byte routes alone follow it.')
  for (const warning of prepared.runtime.warnings) print(colors.yellow(`warning ${warning}`))
  if (force !== undefined) print(force.text)
  else if (line !== undefined) print('No gateway runs here; the next one begins with it.')
  return EXIT.done
}

interface Moved {
  readonly model: string
  readonly place: string
  readonly asked: string | null
}

function movedBy({ config, backends }: Runtime, name: string): Moved[] {
  const place = backends.get(name)?.place ?? name
  const entries = config.model_list.filter(entry => entry.backend === 'active')
  return entries.map(({ model_name: model, model: asked }) => ({ model, place, asked: asked ?? null }))
}

interface Watched {
  readonly url: string
  readonly config: string
  /** Undefined: it does not answer. */
  readonly generation: number | undefined
}

async function lookForGateway(flags: SwitchFlags): Promise<Watched | undefined> {
  const found = await findRunning(flags)
  if (typeof found === 'string' || found.record === undefined) return undefined
  const { url, config } = found.record
  return { url, config, generation: await generationAt(url) }
}

async function generationAt(url: string): Promise<number | undefined> {
  const ready = await ask(url, '/health/ready', 1000)
  const generation = typeof ready === 'string' ? undefined : ready.body['generation']
  return typeof generation === 'number' ? generation : undefined
}

interface Force {
  readonly url: string
  readonly state: 'in force' | 'not seen' | 'another file'
  readonly text: string
}

/** A saved file is seen within a second: this is how long it is waited for. */
const PATIENCE = 4000
const LOOK = 50

/** Whether the gateway that ran here before has taken the file as it is now. */
async function untilInForce({ url, config, generation }: Watched, file: string): Promise<Force> {
  const force = (state: Force['state'], text: string): Force => ({ url, state, text: `The gateway at ${url} ${text}` })
  if (config !== file) return force('another file', `runs ${shorter(config)}, which was not changed.`)
  const until = performance.now() + PATIENCE
  while (generation !== undefined && performance.now() < until) {
    const now = await generationAt(url)
    if (now !== undefined && now > generation) return force('in force', `has it in force: generation ${now}.`)
    await new Promise(resolve => setTimeout(resolve, LOOK))
  }
  return force('not seen', 'has not taken it yet; its log says why, and `sluice status` whether it does.')
}

/** What there is to switch to. */
async function list(said: Said, source: ConfigFile, json: boolean): Promise<number> {
  if (said.names.length === 0) return fail(unknown('', said, source), json)
  const rows = said.names.map(name => describe(name, said))
  if (json) {
    printJson({ file: said.file, active: said.active ?? null, backends: rows })
    return EXIT.done
  }
  const lines = rows.map(({ name, active, provider, api_base: base, description }) => [
    active ? '✓' : '•',
    active ? colors.bold(name) : name,
    provider,
    base ?? '',
    description ?? ''
  ])
  print(table(lines))
  if (said.active === undefined) print(`None is active: \`sluice switch ${said.names[0]}\` makes one so.`)
  else if (!said.names.includes(said.active))
    print(colors.red(`active_backend says ${said.active}, which is not declared.`))
  return EXIT.done
}

function describe(name: string, { root, active }: Said) {
  const backend = child(child(root, 'backends'), name)
  const provider = textOf(child(backend, 'provider')) ?? '?'
  const base = textOf(child(backend, 'api_base')) ?? presetOf(provider)?.apiBase
  const description = textOf(child(backend, 'description'))
  return { name, active: name === active, provider, api_base: base ?? null, description: description ?? null }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : String(error)
}
