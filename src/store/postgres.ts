// PostgreSQL by URL, over pg.

import pg from 'pg'
import { Failure } from '../chat/failure.ts'
import {
  again,
  type Database,
  type Queries,
  runTransaction,
  type StoreLog,
  type TransactionOptions
} from './database.ts'
import { failureOf, unavailable } from './failures.ts'
import { Listening } from './postgres-listening.ts'
import { encodeParameter, PARSERS, type Parameter, type Row } from './values.ts'

/** A request that waits for a dead database hears of it after these, whatever the network does. */
const CONNECT_MS = 3_000
const STATEMENT_MS = 10_000
/** Above the server's own limit, which tells more. */
const ANSWER_MS = 12_000
const CONNECTIONS = 10
/** Texts that are put together from parts have no end; beyond this many they are not prepared. */
const MOST_PREPARED = 500

const CHECKED = ['prefer', 'require', 'verify-ca']

/** How values are written must not depend on what the server's owner prefers. */
const SESSION = {
  statement_timeout: STATEMENT_MS,
  idle_in_transaction_session_timeout: 30_000,
  options: '-c datestyle=ISO -c timezone=UTC -c bytea_output=hex'
}

export function openPostgres(url: string, log: StoreLog): Database | Failure {
  let settings: pg.PoolConfig
  try {
    settings = settingsOf(url)
  } catch {
    // The error's text may hold the address, and that the password.
    return unavailable('The address of the database is none that PostgreSQL understands.')
  }
  return new Postgres(settings, log)
}

function settingsOf(url: string): pg.PoolConfig & { prepared: boolean } {
  // A socket's address has no host, which a URL with a user's name must have.
  const address = new URL(url.replace('@/', '@localhost/'))
  const { protocol, searchParams } = address
  if (!/^postgres(ql)?:$/.test(protocol)) throw new Error('another protocol')
  // Prisma's word, which addresses made for LiteLLM carry: a pooler that hands out another connection for each transaction.
  const pooled = searchParams.get('pgbouncer') === 'true'
  // What pg makes of these today, without its warning that this will change: the server's certificate is checked.
  const tls = searchParams.get('sslmode') ?? ''
  const checked = CHECKED.includes(tls) && !searchParams.has('uselibpqcompat')
  if (checked) searchParams.set('sslmode', 'verify-full')
  return {
    connectionString: checked ? address.href : url,
    max: Number(searchParams.get('connection_limit')) || CONNECTIONS,
    connectionTimeoutMillis: CONNECT_MS,
    idleTimeoutMillis: 30_000,
    query_timeout: ANSWER_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: 'sluice',
    types: { getTypeParser: parserOf },
    prepared: !pooled,
    // Poolers refuse connections that ask for settings of the session.
    ...(pooled ? {} : SESSION)
  }
}

function parserOf(type: number): (text: string) => unknown {
  return PARSERS[type] ?? (value => value)
}

class Postgres implements Database {
  readonly kind = 'postgres'
  readonly #pool: pg.Pool
  readonly #prepared: boolean
  readonly #names = new Map<string, string>()
  readonly #listening: Listening

  constructor({ prepared, ...settings }: pg.PoolConfig & { prepared?: boolean }, log: StoreLog) {
    this.#prepared = prepared ?? true
    this.#pool = new pg.Pool(settings)
    // Without these a server that restarts ends the gateway: idle connections tell the pool, those between two statements tell nobody.
    this.#pool.on('error', error => log('warn', 'lost a connection to the database', { error: error.message }))
    this.#pool.on('connect', client => client.on('error', () => undefined))
    this.#listening = new Listening(() => new pg.Client(settings), log)
  }

  query(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[] | Failure> {
    return again(() => this.#withClient(client => this.#ask(client, text, parameters)))
  }

  transaction<Result>(
    run: (queries: Queries) => Promise<Result | Failure>,
    { patience }: TransactionOptions = {}
  ): Promise<Result | Failure> {
    const begin = patience === undefined ? 'begin' : `begin; set local statement_timeout = ${Math.round(patience)}`
    const patient = patience === undefined ? undefined : patience + ANSWER_MS - STATEMENT_MS
    return again(() =>
      this.#withClient(client =>
        runTransaction({ query: (text, parameters) => this.#ask(client, text, parameters, patient) }, begin, run)
      )
    )
  }

  listen(channel: string, listener: (payload: string | undefined) => void): Promise<() => void> {
    return this.#listening.listen(channel, listener)
  }

  async close(): Promise<void> {
    await this.#listening.close()
    if (!this.#pool.ending) await this.#pool.end()
  }

  async #withClient<Result>(use: (client: pg.PoolClient) => Promise<Result | Failure>): Promise<Result | Failure> {
    let client: pg.PoolClient
    try {
      client = await this.#pool.connect()
    } catch (error) {
      return failureOf(error)
    }
    // A connection of which we do not know how far it came is not used again.
    let broken = true
    try {
      const result = await use(client)
      broken = result instanceof Failure && result.kind === 'unavailable'
      return result
    } finally {
      client.release(broken)
    }
  }

  async #ask(
    client: pg.PoolClient,
    text: string,
    parameters: readonly Parameter[] | undefined,
    patience?: number
  ): Promise<readonly Row[] | Failure> {
    const timeout = patience === undefined ? {} : { query_timeout: patience }
    const values = parameters?.map(encodeParameter)
    try {
      const result: unknown = await client.query({
        text,
        ...timeout,
        ...(values === undefined ? {} : { values, ...this.#name(text) })
      })
      // Several statements have several results; the last is what was asked for.
      const last: unknown = Array.isArray(result) ? result.at(-1) : result
      return last instanceof Object && 'rows' in last && Array.isArray(last.rows) ? last.rows : []
    } catch (error) {
      return failureOf(error)
    }
  }

  /** A server keeps what a name stands for, so a statement is parsed and planned once a connection. */
  #name(text: string): { name?: string } {
    if (!this.#prepared) return {}
    let name = this.#names.get(text)
    if (name === undefined) {
      if (this.#names.size >= MOST_PREPARED) return {}
      name = `sluice_${this.#names.size}`
      this.#names.set(text, name)
    }
    return { name }
  }
}
