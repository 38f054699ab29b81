// What both databases can do. Everything above speaks SQL to this and never learns which one answers.

import { Failure } from '../chat/failure.ts'
import { isWorthAnother } from './failures.ts'
import type { Parameter, Row } from './values.ts'

export interface Queries {
  /** Values only ever travel as parameters. Without a list of them, `text` may hold several statements. Never rejects. */
  query(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[] | Failure>
}

export interface TransactionOptions {
  /** How long one statement may take: migrations need longer than requests. */
  readonly patience?: number
}

export interface Database extends Queries {
  readonly kind: 'postgres' | 'embedded'
  /**
   * All or nothing; a `Failure` that `run` returns, or that one of its statements met, undoes everything. `run` is called again
   * when another transaction came in between, so it touches nothing but what it is given.
   */
  transaction<Result>(
    run: (queries: Queries) => Promise<Result | Failure>,
    options?: TransactionOptions
  ): Promise<Result | Failure>
  /** Called without payload when some may have been missed. The returned function ends it. */
  listen(channel: string, listener: (payload: string | undefined) => void): Promise<() => void>
  close(): Promise<void>
}

/** Tells what the store does on its own; the gateway's log fits. */
export type StoreLog = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Readonly<Record<string, unknown>>
) => void

const ATTEMPTS = 4

/** Deadlocks and serialisation failures are the server's way to say «again». */
export async function again<Result>(attempt: () => Promise<Result | Failure>): Promise<Result | Failure> {
  let result = await attempt()
  for (let attempts = 1; attempts < ATTEMPTS && result instanceof Failure && isWorthAnother(result); attempts++) {
    result = await attempt()
  }
  return result
}

/** Everything between `begin` and `commit` on a connection that nobody else uses meanwhile. */
export async function runTransaction<Result>(
  queries: Queries,
  begin: string,
  run: (queries: Queries) => Promise<Result | Failure>
): Promise<Result | Failure> {
  const begun = await queries.query(begin)
  if (begun instanceof Failure) return begun
  let broken: Failure | undefined
  const watched: Queries = {
    query: async (text, parameters) => {
      const rows = broken ?? (await queries.query(text, parameters))
      if (rows instanceof Failure) broken ??= rows
      return rows
    }
  }
  try {
    const result = await run(watched)
    const failure = broken ?? (result instanceof Failure ? result : undefined)
    if (failure === undefined) {
      const committed = await queries.query('commit')
      return committed instanceof Failure ? committed : result
    }
    await queries.query('rollback')
    return failure
  } catch (error) {
    await queries.query('rollback')
    throw error
  }
}
