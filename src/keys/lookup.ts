// From a key as it was sent to who it belongs to, by the store.

import { BlockList, isIPv6 } from 'node:net'
import { Failure } from '../chat/failure.ts'
import { standings } from '../store/budgets.ts'
import type { Queries } from '../store/database.ts'
import { type Entity, findEntity, type Shape } from '../store/entity.ts'
import { type KeyRecord, keyById, keyByLitellmHash } from '../store/keys.ts'
import { ORGANIZATIONS, PLANS, TAGS, TEAMS, USERS } from '../store/scopes.ts'
import { type Binding, boundsOf } from './bounds.ts'
import type { Caller, ModelList } from './caller.ts'
import { Patterns } from './patterns.ts'
import { routesOf } from './routes.ts'
import { type Digest, fingerprint, isSecretOf, partsOf } from './secret.ts'

export interface Found {
  readonly caller: Caller
  /** When this very secret ends; the key may go on with another. Infinity: when the key does. */
  readonly until: number
}

/** The key's row, and until when what was sent opens it. */
export interface Owned {
  readonly record: KeyRecord
  readonly until: number
}

/** Undefined: nobody has this key. */
export async function recordOf(
  queries: Queries,
  credential: string,
  digest: Digest,
  at: number
): Promise<Owned | undefined | Failure> {
  const parts = partsOf(credential)
  if (parts !== undefined) {
    const record = await keyById(queries, parts.id)
    if (record instanceof Failure) return record
    if (record !== undefined) return ownedBy(record, parts.secret, digest, at)
  }
  const record = await keyByLitellmHash(queries, fingerprint(credential))
  if (record === undefined || record instanceof Failure) return record
  return { record, until: record.litellmUntil?.getTime() ?? Number.POSITIVE_INFINITY }
}

function ownedBy(record: KeyRecord, secret: string, digest: Digest, at: number): Owned | undefined {
  const { id, hash, previousHash, previousUntil } = record
  const isCurrent = isSecretOf(id, secret, hash, digest)
  const isPrevious = isSecretOf(id, secret, previousHash, digest)
  if (isCurrent) return { record, until: Number.POSITIVE_INFINITY }
  const until = previousUntil?.getTime() ?? 0
  return isPrevious && until > at ? { record, until } : undefined
}

export async function callerOf(
  queries: Queries,
  credential: string,
  digest: Digest,
  at: number
): Promise<Found | undefined | Failure> {
  const owned = await recordOf(queries, credential, digest, at)
  if (owned === undefined || owned instanceof Failure) return owned
  const { record, until } = owned
  const bindings = await bindingsOf(queries, record)
  if (bindings instanceof Failure) return bindings
  const spenders = bindings.map(({ scope, entity, plan }) => ({ kind: scope, id: entity.id, planId: plan?.id }))
  const standing = await standings(queries, spenders, new Date(at))
  if (standing instanceof Failure) return standing
  return { caller: assemble(record, bindings, boundsOf(bindings, standing)), until }
}

type Planned = Entity & { readonly planId: string | null }

/** The key and everything above it. A user that was never declared binds nothing. */
async function bindingsOf(queries: Queries, record: KeyRecord): Promise<readonly Binding[] | Failure> {
  const find = <Item extends Entity>(shape: Shape<Item>, id: string | null | undefined) =>
    id === null || id === undefined ? undefined : findEntity(queries, shape, id)
  const [team, user, ...tags] = await Promise.all([
    find(TEAMS, record.teamId),
    find(USERS, record.userId),
    ...record.tags.map(tag => find(TAGS, tag))
  ])
  if (team instanceof Failure) return team
  if (user instanceof Failure) return user
  const organization = await find(ORGANIZATIONS, record.organizationId ?? team?.organizationId ?? user?.organizationId)
  const scopes: [Binding['scope'], Planned | undefined | Failure][] = [
    ['key', record],
    ['user', user],
    ['team', team],
    ['organization', organization],
    ...tags.map((tag): [Binding['scope'], Planned | undefined | Failure] => ['tag', tag])
  ]
  const bindings: Promise<Binding | Failure>[] = []
  for (const [scope, entity] of scopes) {
    if (entity instanceof Failure) return entity
    if (entity !== undefined) bindings.push(withPlan(queries, scope, entity))
  }
  const found: Binding[] = []
  for (const binding of await Promise.all(bindings)) {
    if (binding instanceof Failure) return binding
    found.push(binding)
  }
  return found
}

async function withPlan(queries: Queries, scope: Binding['scope'], entity: Planned): Promise<Binding | Failure> {
  const plan = entity.planId === null ? undefined : await findEntity(queries, PLANS, entity.planId)
  return plan instanceof Failure ? plan : { scope, entity, plan }
}

function assemble(record: KeyRecord, bindings: readonly Binding[], bounds: Caller['bounds']): Caller {
  const { alias, userId, teamId, aliases, allowedIps } = record
  const organization = bindings.find(({ scope }) => scope === 'organization')?.entity.id ?? record.organizationId
  const renamed = Object.entries(aliases).filter((pair): pair is [string, string] => typeof pair[1] === 'string')
  return Object.freeze({
    id: record.id,
    master: false,
    ...(alias !== null && { alias }),
    ...(userId !== null && { userId }),
    ...(teamId !== null && { teamId }),
    ...(organization !== null && { organizationId: organization }),
    models: modelListsOf(bindings),
    aliases: new Map(renamed),
    routes: routesOf(record.allowedRoutes),
    ipRanges: rangesOf(allowedIps),
    expires: record.expiresAt?.getTime() ?? Number.POSITIVE_INFINITY,
    blocked: bindings.map(blockOf).find(scope => scope !== undefined),
    tags: record.tags,
    bounds
  })
}

/** LiteLLM's words for everything; `all-team-models` on a key is what its team says anyway. */
const ALL: ReadonlySet<string> = new Set(['*', 'all-proxy-models', 'all-team-models'])

function modelListsOf(bindings: readonly Binding[]): readonly ModelList[] {
  const lists: ModelList[] = []
  for (const { scope, entity } of bindings) {
    if (scope === 'tag' || scope === 'customer') continue
    // What a user may use by themselves says nothing of the team's keys.
    if (scope === 'user' && bindings.some(binding => binding.scope === 'team')) continue
    const list = modelListOf(scope, entity.models)
    if (list !== undefined) lists.push(list)
  }
  return lists
}

/** Undefined: all of them. */
export function modelListOf(scope: ModelList['scope'], models: readonly string[]): ModelList | undefined {
  const isAll = models.length === 0 || models.some(model => ALL.has(model))
  return isAll ? undefined : { scope, patterns: new Patterns(models) }
}

function blockOf({ scope, entity }: Binding): Caller['blocked'] {
  return entity.blocked && scope !== 'tag' && scope !== 'customer' ? scope : undefined
}

/** Addresses and ranges (`10.0.0.0/8`); what is neither is refused when it is written. */
function rangesOf(allowed: readonly string[]): BlockList | undefined {
  if (allowed.length === 0) return undefined
  const ranges = new BlockList()
  for (const range of allowed) {
    const [address = '', bits] = range.split('/')
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    if (bits === undefined) ranges.addAddress(address, family)
    else ranges.addSubnet(address, Number(bits), family)
  }
  return ranges
}
