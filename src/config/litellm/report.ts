import { errorAt, formatPath, type Path, type Problem, type Spot, warningAt } from '../problem.ts'

/** How well something of LiteLLM's is understood. */
export type Fit = 'exact' | 'approximate' | 'unsupported'

/** What becomes of one key. */
export interface Rule {
  readonly fit: Fit
  /** Our key that it becomes: of the entry for an entry's, of the whole configuration otherwise. */
  readonly to?: string
  readonly reason: string
}

export interface ReportLine extends Spot {
  readonly path: string
  readonly fit: Fit
  readonly reason: string
}

export interface LiteLLMReport {
  readonly lines: readonly ReportLine[]
}

/** Collects what became of each key, and what is wrong. What is not supported is a warning: never silent, never in the way. */
export class Ledger {
  readonly lines: ReportLine[] = []
  readonly problems: Problem[] = []

  note(spot: Spot, path: Path, fit: Fit, reason: string): void {
    const { file, line, column } = spot
    this.lines.push({ file, line, column, path: formatPath(path), fit, reason })
    if (fit === 'unsupported') this.problems.push(warningAt(spot, path, `not supported: ${reason}`))
  }

  refuse(spot: Spot, path: Path, message: string, hint?: string): void {
    const { file, line, column } = spot
    this.lines.push({ file, line, column, path: formatPath(path), fit: 'unsupported', reason: message })
    this.problems.push(errorAt(spot, path, message, hint))
  }
}
