import { accessSync, constants } from 'node:fs'
import { get } from 'node:http'
import { delimiter, join } from 'node:path'
import type { Preset } from '../providers/preset.ts'
import { PRESETS, type ProviderName } from '../providers/presets.ts'
import { reach } from '../providers/reach.ts'
import { Pools } from '../upstream/pools.ts'

/** Something on this machine that a gateway could use. Never holds a value of the environment. */
export type Finding =
  | { readonly kind: 'key'; readonly provider: ProviderName; readonly variable: string }
  | {
      readonly kind: 'server'
      readonly provider: ProviderName
      readonly url: string
      readonly models: readonly string[]
    }
  | { readonly kind: 'claude' }

type Variables = Readonly<Record<string, string | undefined>>
type Listing = { readonly data?: { id?: unknown; owned_by?: unknown }[]; readonly models?: { name?: unknown }[] }

interface Probe {
  readonly port: number
  readonly path: string
  /** Who it is, by what it answers: several servers share a port. */
  readonly provider: (listing: Listing) => ProviderName
}

const PROBES: readonly Probe[] = [
  { port: 11434, path: '/api/tags', provider: () => 'ollama' },
  { port: 1234, path: '/v1/models', provider: () => 'lm-studio' },
  { port: 11402, path: '/v1/models', provider: () => 'mlx' },
  { port: 8080, path: '/v1/models', provider: listing => (ownedBy(listing, 'llamacpp') ? 'llama.cpp' : 'mlx') },
  { port: 8000, path: '/v1/models', provider: listing => (ownedBy(listing, 'vllm') ? 'vllm' : 'self-hosted') },
  { port: 30000, path: '/v1/models', provider: listing => (ownedBy(listing, 'sglang') ? 'sglang' : 'self-hosted') }
]

/** Loopback answers in a millisecond; who is slower is busy, and can be declared by hand. */
const PATIENCE = 250
const MOST_BYTES = 1024 * 1024

/** Looks at the environment, at the ports of known servers and at the PATH, all at once. */
export async function detect(env: Variables, ownPort: number, probes = PROBES): Promise<Finding[]> {
  const servers = await Promise.all(probes.filter(probe => probe.port !== ownPort).map(look))
  const findings: Finding[] = servers.filter(server => server !== undefined)
  for (const [provider, preset] of Object.entries(PRESETS) as [ProviderName, Preset][]) {
    const { keyVariable: variable, keyShared: shared } = preset
    if (variable === undefined || shared === true || !env[variable]) continue
    if (isReachable(provider, preset, env)) findings.push({ kind: 'key', provider, variable })
  }
  if (onPath('claude', env)) findings.push({ kind: 'claude' })
  return findings
}

/** A key to a cloud is of no use without the place it is for, which other variables may say. */
function isReachable(provider: ProviderName, preset: Preset, env: Variables): boolean {
  const wanted = { provider, apiBase: undefined, apiKey: undefined, headers: {}, dialect: undefined, model: '*' }
  return typeof reach(preset, wanted, { variables: env, wireTo: origin => new Pools().wire(origin) }) !== 'string'
}

async function look({ port, path, provider }: Probe): Promise<Finding | undefined> {
  const listing = await fetchListing(port, path)
  if (listing === undefined || ownedBy(listing, 'demo')) return undefined
  const names = [...(listing.data ?? []).map(row => row.id), ...(listing.models ?? []).map(row => row.name)]
  const models = [...new Set(names.filter(name => typeof name === 'string'))]
  return { kind: 'server', provider: provider(listing), url: `http://127.0.0.1:${port}`, models }
}

function fetchListing(port: number, path: string): Promise<Listing | undefined> {
  return new Promise(resolve => {
    const request = get({ host: '127.0.0.1', port, path, agent: false }, response => {
      const chunks: Buffer[] = []
      let length = 0
      response.on('data', (chunk: Buffer) => {
        length += chunk.length
        if (length > MOST_BYTES) request.destroy()
        else chunks.push(chunk)
      })
      response.on('end', () => resolve(response.statusCode === 200 ? readListing(Buffer.concat(chunks)) : undefined))
      response.on('error', () => resolve(undefined))
    })
    const late = setTimeout(() => request.destroy(), PATIENCE)
    request.on('close', () => {
      clearTimeout(late)
      resolve(undefined)
    })
    request.on('error', () => resolve(undefined))
  })
}

/** Undefined when it is no list of models: anything may listen on 8080. */
function readListing(bytes: Buffer): Listing | undefined {
  try {
    const { data, models } = JSON.parse(bytes.toString('utf8')) as Listing
    const isList = (value: unknown) =>
      Array.isArray(value) && value.every(row => typeof row === 'object' && row !== null)
    if (!isList(data) && !isList(models)) return undefined
    return {
      ...(isList(data) && data !== undefined && { data }),
      ...(isList(models) && models !== undefined && { models })
    }
  } catch {
    return undefined
  }
}

function ownedBy(listing: Listing, owner: string): boolean {
  return listing.data?.some(row => row.owned_by === owner) ?? false
}

function onPath(name: string, env: Variables): boolean {
  return (env['PATH'] ?? '').split(delimiter).some(folder => {
    try {
      if (folder === '') return false
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
