import { FAILURES, Failure, type FailureKind } from '../chat/failure.ts'
import { advised } from '../exchange/recommend.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { presetOf } from '../providers/presets.ts'
import type { Target } from '../routing/target.ts'
import { Pools } from '../upstream/pools.ts'
import { ask } from './client.ts'
import { findConfig, type Where } from './find-config.ts'
import { askedOf, listOffered } from './models.ts'
import { offline } from './offline.ts'
import { colors, count, EXIT, fail, print, printJson } from './output.ts'
import { tell } from './prepare.ts'
import { printable } from './request-line.ts'
import { findRunning } from './running.ts'

/** Servers whose list is all they have: a model that is missing there cannot be asked. */
const COMPLETE_LISTS: ReadonlySet<string> = new Set(['ollama', 'lm-studio', 'vllm', 'sglang'])

/** One upstream that does not do what the file says of it. */
interface Trouble {
  readonly target: string
  readonly place: string
  /** The names of model_list, or of backends, that lead there. */
  readonly names: readonly string[]
  readonly problem: string
  readonly recommendations: readonly string[]
}

/** What a running gateway knows of its targets, by name and address. */
type Known = ReadonlyMap<string, { readonly ok: boolean; readonly failure: Failure | undefined }>

/** Asks each upstream for its models, and says of those that fail what can be done. */
export async function recommend(flags: Where & { json?: boolean }): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  const pools = new Pools()
  const prepared = await offline(source.file, origin => pools.wire(origin))
  if (!('loaded' in prepared)) return fail(tell(prepared.problems), json)
  const { runtime } = prepared
  const running = await findRunning(flags)
  const url = typeof running === 'string' ? undefined : running.record?.url
  const known = url === undefined ? undefined : await whatIsKnown(url)
  const upstreams = upstreamsOf(runtime)
  const failures = await examine(upstreams, known)
  await pools.close()
  const troubles = upstreams.flatMap(({ target, names }) => {
    const failure = failures.get(target)
    return failure === undefined ? [] : [troubleOf(failure, target, names, runtime)]
  })
  if (json) printJson({ ok: troubles.length === 0, gateway: url ?? null, upstreams: upstreams.length, troubles })
  else print(describe(troubles, upstreams.length))
  return troubles.length === 0 ? EXIT.done : EXIT.failed
}

interface Upstream {
  readonly target: Target
  readonly names: readonly string[]
}

/** Everything that leads out of this process, once: entries of one upstream and model are one. */
function upstreamsOf(runtime: Runtime): Upstream[] {
  const found = new Map<string, { target: Target; names: string[] }>()
  const add = (name: string, target: Target) => {
    if (target.provider === 'demo' || target.weight === 0) return
    const key = keyOf(target.name, target.origin)
    const before = found.get(key)
    if (before === undefined) found.set(key, { target, names: [name] })
    else if (!before.names.includes(name)) before.names.push(name)
  }
  for (const { name, targets } of runtime.routes.routes()) for (const target of targets) add(name, target)
  const used = new Set([...found.values()].map(({ target }) => target.origin))
  for (const [name, target] of runtime.backends) if (!used.has(target.origin)) add(name, target)
  return [...found.values()]
}

function keyOf(name: string, origin: string): string {
  return `${name}\n${origin}`
}

async function whatIsKnown(url: string): Promise<Known | undefined> {
  const health = await ask(url, '/health', 2000)
  const backends = typeof health === 'string' ? undefined : health.body['backends']
  if (!Array.isArray(backends)) return undefined
  const known = new Map<string, { ok: boolean; failure: Failure | undefined }>()
  for (const { name, endpoint, status, failure, last_error: error } of backends as Record<string, unknown>[]) {
    if (status !== 'healthy' && status !== 'unhealthy') continue
    const kind = typeof failure === 'string' && isKind(failure) ? failure : 'upstream-failed'
    const told = status === 'healthy' ? undefined : new Failure(kind, String(error ?? 'It failed when last asked.'))
    known.set(keyOf(String(name), String(endpoint)), { ok: told === undefined, failure: told })
  }
  return known
}

function isKind(text: string): text is FailureKind {
  return Object.hasOwn(FAILURES, text)
}

/** Notes how each upstream does, since advice names those that answer; what failed, and why. */
async function examine(upstreams: readonly Upstream[], known: Known | undefined): Promise<Map<Target, Failure>> {
  const asked = new Map<string, Promise<readonly string[] | Failure>>()
  const failures = new Map<Target, Failure>()
  const look = async ({ target, names }: Upstream) => {
    const told = known?.get(keyOf(target.name, target.origin))
    // The gateway may have been given a key that this shell has not.
    const isBlind = known !== undefined && !target.keyed && presetOf(target.provider)?.keyVariable !== undefined
    const surface = askedOf(target)
    const headers = JSON.stringify(surface?.surface.headers)
    const same = keyOf(headers, target.origin)
    const answer = isBlind || surface === undefined ? undefined : (asked.get(same) ?? listOffered(surface))
    if (answer !== undefined) asked.set(same, answer)
    const found = await answer
    const failure = judge(found, target, names) ?? told?.failure
    if (failure !== undefined) failures.set(target, failure)
    if (failure !== undefined || told !== undefined || Array.isArray(found))
      target.state.note(failure === undefined, 0, failure?.message)
  }
  await Promise.all(upstreams.map(look))
  return failures
}

function judge(
  found: readonly string[] | Failure | undefined,
  target: Target,
  names: readonly string[]
): Failure | undefined {
  if (found === undefined) return undefined
  // Who lists no models may answer all the same.
  if (found instanceof Failure)
    return found.details.code === 'no_list' ? undefined : new Failure(found.kind, found.message)
  const model = modelOf(target, names)
  if (!COMPLETE_LISTS.has(target.provider) || model.includes('*')) return undefined
  if (found.includes(model) || found.includes(`${model}:latest`)) return undefined
  return new Failure('upstream-rejected', `${target.place} has no model \`${model}\`.`, { status: 404 })
}

function modelOf({ model }: Target, [name = '']: readonly string[]): string {
  return model ?? name
}

function troubleOf(failure: Failure, target: Target, names: readonly string[], runtime: Runtime): Trouble {
  const told = advised(failure, target, modelOf(target, names), names[0] ?? '', runtime)
  return {
    target: target.name,
    place: target.place,
    names,
    problem: told.message,
    recommendations: told.details.recommendations ?? []
  }
}

function describe(troubles: readonly Trouble[], upstreams: number): string {
  if (upstreams === 0) return 'There is nothing to ask: no entry leads out of this process.'
  if (troubles.length === 0) return colors.green(`All is well: ${count(upstreams, 'upstream')} asked.`)
  return troubles
    .map(({ target, names, problem, recommendations }) =>
      [
        `${colors.bold(target)}, for ${names.join(', ')}`,
        `  ${colors.red(printable(problem))}`,
        ...recommendations.map(line => `  → ${printable(line)}`)
      ].join('\n')
    )
    .join('\n\n')
}
