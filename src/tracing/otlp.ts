// Spans as OTLP writes them in JSON: OpenTelemetry's names, and ours (`gateway.…`) for what it has none for. Written by hand and not by
// the official packages, which are 33 MB and take 31 µs a span. Nothing of a conversation stands in them, nor of an upstream's words.

import type { AttemptSpan, HookEvent, Outcome, RequestSpans } from './request-spans.ts'

const SERVER = 2
const CLIENT = 3
const ERROR = 2

/** Ours to OpenTelemetry's, where they differ. */
const OPERATIONS: Readonly<Record<string, string>> = { completions: 'text_completion', 'count-tokens': 'count_tokens' }
const PROVIDERS: Readonly<Record<string, string>> = {
  'azure-openai': 'azure.ai.openai',
  bedrock: 'aws.bedrock',
  gemini: 'gcp.gemini',
  mistral: 'mistral_ai',
  moonshot: 'moonshot_ai',
  'vertex-ai': 'gcp.vertex_ai',
  xai: 'x_ai'
}

/** The spans of a request, in the order in which they began. `clock`: what `performance.now()` was at the epoch, negated. */
export function encodeSpans(spans: RequestSpans, outcome: Outcome, clock: number): string[] {
  return [serverSpan(spans, outcome, clock), ...spans.attempts.map((_, at) => attemptSpan(spans, at, outcome, clock))]
}

/** A request that the collector takes. */
export function encodeExport(
  resource: Readonly<Record<string, string>>,
  version: string,
  spans: readonly string[]
): string {
  const attributes = Object.entries(resource).map(([name, value]) => text(name, value))
  const scope = `{"name":"sluice","version":${JSON.stringify(version)}}`
  return `{"resourceSpans":[{"resource":{"attributes":[${attributes}]},"scopeSpans":[{"scope":${scope},"spans":[${spans}]}]}]}`
}

function serverSpan(spans: RequestSpans, outcome: Outcome, clock: number): string {
  const { incoming, parentId, events } = spans
  const { method = 'POST', endpoint, operation, receivedAt } = incoming
  const attributes = [
    text('http.request.method', method),
    text('http.route', endpoint),
    whole('http.response.status_code', outcome.status),
    text('gen_ai.operation.name', OPERATIONS[operation] ?? operation),
    text('gateway.call.id', outcome.id),
    whole('gateway.config.generation', outcome.generation),
    fraction('gateway.overhead', outcome.overheadMilliseconds / 1000)
  ]
  if (outcome.model !== undefined) attributes.push(text('gen_ai.request.model', outcome.model))
  if (outcome.stream) attributes.push(yes('gen_ai.request.stream'))
  if (outcome.route !== undefined) attributes.push(text('gateway.route', outcome.route))
  if (outcome.cost !== undefined) attributes.push(fraction('gateway.cost', outcome.cost))
  if (outcome.waitedMilliseconds !== undefined)
    attributes.push(fraction('gateway.waited', outcome.waitedMilliseconds / 1000))
  // As HTTP's conventions have it, a request that was refused is no error of the server's.
  const failed = outcome.status >= 500 || (outcome.failure !== undefined && outcome.status < 400)
  if (outcome.failure !== undefined) attributes.push(text('error.type', outcome.failure))
  else if (outcome.clientGone) attributes.push(text('error.type', 'client_gone'))
  return span(spans, {
    spanId: spans.spanId,
    parentId,
    name: `${method} ${endpoint}`,
    kind: SERVER,
    start: clock + receivedAt,
    end: clock + receivedAt + outcome.milliseconds,
    attributes,
    events: events.map(event => hookEvent(event, clock)),
    failed
  })
}

function attemptSpan(spans: RequestSpans, at: number, outcome: Outcome, clock: number): string {
  const { spanId, asked, model, startedAt } = spans.attempts[at] as AttemptSpan
  const { operation, receivedAt } = spans.incoming
  const ended = outcome.attempts[at]
  const isLast = at === spans.attempts.length - 1
  const name = OPERATIONS[operation] ?? operation
  const attributes = [
    text('gen_ai.operation.name', name),
    text('gen_ai.provider.name', PROVIDERS[asked.provider] ?? asked.provider),
    text('gateway.target', asked.name),
    ...serverOf(asked.origin)
  ]
  if (model !== undefined) attributes.push(text('gen_ai.request.model', model))
  if (outcome.stream) attributes.push(yes('gen_ai.request.stream'))
  if (isLast) attributes.push(...measured(outcome, receivedAt - startedAt))
  const reason = ended?.reason ?? 'ok'
  if (reason !== 'ok') attributes.push(text('error.type', reason))
  return span(spans, {
    spanId,
    parentId: spans.spanId,
    name: model === undefined ? name : `${name} ${model}`,
    kind: CLIENT,
    start: clock + startedAt,
    end: clock + startedAt + (ended?.milliseconds ?? 0),
    attributes,
    events: [],
    failed: reason !== 'ok' && reason !== 'aborted'
  })
}

/** What only the answer tells. `head`: how long the request had been here when the attempt began, negated. */
function measured({ usage, stream, firstByteMilliseconds: first }: Outcome, head: number): string[] {
  const attributes: string[] = []
  if (stream && first !== undefined)
    attributes.push(fraction('gen_ai.response.time_to_first_chunk', Math.max(0, first + head) / 1000))
  if (usage === undefined) return attributes
  attributes.push(whole('gen_ai.usage.input_tokens', usage.input), whole('gen_ai.usage.output_tokens', usage.output))
  if (usage.cacheRead > 0) attributes.push(whole('gen_ai.usage.cache_read.input_tokens', usage.cacheRead))
  if (usage.cacheWrite > 0) attributes.push(whole('gen_ai.usage.cache_creation.input_tokens', usage.cacheWrite))
  if (usage.reasoning > 0) attributes.push(whole('gen_ai.usage.reasoning.output_tokens', usage.reasoning))
  return attributes
}

function serverOf(origin: string): string[] {
  if (!URL.canParse(origin)) return []
  const { hostname, port, protocol } = new URL(origin)
  if (hostname === '') return []
  return [text('server.address', hostname), whole('server.port', Number(port) || (protocol === 'https:' ? 443 : 80))]
}

function hookEvent({ hook, phase, at, milliseconds, failed }: HookEvent, clock: number): string {
  const attributes = [
    text('gateway.hook.name', hook),
    text('gateway.hook.phase', phase),
    fraction('gateway.hook.duration', milliseconds / 1000)
  ]
  if (failed) attributes.push(text('error.type', 'hook_failed'))
  return `{"timeUnixNano":"${nanoseconds(clock + at)}","name":"gateway.hook","attributes":[${attributes}]}`
}

interface Span {
  readonly spanId: string
  readonly parentId: string | undefined
  readonly name: string
  readonly kind: number
  /** Milliseconds since 1970. */
  readonly start: number
  readonly end: number
  readonly attributes: readonly string[]
  readonly events: readonly string[]
  readonly failed: boolean
}

function span({ traceId }: RequestSpans, told: Span): string {
  const parent = told.parentId === undefined ? '' : `,"parentSpanId":"${told.parentId}"`
  const events = told.events.length === 0 ? '' : `,"events":[${told.events}]`
  const status = told.failed ? `,"status":{"code":${ERROR}}` : ''
  return (
    `{"traceId":"${traceId}","spanId":"${told.spanId}"${parent},"name":${quoted(told.name)},"kind":${told.kind},` +
    `"startTimeUnixNano":"${nanoseconds(told.start)}","endTimeUnixNano":"${nanoseconds(told.end)}",` +
    `"attributes":[${told.attributes}]${events}${status}}`
  )
}

/** Microseconds are whole numbers to a double, nanoseconds since 1970 are not. */
function nanoseconds(milliseconds: number): string {
  return `${Math.round(milliseconds * 1000)}000`
}

function text(name: string, value: string): string {
  return `{"key":"${name}","value":{"stringValue":${quoted(value)}}}`
}

function whole(name: string, value: number): string {
  return `{"key":"${name}","value":{"intValue":"${Math.round(value)}"}}`
}

function fraction(name: string, value: number): string {
  return `{"key":"${name}","value":{"doubleValue":${Math.round(value * 1e9) / 1e9}}}`
}

function yes(name: string): string {
  return `{"key":"${name}","value":{"boolValue":true}}`
}

/** Nothing in it that JSON would have to escape. */
const PLAIN = /^[\w .:/@+*~=-]*$/

function quoted(value: string): string {
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value)
}
