import { readFileSync } from 'node:fs'
import { Ajv, type ErrorObject } from 'ajv'
import type { GatewayConfig } from './generated/types.ts'
import type { Path } from './problem.ts'

/** As much of JSON Schema as the readers of ours look at. */
export interface Schema {
  readonly title?: string
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly $ref?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  readonly definitions?: Readonly<Record<string, Schema>>
  /** The options of a hook. */
  readonly 'x-hook'?: boolean
}

/** As it is for editors, with the options of the hooks that are shipped. */
export const EDITOR_SCHEMA: Schema = JSON.parse(
  readFileSync(new URL('../../../schemas/gateway.schema.json', import.meta.url), 'utf8')
)

/** A hook's options are its own to check: a file of the same name may take the place of one that is shipped. */
export const SCHEMA: Schema = withoutHooks(EDITOR_SCHEMA)

function withoutHooks(schema: Schema): Schema {
  const without = (properties: Schema['properties']) =>
    properties && Object.fromEntries(Object.entries(properties).filter(([, { 'x-hook': own }]) => own !== true))
  const { hook, ...definitions } = schema.definitions ?? {}
  if (hook?.anyOf === undefined) return schema
  const anyOf = hook.anyOf.map(branch => {
    const properties = without(branch.properties)
    return properties === undefined ? branch : { ...branch, properties }
  })
  return { ...schema, definitions: { ...definitions, hook: { ...hook, anyOf } } }
}

const ajv = new Ajv({ allErrors: true, verbose: true, useDefaults: true, allowUnionTypes: true, strictRequired: false })
ajv.addKeyword('defaultSnippets')
const validate = ajv.compile<GatewayConfig>(SCHEMA)

/** Fills in the defaults, in place, and says what does not fit. */
export function checkSchema(value: unknown): { config: GatewayConfig } | { errors: readonly ErrorObject[] } {
  return validate(value) ? { config: value } : { errors: [...(validate.errors ?? [])] }
}

/** The schema with its reference followed; what stands beside the reference wins. */
export function dereference(schema: Schema): Schema {
  const { $ref, ...own } = schema
  if ($ref === undefined) return schema
  return { ...SCHEMA.definitions?.[$ref.slice($ref.lastIndexOf('/') + 1)], ...own }
}

/** The steps of ajv's `instancePath`; `data` tells indexes from keys that look like them. */
export function stepsOf(instancePath: string, data: unknown): Path {
  const steps: (string | number)[] = []
  let value = data
  for (const raw of instancePath.split('/').slice(1)) {
    const step = raw.replace(/~1/g, '/').replace(/~0/g, '~')
    steps.push(Array.isArray(value) ? Number(step) : step)
    value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[step] : undefined
  }
  return steps
}
