import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { loadConfig } from '../config/load.ts'
import { ask, type Reply } from './client.ts'
import { findConfig, type Where } from './find-config.ts'
import { EXIT } from './output.ts'
import { shorter } from './prepare.ts'
import { findRunning } from './running.ts'

export interface AdminFlags extends Where {
  readonly json?: boolean
  /** A gateway elsewhere; its master key is then in $SLUICE_MASTER_KEY. */
  readonly url?: string
}

/** Asks a running gateway as its administrator. */
export type Administer = (method: 'GET' | 'POST', path: string, body?: object) => Promise<Reply | string>

export interface CannotAsk {
  readonly lines: readonly string[]
  readonly code: number
}

const PATIENCE = 90_000
/** After this somebody who waits is told for what. */
const PATIENT = 1_500

/** The gateway that is meant and its key; else why it cannot be asked. */
export async function administrator(flags: AdminFlags): Promise<Administer | CannotAsk> {
  const url = flags.url ?? (await urlOf(flags))
  if (typeof url !== 'string') return url
  const key = keyOf(flags)
  if (key === undefined) {
    return {
      lines: [
        'Keys are managed with the master key, and none is set.',
        'Set auth.master_key in gateway.yaml, or SLUICE_MASTER_KEY for a gateway elsewhere.'
      ],
      code: EXIT.failed
    }
  }
  await patiently(untilOpen(url))
  return (method, path, body) => patiently(send(new URL(path, url), key, method, body))
}

async function patiently<Told>(work: Promise<Told>): Promise<Told> {
  const note = setTimeout(
    () => process.stderr.write('Waiting: a database of keys that is made takes some seconds, once.\n'),
    PATIENT
  ).unref()
  return work.finally(() => clearTimeout(note))
}

/** The gateway may be making its database, or opening it. */
async function untilOpen(url: string): Promise<void> {
  for (const until = Date.now() + PATIENCE; Date.now() < until; await wait(300)) {
    const health = await ask(url, '/health', PATIENCE)
    const components = typeof health === 'string' ? undefined : health.body['components']
    if (!(components instanceof Object) || !('database' in components) || components.database !== 'opening') return
  }
}

async function urlOf(flags: AdminFlags): Promise<string | CannotAsk> {
  const found = await findRunning(flags)
  if (typeof found === 'string') return { lines: [found], code: EXIT.failed }
  if (found.record !== undefined) return found.record.url
  const lines = [
    `No gateway runs here (${shorter(found.dataDir)} has none), and it is the gateway that keeps the keys.`,
    'Start it with `sluice start`, or name one elsewhere: --url URL.'
  ]
  return { lines, code: EXIT.notRunning }
}

function keyOf(flags: AdminFlags): string | undefined {
  const said = process.env['SLUICE_MASTER_KEY'] || undefined
  if (flags.url !== undefined) return said
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return said
  const result = loadConfig(resolve(source.file), { env: process.env })
  if (!result.ok) return said
  const { auth } = result.loaded.config
  return (auth === 'none' ? undefined : auth.master_key) || said
}

async function send(url: URL, key: string, method: string, body: object | undefined): Promise<Reply | string> {
  try {
    const response = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(PATIENCE),
      redirect: 'error'
    })
    const answer: unknown = await response.json()
    if (Array.isArray(answer)) return { status: response.status, body: { data: answer } }
    if (typeof answer !== 'object' || answer === null) return 'it did not answer with a JSON object'
    return { status: response.status, body: { ...answer } }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Object ? error.cause : {}
    const code = 'code' in cause ? String(cause.code) : String(error)
    return `${url.origin} does not answer: ${code}`
  }
}

/** What a refusal says, a line for each thing. */
export function linesOf({ status, body }: Reply): string[] {
  const { error } = body
  const said = error instanceof Object ? error : {}
  const message = 'message' in said ? String(said.message) : `It was answered with ${status}.`
  const more = 'recommendations' in said && Array.isArray(said.recommendations) ? said.recommendations.map(String) : []
  return [message, ...more]
}
