// Which target a request goes to, by simulation: seeds are fixed, the clock is a number.
import t from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { createDemo } from '../src/demo/demo.ts'
import { Ladder, type Step, waitedInVain } from '../src/exchange/ladder.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { type Ask, choose, obstacle, rateWait } from '../src/routing/choice.ts'
import { HealthBook } from '../src/routing/health.ts'
import { MinuteMeter } from '../src/routing/meter.ts'
import { hashText } from '../src/routing/rendezvous.ts'
import { type Route, type RouteLists, routeOf, type Strategy } from '../src/routing/route.ts'
import { Routes } from '../src/routing/routes.ts'
import { shuffled, type Target } from '../src/routing/target.ts'
import { TargetState } from '../src/routing/target-state.ts'
import { retryAfterOf } from '../src/upstream/retry-after.ts'

const RULE = { failures: 3, within: 30_000, for: 30_000 }
const LADDER = { retries: 0, retryTotal: 20_000, queueSize: 10 }
const metrics = new Metrics()
const wire = createDemo()

function target(name: string, more: Partial<Target> = {}): Target {
  return {
    name,
    provider: 'custom',
    model: undefined,
    place: name,
    origin: 'http://127.0.0.1:1',
    wire,
    surfaces: [],
    maxTokens: undefined,
    maxTokensField: 'max_tokens',
    flavour: 'compatible',
    timeouts: { connect: 1, firstToken: 1, idle: 1, total: 1 },
    weight: 1,
    order: 0,
    tags: [],
    maxParallel: undefined,
    rpm: undefined,
    tpm: undefined,
    cost: 0,
    check: undefined,
    keyed: true,
    state: new TargetState(name, name),
    series: metrics.target(name, 'm', 'custom'),
    ...more
  } as Target
}

/** Mulberry32: the same dice for everybody who runs this. */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 0x1_0000_0000
  }
}

const ASK: Ask = { tags: [], conversation: 0, tokens: 0, tried: [] }

function shares(route: Route, count: number, random: () => number, ask: (index: number) => Ask = () => ASK) {
  const chosen: Record<string, number> = {}
  for (let index = 0; index < count; index++) {
    const name = choose(route, ask(index), 0, random)?.name ?? 'nobody'
    chosen[name] = (chosen[name] ?? 0) + 1
  }
  return chosen
}

function near(
  t: Pick<typeof import('tap').default, 'ok'>,
  actual: number | undefined,
  expected: number,
  tolerance: number,
  what: string
): void {
  t.ok(Math.abs((actual ?? 0) - expected) <= tolerance, `${what}: ${actual} is near ${expected}`)
}

function fail(state: TargetState, now: number, retryAfter?: number): void {
  state.failed(retryAfter === undefined ? 'upstream-down' : 'upstream-rate-limited', 'no', 1, retryAfter, RULE, now)
}

t.test('weights are shares, of those that are there', async t => {
  const targets = [target('a', { weight: 5 }), target('b', { weight: 3 }), target('c', { weight: 2 })]
  const route = routeOf('m', [...targets, target('never', { weight: 0 })])
  const all = shares(route, 20_000, dice(1))
  near(t, all['a'], 10_000, 300, 'half')
  near(t, all['b'], 6000, 300, 'three tenths')
  near(t, all['c'], 4000, 300, 'two tenths')
  t.equal(all['never'], undefined)
  for (const at of [1, 2, 3]) fail(targets[0]?.state as TargetState, at)
  const rest = shares(route, 20_000, dice(2))
  t.equal(rest['a'], undefined, 'what is left out gets nothing')
  near(t, rest['b'], 12_000, 300, 'three fifths')
})

t.test('a heavy target that is out leaves the light ones their shares', async t => {
  const heavy = target('heavy', { weight: 1e9 })
  const route = routeOf('m', [heavy, target('b', { weight: 3 }), target('c', { weight: 1 })])
  for (const at of [1, 2, 3]) fail(heavy.state, at)
  const chosen = shares(route, 8000, dice(3))
  near(t, chosen['b'], 6000, 250, 'three of four')
  near(t, chosen['c'], 2000, 250, 'one of four')
})

t.test('a later tier is asked only when an earlier one cannot be', async t => {
  const first = target('first', { order: 1, maxParallel: 1 })
  const route = routeOf('m', [target('second', { order: 2 }), first])
  t.same(shares(route, 10, dice(1)), { first: 10 })
  first.state.take(0, 0)
  t.same(shares(route, 10, dice(1)), { second: 10 })
  first.state.release(false)
  t.same(shares(route, 10, dice(1)), { first: 10 })
})

t.test('where a body cannot be sent twice, whoever is left out is asked last', async t => {
  const out = target('out')
  const targets = [target('later', { order: 1 }), out, target('first'), target('never', { weight: 0 })]
  const random = dice(11)
  const names = (now: number) => shuffled(targets, random, now).map(({ name }) => name)
  const heads = new Set(Array.from({ length: 50 }, () => names(0)[0]))
  t.same([...heads].sort(), ['first', 'out'])
  for (const at of [1, 2, 3]) fail(out.state, at)
  t.same(names(10), ['first', 'later', 'out'])
})

t.test('tags filter: a request goes where all of its tags are', async t => {
  const route = routeOf('m', [target('a', { tags: ['eu', 'fast'] }), target('b', { tags: ['eu'] }), target('c')])
  const tagged = (...tags: string[]) => Object.keys(shares(route, 200, dice(4), () => ({ ...ASK, tags }))).sort()
  t.same(tagged(), ['a', 'b', 'c'])
  t.same(tagged('eu'), ['a', 'b'])
  t.same(tagged('eu', 'fast'), ['a'])
  t.same(tagged('us'), ['nobody'])
})

t.test('the least busy is the one with the fewest calls for its weight, and equals take turns', async t => {
  const targets = [target('a'), target('b', { weight: 3 }), target('c')]
  const route = routeOf('m', targets, 'least-busy')
  const random = dice(5)
  const taken: Record<string, number> = {}
  for (let call = 0; call < 50; call++) {
    const chosen = choose(route, ASK, 0, random)
    chosen?.state.take(0, 0)
    taken[chosen?.name ?? ''] = (taken[chosen?.name ?? ''] ?? 0) + 1
  }
  near(t, taken['b'], 30, 1, 'three fifths')
  near(t, taken['a'], 10, 1, 'a fifth')
})

t.test('the cheapest is asked while it can be; what has no price comes last', async t => {
  const cheap = target('cheap', { cost: 0.5 })
  const route = routeOf(
    'm',
    [target('dear', { cost: 9 }), cheap, target('unknown', { cost: Number.POSITIVE_INFINITY })],
    'cheapest'
  )
  t.same(shares(route, 20, dice(6)), { cheap: 20 })
  for (const at of [1, 2, 3]) fail(cheap.state, at)
  t.same(shares(route, 20, dice(6)), { dear: 20 })
})

t.test(
  'fastest: the better of two by time to first token, without a herd, and the slow one is looked at again',
  async t => {
    const times: Record<string, number> = { a: 100, b: 400, c: 1600 }
    const targets = Object.keys(times).map(name => target(name))
    const route = routeOf('m', targets, 'fastest')
    const random = dice(7)
    const served: Record<string, number> = { a: 0, b: 0, c: 0 }
    let now = 0
    const ends: { at: number; target: Target; took: number }[] = []
    const step = (until: number) => {
      for (const end of ends.filter(({ at }) => at <= until)) {
        end.target.state.measured(end.took, end.at)
        end.target.state.release(false)
        ends.splice(ends.indexOf(end), 1)
      }
    }
    const run = (milliseconds: number) => {
      for (const end = now + milliseconds; now < end; now += 50) {
        step(now)
        const chosen = choose(route, ASK, now, random)
        if (chosen === undefined) continue
        chosen.state.take(0, now)
        served[chosen.name] = (served[chosen.name] ?? 0) + 1
        // The more it has to do, the slower it is.
        const took = (times[chosen.name] ?? 0) * (1 + chosen.state.inflight / 10)
        ends.push({ at: now + took, target: chosen, took })
      }
    }
    run(60_000)
    const before = { ...served }
    t.ok((before['a'] ?? 0) > (before['b'] ?? 0) && (before['b'] ?? 0) > (before['c'] ?? 0), JSON.stringify(before))
    t.ok((before['c'] ?? 0) > 5, 'nobody is forgotten')
    // The slow one has become the fast one.
    times['c'] = 20
    run(60_000)
    const after = (served['c'] ?? 0) - (before['c'] ?? 0)
    t.ok(after > 2 * (before['c'] ?? 0), `noticed: ${before['c']} → ${after}`)
  }
)

t.test('a conversation stays; when its target goes, only its own conversations move, and they come back', async t => {
  const targets = ['a', 'b', 'c', 'd'].map((name, index) => target(name, { weight: index === 0 ? 3 : 1 }))
  const route = routeOf('m', targets)
  const homes = () =>
    Array.from({ length: 6000 }, (_, index) => {
      const ask = { ...ASK, conversation: hashText(`session-${index}`) }
      return choose(route, ask, 0, () => (t.fail('no dice for a conversation') ? 0 : 0))?.name
    })
  const before = homes()
  t.same(homes(), before, 'the same every time')
  const count = (name: string, list: readonly (string | undefined)[]) => list.filter(home => home === name).length
  near(t, count('a', before), 3000, 150, 'three of six')
  for (const name of ['b', 'c', 'd']) near(t, count(name, before), 1000, 120, name)
  const gone = targets[1]?.state as TargetState
  for (const at of [1, 2, 3]) fail(gone, at)
  const without = homes()
  t.equal(count('b', without), 0)
  t.ok(
    before.every((home, index) => home === 'b' || home === without[index]),
    'nobody else has moved'
  )
  near(t, count('a', without), 3600, 200, 'those of b are shared by weight')
  gone.succeeded(1, 60_000)
  t.same(homes(), before)
})

t.test('failures cool a target down, one probe finds out, and a success ends it', async t => {
  const one = target('a')
  const { state } = one
  const why = (now: number) => obstacle(one, ASK, now)
  fail(state, 1000)
  fail(state, 2000)
  t.equal(why(2000), undefined)
  fail(state, 40_000)
  t.equal(why(40_000), undefined, 'the window had passed')
  fail(state, 41_000)
  fail(state, 42_000)
  t.equal(why(42_001), 'cooling')
  t.equal(why(71_999), 'cooling')
  t.equal(why(72_001), undefined, 'half open')
  t.equal(state.take(0, 72_001), true, 'the probe')
  t.equal(why(72_002), 'probing')
  t.equal(state.take(0, 72_003), false, 'one only')
  fail(state, 73_000)
  state.release(true)
  t.equal(why(73_001), 'cooling', 'one failure of the probe is enough')
  t.equal(why(103_001), undefined)
  t.equal(state.take(0, 103_001), true)
  state.succeeded(1, 103_002)
  state.release(true)
  t.equal(why(103_002), undefined)
  fail(state, 103_003)
  t.equal(why(103_004), undefined, 'it begins anew')
  t.equal(state.take(0, 200_000), false)
})

t.test('a probe whose client leaves lets the next one probe', async t => {
  const one = target('a')
  for (const at of [1, 2, 3]) fail(one.state, at)
  t.equal(one.state.take(0, 40_000), true)
  one.state.release(true)
  t.equal(obstacle(one, ASK, 40_001), undefined)
  t.equal(one.state.take(0, 40_002), true)
})

t.test('retry-after leaves a target out at once and for that long; a client’s mistake never does', async t => {
  const one = target('a')
  fail(one.state, 0, 7)
  t.equal(obstacle(one, ASK, 6999), 'cooling')
  t.equal(obstacle(one, ASK, 7001), undefined)
  const other = target('b')
  for (const kind of ['upstream-rejected', 'context-exceeded', 'upstream-refused-key', 'invalid-request'] as const)
    for (let count = 0; count < 50; count++) other.state.failed(kind, 'no', 1, undefined, RULE, count)
  t.equal(obstacle(other, ASK, 60), undefined)
  const busy = target('c')
  for (let at = 0; at < 100; at++) {
    for (let count = 0; count < 9; count++) busy.state.succeeded(1, at * 100)
    fail(busy.state, at * 100)
    t.equal(obstacle(busy, ASK, at * 100), undefined)
  }
  const never = target('d')
  for (let at = 0; at < 9; at++) never.state.failed('upstream-rate-limited', 'no', 1, 60, { ...RULE, failures: 0 }, at)
  t.equal(obstacle(never, ASK, 10), undefined, 'failures: 0')
})

t.test('an answer to a call from before does not bring a target back', async t => {
  const one = target('a')
  one.state.take(0, 0)
  fail(one.state, 10, 60)
  one.state.succeeded(15, 20)
  t.equal(obstacle(one, ASK, 21), 'cooling')
  one.state.measured(29, 30)
  t.equal(obstacle(one, ASK, 31), 'cooling')
  one.state.succeeded(5, 40)
  t.equal(obstacle(one, ASK, 41), undefined, 'one that was tried anyway does')
})

t.test('a reload finds the same target as it was, and another one new', async t => {
  const book = new HealthBook()
  const state = book.state('a', 'a at x')
  fail(state, 0, 60)
  t.equal(book.state('a', 'a at x'), state)
  t.equal(book.state('a', 'a at y').coolingFor(1), 0)
  book.keepOnly(new Set())
  t.not(book.state('a', 'a at x'), state)
})

t.test('rpm and tpm hold over any minute', async t => {
  const meter = new MinuteMeter()
  const admitted: number[] = []
  const random = dice(8)
  let now = 0
  while (now < 600_000) {
    now += random() * 700
    if (!meter.fits(1, 30, now)) continue
    meter.add(1, now)
    admitted.push(now)
  }
  const most = Math.max(...admitted.map(at => admitted.filter(other => other >= at && other < at + 60_000).length))
  t.ok(most <= 45, `${most} in the busiest minute`)
  near(t, admitted.length, 300, 25, 'all in all')
  const limited = target('a', { rpm: 2 })
  const route = routeOf('m', [limited])
  limited.state.take(0, 1000)
  limited.state.take(0, 1000)
  t.equal(obstacle(limited, ASK, 1001), 'rate')
  const wait = rateWait(route, ASK, 1001) ?? 0
  t.equal(obstacle(limited, ASK, 1001 + wait - 50), 'rate')
  t.equal(obstacle(limited, ASK, 1001 + wait + 50), undefined, `after ${wait} ms`)
  const tokens = target('b', { tpm: 1000 })
  const large = { ...ASK, tokens: 5000 }
  t.equal(obstacle(tokens, large, 0), undefined, 'what is larger than the limit goes alone')
  tokens.state.take(5000, 0)
  t.equal(obstacle(tokens, { ...ASK, tokens: 1 }, 1), 'rate')
  tokens.state.tokens.add(-4900, 2)
  t.equal(obstacle(tokens, { ...ASK, tokens: 1 }, 3), undefined, 'corrected by what it used')
})

t.test('whoever waits is called in order, and nobody past the limit', async t => {
  const { state } = target('a')
  const called: string[] = []
  const waiter = (name: string, stays = true) => ({
    limit: 1,
    wake: () => {
      called.push(name)
      if (stays) state.take(0, 0)
    }
  })
  state.take(0, 0)
  const gone = waiter('gone')
  for (const each of [waiter('one'), gone, waiter('elsewhere', false), waiter('two')]) state.join(each)
  state.leave(gone)
  t.equal(state.waiting, 3)
  state.release(false)
  t.same(called, ['one'])
  state.release(false)
  t.same(called, ['one', 'elsewhere', 'two'])
  t.equal(state.waiting, 0)
})

t.test('six families of headers say when to come back', async t => {
  const now = Date.parse('2026-11-21T12:00:00Z')
  const cases: [Record<string, string>, number | undefined][] = [
    [{}, undefined],
    [{ 'retry-after': '7' }, 7],
    [{ 'retry-after': ' 1.5' }, 1.5],
    [{ 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' }, 30],
    [{ 'retry-after': 'Sat, 21 Nov 2026 11:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{ 'retry-after-ms': '1200', 'retry-after': '2' }, 1.2],
    [{ 'x-ms-retry-after-ms': '500' }, 0.5],
    [{ 'x-ratelimit-reset-requests': '1s', 'x-ratelimit-remaining-requests': '0' }, 1],
    [{ 'x-ratelimit-reset-tokens': '6m0s', 'x-ratelimit-remaining-tokens': '0' }, 360],
    [{ 'x-ratelimit-reset-tokens': '20ms', 'x-ratelimit-remaining-tokens': '0' }, 0.02],
    [
      {
        'x-ratelimit-reset-requests-day': '33011.382867',
        'x-ratelimit-remaining-requests-day': '14000',
        'x-ratelimit-reset-tokens-minute': '11.38',
        'x-ratelimit-remaining-tokens-minute': '0'
      },
      11.38
    ],
    [{ 'x-ratelimit-reset': String(now + 5000) }, 5],
    [{ 'x-ratelimit-reset': String(now / 1000 + 9) }, 9],
    [{ 'ratelimit-reset': '12' }, 12],
    [
      {
        'anthropic-ratelimit-requests-reset': '2026-11-21T12:00:10Z',
        'anthropic-ratelimit-requests-remaining': '3',
        'anthropic-ratelimit-tokens-reset': '2026-11-21T12:00:40Z',
        'anthropic-ratelimit-tokens-remaining': '0'
      },
      40
    ],
    [{ 'x-ratelimit-reset-tokens': '5s', 'x-ratelimit-remaining-tokens': '100' }, undefined]
  ]
  for (const [headers, seconds] of cases) t.equal(retryAfterOf(headers, now), seconds, JSON.stringify(headers))
})

const DOWN = new Failure('upstream-down', 'no connection')
const NONE: RouteLists = { fallbacks: [], contextFallbacks: [], policyFallbacks: [] }

function ladderOf(routes: Route[], rules = LADDER, random = dice(9)): Ladder {
  const table = new Routes({ routes, aliases: {}, backends: new Map() })
  const resolved = table.resolve('m')
  if (resolved instanceof Failure) throw new Error(resolved.message)
  return new Ladder(table, resolved, ASK, rules, random)
}

/** Fails every try with what is given, and says where each went. */
function climb(ladder: Ladder, failure: Failure, now = 0): string[] {
  const path: string[] = []
  let step: Step = ladder.next(now)
  for (let count = 0; count < 50; count++) {
    if (step.kind === 'fail') return [...path, step.failure.kind]
    if (step.kind === 'queue') return [...path, `queue at ${step.target.name}`]
    if (step.kind === 'pause') {
      path.push('pause')
      step = ladder.again(step.target, now)
    } else {
      path.push(step.target.name)
      step = ladder.failed(step.target, failure, now)
    }
  }
  return [...path, 'for ever']
}

t.test('the ladder: again, the next, the declared names, and no further', async t => {
  const a = target('a', { order: 0 })
  const b = target('b', { order: 1 })
  const lists = { ...NONE, fallbacks: ['nobody', 'm', 'n'] }
  const routes = [
    routeOf('m', [a, b], 'weighted', lists),
    routeOf('n', [target('c')], 'weighted', { ...NONE, fallbacks: ['m', 'o'] }),
    routeOf('o', [target('d')])
  ]
  t.same(climb(ladderOf(routes), DOWN), ['a', 'b', 'c', 'upstream-down'])
  t.same(climb(ladderOf(routes, { ...LADDER, retries: 1 }), DOWN), [
    'a',
    'pause',
    'a',
    'b',
    'pause',
    'b',
    'c',
    'pause',
    'c',
    'upstream-down'
  ])
  t.same(climb(ladderOf(routes), new Failure('upstream-rejected', 'bad request')), ['a', 'upstream-rejected'])
  t.same(climb(ladderOf(routes, { ...LADDER, retries: 3 }), new Failure('upstream-refused-key', 'no')), [
    'a',
    'b',
    'c',
    'upstream-refused-key'
  ])
  const silent = new Failure('upstream-timed-out', 'no', { code: 'timeout_first_token' })
  t.same(climb(ladderOf(routes, { ...LADDER, retries: 3 }), silent), ['a', 'b', 'c', 'upstream-timed-out'])
})

t.test('a kind of failure has its own names', async t => {
  const routes = [
    routeOf('m', [target('a'), target('b')], 'weighted', {
      fallbacks: ['n'],
      contextFallbacks: ['long'],
      policyFallbacks: ['free']
    }),
    routeOf('n', [target('c')]),
    routeOf('long', [target('d')]),
    routeOf('free', [target('e')])
  ]
  const first = (path: string[]) => path.slice(1)
  t.same(first(climb(ladderOf(routes), new Failure('context-exceeded', 'long'))), ['d', 'context-exceeded'])
  const filtered = new Failure('upstream-rejected', 'no', { code: 'content_filter' })
  t.same(first(climb(ladderOf(routes), filtered)), ['e', 'upstream-rejected'])
  const said = new Failure('upstream-rejected', 'x answered 400: Output blocked by content filtering policy')
  t.same(first(climb(ladderOf(routes), said)), ['e', 'upstream-rejected'])
  t.same(first(climb(ladderOf(routes), new Failure('upstream-rejected', 'bad'))), ['upstream-rejected'])
  const plain = [routeOf('m', [target('a')], 'weighted', { ...NONE, fallbacks: ['n'] }), routeOf('n', [target('c')])]
  t.same(climb(ladderOf(plain), new Failure('context-exceeded', 'long')), ['a', 'context-exceeded'])
})

t.test('pauses double, spread, obey retry-after, and end with the total', async t => {
  const pauses = (failure: Failure, rules: typeof LADDER, seed: number): number[] => {
    const one = target('a')
    const ladder = ladderOf([routeOf('m', [one])], rules, dice(seed))
    ladder.next(0)
    const found: number[] = []
    for (let count = 0; count < 20; count++) {
      const step = ladder.failed(one, failure, 0)
      if (step.kind !== 'pause') break
      found.push(step.milliseconds)
    }
    return found
  }
  const most = [0, 0, 0, 0]
  for (let seed = 0; seed < 500; seed++) {
    const found = pauses(DOWN, { ...LADDER, retries: 4 }, seed)
    t.equal(found.length, 4)
    for (const [index, pause] of found.entries()) most[index] = Math.max(most[index] ?? 0, pause)
  }
  for (const [index, bound] of [250, 500, 1000, 2000].entries()) {
    t.ok((most[index] ?? 0) <= bound && (most[index] ?? 0) > bound * 0.95, `${most[index]} of ${bound}`)
  }
  const later = new Failure('upstream-rate-limited', 'no', { retryAfter: 3 })
  const obeyed = pauses(later, { ...LADDER, retries: 10, retryTotal: 10_000 }, 1)
  t.equal(obeyed.length, 3)
  t.ok(obeyed.every(pause => pause >= 3000 && pause <= 3250))
  t.same(pauses(new Failure('upstream-rate-limited', 'no', { retryAfter: 60 }), { ...LADDER, retries: 3 }, 1), [])
})

t.test('who says «later» is not waited for while somebody else is free', async t => {
  const routes = [routeOf('m', [target('a', { order: 0 }), target('b', { order: 1 })])]
  const limited = new Failure('upstream-rate-limited', 'no', { retryAfter: 1 })
  t.same(climb(ladderOf(routes, { ...LADDER, retries: 1 }), limited), ['a', 'b', 'pause', 'b', 'upstream-rate-limited'])
})

t.test('what is left out is passed over for a fallback, and tried when nothing else is left', async t => {
  const out = target('out')
  for (const at of [1, 2, 3]) fail(out.state, at)
  const lists = { ...NONE, fallbacks: ['n'] }
  const routes = [routeOf('m', [out], 'weighted', lists), routeOf('n', [target('c')])]
  t.same(climb(ladderOf(routes), DOWN, 10), ['c', 'out', 'upstream-down'])
  t.same(climb(ladderOf([routeOf('m', [out])]), DOWN, 10), ['out', 'upstream-down'], 'the only one is tried anyway')
  const soon = target('soon')
  fail(soon.state, 0, 2)
  t.same(climb(ladderOf([routeOf('m', [out, soon])]), DOWN, 10), ['soon', 'upstream-down'], 'the best of them')
})

t.test('a full target is waited for, until its line is full; a limit is told', async t => {
  const full = target('full', { maxParallel: 1 })
  full.state.take(0, 0)
  t.same(climb(ladderOf([routeOf('m', [full])]), DOWN), ['queue at full'])
  t.same(climb(ladderOf([routeOf('m', [full, target('free')])]), DOWN), ['free', 'queue at full'])
  const noLine = ladderOf([routeOf('m', [full])], { ...LADDER, queueSize: 0 }).next(0)
  t.match(noLine, { kind: 'fail', failure: { kind: 'overloaded', details: { retryAfter: 5 } } })
  const other = target('other', { maxParallel: 1 })
  other.state.take(0, 0)
  const patient = ladderOf([routeOf('m', [full, other])])
  const line = patient.next(0)
  t.equal(line.kind, 'queue')
  const refused = line.kind === 'queue' ? patient.failed(line.target, waitedInVain(line.target, 100), 1) : line
  t.match(refused, { kind: 'fail', failure: { kind: 'overloaded', message: /within 0.1 s/ } }, 'one line is enough')
  for (const at of [1, 2, 3]) fail(full.state, at)
  t.same(climb(ladderOf([routeOf('m', [full])]), DOWN, 10), ['queue at full'], 'also when it is left out')
  const limited = target('limited', { rpm: 1 })
  limited.state.take(0, 0)
  const told = ladderOf([routeOf('m', [limited])]).next(1000)
  t.match(told, { kind: 'fail', failure: { kind: 'overloaded', message: /at its rpm/ } })
  t.ok(told.kind === 'fail' && (told.failure.details.retryAfter ?? 0) > 30)
})

t.test('a name is found in microseconds among 1,000, and strangers’ names are not kept for ever', async t => {
  const routes = Array.from({ length: 1000 }, (_, index) =>
    routeOf(index % 2 === 0 ? `model-${index}` : `family-${index}-*`, [target(`t${index}`)])
  )
  const table = new Routes({ routes, aliases: { nick: 'model-8' }, backends: new Map() })
  const names = Array.from({ length: 500 }, (_, index) =>
    index % 2 === 0 ? `model-${2 * index}` : `family-${2 * index + 1}-x`
  )
  for (let index = 0; index < 5000; index++) table.resolve(names[index % 500] ?? '')
  const start = performance.now()
  for (let index = 0; index < 50_000; index++) {
    const resolved = table.resolve(names[index % 500] ?? '')
    if (!(resolved instanceof Failure)) choose(resolved.route, ASK, 0, Math.random)
  }
  t.comment(`name and target: ${((performance.now() - start) / 50).toFixed(2)} µs`)
  for (const name of names) {
    const found = table.resolve(name)
    t.ok(!(found instanceof Failure) && found.asked === name)
  }
  t.match(table.resolve('nick'), { asked: 'model-8', route: { name: 'model-8' } })
  for (let index = 0; index < 5000; index++) {
    const found = table.resolve(`family-1-${index}`)
    if (found instanceof Failure || found.captured[0] !== String(index)) t.fail(`family-1-${index}`)
  }
  t.ok(table.resolve('family-none') instanceof Failure)
})

t.test('a route is chosen in microseconds, with 1,000 entries of one name', async t => {
  const strategies: Strategy[] = ['weighted', 'least-busy', 'fastest', 'cheapest']
  const random = dice(10)
  const targets = Array.from({ length: 1000 }, (_, index) =>
    target(`t${index}`, { weight: 1 + (index % 7), cost: index, tags: index % 2 === 0 ? ['even'] : [] })
  )
  for (const one of targets.slice(0, 300)) fail(one.state, 0, 60)
  const measure = (route: Route, ask: (index: number) => Ask): number => {
    for (let index = 0; index < 3000; index++) choose(route, ask(index), 1, random)
    const start = performance.now()
    for (let index = 0; index < 10_000; index++) choose(route, ask(index), 1, random)
    return (performance.now() - start) / 10
  }
  for (const strategy of strategies) {
    const route = routeOf('m', targets, strategy)
    t.comment(`${strategy}: ${measure(route, () => ASK).toFixed(2)} µs`)
    t.ok(choose(route, ASK, 1, random))
  }
  const route = routeOf('m', targets)
  const asks = Array.from({ length: 512 }, (_, index) => ({ ...ASK, conversation: hashText(`c${index}`) }))
  t.comment(`by conversation: ${measure(route, index => asks[index & 511] ?? ASK).toFixed(2)} µs`)
})
