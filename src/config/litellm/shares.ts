import { child, type Located, type LocatedMap, textOf } from '../located.ts'
import { numberOf } from './place.ts'

/** The entry's part in its name's load, as LiteLLM's simple-shuffle and `order` make it. */
export interface Share {
  /** The key that says it: the first of these that the first entry of its tier has. */
  readonly by: 'weight' | 'rpm' | 'tpm' | undefined
  /** Undefined when nothing sets the entry apart. */
  readonly weight: number | undefined
  /** Ours: a whole number, and 0 for the first. */
  readonly order: number
}

/** So small that everything else is tried before it, and still more than nothing: a spare serves when the others fail. */
const SPARE = 1e-6

/** The share of each entry, by its `litellm_params`. */
export function readShares(items: readonly Located[]): Map<LocatedMap, Share> {
  const groups = new Map<string, LocatedMap[]>()
  for (const item of items) {
    const params = child(item, 'litellm_params')
    const name = textOf(child(item, 'model_name'))
    if (params?.kind === 'map' && name !== undefined) groups.set(name, [...(groups.get(name) ?? []), params])
  }
  return new Map([...groups.values()].flatMap(sharesOf))
}

/** Entries without an `order` come after all that have one, as in LiteLLM. */
function sharesOf(group: readonly LocatedMap[]): [LocatedMap, Share][] {
  const orderOf = (params: LocatedMap): number => numberOf(child(params, 'order')) ?? Number.POSITIVE_INFINITY
  const orders = [...new Set(group.map(orderOf))].sort((a, b) => a - b)
  const said = orders.filter(order => order !== Number.POSITIVE_INFINITY)
  const areOurs = said.every(order => Number.isSafeInteger(order) && order >= 0)
  return orders.flatMap((order, tier) => {
    const members = group.filter(params => orderOf(params) === order)
    const by = (['weight', 'rpm', 'tpm'] as const).find(key => numberOf(child(members[0], key)) !== undefined)
    const ours = !areOurs ? tier : order === Number.POSITIVE_INFINITY ? (said.at(-1) ?? -1) + 1 : order
    return members.map((params): [LocatedMap, Share] => {
      const own = by === undefined ? undefined : numberOf(child(params, by)) || SPARE
      return [params, { by, weight: own, order: ours }]
    })
  })
}
