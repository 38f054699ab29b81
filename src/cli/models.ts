import { Failure } from '../chat/failure.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { Deadlines } from '../lib/deadlines.ts'
import { nearest } from '../lib/nearest.ts'
import type { Wire, WireRequest } from '../lib/wire.ts'
import type { Preset } from '../providers/preset.ts'
import { PROVIDER_NAMES, presetOf } from '../providers/presets.ts'
import { reach } from '../providers/reach.ts'
import { rootOf, type Surface } from '../providers/surface.ts'
import type { Target } from '../routing/target.ts'
import { Call } from '../upstream/call.ts'
import { Pools } from '../upstream/pools.ts'
import { findConfig, type Where } from './find-config.ts'
import { offline } from './offline.ts'
import { EXIT, fail, print, printJson, table } from './output.ts'
import { tell } from './prepare.ts'
import { printable } from './request-line.ts'

interface Asked {
  readonly place: string
  readonly wire: Wire
  readonly surface: Surface
  readonly preset: Preset | undefined
}

const TIMEOUTS = { connect: 3000, firstToken: 8000, idle: 8000, total: 10_000 }

/** What the file serves; with a provider, what that upstream says it has. */
export async function models(flags: Where & { json?: boolean; provider?: string | undefined }): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  const pools = new Pools()
  const prepared = await offline(source.file, origin => pools.wire(origin))
  if (!('loaded' in prepared)) return fail(tell(prepared.problems), json)
  const { runtime } = prepared
  if (flags.provider === undefined) return listServed(runtime, json)
  const asked = upstreamOf(runtime, flags.provider, pools)
  if (typeof asked === 'string') return fail([asked], json)
  const offered = await listOffered(asked)
  await pools.close()
  if (offered instanceof Failure) return fail([offered.message, ...(offered.details.recommendations ?? [])], json)
  if (json) printJson({ provider: flags.provider, place: asked.place, models: offered })
  else print(offered.length === 0 ? `${asked.place} has no models.` : offered.map(printable).join('\n'))
  return EXIT.done
}

function listServed(runtime: Runtime, json: boolean): number {
  const { aliases } = runtime.config
  const rows = runtime.routes.routes().map(route => ({
    model: route.name,
    targets: route.targets.map(target => (target.provider === 'demo' ? 'demo' : `${target.name} at ${target.origin}`)),
    fallbacks: route.fallbacks
  }))
  if (json) {
    printJson({ models: rows, aliases })
    return EXIT.done
  }
  const named = Object.entries(aliases).map(([name, meant]) => [name, `= ${meant}`])
  print(table([...rows.map(row => [row.model, `→ ${row.targets.join(', ')}`]), ...named]))
  return EXIT.done
}

/** A backend or entry of the file, with its address and key, else the provider as the table knows it. */
function upstreamOf(runtime: Runtime, name: string, pools: Pools): Asked | string {
  const target =
    runtime.targets.find(candidate => candidate.name.startsWith(`${name}/`)) ??
    runtime.targets.find(candidate => candidate.provider === name)
  const own = target && askedOf(target)
  if (own !== undefined) return own
  const preset = presetOf(name)
  if (preset === undefined) {
    const near = nearest(name, [...PROVIDER_NAMES, ...Object.keys(runtime.config.backends)])
    return `There is no provider or backend \`${name}\`.${near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`}`
  }
  const wanted = { provider: name, apiBase: undefined, apiKey: undefined, headers: {}, dialect: undefined, model: '*' }
  const reached = reach(preset, wanted, { variables: process.env, wireTo: origin => pools.wire(origin) })
  if (typeof reached === 'string') return `\`${name}\` cannot be asked: ${reached}. Declare it in gateway.yaml.`
  if (reached.warning !== undefined) return `${reached.warning}.`
  const { url, surfaces } = reached
  const [surface] = surfaces
  if (surface === undefined) return `\`${name}\` speaks nothing that lists models.`
  return { place: `${name} (${url.origin})`, wire: pools.wire(url.origin), surface, preset }
}

/** How a target is asked for its models. */
export function askedOf({ place, wire, surfaces: [surface], provider }: Target): Asked | undefined {
  return surface === undefined ? undefined : { place, wire, surface, preset: presetOf(provider) }
}

/** A server may list its models at a place of its own; where one place is not known there, the next is asked. */
export async function listOffered(asked: Asked): Promise<string[] | Failure> {
  const { surface, preset } = asked
  const root = preset === undefined ? '' : (rootOf(preset, surface.base) ?? '')
  const paths = preset?.lists?.map(path => root + path) ?? [`${surface.base}/models`]
  let result: string[] | Failure = new Failure('upstream-failed', `${asked.place} lists no models.`)
  for (const path of paths) {
    result = await listAt(path, asked)
    if (!(result instanceof Failure) || result.details.code !== 'no_list') return result
  }
  return result
}

async function listAt(path: string, { place, wire, surface }: Asked): Promise<string[] | Failure> {
  const headers = ['accept', 'application/json', ...versionOf(surface), ...surface.headers]
  const plain = { method: 'GET', path, headers, body: [], bodyLength: 0 }
  const request = await (surface.finish?.(plain, { operation: 'list', model: '' }) ?? plain)
  return request instanceof Failure ? request : fetchList(request, place, wire)
}

function fetchList(request: WireRequest, place: string, wire: Wire): Promise<string[] | Failure> {
  return new Promise(resolve => {
    const deadlines = new Deadlines()
    const chunks: Buffer[] = []
    let status = 0
    // The clock of the deadlines does not keep a process alive by itself.
    const alive = setTimeout(() => undefined, TIMEOUTS.total)
    const done = (result: string[] | Failure) => {
      clearTimeout(alive)
      deadlines.close()
      resolve(result)
    }
    new Call(wire, request, place, TIMEOUTS, deadlines, {
      onHead: code => {
        status = code
      },
      onData: chunk => void chunks.push(chunk),
      onEnd: () => done(read(place, status, Buffer.concat(chunks).toString('utf8'))),
      onFailure: done
    })
  })
}

function versionOf(surface: Surface): string[] {
  return surface.dialect === 'anthropic' ? ['anthropic-version', '2023-06-01'] : []
}

function read(place: string, status: number, text: string): string[] | Failure {
  if (status === 401 || status === 403)
    return new Failure('upstream-refused-key', `${place} refused the key (${status}).`, {
      recommendations: ['Check api_key in gateway.yaml, or the variable it comes from.']
    })
  if (status !== 200)
    return new Failure('upstream-failed', `${place} answered ${status} when asked for its models.`, {
      ...((status === 404 || status === 405) && { code: 'no_list' }),
      recommendations: ['It may have no such route; the entry may work all the same.']
    })
  const names = namesIn(text)
  return names ?? new Failure('upstream-failed', `${place} did not answer with a list of models.`, { code: 'no_list' })
}

/** OpenAI's and Anthropic's `data`, Gemini's, Ollama's and Cohere's `models`, GitHub's bare list; undefined for none. */
function namesIn(text: string): string[] | undefined {
  try {
    const said = JSON.parse(text) as { data?: { id?: unknown }[]; models?: { name?: unknown }[] } | { id?: unknown }[]
    const { data, models } = Array.isArray(said) ? { data: said, models: [] } : said
    if (!Array.isArray(data) && !Array.isArray(models)) return undefined
    const names = [...(data ?? []).map(row => row.id), ...(models ?? []).map(row => row.name)]
    const found = names.filter(name => typeof name === 'string').map(name => name.replace(/^models\//, ''))
    return [...new Set(found)]
  } catch {
    return undefined
  }
}
