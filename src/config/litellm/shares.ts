import { child, type Located, type LocatedMap, textOf } from '../located.ts'
import { numberOf } from './place.ts'

/** How LiteLLM's simple-shuffle parts the load among the entries of one name. */
export interface Shares {
  /** The key that says the share: the first of these that the first entry has. */
  readonly by: 'weight' | 'rpm' | 'tpm' | undefined
  /** The tiers of `order`, first ones first. */
  readonly orders: readonly number[]
}

/** So small that everything else is tried before it, and still more than nothing: a spare serves when the others fail. */
const SPARE = 1e-6

export function readShares(items: readonly Located[]): Map<string, Shares> {
  const groups = new Map<string, LocatedMap[]>()
  for (const item of items) {
    const params = child(item, 'litellm_params')
    const name = textOf(child(item, 'model_name'))
    if (params?.kind === 'map' && name !== undefined) groups.set(name, [...(groups.get(name) ?? []), params])
  }
  return new Map([...groups].map(([name, group]) => [name, sharesOf(group)]))
}

function sharesOf(group: readonly LocatedMap[]): Shares {
  const by = (['weight', 'rpm', 'tpm'] as const).find(key => numberOf(child(group[0], key)) !== undefined)
  const said = group.map(params => numberOf(child(params, 'order'))).filter(order => order !== undefined)
  return { by, orders: [...new Set(said)].sort((a, b) => a - b) }
}

/** The weight of an entry; undefined when nothing sets it apart. */
export function weightOf(params: LocatedMap, shares: Shares | undefined): number | undefined {
  if (shares === undefined || (shares.by === undefined && shares.orders.length === 0)) return undefined
  const own = shares.by === undefined ? 1 : (numberOf(child(params, shares.by)) ?? 0)
  const order = numberOf(child(params, 'order'))
  const tier = order === undefined ? shares.orders.length : shares.orders.indexOf(order)
  return Math.max(own, own < 0 ? own : SPARE) * SPARE ** (shares.orders.length === 0 ? 0 : tier)
}
