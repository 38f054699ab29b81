import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where in these files an error came from, as `hooks/x.ts:3:9`; undefined when it did not. */
export function placeIn(error: unknown, files: ReadonlySet<string>): string | undefined {
  const stack = error instanceof Error || hasStack(error) ? error.stack : undefined
  for (const line of stack?.split('\n') ?? []) {
    const [, where = '', spot = ''] = /^\s+at (?:.*\()?(.+?):(\d+:\d+)\)?$/.exec(line) ?? []
    const file = where.startsWith('file://') ? fileURLToPath(where) : where
    if (files.has(file)) return `${shown(file)}:${spot}`
  }
  return undefined
}

/** Relative to where people are, when it lies there. */
export function shown(file: string): string {
  const here = relative(process.cwd(), file)
  return here === '' || here.startsWith('..') ? file : here
}

/** An error of another realm is no instance of ours. */
function hasStack(error: unknown): error is { stack: string } {
  return typeof error === 'object' && error !== null && 'stack' in error && typeof error.stack === 'string'
}

export function messageOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'message' in error) return String(error.message)
  return String(error)
}
