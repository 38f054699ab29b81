import type { Target } from './target.ts'

/** How entries of one name share its load. */
export type Strategy = 'weighted' | 'least-busy' | 'fastest' | 'cheapest'

/** Targets of the same order: a later tier is asked only when an earlier one cannot. */
export interface Tier {
  /** The cheapest first. */
  readonly targets: readonly Target[]
  readonly weights: Float64Array
  readonly heaviest: number
  /** Sums of the weights up to and with each target. */
  readonly sums: Float64Array
  /** For choosing by conversation, which looks at all of them. */
  readonly seeds: Uint32Array
}

/** Every target that serves one name of `model_list`. */
export interface Route {
  /** The `model_name` it was declared under: what metrics call the model. */
  readonly name: string
  readonly targets: readonly Target[]
  /** Those of them that have a weight, in the order in which they are asked. */
  readonly tiers: readonly Tier[]
  readonly strategy: Strategy
  /** Some of its targets have tags. */
  readonly tagged: boolean
  /** Names to try when all of its targets failed. */
  readonly fallbacks: readonly string[]
  /** Names to try when a request is too long for it. */
  readonly contextFallbacks: readonly string[]
  /** Names to try when its upstream refuses what was said. */
  readonly policyFallbacks: readonly string[]
}

export type RouteLists = Pick<Route, 'fallbacks' | 'contextFallbacks' | 'policyFallbacks'>

const NO_LISTS: RouteLists = { fallbacks: [], contextFallbacks: [], policyFallbacks: [] }

export function routeOf(
  name: string,
  targets: readonly Target[],
  strategy: Strategy = 'weighted',
  lists: RouteLists = NO_LISTS
): Route {
  const orders = [...new Set(targets.map(target => target.order))].sort((a, b) => a - b)
  const tiers = orders
    .map(order => tierOf(targets.filter(target => target.order === order && target.weight > 0)))
    .filter(tier => tier.targets.length > 0)
  const tagged = targets.some(target => target.tags.length > 0)
  const { fallbacks, contextFallbacks, policyFallbacks } = lists
  return { name, targets, tiers, strategy, tagged, fallbacks, contextFallbacks, policyFallbacks }
}

function tierOf(unsorted: readonly Target[]): Tier {
  const targets = [...unsorted].sort((a, b) => (a.cost === b.cost ? 0 : a.cost - b.cost))
  const weights = Float64Array.from(targets, target => target.weight)
  const sums = new Float64Array(targets.length)
  for (const [index, weight] of weights.entries()) sums[index] = (sums[index - 1] ?? 0) + weight
  const heaviest = weights.reduce((most, weight) => Math.max(most, weight), 0)
  return { targets, weights, heaviest, sums, seeds: Uint32Array.from(targets, target => target.state.seed) }
}
