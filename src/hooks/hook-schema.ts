import type { Definition } from './definition.ts'

type Fields = Record<string, unknown>

/**
 * The schema of gateway.yaml with the options of hooks, for editors: they complete and check them. What loads the file
 * leaves that to the hooks, and passes over what is marked `x-hook`.
 */
export function withHookOptions(
  schema: unknown,
  hooks: readonly Pick<Definition, 'name' | 'description' | 'options'>[]
): unknown {
  const copy: unknown = structuredClone(schema)
  const properties = below(copy, ['definitions', 'hook', 'anyOf', 1, 'properties'])
  if (properties === undefined) throw new TypeError('the schema has no place for hooks')
  for (const name of Object.keys(properties)) if (isHook(properties[name])) delete properties[name]
  // Nothing to say is said by a name alone, or by a null behind the colon.
  for (const { name, description, options } of hooks)
    properties[name] = { ...options, type: ['object', 'null'], title: name, description, 'x-hook': true }
  return copy
}

function isHook(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'x-hook' in value
}

function below(value: unknown, path: readonly (string | number)[]): Fields | undefined {
  let at: unknown = value
  for (const step of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, step) : undefined
  return typeof at === 'object' && at !== null ? (at as Fields) : undefined
}
