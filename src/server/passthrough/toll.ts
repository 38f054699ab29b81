// What a passage takes from its caller's limits, and what it cost as far as its answer says.

import { Failure } from '../../chat/failure.ts'
import type { DialectName } from '../../dialects/dialect.ts'
import { DIALECTS } from '../../dialects/index.ts'
import { moneyOf } from '../../exchange/bill.ts'
import type { Gateway } from '../../exchange/gateway.ts'
import type { Account } from '../../exchange/journaled.ts'
import type { CallRecord } from '../../exchange/record.ts'
import { type Caller, LOCAL } from '../../keys/caller.ts'
import { limitHeaders } from '../../limits/headers.ts'
import type { Refused, Reservation, Standing } from '../../limits/limits.ts'
import { Excerpt } from '../../relay/pass.ts'
import { costOf, dollars, type Tariff } from '../../spend/tariff.ts'
import type { Destination } from './destination.ts'

type Costs = Pick<CallRecord, 'usage' | 'cost' | 'costEstimated'>

export class Toll {
  readonly #gateway: Gateway
  readonly #dialect: DialectName
  #caller: Caller | undefined
  #reservation: Reservation | undefined
  #standing: Standing | undefined
  #excerpt: Excerpt | undefined
  #over = false

  constructor(gateway: Gateway, path: string) {
    this.#gateway = gateway
    this.#dialect = dialectIn(path)
  }

  /** Counts the request; money is taken when it is known what it cost. */
  ask(
    caller: Caller | undefined,
    { target, asked, model }: Destination
  ): Failure | undefined | Promise<Failure | undefined> {
    if (caller === undefined || caller.id === LOCAL.id) return undefined
    this.#caller = caller
    this.#excerpt = new Excerpt()
    const bounds = caller.bounds.filter(bound => bound.model === undefined || bound.model === asked)
    if (bounds.length === 0) return undefined
    if (moneyOf(bounds).length > 0) {
      // Whoever has a budget is charged from the first call on.
      this.#gateway.listPrices.read()
      const denied = this.#gateway.runtime.config.spend.unknown_price === 'deny'
      if (denied && this.#tariffOf(target, model ?? asked) === undefined) return priceless()
    }
    const told = (answer: Reservation | Refused) => {
      this.#standing = answer.standing
      if ('failure' in answer) return answer.failure
      if (this.#over) answer.settle({ tokens: 0, cost: 0n })
      else this.#reservation = answer
      return undefined
    }
    const answer = this.#gateway.limits.reserve(bounds, { tokens: 0, cost: 0n })
    return answer instanceof Promise ? answer.then(told) : told(answer)
  }

  passed(chunk: Buffer): void {
    this.#excerpt?.add(chunk)
  }

  get headers(): Readonly<Record<string, string>> {
    const headers: Record<string, string> = {}
    if (this.#standing === undefined) return headers
    const list = limitHeaders(this.#standing, this.#dialect, Date.now())
    for (let index = 0; index + 1 < list.length; index += 2) headers[list[index] ?? ''] = list[index + 1] ?? ''
    return headers
  }

  /** What it cost is what its answer says that was used, at a price that is known. */
  close(destination: Destination | undefined): Costs {
    this.#over = true
    const excerpt = this.#excerpt
    const isEmpty = excerpt === undefined || excerpt.bytes === 0
    const usage = isEmpty ? undefined : excerpt.usage(DIALECTS[this.#dialect])
    const tariff =
      usage === undefined
        ? undefined
        : this.#tariffOf(destination?.target, destination?.model ?? destination?.asked ?? modelIn(excerpt))
    const cost = usage === undefined || tariff === undefined ? undefined : costOf(tariff, usage)
    const tokens = usage === undefined ? 0 : usage.input + usage.output
    this.#reservation?.settle({ tokens, cost: cost ?? 0n })
    return {
      usage,
      ...(cost !== undefined && { cost: dollars(cost) }),
      ...(cost !== undefined && tariff?.assumed === true && { costEstimated: true })
    }
  }

  account(asked: string | undefined, usage: CallRecord['usage']): Account | undefined {
    if (this.#caller === undefined) return undefined
    return { caller: this.#caller, model: (asked ?? modelIn(this.#excerpt) ?? 'other').slice(0, 200), usage }
  }

  #tariffOf(target: Destination['target'], model: string | undefined): Tariff | undefined {
    if (model === undefined) return undefined
    const now = Date.now()
    return target === undefined ? this.#gateway.listPrices.of(model, now) : target.prices.of(model, now)
  }
}

/** Whose answers are told apart by their paths, wherever they lie. */
function dialectIn(path: string): DialectName {
  if (/\/messages\b/.test(path)) return 'anthropic'
  if (/:(stream)?generateContent\b/i.test(path)) return 'gemini'
  return /\/responses\b/.test(path) ? 'openai-responses' : 'openai-chat'
}

function modelIn(excerpt: Excerpt | undefined): string | undefined {
  if (excerpt === undefined || excerpt.bytes === 0) return undefined
  const [, model] = /"model(?:Version)?"\s*:\s*"([^"\\]{1,200})"/.exec(excerpt.head()) ?? []
  return model
}

function priceless(): Failure {
  return new Failure('over-budget', 'Nobody knows what this request costs, and its caller has a budget.', {
    status: 403,
    code: 'price_unknown',
    recommendations: ['Say `spend.unknown_price: allow`, or use a key without a budget for this route.']
  })
}
