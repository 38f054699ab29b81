// Everything beside keys that spends and is limited. The functions of `entity.ts` take a shape of these.

import { Failure } from '../chat/failure.ts'
import type { Queries } from './database.ts'
import { deleteEntities, ENTITY_COLUMNS, type Entity, readEntity, type Shape } from './entity.ts'
import { deleteKeysOf } from './keys.ts'
import { textOrNull } from './values.ts'

export type ScopeKind = 'key' | 'team' | 'user' | 'organization' | 'customer' | 'tag'

export interface Scope {
  readonly kind: ScopeKind
  readonly id: string
}

/** Limits and budgets under a name that others share; LiteLLM calls it a budget. */
export type Plan = Entity

interface Planned extends Entity {
  readonly planId: string | null
}

export type Organization = Planned
export type Tag = Planned

export interface Team extends Planned {
  readonly organizationId: string | null
}

export interface User extends Planned {
  readonly organizationId: string | null
  readonly email: string | null
  readonly role: string | null
}

/** An end user of a client's, named in its requests. */
export interface Customer extends Planned {
  readonly defaultModel: string | null
  readonly region: string | null
}

const PLANNED_COLUMNS = { ...ENTITY_COLUMNS, planId: 'plan_id' } as const

export const PLANS: Shape<Plan> = { table: 'plans', kind: 'plan', columns: ENTITY_COLUMNS, read: readEntity }

export const ORGANIZATIONS: Shape<Organization> = {
  table: 'organizations',
  kind: 'organization',
  columns: PLANNED_COLUMNS,
  read: row => ({ ...readEntity(row), planId: textOrNull(row, 'plan_id') })
}

export const TAGS: Shape<Tag> = {
  table: 'tags',
  kind: 'tag',
  columns: PLANNED_COLUMNS,
  read: row => ({ ...readEntity(row), planId: textOrNull(row, 'plan_id') })
}

export const TEAMS: Shape<Team> = {
  table: 'teams',
  kind: 'team',
  columns: { ...PLANNED_COLUMNS, organizationId: 'organization_id' },
  read: row => ({
    ...readEntity(row),
    planId: textOrNull(row, 'plan_id'),
    organizationId: textOrNull(row, 'organization_id')
  })
}

export const USERS: Shape<User> = {
  table: 'users',
  kind: 'user',
  columns: { ...PLANNED_COLUMNS, organizationId: 'organization_id', email: 'email', role: 'role' },
  read: row => ({
    ...readEntity(row),
    planId: textOrNull(row, 'plan_id'),
    organizationId: textOrNull(row, 'organization_id'),
    email: textOrNull(row, 'email'),
    role: textOrNull(row, 'role')
  })
}

export const CUSTOMERS: Shape<Customer> = {
  table: 'customers',
  kind: 'customer',
  columns: { ...PLANNED_COLUMNS, defaultModel: 'default_model', region: 'region' },
  read: row => ({
    ...readEntity(row),
    planId: textOrNull(row, 'plan_id'),
    defaultModel: textOrNull(row, 'default_model'),
    region: textOrNull(row, 'region')
  })
}

/** With their keys: one that outlived its team would go on without the team's limits. In a transaction of whoever calls. */
export async function deleteTeams(queries: Queries, ids: readonly string[]): Promise<readonly Team[] | Failure> {
  const failure = await deleteKeysOf(queries, 'team_id', ids)
  return failure ?? deleteEntities(queries, TEAMS, ids)
}

export async function deleteUsers(queries: Queries, ids: readonly string[]): Promise<readonly User[] | Failure> {
  const failure = await deleteKeysOf(queries, 'user_id', ids)
  if (failure !== undefined) return failure
  const left = await queries.query(
    'delete from sluice.members where user_id in (select jsonb_array_elements_text($1::jsonb))',
    [ids]
  )
  return left instanceof Failure ? left : deleteEntities(queries, USERS, ids)
}
