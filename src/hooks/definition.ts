import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { createJiti, type Jiti } from 'jiti'
import { nearest } from '../lib/nearest.ts'
import { messageOf, shown } from './blame.ts'
import type { Services } from './hook.ts'
import * as publicInterface from './hook.ts'

/** A hook file, read. */
export interface Definition {
  readonly name: string
  readonly description: string
  /** JSON Schema, as the file says it. */
  readonly options: Readonly<Record<string, unknown>>
  readonly validate: ValidateFunction
  /** Milliseconds. */
  readonly timeout: number
  setup(options: unknown, services: Services): unknown
}

const TIMEOUT = 2000
const NO_OPTIONS = { type: 'object', additionalProperties: false, properties: {} }

/** One for the process: it takes a third of a second to come. */
export function hookLoader(): Jiti {
  return createJiti(import.meta.url, {
    moduleCache: false,
    fsCache: false,
    interopDefault: true,
    // The very objects that the gateway itself uses, so that a hook's failure is one of ours.
    virtualModules: { 'sluice/hook': publicInterface }
  })
}

/** Runs a hook file anew, whatever was read of it before. A string says what is wrong with it. */
export async function readDefinition(jiti: Jiti, file: string): Promise<Definition | string> {
  let module: unknown
  try {
    module = await jiti.import(file)
  } catch (error) {
    return `${shown(file)} cannot be loaded: ${messageOf(error)
      .trim()
      .split('\n')
      .map(line => line.trim())
      .join(' ')}`
  }
  const hook = fieldOf(module, 'default') ?? module
  const name = fieldOf(hook, 'name')
  const setup = fieldOf(hook, 'setup')
  if (typeof name !== 'string' || typeof setup !== 'function')
    return `${shown(file)} is no hook: it must export \`defineHook({ name, setup })\` as its default`
  const options = fieldOf(hook, 'options') ?? NO_OPTIONS
  if (typeof options !== 'object') return `${shown(file)}: \`options\` must be a JSON Schema`
  const description = fieldOf(hook, 'description')
  const seconds = fieldOf(hook, 'timeout')
  try {
    const validate = new Ajv({ allErrors: true, useDefaults: true, allowUnionTypes: true, strict: false }).compile(
      options
    )
    return {
      name,
      description: typeof description === 'string' ? description : '',
      options: { ...options },
      validate,
      timeout: typeof seconds === 'number' && seconds > 0 ? seconds * 1000 : TIMEOUT,
      setup: (given, services) => Reflect.apply(setup, hook, [given, services])
    }
  } catch (error) {
    return `${shown(file)}: \`options\` is no JSON Schema: ${messageOf(error)}`
  }
}

function fieldOf(value: unknown, name: string): unknown {
  return (typeof value === 'object' || typeof value === 'function') && value !== null
    ? Reflect.get(value, name)
    : undefined
}

export interface OptionProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
}

/** The options with their defaults, or what is wrong with them. */
export function checkOptions(
  { name, options: schema, validate }: Definition,
  said: unknown
): { readonly options: unknown } | readonly OptionProblem[] {
  const options: unknown = structuredClone(said ?? {})
  if (validate(options)) return { options }
  return (validate.errors ?? []).map(error => explained(name, schema, error))
}

function explained(hook: string, schema: Readonly<Record<string, unknown>>, error: ErrorObject): OptionProblem {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map(step => (/^\d+$/.test(step) ? Number(step) : step.replace(/~1/g, '/').replace(/~0/g, '~')))
  if (error.keyword !== 'additionalProperties')
    return { path, message: `${error.message ?? 'is wrong'} (an option of the hook ${hook})` }
  const unknown = String(error.params['additionalProperty'])
  const { properties } = schema
  const known =
    path.length === 0 && typeof properties === 'object' && properties !== null ? Object.keys(properties) : []
  const near = nearest(unknown, known, 1)[0]
  const hint =
    near !== undefined ? `; did you mean "${near}"?` : known.length > 0 ? `; known here: ${known.join(', ')}` : ''
  return { path: [...path, unknown], message: `the hook ${hook} has no option "${unknown}"${hint}` }
}
