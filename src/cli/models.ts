import { Failure } from '../chat/failure.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { Deadlines } from '../lib/deadlines.ts'
import { nearest } from '../lib/nearest.ts'
import type { Wire } from '../lib/wire.ts'
import { PROVIDER_NAMES, presetOf } from '../providers/presets.ts'
import { type Surface, surfacesOf } from '../providers/surface.ts'
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
}

const TIMEOUTS = { connect: 3000, firstToken: 8000, idle: 8000, total: 10_000 }

/** What the file serves; with a provider, what that upstream says it has. */
export async function models(flags: Where & { json?: boolean; provider?: string | undefined }): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  const pools = new Pools()
  const prepared = offline(source.file, origin => pools.wire(origin))
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
  const own = target?.surfaces[0]
  if (target !== undefined && own !== undefined) return { place: target.place, wire: target.wire, surface: own }
  const preset = presetOf(name)
  if (preset === undefined) {
    const near = nearest(name, [...PROVIDER_NAMES, ...Object.keys(runtime.config.backends)])
    return `There is no provider or backend \`${name}\`.${near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`}`
  }
  if (preset.apiBase === undefined)
    return `\`${name}\` has no address of its own: declare it in gateway.yaml with api_base.`
  const url = new URL(preset.apiBase)
  const key = preset.keyVariable === undefined ? undefined : process.env[preset.keyVariable]
  if (preset.keyVariable !== undefined && !key) return `${preset.title} wants a key: set ${preset.keyVariable}.`
  const [surface] = surfacesOf(preset, url, key, {}, undefined)
  if (surface === undefined) return `\`${name}\` speaks nothing that lists models.`
  return { place: `${name} (${url.origin})`, wire: pools.wire(url.origin), surface }
}

function listOffered({ place, wire, surface }: Asked): Promise<string[] | Failure> {
  return new Promise(resolve => {
    const deadlines = new Deadlines()
    const chunks: Buffer[] = []
    let status = 0
    const done = (result: string[] | Failure) => {
      deadlines.close()
      resolve(result)
    }
    const headers = ['accept', 'application/json', ...versionOf(surface), ...surface.headers]
    // The clock of the deadlines does not keep a process alive by itself.
    const alive = setTimeout(() => undefined, TIMEOUTS.total)
    new Call(
      wire,
      { method: 'GET', path: `${surface.base}/models`, headers, body: [], bodyLength: 0 },
      place,
      TIMEOUTS,
      deadlines,
      {
        onHead: code => {
          status = code
        },
        onData: chunk => void chunks.push(chunk),
        onEnd: () => {
          clearTimeout(alive)
          done(read(place, status, Buffer.concat(chunks).toString('utf8')))
        },
        onFailure: failure => {
          clearTimeout(alive)
          done(failure)
        }
      }
    )
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
      recommendations: ['It may have no such route; the entry may work all the same.']
    })
  try {
    const { data, models } = JSON.parse(text) as { data?: { id?: unknown }[]; models?: { name?: unknown }[] }
    const names = [...(data ?? []).map(row => row.id), ...(models ?? []).map(row => row.name)]
    return names.filter(name => typeof name === 'string').map(name => name.replace(/^models\//, ''))
  } catch {
    return new Failure('upstream-failed', `${place} did not answer with a list of models.`)
  }
}
