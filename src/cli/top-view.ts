// What `sluice top` shows: from two scrapes to a page.

import type { Colors } from 'picocolors/types.js'
import { table } from './output.ts'
import { printable } from './request-line.ts'
import type { Meanwhile } from './scrape.ts'

/** Rates are by the second; durations are seconds. What nobody measured is absent. */
export interface Top {
  readonly inflight: number
  readonly generation: number
  readonly config_rejected: boolean
  readonly up_for: number | undefined
  readonly requests: number
  readonly errors: number
  readonly input_tokens: number
  readonly output_tokens: number
  /** USD an hour, at the pace of now. */
  readonly cost_per_hour: number | undefined
  readonly models: readonly ModelRow[]
  readonly targets: readonly TargetRow[]
}

interface ModelRow {
  readonly model: string
  readonly requests: number
  readonly errors: number
  readonly p50: number | undefined
  readonly p95: number | undefined
  readonly first_token_p50: number | undefined
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cost_per_hour: number | undefined
}

interface TargetRow {
  readonly target: string
  readonly attempts: number
  readonly failures: number
  readonly inflight: number
  readonly waiting: number
  readonly cooling: number
}

const REQUESTS = 'gateway_requests_total'
const ATTEMPTS = 'gateway_upstream_attempts_total'
const TOKENS = 'gen_ai_client_token_usage_sum'
const COST = 'gateway_cost_usd_total'
const HOUR = 3600

export function summarize(meanwhile: Meanwhile, now: number): Top {
  const began = meanwhile.gauge('process_start_time_seconds')
  const names = meanwhile.values(REQUESTS, 'model')
  const targets = new Set([
    ...meanwhile.values('gateway_target_inflight', 'target'),
    ...meanwhile.values(ATTEMPTS, 'target')
  ])
  return {
    inflight: meanwhile.gauge('gateway_inflight') ?? 0,
    generation: meanwhile.gauge('gateway_config_generation') ?? 0,
    config_rejected: meanwhile.gauge('gateway_config_rejected') === 1,
    up_for: began === undefined ? undefined : Math.max(0, Math.round(now / 1000 - began)),
    requests: meanwhile.rate(REQUESTS) ?? 0,
    errors: meanwhile.rate(REQUESTS, { status: '5xx' }) ?? 0,
    input_tokens: meanwhile.rate(TOKENS, { gen_ai_token_type: 'input' }) ?? 0,
    output_tokens: meanwhile.rate(TOKENS, { gen_ai_token_type: 'output' }) ?? 0,
    cost_per_hour: hourly(meanwhile.rate(COST)),
    models: names.map(model => modelRow(meanwhile, model)).sort((a, b) => b.requests - a.requests),
    targets: [...targets].sort().map(target => targetRow(meanwhile, target))
  }
}

function modelRow(meanwhile: Meanwhile, model: string): ModelRow {
  const asked = { gen_ai_request_model: model }
  const duration = 'gen_ai_client_operation_duration_seconds'
  return {
    model,
    requests: meanwhile.rate(REQUESTS, { model }) ?? 0,
    errors: meanwhile.rate(REQUESTS, { model, status: '5xx' }) ?? 0,
    p50: meanwhile.quantile(0.5, duration, asked),
    p95: meanwhile.quantile(0.95, duration, asked),
    first_token_p50: meanwhile.quantile(0.5, 'gen_ai_server_time_to_first_token_seconds', asked),
    input_tokens: meanwhile.rate(TOKENS, { ...asked, gen_ai_token_type: 'input' }) ?? 0,
    output_tokens: meanwhile.rate(TOKENS, { ...asked, gen_ai_token_type: 'output' }) ?? 0,
    cost_per_hour: hourly(meanwhile.rate(COST, { model }))
  }
}

function targetRow(meanwhile: Meanwhile, target: string): TargetRow {
  return {
    target,
    attempts: meanwhile.rate(ATTEMPTS, { target }) ?? 0,
    failures: meanwhile.rate(ATTEMPTS, { target, outcome: 'failure' }) ?? 0,
    inflight: meanwhile.gauge('gateway_target_inflight', { target }) ?? 0,
    waiting: meanwhile.gauge('gateway_target_queue', { target }) ?? 0,
    cooling: meanwhile.gauge('gateway_target_cooling', { target }) ?? 0
  }
}

function hourly(rate: number | undefined): number | undefined {
  return rate === undefined ? undefined : rate * HOUR
}

/** As many lines as fit: busy ones first. */
export function renderTop(top: Top, url: string, lines: number, colors: Colors): string {
  const { up_for: up, cost_per_hour: cost } = top
  const head = [
    `${colors.bold('Sluice')} ${url}  generation ${top.generation}${up === undefined ? '' : `  up ${span(up)}`}`,
    `${rate(top.requests)} requests/s  ${percent(top.errors, top.requests)} errors  ${top.inflight} in flight  ` +
      `${rate(top.input_tokens)} tokens/s in, ${rate(top.output_tokens)} out${cost === undefined ? '' : `  ${dollars(cost)}/h`}`
  ]
  if (top.config_rejected) head.push(colors.red('The file on disk was refused; `sluice check` says why.'))
  const room = Math.max(2, lines - head.length - 5)
  const targets = fitting(top.targets, Math.max(1, Math.min(top.targets.length, Math.floor(room / 2))))
  const models = fitting(top.models, Math.max(1, room - targets.length))
  return [...head, '', ...modelLines(models, colors), '', ...targetLines(targets, colors)].join('\n')
}

function fitting<Row>(rows: readonly Row[], most: number): readonly Row[] {
  return rows.slice(0, most)
}

function modelLines(rows: readonly ModelRow[], colors: Colors): string[] {
  const titles = ['MODEL', 'REQ/S', 'ERRORS', 'P50', 'P95', 'TO FIRST', 'IN/S', 'OUT/S', 'USD/H']
  const cells = rows.map(row => [
    shortened(row.model),
    rate(row.requests),
    percent(row.errors, row.requests),
    duration(row.p50),
    duration(row.p95),
    duration(row.first_token_p50),
    rate(row.input_tokens),
    rate(row.output_tokens),
    row.cost_per_hour === undefined ? '' : dollars(row.cost_per_hour)
  ])
  return page(titles, cells, at => (rows[at]?.errors ?? 0) > 0, colors)
}

function targetLines(rows: readonly TargetRow[], colors: Colors): string[] {
  const titles = ['UPSTREAM', 'TRIES/S', 'FAILED', 'AT WORK', 'WAITING', 'STATE']
  const cells = rows.map(row => [
    shortened(row.target),
    rate(row.attempts),
    percent(row.failures, row.attempts),
    String(row.inflight),
    String(row.waiting),
    row.cooling > 0 ? 'left out' : ''
  ])
  return page(titles, cells, at => (rows[at]?.cooling ?? 0) > 0, colors)
}

function page(
  titles: readonly string[],
  cells: readonly (readonly string[])[],
  isBad: (row: number) => boolean,
  colors: Colors
): string[] {
  const [head = '', ...lines] = table([titles, ...cells]).split('\n')
  return [colors.dim(head), ...lines.map((line, at) => (isBad(at) ? colors.red(line) : line))]
}

const LONGEST = 40

/** Whoever named it, it goes to a terminal. */
function shortened(name: string): string {
  const clean = printable(name)
  return clean.length <= LONGEST ? clean : `${clean.slice(0, LONGEST - 1)}…`
}

function rate(value: number): string {
  return value === 0 ? '0' : value < 10 ? value.toFixed(1) : String(Math.round(value))
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${Math.round((1000 * part) / whole) / 10} %`
}

function duration(seconds: number | undefined): string {
  if (seconds === undefined) return '–'
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`
}

function dollars(value: number): string {
  return `$${value.toFixed(value < 1 ? 4 : 2)}`
}

function span(seconds: number): string {
  if (seconds < 120) return `${seconds} s`
  return seconds < 2 * HOUR ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / HOUR)} h`
}
