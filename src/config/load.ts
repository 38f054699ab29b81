import { dirname, resolve } from 'node:path'
import { checkAddresses } from './checks/addresses.ts'
import type { CheckContext } from './checks/context.ts'
import { checkKeys } from './checks/keys.ts'
import { checkNames } from './checks/names.ts'
import { findPlainSecrets } from './checks/secrets.ts'
import { coerceSubstituted } from './coerce.ts'
import type { GatewayConfig } from './generated/types.ts'
import { gather } from './include.ts'
import { adoptLiteLLM, type LiteLLMReport } from './litellm/adopt.ts'
import { isLlmrc, readLlmrc } from './llmrc.ts'
import { keySpot, type Located, mapAt, plain, scalarAt, valueSpot } from './located.ts'
import { errorAt, inFileOrder, type Path, type Problem, type Spot } from './problem.ts'
import { checkSchema } from './schema.ts'
import { explainSchemaErrors } from './schema-problems.ts'
import { isTooLarge, readSource } from './source.ts'

export interface LoadOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What the floors above know and the configuration names. Absent: not checked. */
  readonly known?: { readonly providers: readonly string[] }
  /** Flags of the command line, which win over the file. */
  readonly overrides?: { readonly host?: string; readonly port?: number | 'auto' }
}

export interface LoadedConfig {
  /** Frozen, with every default filled in. */
  readonly config: GatewayConfig
  /** Absolute. */
  readonly file: string
  /** Absolute: the file, what it includes, and what `${file:…}` names. */
  readonly files: readonly string[]
  /** Absolute globs of `include`: a new file that matches belongs to the configuration. */
  readonly globs: readonly string[]
  /** Absolute: `store.data_dir` beside the file, or what SLUICE_DATA_DIR says. */
  readonly dataDir: string
  /** Warnings alone. */
  readonly problems: readonly Problem[]
  /** How a LiteLLM file was understood; absent when it is not one. */
  readonly report?: LiteLLMReport
  /** Where a value stands, or the nearest thing around it: for what later steps find wrong. */
  locate(path: Path, at?: 'key' | 'value'): Spot
}

export type LoadResult =
  | { readonly ok: true; readonly loaded: LoadedConfig }
  | {
      readonly ok: false
      readonly problems: readonly Problem[]
      readonly files: readonly string[]
      readonly globs: readonly string[]
    }

/** More are of no help: the first ones cause the rest. */
const MAX_PROBLEMS = 100

/** Reads gateway.yaml, LiteLLM's config.yaml or .llmrc.json: all of it is right, or every thing that is wrong is told with its place. */
export function loadConfig(path: string, options: LoadOptions): LoadResult {
  const file = resolve(path)
  if (isLlmrc(file)) return judge(readLlmrc(file, options.env), file, options)
  const text = readSource(file, { file, line: 1, column: 1 })
  if (typeof text !== 'string') return { ok: false, problems: [text], files: [file], globs: [] }
  return parseConfig(text, file, options)
}

/** What a file says before anybody asks whether it is right. */
export interface Tree {
  readonly root: Located
  readonly problems: Problem[]
  readonly files: ReadonlySet<string>
  readonly globs: ReadonlySet<string>
  readonly report?: LiteLLMReport
}

/** Reads a text and what it includes, moved to the shape of gateway.yaml when it has another. */
export function readTree(text: string, file: string, { env }: Pick<LoadOptions, 'env'>): Tree {
  const top: Spot = { file, line: 1, column: 1 }
  const { root: said = mapAt(top), problems, files, globs, isEmpty } = gather(text, file, env)
  // An editor that truncates before it writes must not pass for somebody who wants no models.
  if (isEmpty) problems.push(errorAt(top, [], 'the file is empty', 'write at least `model_list: []`'))
  const secrets = findPlainSecrets(said)
  const adopted = adoptLiteLLM(said)
  problems.push(...secrets, ...(adopted?.problems ?? []))
  return { root: adopted?.root ?? said, problems, files, globs, ...(adopted && { report: adopted.report }) }
}

/** The same for a text that has been read already. */
export function parseConfig(text: string, path: string, options: LoadOptions): LoadResult {
  const file = resolve(path)
  const top: Spot = { file, line: 1, column: 1 }
  if (isTooLarge(text)) return { ok: false, problems: [errorAt(top, [], 'larger than 4 MB')], files: [file], globs: [] }
  return judge(readTree(text, file, options), file, options)
}

/** From what is said to what is meant, or to everything that is wrong with it. */
function judge(tree: Tree, file: string, options: LoadOptions): LoadResult {
  const { root, problems, files, globs, report } = tree
  applyOverrides(root, options.overrides)
  const config = validate(root, problems, options)
  const sorted = inFileOrder(problems).slice(0, MAX_PROBLEMS)
  if (config === undefined || problems.some(problem => problem.severity === 'error')) {
    return { ok: false, problems: errorsFirst(sorted), files: [...files], globs: [...globs] }
  }
  const loaded: LoadedConfig = {
    config: deepFreeze(config),
    file,
    files: [...files],
    globs: [...globs],
    dataDir: resolve(dirname(file), options.env['SLUICE_DATA_DIR'] || config.store.data_dir),
    problems: sorted,
    ...(report !== undefined && { report }),
    locate: (path, at = 'value') => (at === 'key' ? keySpot(root, path) : valueSpot(root, path))
  }
  return { ok: true, loaded }
}

/** The schema first; what the values mean only when they have the right shape. */
function validate(root: Located, problems: Problem[], options: LoadOptions): GatewayConfig | undefined {
  let data = plain(root)
  let checked = checkSchema(data)
  if ('errors' in checked && coerceSubstituted(root, checked.errors, data)) {
    data = plain(root)
    checked = checkSchema(data)
  }
  if ('errors' in checked) {
    const told = new Set(problems.filter(problem => problem.severity === 'error').map(problem => problem.path))
    problems.push(...explainSchemaErrors(checked.errors, root, data).filter(problem => !told.has(problem.path)))
    return undefined
  }
  const context: CheckContext = { config: checked.config, root, providers: options.known?.providers, problems }
  checkNames(context)
  checkAddresses(context)
  checkKeys(context)
  return checked.config
}

/** Put into the tree, so that they are checked as what the file says is. */
function applyOverrides(root: Located, overrides: LoadOptions['overrides']): void {
  if (root.kind !== 'map' || overrides === undefined) return
  const { host, port } = overrides
  if (host === undefined && port === undefined) return
  const server = root.entries.get('server') ?? { key: root.spot, node: mapAt(root.spot) }
  root.entries.set('server', server)
  if (server.node.kind !== 'map') return
  for (const [name, value] of Object.entries({ host, port })) {
    const at = server.node.entries.get(name)?.key ?? server.key
    if (value !== undefined) server.node.entries.set(name, { key: at, node: scalarAt(at, value) })
  }
}

function errorsFirst(problems: readonly Problem[]): Problem[] {
  return [
    ...problems.filter(problem => problem.severity === 'error'),
    ...problems.filter(problem => problem.severity !== 'error')
  ]
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const inner of Object.values(value)) deepFreeze(inner)
  }
  return value
}
