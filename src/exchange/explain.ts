import { Failure } from '../chat/failure.ts'
import { upstreamModel } from '../routing/target.ts'
import type { Runtime } from './runtime.ts'

export interface Explanation {
  readonly asked: string
  /** How the name was found: itself, through an alias, a glob or a backend's name. */
  readonly matched: string
  readonly entry: string
  readonly targets: readonly {
    readonly name: string
    readonly provider: string
    readonly place: string
    readonly model: string
    readonly dialects: readonly string[]
    readonly share: string
    readonly max_tokens: number | null
    readonly timeouts: Readonly<Record<string, string>>
  }[]
  readonly fallbacks: readonly string[]
}

/** Where a model name leads and why. Asks nobody upstream. */
export function explain(runtime: Runtime, asked: string): Explanation | Failure {
  const resolved = runtime.routes.resolve(asked)
  if (resolved instanceof Failure) return resolved
  const { route, captured } = resolved
  const weights = route.targets.reduce((sum, target) => sum + target.weight, 0)
  return {
    asked,
    matched: how(runtime, asked, resolved.asked, route.name),
    entry: route.name,
    targets: route.targets.map(target => ({
      name: target.name,
      provider: target.provider,
      place: target.place,
      model: upstreamModel(target, resolved.asked, captured),
      dialects: target.surfaces.map(surface => surface.dialect),
      share: `${Math.round((100 * target.weight) / Math.max(weights, 1e-9))} %`,
      max_tokens: target.maxTokens ?? null,
      timeouts: {
        connect: seconds(target.timeouts.connect),
        first_token: seconds(target.timeouts.firstToken),
        idle: seconds(target.timeouts.idle),
        total: seconds(target.timeouts.total)
      }
    })),
    fallbacks: route.fallbacks
  }
}

function how(runtime: Runtime, asked: string, meant: string, entry: string): string {
  const alias =
    Object.hasOwn(runtime.config.aliases, asked) && entry !== asked
      ? `alias ${asked} → ${runtime.config.aliases[asked]}, `
      : ''
  if (entry.includes('*')) return `${alias}glob ${entry}`
  if (runtime.config.model_list.some(row => row.model_name === entry)) return `${alias}exact name`
  return `${alias}backend ${entry}, model ${meant}`
}

function seconds(milliseconds: number): string {
  return `${milliseconds / 1000}s`
}
