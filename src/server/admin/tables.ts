// Teams, users, organizations, customers, tags and shared budgets: which table each is, and which fields are its own.

import {
  countEntities,
  createEntity,
  deleteEntities,
  findEntity,
  listEntities,
  updateEntity
} from '../../store/entity.ts'
import {
  CUSTOMERS,
  type Customer,
  deleteTeams,
  deleteUsers,
  ORGANIZATIONS,
  type Organization,
  PLANS,
  type Plan,
  TAGS,
  type Tag,
  TEAMS,
  type Team,
  USERS,
  type User
} from '../../store/scopes.ts'
import type { Fields } from './fields.ts'
import type { Table } from './scopes.ts'

const ROLES = ['proxy_admin', 'proxy_admin_viewer', 'internal_user', 'internal_user_viewer'] as const

export const TEAM: Table<Team> = {
  kind: 'team',
  idField: 'team_id',
  create: (queries, id, said, by) => createEntity(queries, TEAMS, { ...said, id }, by),
  find: (queries, id) => findEntity(queries, TEAMS, id),
  update: (queries, id, said, by) => updateEntity(queries, TEAMS, id, said, by),
  list: (queries, filter, page) => listEntities(queries, TEAMS, filter, page),
  count: (queries, filter) => countEntities(queries, TEAMS, filter),
  remove: deleteTeams,
  read: fields => ({
    alias: named(fields, 'team_alias'),
    models: fields.texts('models'),
    organizationId: named(fields, 'organization_id')
  }),
  tell: ({ alias, organizationId }) => ({ team_alias: alias, organization_id: organizationId })
}

export const USER: Table<User> = {
  kind: 'user',
  idField: 'user_id',
  create: (queries, id, said, by) => createEntity(queries, USERS, { ...said, id }, by),
  find: (queries, id) => findEntity(queries, USERS, id),
  update: (queries, id, said, by) => updateEntity(queries, USERS, id, said, by),
  list: (queries, filter, page) => listEntities(queries, USERS, filter, page),
  count: (queries, filter) => countEntities(queries, USERS, filter),
  remove: deleteUsers,
  read: fields => ({
    alias: named(fields, 'user_alias'),
    models: fields.texts('models'),
    organizationId: named(fields, 'organization_id'),
    email: named(fields, 'user_email'),
    role: fields.oneOf('user_role', ROLES)
  }),
  tell: ({ alias, organizationId, email, role }) => ({
    user_alias: alias,
    user_email: email,
    user_role: role,
    organization_id: organizationId
  })
}

export const ORGANIZATION: Table<Organization> = {
  kind: 'organization',
  idField: 'organization_id',
  create: (queries, id, said, by) => createEntity(queries, ORGANIZATIONS, { ...said, id }, by),
  find: (queries, id) => findEntity(queries, ORGANIZATIONS, id),
  update: (queries, id, said, by) => updateEntity(queries, ORGANIZATIONS, id, said, by),
  list: (queries, { alias, search }, page) => listEntities(queries, ORGANIZATIONS, { alias, search }, page),
  count: (queries, { alias, search }) => countEntities(queries, ORGANIZATIONS, { alias, search }),
  remove: (queries, ids) => deleteEntities(queries, ORGANIZATIONS, ids),
  read: fields => ({ alias: named(fields, 'organization_alias'), models: fields.texts('models') }),
  tell: ({ alias }) => ({ organization_alias: alias })
}

export const CUSTOMER: Table<Customer> = {
  kind: 'customer',
  idField: 'user_id',
  create: (queries, id, said, by) => createEntity(queries, CUSTOMERS, { ...said, id }, by),
  find: (queries, id) => findEntity(queries, CUSTOMERS, id),
  update: (queries, id, said, by) => updateEntity(queries, CUSTOMERS, id, said, by),
  list: (queries, { alias, search }, page) => listEntities(queries, CUSTOMERS, { alias, search }, page),
  count: (queries, { alias, search }) => countEntities(queries, CUSTOMERS, { alias, search }),
  remove: (queries, ids) => deleteEntities(queries, CUSTOMERS, ids),
  read: fields => ({
    alias: named(fields, 'alias'),
    models: fields.texts('models'),
    defaultModel: named(fields, 'default_model'),
    region: fields.oneOf('allowed_model_region', ['eu', 'us'])
  }),
  tell: ({ alias, defaultModel, region }) => ({ alias, default_model: defaultModel, allowed_model_region: region })
}

export const TAG: Table<Tag> = {
  kind: 'tag',
  idField: 'name',
  create: (queries, id, said, by) => createEntity(queries, TAGS, { ...said, id }, by),
  find: (queries, id) => findEntity(queries, TAGS, id),
  update: (queries, id, said, by) => updateEntity(queries, TAGS, id, said, by),
  list: (queries, { alias, search }, page) => listEntities(queries, TAGS, { alias, search }, page),
  count: (queries, { alias, search }) => countEntities(queries, TAGS, { alias, search }),
  remove: (queries, ids) => deleteEntities(queries, TAGS, ids),
  read: fields => ({ alias: named(fields, 'description') }),
  tell: ({ alias }) => ({ description: alias })
}

export const PLAN: Table<Plan> = {
  kind: 'plan',
  idField: 'budget_id',
  create: (queries, id, said, by) => createEntity(queries, PLANS, { ...said, id }, by),
  find: (queries, id) => findEntity(queries, PLANS, id),
  update: (queries, id, said, by) => updateEntity(queries, PLANS, id, said, by),
  list: (queries, { alias, search }, page) => listEntities(queries, PLANS, { alias, search }, page),
  count: (queries, { alias, search }) => countEntities(queries, PLANS, { alias, search }),
  remove: (queries, ids) => deleteEntities(queries, PLANS, ids),
  read: () => ({}),
  tell: () => ({})
}

function named(fields: Fields, name: string): string | null | undefined {
  const text = fields.text(name)
  return text === '' ? null : text
}
