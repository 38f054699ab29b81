// Vertex can send the arguments of a call in pieces, each with the JSON path of the value it belongs to. The hub's calls
// are text, so the pieces are put together first.
import type { Fields } from '../../chat/request.ts'
import { list, number, string } from '../read.ts'
import { camel } from './shape.ts'

const STEP = /\.([^.[\]]+)|\[(\d+)\]|\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/g
const MOST_STEPS = 100
const MOST_ITEMS = 10_000

type Container = Record<string, unknown>

export class PartialCall {
  readonly name: string
  readonly id: string
  readonly part: Fields
  readonly #args: Container = Object.create(null)

  constructor(name: string, id: string, part: Fields) {
    this.name = name
    this.id = id
    this.part = part
  }

  get args(): Fields {
    return { ...this.#args }
  }

  add(pieces: unknown): void {
    for (const piece of list(pieces).map(camel)) this.#set(pathOf(string(piece['jsonPath']) ?? ''), piece)
  }

  #set(path: readonly (string | number)[], piece: Fields): void {
    const last = path.at(-1)
    if (last === undefined || path.length > MOST_STEPS) return
    let container = this.#args
    for (const [at, step] of path.slice(0, -1).entries()) {
      const found = container[step]
      const next = isContainer(found) ? found : emptyFor(path[at + 1])
      container[step] = next
      container = next
    }
    const before = container[last]
    const text = string(piece['stringValue'])
    container[last] = text !== undefined && typeof before === 'string' ? before + text : (text ?? plainValue(piece))
  }
}

function pathOf(path: string): readonly (string | number)[] {
  const steps: (string | number)[] = []
  for (const [, name, index, single, double] of path.matchAll(STEP)) {
    if (index === undefined) steps.push(name ?? (single ?? double ?? '').replace(/\\(.)/g, '$1'))
    else if (Number(index) < MOST_ITEMS) steps.push(Number(index))
    else return []
  }
  return steps
}

/** Without a prototype: a path is a stranger's. */
function emptyFor(step: string | number | undefined): Container {
  const empty: unknown = typeof step === 'number' ? [] : Object.create(null)
  return isContainer(empty) ? empty : {}
}

function isContainer(value: unknown): value is Container {
  return typeof value === 'object' && value !== null
}

function plainValue(piece: Fields): unknown {
  return number(piece['numberValue']) ?? (typeof piece['boolValue'] === 'boolean' ? piece['boolValue'] : null)
}
