import { Failure, type FailureKind } from '../../chat/failure.ts'
import { decodeUpstreamFailure, readUpstreamMessage } from '../upstream-message.ts'

/** google.rpc.Code of each kind. */
const STATUS: Record<FailureKind, string> = {
  'invalid-request': 'INVALID_ARGUMENT',
  unsupported: 'INVALID_ARGUMENT',
  unauthenticated: 'UNAUTHENTICATED',
  forbidden: 'PERMISSION_DENIED',
  'unknown-model': 'NOT_FOUND',
  'not-found': 'NOT_FOUND',
  'method-not-allowed': 'UNIMPLEMENTED',
  'request-timed-out': 'DEADLINE_EXCEEDED',
  'too-large': 'INVALID_ARGUMENT',
  'unsupported-media': 'INVALID_ARGUMENT',
  'upgrade-required': 'FAILED_PRECONDITION',
  'context-exceeded': 'INVALID_ARGUMENT',
  'rate-limited': 'RESOURCE_EXHAUSTED',
  'over-budget': 'RESOURCE_EXHAUSTED',
  'upstream-rejected': 'INVALID_ARGUMENT',
  'upstream-rate-limited': 'RESOURCE_EXHAUSTED',
  'upstream-refused-key': 'UNAVAILABLE',
  'upstream-failed': 'UNAVAILABLE',
  'upstream-overloaded': 'UNAVAILABLE',
  'upstream-down': 'UNAVAILABLE',
  'upstream-timed-out': 'DEADLINE_EXCEEDED',
  overloaded: 'UNAVAILABLE',
  unavailable: 'UNAVAILABLE',
  bug: 'INTERNAL'
}

const STATUS_OF_REJECTED: Readonly<Record<number, string>> = {
  402: 'FAILED_PRECONDITION',
  404: 'NOT_FOUND',
  409: 'ABORTED'
}

export function encodeFailure(failure: Failure): string {
  const { recommendations = [], status = 0 } = failure.details
  const rejected = failure.kind === 'upstream-rejected' ? STATUS_OF_REJECTED[status] : undefined
  const details = rpcDetails(failure)
  const error = {
    code: failure.status,
    message: messageOf(failure),
    status: rejected ?? STATUS[failure.kind],
    ...(details.length > 0 && { details }),
    ...(recommendations.length > 0 && { recommendations })
  }
  return JSON.stringify({ error })
}

/** Gemini CLI reads how long to wait from here, not from the header. */
function rpcDetails({ details: { retryAfter, field }, message }: Failure): object[] {
  const found: object[] = []
  if (retryAfter !== undefined) {
    found.push({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${retryAfter}s` })
  }
  if (field !== undefined) {
    const fieldViolations = [{ field, description: message }]
    found.push({ '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations })
  }
  return found
}

function messageOf({ kind, message, details }: Failure): string {
  const { input, limit } = details.context ?? {}
  if (kind !== 'context-exceeded' || input === undefined || limit === undefined) return message
  return `The input token count (${input}) exceeds the maximum number of tokens allowed (${limit}).`
}

export function encodeFailureFrame(failure: Failure): string {
  return `data: ${encodeFailure(failure)}\n\n`
}

export function decodeFailure(status: number, text: string): Failure {
  const failure = decodeUpstreamFailure(status, text)
  const { error } = readUpstreamMessage(text)
  const delay = retryDelay((error as { details?: unknown } | undefined)?.details)
  // Gemini says 400, not 401, when a key is wrong.
  const kind = /"API_KEY_INVALID"/.test(text) ? 'upstream-refused-key' : failure.kind
  const { status: own, ...rest } = failure.details
  return new Failure(kind, failure.message, {
    ...rest,
    ...(own !== undefined && kind === failure.kind && { status: own }),
    ...(delay !== undefined && { retryAfter: delay })
  })
}

function retryDelay(details: unknown): number | undefined {
  if (!Array.isArray(details)) return undefined
  for (const detail of details) {
    const seconds = Number.parseFloat(String((detail as { retryDelay?: unknown } | null)?.retryDelay))
    if (Number.isFinite(seconds)) return Math.ceil(seconds)
  }
  return undefined
}
