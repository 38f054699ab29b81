import { writeTraceparent } from './traceparent.ts'

/** Who was asked, as an attempt's span names it. */
export interface Asked {
  readonly name: string
  readonly provider: string
  /** `https://api.example.com`. */
  readonly origin: string
}

/** What came in. */
export interface Incoming {
  /** The route's path. */
  readonly endpoint: string
  readonly method?: string
  /** `chat`, `embeddings` … */
  readonly operation: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** On the clock of `performance.now()`. */
  readonly receivedAt: number
}

export interface AttemptSpan {
  readonly spanId: string
  readonly asked: Asked
  readonly model: string | undefined
  readonly startedAt: number
}

export interface HookEvent {
  readonly hook: string
  readonly phase: string
  readonly at: number
  readonly milliseconds: number
  readonly failed: boolean
}

/** What became of a request; of each attempt as well, in order. */
export interface Outcome {
  readonly id: string
  readonly stream: boolean
  readonly model: string | undefined
  readonly route: string | undefined
  readonly status: number
  readonly attempts: readonly { readonly reason: string; readonly milliseconds: number }[]
  readonly usage: Readonly<Record<'input' | 'output' | 'cacheRead' | 'cacheWrite' | 'reasoning', number>> | undefined
  /** USD. */
  readonly cost?: number
  readonly waitedMilliseconds?: number
  readonly firstByteMilliseconds: number | undefined
  readonly milliseconds: number
  readonly overheadMilliseconds: number
  readonly failure: string | undefined
  readonly clientGone: boolean
  readonly generation: number
}

/** More of them say nothing new. */
const MOST_EVENTS = 100

/** One request that is traced: what is known of it while it runs. It is written out once it is settled. */
export class RequestSpans {
  readonly traceId: string
  readonly spanId: string
  /** The span of whoever asked. */
  readonly parentId: string | undefined
  readonly incoming: Incoming
  readonly attempts: AttemptSpan[] = []
  readonly events: HookEvent[] = []
  readonly #newId: () => string
  readonly #settled: (spans: RequestSpans, outcome: Outcome) => void

  constructor(
    ids: { readonly traceId: string; readonly parentId: string | undefined; readonly next: () => string },
    incoming: Incoming,
    settled: (spans: RequestSpans, outcome: Outcome) => void
  ) {
    this.traceId = ids.traceId
    this.parentId = ids.parentId
    this.#newId = ids.next
    this.spanId = ids.next()
    this.incoming = incoming
    this.#settled = settled
  }

  /** What is done on behalf of this request belongs to its trace. */
  get header(): { readonly traceparent: string } {
    return { traceparent: writeTraceparent(this.traceId, this.spanId) }
  }

  /** An attempt begins; the upstream is told by which span it is asked. */
  attempt(asked: Asked, model: string | undefined, startedAt: number): { readonly traceparent: string } {
    const spanId = this.#newId()
    this.attempts.push({ spanId, asked, model, startedAt })
    return { traceparent: writeTraceparent(this.traceId, spanId) }
  }

  ran(hook: string, phase: string, milliseconds: number, failed: boolean): void {
    if (this.events.length < MOST_EVENTS)
      this.events.push({ hook, phase, at: performance.now() - milliseconds, milliseconds, failed })
  }

  settled(outcome: Outcome): void {
    this.#settled(this, outcome)
  }
}
