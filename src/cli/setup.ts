import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { EXIT, fail, print, printJson } from './output.ts'
import { shorter } from './prepare.ts'

export interface SetupFlags {
  readonly docker?: boolean
  readonly workspace?: string | undefined
  readonly json?: boolean
}

/** What docker-compose.yml asks `.env` for: each its own, and none that anybody could know. */
const SECRETS: Readonly<Record<string, () => string>> = {
  SLUICE_MASTER_KEY: () => `sk-${random()}`,
  GRAFANA_ADMIN_PASSWORD: random,
  POSTGRES_PASSWORD: random
}

/** Writes what has to be there before the first `docker compose up`. What is there already stays. */
export async function setup(flags: SetupFlags): Promise<number> {
  const json = flags.json === true
  if (flags.docker !== true)
    return fail(['Say for what: `sluice setup --docker` writes .env for docker-compose.yml.'], json, EXIT.usage)
  const folder = resolve(flags.workspace ?? '.')
  if (!existsSync(join(folder, 'docker-compose.yml')))
    return fail([`There is no docker-compose.yml in ${folder}.`], json)
  const file = join(folder, '.env')
  try {
    const written = complete(file)
    if (json) printJson({ ok: true, file, written })
    else tell(file, written)
    return EXIT.done
  } catch (error) {
    return fail([`${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`], json)
  }
}

/** The names of the secrets that were missing. */
function complete(file: string): readonly string[] {
  const before = read(file)
  const missing = Object.entries(SECRETS).filter(
    ([name]) => !new RegExp(`^\\s*(export\\s+)?${name}=\\S`, 'm').test(before)
  )
  const lines = missing.map(([name, make]) => `${name}=${make()}\n`)
  const gap = before === '' || before.endsWith('\n') ? '' : '\n'
  if (lines.length > 0) writeFileSync(file, before + gap + lines.join(''), { mode: 0o600 })
  // The mode above is for a new file alone.
  chmodSync(file, 0o600)
  return missing.map(([name]) => name)
}

function read(file: string): string {
  const there = lstatSync(file, { throwIfNoEntry: false })
  if (there === undefined) return ''
  // Secrets go where the name says, and not where somebody else pointed it.
  if (!there.isFile()) throw new Error('it is not a plain file')
  return readFileSync(file, 'utf8')
}

function tell(file: string, written: readonly string[]): void {
  const what = written.length === 0 ? 'has all that is needed' : `now has ${written.join(', ')}`
  print(`${shorter(file)} ${what}; only you can read it.\n`)
  print('Next: docker compose up')
  print('Then: the gateway is at http://127.0.0.1:4000, with SLUICE_MASTER_KEY as the key,')
  print('      Grafana at http://127.0.0.1:3000, as admin with GRAFANA_ADMIN_PASSWORD.')
}

function random(): string {
  return randomBytes(24).toString('base64url')
}
