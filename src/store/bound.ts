/** A limit or a budget that binds a caller: worked out when a key is looked up, not for each request. */
export interface Bound {
  /** Whose it is; the most restrictive of all scopes wins. */
  readonly scope: 'key' | 'user' | 'team' | 'organization' | 'tag' | 'customer'
  readonly id: string
  /** Only for this model name, when it is said. */
  readonly model?: string
  readonly requestsPerMinute?: number
  readonly requestsPerDay?: number
  readonly tokensPerMinute?: number
  readonly parallel?: number
  /** Several windows at once: daily and monthly. Nano-dollars. */
  readonly budgets: readonly BudgetBound[]
}

export interface BudgetBound {
  readonly limit: bigint
  /** Spent in the window so far, as the store knew it when the caller was looked up. */
  readonly spent: bigint
  /** Milliseconds since 1970 at which the window began and ends; Infinity when it never does. */
  readonly from: number
  readonly until: number
}
