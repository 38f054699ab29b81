import { keysAndBudgets } from './0001-keys-and-budgets.ts'

export interface Migration {
  readonly number: number
  readonly name: string
  /** Never edited once it is released: a checksum is kept of it. */
  readonly sql: string
  /** Gateways that do not know it cannot work on the database any more. Without it, old ones must go on working: add first, take away in a later release. */
  readonly breaking?: true
}

/** In order. The build copies TypeScript alone, so the SQL stands in strings. */
export const MIGRATIONS: readonly Migration[] = [keysAndBudgets]
