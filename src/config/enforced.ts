import { keySpot, type Located, plain } from './located.ts'
import { errorAt, type Path, type Problem } from './problem.ts'
import { SCHEMA, type Schema, schemaBelow } from './schema.ts'

/** What the file asks for and this version would not do. Defaults do not count: only what is said. */
export function findUnenforced(root: Located): Problem[] {
  const problems: Problem[] = []
  walk(root, SCHEMA, [], root, problems)
  return problems
}

function walk(node: Located, schema: Schema, path: Path, root: Located, problems: Problem[]): void {
  const enforcer = schema['x-not-enforced']
  if (enforcer !== undefined) {
    const said = JSON.stringify(plain(node))
    if (schema['x-enforced-values']?.some(value => JSON.stringify(value) === said) === true) return
    const name = String(path.at(-1))
    const values = schema['x-enforced-values'] ?? []
    const what = values.length === 0 ? `\`${name}\`` : `this value of \`${name}\``
    const hint = `remove it: ${enforcer}, later`
    problems.push(errorAt(keySpot(root, path), path, `nothing enforces ${what} in this version`, hint))
    return
  }
  if (node.kind === 'list') {
    for (const [index, item] of node.items.entries()) descend(item, schema, path, index, root, problems)
  } else if (node.kind === 'map') {
    for (const [key, entry] of node.entries) descend(entry.node, schema, path, key, root, problems)
  }
}

function descend(
  node: Located,
  schema: Schema,
  path: Path,
  step: string | number,
  root: Located,
  problems: Problem[]
): void {
  const below = schemaBelow(schema, step)
  if (below !== undefined) walk(node, below, [...path, step], root, problems)
}
