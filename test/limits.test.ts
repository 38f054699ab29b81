import fc from 'fast-check'
import t from 'tap'
import type { Failure } from '../src/chat/failure.ts'
import { limitHeaders } from '../src/limits/headers.ts'
import type { Amount, Refused, Reservation } from '../src/limits/limits.ts'
import { MemoryLimits } from '../src/limits/memory.ts'
import { Window } from '../src/limits/window.ts'
import type { Bound } from '../src/store/bound.ts'

const MINUTE = 60_000
const DAY = 86_400_000
/** The start of a minute and of a day. */
const START = 20_000 * DAY
const NOTHING: Amount = { tokens: 0, cost: 0n }

function bound(more: Partial<Bound> = {}): Bound {
  return { scope: 'key', id: 'k1', budgets: [], ...more }
}

function budget(limit: bigint, spent = 0n, from = START, until = START + DAY) {
  return { limit, spent, from, until }
}

function clocked(now = START) {
  const clock = { now }
  const decisions: string[] = []
  const limits = new MemoryLimits(
    () => clock.now,
    (scope, dimension, decision) => decisions.push(`${scope} ${dimension} ${decision}`)
  )
  return { clock, limits, decisions }
}

function taken(result: Reservation | Refused): Reservation {
  if ('failure' in result) throw new Error(result.failure.message)
  return result
}

function refused(result: Reservation | Refused): Failure {
  if ('failure' in result) return result.failure
  throw new Error('it was admitted')
}

t.test('requests a minute: so many are let in, and retry-after is when the next one is', async t => {
  const { clock, limits, decisions } = clocked()
  const bounds = [bound({ requestsPerMinute: 10 })]
  for (let count = 0; count < 10; count++) taken(limits.reserve(bounds, NOTHING))
  const failure = refused(limits.reserve(bounds, NOTHING))
  t.equal(failure.kind, 'rate-limited')
  t.equal(failure.status, 429)
  t.match(failure.message, 'This key may send 10 requests a minute.')
  // All ten lie in this minute: nine of them have to be out of sight, a tenth of the next minute.
  t.equal(failure.details.retryAfter, 66)
  clock.now += 65_900
  t.equal(refused(limits.reserve(bounds, NOTHING)).details.retryAfter, 1)
  clock.now += 100
  taken(limits.reserve(bounds, NOTHING))
  t.same(new Set(decisions), new Set(['all all admitted', 'key requests_per_minute refused']))
})

t.test('whoever comes back at the time that was said is let in, and not a millisecond before', async t => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 90_000 }), fc.integer({ min: 1, max: 40 })), { maxLength: 20 }),
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 60 }),
      (steps, limit, amount) => {
        const window = new Window(MINUTE)
        let now = START
        for (const [pause, used] of steps) {
          now += pause
          if (window.wait(used, limit, now) === 0) window.add(used, now)
        }
        const wait = window.wait(amount, limit, now)
        if (wait === 0) return true
        const early = window.wait(amount, limit, now + wait - 1)
        return early === 1 && window.wait(amount, limit, now + wait) === 0
      }
    ),
    { numRuns: 2000 }
  )
  t.pass('2000 histories')
})

t.test('no minute, wherever it begins, holds twice a limit, and steady use gets all of it', async t => {
  const { clock, limits } = clocked()
  const bounds = [bound({ requestsPerMinute: 60 })]
  const times: number[] = []
  for (let step = 0; step < 6000; step++) {
    clock.now += 100
    if (!('failure' in limits.reserve(bounds, NOTHING))) times.push(clock.now)
  }
  const most = Math.max(...times.map(time => times.filter(other => other >= time && other < time + MINUTE).length))
  t.ok(most <= 120, `${most} in the worst minute`)
  t.ok(times.length >= 590 && times.length <= 660, `${times.length} in ten minutes`)
})

t.test('requests a day, tokens a minute and parallel calls', async t => {
  const { clock, limits } = clocked()
  const daily = [bound({ id: 'd', requestsPerDay: 2 })]
  taken(limits.reserve(daily, NOTHING))
  taken(limits.reserve(daily, NOTHING))
  t.equal(refused(limits.reserve(daily, NOTHING)).details.retryAfter, (1.5 * DAY) / 1000)

  const tokens = [bound({ id: 't', tokensPerMinute: 1000 })]
  const first = taken(limits.reserve(tokens, { tokens: 900, cost: 0n }))
  t.same(first.standing.tokens, { limit: 1000, remaining: 100, reset: 2 * MINUTE })
  t.match(refused(limits.reserve(tokens, { tokens: 101, cost: 0n })).message, 'use 1000 tokens a minute')
  first.settle({ tokens: 200, cost: 0n })
  taken(limits.reserve(tokens, { tokens: 800, cost: 0n }))
  t.ok('failure' in limits.reserve(tokens, { tokens: 1, cost: 0n }))
  clock.now += 3 * MINUTE
  taken(limits.reserve(tokens, { tokens: 5000, cost: 0n }))
  t.pass('what is larger than the limit goes through where nothing else was used')

  const parallel = [bound({ id: 'p', parallel: 2 })]
  const one = taken(limits.reserve(parallel, NOTHING))
  taken(limits.reserve(parallel, NOTHING))
  t.match(refused(limits.reserve(parallel, NOTHING)), { kind: 'rate-limited', details: { retryAfter: 1 } })
  one.settle(NOTHING)
  one.settle(NOTHING)
  taken(limits.reserve(parallel, NOTHING))
  t.ok('failure' in limits.reserve(parallel, NOTHING), 'settled twice, given back once')
})

t.test('a limit of nothing lets nothing in', async t => {
  const { limits } = clocked()
  for (const more of [{ requestsPerMinute: 0 }, { requestsPerDay: 0 }, { tokensPerMinute: 0 }, { parallel: 0 }])
    t.equal(refused(limits.reserve([bound({ id: JSON.stringify(more), ...more })], NOTHING)).kind, 'rate-limited')
  t.equal(refused(limits.reserve([bound({ budgets: [budget(0n)] })], NOTHING)).kind, 'over-budget')
})

t.test('500 parallel calls on a budget for 100: 100 are paid', async t => {
  const { limits } = clocked()
  const team = bound({ scope: 'team', id: 'all', budgets: [budget(100n)] })
  const calls = Array.from({ length: 500 }, async (_, index) => {
    const result = limits.reserve([bound({ id: `key${index % 7}`, budgets: [budget(1000n)] }), team], {
      tokens: 1,
      cost: 1n
    })
    await new Promise(resolve => setImmediate(resolve))
    if ('failure' in result) return 0
    result.settle({ tokens: 1, cost: 1n })
    return 1
  })
  const paid = (await Promise.all(calls)).reduce((sum: number, one) => sum + one, 0)
  t.equal(paid, 100)
  const failure = refused(limits.reserve([team], { tokens: 1, cost: 1n }))
  t.equal(failure.kind, 'over-budget')
  t.match(failure.message, 'The team `all` may spend')
})

t.test('what was set aside is given back by a failure, and a dearer truth counts whole', async t => {
  const { limits } = clocked()
  const bounds = [bound({ budgets: [budget(10n)] })]
  const first = taken(limits.reserve(bounds, { tokens: 0, cost: 10n }))
  t.equal(refused(limits.reserve(bounds, { tokens: 0, cost: 1n })).details.retryAfter, 1, 'soon: it is only set aside')
  first.settle(NOTHING)
  const second = taken(limits.reserve(bounds, { tokens: 0, cost: 5n }))
  second.settle({ tokens: 0, cost: 12n })
  t.equal(refused(limits.reserve(bounds, NOTHING)).details.retryAfter, DAY / 1000, 'when the day ends')
})

t.test('several windows at once, the store’s figures, and a day that ends', async t => {
  const { clock, limits } = clocked()
  const month = { from: START - 10 * DAY, until: START + 20 * DAY }
  const bounds = (spent: bigint) => [
    bound({ budgets: [budget(10n), { limit: 15n, spent, from: month.from, until: month.until }] })
  ]
  taken(limits.reserve(bounds(5n), { tokens: 0, cost: 8n })).settle({ tokens: 0, cost: 8n })
  t.equal(
    refused(limits.reserve(bounds(5n), { tokens: 0, cost: 3n })).details.retryAfter,
    (20 * DAY) / 1000,
    'the month'
  )
  clock.now += DAY
  taken(limits.reserve(bounds(5n), { tokens: 0, cost: 2n })).settle(NOTHING)
  t.ok('failure' in limits.reserve(bounds(14n), { tokens: 0, cost: 2n }), 'another gateway has spent')
  clock.now += 19 * DAY
  taken(limits.reserve(bounds(14n), { tokens: 0, cost: 10n }))
  t.pass('both windows ended since the caller was looked up')
})

t.test('money of a call that outlasts a window counts where it was known', async t => {
  const { clock, limits } = clocked()
  const bounds = [bound({ budgets: [budget(10n)] })]
  const call = taken(limits.reserve(bounds, { tokens: 0, cost: 4n }))
  clock.now += DAY
  call.settle({ tokens: 0, cost: 7n })
  t.ok('failure' in limits.reserve(bounds, { tokens: 0, cost: 4n }))
  taken(limits.reserve(bounds, { tokens: 0, cost: 3n }))
})

t.test('all bounds or none: a refused request takes nothing anywhere', async t => {
  const { limits } = clocked()
  const wide = bound({ scope: 'team', id: 'wide', requestsPerMinute: 3, parallel: 3, budgets: [budget(3n)] })
  const narrow = bound({ requestsPerMinute: 1 })
  taken(limits.reserve([wide, narrow], { tokens: 0, cost: 1n }))
  for (let count = 0; count < 5; count++) t.ok('failure' in limits.reserve([wide, narrow], { tokens: 0, cost: 1n }))
  taken(limits.reserve([wide], { tokens: 0, cost: 1n }))
  taken(limits.reserve([wide], { tokens: 0, cost: 1n }))
  t.ok('failure' in limits.reserve([wide], NOTHING))
})

t.test('the most patient of several refusals is told', async t => {
  const { limits } = clocked()
  const bounds = [bound({ requestsPerMinute: 1, budgets: [budget(1n)] })]
  taken(limits.reserve(bounds, { tokens: 0, cost: 1n }))
  const failure = refused(limits.reserve(bounds, { tokens: 0, cost: 1n }))
  t.equal(failure.kind, 'rate-limited', 'the budget is only set aside')
  t.equal(failure.details.retryAfter, 120)
})

t.test('what is spent is forgotten when somebody sets it back', async t => {
  const { limits } = clocked()
  const bounds = [bound({ budgets: [budget(10n)] })]
  taken(limits.reserve(bounds, { tokens: 0, cost: 10n })).settle({ tokens: 0, cost: 10n })
  t.ok('failure' in limits.reserve(bounds, NOTHING))
  limits.forget('key', 'k')
  t.ok('failure' in limits.reserve(bounds, NOTHING), 'a key whose name begins alike')
  limits.forget('key', 'k1')
  taken(limits.reserve(bounds, { tokens: 0, cost: 10n }))
})

t.test('counters of callers that come no more are let go', async t => {
  const { clock, limits } = clocked()
  const before = process.memoryUsage().heapUsed
  for (let round = 0; round < 60; round++) {
    clock.now += 3 * DAY
    for (let key = 0; key < 2000; key++)
      taken(limits.reserve([bound({ id: `${round}-${key}`, requestsPerMinute: 5 })], NOTHING)).settle(NOTHING)
  }
  const grown = (process.memoryUsage().heapUsed - before) / 1024 / 1024
  t.ok(grown < 60, `${grown.toFixed(1)} MB after 120 000 keys`)
})

t.test('standing in the names of each API', async t => {
  const gauge = { limit: 60, remaining: 59, reset: 61_200 }
  const tokens = { limit: 1000, remaining: 0, reset: 250 }
  t.same(limitHeaders({ requests: gauge, tokens }, 'openai-chat', START), [
    'x-ratelimit-limit-requests',
    '60',
    'x-ratelimit-remaining-requests',
    '59',
    'x-ratelimit-reset-requests',
    '1m1.2s',
    'x-ratelimit-limit-tokens',
    '1000',
    'x-ratelimit-remaining-tokens',
    '0',
    'x-ratelimit-reset-tokens',
    '250ms'
  ])
  t.same(limitHeaders({ requests: gauge, tokens: undefined }, 'anthropic', START), [
    'anthropic-ratelimit-requests-limit',
    '60',
    'anthropic-ratelimit-requests-remaining',
    '59',
    'anthropic-ratelimit-requests-reset',
    `${new Date(START + 61_000).toISOString().slice(0, 19)}Z`
  ])
})

t.test(
  'any history of calls: never more set aside and spent than the budget, when no call costs more than it asked',
  async t => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.bigInt({ min: 0n, max: 20n }), fc.bigInt({ min: 0n, max: 20n }), fc.boolean()), {
          maxLength: 80
        }),
        fc.bigInt({ min: 1n, max: 100n }),
        (calls, limit) => {
          const { limits } = clocked()
          const bounds = [bound({ budgets: [budget(limit)] })]
          let spent = 0n
          let aside = 0n
          const open: { readonly call: Reservation; readonly ask: bigint; readonly used: bigint }[] = []
          for (const [ask, part, end] of calls) {
            const result = limits.reserve(bounds, { tokens: 0, cost: ask })
            if (!('failure' in result)) {
              aside += ask
              open.push({ call: result, ask, used: part < ask ? part : ask })
            } else if (spent < limit && spent + aside + ask <= limit) return false
            if (spent + aside > limit) return false
            const done = end ? open.shift() : undefined
            if (done === undefined) continue
            done.call.settle({ tokens: 0, cost: done.used })
            aside -= done.ask
            spent += done.used
          }
          return true
        }
      ),
      { numRuns: 500 }
    )
    t.pass('500 histories')
  }
)
