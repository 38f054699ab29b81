import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import type { WireRequest } from '../lib/wire.ts'
import type { CooldownRule } from '../routing/target-state.ts'
import type { RequestSpans } from '../tracing/request-spans.ts'
import { Call } from '../upstream/call.ts'
import type { Attempt } from './attempt.ts'
import { learn } from './learn.ts'
import type { AttemptRecord } from './record.ts'

/** How a try has ended, as the exchange saw it. */
interface Ending {
  readonly reason: string
  readonly failure?: Failure | undefined
  readonly usage?: Usage | undefined
  /** The client has been sent some of its answer. */
  readonly answering: boolean
  readonly cooldown: CooldownRule
}

/** The tries of one exchange, one after the other. The one under way holds a slot of its target. */
export class Attempts {
  readonly records: AttemptRecord[] = []
  /** The newest, under way or over. */
  latest: Attempt | undefined
  /** Tries that went out. */
  sent = 0
  #open = false
  /** It finds out whether a target that was left out works again. */
  #probe = false
  /** Tokens that are set aside for it. */
  #tokens = 0
  #call: Call | undefined
  readonly #deadlines: Deadlines
  /** Absent: nobody follows this request. */
  readonly spans: RequestSpans | undefined

  constructor(deadlines: Deadlines, spans: RequestSpans | undefined) {
    this.spans = spans
    this.#deadlines = deadlines
  }

  /** Who is being asked, and for how many milliseconds. */
  get answering(): readonly [target: string, milliseconds: number] | undefined {
    const { latest } = this
    if (latest === undefined || !this.#open) return undefined
    return [latest.target.name, Math.round(performance.now() - latest.startedAt)]
  }

  /** Headers that tell the upstream whose trace this belongs to, where somebody follows it. */
  start(attempt: Attempt, model: string, tokens: number): { readonly traceparent: string } | undefined {
    this.latest = attempt
    this.#open = true
    this.#tokens = attempt.target.tpm === undefined ? 0 : tokens
    this.#probe = attempt.target.state.take(this.#tokens, attempt.startedAt)
    this.sent++
    return this.spans?.attempt(attempt.target, model, attempt.startedAt)
  }

  /** What is to be sent may have to be signed first, and that may take its time. */
  send(attempt: Attempt, request: WireRequest | Failure | Promise<WireRequest | Failure>, fail: Fail): void {
    if (!(request instanceof Promise)) return this.#dispatch(attempt, request, fail)
    void request.then(
      ready => this.#dispatch(attempt, ready, fail),
      error => fail(new Failure('bug', 'A request could not be signed.', { cause: error }))
    )
  }

  /** Nothing goes out when it could not be signed, or when the client left while a token was fetched for it. */
  #dispatch(attempt: Attempt, request: WireRequest | Failure, fail: Fail): void {
    if (!this.#isUnderWay(attempt)) return
    if (request instanceof Failure) return fail(request)
    const { wire, place, timeouts } = attempt.target
    const call = new Call(wire, request, place, timeouts, this.#deadlines, attempt)
    // A failure at once has already moved on to another try, or ended the exchange.
    if (this.#isUnderWay(attempt)) this.#call = call
    else call.abort()
  }

  #isUnderWay(attempt: Attempt): boolean {
    return this.#open && this.latest === attempt
  }

  pause(): void {
    this.#call?.pause()
  }

  resume(): void {
    this.#call?.resume()
  }

  abort(): void {
    this.#call?.abort()
    this.#call = undefined
  }

  /** The try under way has ended: its slot goes to the next in line, and what it showed is remembered. */
  close({ reason, failure, usage, answering, cooldown }: Ending): void {
    const attempt = this.latest
    if (attempt === undefined || !this.#open) return
    this.#open = false
    const now = performance.now()
    const milliseconds = Math.round(now - attempt.startedAt)
    const { target } = attempt
    target.series.attempt(reason)
    this.records.push({
      target: target.name,
      reason,
      milliseconds,
      ...(failure !== undefined && { message: failure.message })
    })
    const ended = { ok: reason === 'ok', failure, usage, answering, milliseconds, tokens: this.#tokens }
    learn(target, ended, cooldown, now)
    target.state.release(this.#probe)
  }
}

type Fail = (failure: Failure) => void
