// `/organization/*`, `/customer/*`, `/tag/*` and `/budget/*`: alike but for their names.

import { Failure } from '../../chat/failure.ts'
import { newId } from '../../keys/secret.ts'
import type { AdminRoute, Asked, Told } from './asked.ts'
import { Fields, idsOf } from './fields.ts'
import {
  change,
  type Item,
  listAll,
  make,
  readSaid,
  removeAll,
  removing,
  setBlocked,
  show,
  type Table
} from './scopes.ts'
import { CUSTOMER, ORGANIZATION, PLAN, TAG } from './tables.ts'

/** Whoever is named by others cannot be given a name here. */
function making<Kept extends Item>(table: Table<Kept>, isNamed: boolean): AdminRoute['answer'] {
  return asked => {
    const fields = new Fields(asked)
    const id = isNamed ? fields.needed(table.idField) : (fields.word(table.idField) ?? newId())
    const request = readSaid(table, fields)
    return fields.failure ?? make(table, asked, id, request)
  }
}

function changing<Kept extends Item>(table: Table<Kept>): AdminRoute['answer'] {
  return asked => {
    const fields = new Fields(asked)
    const id = fields.needed(table.idField)
    const request = readSaid(table, fields)
    return fields.failure ?? change(table, asked, id, request)
  }
}

function showing<Kept extends Item>(table: Table<Kept>, field: string): AdminRoute['answer'] {
  return async asked => {
    const fields = new Fields(asked)
    const id = fields.needed(field)
    if (fields.failure !== undefined) return fields.failure
    const shown = await show(table, asked, id)
    return shown instanceof Failure ? shown : shown.row
  }
}

/** Several by their ids, in the order in which they are named. */
function showingAll<Kept extends Item>(table: Table<Kept>, field: string): AdminRoute['answer'] {
  return async asked => {
    const ids = idsOf(new Fields(asked), field)
    if (ids instanceof Failure) return ids
    const rows: object[] = []
    for (const id of ids) {
      const shown = await show(table, asked, id)
      if (shown instanceof Failure) return shown
      rows.push(shown.row)
    }
    return rows
  }
}

function listing<Kept extends Item>(table: Table<Kept>): AdminRoute['answer'] {
  return async (asked: Asked): Promise<Told> => {
    const found = await listAll(table, asked, { size: 'page_size', fallback: 100 })
    return found instanceof Failure ? found : found.rows
  }
}

function removingOne<Kept extends Item>(table: Table<Kept>, field: string): AdminRoute['answer'] {
  return async asked => {
    const fields = new Fields(asked)
    const id = fields.needed(field)
    if (fields.failure !== undefined) return fields.failure
    const gone = await removeAll(table, asked, [id])
    return gone instanceof Failure ? gone : { deleted: gone }
  }
}

function blockingAll<Kept extends Item>(table: Table<Kept>, field: string, blocked: boolean): AdminRoute['answer'] {
  return async asked => {
    const ids = idsOf(new Fields(asked), field)
    if (ids instanceof Failure) return ids
    const rows: object[] = []
    for (const id of ids) {
      const row = await setBlocked(table, asked, id, blocked)
      if (row instanceof Failure) return row
      rows.push(row)
    }
    return { [blocked ? 'blocked_users' : 'unblocked_users']: rows }
  }
}

/** Under LiteLLM's older name too. */
function customerRoutes(prefix: '/customer' | '/end_user'): readonly AdminRoute[] {
  return [
    { method: 'POST', path: `${prefix}/new`, summary: 'Declare an end user', answer: making(CUSTOMER, true) },
    { method: 'GET', path: `${prefix}/info`, summary: 'An end user', answer: showing(CUSTOMER, 'end_user_id') },
    { method: 'POST', path: `${prefix}/update`, summary: 'Change an end user', answer: changing(CUSTOMER) },
    { method: 'POST', path: `${prefix}/delete`, summary: 'Delete end users', answer: removing(CUSTOMER, 'user_ids') },
    { method: 'GET', path: `${prefix}/list`, summary: 'End users, newest first', answer: listing(CUSTOMER) },
    {
      method: 'POST',
      path: `${prefix}/block`,
      summary: 'Block end users',
      answer: blockingAll(CUSTOMER, 'user_ids', true)
    },
    {
      method: 'POST',
      path: `${prefix}/unblock`,
      summary: 'Unblock end users',
      answer: blockingAll(CUSTOMER, 'user_ids', false)
    }
  ]
}

const showOrganization = showing(ORGANIZATION, 'organization_id')
const deleteOrganizations = removing(ORGANIZATION, 'organization_ids')

export const OWNER_ROUTES: readonly AdminRoute[] = [
  { method: 'POST', path: '/organization/new', summary: 'Make an organization', answer: making(ORGANIZATION, false) },
  { method: 'GET', path: '/organization/info', summary: 'An organization', answer: showOrganization },
  { method: 'PATCH', path: '/organization/update', summary: 'Change an organization', answer: changing(ORGANIZATION) },
  { method: 'DELETE', path: '/organization/delete', summary: 'Delete organizations', answer: deleteOrganizations },
  { method: 'GET', path: '/organization/list', summary: 'Organizations, newest first', answer: listing(ORGANIZATION) },
  ...customerRoutes('/customer'),
  ...customerRoutes('/end_user'),
  { method: 'POST', path: '/tag/new', summary: 'Declare a tag, to limit it', answer: making(TAG, true) },
  { method: 'POST', path: '/tag/update', summary: 'Change a tag', answer: changing(TAG) },
  { method: 'POST', path: '/tag/info', summary: 'Tags by name', answer: showingAll(TAG, 'names') },
  { method: 'GET', path: '/tag/list', summary: 'Tags, newest first', answer: listing(TAG) },
  { method: 'POST', path: '/tag/delete', summary: 'Delete a tag', answer: removingOne(TAG, 'name') },
  { method: 'POST', path: '/budget/new', summary: 'Make a budget that others share', answer: making(PLAN, false) },
  { method: 'POST', path: '/budget/info', summary: 'Budgets by id', answer: showingAll(PLAN, 'budgets') },
  { method: 'POST', path: '/budget/update', summary: 'Change a budget that others share', answer: changing(PLAN) },
  { method: 'GET', path: '/budget/list', summary: 'Budgets that others share', answer: listing(PLAN) },
  {
    method: 'POST',
    path: '/budget/delete',
    summary: 'Delete a budget that nobody uses',
    answer: removingOne(PLAN, 'id')
  }
]
