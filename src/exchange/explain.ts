import { Failure } from '../chat/failure.ts'
import { type Ask, obstacle } from '../routing/choice.ts'
import { type Target, upstreamModel } from '../routing/target.ts'
import { dollars, type Tariff } from '../spend/tariff.ts'
import type { Sticky } from './ask.ts'
import type { Runtime } from './runtime.ts'

interface TokenPrice {
  readonly input: number
  readonly output: number
  readonly cache_read: number
  readonly cache_write: number
  /** Nobody knows it; the operator said what to take. */
  readonly estimated?: true
}

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
    /** `ready`, or why it would be passed over now. */
    readonly now: string
    /** What else decides whether it is asked: its order, its limits, its tags. */
    readonly conditions: readonly string[]
    readonly max_tokens: number | null
    /** USD per million tokens of a short prompt; null where nobody knows. */
    readonly price: TokenPrice | null
    readonly timeouts: Readonly<Record<string, string>>
  }[]
  readonly strategy: string
  readonly sticky: Sticky
  readonly fallbacks: readonly string[]
  readonly context_fallbacks: readonly string[]
  readonly content_policy_fallbacks: readonly string[]
}

/** A request that says nothing about where it wants to go. */
const ANY: Ask = { tags: [], conversation: 0, tokens: 0, tried: [] }

/** Where a model name leads and why, for a request that says so much about itself. Asks nobody upstream. */
export function explain(
  runtime: Runtime,
  asked: string,
  says: Partial<Pick<Ask, 'tags' | 'tokens'>> = {}
): Explanation | Failure {
  const resolved = runtime.routes.resolve(asked)
  if (resolved instanceof Failure) return resolved
  const { route, captured } = resolved
  const ask = { ...ANY, ...says }
  const now = performance.now()
  const weightOf = (order: number) =>
    route.targets.reduce((sum, target) => sum + (target.order === order ? target.weight : 0), 0)
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
      share: `${Math.round((100 * target.weight) / Math.max(weightOf(target.order), 1e-9))} %`,
      now: stateOf(target, ask, now),
      conditions: conditionsOf(target),
      max_tokens: target.maxTokens ?? null,
      price: priceOf(target.prices.of(upstreamModel(target, resolved.asked, captured), Date.now())),
      timeouts: {
        connect: seconds(target.timeouts.connect),
        first_token: seconds(target.timeouts.firstToken),
        idle: seconds(target.timeouts.idle),
        total: seconds(target.timeouts.total)
      }
    })),
    strategy: route.strategy,
    sticky: runtime.rules.sticky,
    fallbacks: route.fallbacks,
    context_fallbacks: route.contextFallbacks,
    content_policy_fallbacks: route.policyFallbacks
  }
}

function priceOf(tariff: Tariff | undefined): TokenPrice | null {
  if (tariff === undefined) return null
  return {
    input: dollars(tariff.input.base),
    output: dollars(tariff.output.base),
    cache_read: dollars(tariff.cacheRead.base),
    cache_write: dollars(tariff.cacheWrite.base),
    ...(tariff.assumed && { estimated: true })
  }
}

const OBSTACLES = {
  tried: 'tried',
  tags: 'for other tags',
  probing: 'left out: one request is finding out whether it works again',
  rate: 'at its rpm or tpm',
  full: 'full: requests wait in line'
}

function stateOf(target: Target, ask: Ask, now: number): string {
  if (target.weight === 0) return 'never asked: its weight is 0'
  const why = obstacle(target, ask, now)
  if (why === undefined) return 'ready'
  return why === 'cooling' ? `left out for ${Math.ceil(target.state.coolingFor(now) / 1000)} s` : OBSTACLES[why]
}

function conditionsOf({ order, maxParallel, rpm, tpm, tags }: Target): string[] {
  return [
    ...(order === 0 ? [] : [`order ${order}`]),
    ...(maxParallel === undefined ? [] : [`max_parallel ${maxParallel}`]),
    ...(rpm === undefined ? [] : [`rpm ${rpm}`]),
    ...(tpm === undefined ? [] : [`tpm ${tpm}`]),
    ...(tags.length === 0 ? [] : [`tags ${tags.join(', ')}`])
  ]
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
