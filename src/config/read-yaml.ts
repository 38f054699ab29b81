import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import type { Located } from './located.ts'
import { findStandIn, maskReferences, unmask } from './mask.ts'
import { findExcess, MAX_DEPTH } from './nesting.ts'
import { errorAt, type Problem, type Spot } from './problem.ts'
import { Reader } from './reader.ts'
import type { ReferenceSource } from './references.ts'
import { YAML_ERRORS } from './yaml-errors.ts'

export interface YamlFile {
  /** What it says; undefined when it cannot be read at all, or says nothing. */
  readonly root: Located | undefined
  readonly problems: readonly Problem[]
}

/** Reads one file of YAML: references put in, merge keys and aliases resolved, every value with its place. */
export function readYaml(text: string, source: ReferenceSource): YamlFile {
  const { file } = source
  const lines = new LineCounter()
  const problems: Problem[] = []
  const at = (offset: number): Spot => {
    const { line, col } = lines.linePos(Math.max(0, Math.min(offset, text.length)))
    return { file, line: Math.max(1, line), column: Math.max(1, col) }
  }
  lines.addNewLine(0)
  for (let index = text.indexOf('\n'); index >= 0; index = text.indexOf('\n', index + 1)) lines.addNewLine(index + 1)
  const refuse = (offset: number, message: string): YamlFile => ({
    root: undefined,
    problems: [errorAt(at(offset), [], message)]
  })

  const standIn = findStandIn(text)
  if (standIn >= 0) return refuse(standIn, 'this character (a noncharacter of Unicode) cannot be used here')
  const masked = maskReferences(text)
  const excess = findExcess(masked)
  if (excess >= 0) return refuse(excess, `this is nested deeper than ${MAX_DEPTH} levels, or too much to be read`)
  let document: Document
  try {
    document = parseDocument(masked, { prettyErrors: false, uniqueKeys: false, merge: true, logLevel: 'error' })
  } catch {
    return refuse(0, 'this is too deeply nested to be read')
  }
  for (const error of [...document.errors, ...document.warnings].slice(0, 20)) {
    problems.push(errorAt(at(error.pos[0]), [], YAML_ERRORS[error.code] ?? YAML_ERRORS.IMPOSSIBLE))
  }
  if (problems.length > 0 || document.contents === null) return { root: undefined, problems }
  const env = { ...source.env, ...saidEnvironment(document) }
  const reader = new Reader(document, text, at, problems, { ...source, env })
  return { root: reader.read(document.contents, [], 0), problems }
}

/** LiteLLM's `environment_variables` are set before anything else in its file is read. */
function saidEnvironment(document: Document): Record<string, string> {
  const said = isMap(document.contents) ? document.contents.get('environment_variables') : undefined
  const result: Record<string, string> = {}
  if (!isMap(said)) return result
  for (const { key, value } of said.items) {
    if (isScalar(key) && isScalar(value) && typeof key.value === 'string' && value.value !== null) {
      const text = unmask(String(value.value))
      if (key.value !== '__proto__' && !text.includes('${')) result[key.value] = text
    }
  }
  return result
}
