import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { describeChanges } from '../config/changes.ts'
import { watchConfig } from '../config/watch.ts'
import { createDemo } from '../demo/demo.ts'
import { Gateway } from '../exchange/gateway.ts'
import { hooksFolder } from '../hooks/files.ts'
import type { Log } from '../hooks/hook.ts'
import { Shelf } from '../hooks/shelf.ts'
import { Keyring } from '../keys/keyring.ts'
import { birthOf } from '../lib/process-birth.ts'
import { Metrics } from '../metrics/metrics.ts'
import { HealthBook } from '../routing/health.ts'
import type { Controls, ReloadOutcome } from '../server/admin.ts'
import { createApp } from '../server/app.ts'
import { Pools } from '../upstream/pools.ts'
import { keepBooks } from './books.ts'
import { CannotStart } from './cannot-start.ts'
import { type LogDestination, standardOutput } from './gather.ts'
import { listen } from './listen.ts'
import { Logs } from './logs.ts'
import { identify, type PidRecord, readPidFile, writePidFile } from './pid-file.ts'
import { type Overrides, type Prepared, prepare, type Refused, shorter, tell } from './prepare.ts'
import { Reloader, warningsOf } from './reload.ts'
import { Secrets } from './secrets.ts'
import { shutDown } from './shut-down.ts'
import { Tracing } from './tracing.ts'

export interface StartOptions {
  /** gateway.yaml, or LiteLLM's config.yaml. */
  readonly file: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly overrides?: Overrides
  /** Absent: standard output. */
  readonly log?: LogDestination
  /** Whether people read the log as it comes. */
  readonly terminal?: boolean
  /** JSON whatever the file says, for `--json`. */
  readonly json?: boolean
  /** The folder in which `.sluice` lies, when it is not the file's own. */
  readonly home?: string
}

export interface RunningGateway {
  readonly url: string
  readonly port: number
  readonly gateway: Gateway
  readonly app: FastifyInstance
  readonly logs: Logs
  readonly dataDir: string
  /** The place in a hook that an error comes from, when it comes from one. */
  blame(error: unknown): string | undefined
  reload(reason?: string): Promise<ReloadOutcome>
  /** Ends in order: no new requests, those under way finish or are told. Says how many are left. */
  stop(progress?: (left: number) => void): Promise<void>
}

const POLL = 500

type Told = Parameters<Logs['event']>

function hookLog(tell: (...line: Told) => void): Log {
  return {
    debug: (message, fields) => tell('debug', message, fields),
    info: (message, fields) => tell('info', message, fields),
    warn: (message, fields) => tell('warn', message, fields),
    error: (message, fields) => tell('error', message, fields)
  }
}

/** Builds everything and listens. Throws `CannotStart` with what to tell the operator. */
export async function startGateway(options: StartOptions): Promise<RunningGateway> {
  const { file, env, overrides = {} } = options
  const pools = new Pools()
  const metrics = new Metrics()
  const environment = {
    variables: env,
    metrics,
    wireTo: (origin: string) => pools.wire(origin),
    demo: createDemo(),
    health: new HealthBook()
  }
  const told: Told[] = []
  let logs: Logs | undefined
  // What hooks say while they are set up waits for the log, which the same file configures.
  const log = hookLog((...line) => (logs === undefined ? told.push(line) : logs.event(...line)))
  const shelf = new Shelf({ log, metrics })
  const prepared = await prepare(file, { ...environment, generation: 1 }, overrides, shelf)
  const secrets = new Secrets()
  if (!('loaded' in prepared))
    throw new CannotStart([
      ...tell(prepared.problems),
      `${shorter(file)} is not in order; \`sluice check\` looks at it again.`
    ])
  const { loaded, runtime } = prepared
  secrets.learn(loaded.config, env)
  const opened = await Logs.open(loaded.config.server.logs, {
    destination: options.log ?? standardOutput(),
    terminal: options.terminal === true,
    json: options.json === true,
    secrets
  })
  logs = opened
  for (const line of told) opened.event(...line)
  const gateway = new Gateway(runtime, metrics, (record, cause) => opened.call(record, cause))
  const tracing = new Tracing(gateway, opened)
  await tracing.configure(loaded.config.server.tracing)
  let watched: Pick<Refused, 'files' | 'globs'> = loaded
  const reloader = new Reloader(
    {
      file,
      overrides,
      environment,
      gateway,
      shelf,
      pools,
      logs: opened,
      tracing,
      secrets,
      describe: (before, after) => describeChanges(before.config, after.config),
      onFiles: read => {
        watched = read
      }
    },
    prepared
  )
  const watcher = watchConfig({
    files: () => [...watched.files, ...shelf.watched],
    globs: () => watched.globs,
    directories: () => [hooksFolder(file)],
    // The swap of a ConfigMap makes no event here: this is what sees it within the second that was promised.
    pollMs: POLL,
    onChange: async () => void (await reloader.reload('file')),
    onError: error =>
      opened.event('warn', 'a folder cannot be watched; its files are looked at every two seconds', {}, [String(error)])
  })
  const dataDir = dataDirOf(options, prepared)
  const keyring = keyringOf(options, prepared, dataDir, opened)
  const app = createApp(gateway, controlsOf(reloader, opened), keyring)
  const { host, port } = runtime.config.server
  const listening = await listen(app, host, port, dataDir).catch(async (error: unknown) => {
    await Promise.all([watcher.close(), app.close(), pools.close()])
    throw error
  })
  const books = await keepBooks(gateway, keyring, dataDir, opened)
  // A database of our own takes seconds to be made, and nobody waits for it who does not ask with a key.
  if (runtime.masterKey !== undefined) keyring.wake()
  for (const warning of warningsOf(prepared)) opened.event('warn', warning)
  const record = await leavePidFile(dataDir, listening, file, opened)
  let stopping: Promise<void> | undefined
  return {
    ...listening,
    gateway,
    app,
    logs: opened,
    dataDir,
    blame: error => shelf.behind(error),
    reload: (reason = 'call') => reloader.reload(reason),
    stop: progress => {
      stopping ??= shutDown(
        { app, gateway, pools, logs: opened, reloader, watcher, record, dataDir, shelf, books, keyring, tracing },
        progress
      )
      return stopping
    }
  }
}

function controlsOf(reloader: Reloader, logs: Logs): Controls {
  return {
    reload: () => reloader.reload('admin'),
    rejected: () => reloader.rejected(),
    onBug: error => logs.bug(error, 'a request could not be answered')
  }
}

function keyringOf({ env }: StartOptions, { loaded }: Prepared, dataDir: string, logs: Logs): Keyring {
  const { database_url: databaseUrl } = loaded.config.store
  return new Keyring({ databaseUrl, dataDir, pepper: env['SLUICE_KEY_PEPPER'] }, (level, message, fields) =>
    logs.event(level, message, fields)
  )
}

/** The packaged file's own folder is not the operator's: what it would keep there is kept where they are. */
function dataDirOf({ home, env }: StartOptions, { loaded }: Prepared): string {
  if (home === undefined || env['SLUICE_DATA_DIR']) return loaded.dataDir
  return join(home, '.sluice')
}

async function leavePidFile(
  dataDir: string,
  listening: { url: string; port: number },
  file: string,
  logs: Logs
): Promise<PidRecord | undefined> {
  const before = readPidFile(dataDir)
  if (before !== undefined && before.pid !== process.pid && (await identify(before)) !== 'gone') {
    logs.event(
      'warn',
      `${shorter(dataDir)} belongs to the gateway at ${before.url} (pid ${before.pid}); \`sluice stop\` ends that one, not this`
    )
    return undefined
  }
  const born = birthOf(process.pid)
  const record: PidRecord = {
    pid: process.pid,
    url: listening.url,
    port: listening.port,
    startedAt: Date.now(),
    ...(born !== undefined && { born }),
    config: file
  }
  const problem = writePidFile(dataDir, record)
  if (problem === undefined) return record
  logs.event(
    'warn',
    `${shorter(dataDir)} cannot be written (${problem}): \`sluice status\` and \`sluice stop\` will not find this gateway`
  )
  return undefined
}
