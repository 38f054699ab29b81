import { createHash } from 'node:crypto'
import type {
  Backend,
  DemoOptions,
  GatewayConfig,
  HealthCheckSettings,
  ModelEntry,
  Price
} from '../config/generated/types.ts'
import type { Bound } from '../hooks/bound.ts'
import type { HookSet } from '../hooks/hook-set.ts'
import { parseDuration } from '../lib/duration.ts'
import { parseSize } from '../lib/size.ts'
import type { Wire } from '../lib/wire.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { type Preset, presetOf } from '../providers/presets.ts'
import { reach } from '../providers/reach.ts'
import type { Surface } from '../providers/surface.ts'
import type { Quirk } from '../quirks/quirks.ts'
import { Glob } from '../routing/glob.ts'
import { HealthBook } from '../routing/health.ts'
import { type Route, type RouteLists, routeOf } from '../routing/route.ts'
import { Routes } from '../routing/routes.ts'
import type { Target } from '../routing/target.ts'
import type { CooldownRule } from '../routing/target-state.ts'
import { ownTariff, pricesOf } from '../spend/prices.ts'
import type { Tariff } from '../spend/tariff.ts'
import type { CallTimeouts } from '../upstream/call.ts'
import type { Sticky } from './ask.ts'
import type { LadderRules } from './ladder.ts'

/** What a configuration says about choosing and trying. Milliseconds. */
interface RoutingRules extends LadderRules {
  readonly cooldown: CooldownRule
  readonly sticky: Sticky
  readonly queueWait: number
}

/** What a configuration compiles to. Frozen; a request keeps the one it began with. */
export interface Runtime {
  readonly generation: number
  readonly config: GatewayConfig
  readonly routes: Routes
  readonly rules: RoutingRules
  /** How its targets do; the one of the configuration before. */
  readonly health: HealthBook
  /** Every target there is, for health and for `explain`. */
  readonly targets: readonly Target[]
  /** Declared backends by name: each takes any model. */
  readonly backends: ReadonlyMap<string, Target>
  readonly masterKey: string | undefined
  readonly bodyLimit: number
  readonly allowedOrigins: ReadonlySet<string>
  readonly drain: number
  /** Whose connections are to be kept. */
  readonly origins: ReadonlySet<string>
  /** Undefined: no hook is listed anywhere, and nothing is paid for them. */
  readonly hooks: HookSet | undefined
  /** What works but not as somebody may expect: a key that is not set. */
  readonly warnings: readonly string[]
  /** What is served instead of a model that no budget covers. */
  readonly downgrade: (model: string) => string | undefined
  readonly loadedAt: number
}

export interface Environment {
  readonly generation: number
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly metrics: Metrics
  readonly wireTo: (origin: string) => Wire
  readonly demo: Wire
  /** What was seen under the configurations before. Absent: nothing was. */
  readonly health?: HealthBook
  /** The hooks that the configuration lists. Absent: they are not run. */
  readonly hooks?: HookSet
}

/** A mistake that only shows when the whole is put together; the loader knows the line of its path. */
export interface CompileProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

export function compile(config: GatewayConfig, given: Environment): Runtime | readonly CompileProblem[] {
  const environment = { ...given, health: given.health ?? new HealthBook(), assumed: assumedTariff(config) }
  const problems: CompileProblem[] = []
  const warnings: string[] = []
  const byName = new Map<string, Target[]>()
  config.model_list.forEach((entry, index) => {
    const target = compileEntry(
      entry,
      config,
      { ...environment, entryHooks: environment.hooks?.byEntry[index] ?? [] },
      warnings
    )
    if (typeof target === 'string') problems.push({ path: ['model_list', index], message: target })
    else byName.set(entry.model_name, [...(byName.get(entry.model_name) ?? []), target])
  })
  const backends = new Map<string, Target>()
  for (const [name, backend] of Object.entries(config.backends)) {
    const target = compileBackend(name, backend, environment, warnings)
    if (typeof target === 'string') problems.push({ path: ['backends', name], message: target })
    else backends.set(name, target)
  }
  if (problems.length > 0) return problems
  const routes: Route[] = [...byName].map(([name, targets]) =>
    routeOf(name, targets, config.routing.strategy, listsOf(name, config))
  )
  const targets = [...routes.flatMap(route => route.targets), ...backends.values()]
  const masterKey = config.auth === 'none' ? undefined : config.auth.master_key
  return Object.freeze({
    generation: environment.generation,
    config,
    routes: new Routes({ routes, aliases: config.aliases, backends }),
    rules: rulesOf(config),
    health: environment.health,
    targets,
    backends,
    masterKey: masterKey === '' ? undefined : masterKey,
    bodyLimit: parseSize(config.server.body_limit),
    allowedOrigins: new Set(config.server.allowed_origins),
    drain: parseDuration(config.server.drain),
    origins: new Set(targets.map(target => target.origin)),
    warnings: [...new Set(warnings)],
    hooks: environment.hooks?.isEmpty === false ? environment.hooks : undefined,
    downgrade: downgradesOf(config),
    loadedAt: Date.now()
  })
}

/** What a price is taken to be that nobody knows. */
function assumedTariff({ spend }: GatewayConfig): Tariff | undefined {
  return spend.unknown_price === 'estimate' ? ownTariff(spend.estimated_price, true) : undefined
}

function rulesOf({ routing }: GatewayConfig): RoutingRules {
  const { retries, retry_total: retryTotal, queue, cooldown, sticky } = routing
  return {
    retries,
    retryTotal: parseDuration(retryTotal),
    queueSize: queue.size,
    queueWait: parseDuration(queue.wait),
    sticky,
    cooldown: {
      failures: cooldown.failures,
      within: parseDuration(cooldown.within),
      for: parseDuration(cooldown.for)
    }
  }
}

function listsOf(name: string, { routing }: GatewayConfig): RouteLists {
  return {
    fallbacks: ruleFor(name, routing.fallbacks),
    contextFallbacks: ruleFor(name, routing.context_fallbacks),
    policyFallbacks: ruleFor(name, routing.content_policy_fallbacks)
  }
}

function downgradesOf({ limits }: GatewayConfig): Runtime['downgrade'] {
  const rules = Object.fromEntries(Object.entries(limits.downgrade).map(([pattern, name]) => [pattern, [name]]))
  return model => ruleFor(model, rules)[0]
}

/** An exact rule for the name first, then the most specific glob that covers it. */
function ruleFor(name: string, declared: Readonly<Record<string, readonly string[]>>): readonly string[] {
  const rules = Object.entries(declared)
  const exact = rules.find(([pattern]) => pattern === name)
  if (exact !== undefined) return exact[1]
  const matching = rules
    .map(([pattern, names]) => ({ glob: new Glob(pattern), names }))
    .filter(rule => rule.glob.match(name) !== undefined)
    .sort((a, b) => b.glob.literals - a.glob.literals)
  return matching[0]?.names ?? []
}

function compileEntry(
  entry: ModelEntry,
  config: GatewayConfig,
  environment: Compiling,
  warnings: string[]
): Target | string {
  const backendName = entry.backend === 'active' ? config.active_backend : entry.backend
  const backend = backendName === undefined ? undefined : config.backends[backendName]
  if (entry.backend !== undefined && backend === undefined) return `the backend \`${entry.backend}\` is not declared`
  const merged: Upstream = {
    provider: entry.provider ?? backend?.provider ?? '',
    label: backendName ?? entry.provider ?? '',
    dialect: entry.dialect ?? backend?.dialect,
    apiBase: entry.api_base ?? backend?.api_base,
    apiKey: entry.api_key ?? backend?.api_key,
    headers: { ...backend?.headers, ...entry.headers, ...demoHeaders(entry.demo, entry.provider ?? backend?.provider) },
    model: entry.model,
    maxTokens: entry.max_tokens,
    weight: entry.weight,
    order: entry.order,
    tags: entry.tags,
    limits: { maxParallel: entry.max_parallel, rpm: entry.rpm, tpm: entry.tpm },
    price: entry.price,
    check: entry.health_check,
    quirks: entry.quirks,
    onUnsupported: entry.on_unsupported,
    keepAlive: entry.keep_alive === undefined ? undefined : parseDuration(entry.keep_alive),
    timeouts: {
      connect: parseDuration(entry.timeouts.connect),
      firstToken: parseDuration(entry.timeouts.first_token),
      idle: parseDuration(entry.timeouts.idle),
      total: parseDuration(entry.timeouts.total)
    }
  }
  return compileTarget(entry.model_name, merged, environment, warnings)
}

type Compiling = Environment & {
  readonly health: HealthBook
  readonly entryHooks?: readonly Bound[]
  readonly assumed: Tariff | undefined
}

const NO_LIMITS = { maxParallel: undefined, rpm: undefined, tpm: undefined }
const BACKEND_TIMEOUTS: CallTimeouts = { connect: 5000, firstToken: 120_000, idle: 60_000, total: 600_000 }

/** A backend by itself takes any model that its name is put in front of. */
function compileBackend(name: string, backend: Backend, environment: Compiling, warnings: string[]): Target | string {
  const { provider, dialect, api_base: apiBase, api_key: apiKey, headers } = backend
  const upstream = {
    provider,
    label: name,
    dialect,
    apiBase,
    apiKey,
    headers,
    model: '*',
    maxTokens: undefined,
    weight: 1,
    order: 0,
    tags: [],
    limits: NO_LIMITS,
    price: undefined,
    check: undefined,
    quirks: undefined,
    onUnsupported: 'warn' as const,
    keepAlive: undefined,
    timeouts: BACKEND_TIMEOUTS
  }
  return compileTarget(name, upstream, environment, warnings)
}

interface Upstream {
  readonly provider: string
  readonly label: string
  readonly dialect: ModelEntry['dialect'] | undefined
  readonly apiBase: string | undefined
  readonly apiKey: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly model: string | undefined
  readonly maxTokens: number | undefined
  readonly weight: number
  readonly order: number
  readonly tags: readonly string[]
  readonly limits: Readonly<Record<'maxParallel' | 'rpm' | 'tpm', number | undefined>>
  readonly price: Price | undefined
  readonly check: HealthCheckSettings | undefined
  /** Undefined: what the provider is known for. */
  readonly quirks: readonly Quirk[] | undefined
  readonly onUnsupported: Target['onUnsupported']
  readonly keepAlive: number | undefined
  readonly timeouts: CallTimeouts
}

function compileTarget(route: string, upstream: Upstream, environment: Compiling, warnings: string[]): Target | string {
  const preset: Preset | undefined = presetOf(upstream.provider)
  if (preset === undefined) return `the provider \`${upstream.provider}\` is not known`
  const { provider, apiBase, apiKey, headers, dialect } = upstream
  const wanted = { provider, apiBase, apiKey, headers, dialect, model: upstream.model ?? route }
  const reached = reach(preset, wanted, environment)
  if (typeof reached === 'string') return reached
  const { url, surfaces, credential, warning } = reached
  if (warning !== undefined) warnings.push(warning)
  const demo = upstream.provider === 'demo'
  const name = `${upstream.label}/${upstream.model ?? route}`
  const free = demo || preset.local === true
  const flavour = preset.flavour ?? (preset.local === true ? 'local' : 'compatible')
  return Object.freeze({
    name,
    provider: upstream.provider,
    model: upstream.model,
    place: demo ? 'demo' : `${upstream.label} (${url.origin})`,
    origin: url.origin,
    wire: demo ? environment.demo : environment.wireTo(url.origin),
    surfaces,
    maxTokens: upstream.maxTokens,
    maxTokensField: preset.maxTokensField ?? 'max_tokens',
    flavour,
    quirks: upstream.quirks ?? (flavour === 'local' ? LOCAL_QUIRKS : []),
    mends: (upstream.quirks ?? []).length > 0,
    onUnsupported: upstream.onUnsupported,
    keepAlive: keepAliveOf(upstream, flavour),
    timeouts: upstream.timeouts,
    weight: upstream.weight,
    order: upstream.order,
    tags: upstream.tags,
    hooks: environment.entryHooks ?? [],
    ...upstream.limits,
    cost: costOf(upstream.price, free),
    prices: pricesOf(upstream.provider, upstream.price, free, environment.assumed),
    check: checkOf(upstream.check, surfaces),
    keyed: credential !== undefined && credential !== '',
    state: environment.health.state(name, identityOf(name, url, credential)),
    series: environment.metrics.target(name, route, upstream.provider)
  })
}

/** What any model on somebody's own machine may do. */
const LOCAL_QUIRKS: readonly Quirk[] = ['text-tools', 'think-tags', 'repair-arguments', 'stable-prompt']
/** Agents give up after 300 s; proxies on the way often after 60 or 30. */
const LOCAL_KEEP_ALIVE = 20_000

/** A line before a target is as silent as a long prompt. */
function keepAliveOf({ keepAlive, limits }: Upstream, flavour: Target['flavour']): number | undefined {
  const isSlow = flavour === 'local' || limits.maxParallel !== undefined
  const every = keepAlive ?? (isSlow ? LOCAL_KEEP_ALIVE : 0)
  return every === 0 ? undefined : every
}

/** Every dialect's servers list their models there. */
function checkOf(settings: HealthCheckSettings | undefined, surfaces: readonly Surface[]): Target['check'] {
  if (settings === undefined) return undefined
  return { every: parseDuration(settings.interval), path: settings.path ?? `${surfaces[0]?.base ?? ''}/models` }
}

/** Agents send about three tokens for each that is answered, those that a cache serves left out. */
function costOf(price: Price | undefined, free: boolean): number {
  if (price === undefined) return free ? 0 : Number.POSITIVE_INFINITY
  return (3 * (price.input ?? 0) + (price.output ?? 0)) / 4
}

/** What makes it the same upstream after a reload. The key is in it as a digest, which is never shown. */
function identityOf(name: string, url: URL, apiKey: string | undefined): string {
  const key = createHash('sha256')
    .update(apiKey ?? '')
    .digest('base64')
  return `${name}\n${url.href}\n${key}`
}

/** The demo upstream reads its orders from headers, so that a test's request can give them too. */
function demoHeaders(demo: DemoOptions, provider: string | undefined): Record<string, string> {
  if (provider !== 'demo') return {}
  const headers: Record<string, string> = {}
  if (parseDuration(demo.pace) > 0) headers['x-demo-pace'] = `${parseDuration(demo.pace)}ms`
  if (parseDuration(demo.first_byte) > 0) headers['x-demo-first-byte'] = `${parseDuration(demo.first_byte)}ms`
  if (demo.fail !== 'none') headers['x-demo-fail'] = demo.fail
  if (demo.text !== undefined) headers['x-demo-text'] = demo.text
  if (demo.chunks !== undefined) headers['x-demo-chunks'] = String(demo.chunks)
  return headers
}
