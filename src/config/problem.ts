import { relative } from 'node:path'

/** Where something stands in a file; lines and columns count from 1. */
export interface Spot {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** One thing that is wrong, or likely to be, with the place to look at. */
export interface Problem extends Spot {
  readonly severity: 'error' | 'warning'
  /** `model_list[0].api_base`; empty when the file as a whole is meant. */
  readonly path: string
  readonly message: string
  /** What to do about it. */
  readonly hint?: string
}

export type Path = readonly (string | number)[]

/** A path as people write it. */
export function formatPath(path: Path): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(shownKey(step))}]`
  }
  return text
}

/** A key fit to be shown: `api_key:sk-…` without its space makes a secret part of a key. */
export function shownKey(key: string): string {
  const clean = key.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
  const cut = /^([\w-]+)[:=]\S/.exec(clean)?.[1]
  if (cut !== undefined) return `${cut}:…`
  return clean.length > 60 ? `${clean.slice(0, 60)}…` : clean
}

export function errorAt(spot: Spot, path: Path, message: string, hint?: string): Problem {
  return problemAt('error', spot, path, message, hint)
}

export function warningAt(spot: Spot, path: Path, message: string, hint?: string): Problem {
  return problemAt('warning', spot, path, message, hint)
}

function problemAt(
  severity: Problem['severity'],
  spot: Spot,
  path: Path,
  message: string,
  hint: string | undefined
): Problem {
  const { file, line, column } = spot
  return { severity, file, line, column, path: formatPath(path), message, ...(hint === undefined ? {} : { hint }) }
}

/** A file as people know it: relative to where they are, when it lies there. */
export function shownFile(file: string): string {
  const here = relative(process.cwd(), file)
  return here === '' || here.startsWith('..') ? file : here
}

/** One line: `gateway.yaml:6:7 error model_list[0].modle: unknown key "modle"; did you mean "model"?` */
export function formatProblem(problem: Problem): string {
  const { file, line, column, severity, path, message, hint } = problem
  return `${shownFile(file)}:${line}:${column} ${severity} ${path === '' ? '' : `${path}: `}${message}${hint === undefined ? '' : `; ${hint}`}`
}

/** In the order of the file, the file of the first problem first. */
export function inFileOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(problem => problem.file))]
  return [...problems].sort(
    (a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column
  )
}
