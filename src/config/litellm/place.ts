import { type Located, type LocatedMap, mapAt } from '../located.ts'
import type { Spot } from '../problem.ts'

/** Puts a value below a map, at a path of dotted keys; what is there already stays. */
export function put(into: LocatedMap, path: readonly string[], key: Spot, node: Located): void {
  const [step, ...rest] = path
  if (step === undefined) return
  const existing = into.entries.get(step)
  if (rest.length === 0) {
    if (existing === undefined) into.entries.set(step, { key, node })
    return
  }
  const below = existing?.node ?? mapAt(key)
  if (existing === undefined) into.entries.set(step, { key, node: below })
  if (below.kind === 'map') put(below, rest, key, node)
}

export function isNull(node: Located): boolean {
  return node.kind === 'scalar' && node.value === null
}

export function isOn(node: Located | undefined): boolean {
  return node?.kind === 'scalar' && node.value === true
}

/** LiteLLM takes numbers written as texts. */
export function numberOf(node: Located | undefined): number | undefined {
  if (node?.kind !== 'scalar') return undefined
  const value = typeof node.value === 'string' && node.value.trim() !== '' ? Number(node.value) : node.value
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}
