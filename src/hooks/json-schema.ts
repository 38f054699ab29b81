import { Ajv } from 'ajv'

/** A check of values by JSON Schema: what is wrong with one, or nothing. Throws when the schema is none. */
export function jsonSchema(schema: unknown): (value: unknown) => string | undefined {
  if (typeof schema !== 'object' || schema === null) throw new TypeError('a JSON Schema is an object')
  const ajv = new Ajv({ allErrors: true, strict: false, allowUnionTypes: true })
  const validate = ajv.compile(schema)
  return value =>
    validate(value) ? undefined : ajv.errorsText(validate.errors, { dataVar: 'the answer' }).slice(0, 500)
}
