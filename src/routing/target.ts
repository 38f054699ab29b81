import type { DialectName, Flavour } from '../dialects/dialect.ts'
import type { Bound } from '../hooks/bound.ts'
import type { Wire } from '../lib/wire.ts'
import type { TargetSeries } from '../metrics/series.ts'
import type { Surface } from '../providers/surface.ts'
import type { Quirk } from '../quirks/quirks.ts'
import type { Prices } from '../spend/prices.ts'
import type { CallTimeouts } from '../upstream/call.ts'
import { fillStars } from './glob.ts'
import type { TargetState } from './target-state.ts'

/** One upstream and model to try, as the configuration declares it. Frozen; shared by all requests of a runtime. */
export interface Target {
  /** `provider/model`, as metrics and logs name it. */
  readonly name: string
  readonly provider: string
  /** The upstream's name for the model; a `*` takes what the glob matched. Undefined: the name that was asked for. */
  readonly model: string | undefined
  /** How messages to people name it: `mlx (http://localhost:11402)`. */
  readonly place: string
  readonly origin: string
  readonly wire: Wire
  readonly surfaces: readonly Surface[]
  /** A cap: a larger ask is lowered, a missing one is filled in. */
  readonly maxTokens: number | undefined
  /** Where a missing cap is filled in, for OpenAI Chat. */
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens'
  /** How much of a dialect it takes. */
  readonly flavour: Flavour
  /** What is undone of its answers, and done to its prompts, on the way through the hub. */
  readonly quirks: readonly Quirk[]
  /** The operator listed them: answers in the client's own dialect go through the hub too. */
  readonly mends: boolean
  readonly onUnsupported: 'warn' | 'drop' | 'reject'
  /** Milliseconds of silence after which a streaming client is told that somebody is there. */
  readonly keepAlive: number | undefined
  readonly timeouts: CallTimeouts
  readonly weight: number
  /** Those of a lower one are asked first. */
  readonly order: number
  readonly tags: readonly string[]
  /** Of its entry alone, after the gateway's own. */
  readonly hooks: readonly Bound[]
  /** The most calls at one time. */
  readonly maxParallel: number | undefined
  /** The most requests and tokens a minute. */
  readonly rpm: number | undefined
  readonly tpm: number | undefined
  /** USD per million tokens, three of input to one of output; Infinity when nobody knows. */
  readonly cost: number
  /** What its models' tokens cost. */
  readonly prices: Prices
  /** How often it is asked whether it is there (milliseconds), and by which path. */
  readonly check: { readonly every: number; readonly path: string } | undefined
  /** A key is sent. */
  readonly keyed: boolean
  /** How it does now: the one thing here that changes. */
  readonly state: TargetState
  readonly series: TargetSeries
}

export function upstreamModel(target: Target, asked: string, captured: readonly string[]): string {
  return target.model === undefined ? asked : fillStars(target.model, captured)
}

/** How this target is asked by a client of that dialect without translation, if it can be. */
export function surfaceFor(target: Target, dialect: DialectName): Surface | undefined {
  for (const surface of target.surfaces) if (surface.dialect === dialect) return surface
  return undefined
}

/**
 * For routes whose body cannot be sent twice: who is asked, then who if that one does not speak the dialect. By order and
 * chance by weight; whoever is left out for failures comes last.
 */
export function shuffled(targets: readonly Target[], random: () => number, now: number): readonly Target[] {
  if (targets.length < 2) return targets
  // Efraimidis and Spirakis: the smallest -log(random)/weight first draws by weight without replacement.
  return targets
    .filter(target => target.weight > 0)
    .map(target => ({
      target,
      out: target.state.coolingFor(now) > 0 ? 1 : 0,
      rank: -Math.log(1 - random()) / target.weight
    }))
    .sort((a, b) => a.out - b.out || a.target.order - b.target.order || a.rank - b.rank)
    .map(entry => entry.target)
}
