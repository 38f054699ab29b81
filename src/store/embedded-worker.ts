// PGlite in a thread of its own: a statement of it blocks whoever runs it, up to hundreds of milliseconds.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { PGlite, parse, protocol } from '@electric-sql/pglite'
import type { Answer, Ask, Start, Trouble } from './embedded-messages.ts'
import { asObject, PARSERS, type Row } from './values.ts'

/** Buffers have 128 MB by default, which a process of our size does not need; nor does it need to keep a gigabyte of its journal. */
const CONFIGURATION = ['shared_buffers=8MB', 'min_wal_size=32MB', 'max_wal_size=64MB']

const MOST_PREPARED = 500

async function serve(port: MessagePort): Promise<void> {
  const tell = (answer: Answer) => port.postMessage(answer)
  const start: Start = workerData
  let database: PGlite
  try {
    if (start.make) return await make(start.folder)
    database = await PGlite.create({ dataDir: start.folder, postgresqlconf: CONFIGURATION })
  } catch (error) {
    tell({ cannotStart: error instanceof Error ? error.message : String(error) })
    return
  }
  const statements = new Statements(database)
  // One after the other: what belongs to a statement must not mix with another's.
  let before: Promise<void> = Promise.resolve()
  port.on('message', (ask: Ask) => {
    before = before
      .then(() => answer(database, statements, ask, tell))
      .then(
        rows => tell({ id: ask.id, rows }),
        (error: unknown) => {
          const trouble = troubleOf(error)
          tell({ id: ask.id, trouble })
          // What is no answer of PostgreSQL's is a crash within it: its memory is of no use any more, its files are.
          if (trouble.code === undefined) setImmediate(() => process.exit(1))
        }
      )
  })
  tell({ ready: true })
}

/** Made elsewhere and moved when it is whole: what a death leaves behind halfway would never open again. */
async function make(folder: string): Promise<void> {
  if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`${folder} is not empty, and no database`)
  const making = `${folder}.new`
  rmSync(making, { recursive: true, force: true })
  mkdirSync(making, { recursive: true, mode: 0o700 })
  const made = await PGlite.create({ dataDir: making, postgresqlconf: CONFIGURATION })
  await made.close()
  rmSync(folder, { recursive: true, force: true })
  renameSync(making, folder)
}

async function answer(
  database: PGlite,
  statements: Statements,
  ask: Ask,
  tell: (answer: Answer) => void
): Promise<readonly Row[]> {
  const { text, parameters, channel, close } = ask
  if (close) await database.close()
  else if (channel !== undefined) await database.listen(channel, payload => tell({ channel, payload }))
  else if (parameters !== undefined) return statements.run(text, parameters)
  else return (await database.exec(text, { parsers: PARSERS })).at(-1)?.rows.map(asObject) ?? []
  return []
}

/** PGlite's own `query` parses and plans every time and asks for the types in between: four times as slow as a prepared statement. */
class Statements {
  readonly #database: PGlite
  readonly #names = new Map<string, string>()

  constructor(database: PGlite) {
    this.#database = database
  }

  async run(text: string, values: readonly (string | null)[]): Promise<readonly Row[]> {
    const { bind, describe, execute, sync } = protocol.serialize
    const { messages } = await this.#database.execProtocol(
      Buffer.concat([
        bind({ statement: await this.#prepare(text), values: [...values] }),
        describe({ type: 'P' }),
        execute({}),
        sync()
      ])
    )
    return parse.parseResults(messages, {}, { parsers: PARSERS })[0]?.rows.map(asObject) ?? []
  }

  async #prepare(text: string): Promise<string> {
    const known = this.#names.get(text)
    if (known !== undefined) return known
    // Texts that are put together from parts have no end; the unnamed statement is replaced by the next.
    const name = this.#names.size < MOST_PREPARED ? `s${this.#names.size}` : ''
    await this.#database.execProtocol(
      Buffer.concat([protocol.serialize.parse({ name, text }), protocol.serialize.sync()])
    )
    if (name !== '') this.#names.set(text, name)
    return name
  }
}

function troubleOf(error: unknown): Trouble {
  const { code, constraint, column } = asObject(error instanceof Object ? { ...error } : undefined)
  return {
    message: error instanceof Error ? error.message : String(error),
    code: typeof code === 'string' ? code : undefined,
    constraint: typeof constraint === 'string' ? constraint : undefined,
    column: typeof column === 'string' ? column : undefined
  }
}

// At the end: what stands above has to be there when it begins.
if (parentPort !== null) await serve(parentPort)
