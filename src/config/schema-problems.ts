import type { ErrorObject } from 'ajv'
import { nearest } from '../lib/nearest.ts'
import { keySpot, type Located, nodeAt, valueSpot } from './located.ts'
import { errorAt, type Path, type Problem, shownKey } from './problem.ts'
import { dereference, type Schema, stepsOf } from './schema.ts'

/** What a wrong value stands in: everything a sentence about it needs. */
interface Wrong {
  readonly error: ErrorObject
  readonly path: Path
  readonly root: Located
  readonly schema: Schema
}

/** A file that is wrong everywhere is told so by far fewer. */
const MAX_ERRORS = 2000
/** The more telling of two errors about one value comes first. */
const TELLING = ['enum', 'anyOf', 'type', 'pattern']

/** One line for each thing that is wrong, where it stands. Values are never repeated: they may be secrets. */
export function explainSchemaErrors(errors: readonly ErrorObject[], root: Located, data: unknown): Problem[] {
  const problems = new Map<string, Problem>()
  for (const error of withoutBranches(errors.slice(0, MAX_ERRORS)).sort(
    (a, b) => TELLING.indexOf(a.keyword) - TELLING.indexOf(b.keyword)
  )) {
    const path = stepsOf(error.instancePath, data)
    const problem = explain({ error, path, root, schema: (error.parentSchema ?? {}) as Schema })
    const isAboutValue = TELLING.includes(error.keyword)
    const subject = isAboutValue ? problem.path : `${problem.path}:${problem.message}`
    if (!problems.has(subject)) problems.set(subject, problem)
  }
  return [...problems.values()]
}

/**
 * Of a value that fits no branch, only the errors of the branch that was meant, told by its type; when none was, the
 * choice itself. A list of every way in which every branch does not fit is noise.
 */
function withoutBranches(errors: readonly ErrorObject[]): ErrorObject[] {
  const dropped = new Set<ErrorObject>()
  for (const choice of errors) {
    if (choice.keyword !== 'anyOf' && choice.keyword !== 'oneOf') continue
    // `required` holds for everything that is not a map, so both branches do; the type is already told.
    if (choice.keyword === 'oneOf' && typeOf(choice.data) !== 'object') dropped.add(choice)
    const below = errors.filter(
      error =>
        error !== choice &&
        error.schemaPath.startsWith(`${choice.schemaPath}/`) &&
        error.instancePath.startsWith(choice.instancePath)
    )
    const branches = (choice.schema as Schema[]).map(dereference)
    const meant = branches.findIndex(branch => typeNames(branch).includes(typeOf(choice.data)))
    const kept = below.filter(error => meant >= 0 && error.schemaPath.startsWith(`${choice.schemaPath}/${meant}/`))
    for (const error of below) if (!kept.includes(error)) dropped.add(error)
    if (kept.length > 0) dropped.add(choice)
  }
  return errors.filter(error => !dropped.has(error))
}

function explain(wrong: Wrong): Problem {
  const { error, path, root, schema } = wrong
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownKey(wrong, String(error.params['additionalProperty']))
    case 'required':
      return errorAt(valueSpot(root, path), path, `needs \`${error.params['missingProperty']}\``)
    case 'oneOf':
      return providerOrBackend(wrong)
    case 'enum':
      return notAmong(wrong, (error.schema as unknown[]).map(String))
    case 'type':
    case 'anyOf':
      return wrongType(wrong)
    case 'minimum':
    case 'maximum':
      return atValue(wrong, `must be ${error.keyword === 'minimum' ? 'at least' : 'at most'} ${error.params['limit']}`)
    case 'minLength':
    case 'minProperties':
      return atValue(wrong, 'must not be empty')
    case 'maxLength':
      return atValue(wrong, `must not be longer than ${error.params['limit']} characters`)
    default:
      return atValue(wrong, `is not ${nounOf(schema)}`, exampleHint(schema))
  }
}

function atValue({ root, path }: Wrong, message: string, hint?: string): Problem {
  const empty = nodeAt(root, path)
  const isNull = empty?.kind === 'scalar' && empty.value === null
  if (isNull) return errorAt(keySpot(root, path), path, 'is empty', 'give it a value or remove the key')
  return errorAt(valueSpot(root, path), path, message, hint)
}

function unknownKey({ path, root, schema }: Wrong, key: string): Problem {
  const known = Object.keys(schema.properties ?? {})
  const whole = [...path, key]
  const near = nearest(key, known, 1)[0]
  const hint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`
  return errorAt(keySpot(root, whole), whole, `unknown key ${JSON.stringify(shownKey(key))}`, hint)
}

function providerOrBackend({ error, path, root }: Wrong): Problem {
  if (error.params['passingSchemas'] === null) {
    return errorAt(valueSpot(root, path), path, 'needs `provider` or `backend`', 'say who serves it')
  }
  const both = [...path, 'backend']
  return errorAt(
    keySpot(root, both),
    both,
    'the entry has `provider` as well',
    'keep one: a backend brings its own provider'
  )
}

function notAmong(wrong: Wrong, allowed: readonly string[]): Problem {
  const { path, root } = wrong
  const node = nodeAt(root, path)
  const said = node?.kind === 'scalar' && !node.substituted ? String(node.value) : ''
  if (allowed.includes(said)) return atValue(wrong, 'must be a text', `write it in quotes: "${said}"`)
  const near = said === '' ? undefined : nearest(said, allowed, 1)[0]
  return atValue(
    wrong,
    `must be one of: ${allowed.join(', ')}`,
    near === undefined ? undefined : `did you mean "${near}"?`
  )
}

function wrongType(wrong: Wrong): Problem {
  const { error, schema } = wrong
  const wanted = nounOf(schema)
  const isPlain = typeof error.data === 'number' || typeof error.data === 'boolean'
  const quote = isPlain && typeNames(schema).includes('string') && typeNames(schema).length === 1
  return atValue(wrong, `must be ${wanted}`, quote ? 'write it in quotes' : exampleHint(schema))
}

const NOUNS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map of keys'
}

/** What a schema wants, in words: `a duration`, `a whole number or "auto"`. */
function nounOf(schema: Schema): string {
  const whole = dereference(schema)
  if (whole.title === 'Duration' || whole.title === 'Size') return `a ${whole.title.toLowerCase()}`
  if (whole.enum !== undefined) return whole.enum.map(value => JSON.stringify(value)).join(' or ')
  if (whole.anyOf !== undefined) return whole.anyOf.map(nounOf).join(' or ')
  const names = typeNames(whole).map(name => NOUNS[name] ?? name)
  return names.length === 0 ? 'a value of this kind' : names.join(' or ')
}

function exampleHint(schema: Schema): string | undefined {
  const { examples } = dereference(schema)
  const texts = (examples ?? []).map(example => (typeof example === 'string' ? example : JSON.stringify(example)))
  return texts.length === 0 ? undefined : `for example ${texts.slice(0, 3).join(', ')}`
}

function typeNames(schema: Schema): readonly string[] {
  if (schema.type === undefined) return []
  return typeof schema.type === 'string' ? [schema.type] : schema.type
}

function typeOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'number' ? (Number.isInteger(value) ? 'integer' : 'number') : typeof value
}
