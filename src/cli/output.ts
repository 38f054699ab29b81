import pc from 'picocolors'

/** How a command ends. `--help` lists them. */
export const EXIT = { done: 0, failed: 1, usage: 2, notRunning: 3, interrupted: 130 } as const

export const colors = pc.createColors(pc.isColorSupported && process.stdout.isTTY === true)
export const errorColors = pc.createColors(pc.isColorSupported && process.stderr.isTTY === true)

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2))
}

/** Says why a command cannot go on, to people or to programs, and how it ends. */
export function fail(lines: readonly string[], json: boolean, code: number = EXIT.failed): number {
  if (json) printJson({ ok: false, problems: lines })
  else process.stderr.write(`${lines.map((line, index) => (index === 0 ? errorColors.red(line) : line)).join('\n')}\n`)
  return code
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[], indent = ''): string {
  const columns = Math.max(0, ...rows.map(row => row.length))
  const widths = Array.from({ length: columns }, (_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row => `${indent}${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
