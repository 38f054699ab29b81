// What callers use and what it costs, kept: limits, the journal on disk, and what follows from both.

import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Keyring } from '../keys/keyring.ts'
import { parseDuration } from '../lib/duration.ts'
import { parseSize } from '../lib/size.ts'
import type { Alert } from '../limits/limits.ts'
import { Journal } from '../spend/journal.ts'
import type { Store } from '../store/store.ts'
import type { RoomLog } from './logs.ts'

export interface Books {
  /** Everything is on disk when this resolves, and in the store if that answers soon. */
  close(): Promise<void>
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Nobody can ask with a key yet, so what begins now is counted where it should be. */
const REDIS_PATIENCE = 1000
const WARM_AFTER = 300
const FIRST_SWEEP = 60_000
/** The longest budget that is counted in hours lasts 9,999 of them. */
const HOURS_KEPT = 420 * DAY
const ROWS_AT_ONCE = 5000
const POST_TIMEOUT = 5000
const POST_TRIES = 3

/** Opened once the gateway listens; nothing waits for it. */
export async function keepBooks(gateway: Gateway, keyring: Keyring, dataDir: string, logs: RoomLog): Promise<Books> {
  const { config } = gateway.runtime
  const journal = new Journal({
    folder: join(dataDir, 'journal'),
    maxBytes: parseSize(config.spend.journal_size),
    log: (level, message, fields) => logs.event(level, message, fields)
  })
  // Books are kept once there is somewhere to keep them: whoever has no keys needs none.
  keyring.onWake(() => {
    gateway.journal = journal
  })
  gateway.onAlert = alert => tellAlert(alert, gateway, logs)
  if (config.store.redis_url !== '') await shareLimits(gateway, config.store.redis_url, logs)
  const warming = setTimeout(() => warmPrices(gateway), WARM_AFTER).unref()
  let sweeping: NodeJS.Timeout | undefined
  keyring.onOpen(store => {
    void shipTo(store, journal)
    void store.onChange(change => {
      if (change !== 'all' && change.kind === 'budget') forgetBudget(gateway, change.id)
    })
    const sweep = async () => {
      await sweepLogs(store, parseDuration(gateway.runtime.config.spend.retention), logs)
      sweeping = setTimeout(() => void sweep(), HOUR).unref()
    }
    sweeping = setTimeout(() => void sweep(), FIRST_SWEEP).unref()
  })
  return {
    close: async () => {
      clearTimeout(sweeping)
      clearTimeout(warming)
      await journal.close()
      await gateway.limits.close()
    }
  }
}

/** The catalogue takes a tenth of a second to read: now, and not with the first request. Nothing is read where all is free. */
function warmPrices({ runtime }: Gateway): void {
  const now = Date.now()
  for (const { prices, model = '' } of runtime.targets) prices.of(model, now)
}

/** Read only when wanted: gateways without keys need no statement of the store in memory. */
async function shipTo(store: Store, journal: Journal): Promise<void> {
  const { insertCalls } = await import('../store/spend.ts')
  journal.ship(calls => insertCalls(store, calls))
}

/** Its driver is read only where there is a Redis. */
async function shareLimits(gateway: Gateway, url: string, logs: RoomLog): Promise<void> {
  const { RedisLimits } = await import('../limits/redis.ts')
  const outage = gateway.runtime.config.limits.without_redis
  const limits = new RedisLimits({
    url,
    outage,
    onDecision: gateway.onDecision,
    onAlert: alert => gateway.alert(alert),
    onOutage: (down, error) => {
      const meanwhile = outage === 'share' ? 'limits are counted here alone' : 'callers with limits are refused'
      if (down) logs.event('error', `Redis does not answer; ${meanwhile}`, { error: String(error) })
      else logs.event('info', 'Redis answers again; limits are shared')
    }
  })
  gateway.limits = limits
  await limits.ready(REDIS_PATIENCE)
}

/** What is spent may have been set back. */
function forgetBudget(gateway: Gateway, owner: string): void {
  const colon = owner.indexOf(':')
  gateway.limits.forget(owner.slice(0, colon), owner.slice(colon + 1))
}

async function sweepLogs(store: Store, retention: number, logs: RoomLog): Promise<void> {
  const { deleteCallsBefore, deleteCountersBefore } = await import('../store/logs.ts')
  const now = Date.now()
  await deleteCountersBefore(store, 'hour', new Date(now - HOURS_KEPT))
  if (retention === 0) return
  let gone = 0
  for (let rows = ROWS_AT_ONCE; rows === ROWS_AT_ONCE; ) {
    const deleted = await deleteCallsBefore(store, new Date(now - retention), ROWS_AT_ONCE)
    rows = deleted instanceof Failure ? 0 : deleted
    gone += rows
  }
  if (gone > 0) logs.event('info', 'spend logs older than spend.retention were deleted', { rows: gone })
}

function tellAlert({ bound, budget, spent, percent }: Alert, gateway: Gateway, logs: RoomLog): void {
  const { scope, id, model } = bound
  const told = {
    event: 'budget',
    scope,
    id,
    ...(model !== undefined && { model }),
    percent,
    limit_usd: Number(budget.limit) / 1e9,
    spent_usd: Number(spent) / 1e9,
    until: Number.isFinite(budget.until) ? new Date(budget.until).toISOString() : null
  }
  logs.event('warn', `a budget of a ${scope} is used to ${percent} %`, told)
  const { alert_webhook: url } = gateway.runtime.config.spend
  if (url !== '') void postAlert(url, told, logs)
}

async function postAlert(url: string, told: object, logs: RoomLog): Promise<void> {
  let problem = ''
  for (let attempt = 0; attempt < POST_TRIES; attempt++) {
    if (attempt > 0) await wait(1000 * 4 ** attempt, undefined, { ref: false })
    try {
      const { ok, status } = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(told),
        redirect: 'error',
        signal: AbortSignal.timeout(POST_TIMEOUT)
      })
      if (ok) return
      problem = `it answered ${status}`
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error)
    }
  }
  logs.event('warn', `spend.alert_webhook was not told of a budget: ${problem}`)
}
