import { type Fields, fields, list, strings } from './ask.ts'

/** What a prompt offers for filling in values, taken in order. */
export interface Offer {
  /** Texts in quotation marks. */
  readonly texts: string[]
  readonly numbers: number[]
}

const QUOTED = /"([^"]*)"|«([^»]*)»|“([^”]*)”|`([^`]*)`|(?<![\p{L}\p{N}])'([^']*)'/gu
// Nothing that answers a demonstration needs more; a schema may refer to itself.
const DEEPEST = 12
/** A schema that refers to itself twice grows with each level. */
const MOST_VALUES = 2_000

export function readOffer(prompt: string): Offer {
  const texts = [...prompt.matchAll(QUOTED)].map(([, ...groups]) => groups.find(text => text !== undefined) ?? '')
  const numbers = prompt.replace(QUOTED, ' ').match(/(?<![\w.-])-?\d{1,15}(?:\.\d{1,9})?(?![\w])/g) ?? []
  return { texts, numbers: numbers.map(Number) }
}

/** A value that is valid by its schema, filled from what the prompt offers. `pattern` and `not` are not followed. */
export function valueFor(schema: unknown, offer: Offer): unknown {
  return valueBy(fields(schema), {
    root: fields(schema),
    offer,
    name: 'value',
    depth: 0,
    budget: { left: MOST_VALUES }
  })
}

interface Place {
  readonly root: Fields
  readonly offer: Offer
  readonly name: string
  readonly depth: number
  readonly budget: { left: number }
}

function valueBy(given: Fields, place: Place): unknown {
  const schema = resolved(given, place.root)
  const type = typeOf(schema)
  if (place.depth > DEEPEST || --place.budget.left < 0) return type === 'array' ? [] : type === 'object' ? {} : null
  const inner = { ...place, depth: place.depth + 1 }
  if ('$ref' in schema || 'allOf' in schema) return valueBy(schema, inner)
  if ('const' in schema) return schema['const']
  if (Array.isArray(schema['enum'])) return schema['enum'][0]
  const choice = [...list(schema['anyOf']), ...list(schema['oneOf'])].find(option => option['type'] !== 'null')
  if (choice !== undefined) return valueBy(choice, inner)
  if (type === 'object') return objectOf(schema, inner)
  if (type === 'array') return arrayOf(schema, inner)
  if (type === 'number' || type === 'integer') return numberOf(schema, place.offer, type === 'integer')
  if (type === 'boolean') return true
  return type === 'null' ? null : textFor(schema, place)
}

function resolved(schema: Fields, root: Fields): Fields {
  const reference = schema['$ref']
  if (typeof reference === 'string' && reference.startsWith('#')) {
    let found: unknown = root
    for (const step of reference.slice(1).split('/').filter(Boolean)) found = fields(found)[step]
    return { ...fields(found), ...without(schema, '$ref') }
  }
  const parts = list(schema['allOf']).map(part => resolved(part, root))
  return parts.length === 0 ? schema : Object.assign({}, without(schema, 'allOf'), ...parts)
}

function without(schema: Fields, key: string): Fields {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== key))
}

/** Gemini writes types in capitals. */
function typeOf(schema: Fields): string {
  const said = strings(schema['type']).map(type => type.toLowerCase())
  const type = said.find(one => one !== 'null') ?? said[0]
  if (type !== undefined) return type
  return 'properties' in schema ? 'object' : 'items' in schema ? 'array' : 'string'
}

function objectOf(schema: Fields, place: Place): Fields {
  const properties = fields(schema['properties'])
  const names = Array.isArray(schema['required']) ? strings(schema['required']) : Object.keys(properties)
  const entries = names.map(name => [name, valueBy(fields(properties[name]), { ...place, name })])
  return Object.fromEntries(entries)
}

function arrayOf(schema: Fields, place: Place): unknown[] {
  const least = Number(schema['minItems'] ?? schema['min_items'] ?? 1)
  const count = Math.min(Number.isFinite(least) ? least : 1, 20)
  return Array.from({ length: count }, () => valueBy(fields(schema['items']), place))
}

function numberOf(schema: Fields, offer: Offer, whole: boolean): number {
  const least = Number(schema['minimum'] ?? Number(schema['exclusiveMinimum'] ?? Number.NEGATIVE_INFINITY) + 1)
  const most = Number(schema['maximum'] ?? Number(schema['exclusiveMaximum'] ?? Number.POSITIVE_INFINITY) - 1)
  const step = Number(schema['multipleOf'] ?? 0)
  const offered = offer.numbers.shift() ?? 1
  const bounded = Math.min(Math.max(offered, least), most)
  const stepped = step > 0 ? Math.ceil(bounded / step) * step : bounded
  return whole ? Math.trunc(stepped) : stepped
}

const FORMATS: Readonly<Record<string, string>> = {
  'date-time': '2025-01-01T00:00:00Z',
  date: '2025-01-01',
  time: '00:00:00Z',
  duration: 'PT1S',
  email: 'demo@example.com',
  hostname: 'example.com',
  ipv4: '127.0.0.1',
  ipv6: '::1',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000'
}

function textFor(schema: Fields, { offer, name }: Place): string {
  const format = FORMATS[String(schema['format'])]
  if (format !== undefined) return format
  const text = offer.texts.shift() ?? `demo ${name.replace(/[_-]+/g, ' ')}`
  return text
    .padEnd(Number(schema['minLength'] ?? 0), '.')
    .slice(0, Number(schema['maxLength'] ?? Number.POSITIVE_INFINITY))
}
