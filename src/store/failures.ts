// What a driver throws, as a failure. SQLSTATE says what happened; messages are for the log alone.

import { Failure } from '../chat/failure.ts'
import { asObject } from './values.ts'

/** Seconds after which trying again makes sense: connections come back, and a statement that was stopped may find the server idle. */
const RETRY_AFTER = 2

export function unavailable(message: string, cause?: unknown): Failure {
  return new Failure('unavailable', message, { retryAfter: RETRY_AFTER, cause })
}

/** The statement was undone: another came in between, or what it was planned for has changed. To run it once more is safe. */
export function isWorthAnother(failure: Failure): boolean {
  return ['40001', '40P01', '0A000'].includes(sqlState(failure.details.cause) ?? '')
}

export function failureOf(error: unknown): Failure {
  const code = sqlState(error)
  if (code === undefined) return unanswered(error)
  return (
    OF_STATE[code]?.(error) ??
    OF_CLASS[code.slice(0, 2)]?.(error) ??
    new Failure('bug', 'A statement is wrong.', { cause: error })
  )
}

/** Without a SQLSTATE the server has not answered: sockets, name look-ups, TLS, the driver's own deadlines. */
function unanswered(error: unknown): Failure {
  const code = error instanceof Object && 'code' in error ? String(error.code) : ''
  if (!/CERT|TLS|SSL|VERIFY/.test(code)) return unavailable('The database cannot be reached.', error)
  return new Failure('unavailable', `The certificate of the database is not trusted (${code}).`, {
    retryAfter: RETRY_AFTER,
    recommendations: [
      'Add `sslrootcert=/path/of/ca.pem` to the address of the database, or `sslmode=no-verify` if nobody can come in between.'
    ],
    cause: error
  })
}

type Reading = (error: unknown) => Failure

const refused: Reading = error =>
  new Failure('invalid-request', 'The database does not take this value.', { ...fieldOf(error), cause: error })

const OF_STATE: Readonly<Record<string, Reading>> = {
  '23502': error => new Failure('invalid-request', 'A value is missing.', { ...fieldOf(error), cause: error }),
  '23503': error =>
    new Failure('invalid-request', 'It refers to something that is not there, or something refers to it.', {
      ...fieldOf(error),
      code: 'reference',
      status: 409,
      cause: error
    }),
  '23505': error =>
    new Failure('invalid-request', 'It exists already.', {
      ...fieldOf(error),
      code: 'exists',
      status: 409,
      cause: error
    }),
  '23514': refused,
  '25006': error => unavailable('The database takes no changes at the moment.', error),
  '57014': error => unavailable('The database took too long.', error),
  '55P03': error => unavailable('The database took too long.', error)
}

const OF_CLASS: Readonly<Record<string, Reading>> = {
  // A prepared statement whose table was changed: the connection that prepared it has to go.
  '0A': error => unavailable('The database was changed at this moment.', error),
  '08': error => unavailable('The database cannot be reached.', error),
  '22': refused,
  '28': error => unavailable('The database does not let us in.', error),
  '3D': error => unavailable('The database does not exist.', error),
  '40': error => unavailable('The database is busy with the same rows.', error),
  '53': error => unavailable('The database has no room or no connection left.', error),
  '57': error => unavailable('The database is going down or coming up.', error),
  '58': error => unavailable('The database has trouble with its disk.', error),
  XX: error => unavailable('The database is damaged or has a bug.', error)
}

function sqlState(error: unknown): string | undefined {
  const code = error instanceof Object && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** Names of constraints are `<table>_<column>`, with what PostgreSQL adds. */
function fieldOf(error: unknown): { field?: string } {
  const { column, constraint } = asObject(error instanceof Object ? { ...error } : undefined)
  if (typeof column === 'string') return { field: column }
  if (typeof constraint !== 'string') return {}
  const [, field] = /^[a-z]+_(\w+?)(?:_fkey|_key|_check)?$/.exec(constraint) ?? []
  return field === undefined ? {} : { field: field === 'pkey' ? 'id' : field }
}
