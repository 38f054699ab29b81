import { nearest } from '../../lib/nearest.ts'
import { child, type Located, type LocatedMap, mapAt, textOf } from '../located.ts'
import { type Problem, shownKey } from '../problem.ts'
import { SCHEMA } from '../schema.ts'
import { adoptEntry } from './entry.ts'
import { isNull, isOn } from './place.ts'
import { Ledger, type LiteLLMReport } from './report.ts'
import type { Rules } from './rules.ts'
import { SECTIONS } from './section-keys.ts'
import { GENERAL_SETTINGS, LITELLM_SETTINGS, ROUTER_SETTINGS } from './setting-keys.ts'
import { adoptSettings } from './settings.ts'
import { readShares } from './shares.ts'

export type { LiteLLMReport } from './report.ts'

export interface Adopted {
  /** The same configuration in our own shape, each value at its place in LiteLLM's file. */
  readonly root: LocatedMap
  readonly report: LiteLLMReport
  readonly problems: readonly Problem[]
}

/** In the order in which they win over each other. */
const SETTINGS: readonly (readonly [string, Rules])[] = [
  ['router_settings', ROUTER_SETTINGS],
  ['litellm_settings', LITELLM_SETTINGS],
  ['general_settings', GENERAL_SETTINGS]
]

/** Reads LiteLLM's config.yaml as a gateway.yaml; undefined when the file is not one. */
export function adoptLiteLLM(said: Located): Adopted | undefined {
  if (said.kind !== 'map' || !isLiteLLM(said)) return undefined
  const ledger = new Ledger()
  const root = mapAt(said.spot)
  copySections(said, root, ledger)
  const entries = adoptModels(said, root, ledger)
  const names = new Set([...listedNames(said), ...entries.map(entry => textOf(child(entry, 'model_name')) ?? '')])
  for (const [name, table] of SETTINGS) {
    const section = said.entries.get(name)
    if (section === undefined || isNull(section.node)) continue
    if (section.node.kind === 'map') adoptSettings(section.node, [name], table, { ledger, root, entries, names })
    else ledger.refuse(section.node.spot, [name], 'must be a map of keys')
  }
  return { root, report: { lines: ledger.lines }, problems: ledger.problems }
}

function isLiteLLM(said: LocatedMap): boolean {
  if (SETTINGS.some(([name]) => said.entries.has(name))) return true
  const list = child(said, 'model_list')
  return list?.kind === 'list' && list.items.some(item => child(item, 'litellm_params') !== undefined)
}

/** Our own sections stay as they are; LiteLLM's that nothing reads are told. */
function copySections(said: LocatedMap, root: LocatedMap, ledger: Ledger): void {
  for (const [name, entry] of said.entries) {
    const rule = Object.hasOwn(SECTIONS, name) ? SECTIONS[name] : undefined
    const ours = SCHEMA.properties !== undefined && Object.hasOwn(SCHEMA.properties, name)
    if (ours && name !== 'model_list') root.entries.set(name, entry)
    else if (rule === undefined) {
      const known = [...Object.keys(SECTIONS), ...Object.keys(SCHEMA.properties ?? {})]
      const near = nearest(name, known, 1)[0]
      const hint = near === undefined ? 'LiteLLM would have ignored it' : `did you mean "${near}"?`
      ledger.refuse(entry.key, [name], `unknown key ${JSON.stringify(shownKey(name))}`, hint)
    } else if (rule.fit === 'unsupported') ledger.note(entry.key, [name], rule.fit, rule.reason)
    else if (name === 'environment_variables') ledger.note(entry.key, [name], rule.fit, rule.reason)
  }
}

function adoptModels(said: LocatedMap, root: LocatedMap, ledger: Ledger): LocatedMap[] {
  const list = said.entries.get('model_list')
  if (list === undefined) return []
  if (list.node.kind !== 'list') {
    // The schema says what is wrong with it.
    root.entries.set('model_list', list)
    return []
  }
  const shares = readShares(list.node.items)
  const context = {
    ledger,
    shares,
    credentials: readCredentials(said),
    names: new Set(listedNames(said)),
    tagged: isOn(child(child(said, 'router_settings'), 'enable_tag_filtering'))
  }
  const items: Located[] = []
  const adopted: LocatedMap[] = []
  for (const [index, item] of list.node.items.entries()) {
    // An entry of our own shape may stand among LiteLLM's.
    if (item.kind !== 'map' || !item.entries.has('litellm_params')) {
      items.push(item)
      continue
    }
    const made = adoptEntry(item, ['model_list', index], context)
    items.push(...made)
    adopted.push(...made)
  }
  root.entries.set('model_list', { key: list.key, node: { kind: 'list', spot: list.node.spot, items } })
  return adopted
}

function readCredentials(said: LocatedMap): Map<string, LocatedMap> {
  const result = new Map<string, LocatedMap>()
  const list = child(said, 'credential_list')
  for (const item of list?.kind === 'list' ? list.items : []) {
    const name = textOf(child(item, 'credential_name'))
    const values = child(item, 'credential_values')
    if (name !== undefined && values?.kind === 'map') result.set(name, values)
  }
  return result
}

function listedNames(said: LocatedMap): string[] {
  const list = child(said, 'model_list')
  const items = list?.kind === 'list' ? list.items : []
  return items.map(item => textOf(child(item, 'model_name'))).filter(name => name !== undefined)
}
