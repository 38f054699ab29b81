import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { describeChanges } from '../config/changes.ts'
import type { LogSettings } from '../config/generated/types.ts'
import { createDemo } from '../demo/demo.ts'
import { Gateway } from '../exchange/gateway.ts'
import type { Runtime } from '../exchange/runtime.ts'
import type { Log } from '../hooks/hook.ts'
import { Shelf } from '../hooks/shelf.ts'
import { Keyring } from '../keys/keyring.ts'
import { Metrics } from '../metrics/metrics.ts'
import { HealthBook } from '../routing/health.ts'
import { declareKeys } from '../server/admin/declared.ts'
import type { Controls, ReloadOutcome } from '../server/admin.ts'
import { createApp } from '../server/app.ts'
import { createMetricsApp } from '../server/metrics.ts'
import type { StoreLog } from '../store/database.ts'
import { Pools } from '../upstream/pools.ts'
import { keepBooks } from './books.ts'
import { CannotStart } from './cannot-start.ts'
import { type LogDestination, standardOutput } from './gather.ts'
import { leavePidFile } from './leave-pid-file.ts'
import { Logs } from './logs.ts'
import { openDoors } from './open-doors.ts'
import { type Overrides, type Prepared, prepare, type Refused, shorter, tell } from './prepare.ts'
import { probeLog } from './probes.ts'
import { Reloader, warningsOf } from './reload.ts'
import { Secrets } from './secrets.ts'
import { shutDown } from './shut-down.ts'
import { Tracing } from './tracing.ts'
import { watchFiles } from './watch-files.ts'
import { workspacesOf } from './workspaces.ts'

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
  /** Its name, when it answers behind the port of another and does not listen. */
  readonly workspace?: string
}

export interface RunningGateway {
  readonly url: string
  readonly port: number
  /** Where metrics are, when they have a port of their own. */
  readonly metricsUrl: string | undefined
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
  const wireTo = (origin: string) => pools.wire(origin)
  const environment = { variables: env, metrics, wireTo, demo: createDemo(), health: new HealthBook() }
  const told: Told[] = []
  let logs: Logs | undefined
  // What hooks say while they are set up waits for the log, which the same file configures.
  const log = hookLog((...line) => (logs === undefined ? told.push(line) : logs.in('hooks').event(...line)))
  const shelf = new Shelf({ log, metrics })
  const prepared = await prepare(file, { ...environment, generation: 1 }, overrides, shelf)
  const secrets = new Secrets()
  if (!('loaded' in prepared)) throw refusal(prepared, file)
  const { loaded, runtime } = prepared
  secrets.learn(loaded.config, env)
  const opened = await openLogs(options, loaded.config.server.logs, secrets)
  logs = opened
  for (const line of told) opened.in('hooks').event(...line)
  const gateway = new Gateway(runtime, metrics, (record, cause) => opened.call(record, cause))
  const tracing = new Tracing(gateway, opened.in('tracing'))
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
  const watcher = watchFiles(
    file,
    () => ({ ...watched, files: [...watched.files, ...shelf.watched] }),
    reloader,
    opened
  )
  const dataDir = dataDirOf(options, prepared)
  const keyring = keyringOf(options, gateway, dataDir, opened)
  const workspaces = workspacesOf(options, gateway, opened, startGateway)
  const controls = controlsOf({ reloader, logs: opened, shelf }, options, runtime)
  const app = createApp(gateway, controls, keyring, workspaces && (name => workspaces.find(name)))
  const metricsApp = controls.metricsApart === true ? createMetricsApp(gateway, controls) : undefined
  const apps = { app, metrics: metricsApp }
  const listening = await openDoors(apps, runtime.config.server, dataDir, options.workspace).catch(async error => {
    await Promise.all([watcher.close(), app.close(), metricsApp?.close(), pools.close()])
    throw error
  })
  const books = await keepBooks(gateway, keyring, dataDir, opened.in('spend'))
  // A database of our own takes seconds to be made, and nobody waits for it who does not ask with a key.
  if (runtime.masterKey !== undefined) keyring.wake(runtime.config.keys.length > 0)
  for (const warning of warningsOf(prepared)) opened.in('config').event('warn', warning)
  const record = workspaces && (await leavePidFile(dataDir, listening, file, opened))
  const started = { app, gateway, logs: opened, dataDir }
  const parts = { metricsApp, pools, reloader, watcher, record, shelf, books, keyring, tracing, workspaces }
  let stopping: Promise<void> | undefined
  return {
    ...listening,
    ...started,
    blame: error => shelf.behind(error) ?? workspaces?.blame(error),
    reload: (reason = 'call') => {
      void workspaces?.reload(reason)
      return reloader.reload(reason)
    },
    stop: progress => {
      stopping ??= shutDown({ ...started, ...parts }, progress)
      return stopping
    }
  }
}

function refusal({ problems }: Refused, file: string): CannotStart {
  return new CannotStart([...tell(problems), `${shorter(file)} is not in order; \`sluice check\` looks at it again.`])
}

function openLogs(
  { log, terminal, json, workspace }: StartOptions,
  said: LogSettings,
  secrets: Secrets
): Promise<Logs> {
  return Logs.open(said, {
    destination: log ?? standardOutput(),
    terminal: terminal === true,
    json: json === true,
    secrets,
    ...(workspace !== undefined && { workspace })
  })
}

interface Parts {
  readonly reloader: Reloader
  readonly logs: Logs
  readonly shelf: Shelf
}

function controlsOf({ reloader, logs, shelf }: Parts, { workspace }: StartOptions, { config }: Runtime): Controls {
  return {
    metricsApart: workspace === undefined && config.server.metrics.port !== undefined,
    reload: () => reloader.reload('admin'),
    rejected: () => reloader.rejected(),
    onBug: error => logs.bug(error, 'a request could not be answered'),
    hooksRedis: () => shelf.redis,
    onProbe: probeLog(logs.in('probes'))
  }
}

function keyringOf({ env }: StartOptions, gateway: Gateway, dataDir: string, logs: Logs): Keyring {
  const { database_url: databaseUrl } = gateway.runtime.config.store
  const log: StoreLog = (level, message, fields) => logs.in('keys').event(level, message, fields)
  const keyring = new Keyring({ databaseUrl, dataDir, pepper: env['SLUICE_KEY_PEPPER'] }, log)
  declareKeys(gateway, keyring, log)
  return keyring
}

/** The packaged file's own folder is not the operator's: what it would keep there is kept where they are. */
function dataDirOf({ home, env }: StartOptions, { loaded }: Prepared): string {
  if (home === undefined || env['SLUICE_DATA_DIR']) return loaded.dataDir
  return join(home, '.sluice')
}
