import type { GatewayConfig } from '../generated/types.ts'
import { keySpot, type Located, valueSpot } from '../located.ts'
import { errorAt, type Path, type Problem, warningAt } from '../problem.ts'

/** What a check looks at: the configuration with its defaults, and the file as it is said. */
export interface CheckContext {
  readonly config: GatewayConfig
  readonly root: Located
  readonly providers: readonly string[] | undefined
  readonly problems: Problem[]
}

export function errorAtValue({ root, problems }: CheckContext, path: Path, message: string, hint?: string): void {
  problems.push(errorAt(valueSpot(root, path), path, message, hint))
}

export function errorAtKey({ root, problems }: CheckContext, path: Path, message: string, hint?: string): void {
  problems.push(errorAt(keySpot(root, path), path, message, hint))
}

export function warnAtValue({ root, problems }: CheckContext, path: Path, message: string, hint?: string): void {
  problems.push(warningAt(valueSpot(root, path), path, message, hint))
}
