// Limits that several gateways share. Each request asks Redis once; what it really took follows with the next one that asks.

import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { Failure } from '../chat/failure.ts'
import type { Bound } from '../store/bound.ts'
import {
  type Amount,
  DIMENSIONS,
  type Hit,
  type Limits,
  type OnAlert,
  type OnDecision,
  type Refused,
  type Remaining,
  type Reservation,
  type Standing
} from './limits.ts'
import { MemoryLimits } from './memory.ts'
import { BEAT, RESERVE, type Script, SETTLE } from './redis-script.ts'
import { type Answer, INSTANCES, type PurseKey, ROOT, readAnswer, type Shape, shapeOf } from './redis-shapes.ts'
import { refusal } from './refusal.ts'

/**
 * What is done while Redis does not answer. `share`: every gateway gives away its part of each limit, by how many there were
 * when Redis was last heard. `refuse`: callers with limits are refused.
 */
type Outage = 'share' | 'refuse'

export interface RedisOptions {
  readonly url: string
  readonly outage: Outage
  readonly onDecision?: OnDecision
  readonly onAlert?: OnAlert
  /** Told once when Redis stops answering, and once when it answers again. */
  readonly onOutage?: (down: boolean, error?: unknown) => void
  /** For tests; absent: Redis' own clock. */
  readonly clock?: () => number
  /** Milliseconds after which Redis counts as gone. */
  readonly timeout?: number
}

const COMMAND_TIMEOUT = 500
/** What is over waits this long for a request to travel with. */
const SETTLE_EVERY = 25
const MOST_AT_ONCE = 200
const BEAT_EVERY = 5000
/** After a failure only one question is asked at a time, this far apart; requests are not held up by it. */
const PROBE_EVERY = 500
/** While Redis is away, what is over has to be remembered, but not without end. */
const MOST_KEPT = 100_000

interface Settlement {
  readonly instance: string
  readonly at: number
  readonly shape: Shape
  readonly bounds: readonly Bound[]
  readonly ask: Amount
  readonly used: Amount
}

export class RedisLimits implements Limits {
  readonly #redis: Redis
  readonly #local: MemoryLimits
  readonly #options: RedisOptions
  readonly #settlements: Settlement[] = []
  /** A new one after each outage: what the old one may have set aside without our knowing is given back when it is not seen. */
  #instance = randomUUID()
  #instances = 1
  #down = false
  #timer: NodeJS.Timeout | undefined
  readonly #beat: NodeJS.Timeout
  #probe: NodeJS.Timeout | undefined

  constructor(options: RedisOptions) {
    this.#options = options
    this.#local = new MemoryLimits(options.clock, undefined, options.onAlert)
    this.#redis = new Redis(options.url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 2000,
      enableReadyCheck: true,
      retryStrategy: times => Math.min(50 * times, 1000)
    })
    this.#redis.on('error', error => this.#lost(error))
    this.#redis.on('ready', () => void this.#sendBeat())
    this.#beat = setInterval(() => {
      if (!this.#down) void this.#sendBeat()
    }, BEAT_EVERY).unref()
  }

  get redis(): 'healthy' | 'unreachable' {
    return !this.#down && this.#redis.status === 'ready' ? 'healthy' : 'unreachable'
  }

  /** Resolves when Redis answers, or when it has had so many milliseconds. */
  async ready(milliseconds: number): Promise<boolean> {
    const late = performance.now() + milliseconds
    while (this.#redis.status !== 'ready' && performance.now() < late)
      await new Promise(resolve => setTimeout(resolve, 10))
    return this.#redis.status === 'ready'
  }

  reserve(bounds: readonly Bound[], ask: Amount): Reservation | Refused | Promise<Reservation | Refused> {
    if (this.#down) return this.#withoutRedis(bounds, ask)
    return this.#ask(bounds, ask)
  }

  async #ask(bounds: readonly Bound[], ask: Amount): Promise<Reservation | Refused> {
    // On one connection, in order: what is over is given back before this asks.
    this.#flush()
    const time = this.#options.clock?.() ?? 0
    const shape = shapeOf(bounds, this.#options.clock?.() ?? Date.now())
    const instance = this.#instance
    const told = await this.#run(RESERVE, shape.keys, [instance, time, ask.tokens, String(ask.cost), shape.json])
    const answer = told instanceof Failure ? undefined : readAnswer(told, bounds)
    if (answer === undefined) return this.#withoutRedis(bounds, ask)
    this.#instances = Math.max(1, answer.instances)
    this.#learn(bounds, answer)
    if (!answer.admitted) return this.#refused(bounds, answer)
    this.#options.onDecision?.('all', 'all', 'admitted')
    const local = this.#local.take(bounds, ask)
    return new Held(answer.standing, used => {
      local.settle(used)
      this.#settleLater({ instance, at: answer.now, shape, bounds, ask, used })
    })
  }

  remaining(): readonly Remaining[] {
    return this.#local.remaining()
  }

  forget(scope: string, id: string): void {
    this.#local.forget(scope, id)
    void this.#forgetPurses(`${ROOT}:p:${scope}:${id}:*`)
  }

  async close(): Promise<void> {
    clearInterval(this.#beat)
    clearTimeout(this.#timer)
    clearTimeout(this.#probe)
    if (this.#redis.status === 'ready') {
      await this.#flush()
      await this.#redis.hdel(INSTANCES, this.#instance).catch(() => undefined)
    }
    this.#redis.disconnect()
  }

  #refused(bounds: readonly Bound[], answer: Answer): Refused {
    const bound = bounds[answer.bound - 1]
    const dimension = DIMENSIONS.find(name => name === answer.dimension)
    if (bound === undefined || dimension === undefined) return notKnown(answer.standing)
    const budget = bound.budgets[answer.budget - 1]
    const endless = budget !== undefined && !Number.isFinite(budget.until) && answer.wait > 1000
    const wait = endless ? Number.POSITIVE_INFINITY : answer.wait
    const hit: Hit = { bound, dimension, wait, ...(budget !== undefined && { budget }) }
    this.#options.onDecision?.(bound.scope, dimension, 'refused')
    return { failure: refusal(hit), standing: answer.standing }
  }

  /** For the time without Redis: how far each budget was used by all. */
  #learn(bounds: readonly Bound[], { spent }: Answer): void {
    for (const [index, bound] of bounds.entries())
      for (const [place, budget] of bound.budgets.entries())
        this.#local.learn(bound, budget, spent[index]?.[place] ?? 0n)
  }

  #withoutRedis(bounds: readonly Bound[], ask: Amount): Reservation | Refused {
    if (this.#options.outage === 'refuse') {
      this.#options.onDecision?.('all', 'redis', 'refused')
      return notKnown({ requests: undefined, tokens: undefined })
    }
    const result = this.#local.reserve(bounds, ask, 1 / this.#instances)
    if ('failure' in result) {
      this.#options.onDecision?.('all', 'redis', 'refused')
      return result
    }
    this.#options.onDecision?.('all', 'all', 'admitted')
    const shape = shapeOf(bounds, this.#options.clock?.() ?? Date.now())
    return new Held(result.standing, used => {
      result.settle(used)
      // Nothing was set aside in Redis; what it cost has to be known there all the same.
      const nothing = { tokens: used.tokens, cost: 0n }
      this.#settleLater({ instance: '', at: 0, shape, bounds, ask: nothing, used })
    })
  }

  #settleLater(settlement: Settlement): void {
    if (this.#settlements.length >= MOST_KEPT) this.#settlements.shift()
    this.#settlements.push(settlement)
    this.#timer ??= setTimeout(() => void this.#flush(), SETTLE_EVERY).unref()
  }

  #flush(): Promise<void> | undefined {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#settlements.length === 0 || this.#down) return undefined
    const batch = this.#settlements.splice(0, MOST_AT_ONCE)
    const { keys, json } = settling(batch, this.#options.clock?.() ?? Date.now())
    const sent = this.#run(SETTLE, keys, [this.#options.clock?.() ?? 0, json]).then(told => {
      // Whether it was carried out nobody knows; the store knows what was spent, and tells with the next look at a caller.
      if (told instanceof Failure) return
      if (this.#settlements.length > 0) void this.#flush()
    })
    return sent
  }

  async #run(script: Script, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    try {
      return await this.#inTime(
        this.#redis.evalsha(script.digest, keys.length, ...keys, ...values).catch(error => {
          if (!String(error).includes('NOSCRIPT')) throw error
          return this.#redis.eval(script.text, keys.length, ...keys, ...values)
        })
      )
    } catch (error) {
      this.#lost(error)
      return new Failure('unavailable', 'Redis does not answer.', { cause: error })
    }
  }

  /** Where this process itself is late, what has come meanwhile is read first: that is no fault of Redis'. */
  #inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error('it took too long'))
      const timer = setTimeout(() => setImmediate(() => setImmediate(late)), this.#options.timeout ?? COMMAND_TIMEOUT)
      answer.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  /** Shows that this one lives, and learns how many do: by that it knows its share, should Redis go away. */
  async #sendBeat(): Promise<void> {
    const count = await this.#run(BEAT, [INSTANCES], [this.#instance, this.#options.clock?.() ?? 0])
    if (typeof count === 'number') this.#instances = Math.max(1, count)
  }

  #lost(error: unknown): void {
    if (this.#down) return
    this.#down = true
    this.#options.onOutage?.(true, error)
    const probe = () => {
      this.#inTime(this.#redis.ping()).then(
        () => {
          this.#instance = randomUUID()
          this.#down = false
          this.#options.onOutage?.(false)
          void this.#flush()
        },
        () => {
          this.#probe = setTimeout(probe, PROBE_EVERY).unref()
        }
      )
    }
    this.#probe = setTimeout(probe, PROBE_EVERY).unref()
  }

  async #forgetPurses(pattern: string): Promise<void> {
    try {
      let cursor = '0'
      do {
        const [next, keys] = await this.#redis.scan(
          cursor,
          'MATCH',
          pattern.replace(/[?[\]\\]/g, '\\$&'),
          'COUNT',
          1000
        )
        await Promise.all(keys.map(key => this.#redis.hdel(key, 'spent')))
        cursor = next
      } while (cursor !== '0')
    } catch (error) {
      this.#lost(error)
    }
  }
}

class Held implements Reservation {
  readonly standing: Standing
  readonly #settle: (used: Amount) => void
  #settled = false

  constructor(standing: Standing, settle: (used: Amount) => void) {
    this.standing = standing
    this.#settle = settle
  }

  settle(used: Amount): void {
    if (this.#settled) return
    this.#settled = true
    this.#settle(used)
  }
}

function notKnown(standing: Standing): Refused {
  const failure = new Failure('unavailable', 'The limits of this key cannot be looked at now.', { retryAfter: 1 })
  return { failure, standing }
}

/** Keys are sent once, and named by their number. */
function settling(batch: readonly Settlement[], now: number): { keys: string[]; json: string } {
  const numbers = new Map<string, number>()
  const keys: string[] = []
  const number = (key: string) => {
    let known = numbers.get(key)
    if (known === undefined) {
      known = keys.push(key)
      numbers.set(key, known)
    }
    return known
  }
  const told = batch.map(({ instance, at, shape, bounds, ask, used }) => {
    const counters = (wanted: (bound: Bound) => boolean) =>
      shape.counters.filter((_, index) => bounds[index] !== undefined && wanted(bounds[index])).map(number)
    const held = instance === '' || ask.cost === 0n ? [] : unique(shape.purses.flat())
    return {
      instance,
      at,
      difference: used.tokens - ask.tokens,
      reserved: String(ask.cost),
      cost: String(used.cost),
      parallel: instance === '' ? [] : counters(bound => bound.parallel !== undefined),
      tokens: counters(bound => bound.tokensPerMinute !== undefined),
      held: held.map(({ key }) => number(key)),
      // Money counts in the window in which it was known.
      paid:
        used.cost === 0n
          ? []
          : unique(shapeOf(bounds, now).purses.flat()).map(({ key, keep }) => ({ key: number(key), keep }))
    }
  })
  return { keys, json: JSON.stringify(told) }
}

function unique(purses: readonly PurseKey[]): PurseKey[] {
  return [...new Map(purses.map(purse => [purse.key, purse])).values()]
}
