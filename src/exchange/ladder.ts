import { Failure } from '../chat/failure.ts'
import { type Ask, choose, leastCooling, obstacle, rateWait, shortage, shortestLine } from '../routing/choice.ts'
import type { Route } from '../routing/route.ts'
import type { Resolved, Routes } from '../routing/routes.ts'
import type { Target } from '../routing/target.ts'

/** What a configuration says about trying again. Milliseconds. */
export interface LadderRules {
  readonly retries: number
  readonly retryTotal: number
  readonly queueSize: number
}

/** What to do next. `pause`: then ask for `again`. `queue`: wait for a slot of the target, then ask for `next`. */
export type Step =
  | { readonly kind: 'try'; readonly target: Target; readonly resolved: Resolved }
  | { readonly kind: 'pause'; readonly target: Target; readonly milliseconds: number }
  | { readonly kind: 'queue'; readonly target: Target }
  | { readonly kind: 'fail'; readonly failure: Failure }

/** What the gateway says of one target: another one may have room, or cost less. */
const OURS: ReadonlySet<string> = new Set(['overloaded', 'over-budget'])
/** A client that waits this long has seen every name we could offer. */
const MAX_FALLBACK_NAMES = 5
/** Waits between tries: at most this much the first time, twice as much each time after. */
const FIRST_WAIT = 250
const LONGEST_WAIT = 8000
/** Added to a retry-after at most, so that all who were sent away do not come back at once. */
const SPREAD = 250

/** Failures that may be over in a moment. After a silence of minutes or a wrong key nothing is gained at the same place. */
function isTransient({ kind, details }: Failure): boolean {
  if (kind === 'upstream-timed-out') return details.code === 'timeout_connect' || details.code === undefined
  return (
    kind === 'upstream-down' ||
    kind === 'upstream-failed' ||
    kind === 'upstream-overloaded' ||
    kind === 'upstream-rate-limited'
  )
}

const POLICY_CODES: ReadonlySet<string> = new Set([
  'content_filter',
  'content_policy_violation',
  'responsibleaipolicyviolation',
  'data_inspection_failed',
  'moderation_blocked'
])

/** The upstream refused what was said, not how: another one may take it. */
function refusedContent({ kind, details, message }: Failure): boolean {
  if (kind !== 'upstream-rejected') return false
  return (
    POLICY_CODES.has((details.code ?? '').toLowerCase()) ||
    /content (?:filter(?:ing)?|management|policy)|usage polic(?:y|ies)|safety system/i.test(message)
  )
}

/**
 * The order of tries of one request: a target again, the next one of the name, the names declared as fallbacks, and at last
 * what was left out for its failures. Knows no clock and no dice: both are given.
 */
export class Ladder {
  readonly #routes: Routes
  readonly #rules: LadderRules
  readonly #random: () => number
  readonly #tried: Target[] = []
  readonly #ask: Ask
  readonly #first: Route
  readonly #names: string[]
  #resolved: Resolved
  #list: readonly string[]
  #retried = 0
  #waited = 0
  #lastResort: { readonly target: Target; readonly resolved: Resolved } | undefined
  /** Why nobody could be asked. */
  #excuse: Failure | undefined
  /** It has stood in a line to the end of its patience: one line is enough. */
  #waitedInVain = false
  /** The last resort was tried. */
  #desperate = false
  #failure: Failure | undefined

  constructor(
    routes: Routes,
    resolved: Resolved,
    ask: Omit<Ask, 'tried'>,
    rules: LadderRules,
    random: () => number = Math.random
  ) {
    this.#routes = routes
    this.#rules = rules
    this.#random = random
    this.#resolved = resolved
    this.#first = resolved.route
    this.#names = [resolved.route.name]
    this.#list = resolved.route.fallbacks
    this.#ask = { tags: ask.tags, conversation: ask.conversation, tokens: ask.tokens, tried: this.#tried }
  }

  get ask(): Ask {
    return this.#ask
  }

  /** The name that is being tried. */
  get resolved(): Resolved {
    return this.#resolved
  }

  /** The best target that is left. */
  next(now: number): Step {
    for (;;) {
      const { route } = this.#resolved
      const target = choose(route, this.#ask, now, this.#random)
      if (target !== undefined) return { kind: 'try', target, resolved: this.#resolved }
      const full = shortestLine(route, this.#ask, now)
      if (full !== undefined) {
        if (this.#mayQueue(full)) return { kind: 'queue', target: full }
        this.#excuse ??= lineFull(full)
      }
      this.#remember(route, now)
      if (!this.#fallBack()) return this.#last(now)
    }
  }

  /** A try has failed before the client saw a byte of it. */
  failed(target: Target, failure: Failure, now: number): Step {
    // What one target cannot be told says less than what another one answered.
    if (this.#failure === undefined || failure.kind !== 'unsupported') this.#failure = failure
    if (failure.kind === 'overloaded') this.#waitedInVain = true
    const list = this.#listFor(failure)
    if (list === undefined && !failure.tryNext && !OURS.has(failure.kind)) return { kind: 'fail', failure }
    if (list !== undefined) {
      this.#tried.push(target)
      this.#list = list
      this.#lastResort = undefined
      return this.#fallBack() ? this.next(now) : { kind: 'fail', failure }
    }
    const pause = this.#pauseAfter(target, failure, now)
    if (pause !== undefined) {
      this.#retried++
      this.#waited += pause
      return { kind: 'pause', target, milliseconds: pause }
    }
    this.#retried = 0
    this.#tried.push(target)
    return this.next(now)
  }

  /** After a pause: the same target once more, unless it has been left out meanwhile. */
  again(target: Target, now: number): Step {
    const why = obstacle(target, this.#ask, now)
    if (why === undefined) return { kind: 'try', target, resolved: this.#resolved }
    if (why === 'full' && this.#mayQueue(target)) return { kind: 'queue', target }
    this.#retried = 0
    if (why !== 'cooling' && why !== 'probing') this.#tried.push(target)
    return this.next(now)
  }

  #mayQueue({ state }: Target): boolean {
    return !this.#waitedInVain && state.waiting < this.#rules.queueSize
  }

  /** Milliseconds to wait before the same target is tried again; undefined when the next one is better. */
  #pauseAfter(target: Target, failure: Failure, now: number): number | undefined {
    if (this.#desperate || this.#retried >= this.#rules.retries || !isTransient(failure)) return undefined
    const { retryAfter } = failure.details
    // Somebody else who is free beats waiting for one who said «later».
    if ((retryAfter !== undefined || failure.kind === 'upstream-rate-limited') && this.#othersFree(target, now))
      return undefined
    const most = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#retried)
    const pause =
      retryAfter === undefined ? this.#random() * most : retryAfter * 1000 + this.#random() * Math.min(most, SPREAD)
    return this.#waited + pause <= this.#rules.retryTotal ? pause : undefined
  }

  #othersFree(target: Target, now: number): boolean {
    const ask = { ...this.#ask, tried: [...this.#tried, target] }
    return choose(this.#resolved.route, ask, now, this.#random) !== undefined
  }

  /** Names that are declared for this kind of failure, if any are. */
  #listFor(failure: Failure): readonly string[] | undefined {
    const { contextFallbacks, policyFallbacks } = this.#first
    if (failure.kind === 'context-exceeded') return contextFallbacks.length > 0 ? contextFallbacks : undefined
    return policyFallbacks.length > 0 && refusedContent(failure) ? policyFallbacks : undefined
  }

  /** Goes on to the next declared name. The first name's list goes on: a fallback's own would make circles and surprises. */
  #fallBack(): boolean {
    for (const name of this.#list) {
      if (this.#names.includes(name) || this.#names.length > MAX_FALLBACK_NAMES) continue
      this.#names.push(name)
      const resolved = this.#routes.resolve(name)
      if (resolved instanceof Failure) continue
      this.#resolved = resolved
      this.#retried = 0
      return true
    }
    return false
  }

  /** Why this name has nobody: what to say, and whom to try when there is no other. */
  #remember(route: Route, now: number): void {
    const cooling = leastCooling(route, this.#ask, now)
    if (cooling !== undefined) this.#lastResort ??= { target: cooling, resolved: this.#resolved }
    const wait = rateWait(route, this.#ask, now)
    if (wait !== undefined) this.#excuse ??= atLimit(route, wait)
    const { tags } = this.#ask
    if (tags.length > 0 && route.targets.every(target => obstacle(target, { ...this.#ask, tried: [] }, now) === 'tags'))
      this.#excuse ??= noSuchTags(route, tags)
  }

  /** Nobody is left but, at best, one that was left out for its failures: once, for it may have recovered. */
  #last(now: number): Step {
    const last = this.#lastResort
    if (last !== undefined && !this.#desperate) {
      const { target, resolved } = last
      this.#resolved = resolved
      const short = shortage(target, this.#ask, now)
      if (short === 'full' && this.#mayQueue(target)) return { kind: 'queue', target }
      if (short === undefined) {
        this.#desperate = true
        return { kind: 'try', target, resolved }
      }
    }
    return { kind: 'fail', failure: this.#failure ?? this.#excuse ?? nobody(this.#first) }
  }
}

/** A request waited in line and its time was over. */
export function waitedInVain(target: Target, milliseconds: number): Failure {
  const { maxParallel, place, state } = target
  const message = `${place} takes ${maxParallel ?? 1} at a time, and none was free within ${milliseconds / 1000} s (routing.queue.wait).`
  return new Failure('overloaded', message, { retryAfter: comeBack(target), recommendations: moreRoom(state.waiting) })
}

function lineFull(target: Target): Failure {
  const { maxParallel, place, state } = target
  const message = `${place} takes ${maxParallel ?? 1} at a time, and ${state.waiting} requests wait for it (routing.queue.size).`
  return new Failure('overloaded', message, { retryAfter: comeBack(target), recommendations: moreRoom(state.waiting) })
}

function moreRoom(waiting: number): readonly string[] {
  const line = waiting > 0 ? ` ${waiting} more wait.` : ''
  return [`Add another entry of this name, declare routing.fallbacks, or raise max_parallel or routing.queue.${line}`]
}

/** As long as the last call took, within reason: then a slot is free. */
function comeBack({ state }: Target): number {
  return Math.min(60, Math.max(1, Math.ceil((state.milliseconds ?? 5000) / 1000)))
}

function atLimit({ name }: Route, wait: number): Failure {
  return new Failure('overloaded', `Every upstream of \`${name}\` is at its rpm or tpm.`, {
    retryAfter: Math.max(1, Math.ceil(wait / 1000)),
    recommendations: ['Raise rpm or tpm of its entries, add another one, or declare routing.fallbacks.']
  })
}

function noSuchTags({ name, targets }: Route, tags: readonly string[]): Failure {
  const known = [...new Set(targets.flatMap(target => target.tags))]
  const message = `No entry of \`${name}\` has all of the tags ${tags.map(tag => `\`${tag.slice(0, 50)}\``).join(', ')}.`
  return new Failure('invalid-request', message, {
    field: 'tags',
    recommendations: [known.length === 0 ? 'None of its entries has tags.' : `Its entries have: ${known.join(', ')}.`]
  })
}

function nobody({ name }: Route): Failure {
  return new Failure('unavailable', `No target serves \`${name}\` now.`, {
    recommendations: ['The weight of an entry has to be above 0.']
  })
}
