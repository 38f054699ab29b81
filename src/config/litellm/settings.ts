import { child, type LocatedEntry, type LocatedMap, mapAt, plain, scalarAt, textOf } from '../located.ts'
import type { Path } from '../problem.ts'
import { isNull, numberOf, put } from './place.ts'
import { ROUTING_READERS } from './routing.ts'
import { misspelt, type Rules } from './rules.ts'
import { PASS_THROUGH } from './setting-keys.ts'
import type { Reader, SettingsContext } from './settings-context.ts'

/** Reads one of LiteLLM's settings sections by its table. */
export function adoptSettings(section: LocatedMap, path: Path, table: Rules, context: SettingsContext): void {
  for (const [key, said] of section.entries) {
    const where = [...path, key]
    const rule = Object.hasOwn(table, key) ? table[key] : undefined
    const reader = Object.hasOwn(READERS, key) ? READERS[key] : undefined
    if (rule === undefined) {
      const near = misspelt(key, table)
      const hint =
        near === undefined ? 'LiteLLM has no such setting and would have ignored it' : `did you mean "${near}"?`
      context.ledger.refuse(said.key, where, 'unknown key', hint)
    } else if (isNull(said.node)) continue
    else if (rule.fit !== 'unsupported' && reader !== undefined) reader(said, where, { ...context, rule })
    else {
      context.ledger.note(said.key, where, rule.fit, rule.reason)
      if (rule.fit === 'unsupported' || rule.to === undefined || rule.to === '') continue
      if (rule.to.startsWith('timeouts.') || rule.to === 'max_parallel') forEveryEntry(said, rule.to, context)
      else put(context.root, rule.to.split('.'), said.key, said.node)
    }
  }
}

function forEveryEntry({ key, node }: LocatedEntry, to: string, { entries }: SettingsContext): void {
  const seconds = numberOf(node)
  for (const entry of entries)
    put(entry, to.split('.'), key, seconds === undefined ? node : scalarAt(node.spot, seconds))
}

/** Settings that take more than being moved. */
const READERS: Readonly<Record<string, Reader>> = {
  ...ROUTING_READERS,
  default_fallbacks: (said, path, { ledger, root }) => {
    ledger.note(said.key, path, 'approximate', 'becomes the fallbacks of every model that declares none')
    put(root, ['routing', 'fallbacks', '*'], said.key, said.node)
  },
  model_group_alias: adoptAliases,
  callbacks: adoptCallbacks,
  success_callback: adoptCallbacks,
  failure_callback: adoptCallbacks,
  json_logs: (said, path, { ledger, root }) => {
    const json = plain(said.node) === true
    ledger.note(said.key, path, 'approximate', json ? 'logs are JSON' : 'the format is `auto`: JSON, but on a terminal')
    if (json) put(root, ['server', 'logs', 'format'], said.key, scalarAt(said.node.spot, 'json'))
  },
  maximum_spend_logs_retention_period: (said, path, { ledger, root, rule }) => {
    const period = textOf(said.node) ?? numberOf(said.node)
    const isOurs = typeof period === 'number' || /^\d+(s|m|h|d)$/.test(period ?? '')
    if (!isOurs) return ledger.note(said.key, path, 'unsupported', 'say spend.retention, such as `30d`')
    ledger.note(said.key, path, rule.fit, rule.reason)
    put(root, ['spend', 'retention'], said.key, said.node)
  },
  max_request_size_mb: (said, path, { ledger, root }) => {
    const megabytes = numberOf(said.node)
    if (megabytes === undefined || megabytes <= 0)
      return ledger.refuse(said.node.spot, path, 'must be a number of megabytes')
    ledger.note(said.key, path, 'exact', 'the same, in bytes')
    put(root, ['server', 'body_limit'], said.key, scalarAt(said.node.spot, Math.floor(megabytes * 1024 * 1024)))
  },
  pass_through_endpoints: adoptPassThrough
}

function adoptAliases(said: LocatedEntry, path: Path, { ledger, root }: SettingsContext): void {
  if (said.node.kind !== 'map') return ledger.refuse(said.node.spot, path, 'must be a map of names')
  for (const [alias, { key, node }] of said.node.entries) {
    const model = node.kind === 'map' ? child(node, 'model') : node
    if (model === undefined) ledger.refuse(node.spot, [...path, alias], 'needs `model`')
    else {
      const hidden = node.kind === 'map' && child(node, 'hidden') !== undefined
      ledger.note(
        key,
        [...path, alias],
        hidden ? 'approximate' : 'exact',
        hidden ? 'aliases; it is listed all the same' : 'aliases'
      )
      put(root, ['aliases', alias], key, model)
    }
  }
}

function adoptCallbacks(said: LocatedEntry, path: Path, { ledger }: SettingsContext): void {
  const items = said.node.kind === 'list' ? said.node.items : [said.node]
  for (const [index, item] of items.entries()) {
    const known = textOf(item) === 'prometheus'
    const reason = known
      ? 'metrics are always on, at /metrics, under names of their own'
      : 'this callback is not there; hooks see each call'
    ledger.note(
      item.spot,
      said.node.kind === 'list' ? [...path, index] : path,
      known ? 'approximate' : 'unsupported',
      reason
    )
  }
}

function adoptPassThrough(said: LocatedEntry, path: Path, { ledger, root }: SettingsContext): void {
  if (said.node.kind !== 'list') return ledger.refuse(said.node.spot, path, 'must be a list')
  for (const [index, item] of said.node.items.entries()) {
    const where = [...path, index]
    const name = (textOf(child(item, 'path')) ?? '').replace(/[^\w.-]+/g, '-').replace(/^-+|-+$/g, '')
    if (item.kind !== 'map' || name === '') {
      ledger.refuse(item.spot, where, 'needs `path` and `target`')
      continue
    }
    ledger.note(item.spot, where, 'approximate', `reached at /passthrough/${name}/*`)
    const made = mapAt(item.spot)
    for (const [key, { key: spot, node }] of item.entries) {
      const rule = Object.hasOwn(PASS_THROUGH, key) ? PASS_THROUGH[key] : undefined
      const near = rule === undefined ? misspelt(key, PASS_THROUGH) : undefined
      if (rule === undefined)
        ledger.refuse(spot, [...where, key], 'unknown key', near === undefined ? undefined : `did you mean "${near}"?`)
      else if (rule.fit === 'unsupported' && !isNull(node)) ledger.note(spot, [...where, key], rule.fit, rule.reason)
      else if (rule.to !== undefined && rule.to !== '' && !isNull(node)) put(made, [rule.to], spot, node)
    }
    put(root, ['passthrough', name], item.spot, made)
  }
}
