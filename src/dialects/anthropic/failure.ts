import type { Failure, FailureKind } from '../../chat/failure.ts'

const TYPE: Record<FailureKind, string> = {
  'invalid-request': 'invalid_request_error',
  unsupported: 'invalid_request_error',
  unauthenticated: 'authentication_error',
  forbidden: 'permission_error',
  'unknown-model': 'not_found_error',
  'not-found': 'not_found_error',
  'method-not-allowed': 'invalid_request_error',
  'request-timed-out': 'timeout_error',
  'too-large': 'request_too_large',
  'unsupported-media': 'invalid_request_error',
  'upgrade-required': 'invalid_request_error',
  'context-exceeded': 'invalid_request_error',
  'rate-limited': 'rate_limit_error',
  'over-budget': 'rate_limit_error',
  'upstream-rejected': 'invalid_request_error',
  'upstream-rate-limited': 'rate_limit_error',
  'upstream-refused-key': 'api_error',
  'upstream-failed': 'api_error',
  'upstream-overloaded': 'overloaded_error',
  'upstream-down': 'api_error',
  'upstream-timed-out': 'timeout_error',
  overloaded: 'overloaded_error',
  unavailable: 'api_error',
  bug: 'api_error'
}

/** An upstream's own status says more than our kind does. */
const TYPE_OF_REJECTED: Readonly<Record<number, string>> = {
  402: 'billing_error',
  404: 'not_found_error',
  409: 'conflict_error',
  413: 'request_too_large'
}

export function encodeFailure(failure: Failure, requestId: string): string {
  const { recommendations = [], status = 0, code, field } = failure.details
  const rejected = failure.kind === 'upstream-rejected' ? TYPE_OF_REJECTED[status] : undefined
  const error = {
    type: rejected ?? TYPE[failure.kind],
    message: messageOf(failure),
    // The SDK reads its own codes here: `thread_unsupported_request` makes it go on without threads.
    ...(failure.kind === 'unsupported' && code !== undefined && { details: detailsOf(code, field) }),
    ...(recommendations.length > 0 && { recommendations })
  }
  return JSON.stringify({ type: 'error', error, request_id: requestId })
}

function detailsOf(error_code: string, field: string | undefined): object {
  return { error_code, ...(field !== undefined && { unsupported: [field] }) }
}

/** 529 is Anthropic's alone, and its clients wait longer after it. */
export function statusOf(failure: Failure): number {
  const overloaded = failure.kind === 'overloaded' || failure.kind === 'upstream-overloaded'
  return overloaded ? 529 : failure.status
}

export function encodeFailureFrame(failure: Failure, requestId: string): string {
  return `event: error\ndata: ${encodeFailure(failure, requestId)}\n\n`
}

/** What Claude Code leaves for the answer when it is told that prompt and `max_tokens` together are too much. */
const MARGIN = 1_000

/** Claude Code compacts at exactly these words, and lowers `max_tokens` at exactly the others. */
function messageOf({ kind, message, details }: Failure): string {
  if (kind !== 'context-exceeded') return message
  const { input, output, limit } = details.context ?? {}
  if (input === undefined || limit === undefined) return 'prompt is too long'
  if (output !== undefined && input + MARGIN < limit) {
    const sum = `${input} + ${output} > ${limit}`
    return `input length and \`max_tokens\` exceed context limit: ${sum}, decrease input length or \`max_tokens\` and try again`
  }
  return `prompt is too long: ${input} tokens > ${limit} maximum`
}
