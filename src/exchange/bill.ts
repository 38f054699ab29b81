// What one request may cost and what it does cost: set aside before it goes out, told when it ends.

import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import { limitHeaders } from '../limits/headers.ts'
import type { Refused, Reservation, Standing } from '../limits/limits.ts'
import type { Resolved } from '../routing/routes.ts'
import { type Target, upstreamModel } from '../routing/target.ts'
import { costOf, dollars, FREE } from '../spend/tariff.ts'
import type { Bound } from '../store/bound.ts'
import type { Attempt } from './attempt.ts'
import type { Gateway } from './gateway.ts'
import { type Guess, guessOf, mostOutput, outputOf } from './guess.ts'
import type { Inbound } from './inbound.ts'
import { accountOf, sentCall } from './journaled.ts'
import { refusedModel } from './permitted.ts'
import type { CallRecord } from './record.ts'
import type { Runtime } from './runtime.ts'

type Go = (granted: Resolved | Failure) => void

/** How a request has ended. */
interface End {
  /** The last try; undefined when none went out. */
  readonly attempt: Attempt | undefined
  readonly usage: Usage | undefined
  /** The upstream was at work, so it costs something even if it did not say how much. */
  readonly worked: boolean
  /** A cache answered. */
  readonly cached: boolean
  readonly resolved: Resolved | undefined
}

export interface Spending extends Pick<CallRecord, 'cost' | 'costEstimated' | 'saved' | 'savedBy'> {
  /** As it was counted: what was said, or a guess. */
  readonly counted: Usage | undefined
}

const NOTHING = { tokens: 0, cost: 0n }
/** A stream that goes over what was set aside for it asks for so many tokens more at a time, or for fewer. */
const STRETCHES = [1024, 256, 64, 16]

export class Bill {
  readonly #gateway: Gateway
  readonly #runtime: Runtime
  readonly #inbound: Inbound
  /** Whether it has to be shown what passes. */
  watches = false
  #guess: Guess | undefined
  /** What the upstream that was asked last calls the model. */
  #model = ''
  #bounds: readonly Bound[] = []
  readonly #reservations: Reservation[] = []
  /** Money that is set aside. */
  #reserved = 0n
  #standing: Standing | undefined
  #cost: bigint | undefined
  #downgraded = false
  #frames = 0
  #bytes = 0
  #stretching = false
  #over = false

  constructor(gateway: Gateway, runtime: Runtime, inbound: Inbound) {
    this.#gateway = gateway
    this.#runtime = runtime
    this.#inbound = inbound
  }

  /** Takes what the caller's limits have to give, for this name or for one that costs less. */
  ask(resolved: Resolved, go: Go): void {
    const { caller, model, isInner } = this.#inbound
    const all = (caller?.bounds ?? []).filter(
      bound => bound.model === undefined || bound.model === resolved.asked || bound.model === model
    )
    const bounds = isInner === true ? moneyOf(all) : all
    if (bounds.length === 0) return go(resolved)
    const { input, usualOutput } = this.#guessed
    const amount = { tokens: input + usualOutput, cost: hasBudget(bounds) ? this.#leastAt(resolved) : 0n }
    const told = (answer: Reservation | Refused) => {
      this.#standing = answer.standing
      if ('failure' in answer) return this.#goCheaper(resolved, answer.failure, go)
      // The client has left while Redis was asked.
      if (this.#over) return answer.settle(NOTHING)
      this.#reservations.push(answer)
      this.#reserved = amount.cost
      this.#bounds = bounds
      this.watches = this.#runtime.config.limits.hard_stop && hasBudget(bounds)
      go(resolved)
    }
    const answer = this.#gateway.limits.reserve(bounds, amount)
    if (answer instanceof Promise) void answer.then(told)
    else told(answer)
  }

  /** What is set aside before it is known who is asked. Whoever costs more is covered when it comes to that. */
  #leastAt({ route, asked, captured }: Resolved): bigint {
    let least: bigint | undefined
    for (const target of route.targets) {
      const most = this.#mostAt(target, upstreamModel(target, asked, captured)) ?? 0n
      if (least === undefined || most < least) least = most
    }
    return least ?? 0n
  }

  #goCheaper(resolved: Resolved, failure: Failure, go: Go): void {
    const runtime = this.#runtime
    const { caller } = this.#inbound
    const name = failure.kind === 'over-budget' && !this.#downgraded ? runtime.downgrade(resolved.asked) : undefined
    const instead = name === undefined ? undefined : runtime.routes.resolve(name)
    if (instead === undefined || instead instanceof Failure) return go(failure)
    if (refusedModel(caller, name, instead, runtime) !== undefined) return go(failure)
    this.#downgraded = true
    this.#gateway.metrics.fellBack(resolved.route.name, instead.route.name, 'over-budget')
    this.ask(instead, go)
  }

  /** Whether what was set aside covers this target too; sets aside what is missing. */
  cover(target: Target, model: string): Failure | undefined | Promise<Failure | undefined> {
    if (!hasBudget(this.#bounds)) return undefined
    const most = this.#mostAt(target, model)
    if (most === undefined)
      return this.#runtime.config.spend.unknown_price === 'deny' ? priceless(target, model) : undefined
    return most <= this.#reserved ? undefined : this.#reserveMore(most - this.#reserved)
  }

  #reserveMore(cost: bigint): Failure | undefined | Promise<Failure | undefined> {
    const told = (answer: Reservation | Refused) => {
      if ('failure' in answer) return answer.failure
      if (this.#over) answer.settle(NOTHING)
      else {
        this.#reservations.push(answer)
        this.#reserved += cost
      }
      return undefined
    }
    const answer = this.#gateway.limits.reserve(moneyOf(this.#bounds), { tokens: 0, cost })
    return answer instanceof Promise ? answer.then(told) : told(answer)
  }

  /** It goes out now. Should we not live to see its end, the journal tells that there was one. */
  sent(target: Target, model: string, resolved: Resolved | undefined): void {
    this.#model = model
    const { journal } = this.#gateway
    const account = accountOf(this.#inbound, resolved)
    if (journal === undefined || account === undefined) return
    const tariff = target.prices.of(model, Date.now())
    if (tariff === undefined || tariff === FREE) return
    const { input, usualOutput: output } = this.#guessed
    const usage = { input, output, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
    journal.sent(sentCall(this.#inbound, account, target, usage, costOf(tariff, usage)))
  }

  /** A piece of a stream has come. `stop` is called when no budget covers what is still to come. */
  passed(chunk: Buffer, attempt: Attempt | undefined, stop: (failure: Failure) => void): void {
    for (let at = chunk.indexOf('data:'); at >= 0; at = chunk.indexOf('data:', at + 5)) this.#frames++
    this.#bytes += chunk.length
    const tariff = attempt?.target.prices.of(this.#model, Date.now())
    if (tariff === undefined || this.#stretching) return
    const output = outputOf(this.#inbound.dialect, this.#frames, this.#bytes)
    const { input } = this.#guessed
    const cost = (tokens: number) => costOf(tariff, { input, output: tokens, cacheRead: 0, cacheWrite: 0 })
    if (cost(output) <= this.#reserved) return
    this.#stretching = true
    const told = (failure: Failure | undefined) => {
      this.#stretching = false
      if (failure !== undefined && !this.#over) stop(failure)
    }
    const answer = this.#stretch(STRETCHES.map(tokens => cost(output + tokens) - this.#reserved))
    if (answer instanceof Promise) void answer.then(told)
    else told(answer)
  }

  /** The first of these amounts that there is money for. */
  #stretch(amounts: readonly bigint[]): Failure | undefined | Promise<Failure | undefined> {
    const [amount = 0n, ...smaller] = amounts
    const next = (failure: Failure | undefined) =>
      failure === undefined || smaller.length === 0 || this.#over ? failure : this.#stretch(smaller)
    const answer = this.#reserveMore(amount)
    return answer instanceof Promise ? answer.then(next) : next(answer)
  }

  /** What an answer costs, for its headers, where that is known when it begins. */
  price(attempt: Attempt | undefined, usage: Usage | undefined): void {
    const tariff = attempt?.target.prices.of(this.#model, Date.now())
    if (tariff === FREE) this.#cost = 0n
    else if (tariff !== undefined && usage !== undefined) this.#cost = costOf(tariff, usage)
  }

  /** Nobody has to be paid for what is told now. */
  waive(): void {
    this.#cost = 0n
  }

  get cost(): bigint | undefined {
    return this.#cost
  }

  get headers(): string[] {
    return this.#standing === undefined ? [] : limitHeaders(this.#standing, this.#inbound.dialect, Date.now())
  }

  /** Puts the truth in the place of what was set aside. Once. */
  close(end: End): Spending {
    this.#over = true
    const spending = this.#spendingOf(end)
    const { counted } = spending
    const [first, ...others] = this.#reservations
    // What a cache or a hook answers takes nothing of anybody.
    const isUsed = end.attempt !== undefined && counted !== undefined
    first?.settle({ tokens: isUsed ? counted.input + counted.output : 0, cost: this.#cost ?? 0n })
    for (const reservation of others) reservation.settle(NOTHING)
    return spending
  }

  #spendingOf({ attempt, usage, worked, cached, resolved }: End): Spending {
    if (attempt === undefined) {
      this.#cost = 0n
      return { counted: usage, cost: 0, ...(cached && this.#savedByCache(usage, resolved)) }
    }
    const guessed = usage === undefined && worked && this.#inbound.operation !== 'count-tokens'
    const counted = guessed ? attempt.usageSoFar(this.#guessed.input) : usage
    const tariff = attempt.target.prices.of(this.#model, Date.now())
    if (counted === undefined) this.#cost = 0n
    else this.#cost = tariff === undefined ? undefined : costOf(tariff, counted)
    return {
      counted,
      ...(this.#cost !== undefined && { cost: dollars(this.#cost) }),
      ...((guessed || (tariff?.assumed === true && counted !== undefined)) && { costEstimated: true }),
      ...(tariff === FREE && this.#savedHere(counted, attempt.target, resolved))
    }
  }

  /** This machine has answered for a model that is sold. The demo answers for nobody. */
  #savedHere(usage: Usage | undefined, { provider }: Target, resolved: Resolved | undefined): Partial<Spending> {
    if (usage === undefined || resolved === undefined || resolved.asked === this.#model || provider === 'demo')
      return {}
    const tariff = this.#gateway.listPrices.of(resolved.asked, Date.now())
    return tariff === undefined ? {} : { saved: dollars(costOf(tariff, usage)), savedBy: 'local' }
  }

  #savedByCache(usage: Usage | undefined, resolved: Resolved | undefined): Partial<Spending> {
    const { routes } = this.#runtime
    const { model } = this.#inbound
    const meant = resolved ?? (model === undefined ? routes.resolveDefault() : routes.resolve(model))
    if (usage === undefined || meant instanceof Failure) return {}
    const [target] = meant.route.targets
    const tariff = target?.prices.of(target.model ?? meant.asked, Date.now())
    return tariff === undefined || tariff === FREE ? {} : { saved: dollars(costOf(tariff, usage)), savedBy: 'cache' }
  }

  get #guessed(): Guess {
    this.#guess ??= guessOf(this.#inbound)
    return this.#guess
  }

  /** The most that it may cost at a target; undefined where nobody knows. */
  #mostAt(target: Target, model: string): bigint | undefined {
    const tariff = target.prices.of(model, Date.now())
    if (tariff === undefined || tariff === FREE) return tariff === FREE ? 0n : undefined
    const { mostInput: input } = this.#guessed
    const output = mostOutput(this.#guessed, target.maxTokens)
    const read = costOf(tariff, { input, output, cacheRead: 0, cacheWrite: 0 })
    const written = costOf(tariff, { input, output, cacheRead: 0, cacheWrite: input })
    return written > read ? written : read
  }
}

function hasBudget(bounds: readonly Bound[]): boolean {
  return bounds.some(({ budgets }) => budgets.length > 0)
}

/** What is asked of limits that hold money alone. */
export function moneyOf(bounds: readonly Bound[]): readonly Bound[] {
  return bounds
    .filter(({ budgets }) => budgets.length > 0)
    .map(({ scope, id, model, budgets }) => ({ scope, id, ...(model !== undefined && { model }), budgets }))
}

/** In the same tick where nothing has to be waited for. */
export function afterwards<Value>(
  covered: Failure | undefined | Promise<Failure | undefined>,
  next: () => Value | Promise<Value>
): Value | Failure | Promise<Value | Failure> {
  if (covered instanceof Failure) return covered
  return covered === undefined ? next() : covered.then(failure => failure ?? next())
}

function priceless(target: Target, model: string): Failure {
  return new Failure('over-budget', `Nobody knows what \`${model.slice(0, 100)}\` costs at ${target.place}.`, {
    status: 403,
    code: 'price_unknown',
    recommendations: ['Give its entry a `price`, or say `spend.unknown_price: allow` or `estimate`.']
  })
}
