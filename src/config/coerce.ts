import type { ErrorObject } from 'ajv'
import { type Located, nodeAt, scalarAt } from './located.ts'
import { stepsOf } from './schema.ts'

const KEYWORDS = new Set(['type', 'anyOf', 'enum', 'pattern'])

/**
 * What comes out of a variable is a text. Where the schema refuses the text and it reads as a number or as true or
 * false, that is what was meant: `port: ${PORT:-4000}`. Returns whether anything changed.
 */
export function coerceSubstituted(root: Located, errors: readonly ErrorObject[], data: unknown): boolean {
  let changed = false
  for (const error of errors) {
    if (!KEYWORDS.has(error.keyword)) continue
    const path = stepsOf(error.instancePath, data)
    const node = nodeAt(root, path)
    if (node?.kind !== 'scalar' || !node.substituted || typeof node.value !== 'string') continue
    const value = readPlain(node.value)
    const step = path.at(-1)
    const parent = nodeAt(root, path.slice(0, -1))
    if (value === undefined || step === undefined) continue
    const replacement = scalarAt(node.spot, value, true)
    if (parent?.kind === 'list') parent.items[Number(step)] = replacement
    const entry = parent?.kind === 'map' ? parent.entries.get(String(step)) : undefined
    if (parent?.kind === 'map' && entry !== undefined) parent.entries.set(String(step), { ...entry, node: replacement })
    changed = true
  }
  return changed
}

function readPlain(text: string): number | boolean | undefined {
  if (text === 'true' || text === 'false') return text === 'true'
  return /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined
}
