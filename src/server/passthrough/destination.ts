import type { IncomingMessage } from 'node:http'
import { Failure } from '../../chat/failure.ts'
import type { Runtime } from '../../exchange/runtime.ts'
import type { Surface } from '../../providers/surface.ts'
import type { Resolved } from '../../routing/routes.ts'
import { shuffled, surfaceFor, type Target, upstreamModel } from '../../routing/target.ts'
import type { CallTimeouts } from '../../upstream/call.ts'
import { parameterOf, pathBelow, queryWith, splitUrl } from './address.ts'
import { type HeldBody, holdBody, withModel } from './body.ts'

/** Where a request goes and with what: all that is worked out before a byte of it is sent. */
export interface Destination {
  /** What `x-provider` and the metrics say: the declared entry, or the target's provider. */
  readonly provider: string
  /** How messages to people name it. */
  readonly place: string
  readonly origin: string
  /** The part of `path` that no request may leave. */
  readonly base: string
  readonly path: string
  /** With its question mark; empty when there is none. */
  readonly query: string
  /** What stands for `base` at the gateway. */
  readonly prefix: string
  /** Names in lower case; put in over the client's. */
  readonly headers: Readonly<Record<string, string>>
  readonly timeouts: CallTimeouts
  /** Undefined for a declared entry of `passthrough`. */
  readonly target: Target | undefined
  readonly route: string | undefined
  /** As the client named it, and as the upstream does. */
  readonly asked: string | undefined
  readonly model: string | undefined
  /** Undefined: the body has not been touched and is streamed. */
  readonly held: HeldBody | undefined
}

/** An unknown API may think for long and stream for ever; only silence is bounded. */
const PASSTHROUGH_TIMEOUTS: CallTimeouts = { connect: 5000, firstToken: 300_000, idle: 120_000, total: 3_600_000 }

/** To the entry of `passthrough` that the path names. */
export function declaredDestination(runtime: Runtime, name: string, url: string): Destination | Failure {
  const { path, query } = splitUrl(url)
  const declared = runtime.config.passthrough
  const entry = Object.hasOwn(declared, name) ? declared[name] : undefined
  if (entry === undefined) {
    const names = Object.keys(declared)
    return new Failure('not-found', `There is no passthrough \`${name.slice(0, 100)}\`.`, {
      recommendations: [
        names.length === 0
          ? 'Declare one under `passthrough` in gateway.yaml; none is yet.'
          : `Declared under \`passthrough\` in gateway.yaml: ${names.join(', ')}.`
      ]
    })
  }
  if (!URL.canParse(entry.target) || !/^https?:/i.test(entry.target))
    return new Failure('upstream-failed', `passthrough.${name}.target is not an http address.`)
  // The router also takes `http://any.host/passthrough/…` as a path; nobody honest sends that.
  if (!path.startsWith('/passthrough/')) return new Failure('invalid-request', 'Write the path without a host.')
  const slash = path.indexOf('/', '/passthrough/'.length)
  const rest = pathBelow(slash < 0 ? '' : path.slice(slash))
  if (rest instanceof Failure) return rest
  const { origin, pathname } = new URL(entry.target)
  const base = pathname.replace(/\/+$/, '')
  return {
    provider: name,
    place: `${name} (${origin})`,
    origin,
    base,
    path: base + rest || '/',
    query: queryWith(query, { key: undefined }),
    prefix: slash < 0 ? path : path.slice(0, slash),
    headers: lowerCased(Object.entries(entry.headers)),
    timeouts: PASSTHROUGH_TIMEOUTS,
    target: undefined,
    route: undefined,
    asked: undefined,
    model: undefined,
    held: undefined
  }
}

interface Choice {
  readonly target: Target
  readonly surface: Surface
  readonly route: string | undefined
  readonly asked: string | undefined
  readonly model: string | undefined
}

/** To the backend that a header or the query names, else the target of the model, else the active or only backend. */
export async function providerDestination(
  runtime: Runtime,
  request: IncomingMessage,
  hasBody: boolean
): Promise<Destination | Failure> {
  const { path, query } = splitUrl(request.url ?? '')
  const [, version = ''] = /^\/(v[12])\//.exec(path) ?? []
  const rest = pathBelow(version === '' ? path : path.slice(version.length + 1))
  if (rest instanceof Failure) return rest
  const header = request.headers['x-gateway-backend']
  const named = typeof header === 'string' ? header : parameterOf(query, 'backend')
  // A declared backend takes the body as it is, so it need not be held.
  const held = named === undefined && hasBody ? await holdBody(request, runtime.bodyLimit) : undefined
  if (held instanceof Failure) return held
  const inBody = held?.model?.value
  const asked = named === undefined ? (inBody ?? parameterOf(query, 'model')) : undefined
  const choice = choose(runtime, named, asked)
  if (choice instanceof Failure) return choice
  const { target, surface, model } = choice
  // Only the version in front of the path is exchanged: `/v2/rerank` stays `/v2/rerank` below `/openai/v1`.
  const base = version === 'v2' ? surface.base.replace(/\/v1$/, '/v2') : surface.base
  const inQuery = inBody === undefined && asked !== undefined && model !== undefined
  return {
    provider: target.provider,
    place: target.place,
    origin: target.origin,
    base,
    path: base + rest,
    query: queryWith(query, { key: undefined, backend: undefined, ...(inQuery && { model }) }),
    prefix: version === '' ? '' : `/${version}`,
    headers: lowerCased(pairsOf(surface.headers)),
    timeouts: target.timeouts,
    target,
    route: choice.route,
    asked,
    model,
    held: held !== undefined && inBody !== undefined && model !== undefined ? withModel(held, model) : held
  }
}

function choose(runtime: Runtime, named: string | undefined, asked: string | undefined): Choice | Failure {
  if (named !== undefined) {
    const target = runtime.backends.get(named)
    if (target === undefined) {
      const message = `There is no backend \`${named.slice(0, 100)}\`.`
      return new Failure('invalid-request', message, { recommendations: [declaredBackends(runtime)] })
    }
    return chosen([target], undefined, undefined)
  }
  if (asked !== undefined) {
    const resolved = runtime.routes.resolve(asked)
    if (resolved instanceof Failure) {
      const recommendations = [...(resolved.details.recommendations ?? []), howToChoose(runtime)]
      return new Failure(resolved.kind, resolved.message, { ...resolved.details, recommendations })
    }
    return chosen(shuffled(resolved.route.targets, Math.random, performance.now()), resolved, asked)
  }
  const active = runtime.config.active_backend
  const [only, ...others] = runtime.backends.values()
  const target = active === undefined ? (others.length === 0 ? only : undefined) : runtime.backends.get(active)
  if (target !== undefined) return chosen([target], undefined, undefined)
  const message = 'Nothing says which upstream this is for: no `model`, no backend, and none is active.'
  return new Failure('invalid-request', message, { recommendations: [howToChoose(runtime)] })
}

function chosen(
  targets: readonly Target[],
  resolved: Resolved | undefined,
  asked: string | undefined
): Choice | Failure {
  for (const target of targets) {
    const surface = surfaceFor(target, 'openai-chat')
    // What is signed or shaped when it is sent cannot pass byte for byte.
    if (surface === undefined || surface.finish !== undefined || target.provider === 'demo') continue
    const model = resolved === undefined ? undefined : upstreamModel(target, resolved.asked, resolved.captured)
    return { target, surface, route: resolved?.route.name, asked, model }
  }
  const places = targets.map(target => target.place).join(', ')
  return new Failure(
    'unsupported',
    `${places || 'No target of this model'} cannot be asked in OpenAI’s API on this route.`,
    {
      recommendations: ['Name a backend that speaks it: `x-gateway-backend: NAME`, or a model that one serves.']
    }
  )
}

function howToChoose(runtime: Runtime): string {
  return `Send \`model\`, the header \`x-gateway-backend: NAME\` or \`?backend=NAME\`, or set active_backend. ${declaredBackends(runtime)}`
}

function declaredBackends(runtime: Runtime): string {
  const names = [...runtime.backends.keys()]
  return names.length === 0 ? 'No backend is declared in gateway.yaml.' : `Declared backends: ${names.join(', ')}.`
}

function lowerCased(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  return Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]))
}

function pairsOf(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let index = 0; index + 1 < flat.length; index += 2) pairs.push([flat[index] ?? '', flat[index + 1] ?? ''])
  return pairs
}
