// `/team/*`: teams, and who belongs to them.

import { Failure } from '../../chat/failure.ts'
import { newId } from '../../keys/secret.ts'
import type { Queries } from '../../store/database.ts'
import { listEntities } from '../../store/entity.ts'
import { KEYS } from '../../store/keys.ts'
import { type Member, membersOf, removeMembers, setMembers } from '../../store/members.ts'
import { USERS } from '../../store/scopes.ts'
import type { Row } from '../../store/values.ts'
import { type AdminRoute, type Asked, missing, noted, type Told, withNote } from './asked.ts'
import { Fields, invalid } from './fields.ts'
import { tellAll } from './keys.ts'
import { listAll, make, readSaid, removing, setBlocked, show, updating } from './scopes.ts'
import { TEAM } from './tables.ts'

interface SaidMember {
  readonly userId: string | undefined
  readonly email: string | undefined
  readonly role: Member['role']
}

/** `{role, user_id}`, one or several. */
function readMembers(fields: Fields, name: string): readonly SaidMember[] {
  return (fields.objects(name) ?? []).map(row => {
    const inner = new Fields({ sent: row, isQuery: false })
    const member = {
      userId: inner.word('user_id'),
      email: inner.word('user_email'),
      role: inner.oneOf('role', ['admin', 'user']) ?? 'user'
    }
    if (inner.failure !== undefined) fields.fail(inner.failure)
    else if (member.userId === undefined && member.email === undefined)
      fields.fail(invalid(name, `Each of \`${name}\` is {"role": "user", "user_id": "ann"}.`))
    return member
  })
}

/** Whoever is named by their address must be known by it. */
async function idOf(
  queries: Queries,
  { userId, email }: Pick<SaidMember, 'userId' | 'email'>
): Promise<string | Failure> {
  if (userId !== undefined) return userId
  const found = await listEntities(queries, USERS, { email }, { limit: 1 })
  if (found instanceof Failure) return found
  return found.items[0]?.id ?? missing('user', email ?? '', 'user_email')
}

async function join(queries: Queries, teamId: string, said: readonly SaidMember[]): Promise<Failure | undefined> {
  const members = new Map<string, Member>()
  for (const { role, ...who } of said) {
    const userId = await idOf(queries, who)
    if (userId instanceof Failure) return userId
    members.set(userId, { teamId, userId, role, limits: {}, settings: {} })
  }
  if (members.size === 0) return undefined
  const set = await setMembers(queries, [...members.values()])
  return set instanceof Failure ? set : undefined
}

function tellMembers(members: readonly Member[]): readonly Row[] {
  return members.map(({ userId, role }) => ({ user_id: userId, role }))
}

async function makeTeam(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const id = fields.word('team_id') ?? newId()
  const request = readSaid(TEAM, fields)
  const members = readMembers(fields, 'members_with_roles')
  if (fields.failure !== undefined) return fields.failure
  const row = await make(TEAM, asked, id, request, queries => join(queries, id, members))
  return row instanceof Failure ? row : withMembers(asked, id, row)
}

async function withMembers({ store }: Asked, teamId: string, row: Row): Promise<Row | Failure> {
  const members = await membersOf(store, { teamId })
  return members instanceof Failure ? members : { ...row, members_with_roles: tellMembers(members) }
}

async function info(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const id = fields.needed('team_id')
  if (fields.failure !== undefined) return fields.failure
  const shown = await show(TEAM, asked, id)
  if (shown instanceof Failure) return shown
  const row = await withMembers(asked, id, shown.row)
  const records = await listEntities(asked.store, KEYS, { teamId: id }, { limit: 1_000 })
  if (records instanceof Failure) return records
  const keys = await tellAll(asked, records.items)
  if (row instanceof Failure) return row
  return keys instanceof Failure ? keys : { team_id: id, team_info: row, keys, team_memberships: [] }
}

async function list(asked: Asked): Promise<Told> {
  const found = await listAll(TEAM, asked, { size: 'page_size', fallback: 100 })
  return found instanceof Failure ? found : found.rows
}

async function listPaged(asked: Asked): Promise<Told> {
  const found = await listAll(TEAM, asked, { size: 'page_size' })
  if (found instanceof Failure) return found
  const { rows: teams, total, page, size } = found
  return { teams, total, page, page_size: size, total_pages: Math.ceil(total / size) }
}

function blocking(blocked: boolean): AdminRoute['answer'] {
  return asked => {
    const fields = new Fields(asked)
    const id = fields.needed('team_id')
    return fields.failure ?? setBlocked(TEAM, asked, id, blocked)
  }
}

/** Changes who belongs to a team, and tells the team as it then is. */
async function changeMembers(
  asked: Asked,
  id: string,
  action: string,
  run: (queries: Queries) => Promise<Failure | undefined>
): Promise<Told> {
  const done = await withNote(asked, async queries => {
    const team = await TEAM.find(queries, id)
    if (team instanceof Failure) return team
    if (team === undefined) return missing('team', id, 'team_id')
    const before = await membersOf(queries, { teamId: id })
    if (before instanceof Failure) return before
    const failure = await run(queries)
    if (failure !== undefined) return failure
    const after = await membersOf(queries, { teamId: id })
    if (after instanceof Failure) return after
    const [was, is] = [before, after].map(members => ({ members: tellMembers(members) }))
    return { result: id, note: noted(asked, { action, kind: 'team', target: id, before: was, after: is }) }
  })
  if (done instanceof Failure) return done
  const shown = await show(TEAM, asked, id)
  return shown instanceof Failure ? shown : withMembers(asked, id, shown.row)
}

async function add(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const id = fields.needed('team_id')
  const members = readMembers(fields, 'member')
  if (fields.failure !== undefined) return fields.failure
  if (members.length === 0) return invalid('member', 'Say who: {"member": {"role": "user", "user_id": "ann"}}.')
  return changeMembers(asked, id, 'member-add', queries => join(queries, id, members))
}

/** Of somebody who belongs to the team already. */
function ofMember(
  action: string,
  run: (queries: Queries, teamId: string, userId: string, fields: Fields) => Promise<Failure | undefined>
): AdminRoute['answer'] {
  return asked => {
    const fields = new Fields(asked)
    const id = fields.needed('team_id')
    const who = { userId: fields.word('user_id'), email: fields.word('user_email') }
    fields.oneOf('role', ['admin', 'user'])
    if (fields.failure !== undefined) return fields.failure
    if (who.userId === undefined && who.email === undefined) return invalid('user_id', 'Say who: {"user_id": "ann"}.')
    return changeMembers(asked, id, action, async queries => {
      const userId = await idOf(queries, who)
      if (userId instanceof Failure) return userId
      const members = await membersOf(queries, { teamId: id })
      if (members instanceof Failure) return members
      if (!members.some(member => member.userId === userId)) return missing('member', userId, 'user_id')
      return run(queries, id, userId, fields)
    })
  }
}

const leave = ofMember('member-delete', async (queries, teamId, userId) => {
  const gone = await removeMembers(queries, teamId, [userId])
  return gone instanceof Failure ? gone : undefined
})

const promote = ofMember('member-update', (queries, teamId, userId, fields) =>
  join(queries, teamId, [{ userId, email: undefined, role: fields.oneOf('role', ['admin', 'user']) ?? 'user' }])
)

export const TEAM_ROUTES: readonly AdminRoute[] = [
  { method: 'POST', path: '/team/new', summary: 'Make a team', answer: makeTeam },
  { method: 'GET', path: '/team/info', summary: 'A team with its members and keys', answer: info },
  { method: 'POST', path: '/team/update', summary: 'Change a team', answer: updating(TEAM) },
  {
    method: 'POST',
    path: '/team/delete',
    summary: 'Delete teams and their keys',
    answer: removing(TEAM, 'team_ids', 'deleted_teams')
  },
  { method: 'GET', path: '/team/list', summary: 'Teams, newest first', answer: list },
  { method: 'GET', path: '/v2/team/list', summary: 'Teams by page', answer: listPaged },
  { method: 'POST', path: '/team/block', summary: 'Block all keys of a team', answer: blocking(true) },
  { method: 'POST', path: '/team/unblock', summary: 'Unblock a team', answer: blocking(false) },
  { method: 'POST', path: '/team/member_add', summary: 'Add members to a team', answer: add },
  { method: 'POST', path: '/team/member_delete', summary: 'Take a member out of a team', answer: leave },
  { method: 'POST', path: '/team/member_update', summary: 'Change the role of a member', answer: promote }
]
