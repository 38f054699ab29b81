// Which of a name's targets a request goes to. Pure but for the clock and the dice, which are given.

import { draw, leastDraw, score } from './rendezvous.ts'
import type { Route, Strategy, Tier } from './route.ts'
import type { Target } from './target.ts'

/** What a request asks of the targets it may go to. */
export interface Ask {
  /** A target has to have all of them. */
  readonly tags: readonly string[]
  /** Says which conversation this belongs to; 0 when nothing does. */
  readonly conversation: number
  /** How many tokens it will take, about. */
  readonly tokens: number
  /** What has been tried, and is not to be tried again. */
  readonly tried: readonly Target[]
}

/** Why a target is passed over. `probing`: another request is finding out whether it works again. */
export type Obstacle = 'tried' | 'tags' | 'cooling' | 'probing' | 'rate' | 'full'

/** The first reason why a target is not for this request now, if there is one. */
export function obstacle(target: Target, ask: Ask, now: number): Obstacle | undefined {
  if (ask.tried.length > 0 && ask.tried.includes(target)) return 'tried'
  if (ask.tags.length > 0 && !ask.tags.every(tag => target.tags.includes(tag))) return 'tags'
  const { state } = target
  if (state.coolingFor(now) > 0) return 'cooling'
  if (state.probing) return 'probing'
  return shortage(target, ask, now)
}

/** Why a target that is well has no room, if it has none. */
export function shortage(target: Target, ask: Ask, now: number): 'rate' | 'full' | undefined {
  const { state, rpm, tpm, maxParallel } = target
  if (rpm !== undefined && !state.requests.fits(1, rpm, now)) return 'rate'
  if (tpm !== undefined && !state.tokens.fits(ask.tokens, tpm, now)) return 'rate'
  if (maxParallel !== undefined && state.inflight >= maxParallel) return 'full'
  return undefined
}

/** The target to ask, or undefined when every one has an obstacle. */
export function choose(route: Route, ask: Ask, now: number, random: () => number): Target | undefined {
  for (const tier of route.tiers) {
    const chosen = chooseIn(tier, route.strategy, ask, now, random)
    if (chosen !== undefined) return chosen
  }
  return undefined
}

function chooseIn(tier: Tier, strategy: Strategy, ask: Ask, now: number, random: () => number): Target | undefined {
  const { targets } = tier
  const first = targets[0]
  if (targets.length === 1 && first !== undefined) return obstacle(first, ask, now) === undefined ? first : undefined
  if (ask.conversation !== 0) return byConversation(tier, ask, now)
  switch (strategy) {
    case 'weighted':
      return byWeight(tier, ask, now, random)
    case 'least-busy':
      return leastBusy(tier, ask, now, random)
    case 'cheapest':
      return cheapest(tier, ask, now, random)
    case 'fastest':
      return faster(tier, ask, now, random)
  }
}

/** So many draws find a free target at once, unless nearly all are out. */
const DRAWS = 8

function byWeight(tier: Tier, ask: Ask, now: number, random: () => number): Target | undefined {
  for (let count = 0; count < DRAWS; count++) {
    const drawn = oneOf(tier, random)
    if (drawn !== undefined && obstacle(drawn, ask, now) === undefined) return drawn
  }
  const free = tier.targets.filter(target => obstacle(target, ask, now) === undefined)
  let at = random() * free.reduce((sum, target) => sum + target.weight, 0)
  for (const target of free) {
    at -= target.weight
    if (at < 0) return target
  }
  return free.at(-1)
}

/** One target by weight, whatever its state. */
function oneOf({ targets, sums }: Tier, random: () => number): Target | undefined {
  const at = random() * (sums[sums.length - 1] ?? 0)
  let low = 0
  let high = sums.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sums[middle] ?? 0) > at) high = middle
    else low = middle + 1
  }
  return targets[low]
}

/** Of more than this, a sample is looked at: all of them would cost more than the difference is worth. */
const MANY = 64

/** Beginning anywhere, so that equals take turns by chance. */
function leastBusy({ targets }: Tier, ask: Ask, now: number, random: () => number): Target | undefined {
  const { length } = targets
  const start = Math.floor(random() * length)
  let best: Target | undefined
  let least = Number.POSITIVE_INFINITY
  for (let count = 0; count < length && (count < MANY || best === undefined); count++) {
    const target = targets[(start + count) % length]
    if (target === undefined) continue
    const busy = target.state.inflight / target.weight
    if (busy >= least || obstacle(target, ask, now) !== undefined) continue
    best = target
    least = busy
  }
  return best
}

/** Equally cheap ones take turns by chance. */
function cheapest({ targets }: Tier, ask: Ask, now: number, random: () => number): Target | undefined {
  let best: Target | undefined
  let equal = 0
  for (const target of targets) {
    if (best !== undefined && target.cost !== best.cost) return best
    if (obstacle(target, ask, now) !== undefined) continue
    equal++
    if (best === undefined || random() * equal < 1) best = target
  }
  return best
}

/** The better of two: choosing the best of all would send everybody there at once. */
function faster(tier: Tier, ask: Ask, now: number, random: () => number): Target | undefined {
  const one = byWeight(tier, ask, now, random)
  if (one === undefined) return undefined
  let other: Target | undefined = one
  for (let count = 0; count < DRAWS && other === one; count++) other = byWeight(tier, ask, now, random)
  if (other === undefined || other === one) return one
  return other.state.expectedWait(now) < one.state.expectedWait(now) ? other : one
}

/** The best of all for this conversation; when that has an obstacle, the second best, and so on. */
function byConversation(tier: Tier, ask: Ask, now: number): Target | undefined {
  let above = 0
  for (let count = 0; count < LOOKS; count++) {
    const at = bestAbove(tier, ask.conversation, above)
    const target = tier.targets[at]
    if (target === undefined || obstacle(target, ask, now) === undefined) return target
    above = score(draw(ask.conversation, tier.seeds[at] ?? 0), tier.weights[at] ?? 1)
  }
  // Many are out: look at each of them once instead.
  let best: Target | undefined
  let least = Number.POSITIVE_INFINITY
  for (const target of tier.targets) {
    const own = score(draw(ask.conversation, target.state.seed), target.weight)
    if (own >= least || obstacle(target, ask, now) !== undefined) continue
    best = target
    least = own
  }
  return best
}

const LOOKS = 4

/** Where the lowest score above another one stands; -1 when there is none. */
function bestAbove({ seeds, weights, heaviest }: Tier, conversation: number, above: number): number {
  let best = -1
  let least = Number.POSITIVE_INFINITY
  let floor = Number.NEGATIVE_INFINITY
  for (let index = 0; index < seeds.length; index++) {
    const drawn = draw(conversation, seeds[index] ?? 0)
    if (drawn < floor) continue
    const own = score(drawn, weights[index] ?? 1)
    if (own >= least || own <= above) continue
    best = index
    least = own
    floor = leastDraw(own, heaviest)
  }
  return best
}

/** Whose line is the shortest, of those that are merely full. */
export function shortestLine(route: Route, ask: Ask, now: number): Target | undefined {
  let best: Target | undefined
  for (const { targets } of route.tiers) {
    for (const target of targets) {
      if (obstacle(target, ask, now) !== 'full') continue
      if (best === undefined || target.state.waiting < best.state.waiting) best = target
    }
  }
  return best
}

/** Who is left out for the shortest time: what to try when nobody else is there. */
export function leastCooling(route: Route, ask: Ask, now: number): Target | undefined {
  let best: Target | undefined
  for (const { targets } of route.tiers) {
    for (const target of targets) {
      const why = obstacle(target, ask, now)
      if (why !== 'cooling' && why !== 'probing') continue
      if (best === undefined || target.state.coolingFor(now) < best.state.coolingFor(now)) best = target
    }
    if (best !== undefined) return best
  }
  return best
}

/** Milliseconds until a target that is at its limit takes a request again; undefined when none is. */
export function rateWait(route: Route, ask: Ask, now: number): number | undefined {
  let least: number | undefined
  for (const target of route.targets) {
    if (target.weight === 0 || obstacle(target, ask, now) !== 'rate') continue
    const { state, rpm, tpm } = target
    const requests = rpm === undefined ? 0 : state.requests.wait(1, rpm, now)
    const tokens = tpm === undefined ? 0 : state.tokens.wait(ask.tokens, tpm, now)
    least = Math.min(least ?? Number.POSITIVE_INFINITY, Math.max(requests, tokens))
  }
  return least
}
