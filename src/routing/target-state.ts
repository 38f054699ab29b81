import type { FailureKind } from '../chat/failure.ts'
import { MinuteMeter } from './meter.ts'
import { hashText } from './rendezvous.ts'

/** When a target is left out. Milliseconds; no failures means never. */
export interface CooldownRule {
  readonly failures: number
  readonly within: number
  readonly for: number
}

/** Somebody who waits until fewer than `limit` calls run. */
export interface Waiting {
  readonly limit: number
  wake(): void
}

/** What went wrong at the upstream, whoever asked. A refused key or request may be the next one's luck. */
const COOLS: ReadonlySet<FailureKind> = new Set([
  'upstream-down',
  'upstream-timed-out',
  'upstream-failed',
  'upstream-overloaded',
  'upstream-rate-limited'
])

/** A daily quota may say «tomorrow»; looking again once an hour costs nothing. */
const LONGEST_COOLING = 3_600_000
/** Weight of the newest time to first token. */
const NEWEST = 0.2
/** After this time without a call, what a target was measured at counts half: else a slow one would never be tried again. */
const HALF_LIFE = 30_000
/** What is assumed of a target that nobody has measured, once somebody asks it. */
const UNMEASURED = 1000

/** How one target does: health, load and what it has used up. Kept over reloads; times are on the clock of `performance.now()`. */
export class TargetState {
  readonly name: string
  /** For choosing by conversation. */
  readonly seed: number
  inflight = 0
  /** From real calls; undefined until there was one. */
  ok: boolean | undefined
  /** Milliseconds since 1970 of the last call that says so. */
  at = 0
  lastError: string | undefined
  /** What kind of failure that was, where that is known. */
  lastKind: FailureKind | undefined
  /** How long the last call took. */
  milliseconds: number | undefined
  readonly requests = new MinuteMeter()
  readonly tokens = new MinuteMeter()
  #coolingUntil = 0
  #cooledAt = Number.NEGATIVE_INFINITY
  #probing = false
  /** A check found nobody. */
  #missing = false
  #windowStart = Number.NEGATIVE_INFINITY
  #failures = 0
  #successes = 0
  #firstToken = 0
  #measuredAt = 0
  readonly #line: Waiting[] = []

  constructor(name: string, identity: string) {
    this.name = name
    this.seed = hashText(identity)
  }

  get waiting(): number {
    return this.#line.length
  }

  /** Milliseconds until it is tried again; 0 when it is not left out. */
  coolingFor(now: number): number {
    return Math.max(0, this.#coolingUntil - now)
  }

  /** Its time is over, and one request is finding out whether it works again. */
  get probing(): boolean {
    return this.#probing
  }

  /** Milliseconds to the first token as measured lately; 0 when nobody measured it. */
  get firstToken(): number {
    return this.#firstToken
  }

  /** What a call is expected to wait for its first token, for comparison alone. */
  expectedWait(now: number): number {
    if (this.#firstToken === 0) return this.inflight * UNMEASURED
    return this.#firstToken * 2 ** ((this.#measuredAt - now) / HALF_LIFE) * (1 + this.inflight)
  }

  /** A call begins. True: it is the probe that decides whether a target that has cooled works again. */
  take(tokens: number, now: number): boolean {
    this.inflight++
    this.requests.add(1, now)
    if (tokens > 0) this.tokens.add(tokens, now)
    if (this.#coolingUntil === 0 || this.#coolingUntil > now || this.#probing) return false
    this.#probing = true
    return true
  }

  /** A call has ended, whatever became of it. */
  release(probe: boolean): void {
    this.inflight--
    if (probe) this.#probing = false
    // Whoever is called either takes the slot, or leaves it to the next one.
    for (let left = this.#line.length; left > 0; left--) {
      const first = this.#line[0]
      if (first === undefined || this.inflight >= first.limit) return
      this.#line.shift()
      first.wake()
    }
  }

  join(waiting: Waiting): void {
    this.#line.push(waiting)
  }

  leave(waiting: Waiting): void {
    const at = this.#line.indexOf(waiting)
    if (at >= 0) this.#line.splice(at, 1)
  }

  /** The first token of an answer has come: it is well, and so quick. */
  measured(firstToken: number, now: number): void {
    this.#recover(now - firstToken)
    const before = this.#firstToken
    this.#firstToken = before === 0 ? Math.max(firstToken, 0.001) : before + NEWEST * (firstToken - before)
    this.#measuredAt = now
  }

  succeeded(milliseconds: number, now: number): void {
    this.note(true, milliseconds, undefined)
    this.#recover(now - milliseconds)
    this.#successes++
  }

  /** It answers a call that began then: whatever kept it out before is over. Older calls say nothing about that. */
  #recover(startedAt: number): void {
    if (startedAt < this.#cooledAt) return
    this.#coolingUntil = 0
    this.#probing = false
  }

  /** `retryAfter`: seconds that the upstream asked for. */
  failed(
    kind: FailureKind,
    message: string,
    milliseconds: number,
    retryAfter: number | undefined,
    rule: CooldownRule,
    now: number
  ): void {
    this.note(false, milliseconds, message)
    this.lastKind = kind
    if (rule.failures === 0 || !COOLS.has(kind)) return
    if (
      retryAfter !== undefined &&
      retryAfter > 0 &&
      (kind === 'upstream-rate-limited' || kind === 'upstream-overloaded')
    ) {
      return this.#cool(Math.min(retryAfter * 1000, LONGEST_COOLING), now)
    }
    // Left out before and still failing: one failure is enough.
    const again = this.#coolingUntil !== 0 && this.#coolingUntil <= now
    if (now - this.#windowStart > rule.within) {
      this.#windowStart = now
      this.#failures = 0
      this.#successes = 0
    }
    this.#failures++
    // A target under load that fails now and then is not a broken one.
    if (again || (this.#failures >= rule.failures && this.#failures >= this.#successes)) this.#cool(rule.for, now)
  }

  /** A health check has ended. `out`: how long it is left out when something was wrong. */
  checked(problem: string | undefined, milliseconds: number, out: number, now: number): void {
    if (problem !== undefined) {
      this.#missing = true
      this.note(false, milliseconds, problem)
      this.lastKind = 'upstream-down'
      if (out > 0) this.#cool(out, now)
      return
    }
    if (!this.#missing && this.ok !== undefined) return
    // What checks found, checks take back; the next request decides, as after any time out. What calls found stays.
    if (this.#missing && this.#coolingUntil > now) this.#coolingUntil = now
    this.#missing = false
    this.note(true, milliseconds, undefined)
  }

  /** How the last call went, for `/health`. */
  note(ok: boolean, milliseconds: number, message: string | undefined): void {
    this.ok = ok
    this.at = Date.now()
    this.milliseconds = milliseconds
    // The last error stays visible after a recovery, as such.
    if (message !== undefined) this.lastError = message
  }

  #cool(milliseconds: number, now: number): void {
    this.#coolingUntil = Math.max(this.#coolingUntil, now + milliseconds)
    this.#cooledAt = now
    this.#failures = 0
    this.#successes = 0
    this.#windowStart = now
  }
}
