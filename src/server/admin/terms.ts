// Limits and budgets, as LiteLLM writes them and as the store keeps them: alike for keys, teams, users and all else.

import { Failure } from '../../chat/failure.ts'
import { newId } from '../../keys/secret.ts'
import { type Budget, type NewBudget, type Standing, standings, wrongWindow } from '../../store/budgets.ts'
import type { Queries } from '../../store/database.ts'
import type { Entity, Limits } from '../../store/entity.ts'
import { totalSpend } from '../../store/reports.ts'
import type { Scope, ScopeKind } from '../../store/scopes.ts'
import { asObject, type Row } from '../../store/values.ts'
import { windowBounds } from '../../store/windows.ts'
import { dollarsOf, type Fields, invalid, nanoOf } from './fields.ts'

type Kept = Pick<Budget, 'id' | 'model' | 'window' | 'limitNano' | 'softLimitNano'>
export type Wanted = Omit<NewBudget, 'scope'>

/** What is said of them in one request. Undefined stays as it is. */
export interface Terms {
  limits(before: Limits): Limits | undefined
  /** Undefined: nothing is said of budgets. */
  budgets(before: readonly Kept[], settings: Row): readonly Wanted[] | undefined
  /** The window that `max_budget` counts in: among several, nothing else says which. */
  readonly settings: Row | undefined
  readonly planId: string | null | undefined
}

interface Window {
  readonly window: string
  readonly limitNano: bigint
}

export function readTerms(fields: Fields): Terms {
  const [max, soft] = [fields.dollars('max_budget'), fields.dollars('soft_budget')]
  const duration = fields.text('budget_duration', 20)
  const more = readWindows(fields)
  const byModel = readModels(fields)
  const limits = readLimits(fields, byModel)
  const wrong = wrongWindow([...(duration ? [{ window: duration }] : []), ...(more ?? []), ...(byModel?.budgets ?? [])])
  if (wrong !== undefined) fields.fail(wrong)
  return {
    limits,
    settings: duration === undefined ? undefined : { budget_duration: duration },
    planId: fields.text('budget_id'),
    budgets: (before, settings) => {
      if ([max, soft, duration, more, byModel].every(said => said === undefined)) return undefined
      const main = mainOf(before, settings)
      const window = duration === undefined ? (main?.window ?? windowIn(settings)) : (duration ?? 'total')
      const limitNano = max === undefined ? main?.limitNano : max
      const softLimitNano = soft === undefined ? (main?.softLimitNano ?? null) : soft
      const others = before.filter(budget => budget.model === '' && budget !== main)
      return distinct([
        ...(limitNano === undefined || limitNano === null ? [] : [{ window, limitNano, softLimitNano }]),
        ...(more ?? others),
        ...(byModel?.budgets ?? before.filter(budget => budget.model !== ''))
      ])
    }
  }
}

function windowIn(settings: Row): string {
  const said = settings['budget_duration']
  return typeof said === 'string' ? said : 'total'
}

function mainOf<Item extends { readonly model: string; readonly window: string }>(
  budgets: readonly Item[],
  settings: Row
): Item | undefined {
  const own = budgets.filter(budget => budget.model === '')
  return own.find(budget => budget.window === windowIn(settings)) ?? (own.length === 1 ? own[0] : undefined)
}

/** One of each model and window: of two, the lower. */
function distinct(
  budgets: readonly (Window & {
    readonly model?: string | undefined
    readonly softLimitNano?: bigint | null | undefined
  })[]
): readonly Wanted[] {
  const found = new Map<string, Wanted>()
  for (const { model = '', window, limitNano, softLimitNano = null } of budgets) {
    const place = `${window} ${model}`
    const before = found.get(place)
    if (before === undefined || limitNano < before.limitNano)
      found.set(place, { id: newId(), model, window, limitNano, softLimitNano })
  }
  return [...found.values()]
}

/** Several windows at once: `[{budget_duration, max_budget}]`. */
function readWindows(fields: Fields): readonly Window[] | undefined {
  const rows = fields.objects('budget_limits')
  return rows?.map(row => {
    const window = row['budget_duration']
    const limitNano = dollarsIn(row['max_budget'])
    if (typeof window === 'string' && limitNano !== undefined) return { window, limitNano }
    fields.fail(invalid('budget_limits', 'Each of `budget_limits` is {"budget_duration": "1d", "max_budget": 5}.'))
    return { window: 'total', limitNano: 0n }
  })
}

interface Models {
  readonly budgets: readonly (Window & { readonly model: string })[]
  readonly limits: Readonly<Record<string, Limits>>
}

/** `{model: {budget_limit, time_period, rpm_limit, tpm_limit}}`, or with the names that other fields have. */
function readModels(fields: Fields): Models | undefined {
  const sent = fields.object('model_max_budget')
  if (sent === undefined) return undefined
  const budgets: Models['budgets'][number][] = []
  const limits: Record<string, Limits> = Object.create(null)
  for (const [model, value] of Object.entries(sent ?? {})) {
    const row = typeof value === 'number' ? { budget_limit: value } : asObject(value)
    const said = row['budget_limit'] ?? row['max_budget']
    const window = row['time_period'] ?? row['budget_duration'] ?? 'total'
    const limitNano = dollarsIn(said)
    const [rpm, tpm] = [row['rpm_limit'], row['tpm_limit']]
    const isGood = (said === undefined || limitNano !== undefined) && typeof window === 'string' && isRow(value)
    if (model === '' || !isGood || !isAmount(rpm) || !isAmount(tpm)) {
      fields.fail(
        invalid('model_max_budget', 'Each of `model_max_budget` is "model": {"budget_limit": 5, "time_period": "1d"}.')
      )
      return undefined
    }
    if (limitNano !== undefined) budgets.push({ model, window, limitNano })
    if (typeof rpm === 'number' || typeof tpm === 'number')
      limits[model] = { ...(typeof rpm === 'number' && { rpm }), ...(typeof tpm === 'number' && { tpm }) }
  }
  return { budgets, limits }
}

/** A bare number is a budget. */
function isRow(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'object' && value !== null && !Array.isArray(value))
}

function dollarsIn(value: unknown): bigint | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? nanoOf(value) : undefined
}

function isAmount(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'number' && Number.isInteger(value) && value >= 0)
}

const AMOUNTS = { rpm: 'rpm_limit', rpd: 'rpd_limit', tpm: 'tpm_limit', maxParallel: 'max_parallel_requests' } as const
type Amount = keyof typeof AMOUNTS
const OF_MODELS = { rpm: 'model_rpm_limit', tpm: 'model_tpm_limit' } as const

function readLimits(fields: Fields, byModel: Models | undefined): Terms['limits'] {
  const said = new Map<Amount, number | null>()
  for (const name of ['rpm', 'rpd', 'tpm', 'maxParallel'] as const) {
    const value = fields.whole(AMOUNTS[name])
    if (value !== undefined) said.set(name, value)
  }
  const models = (['rpm', 'tpm'] as const).map(name => ({ name, sent: fields.object(OF_MODELS[name]) }))
  for (const { name, sent } of models) {
    if (!Object.values(sent ?? {}).every(value => typeof value === 'number' && isAmount(value)))
      fields.fail(invalid(OF_MODELS[name], `\`${OF_MODELS[name]}\` is {"model": 60}.`))
  }
  return before => {
    if (said.size === 0 && byModel === undefined && models.every(({ sent }) => sent === undefined)) return undefined
    const { models: ofModels = {}, ...own } = before
    const next: Record<string, unknown> = { ...own }
    for (const [name, value] of said) {
      if (value === null) delete next[name]
      else next[name] = value
    }
    const merged = mergedModels(ofModels, byModel?.limits, models)
    return Object.keys(merged).length > 0 ? { ...next, models: merged } : next
  }
}

function mergedModels(
  before: NonNullable<Limits['models']>,
  byModel: Models['limits'] | undefined,
  said: readonly { readonly name: 'rpm' | 'tpm'; readonly sent: Row | null | undefined }[]
): Record<string, Limits> {
  const merged: Record<string, Limits> = Object.assign(Object.create(null), before)
  for (const [model, limits] of Object.entries(byModel ?? {})) merged[model] = { ...merged[model], ...limits }
  for (const { name, sent } of said) {
    if (sent === undefined) continue
    for (const [model, limits] of Object.entries(merged)) {
      const { [name]: _, ...rest } = limits
      merged[model] = rest
    }
    for (const [model, value] of Object.entries(sent ?? {}))
      if (typeof value === 'number') merged[model] = { ...merged[model], [name]: value }
  }
  return Object.fromEntries(Object.entries(merged).filter(([, limits]) => Object.keys(limits).length > 0))
}

/** How something stands: what it spent in all, and in each budget of its own and of its plan. */
export interface Account {
  readonly total: bigint
  readonly own: readonly Standing[]
  readonly plan: readonly Standing[]
}

type Planned = Entity & { readonly planId: string | null }

/** In two statements for all of them. */
export async function accountsOf(
  queries: Queries,
  kind: ScopeKind,
  items: readonly Planned[],
  at: Date
): Promise<ReadonlyMap<string, Account> | Failure> {
  const scopes: Scope[] = items.map(({ id }) => ({ kind, id }))
  const spenders = items.map(({ id, planId }) => ({ kind, id, planId }))
  const [totals, standing] = await Promise.all([totalSpend(queries, scopes), standings(queries, spenders, at)])
  if (totals instanceof Failure) return totals
  if (standing instanceof Failure) return standing
  return new Map(
    items.map(({ id }, place) => {
      const all = standing.filter(item => item.scope.id === id)
      const isPlan = (item: Standing) => item.budget.scope.kind === 'plan'
      return [id, { total: totals[place] ?? 0n, own: all.filter(item => !isPlan(item)), plan: all.filter(isPlan) }]
    })
  )
}

/** Of something that was made just now: nothing has been spent. */
export function freshAccount(scope: Scope, wanted: readonly Wanted[], at: Date): Account {
  const own = wanted.map(({ id, model = '', window, limitNano, softLimitNano = null }): Standing => {
    const { since, until } = windowBounds(window, at, at)
    const budget: Budget = {
      id,
      scope,
      model,
      window,
      limitNano,
      softLimitNano,
      extraNano: 0n,
      extraUntil: null,
      forgivenNano: 0n,
      forgivenSince: null,
      anchor: at
    }
    return { scope, budget, limitNano, spentNano: 0n, since, until }
  })
  return { total: 0n, own, plan: [] }
}

export const NO_ACCOUNT: Account = { total: 0n, own: [], plan: [] }

/** The fields of LiteLLM's that say limits, budgets and spend. */
export function tellTerms({ limits, settings }: Pick<Entity, 'limits' | 'settings'>, account: Account): Row {
  const own = account.own.map(({ budget, ...standing }) => ({
    ...standing,
    budget,
    model: budget.model,
    window: budget.window
  }))
  const main = mainOf(own, settings)
  const models = own.filter(item => item.model !== '')
  const said = settings['budget_duration']
  const perModel = (name: 'rpm' | 'tpm') =>
    Object.fromEntries(
      Object.entries(limits.models ?? {}).flatMap(([model, each]) =>
        each[name] === undefined ? [] : [[model, each[name]]]
      )
    )
  return {
    spend: dollarsOf(main?.spentNano ?? account.total),
    total_spend: dollarsOf(account.total),
    max_budget: main === undefined ? null : dollarsOf(main.limitNano),
    soft_budget: main === undefined || main.budget.softLimitNano === null ? null : dollarsOf(main.budget.softLimitNano),
    budget_duration:
      main !== undefined && main.window !== 'total' ? main.window : typeof said === 'string' ? said : null,
    budget_reset_at: main?.until ?? null,
    budget_limits: own
      .filter(item => item.model === '' && item !== main)
      .map(item => ({
        budget_duration: item.window,
        max_budget: dollarsOf(item.limitNano),
        spend: dollarsOf(item.spentNano),
        budget_reset_at: item.until ?? null
      })),
    model_max_budget: Object.fromEntries(
      models.map(item => [item.model, { budget_limit: dollarsOf(item.limitNano), time_period: item.window }])
    ),
    model_spend: Object.fromEntries(models.map(item => [item.model, dollarsOf(item.spentNano)])),
    tpm_limit: limits.tpm ?? null,
    rpm_limit: limits.rpm ?? null,
    rpd_limit: limits.rpd ?? null,
    max_parallel_requests: limits.maxParallel ?? null,
    model_rpm_limit: perModel('rpm'),
    model_tpm_limit: perModel('tpm')
  }
}

/** What comes from the plan that it shares, as LiteLLM nests it. */
export function tellPlan(planId: string | null, { plan }: Account): Row | null {
  if (planId === null) return null
  const [first] = plan.filter(({ budget }) => budget.model === '')
  return {
    budget_id: planId,
    max_budget: first === undefined ? null : dollarsOf(first.limitNano),
    budget_duration: first === undefined ? null : first.budget.window,
    budget_reset_at: first?.until ?? null,
    spend: first === undefined ? null : dollarsOf(first.spentNano)
  }
}
