import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Amount, Refused, Reservation } from '../src/limits/limits.ts'
import { RedisLimits, type RedisOptions } from '../src/limits/redis.ts'
import type { Bound } from '../src/store/bound.ts'
import { redisService } from './support/services.ts'
import { until } from './support/store.ts'

const DAY = 86_400_000
const START = 20_000 * DAY
const NOTHING: Amount = { tokens: 0, cost: 0n }

function bound(more: Partial<Bound> = {}): Bound {
  return { scope: 'key', id: 'k1', budgets: [], ...more }
}

function budget(limit: bigint, spent = 0n, from = START, until = START + DAY) {
  return { limit, spent, from, until }
}

function taken(result: Reservation | Refused): Reservation {
  if ('failure' in result) throw new Error(result.failure.message)
  return result
}

const service = await redisService()
const skip = service === undefined ? 'redis-server is not installed' : false

interface Setting {
  readonly clock: { now: number }
  open(more?: Partial<RedisOptions>): Promise<RedisLimits>
}

async function setting(t: Pick<Test, 'teardown' | 'ok'>): Promise<Setting> {
  if (service === undefined) throw new Error('no Redis')
  const admin = new Redis(service.url)
  await admin.flushall()
  admin.disconnect()
  const clock = { now: START }
  return {
    clock,
    open: async more => {
      const limits = new RedisLimits({
        url: service.url,
        outage: 'share',
        timeout: 5000,
        clock: () => clock.now,
        ...more
      })
      t.teardown(() => limits.close())
      t.ok(await limits.ready(5000))
      return limits
    }
  }
}

t.test('three gateways on one Redis, 500 parallel calls, a budget for 100', { skip }, async t => {
  const { open } = await setting(t)
  const gateways = [await open(), await open(), await open()]
  const bounds = [bound({ budgets: [budget(1000n)] }), bound({ scope: 'team', id: 't', budgets: [budget(100n)] })]
  const calls = Array.from({ length: 500 }, async (_, index) => {
    const result = await gateways[index % 3]?.reserve(bounds, { tokens: 3, cost: 1n })
    if (result === undefined || 'failure' in result) return 0
    await wait(Math.random() * 20)
    result.settle({ tokens: 3, cost: 1n })
    return 1
  })
  const paid = (await Promise.all(calls)).reduce((sum: number, one) => sum + one, 0)
  t.equal(paid, 100)
  await wait(60)
  const after = await gateways[0]?.reserve(bounds, { tokens: 1, cost: 1n })
  t.match(
    after,
    { failure: { kind: 'over-budget', details: { retryAfter: DAY / 1000 } } },
    'settled, not only set aside'
  )
})

t.test('requests, tokens and parallel calls are counted over all gateways', { skip }, async t => {
  const { clock, open } = await setting(t)
  const [one, two] = [await open(), await open()]
  const bounds = [bound({ requestsPerMinute: 4, requestsPerDay: 6, tokensPerMinute: 100, parallel: 2 })]
  const ask = { tokens: 10, cost: 0n }
  const first = taken(await one.reserve(bounds, ask))
  t.same(first.standing.requests, { limit: 4, remaining: 3, reset: 120_000 })
  t.same(first.standing.tokens, { limit: 100, remaining: 90, reset: 120_000 })
  const second = taken(await two.reserve(bounds, ask))
  t.match(await one.reserve(bounds, ask), { failure: { kind: 'rate-limited', message: /2 requests under way/ } })
  first.settle({ tokens: 60, cost: 0n })
  second.settle({ tokens: 5, cost: 0n })
  const third = taken(await one.reserve(bounds, ask))
  await wait(60)
  t.match(await two.reserve(bounds, { tokens: 30, cost: 0n }), { failure: { message: /100 tokens a minute/ } })
  third.settle(NOTHING)
  await wait(60)
  taken(await two.reserve(bounds, { tokens: 30, cost: 0n })).settle({ tokens: 30, cost: 0n })
  t.match(await two.reserve(bounds, { tokens: 1, cost: 0n }), {
    failure: { message: /4 requests a minute/, details: { retryAfter: 75 } }
  })
  clock.now += 75_000
  taken(await one.reserve(bounds, { tokens: 1, cost: 0n })).settle(NOTHING)
  clock.now += 5 * 60_000
  taken(await one.reserve(bounds, ask)).settle(NOTHING)
  t.match(await two.reserve(bounds, ask), { failure: { message: /6 requests a day/ } })
})

t.test('a request is one round trip', { skip }, async t => {
  if (service === undefined) return
  const { open } = await setting(t)
  const limits = await open()
  const admin = new Redis(service.url)
  t.teardown(() => admin.disconnect())
  const bounds = [bound({ requestsPerMinute: 100_000, parallel: 5, budgets: [budget(1_000_000n)] })]
  taken(await limits.reserve(bounds, NOTHING)).settle(NOTHING)
  await wait(60)
  await admin.config('RESETSTAT')
  for (let count = 0; count < 50; count++)
    taken(await limits.reserve(bounds, { tokens: 1, cost: 2n })).settle({ tokens: 1, cost: 1n })
  const stats = String(await admin.info('commandstats'))
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1])
  t.ok(
    calls >= 50 && calls <= 101,
    `${calls} scripts for 50 requests: each asks once, and gives back the last one in the same write`
  )
  t.notMatch(stats, /cmdstat_eval:/)
})

t.test('what a gateway that died had set aside is given back after its time', { skip }, async t => {
  const { clock, open } = await setting(t)
  const [lost, other] = [await open(), await open()]
  const bounds = [bound({ parallel: 1, budgets: [budget(10n)] })]
  taken(await lost.reserve(bounds, { tokens: 0, cost: 10n }))
  t.match(await other.reserve(bounds, { tokens: 0, cost: 1n }), { failure: { details: { retryAfter: 1 } } })
  clock.now += 31_000
  taken(await other.reserve(bounds, { tokens: 0, cost: 10n }))
})

t.test(
  'another gateway’s spending that only the store knows counts, and setting it back counts everywhere',
  { skip },
  async t => {
    const { open } = await setting(t)
    const [one, two] = [await open(), await open()]
    const of = (spent: bigint) => [bound({ budgets: [budget(100n, spent)] })]
    taken(await one.reserve(of(0n), { tokens: 0, cost: 30n })).settle({ tokens: 0, cost: 30n })
    taken(await one.reserve(of(0n), NOTHING)).settle(NOTHING)
    t.match(await two.reserve(of(80n), { tokens: 0, cost: 30n }), { failure: { kind: 'over-budget' } })
    t.match(await one.reserve(of(0n), { tokens: 0, cost: 30n }), { failure: { kind: 'over-budget' } })
    one.forget('key', 'k1')
    await wait(100)
    taken(await two.reserve(of(0n), { tokens: 0, cost: 100n }))
  }
)

t.test('amounts beyond 2^31 keep every nano-dollar', { skip }, async t => {
  const { open } = await setting(t)
  const limits = await open()
  const bounds = [bound({ budgets: [budget(5_000_000_000_001n)] })]
  taken(await limits.reserve(bounds, { tokens: 0, cost: 4_999_999_999_999n })).settle({
    tokens: 0,
    cost: 4_999_999_999_999n
  })
  taken(await limits.reserve(bounds, { tokens: 0, cost: 2n })).settle({ tokens: 0, cost: 1n })
  taken(await limits.reserve(bounds, { tokens: 0, cost: 1n })).settle({ tokens: 0, cost: 1n })
  t.match(await limits.reserve(bounds, NOTHING), { failure: { kind: 'over-budget' } })
})

t.test('Redis goes away: each of two gateways gives away half of what is left', { skip }, async t => {
  const own = await redisService()
  if (own === undefined) return
  const events: boolean[] = []
  const clock = { now: START }
  const open = () =>
    new RedisLimits({
      url: own.url,
      outage: 'share',
      timeout: 5000,
      clock: () => clock.now,
      onOutage: down => events.push(down)
    })
  const [one, two] = [open(), open()]
  t.teardown(() => Promise.all([one.close(), two.close()]))
  t.ok((await one.ready(5000)) && (await two.ready(5000)))
  const bounds = [bound({ requestsPerMinute: 1000, budgets: [budget(100n)] })]
  const ask = { tokens: 0, cost: 1n }
  for (const gateway of [one, two, one, two])
    for (let count = 0; count < 10; count++) taken(await gateway.reserve(bounds, ask)).settle(ask)
  await wait(60)
  for (const gateway of [one, two]) taken(await gateway.reserve(bounds, ask)).settle(ask)
  await own.stop()
  let paid = 42
  for (let count = 0; count < 200; count++)
    for (const gateway of [one, two]) {
      const result = await gateway.reserve(bounds, ask)
      if ('failure' in result) continue
      result.settle(ask)
      paid++
    }
  t.ok(paid > 60 && paid <= 102, `${paid} of 100 were paid, one call more a gateway at most`)
  t.same(events, [true, true])
})

t.test(
  'Redis goes away: callers with limits are refused where the operator wants that, and it comes back',
  { skip },
  async t => {
    const own = await redisService()
    if (own === undefined) return
    const events: boolean[] = []
    const limits = new RedisLimits({ url: own.url, outage: 'refuse', onOutage: down => events.push(down) })
    t.teardown(() => limits.close())
    t.ok(await limits.ready(5000))
    const bounds = [bound({ requestsPerMinute: 10 })]
    taken(await limits.reserve(bounds, NOTHING)).settle(NOTHING)
    const admin = new Redis(own.url)
    await admin.call('CLIENT', 'PAUSE', '1500', 'ALL')
    admin.disconnect()
    const before = performance.now()
    t.match(await limits.reserve(bounds, NOTHING), { failure: { kind: 'unavailable', status: 503 } })
    const took = performance.now() - before
    t.ok(took < 1000, `it was not waited for longer than ${Math.round(took)} ms`)
    const again = performance.now()
    t.match(await limits.reserve(bounds, NOTHING), { failure: { kind: 'unavailable' } })
    t.ok(performance.now() - again < 50, 'the next one does not wait at all')
    await until(() => events.length === 2, 8000)
    t.same(events, [true, false])
    taken(await limits.reserve(bounds, NOTHING)).settle(NOTHING)
    await own.stop()
  }
)

t.teardown(() => service?.stop())
