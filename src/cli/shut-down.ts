import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Shelf } from '../hooks/shelf.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { Pools } from '../upstream/pools.ts'
import type { Books } from './books.ts'
import type { Logs } from './logs.ts'
import { count } from './output.ts'
import { type PidRecord, removePidFile, writePidFile } from './pid-file.ts'
import type { Reloader } from './reload.ts'
import type { Tracing } from './tracing.ts'
import type { Workspaces } from './workspaces.ts'

export interface Parts {
  readonly app: FastifyInstance
  /** Where metrics have a port of their own. */
  readonly metricsApp: FastifyInstance | undefined
  readonly gateway: Gateway
  readonly pools: Pools
  readonly logs: Logs
  readonly reloader: Reloader
  readonly watcher: { close(): Promise<void> | void }
  readonly record: PidRecord | undefined
  readonly dataDir: string
  readonly shelf: Shelf
  readonly books: Books
  readonly keyring: Keyring
  readonly tracing: Tracing
  readonly workspaces: Workspaces | undefined
}

/** What was answered has to reach its reader; one that reads no more is not waited for. */
const LAST_BYTES = 2000

/** Ends a gateway in order: ears first, then mouths, then hands. */
export async function shutDown(parts: Parts, progress: (left: number) => void = () => undefined): Promise<void> {
  const { app, metricsApp, gateway, pools, logs, reloader, watcher, record, dataDir } = parts
  const { shelf, books, keyring, tracing, workspaces } = parts
  const { drain } = gateway.runtime
  gateway.draining = true
  reloader.close()
  await watcher.close()
  // The ports are free at once, so that a successor may open them; connections that are open are answered on.
  app.server.close()
  metricsApp?.server.close()
  const left = gateway.running.size
  const under = left === 0 ? 'nothing is under way' : `${count(left, 'request')} under way may take ${drain / 1000} s`
  logs.event('info', `stopping: ${under}`, { draining: left, milliseconds: drain })
  const tellProgress = () => {
    const now = gateway.running.size
    progress(now)
    if (record !== undefined) writePidFile(dataDir, { ...record, draining: { left: now, milliseconds: drain } })
  }
  tellProgress()
  const ticking = setInterval(tellProgress, 1000)
  const failure = new Failure('unavailable', 'The gateway is shutting down.', { retryAfter: 5 })
  // What workspaces answer goes out by connections of this server.
  await Promise.all([workspaces?.close(), gateway.drain(drain, failure)])
  clearInterval(ticking)
  const late = setTimeout(() => app.server.closeAllConnections(), LAST_BYTES)
  // An upgraded connection is nobody's list, and would be waited for.
  const closed = Promise.all([app.close(), metricsApp?.close()])
  await Promise.race([closed, wait(2 * LAST_BYTES, undefined, { ref: false })])
  clearTimeout(late)
  await pools.close()
  // They may have something to write still.
  await shelf.close()
  await books.close()
  await keyring.close()
  await tracing.close()
  gateway.deadlines.close()
  if (record !== undefined) removePidFile(dataDir, record.pid)
  logs.event('info', 'stopped')
  logs.flush()
}
