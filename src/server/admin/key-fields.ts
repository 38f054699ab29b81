// A key as LiteLLM's clients write and read it.

import { isIP, isIPv6 } from 'node:net'
import type { Failure } from '../../chat/failure.ts'
import type { KeyPatch, KeyRecord } from '../../store/keys.ts'
import type { Row } from '../../store/values.ts'
import type { Fields } from './fields.ts'
import { invalid } from './fields.ts'
import { type Account, readTerms, type Terms, tellPlan, tellTerms } from './terms.ts'

export interface KeySaid {
  readonly patch: Omit<KeyPatch, 'limits' | 'settings'>
  readonly terms: Terms
}

/** What `/key/generate` and `/key/update` share. */
export function readKey(fields: Fields, at: Date): KeySaid {
  const duration = fields.duration('duration')
  const aliases = fields.object('aliases')
  if (!Object.values(aliases ?? {}).every(value => typeof value === 'string'))
    fields.fail(invalid('aliases', '`aliases` is {"name": "model"}.'))
  const type = fields.oneOf('key_type', ['default', 'llm_api'])
  const routes = fields.texts('allowed_routes')
  const metadata = fields.object('metadata')
  const patch = {
    alias: emptyIsNull(fields.text('key_alias')),
    models: fields.texts('models'),
    userId: emptyIsNull(fields.text('user_id')),
    teamId: emptyIsNull(fields.text('team_id')),
    organizationId: emptyIsNull(fields.text('organization_id')),
    expiresAt: duration === undefined || duration === null ? duration : new Date(at.getTime() + duration),
    aliases: aliases === null ? {} : aliases,
    tags: fields.texts('tags') ?? tagsIn(metadata),
    metadata: metadata === null ? {} : metadata,
    allowedRoutes: routes ?? (type === 'llm_api' ? ['llm_api_routes'] : undefined),
    allowedIps: readRanges(fields),
    blocked: fields.flag('blocked')
  }
  const terms = readTerms(fields)
  return { patch: { ...patch, planId: emptyIsNull(terms.planId) }, terms }
}

function emptyIsNull(text: string | null | undefined): string | null | undefined {
  return text === '' ? null : text
}

/** LiteLLM's clients put them there too. */
function tagsIn(metadata: Row | null | undefined): readonly string[] | undefined {
  const tags = metadata?.['tags']
  return Array.isArray(tags) && tags.every(tag => typeof tag === 'string') ? tags : undefined
}

function readRanges(fields: Fields): readonly string[] | undefined {
  const ranges = fields.texts('allowed_ips')
  const wrong = ranges?.find(range => !isRange(range))
  if (wrong === undefined) return ranges
  fields.fail(invalid('allowed_ips', `\`${wrong.slice(0, 50)}\` is neither an address nor a range such as 10.0.0.0/8.`))
  return undefined
}

function isRange(range: string): boolean {
  const [address = '', bits, ...more] = range.split('/')
  if (isIP(address) === 0 || address.includes('%') || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIPv6(address) ? 128 : 32))
}

/** Never with a digest of it. */
export function tellKey(record: KeyRecord, account: Account): Row {
  return {
    token: record.id,
    key_name: record.name,
    key_alias: record.alias,
    ...tellTerms(record, account),
    expires: record.expiresAt,
    models: record.models,
    aliases: record.aliases,
    config: {},
    permissions: {},
    user_id: record.userId,
    team_id: record.teamId,
    organization_id: record.organizationId,
    org_id: record.organizationId,
    metadata: record.metadata,
    tags: record.tags,
    allowed_routes: record.allowedRoutes,
    allowed_ips: record.allowedIps,
    blocked: record.blocked,
    budget_id: record.planId,
    litellm_budget_table: tellPlan(record.planId, account),
    rotation_count: record.rotations,
    last_rotation_at: record.rotatedAt,
    last_active: record.lastUsedAt,
    created_at: record.createdAt,
    created_by: record.createdBy,
    updated_at: record.updatedAt,
    updated_by: record.updatedBy
  }
}

/** A value of the operator's own, as LiteLLM lets them choose one. */
export function wrongOwnKey(key: string, masterKey: string | undefined): Failure | undefined {
  if (key === masterKey) return invalid('key', 'This is the master key.')
  if (!/^sk-[\x21-\x7e]{16,253}$/.test(key))
    return invalid('key', 'A key of your own begins with `sk-` and has 19 to 256 characters without spaces.')
  return undefined
}
