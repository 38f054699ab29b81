// An end user as the store has it, and a caller that is bound by it.

import { Failure } from '../chat/failure.ts'
import type { Bound } from '../store/bound.ts'
import { standings } from '../store/budgets.ts'
import type { Queries } from '../store/database.ts'
import { findEntity } from '../store/entity.ts'
import { CUSTOMERS, PLANS } from '../store/scopes.ts'
import { boundsOf } from './bounds.ts'
import type { Caller, ModelList } from './caller.ts'
import { modelListOf } from './lookup.ts'

/** What it adds to a caller. */
export interface Customer {
  readonly id: string
  readonly blocked: boolean
  readonly models: readonly ModelList[]
  readonly bounds: readonly Bound[]
}

/** Undefined: none was declared under this name. */
export async function customerNamed(queries: Queries, id: string, at: number): Promise<Customer | undefined | Failure> {
  const entity = await findEntity(queries, CUSTOMERS, id)
  if (entity === undefined || entity instanceof Failure) return entity
  const plan = entity.planId === null ? undefined : await findEntity(queries, PLANS, entity.planId)
  if (plan instanceof Failure) return plan
  const standing = await standings(queries, [{ kind: 'customer', id, planId: plan?.id }], new Date(at))
  if (standing instanceof Failure) return standing
  const models = modelListOf('customer', entity.models)
  return {
    id,
    blocked: entity.blocked,
    models: models === undefined ? [] : [models],
    bounds: boundsOf([{ scope: 'customer', entity, plan }], standing)
  }
}

/** The very same caller where nothing is added. */
export function boundBy(caller: Caller, customer: Customer | undefined): Caller | Failure {
  if (customer === undefined) return caller
  const { id, blocked, models, bounds } = customer
  if (blocked) {
    return new Failure('forbidden', `The customer \`${id.slice(0, 100)}\` is blocked.`, {
      code: 'customer_blocked',
      recommendations: ['An administrator can unblock it.']
    })
  }
  if (models.length === 0 && bounds.length === 0) return caller
  return { ...caller, models: [...caller.models, ...models], bounds: [...caller.bounds, ...bounds] }
}
