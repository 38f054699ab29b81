import { child, type Located, type LocatedMap, mapAt, scalarAt, textOf } from '../located.ts'
import type { Path, Spot } from '../problem.ts'
import { adoptCloud, CLOUD_KEYS } from './clouds.ts'
import { LITELLM_PARAMS, MODEL_ENTRY, MODEL_INFO } from './entry-keys.ts'
import { isNull, numberOf, put } from './place.ts'
import { ANY_MODEL, placeModel } from './providers.ts'
import type { Ledger } from './report.ts'
import { misspelt, type Rules } from './rules.ts'
import type { Share } from './shares.ts'

export interface EntryContext {
  readonly ledger: Ledger
  readonly shares: ReadonlyMap<LocatedMap, Share>
  /** `credential_list`, by name. */
  readonly credentials: ReadonlyMap<string, LocatedMap>
  /** Every model_name of the file. */
  readonly names: ReadonlySet<string>
  /** `router_settings.enable_tag_filtering`: else tags choose nothing, there or here. */
  readonly tagged: boolean
}

/** Keys that take more than being moved. */
const SPECIAL = new Set([
  'model',
  'custom_llm_provider',
  'weight',
  'order',
  'rpm',
  'tpm',
  'tags',
  'mock_response',
  'litellm_credential_name',
  ...Object.keys(CLOUD_KEYS)
])

/** One entry of LiteLLM's model_list as ours: several for `model: "*"`, none when it cannot be reached, which is then an error. */
export function adoptEntry(item: LocatedMap, path: Path, context: EntryContext): LocatedMap[] {
  const { ledger } = context
  const entry = mapAt(item.spot)
  for (const [key, { key: spot, node }] of item.entries) {
    if (key === 'model_name') entry.entries.set(key, { key: spot, node })
    else if (!Object.hasOwn(MODEL_ENTRY, key)) {
      const near = misspelt(key, MODEL_ENTRY)
      const hint = near === undefined ? 'known here: model_name, litellm_params, model_info' : `did you mean "${near}"?`
      ledger.refuse(spot, [...path, key], `unknown key`, hint)
    }
  }
  const params = child(item, 'litellm_params')
  const info = child(item, 'model_info')
  if (params?.kind !== 'map') {
    ledger.refuse(params?.spot ?? item.spot, path, '`litellm_params` must be a map of keys')
    return []
  }
  if (info?.kind === 'map') readKeys(info, [...path, 'model_info'], MODEL_INFO, entry, ledger)
  readKeys(params, [...path, 'litellm_params'], LITELLM_PARAMS, entry, ledger)
  useCredential(params, entry, path, context)
  readShare(params, item, entry, [...path, 'litellm_params'], context)
  readTags(params, entry, [...path, 'litellm_params'], context)
  if (mock(params, entry, [...path, 'litellm_params'], ledger)) return [entry]
  return place(params, item, entry, [...path, 'litellm_params'], context)
}

function readKeys(from: LocatedMap, path: Path, table: Rules, entry: LocatedMap, ledger: Ledger): void {
  for (const [key, { key: spot, node }] of from.entries) {
    const rule = Object.hasOwn(table, key) ? table[key] : undefined
    const where = [...path, key]
    if (rule === undefined) readUnknown(key, spot, where, table, ledger)
    else if (isNull(node) || SPECIAL.has(key)) continue
    else if (rule.fit === 'unsupported' || rule.to === undefined) ledger.note(spot, where, rule.fit, rule.reason)
    else if (key === 'organization' && node.kind === 'list') {
      ledger.note(spot, where, 'unsupported', 'an entry has one organization; write an entry for each')
    } else {
      ledger.note(spot, where, rule.fit, rule.reason)
      // LiteLLM takes seconds and counts written as texts; the schema takes them as the numbers they are.
      const number = /timeout|tokens|cost|parallel/.test(key) ? numberOf(node) : undefined
      const value = number !== undefined && rule.to.startsWith('price.') ? perMillion(number) : number
      if (node.kind === 'map' && rule.to === 'headers') {
        for (const [name, header] of node.entries) put(entry, ['headers', name], header.key, header.node)
      } else put(entry, rule.to.split('.'), spot, value === undefined ? node : scalarAt(node.spot, value))
    }
  }
}

function readUnknown(key: string, spot: Spot, path: Path, table: Rules, ledger: Ledger): void {
  const near = misspelt(key, table)
  if (near !== undefined)
    ledger.refuse(spot, path, 'unknown key', `did you mean "${near}"? LiteLLM would have ignored it`)
  else
    ledger.note(spot, path, 'unsupported', 'LiteLLM hands it to the provider; fields are not filled into requests here')
}

function useCredential(params: LocatedMap, entry: LocatedMap, path: Path, { ledger, credentials }: EntryContext): void {
  const said = params.entries.get('litellm_credential_name')
  const name = textOf(said?.node)
  if (said === undefined || name === undefined) return
  const where = [...path, 'litellm_params', 'litellm_credential_name']
  const values = credentials.get(name)
  if (values === undefined) return ledger.refuse(said.key, where, 'credential_list has no credential of this name')
  ledger.note(said.key, where, 'exact', 'its values are used')
  readKeys(values, ['credential_list', name], LITELLM_PARAMS, entry, ledger)
}

/** 0.00000015 times a million is 0.15, and not 0.14999999999999999. */
function perMillion(price: number): number {
  return Number((price * 1e6).toPrecision(12))
}

/** What weight, order, rpm and tpm say: how load is shared, who comes first, and what is too much. */
function readShare(params: LocatedMap, item: LocatedMap, entry: LocatedMap, path: Path, context: EntryContext): void {
  const { ledger } = context
  const share = context.shares.get(params)
  for (const key of ['weight', 'order', 'rpm', 'tpm'] as const) {
    const said = params.entries.get(key)
    if (said === undefined || isNull(said.node)) continue
    const number = numberOf(said.node)
    const where = [...path, key]
    if (number === undefined) ledger.refuse(said.node.spot, where, 'must be a number')
    else if (key === 'weight' && share?.by !== 'weight')
      ledger.note(said.key, where, 'unsupported', 'the first entry of the name has none')
    else ledger.note(said.key, where, LITELLM_PARAMS[key]?.fit ?? 'exact', LITELLM_PARAMS[key]?.reason ?? '')
    // Zero is a share of nothing in LiteLLM, and no limit.
    if (number !== undefined && number > 0 && (key === 'rpm' || key === 'tpm'))
      put(entry, [key], said.key, scalarAt(said.node.spot, Math.max(1, Math.floor(number))))
  }
  const spotOf = (key: string) => params.entries.get(key)?.node.spot ?? item.spot
  if (share?.weight !== undefined && share.weight !== 1)
    put(entry, ['weight'], spotOf('weight'), scalarAt(spotOf('weight'), share.weight))
  if (share !== undefined && share.order !== 0)
    put(entry, ['order'], spotOf('order'), scalarAt(spotOf('order'), share.order))
}

function readTags(params: LocatedMap, entry: LocatedMap, path: Path, { ledger, tagged }: EntryContext): void {
  const said = params.entries.get('tags')
  if (said === undefined || isNull(said.node)) return
  const reason = 'they choose nothing: router_settings.enable_tag_filtering is not on'
  if (!tagged) return ledger.note(said.key, [...path, 'tags'], 'exact', reason)
  ledger.note(said.key, [...path, 'tags'], 'approximate', LITELLM_PARAMS['tags']?.reason ?? '')
  put(entry, ['tags'], said.key, said.node)
}

function mock(params: LocatedMap, entry: LocatedMap, path: Path, ledger: Ledger): boolean {
  const said = params.entries.get('mock_response')
  if (said === undefined || isNull(said.node)) return false
  ledger.note(said.key, [...path, 'mock_response'], 'approximate', LITELLM_PARAMS['mock_response']?.reason ?? '')
  for (const key of ['api_key', 'api_base', 'headers']) entry.entries.delete(key)
  put(entry, ['provider'], said.key, scalarAt(said.key, 'demo'))
  put(entry, ['demo', 'text'], said.key, said.node)
  return true
}

function place(
  params: LocatedMap,
  item: LocatedMap,
  entry: LocatedMap,
  path: Path,
  context: EntryContext
): LocatedMap[] {
  const { ledger } = context
  const said = params.entries.get('model')
  const model = textOf(said?.node)
  if (said === undefined || model === undefined || model === '') {
    ledger.refuse(
      said?.key ?? params.spot,
      [...path, 'model'],
      'litellm_params needs `model`, a text such as `openai/gpt-4o`'
    )
    return []
  }
  const forced = textOf(child(params, 'custom_llm_provider'))
  const base = textOf(child(entry, 'api_base'))
  const elsewhere = base !== undefined && base !== '' && !/^https:\/\/api\.openai\.com(\/|$)/.test(base)
  const publicName = textOf(child(item, 'model_name')) ?? ''
  if (model === '*' && publicName === '*' && forced === undefined && !elsewhere)
    return placeAny(said.node, entry, path, context)
  const asked = model === '*' && publicName !== '*' && forced === undefined && !elsewhere ? publicName : model
  const placed = placeModel(asked, forced ?? (model === '*' && elsewhere ? 'openai' : undefined), elsewhere)
  if (typeof placed === 'string') {
    const hint = 'write `provider/model`, or take the entry out: it must not vanish in silence'
    ledger.refuse(said.node.spot, [...path, 'model'], placed, hint)
    return []
  }
  const fit = placed.inferred ? 'approximate' : 'exact'
  const reason = placed.inferred
    ? `taken for a model of \`${placed.provider}\` by its name`
    : `provider \`${placed.provider}\``
  ledger.note(said.key, [...path, 'model'], fit, reason)
  const credential = context.credentials.get(textOf(child(params, 'litellm_credential_name')) ?? '')
  const both = credential === undefined ? [params] : [params, credential]
  const { provider } = placed
  const upstream = adoptCloud({ provider, model: placed.model, said: both, entry, path, ledger })
  put(entry, ['provider'], said.key, scalarAt(said.node.spot, provider))
  put(entry, ['model'], said.key, scalarAt(said.node.spot, upstream))
  return [entry]
}

/** `"*"` → `"*"`: an entry for each provider whose names LiteLLM knows, but for names that the file serves itself. */
function placeAny(model: Located, entry: LocatedMap, path: Path, { ledger, names }: EntryContext): LocatedMap[] {
  const result: LocatedMap[] = []
  for (const { names: globs, provider } of ANY_MODEL) {
    for (const glob of globs) {
      if (names.has(glob)) continue
      const copy: LocatedMap = { ...entry, entries: new Map(entry.entries) }
      copy.entries.set('model_name', { key: model.spot, node: scalarAt(model.spot, glob) })
      put(copy, ['provider'], model.spot, scalarAt(model.spot, provider))
      result.push(copy)
    }
  }
  const providers = ANY_MODEL.map(row => row.provider).join(', ')
  ledger.note(model.spot, [...path, 'model'], 'approximate', `the names that are known of ${providers}; no others`)
  return result
}
