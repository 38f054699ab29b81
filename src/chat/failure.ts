// Everything that can go wrong and is expected to, in one table. A failure is a value; an error is a bug.

/** What each kind answers with, and whether another target may do better. */
export const FAILURES = {
  'invalid-request': { status: 400, tryNext: false },
  unsupported: { status: 400, tryNext: true },
  unauthenticated: { status: 401, tryNext: false },
  forbidden: { status: 403, tryNext: false },
  'unknown-model': { status: 404, tryNext: false },
  'not-found': { status: 404, tryNext: false },
  'method-not-allowed': { status: 405, tryNext: false },
  'request-timed-out': { status: 408, tryNext: false },
  'too-large': { status: 413, tryNext: false },
  'unsupported-media': { status: 415, tryNext: false },
  'upgrade-required': { status: 426, tryNext: false },
  'context-exceeded': { status: 400, tryNext: false },
  'rate-limited': { status: 429, tryNext: false },
  'over-budget': { status: 429, tryNext: false },
  'upstream-rejected': { status: 400, tryNext: false },
  'upstream-rate-limited': { status: 429, tryNext: true },
  'upstream-refused-key': { status: 502, tryNext: true },
  'upstream-failed': { status: 502, tryNext: true },
  'upstream-overloaded': { status: 503, tryNext: true },
  'upstream-down': { status: 502, tryNext: true },
  'upstream-timed-out': { status: 504, tryNext: true },
  overloaded: { status: 503, tryNext: false },
  unavailable: { status: 503, tryNext: false },
  bug: { status: 500, tryNext: false }
} as const satisfies Record<string, { status: number; tryNext: boolean }>

export type FailureKind = keyof typeof FAILURES

export interface FailureDetails {
  /** Overrides the table: an upstream's own 422, say. */
  status?: number
  /** The request's field that is to blame. */
  field?: string
  /** A code of the client's API that says more than the kind does (`context_length_exceeded`). */
  code?: string
  /** Seconds until trying again makes sense. */
  retryAfter?: number
  /** What a person can do next, one sentence each. */
  recommendations?: readonly string[]
  /** Of `context-exceeded`: tokens of the prompt, tokens the answer was allowed if that did not fit, and the limit. */
  context?: { readonly input?: number; readonly output?: number; readonly limit?: number }
  /** For the log alone: never sent to a client. */
  cause?: unknown
}

/** An expected failure, as a value. Making one has no side effect: whoever ends the request logs it, once. */
export class Failure {
  readonly kind: FailureKind
  readonly message: string
  readonly details: FailureDetails

  constructor(kind: FailureKind, message: string, details: FailureDetails = {}) {
    this.kind = kind
    this.message = message
    this.details = details
  }

  get status(): number {
    return this.details.status ?? FAILURES[this.kind].status
  }

  get tryNext(): boolean {
    return FAILURES[this.kind].tryNext
  }
}
