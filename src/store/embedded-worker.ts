// PGlite in a thread of its own: a statement of it blocks whoever runs it, up to hundreds of milliseconds.

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'
import type { Answer, Ask, Start, Trouble } from './embedded-messages.ts'
import { asObject, PARSERS, type Row } from './values.ts'

// Parameters come as text and are sent as text: its own serialisers would insist on values of their types.
const SERIALIZERS = Object.fromEntries(
  [16, 17, 20, 21, 23, 25, 26, 114, 701, 1184, 3802].map(type => [type, (value: string) => value])
)

/** 128 MB by default, which a process of our size does not need. */
const CONFIGURATION = ['shared_buffers=8MB']

const port = parentPort
if (port !== null) await serve(message => port.postMessage(message))

async function serve(tell: (answer: Answer) => void): Promise<void> {
  const start: Start = workerData
  let database: PGlite
  try {
    database = await open(start.folder)
  } catch (error) {
    tell({ cannotStart: error instanceof Error ? error.message : String(error) })
    return
  }
  port?.on('message', (ask: Ask) => {
    answer(database, ask, tell).then(
      rows => tell({ id: ask.id, rows }),
      (error: unknown) => tell({ id: ask.id, trouble: troubleOf(error) })
    )
  })
  tell({ ready: true })
}

/** Made elsewhere and moved when it is whole: what a death leaves behind halfway would never open again. */
async function open(folder: string): Promise<PGlite> {
  if (!existsSync(join(folder, 'PG_VERSION'))) {
    if (existsSync(folder) && readdirSync(folder).length > 0) throw new Error(`${folder} is not empty, and no database`)
    const making = `${folder}.new`
    rmSync(making, { recursive: true, force: true })
    mkdirSync(making, { recursive: true, mode: 0o700 })
    const made = await PGlite.create({ dataDir: making, postgresqlconf: CONFIGURATION })
    await made.close()
    rmSync(folder, { recursive: true, force: true })
    renameSync(making, folder)
  }
  return PGlite.create({ dataDir: folder, postgresqlconf: CONFIGURATION })
}

async function answer(database: PGlite, ask: Ask, tell: (answer: Answer) => void): Promise<readonly Row[]> {
  const { text, parameters, channel, close } = ask
  if (close) await database.close()
  else if (channel !== undefined) await database.listen(channel, payload => tell({ channel, payload }))
  else if (parameters === undefined)
    return (await database.exec(text, { parsers: PARSERS })).at(-1)?.rows.map(asObject) ?? []
  else return (await database.query<Row>(text, [...parameters], { parsers: PARSERS, serializers: SERIALIZERS })).rows
  return []
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
