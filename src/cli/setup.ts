import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { adviseOn } from './advice.ts'
import { detect } from './detect.ts'
import { findConfig } from './find-config.ts'
import { offline } from './offline.ts'
import { EXIT, fail, print, printJson, table } from './output.ts'
import { shorter, tell as tellProblems } from './prepare.ts'
import { starter } from './starter.ts'
import { createFile } from './write-file.ts'

export interface SetupFlags {
  readonly docker?: boolean
  readonly print?: boolean
  readonly workspace?: string | undefined
  readonly json?: boolean
}

/** What docker-compose.yml asks `.env` for: each its own, and none that anybody could know. */
const SECRETS: Readonly<Record<string, () => string>> = {
  SLUICE_MASTER_KEY: () => `sk-${random()}`,
  GRAFANA_ADMIN_PASSWORD: random,
  POSTGRES_PASSWORD: random,
  SLUICE_KEY_PEPPER: random
}

/** Writes a first gateway.yaml for what is found on this machine, or what docker compose needs. What is there already stays. */
export async function setup(flags: SetupFlags): Promise<number> {
  const json = flags.json === true
  const folder = resolve(flags.workspace ?? '.')
  if (!existsSync(folder)) return fail([`The folder ${folder} does not exist.`], json)
  return flags.docker === true ? setupDocker(folder, json) : setupGateway(folder, flags.print === true, json)
}

async function setupGateway(folder: string, printed: boolean, json: boolean): Promise<number> {
  const file = join(folder, 'gateway.yaml')
  const runs = findConfig({ workspace: folder }, {})
  const isThere = typeof runs !== 'string' && runs.whence !== 'packaged' && existsSync(runs.file)
  if (!printed && isThere)
    return fail(
      [`${shorter(runs.file)} is there already and stays as it is; --print shows what would be written.`],
      json
    )
  const findings = await detect(process.env, 0)
  const text = starter(findings)
  if (printed) {
    if (json) printJson({ ok: true, file, text })
    else print(text)
    return EXIT.done
  }
  try {
    createFile(file, text)
  } catch (error) {
    return fail([`${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`], json)
  }
  const prepared = await offline(file)
  if (!('loaded' in prepared)) return fail(tellProblems(prepared.problems), json)
  const found = adviseOn(findings, prepared.runtime).map(item => item.found)
  const models = prepared.runtime.routes.names(true)
  if (json) printJson({ ok: true, file, found, models })
  else tellGateway(file, found, models)
  return EXIT.done
}

function tellGateway(file: string, found: readonly string[], models: readonly string[]): void {
  print(`${shorter(file)} is written; only you can read it, and no key is in it.\n`)
  const rows = [...found.map(text => ['found', text]), ['serves', models.join(', ') || 'nothing yet']]
  print(table(rows, '  '))
  if (process.env['SLUICE_CONFIG']) print('\nSLUICE_CONFIG names another file: that one is run, until it is unset.')
  print('\nNext: sluice start')
}

async function setupDocker(folder: string, json: boolean): Promise<number> {
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
