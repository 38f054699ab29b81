import type { LoadedConfig } from '../config/load.ts'
import type { Gateway, Running } from '../exchange/gateway.ts'
import type { Environment, Runtime } from '../exchange/runtime.ts'
import type { Shelf } from '../hooks/shelf.ts'
import type { ReloadOutcome } from '../server/admin.ts'
import type { Pools } from '../upstream/pools.ts'
import type { Logs } from './logs.ts'
import { type Overrides, type Prepared, prepare, type Refused, tell } from './prepare.ts'
import type { Secrets } from './secrets.ts'
import type { Tracing } from './tracing.ts'

export interface ReloadSettings {
  readonly file: string
  readonly overrides: Overrides
  readonly environment: Omit<Environment, 'generation'>
  readonly gateway: Gateway
  readonly shelf: Shelf
  readonly pools: Pools
  readonly logs: Logs
  readonly tracing: Tracing
  readonly secrets: Secrets
  /** What changed, a line each. */
  readonly describe: (before: LoadedConfig, after: LoadedConfig) => readonly string[]
  /** Which files are to be watched from now on. */
  readonly onFiles: (read: Pick<Refused, 'files' | 'globs'>) => void
}

/** Origins that only a replaced runtime used, and the requests that may still go there. */
interface Retired {
  readonly origins: ReadonlySet<string>
  readonly requests: readonly Running[]
}

/** Puts what the files say into force, one reload after the other; a bad file changes nothing. */
export class Reloader {
  readonly #settings: ReloadSettings
  #loaded: LoadedConfig
  /** The hooks in force. */
  #hooks: string
  #rejected: readonly string[] = []
  #last: Promise<unknown> = Promise.resolve()
  #queued: Promise<ReloadOutcome> | undefined
  #retired: Retired[] = []
  #sweep: NodeJS.Timeout | undefined

  constructor(settings: ReloadSettings, { loaded, hooks }: Prepared) {
    this.#settings = settings
    this.#loaded = loaded
    this.#hooks = hooks
  }

  /** The problems of the last attempt, when it was refused. */
  rejected(): readonly string[] {
    return this.#rejected
  }

  /** Reads the files as they are once the reload before it is done: who asks while one waits is answered by that one. */
  reload(reason: string): Promise<ReloadOutcome> {
    if (this.#queued !== undefined) return this.#queued
    const turn = this.#last.then(() => {
      this.#queued = undefined
      return this.#reloadNow(reason)
    })
    this.#queued = turn
    this.#last = turn.catch(() => undefined)
    return turn
  }

  close(): void {
    clearInterval(this.#sweep)
    this.#sweep = undefined
  }

  async #reloadNow(reason: string): Promise<ReloadOutcome> {
    const began = performance.now()
    const { file, overrides, environment, gateway, onFiles, shelf } = this.#settings
    const generation = gateway.runtime.generation + 1
    const prepared = await prepare(file, { ...environment, generation }, overrides, shelf)
    onFiles('loaded' in prepared ? prepared.loaded : prepared)
    if (!('loaded' in prepared)) return this.#refuse(prepared, reason)
    const sameFile = JSON.stringify(prepared.loaded.config) === JSON.stringify(this.#loaded.config)
    if (sameFile && prepared.hooks === this.#hooks) return this.#keep(prepared, reason)
    return this.#accept(prepared, reason, began)
  }

  #refuse({ problems }: Refused, reason: string): ReloadOutcome {
    const { gateway, logs, secrets } = this.#settings
    const { generation } = gateway.runtime
    const lines = tell(problems).map(line => secrets.redact(line))
    this.#rejected = lines
    gateway.metrics.reloaded('rejected')
    logs
      .in('config')
      .event('error', `configuration refused; generation ${generation} stays in force`, { generation, reason }, lines)
    return { accepted: false, generation, lines }
  }

  #keep({ runtime, warnings }: Prepared, reason: string): ReloadOutcome {
    const { gateway, logs } = this.#settings
    runtime.hooks?.leave()
    for (const warning of warnings) logs.in('config').event('warn', warning)
    const { generation } = gateway.runtime
    const mended = this.#rejected.length > 0
    this.#rejected = []
    gateway.metrics.reloaded('unchanged')
    logs.in('config').event(mended ? 'info' : 'debug', 'configuration unchanged', { generation, reason })
    return { accepted: true, generation, lines: ['Nothing changed.'] }
  }

  async #accept(prepared: Prepared, reason: string, began: number): Promise<ReloadOutcome> {
    const { loaded, runtime, hooks } = prepared
    const { gateway, logs, tracing, secrets, environment, describe } = this.#settings
    const before = this.#loaded
    const previous = gateway.runtime
    // Before anything of the new file can be said.
    secrets.learn(loaded.config, environment.variables)
    const changed = [...describe(before, loaded), ...restartLines(before, loaded)]
    if (hooks !== this.#hooks && changed.length === 0) changed.push('~ hooks: files')
    const lines = changed.map(line => secrets.redact(line))
    this.#loaded = loaded
    this.#hooks = hooks
    this.#rejected = []
    gateway.swap(runtime)
    this.#retire(previous, runtime)
    gateway.metrics.reloaded('accepted')
    const { generation } = runtime
    const milliseconds = Math.round(performance.now() - began)
    await logs.configure(runtime.config.server.logs)
    await tracing.configure(runtime.config.server.tracing)
    logs
      .in('config')
      .event('info', `configuration reloaded: generation ${generation}`, { generation, reason, milliseconds }, lines)
    for (const warning of warningsOf(prepared)) logs.in('config').event('warn', warning)
    return { accepted: true, generation, lines }
  }

  /** Connections are closed once no request can want them: one that began before may still try its next target. */
  #retire(previous: Runtime, runtime: Runtime): void {
    const { gateway, pools } = this.#settings
    const gone = new Set([...previous.origins].filter(origin => !runtime.origins.has(origin)))
    if (gone.size > 0) this.#retired.push({ origins: gone, requests: gateway.running.all() })
    const clean = () => {
      this.#retired = this.#retired.filter(({ requests }) => requests.some(request => request.place >= 0))
      const kept = this.#retired.flatMap(({ origins }) => [...origins])
      pools.keepOnly(new Set([...gateway.runtime.origins, ...kept]))
      if (this.#retired.length === 0) this.close()
    }
    clean()
    if (this.#retired.length > 0) this.#sweep ??= setInterval(clean, 1000).unref()
  }
}

/** What works, but perhaps not as somebody expects. */
export function warningsOf({ loaded, runtime, warnings }: Prepared): string[] {
  return [...tell(loaded.problems), ...runtime.warnings, ...warnings]
}

function restartLines(before: LoadedConfig, after: LoadedConfig): string[] {
  const lines: string[] = []
  for (const name of ['host', 'port'] as const) {
    const [was, is] = [before.config.server[name], after.config.server[name]]
    if (was !== is) lines.push(`server.${name} ${was} → ${is}: needs a restart; the gateway still listens where it did`)
  }
  const [from, to] = [before.config.server.metrics.port, after.config.server.metrics.port]
  if (from !== to)
    lines.push(
      `server.metrics.port ${from ?? 'unset'} → ${to ?? 'unset'}: needs a restart; metrics stay where they are`
    )
  const [{ store: was }, { store: is }] = [before.config, after.config]
  for (const name of ['database_url', 'redis_url'] as const)
    if (was[name] !== is[name]) lines.push(`store.${name}: needs a restart; keys and limits stay where they are`)
  if (before.config.spend.journal_size !== after.config.spend.journal_size)
    lines.push('spend.journal_size: needs a restart')
  if (before.config.limits.without_redis !== after.config.limits.without_redis)
    lines.push('limits.without_redis: needs a restart')
  // The address itself may hold a password.
  if (before.config.store.database_url !== after.config.store.database_url)
    lines.push('store.database_url: needs a restart; keys are still looked up where they were')
  if (before.dataDir !== after.dataDir) lines.push(`store.data_dir → ${after.dataDir}: needs a restart`)
  return lines
}
