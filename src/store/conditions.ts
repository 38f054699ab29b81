// A `where` clause from conditions of ours and values of anybody's: the values only ever become parameters.

import type { Parameter } from './values.ts'

export class Conditions {
  readonly #clauses: string[] = []
  readonly parameters: Parameter[] = []

  /** `?` in the clause stands for the value. Nothing when there is no value. */
  add(clause: string, value: Parameter | undefined): void {
    if (value !== undefined) this.#clauses.push(clause.replaceAll('?', () => this.parameter(value)))
  }

  /** Equality that an index serves, also with nothing. */
  equal(column: string, value: Parameter | undefined): void {
    if (value === null) this.#clauses.push(`${column} is null`)
    else this.add(`${column} = ?`, value)
  }

  /** Its number, for use elsewhere in the statement. */
  parameter(value: Parameter): string {
    this.parameters.push(value)
    return `$${this.parameters.length}`
  }

  get where(): string {
    return this.#clauses.length === 0 ? '' : ` where ${this.#clauses.join(' and ')}`
  }
}
