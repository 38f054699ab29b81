// Who belongs to which team, and what the team gives each.

import { Failure } from '../chat/failure.ts'
import { telling } from './changes.ts'
import type { Queries } from './database.ts'
import { type Limits, readLimits } from './entity.ts'
import { object, type Row, text } from './values.ts'

export interface Member {
  readonly teamId: string
  readonly userId: string
  readonly role: 'admin' | 'user'
  readonly limits: Limits
  readonly settings: Row
}

const COLUMNS = 'team_id, user_id, role, limits, settings'
const TELLING = telling('member', "'team:' || team_id")

/** One that is a member already is changed. */
export async function setMembers(queries: Queries, members: readonly Member[]): Promise<readonly Member[] | Failure> {
  const rows = await queries.query(
    `insert into sluice.members (${COLUMNS})
     select "teamId", "userId", role, limits, settings from jsonb_to_recordset($1::jsonb)
     as member ("teamId" text, "userId" text, role text, limits jsonb, settings jsonb)
     on conflict (team_id, user_id) do update
     set role = excluded.role, limits = excluded.limits, settings = excluded.settings
     returning ${COLUMNS}, ${TELLING}`,
    [members]
  )
  return rows instanceof Failure ? rows : rows.map(readMember)
}

export async function removeMembers(
  queries: Queries,
  teamId: string,
  userIds: readonly string[]
): Promise<readonly Member[] | Failure> {
  const rows = await queries.query(
    `delete from sluice.members where team_id = $1 and user_id in (select jsonb_array_elements_text($2::jsonb))
     returning ${COLUMNS}, ${TELLING}`,
    [teamId, userIds]
  )
  return rows instanceof Failure ? rows : rows.map(readMember)
}

export async function membersOf(
  queries: Queries,
  of: { readonly teamId: string } | { readonly userId: string }
): Promise<readonly Member[] | Failure> {
  const [column, id] = 'teamId' in of ? ['team_id', of.teamId] : ['user_id', of.userId]
  const rows = await queries.query(
    `select ${COLUMNS} from sluice.members where ${column} = $1 order by team_id, user_id`,
    [id]
  )
  return rows instanceof Failure ? rows : rows.map(readMember)
}

function readMember(row: Row): Member {
  return {
    teamId: text(row, 'team_id'),
    userId: text(row, 'user_id'),
    role: row['role'] === 'admin' ? 'admin' : 'user',
    limits: readLimits(object(row, 'limits')),
    settings: object(row, 'settings')
  }
}
