import { Failure } from '../chat/failure.ts'
import type { Bound } from '../store/bound.ts'
import { DAY, type Dimension, type Hit } from './limits.ts'

/** What a client is told to wait where waiting alone does not help: somebody has to raise the budget. */
const FOREVER = DAY

/** Says which limit it was, whose, and when it makes sense to come back. */
export function refusal({ bound, dimension, budget, wait }: Hit): Failure {
  const whose = ownerOf(bound)
  if (dimension !== 'budget') {
    return new Failure('rate-limited', `${whose} may ${allowance(bound, dimension)}.`, { retryAfter: seconds(wait) })
  }
  const limit = `$${(Number(budget?.limit ?? 0n) / 1e9).toFixed(2)}`
  const until = budget?.until ?? Number.POSITIVE_INFINITY
  const most = Number.isFinite(until) ? `${limit} until ${new Date(until).toISOString()}` : `${limit} in all`
  return new Failure(
    'over-budget',
    `${whose} may spend ${most}, and what is left does not cover what this request may cost.`,
    {
      retryAfter: seconds(Number.isFinite(wait) ? wait : FOREVER),
      recommendations: ['Ask for fewer tokens (`max_tokens`), take a cheaper model, or have the budget raised.']
    }
  )
}

function seconds(wait: number): number {
  return Math.max(1, Math.ceil(wait / 1000))
}

function ownerOf({ scope, id, model }: Bound): string {
  // An id of a key is half of the key; others are names that their members know.
  const owner = scope === 'key' ? 'This key' : `The ${scope} \`${id.slice(0, 100)}\``
  return model === undefined ? owner : `${owner} (for the model \`${model}\`)`
}

function allowance(bound: Bound, dimension: Exclude<Dimension, 'budget'>): string {
  switch (dimension) {
    case 'requests_per_minute':
      return `send ${bound.requestsPerMinute} requests a minute`
    case 'requests_per_day':
      return `send ${bound.requestsPerDay} requests a day`
    case 'tokens_per_minute':
      return `use ${bound.tokensPerMinute} tokens a minute`
    case 'parallel':
      return `have ${bound.parallel} requests under way at one time`
  }
}
