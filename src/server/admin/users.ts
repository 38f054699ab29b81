// `/user/*`: users, who may get a key with their account.

import { Failure } from '../../chat/failure.ts'
import { newId } from '../../keys/secret.ts'
import type { Queries } from '../../store/database.ts'
import { listEntities } from '../../store/entity.ts'
import { KEYS } from '../../store/keys.ts'
import { membersOf, setMembers } from '../../store/members.ts'
import type { Row } from '../../store/values.ts'
import type { AdminRoute, Asked, Told } from './asked.ts'
import { Fields } from './fields.ts'
import { makeKey, tellAll } from './keys.ts'
import { listAll, make, NO_TERMS, readSaid, removing, show, updating } from './scopes.ts'
import { TEAM, USER } from './tables.ts'

async function makeUser(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const id = fields.word('user_id') ?? newId()
  const request = readSaid(USER, fields)
  const teams = fields.texts('teams') ?? []
  const wantsKey = fields.flag('auto_create_key') ?? true
  const [alias, duration] = [fields.word('key_alias'), fields.duration('duration')]
  if (fields.failure !== undefined) return fields.failure
  const expiresAt = typeof duration === 'number' ? new Date(asked.at.getTime() + duration) : undefined
  let key: Row = {}
  const row = await make(USER, asked, id, request, async queries => {
    const joined = await join(queries, id, teams)
    if (joined !== undefined || !wantsKey) return joined
    // The user's own limits bind the key, so it needs none itself.
    const made = await makeKey(queries, asked, { patch: { userId: id, alias, expiresAt }, terms: NO_TERMS })
    if (made instanceof Failure) return made
    key = made
    return undefined
  })
  return row instanceof Failure ? row : { ...key, ...row, teams }
}

async function join(queries: Queries, userId: string, teams: readonly string[]): Promise<Failure | undefined> {
  if (teams.length === 0) return undefined
  const members = teams.map(teamId => ({ teamId, userId, role: 'user' as const, limits: {}, settings: {} }))
  const set = await setMembers(queries, members)
  return set instanceof Failure ? set : undefined
}

async function info(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const id = fields.needed('user_id')
  if (fields.failure !== undefined) return fields.failure
  const shown = await show(USER, asked, id)
  if (shown instanceof Failure) return shown
  const records = await listEntities(asked.store, KEYS, { userId: id }, { limit: 1_000 })
  if (records instanceof Failure) return records
  const keys = await tellAll(asked, records.items)
  if (keys instanceof Failure) return keys
  const teams = await teamsOf(asked, id)
  return teams instanceof Failure ? teams : { user_id: id, user_info: shown.row, keys, teams }
}

async function teamsOf(asked: Asked, userId: string): Promise<readonly Row[] | Failure> {
  const members = await membersOf(asked.store, { userId })
  if (members instanceof Failure) return members
  const teams: Row[] = []
  for (const { teamId, role } of members) {
    const team = await TEAM.find(asked.store, teamId)
    if (team instanceof Failure) return team
    if (team !== undefined) teams.push({ team_id: teamId, team_alias: team.alias, role })
  }
  return teams
}

async function list(asked: Asked): Promise<Told> {
  const found = await listAll(USER, asked, { size: 'page_size', fallback: 25 })
  if (found instanceof Failure) return found
  const { rows: users, total, page, size } = found
  return { users, total, page, page_size: size, total_pages: Math.ceil(total / size) }
}

export const USER_ROUTES: readonly AdminRoute[] = [
  { method: 'POST', path: '/user/new', summary: 'Make a user, with a key', answer: makeUser },
  { method: 'GET', path: '/user/info', summary: 'A user with their keys and teams', answer: info },
  { method: 'POST', path: '/user/update', summary: 'Change a user', answer: updating(USER) },
  {
    method: 'POST',
    path: '/user/delete',
    summary: 'Delete users and their keys',
    answer: removing(USER, 'user_ids', 'deleted_users')
  },
  { method: 'GET', path: '/user/list', summary: 'Users by page', answer: list }
]
