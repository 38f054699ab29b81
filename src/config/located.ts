import type { Path, Spot } from './problem.ts'

/** What a YAML file says, each value with the place it stands at: includes and LiteLLM's shape are rearranged without losing it. */
export type Located = LocatedScalar | LocatedList | LocatedMap

export interface LocatedScalar {
  readonly kind: 'scalar'
  readonly spot: Spot
  readonly value: string | number | boolean | null
  /** The text came out of a variable or a file: it may be a secret, and it has no type of its own. */
  readonly substituted: boolean
}

interface LocatedList {
  readonly kind: 'list'
  readonly spot: Spot
  readonly items: Located[]
}

export interface LocatedMap {
  readonly kind: 'map'
  readonly spot: Spot
  readonly entries: Map<string, LocatedEntry>
}

export interface LocatedEntry {
  readonly key: Spot
  readonly node: Located
}

export function scalarAt(spot: Spot, value: LocatedScalar['value'], substituted = false): LocatedScalar {
  return { kind: 'scalar', spot, value, substituted }
}

export function mapAt(spot: Spot): LocatedMap {
  return { kind: 'map', spot, entries: new Map() }
}

/** The value as plain JSON. */
export function plain(node: Located): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(plain)
  const result: Record<string, unknown> = {}
  for (const [key, entry] of node.entries) result[key] = plain(entry.node)
  return result
}

export function child(node: Located | undefined, step: string | number): Located | undefined {
  if (node?.kind === 'map') return node.entries.get(String(step))?.node
  return node?.kind === 'list' ? node.items[Number(step)] : undefined
}

export function nodeAt(root: Located, path: Path): Located | undefined {
  let node: Located | undefined = root
  for (const step of path) node = child(node, step)
  return node
}

/** Where the value stands; for what the file does not say, the nearest thing around it that it does. */
export function valueSpot(root: Located, path: Path): Spot {
  let node = root
  for (const step of path) {
    const next = child(node, step)
    if (next === undefined) break
    node = next
  }
  return node.spot
}

/** Where the key stands, or the item of a list. */
export function keySpot(root: Located, path: Path): Spot {
  const parent = nodeAt(root, path.slice(0, -1))
  const step = path.at(-1)
  if (step !== undefined && parent?.kind === 'map') {
    const entry = parent.entries.get(String(step))
    if (entry !== undefined) return entry.key
  }
  return valueSpot(root, path)
}

/** The text of a scalar that is one. */
export function textOf(node: Located | undefined): string | undefined {
  return node?.kind === 'scalar' && typeof node.value === 'string' ? node.value : undefined
}
