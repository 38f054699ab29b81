import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, Scalar } from 'yaml'
import { type Located, type LocatedMap, mapAt, scalarAt } from './located.ts'
import { unmask } from './mask.ts'
import { MAX_DEPTH } from './nesting.ts'
import { errorAt, type Path, type Problem, type Spot, shownKey } from './problem.ts'
import { expandReferences, type ReferenceSource } from './references.ts'
import { YAML_ERRORS } from './yaml-errors.ts'

/** Aliases multiply: a small file can stand for a very large one. */
const MAX_NODES = 250_000

/** Turns the parser's nodes into values that know their place, and notes what is wrong with them. */
export class Reader {
  readonly #document: Document
  readonly #text: string
  readonly #at: (offset: number) => Spot
  readonly #problems: Problem[]
  readonly #source: ReferenceSource
  #nodes = 0

  constructor(
    document: Document,
    text: string,
    at: (offset: number) => Spot,
    problems: Problem[],
    source: ReferenceSource
  ) {
    this.#document = document
    this.#text = text
    this.#at = at
    this.#problems = problems
    this.#source = source
  }

  read(node: Node, path: Path, depth: number): Located {
    const spot = this.#spotOf(node)
    if (++this.#nodes > MAX_NODES || depth > MAX_DEPTH)
      return this.#refuse(spot, path, 'this is too large or too deeply nested', true)
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target === undefined) return this.#refuse(spot, path, YAML_ERRORS.BAD_ALIAS)
      return this.read(target, path, depth + 1)
    }
    if (isMap(node)) return this.#readMap(node.items as Pair<Node, Node | null>[], spot, path, depth)
    if (isSeq(node)) {
      const items = (node.items as Node[]).map((item, index) => this.read(item, [...path, index], depth + 1))
      return { kind: 'list', spot, items }
    }
    if (isScalar(node)) return this.#readScalar(node, spot, path)
    return this.#refuse(spot, path, YAML_ERRORS.IMPOSSIBLE)
  }

  #readMap(pairs: Pair<Node, Node | null>[], spot: Spot, path: Path, depth: number): LocatedMap {
    const result = mapAt(spot)
    const merged: Node[] = []
    for (const { key, value } of pairs) {
      const keySpot = isScalar(key) || isAlias(key) ? this.#spotOf(key) : spot
      if (isScalar(key) && isMergeKey(key)) {
        if (value !== null) merged.push(value)
        continue
      }
      const name = this.#readKey(key, keySpot, path)
      if (name === undefined) continue
      const earlier = result.entries.get(name)
      if (earlier !== undefined) {
        this.#refuse(
          keySpot,
          [...path, name],
          `the key ${JSON.stringify(shownKey(name))} is here twice: first on line ${earlier.key.line}`
        )
        continue
      }
      const node = value === null ? scalarAt(keySpot, null) : this.read(value, [...path, name], depth + 1)
      result.entries.set(name, { key: keySpot, node })
    }
    for (const source of merged) this.#merge(result, source, path, depth)
    return result
  }

  /** `<<: *base`: what the map itself says wins. */
  #merge(into: LocatedMap, source: Node, path: Path, depth: number): void {
    const base = this.read(source, path, depth + 1)
    const maps = base.kind === 'list' ? base.items : [base]
    for (const map of maps) {
      if (map.kind !== 'map') {
        this.#refuse(this.#spotOf(source), path, '`<<` takes a map or an alias of one')
        continue
      }
      for (const [name, entry] of map.entries) if (!into.entries.has(name)) into.entries.set(name, entry)
    }
  }

  #readKey(key: Node, spot: Spot, path: Path): string | undefined {
    const node = isAlias(key) ? key.resolve(this.#document) : key
    const value = isScalar(node) ? node.value : undefined
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      this.#refuse(spot, path, YAML_ERRORS.NON_STRING_KEY)
      return undefined
    }
    const name = unmask(String(value))
    if (name === '__proto__') {
      this.#refuse(spot, path, 'the key "__proto__" is not allowed')
      return undefined
    }
    if (name.includes('${')) {
      this.#refuse(spot, path, 'references are read in values, not in keys')
      return undefined
    }
    return name
  }

  #readScalar(node: Scalar, spot: Spot, path: Path): Located {
    const { value } = node
    if (value === null || typeof value === 'boolean') return scalarAt(spot, value)
    if (typeof value === 'number' && Number.isFinite(value)) return scalarAt(spot, value)
    if (typeof value !== 'string')
      return this.#refuse(spot, path, 'this value is neither a text, a number, true, false, a list nor a map')
    const text = unmask(value)
    const expanded = expandReferences(text, this.#source)
    if (expanded.ok) return scalarAt(spot, expanded.text, expanded.substituted)
    const [from = 0, to = from] = node.range ?? []
    const offset = this.#text.indexOf(expanded.at, from)
    const exact = offset >= from && offset < to ? this.#at(offset) : spot
    this.#problems.push(errorAt(exact, path, expanded.message, expanded.hint))
    // An empty text would be taken for a value that was chosen; a null is wrong wherever it stands.
    return scalarAt(spot, '', true)
  }

  #refuse(spot: Spot, path: Path, message: string, once = false): Located {
    if (!once || !this.#problems.some(problem => problem.message === message))
      this.#problems.push(errorAt(spot, path, message))
    return scalarAt(spot, null)
  }

  #spotOf(node: Node): Spot {
    return this.#at(node.range?.[0] ?? 0)
  }
}

function isMergeKey(key: Scalar): boolean {
  if (typeof key.value === 'symbol') return key.value.description === '<<'
  return key.value === '<<' && (key.type === undefined || key.type === Scalar.PLAIN)
}
