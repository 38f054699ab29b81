// What binds a caller, from what the store says of its key and of everything above it.

import type { Bound, BudgetBound } from '../store/bound.ts'
import type { Standing } from '../store/budgets.ts'
import type { Entity, Limits } from '../store/entity.ts'

type Scope = Bound['scope']

/** Something that limits and budgets belong to, with the plan that it shares. */
export interface Binding {
  readonly scope: Scope
  readonly entity: Entity
  readonly plan: Entity | undefined
}

type Amounts = Pick<Bound, 'requestsPerMinute' | 'requestsPerDay' | 'tokensPerMinute' | 'parallel'>

/** One for each scope and model that anything is said of. */
export function boundsOf(bindings: readonly Binding[], standing: readonly Standing[]): readonly Bound[] {
  return bindings.flatMap(({ scope, entity, plan }) => {
    const own = standing.filter(item => item.scope.kind === scope && item.scope.id === entity.id)
    const limits = [entity.limits, plan?.limits ?? {}]
    const models = new Set(['', ...own.map(item => item.budget.model)])
    for (const { models: byModel = {} } of limits) for (const model of Object.keys(byModel)) models.add(model)
    return [...models].flatMap(model => {
      const said = limits.map(each => (model === '' ? each : (each.models?.[model] ?? {})))
      const amounts = strictest(said)
      const budgets = own.filter(item => item.budget.model === model).map(budgetOf)
      if (budgets.length === 0 && Object.keys(amounts).length === 0) return []
      return [{ scope, id: entity.id, ...(model !== '' && { model }), ...amounts, budgets }]
    })
  })
}

function strictest(limits: readonly Omit<Limits, 'models'>[]): Amounts {
  const least = (name: 'rpm' | 'rpd' | 'tpm' | 'maxParallel') => {
    const said = limits.map(each => each[name]).filter(amount => amount !== undefined)
    return said.length === 0 ? undefined : Math.min(...said)
  }
  const [rpm, rpd, tpm, parallel] = [least('rpm'), least('rpd'), least('tpm'), least('maxParallel')]
  return {
    ...(rpm !== undefined && { requestsPerMinute: rpm }),
    ...(rpd !== undefined && { requestsPerDay: rpd }),
    ...(tpm !== undefined && { tokensPerMinute: tpm }),
    ...(parallel !== undefined && { parallel })
  }
}

function budgetOf({ limitNano, spentNano, since, until }: Standing): BudgetBound {
  return {
    limit: limitNano,
    spent: spentNano,
    from: since?.getTime() ?? 0,
    until: until?.getTime() ?? Number.POSITIVE_INFINITY
  }
}
