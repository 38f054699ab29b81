import { child, type Located, type LocatedMap, scalarAt, textOf } from '../located.ts'
import type { Path } from '../problem.ts'
import { LITELLM_PARAMS } from './entry-keys.ts'
import { put } from './place.ts'
import type { Ledger } from './report.ts'

/** Keys of `litellm_params` that together make an address or a credential of a cloud. */
export const CLOUD_KEYS: Readonly<Record<string, 'bedrock' | 'vertex-ai'>> = {
  aws_access_key_id: 'bedrock',
  aws_secret_access_key: 'bedrock',
  aws_session_token: 'bedrock',
  aws_region_name: 'bedrock',
  aws_bedrock_runtime_endpoint: 'bedrock',
  vertex_project: 'vertex-ai',
  vertex_location: 'vertex-ai',
  vertex_credentials: 'vertex-ai'
}

/** LiteLLM's own routes to Bedrock, and a region in front of a model. */
const BEDROCK_ROUTE = /^(converse|converse_like|invoke)\//
const BEDROCK_REGION = /^([a-z]{2}(?:-[a-z]+)+-\d)\//

export interface Placing {
  readonly provider: string
  readonly model: string
  /** Where keys may stand: the entry's own, then those of its credential. */
  readonly said: readonly LocatedMap[]
  readonly entry: LocatedMap
  readonly path: Path
  readonly ledger: Ledger
}

/** Puts `api_base` and `api_key` together; returns the upstream's name of the model. */
export function adoptCloud(placing: Placing): string {
  const { provider, said, path, ledger } = placing
  for (const map of said) {
    for (const [key, { key: spot, node }] of map.entries) {
      const of = Object.hasOwn(CLOUD_KEYS, key) ? CLOUD_KEYS[key] : undefined
      if (of === undefined) continue
      const where = [...path, key]
      if (of !== provider) ledger.note(spot, where, 'unsupported', `the provider \`${provider}\` has no use for it`)
      else if (textOf(node) === undefined) ledger.note(spot, where, 'unsupported', 'it has to be a text')
      else ledger.note(spot, where, 'exact', LITELLM_PARAMS[key]?.reason ?? '')
    }
  }
  if (provider === 'bedrock') return adoptBedrock(placing)
  if (provider === 'vertex-ai') adoptVertex(placing)
  return provider === 'huggingface' ? routed(placing.model) : placing.model
}

function adoptBedrock({ model, said, entry }: Placing): string {
  const bare = model.replace(BEDROCK_ROUTE, '')
  const [, inModel] = BEDROCK_REGION.exec(bare) ?? []
  const endpoint = find(said, 'aws_bedrock_runtime_endpoint')
  const region = find(said, 'aws_region_name')
  const name = inModel ?? region?.text
  if (endpoint !== undefined) putText(entry, 'api_base', endpoint.node, endpoint.text)
  else if (name !== undefined) {
    const at = region?.node ?? entry
    putText(entry, 'api_base', at, `https://bedrock-runtime.${name}.amazonaws.com`)
  }
  const id = find(said, 'aws_access_key_id')
  const secret = find(said, 'aws_secret_access_key')
  const token = find(said, 'aws_session_token')
  if (id !== undefined && secret !== undefined) {
    const parts = [id.text, secret.text, ...(token === undefined ? [] : [token.text])]
    putText(entry, 'api_key', secret.node, parts.join(':'))
  }
  return inModel === undefined ? bare : bare.slice(inModel.length + 1)
}

function adoptVertex({ said, entry }: Placing): void {
  const project = find(said, 'vertex_project')
  const location = find(said, 'vertex_location')
  const credentials = find(said, 'vertex_credentials')
  if (credentials !== undefined) putText(entry, 'api_key', credentials.node, credentials.text)
  const at = project ?? location
  if (at === undefined) return
  // LiteLLM's own default.
  const place = location?.text ?? 'us-central1'
  const below = project === undefined ? '' : `/v1/projects/${project.text}/locations/${place}`
  putText(entry, 'api_base', at.node, `https://${hostOf(place)}${below}`)
}

function hostOf(place: string): string {
  if (place === 'global') return 'aiplatform.googleapis.com'
  return place === 'us' || place === 'eu'
    ? `aiplatform.${place}.rep.googleapis.com`
    : `${place}-aiplatform.googleapis.com`
}

/** LiteLLM puts the provider that is to be used in front, Hugging Face's router wants it at the end. */
function routed(model: string): string {
  const [provider = '', ...rest] = model.split('/')
  return rest.length < 2 ? model : `${rest.join('/')}:${provider}`
}

function find(said: readonly LocatedMap[], key: string): { readonly text: string; readonly node: Located } | undefined {
  for (const map of said) {
    const node = child(map, key)
    const text = textOf(node)
    if (node !== undefined && text !== undefined && text !== '') return { text, node }
  }
  return undefined
}

/** What was put together out of variables is no secret in plain text. */
function putText(entry: LocatedMap, key: string, from: Located, text: string): void {
  const substituted = from.kind === 'scalar' && from.substituted
  put(entry, [key], from.spot, scalarAt(from.spot, text, substituted))
}
