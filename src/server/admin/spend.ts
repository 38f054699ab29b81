// `/spend/*`: what was spent by whom. An administrator sees all of it, a key what it spent itself.

import { Failure } from '../../chat/failure.ts'
import { keyById } from '../../store/keys.ts'
import { countCalls, type LogFilter, type LoggedCall, listCalls } from '../../store/logs.ts'
import { reportSpend, type Sum, totalSpend } from '../../store/reports.ts'
import type { Scope } from '../../store/scopes.ts'
import type { AdminRoute, Asked, Told } from './asked.ts'
import { dollarsOf, Fields, invalid } from './fields.ts'
import { find } from './keys.ts'

const DAY = 86_400_000
const EVER = new Date(0)

/** A day as people say it ends when it is over. */
function readSpan(fields: Fields, fallback: { from: Date; to: Date }): { from: Date; to: Date } {
  const from = fields.time('start_date')
  const to = fields.time('end_date')
  const isDay = to !== undefined && to.getTime() % DAY === 0
  return { from: from ?? fallback.from, to: isDay ? new Date(to.getTime() + DAY) : (to ?? fallback.to) }
}

/** Whose calls: of an ordinary key, its own whatever it asks for. */
async function readFilter(asked: Asked, fields: Fields): Promise<LogFilter | Failure> {
  const { caller, store } = asked
  const reference = fields.word('api_key')
  const filter: LogFilter = {
    callId: fields.word('request_id'),
    userId: fields.word('user_id'),
    teamId: fields.word('team_id'),
    customerId: fields.word('end_user'),
    model: fields.word('model'),
    tag: fields.word('tag'),
    sessionId: fields.word('session_id'),
    status: fields.oneOf('status_filter', ['success', 'failure'])
  }
  if (!caller.master) return { ...filter, keyId: caller.id }
  if (reference === undefined) return filter
  const record = await find(store, asked, reference)
  return record instanceof Failure ? record : { ...filter, keyId: record.id }
}

function tellCall(call: LoggedCall): object {
  const [inputTokens, outputTokens] = [call.inputTokens ?? 0, call.outputTokens ?? 0]
  return {
    request_id: call.callId,
    call_type: call.route,
    api_key: call.keyId,
    key_alias: call.keyAlias,
    spend: dollarsOf(call.costNano),
    total_tokens: inputTokens + outputTokens,
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    cache_read_tokens: call.cacheReadTokens,
    cache_write_tokens: call.cacheWriteTokens,
    startTime: call.startedAt,
    endTime: call.settledAt,
    request_duration_ms: call.durationMs,
    model: call.model,
    model_group: call.requestedModel,
    model_id: call.target,
    custom_llm_provider: call.provider,
    user: call.userId,
    team_id: call.teamId,
    organization_id: call.organizationId,
    end_user: call.customerId,
    request_tags: call.tags,
    metadata: call.metadata,
    cache_hit: call.cache,
    session_id: call.sessionId,
    requester_ip_address: call.ip,
    status: call.status,
    attempts: call.attempts
  }
}

async function logs(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const span = readSpan(fields, { from: EVER, to: new Date(asked.at.getTime() + DAY) })
  const isDated = fields.word('start_date') !== undefined && fields.word('end_date') !== undefined
  const sums = fields.flag('summarize') ?? true
  const limit = fields.whole('limit', 1, 1_000) ?? 100
  const filter = await readFilter(asked, fields)
  if (fields.failure !== undefined) return fields.failure
  if (filter instanceof Failure) return filter
  if (isDated && sums && filter.callId === undefined) return byDay(asked, filter, span)
  const found = await listCalls(asked.store, { ...filter, ...span }, { limit })
  return found instanceof Failure ? found : found.items.map(tellCall)
}

/** LiteLLM's sums of days: what was spent on each, by user and by model. */
async function byDay({ store }: Asked, filter: LogFilter, { from, to }: { from: Date; to: Date }): Promise<Told> {
  if (to.getTime() - from.getTime() > 366 * DAY)
    return invalid('start_date', 'Sums of days are made for a year at most; ask with summarize=false for more.')
  const within = scopeOf(filter)
  const report = { within, limit: 1_000 }
  const days = await reportSpend(store, { ...report, by: 'day', from, to })
  if (days instanceof Failure) return days
  const told: object[] = []
  for (const { id, costNano } of days) {
    const begins = new Date(`${id}T00:00:00Z`)
    const day = { ...report, from: begins, to: new Date(begins.getTime() + DAY) }
    const [users, models] = await Promise.all([
      reportSpend(store, { ...day, by: 'user' }),
      reportSpend(store, { ...day, by: 'model' })
    ])
    if (users instanceof Failure) return users
    if (models instanceof Failure) return models
    told.push({ startTime: id, spend: dollarsOf(costNano), users: amounts(users), models: amounts(models) })
  }
  return told
}

function amounts(sums: readonly Sum[]): Readonly<Record<string, number>> {
  return Object.fromEntries(sums.map(({ id, costNano }) => [id, dollarsOf(costNano)]))
}

/** The narrowest of those that are named. */
function scopeOf({ keyId, userId, teamId, customerId, tag }: LogFilter): Scope | undefined {
  if (keyId !== undefined) return { kind: 'key', id: keyId }
  if (userId !== undefined) return { kind: 'user', id: userId }
  if (teamId !== undefined) return { kind: 'team', id: teamId }
  if (customerId !== undefined) return { kind: 'customer', id: customerId }
  return tag === undefined ? undefined : { kind: 'tag', id: tag }
}

async function pages(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const span = readSpan(fields, { from: EVER, to: new Date(asked.at.getTime() + DAY) })
  const { page, size } = fields.page(1_000, { size: 'page_size' })
  const said = await readFilter(asked, fields)
  if (fields.failure !== undefined) return fields.failure
  if (said instanceof Failure) return said
  const filter = { ...said, ...span }
  const [found, total] = await Promise.all([
    listCalls(asked.store, filter, { limit: size, offset: (page - 1) * size }),
    countCalls(asked.store, filter)
  ])
  if (found instanceof Failure) return found
  if (total instanceof Failure) return total
  return { data: found.items.map(tellCall), total, page, page_size: size, total_pages: Math.ceil(total / size) }
}

const GROUPS = ['key', 'team', 'user', 'organization', 'customer', 'tag', 'model', 'day'] as const

async function report(asked: Asked): Promise<Told> {
  const fields = new Fields(asked)
  const span = readSpan(fields, { from: new Date(asked.at.getTime() - 30 * DAY), to: new Date(asked.at.getTime() + 1) })
  const by = fields.oneOf('group_by', GROUPS) ?? 'day'
  const limit = fields.whole('limit', 1, 1_000) ?? 100
  const filter = await readFilter(asked, fields)
  if (fields.failure !== undefined) return fields.failure
  if (filter instanceof Failure) return filter
  const sums = await reportSpend(asked.store, { ...span, by, limit, within: scopeOf(filter) })
  if (sums instanceof Failure) return sums
  return { group_by: by, start_date: span.from, end_date: span.to, data: sums.map(tellSum) }
}

function tellSum(sum: Sum): object {
  return {
    id: sum.id,
    spend: dollarsOf(sum.costNano),
    saved: dollarsOf(sum.savedNano),
    requests: Number(sum.requests),
    failures: Number(sum.failures),
    prompt_tokens: Number(sum.inputTokens),
    completion_tokens: Number(sum.outputTokens),
    cache_read_tokens: Number(sum.cacheReadTokens),
    cache_write_tokens: Number(sum.cacheWriteTokens)
  }
}

/** Those that spent most, since there are counters. */
async function most(asked: Asked, by: 'key' | 'user' | 'team' | 'tag'): Promise<readonly Sum[] | Failure> {
  const fields = new Fields(asked)
  const span = readSpan(fields, { from: EVER, to: new Date(asked.at.getTime() + DAY) })
  const limit = fields.whole('limit', 1, 1_000) ?? 100
  return fields.failure ?? reportSpend(asked.store, { ...span, by, limit })
}

async function keys(asked: Asked): Promise<Told> {
  const sums = await most(asked, 'key')
  if (sums instanceof Failure) return sums
  const told: object[] = []
  for (const sum of sums) {
    // Of a key that was deleted the spend is still there.
    const record = await keyById(asked.store, sum.id)
    if (record instanceof Failure) return record
    const { name = null, alias = null, userId = null, teamId = null } = record ?? {}
    told.push({
      token: sum.id,
      key_name: name,
      key_alias: alias,
      user_id: userId,
      team_id: teamId,
      ...tellSum(sum),
      id: undefined
    })
  }
  return told
}

function owners(by: 'user' | 'team', idField: string): AdminRoute['answer'] {
  return async asked => {
    const sums = await most(asked, by)
    return sums instanceof Failure ? sums : sums.map(sum => ({ [idField]: sum.id, ...tellSum(sum), id: undefined }))
  }
}

async function tags(asked: Asked): Promise<Told> {
  const sums = await most(asked, 'tag')
  if (sums instanceof Failure) return sums
  return sums.map(({ id, requests, costNano }) => ({
    individual_request_tag: id,
    log_count: Number(requests),
    total_spend: dollarsOf(costNano)
  }))
}

async function total({ store }: Asked): Promise<Told> {
  const sums = await totalSpend(store, [{ kind: 'all', id: '' }])
  return sums instanceof Failure ? sums : { spend: dollarsOf(sums[0] ?? 0n), max_budget: 0 }
}

export const SPEND_ROUTES: readonly AdminRoute[] = [
  { method: 'GET', path: '/spend/logs', summary: 'Calls, or sums of days between two dates', own: true, answer: logs },
  { method: 'GET', path: '/spend/logs/v2', summary: 'Calls by page', own: true, answer: pages },
  { method: 'GET', path: '/spend/report', summary: 'Sums by day, model, key, team …', own: true, answer: report },
  { method: 'GET', path: '/spend/keys', summary: 'Keys by what they spent', answer: keys },
  { method: 'GET', path: '/spend/users', summary: 'Users by what they spent', answer: owners('user', 'user_id') },
  { method: 'GET', path: '/spend/teams', summary: 'Teams by what they spent', answer: owners('team', 'team_id') },
  { method: 'GET', path: '/spend/tags', summary: 'Tags by what was spent with them', answer: tags },
  { method: 'GET', path: '/global/spend', summary: 'What was spent in all', answer: total }
]
