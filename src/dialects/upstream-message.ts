// Reads what an upstream said when it failed. Every server has its own shape for that, and proxies before it have
// theirs, so the reader is loose and neutral; a dialect's folder adds what only its servers say.
import { Failure, type FailureDetails, type FailureKind } from '../chat/failure.ts'
import { readContextLimit } from './context-limit.ts'

const QUOTED = 500

export interface UpstreamMessage {
  readonly message: string
  readonly code: string
  readonly type: string
  readonly field: string
  /** The error object itself, where there was one. */
  readonly error: unknown
  /** A status the text itself names. */
  readonly status: number | undefined
}

/** What an upstream's body says, in whatever shape it says it. */
export function readUpstreamMessage(text: string): UpstreamMessage {
  const body = parsed(text)
  // Gemini wraps the error of a stream in an array.
  const outer = fields(Array.isArray(body) ? body[0] : body)
  // Responses has it below `response`, when the stream had begun.
  const error = outer['error'] ?? fields(outer['response'])['error'] ?? outer
  const inner = fields(error)
  const message =
    (typeof body === 'string' ? body : undefined) ??
    words(error) ??
    words(inner['message']) ??
    words(inner['msg']) ??
    words(inner['detail']) ??
    words(outer['message']) ??
    words(outer['detail']) ??
    words(fields(inner['metadata'])['raw'])
  return {
    message: presentable(message ?? (body === undefined ? plain(text) : '')),
    code: words(inner['code']) ?? words(fields(inner['details'])['error_code']) ?? '',
    type: words(inner['type']) ?? words(inner['status']) ?? '',
    field: words(inner['param']) ?? '',
    error,
    status: [inner['code'], inner['status'], outer['status'], outer['code']].find(isStatus)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function isStatus(value: unknown): value is number {
  return typeof value === 'number' && value >= 400 && value <= 599
}

/** Text, or FastAPI's list of `{loc, msg}` as text. */
function words(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (!Array.isArray(value)) return undefined
  const lines = value.map(entry => {
    const { loc, msg } = fields(entry)
    const message = typeof entry === 'string' ? entry : typeof msg === 'string' ? msg : ''
    return Array.isArray(loc) && message !== '' ? `${loc.join('.')}: ${message}` : message
  })
  return lines.filter(line => line !== '').join('; ') || undefined
}

/** Text that is not JSON: a line of a proxy, or a page. */
function plain(text: string): string {
  const start = text.slice(0, 4 * QUOTED)
  if (!/<(?:!doctype|html|head|body|title)\b/i.test(start)) return start
  const title = /<title[^>]*>([^<]*)/i.exec(start)?.[1]?.trim()
  return title === undefined || title === '' ? 'an HTML page' : `an HTML page, «${title}»`
}

function presentable(text: string): string {
  const line = text
    .slice(0, 4 * QUOTED)
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
    // Providers quote the key they refuse, some of them whole.
    .replace(/\b(Bearer\s+|AIza|(?:sk|pk|rk|gsk|csk|xai|hf|nvapi)[-_])[\w*.~+/-]{8,}/g, '$1[redacted]')
    .trim()
  return line.length > QUOTED ? `${line.slice(0, QUOTED - 1)}…` : line
}

/** Statuses of errors that come inside a stream, where HTTP has already said 200. */
const STATUS_OF_TYPE: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  invalid_prompt: 400,
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  authentication_error: 401,
  invalid_api_key: 401,
  UNAUTHENTICATED: 401,
  permission_error: 403,
  PERMISSION_DENIED: 403,
  not_found_error: 404,
  NOT_FOUND: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
  RESOURCE_EXHAUSTED: 429,
  overloaded_error: 529,
  server_is_overloaded: 529,
  slow_down: 529,
  UNAVAILABLE: 503,
  timeout_error: 504,
  DEADLINE_EXCEEDED: 504
}

/** What a status of an upstream means to us. */
function kindOf(status: number): FailureKind {
  if (status === 401 || status === 403) return 'upstream-refused-key'
  if (status === 429) return 'upstream-rate-limited'
  if (status === 503 || status === 529) return 'upstream-overloaded'
  if (status === 408 || status === 504) return 'upstream-timed-out'
  return status >= 500 || status < 400 ? 'upstream-failed' : 'upstream-rejected'
}

const SAID_NOTHING: Readonly<Record<string, string>> = {
  'upstream-refused-key': 'The upstream refused the key',
  'upstream-rate-limited': 'The upstream limits its rate',
  'upstream-overloaded': 'The upstream is overloaded',
  'upstream-timed-out': 'The upstream timed out',
  'upstream-rejected': 'The upstream rejected the request'
}

/** The failure that an upstream's error answer means. */
export function decodeUpstreamFailure(status: number, text: string): Failure {
  const said = readUpstreamMessage(text)
  const real = status >= 400 ? status : (said.status ?? STATUS_OF_TYPE[said.type] ?? STATUS_OF_TYPE[said.code] ?? 502)
  const kind = kindOf(real)
  // Ollama says 500 when the prompt does not fit; a key or a rate is never about the context.
  if (kind === 'upstream-rejected' || kind === 'upstream-failed') {
    const context = readContextLimit(said.code || said.type, said.message, said.error)
    if (context !== undefined) return new Failure('context-exceeded', said.message || 'prompt is too long', { context })
  }
  const details: FailureDetails = {
    ...(kind === 'upstream-rejected' && { status: real }),
    ...(said.code !== '' && { code: said.code }),
    ...(said.field !== '' && { field: said.field })
  }
  return new Failure(kind, said.message || `${SAID_NOTHING[kind] ?? 'The upstream failed'} (HTTP ${real})`, details)
}
