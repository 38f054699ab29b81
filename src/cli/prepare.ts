import { relative } from 'node:path'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { formatPath, formatProblem, type Problem } from '../config/problem.ts'
import { type CompileProblem, compile, type Environment, type Runtime } from '../exchange/runtime.ts'
import type { Shelf } from '../hooks/shelf.ts'
import { PROVIDER_NAMES } from '../providers/presets.ts'
import type { Target } from '../routing/target.ts'

export interface Overrides {
  readonly host?: string
  readonly port?: number | 'auto'
}

export interface Prepared {
  readonly runtime: Runtime
  /** Differs when a hook that is listed does. */
  readonly hooks: string
  /** What is wrong with hooks, and stopped nothing. */
  readonly warnings: readonly string[]
  readonly loaded: LoadedConfig
}

export interface Refused {
  readonly problems: readonly Problem[]
  readonly files: readonly string[]
  readonly globs: readonly string[]
}

/** From a file to a runtime, or everything that is wrong with it. Nothing is changed by it but the shelf. */
export async function prepare(
  file: string,
  environment: Environment,
  overrides: Overrides,
  shelf: Shelf
): Promise<Prepared | Refused> {
  const result = loadConfig(file, { env: environment.variables, known: { providers: PROVIDER_NAMES }, overrides })
  if (!result.ok) return result
  const { loaded } = result
  const tell = (wrong: readonly CompileProblem[]): Refused => {
    const problems = wrong.map(
      ({ path, message }): Problem => ({ severity: 'error', ...loaded.locate(path), path: formatPath(path), message })
    )
    return { problems, files: loaded.files, globs: loaded.globs }
  }
  const shelved = await shelf.take(loaded.config, loaded.file)
  if (!('set' in shelved)) return tell(shelved)
  const { set: hooks, warnings } = shelved
  const runtime = compile(loaded.config, { ...environment, hooks })
  if ('routes' in runtime) return { runtime, loaded, hooks: hooks.stamp, warnings }
  hooks.leave()
  return tell(runtime)
}

/** One line each, with file names as short as they can be. */
export function tell(problems: readonly Problem[], cwd = process.cwd()): string[] {
  return problems.map(problem => formatProblem({ ...problem, file: shorter(problem.file, cwd) }))
}

/** The path as seen from here, when that is shorter. */
export function shorter(path: string, cwd = process.cwd()): string {
  const seen = relative(cwd, path)
  return seen !== '' && seen.length < path.length ? seen : path
}

/** A target for people: the demo's models are all one. */
export function nameOf(target: Target): string {
  return target.provider === 'demo' ? 'demo' : target.name
}
