// Google's own `Schema` is OpenAPI's, with types in capitals; its newer fields (`parametersJsonSchema`,
// `responseJsonSchema`) are documented to take JSON Schema whole, `$ref` and `$defs` included, and to ignore what they do
// not support. So we read both and write the newer ones, unchanged: no schema has to be rewritten on its way to Gemini.
import type { Fields } from '../../chat/request.ts'
import { fields, string } from '../read.ts'
import { camel } from './shape.ts'

const MOST_NESTED = 200

/** Google has 64-bit numbers as text. */
const COUNTS: ReadonlySet<string> = new Set([
  'minItems',
  'maxItems',
  'minLength',
  'maxLength',
  'minProperties',
  'maxProperties'
])
const LISTS: ReadonlySet<string> = new Set(['anyOf', 'oneOf', 'allOf', 'prefixItems'])
const SINGLE: ReadonlySet<string> = new Set(['items', 'additionalProperties'])
const MAPS: ReadonlySet<string> = new Set(['properties', 'defs', '$defs'])

/** A `Schema` as JSON Schema. */
export function jsonSchemaOf(value: unknown, depth = 0): Fields {
  if (depth > MOST_NESTED) return {}
  const { nullable, example, ...schema } = camel(value)
  const entries = Object.entries(schema).flatMap(([key, inner]) => entryOf(key, inner, depth))
  if (example !== undefined && schema['examples'] === undefined) entries.push(['examples', [example]])
  const plain = Object.fromEntries(entries)
  return nullable === true ? orNull(plain) : plain
}

function entryOf(key: string, value: unknown, depth: number): [key: string, value: unknown][] {
  const inner = (schema: unknown) =>
    typeof schema === 'object' && schema !== null && !Array.isArray(schema) ? jsonSchemaOf(schema, depth + 1) : schema
  if (key === 'type') return typeOf(value)
  if (key === 'ref') return [['$ref', value]]
  // It only says that there is an enum.
  if (key === 'format' && value === 'enum') return []
  if (COUNTS.has(key)) return [[key, typeof value === 'string' && value !== '' ? Number(value) : value]]
  if (SINGLE.has(key)) return [[key, inner(value)]]
  if (LISTS.has(key)) return [[key, Array.isArray(value) ? value.map(inner) : value]]
  if (!MAPS.has(key)) return [[key, value]]
  const map = Object.entries(fields(value)).map(([name, schema]) => [name, inner(schema)])
  return [[key === 'defs' ? '$defs' : key, Object.fromEntries(map)]]
}

function typeOf(value: unknown): [string, unknown][] {
  if (value === 'TYPE_UNSPECIFIED') return []
  if (Array.isArray(value)) return [['type', value.map(type => string(type)?.toLowerCase() ?? type)]]
  return [['type', typeof value === 'string' ? value.toLowerCase() : value]]
}

function orNull(schema: Fields): Fields {
  const { type, anyOf, enum: values } = schema
  const alsoNull = Array.isArray(values) && !values.includes(null) ? { enum: [...values, null] } : {}
  if (typeof type === 'string') return { ...schema, type: type === 'null' ? type : [type, 'null'], ...alsoNull }
  return Array.isArray(anyOf) ? { ...schema, anyOf: [...anyOf, { type: 'null' }], ...alsoNull } : schema
}
