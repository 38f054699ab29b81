import type { FailureKind } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { MendCounts } from '../quirks/mend.ts'

export interface AttemptRecord {
  readonly target: string
  /** `ok`, a failure's kind, or `aborted`. */
  readonly reason: string
  readonly milliseconds: number
  readonly message?: string
}

/** What became of one request: for the log, the metrics and `GET /calls/{id}`. Holds no word of the conversation. */
export interface CallRecord {
  readonly id: string
  /** Where it is traced. */
  readonly traceId?: string
  /** Milliseconds since 1970 when it was settled. */
  readonly at: number
  readonly endpoint: string
  /** Whose key it was, when it was a virtual one. */
  readonly keyId?: string
  readonly keyAlias?: string
  readonly userId?: string
  readonly teamId?: string
  readonly organizationId?: string
  readonly stream: boolean
  /** As the client named it, shortened; undefined when it named none. */
  readonly model: string | undefined
  readonly route: string | undefined
  readonly provider: string | undefined
  readonly upstreamModel: string | undefined
  readonly status: number
  readonly attempts: readonly AttemptRecord[]
  readonly usage: Usage | undefined
  /** USD; absent where nobody knows what it cost. */
  readonly cost?: number
  /** The upstream did not say what it used, or nobody knows its price: the cost is a guess. */
  readonly costEstimated?: true
  /** USD that it would have cost elsewhere, and why it did not: this machine answered, or a cache. */
  readonly saved?: number
  readonly savedBy?: 'local' | 'cache'
  /** What the upstream's dialect could not say, as field paths. */
  readonly dropped: readonly string[]
  /** What the model wrote in another form than it meant. */
  readonly mended?: MendCounts
  /** In line or between tries; absent when it waited for nothing. */
  readonly waitedMilliseconds?: number
  readonly firstByteMilliseconds: number | undefined
  readonly milliseconds: number
  readonly overheadMilliseconds: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly failure: FailureKind | undefined
  readonly failureMessage: string | undefined
  /** The client left before the end. */
  readonly clientGone: boolean
  readonly generation: number
}

/** The last calls, in a ring: a map that forgets its oldest key all the time keeps the garbage collector busy. */
export class CallLog {
  readonly #ring: CallRecord[] = []
  readonly #most: number
  #next = 0

  constructor(most = 1000) {
    this.#most = most
  }

  add(record: CallRecord): void {
    this.#ring[this.#next] = record
    this.#next = (this.#next + 1) % this.#most
  }

  get(id: string): CallRecord | undefined {
    return this.#ring.find(record => record.id === id)
  }
}
