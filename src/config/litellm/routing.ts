// Settings of LiteLLM's router that are ours in other words.

import { nearest } from '../../lib/nearest.ts'
import { child, type LocatedEntry, scalarAt, textOf } from '../located.ts'
import type { Path } from '../problem.ts'
import { isOn, numberOf, put } from './place.ts'
import type { Reader, SettingsContext } from './settings-context.ts'

/** The schema's own bound. */
const MOST_RETRIES = 10

export const ROUTING_READERS: Readonly<Record<string, Reader>> = {
  fallbacks: fallbackReader('fallbacks'),
  context_window_fallbacks: fallbackReader('context_fallbacks'),
  content_policy_fallbacks: fallbackReader('content_policy_fallbacks'),
  routing_strategy: readStrategy,
  num_retries: (said, path, { ledger, root, rule }) => {
    const count = countOf(said, path, { ledger })
    if (count === undefined) return
    ledger.note(said.key, path, 'approximate', rule.reason)
    put(root, ['routing', 'retries'], said.key, scalarAt(said.node.spot, Math.min(count, MOST_RETRIES)))
  },
  allowed_fails: (said, path, { ledger, root, rule }) => {
    const count = countOf(said, path, { ledger })
    if (count === undefined) return
    ledger.note(said.key, path, 'approximate', rule.reason)
    put(root, ['routing', 'cooldown', 'failures'], said.key, scalarAt(said.node.spot, count + 1))
    put(root, ['routing', 'cooldown', 'within'], said.key, scalarAt(said.node.spot, '1m'))
  },
  cooldown_time: (said, path, { ledger, root, rule }) => {
    const seconds = numberOf(said.node)
    if (seconds === undefined || seconds < 0) return ledger.refuse(said.node.spot, path, 'must be a number of seconds')
    ledger.note(said.key, path, 'approximate', rule.reason)
    put(root, ['routing', 'cooldown', 'for'], said.key, scalarAt(said.node.spot, seconds))
  },
  disable_cooldowns: (said, path, { ledger, root, rule }) => {
    ledger.note(said.key, path, 'approximate', rule.reason)
    if (!isOn(said.node)) return
    const none = { key: said.key, node: scalarAt(said.node.spot, 0) }
    put(root, ['routing', 'cooldown', 'failures'], none.key, none.node)
    // It wins over an allowed_fails that stands before it.
    const cooldown = child(child(root, 'routing'), 'cooldown')
    if (cooldown?.kind === 'map') cooldown.entries.set('failures', none)
  },
  enable_tag_filtering: (said, path, { ledger, rule }) => ledger.note(said.key, path, rule.fit, rule.reason),
  tag_filtering_match_any: (said, path, { ledger, rule }) =>
    ledger.note(said.key, path, isOn(said.node) ? rule.fit : 'exact', rule.reason)
}

/** `[{a: [b]}, {c: [d]}]` → `{a: [b], c: [d]}`. */
function fallbackReader(list: 'fallbacks' | 'context_fallbacks' | 'content_policy_fallbacks'): Reader {
  return (said, path, { ledger, root, names }) => {
    if (said.node.kind !== 'list')
      return ledger.refuse(said.node.spot, path, 'must be a list of maps, such as [{gpt-4o: [claude-sonnet-4-5]}]')
    for (const [index, rule] of said.node.items.entries()) {
      const where = [...path, index]
      if (rule.kind !== 'map') {
        ledger.refuse(rule.spot, where, 'must be a map of one name to a list of names')
        continue
      }
      for (const [name, { key, node }] of rule.entries) {
        if (!names.has(name) && name !== '*') {
          const reason = 'no entry of model_list has this name; a rule is declared for the name of an entry'
          ledger.note(key, [...where, name], 'unsupported', reason)
          continue
        }
        ledger.note(key, [...where, name], 'exact', `routing.${list}`)
        put(root, ['routing', list, name], key, node)
      }
    }
  }
}

/** What LiteLLM's strategies are here, and how near that comes. */
const STRATEGIES: Readonly<Record<string, readonly ['exact' | 'approximate', string, string]>> = {
  'simple-shuffle': ['exact', 'weighted', 'what `weighted` does'],
  'least-busy': ['exact', 'least-busy', 'the same'],
  'latency-based-routing': ['approximate', 'fastest', 'the better of two by time to first token, not of all'],
  'cost-based-routing': ['approximate', 'cheapest', 'by the prices of the entries; without one an entry comes last'],
  'usage-based-routing': ['approximate', 'least-busy', 'by calls under way, not by the tokens of this minute'],
  'usage-based-routing-v2': ['approximate', 'least-busy', 'by calls under way, not by the tokens of this minute']
}

function readStrategy(said: LocatedEntry, path: Path, { ledger, root }: SettingsContext): void {
  const name = textOf(said.node) ?? ''
  const known = Object.hasOwn(STRATEGIES, name) ? STRATEGIES[name] : undefined
  if (known === undefined) {
    const near = nearest(name, Object.keys(STRATEGIES), 1)[0]
    const hint = near === undefined ? `LiteLLM has ${Object.keys(STRATEGIES).join(', ')}` : `did you mean "${near}"?`
    return ledger.refuse(said.node.spot, path, 'LiteLLM has no such strategy', hint)
  }
  const [fit, strategy, reason] = known
  ledger.note(said.key, path, fit, reason)
  put(root, ['routing', 'strategy'], said.key, scalarAt(said.node.spot, strategy))
}

function countOf(said: LocatedEntry, path: Path, { ledger }: Pick<SettingsContext, 'ledger'>): number | undefined {
  const count = numberOf(said.node)
  if (count !== undefined && count >= 0 && Number.isInteger(count)) return count
  ledger.refuse(said.node.spot, path, 'must be a whole number')
  return undefined
}
