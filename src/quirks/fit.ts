// Arguments as the tool's JSON Schema wants them. Only what has one likely meaning is changed.
import type { Fields } from '../chat/request.ts'
import { parseJson, parseObject, repairObject } from '../lib/json-repair.ts'
import { isFields } from './offer.ts'

interface Fitted {
  /** The very same value when nothing had to be changed. */
  readonly value: unknown
  readonly fits: boolean
}

/** Alternatives within alternatives multiply; past this many values, what is left stays as it is. */
const MOST_STEPS = 100_000
/** So is what lies deeper than this. */
const MOST_NESTED = 256
const MOST_REFERENCES = 16

/** What the arguments come to under the schema, which is also where its references point. */
export function fit(input: Fields, schema: Fields | undefined): Fitted {
  return schema === undefined ? { value: input, fits: true } : new Fitter(schema).fit(input, schema)
}

/** The arguments' text as the tool can take it; `fits` is false when that could not be reached, and the text is as it was. */
export function mendInput(
  input: string,
  schema: Fields | undefined
): { readonly input: string; readonly fits: boolean } {
  const text = parseObject(input) === undefined ? repairObject(input) : input
  const said = text === undefined ? undefined : parseObject(text)
  if (text === undefined || said === undefined) return { input, fits: false }
  const { value, fits } = fit(said, schema)
  if (!fits) return { input: text, fits }
  return { input: value === said ? text : JSON.stringify(value), fits }
}

class Fitter {
  readonly #root: Fields
  #steps = 0
  #depth = 0

  constructor(root: Fields) {
    this.#root = root
  }

  fit(value: unknown, said: unknown): Fitted {
    const schema = this.#resolve(said)
    if (schema === undefined || this.#depth >= MOST_NESTED || ++this.#steps > MOST_STEPS) return { value, fits: true }
    this.#depth++
    const fitted = this.#fitTo(value, schema)
    this.#depth--
    return fitted
  }

  #fitTo(value: unknown, schema: Fields): Fitted {
    const alternatives = schema['anyOf'] ?? schema['oneOf']
    if (Array.isArray(alternatives) && alternatives.length > 0) return this.#fitAny(value, alternatives)
    if (Array.isArray(schema['allOf'])) {
      const parts = [...schema['allOf'], { ...schema, allOf: undefined }]
      return parts.reduce<Fitted>(
        (fitted, part) => {
          const next = this.fit(fitted.value, part)
          return { value: next.value, fits: fitted.fits && next.fits }
        },
        { value, fits: true }
      )
    }
    const types = typesOf(schema)
    if (types.length === 0 || types.some(type => isOf(type, value))) return this.#fitInner(value, schema)
    return this.#convert(value, types, schema)
  }

  /** What fits as it is comes before what has to be changed. */
  #fitAny(value: unknown, alternatives: readonly unknown[]): Fitted {
    let changed: Fitted | undefined
    for (const alternative of alternatives) {
      const fitted = this.fit(value, alternative)
      if (fitted.fits && fitted.value === value) return fitted
      if (fitted.fits) changed ??= fitted
    }
    return changed ?? { value, fits: false }
  }

  #convert(value: unknown, types: readonly string[], schema: Fields): Fitted {
    for (const type of types) {
      const converted = CONVERSIONS[type]?.(value)
      if (converted === undefined) continue
      const fitted = this.#fitInner(converted, schema)
      if (fitted.fits) return fitted
    }
    return { value, fits: false }
  }

  #fitInner(value: unknown, schema: Fields): Fitted {
    if (Array.isArray(value)) return this.#fitItems(value, schema['items'])
    if (isFields(value)) return this.#fitMembers(value, schema)
    const values = schema['enum']
    return { value, fits: !Array.isArray(values) || values.includes(value) }
  }

  #fitItems(value: readonly unknown[], schema: unknown): Fitted {
    const fitted = value.map(item => this.fit(item, schema))
    const isSame = fitted.every((item, at) => item.value === value[at])
    return { value: isSame ? value : fitted.map(item => item.value), fits: fitted.every(item => item.fits) }
  }

  #fitMembers(value: Fields, schema: Fields): Fitted {
    const properties = isFields(schema['properties']) ? schema['properties'] : {}
    const required = Array.isArray(schema['required']) ? schema['required'] : []
    let isSame = true
    let fits = required.every(key => typeof key !== 'string' || Object.hasOwn(value, key))
    const members: [string, unknown][] = []
    for (const [key, member] of Object.entries(value)) {
      const fitted = this.fit(member, Object.hasOwn(properties, key) ? properties[key] : schema['additionalProperties'])
      // Models write null for what they leave out.
      const isLeftOut = !fitted.fits && member === null && !required.includes(key)
      if (fitted.value !== member || isLeftOut) isSame = false
      if (isLeftOut) continue
      if (!fitted.fits) fits = false
      members.push([key, fitted.value])
    }
    return { value: isSame ? value : Object.fromEntries(members), fits }
  }

  #resolve(said: unknown): Fields | undefined {
    let schema = said
    for (let hops = 0; hops < MOST_REFERENCES; hops++) {
      if (!isFields(schema)) return undefined
      const reference = schema['$ref']
      if (typeof reference !== 'string') return schema
      if (!reference.startsWith('#')) return undefined
      schema = reference.split('/').slice(1).reduce<unknown>(memberOf, this.#root)
    }
    return undefined
  }
}

function memberOf(value: unknown, step: string): unknown {
  const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
  return isFields(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

function typesOf(schema: Fields): readonly string[] {
  const { type } = schema
  if (typeof type === 'string') return schema['nullable'] === true ? [type, 'null'] : [type]
  if (Array.isArray(type)) return type.filter(name => typeof name === 'string')
  if (isFields(schema['properties'])) return ['object']
  return isFields(schema['items']) ? ['array'] : []
}

function isOf(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isFields(value)
  if (type === 'null') return value === null
  if (type === 'integer') return Number.isInteger(value)
  // A type that we do not know is for others to check.
  return ['string', 'number', 'boolean'].includes(type) ? typeof value === type : true
}

/** A value as one of another type; undefined when it is none. */
const CONVERSIONS: Readonly<Record<string, (value: unknown) => unknown>> = {
  integer: value => numberOf(value, Number.isSafeInteger),
  number: value => numberOf(value, Number.isFinite),
  boolean: value => wordOf(value, { true: true, false: false }),
  null: value => wordOf(value, { null: null, none: null }),
  array: value => (typeof value === 'string' ? (listOf(value) ?? [value]) : value === null ? undefined : [value]),
  object: value => (typeof value === 'string' && value.trim() !== '' ? objectOf(value) : undefined),
  string: value => (value === null ? undefined : typeof value === 'object' ? JSON.stringify(value) : String(value))
}

function numberOf(value: unknown, accepts: (number: number) => boolean): number | undefined {
  if (typeof value !== 'string' || !/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(value.trim())) return undefined
  const number = Number(value)
  return accepts(number) ? number : undefined
}

function wordOf(value: unknown, words: Readonly<Record<string, boolean | null>>): boolean | null | undefined {
  const word = typeof value === 'string' && value.length < 16 ? value.trim().toLowerCase() : ''
  return Object.hasOwn(words, word) ? words[word] : undefined
}

function objectOf(text: string): Fields | undefined {
  const repaired = repairObject(text)
  return repaired === undefined ? undefined : parseObject(repaired)
}

function listOf(text: string): readonly unknown[] | undefined {
  if (!text.trimStart().startsWith('[')) return undefined
  const value = parseJson(text) ?? objectOf(`{"list":${text}}`)?.['list']
  return Array.isArray(value) ? value : undefined
}
