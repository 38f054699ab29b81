// OpenAI's error object, which both of its dialects send.
import type { Failure, FailureKind } from '../chat/failure.ts'

const INVALID = 'invalid_request_error'

/** Type and code of each kind. Codex takes an unknown code of a stream for «try again», hence no cleverness in the last rows. */
const ERROR_OF: Record<FailureKind, readonly [type: string, code: string | null]> = {
  'invalid-request': [INVALID, null],
  unsupported: [INVALID, 'unsupported_parameter'],
  unauthenticated: [INVALID, 'invalid_api_key'],
  forbidden: ['permission_error', 'permission_denied'],
  'unknown-model': [INVALID, 'model_not_found'],
  'not-found': [INVALID, 'not_found'],
  'method-not-allowed': [INVALID, 'method_not_allowed'],
  'request-timed-out': [INVALID, 'request_timeout'],
  'too-large': [INVALID, 'request_too_large'],
  'unsupported-media': [INVALID, 'unsupported_media_type'],
  'upgrade-required': [INVALID, 'upgrade_required'],
  'context-exceeded': [INVALID, 'context_length_exceeded'],
  'rate-limited': ['rate_limit_error', 'rate_limit_exceeded'],
  'over-budget': ['insufficient_quota', 'insufficient_quota'],
  'upstream-rejected': [INVALID, null],
  'upstream-rate-limited': ['rate_limit_error', 'rate_limit_exceeded'],
  'upstream-refused-key': ['server_error', 'upstream_refused_key'],
  'upstream-failed': ['server_error', 'upstream_failed'],
  'upstream-overloaded': ['server_error', 'upstream_overloaded'],
  'upstream-down': ['server_error', 'upstream_down'],
  'upstream-timed-out': ['server_error', 'upstream_timed_out'],
  overloaded: ['server_error', 'overloaded'],
  unavailable: ['server_error', 'unavailable'],
  bug: ['server_error', 'internal_error']
}

/** Kinds whose `details.code` may replace ours: elsewhere clients act on the code in the table. */
const CODE_PASSES: ReadonlySet<FailureKind> = new Set([
  'invalid-request',
  'unsupported',
  'upstream-rejected',
  'forbidden'
])

export interface OpenAIError {
  message: string
  type: string
  param: string | null
  code: string | null
  recommendations?: readonly string[]
}

/** A failure as the object below `error`. */
export function openAIError(failure: Failure): OpenAIError {
  const [type, code] = ERROR_OF[failure.kind]
  const { recommendations = [], field, code: ownCode } = failure.details
  return {
    message: messageOf(failure),
    type,
    param: field ?? null,
    code: (CODE_PASSES.has(failure.kind) ? ownCode : undefined) ?? code,
    ...(recommendations.length > 0 && { recommendations })
  }
}

function messageOf({ message, kind, details }: Failure): string {
  const { input, output, limit } = details.context ?? {}
  if (kind !== 'context-exceeded' || limit === undefined) return message
  const most = `This model's maximum context length is ${limit} tokens.`
  if (input === undefined) return `${most} Please reduce the length of the messages.`
  if (output === undefined) {
    return `${most} However, your messages resulted in ${input} tokens. Please reduce the length of the messages.`
  }
  const asked = `${input + output} tokens (${input} in the messages, ${output} in the completion)`
  return `${most} However, you requested ${asked}. Please reduce the length of the messages or completion.`
}
