import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import { byteLength } from '../lib/splice.ts'
import type { WireHeaders } from '../lib/wire.ts'
import type { Resolved } from '../routing/routes.ts'
import { type Target, upstreamModel } from '../routing/target.ts'
import { callRecord } from './account.ts'
import { conversationOf, tagsOf, tokensOf } from './ask.ts'
import { Attempt, type AttemptOwner, type ErrorAnswer } from './attempt.ts'
import { Attempts } from './attempts.ts'
import { afterwards, Bill } from './bill.ts'
import { Delivery, type DeliveryOwner } from './delivery.ts'
import type { Gateway, Running } from './gateway.ts'
import { addOver, upstreamHeaders } from './headers.ts'
import type { Patient } from './heartbeat.ts'
import { type Ended, Hooked, type HookedAttempt } from './hooked.ts'
import type { Client, Inbound } from './inbound.ts'
import { accountOf } from './journaled.ts'
import { Ladder, type Step, waitedInVain } from './ladder.ts'
import { ownHeaders } from './own-headers.ts'
import { Patience } from './patience.ts'
import { refusedModel } from './permitted.ts'
import { type Known, Preparation, type Prepared } from './prepare.ts'
import { advised, isModelMissing } from './recommend.ts'
import type { Runtime } from './runtime.ts'
import { cacheResult, count, isFromCache, seriesOf } from './settle.ts'
import { type Candidate, candidatesOf, renderTrace } from './trace.ts'
import type { Wait, Waiter } from './wait.ts'

/** One request, from the body's last byte to the settled account. Nothing here waits: events drive it. */
export class Exchange implements AttemptOwner, Running, Waiter, Patient, DeliveryOwner {
  place = -1
  readonly #gateway: Gateway
  readonly #runtime: Runtime
  readonly #inbound: Inbound
  readonly #preparation: Preparation
  readonly #delivery: Delivery
  #resolved: Resolved | undefined
  #ladder: Ladder | undefined
  readonly #attempts: Attempts
  readonly #patience: Patience
  readonly #bill: Bill
  #hooked: Hooked | undefined
  #model = ''
  /** Who could have served it; kept for those who ask for a trace alone. */
  #candidates: readonly Candidate[] | undefined
  /** The last failure, with the upstream's own words for it. */
  #lastFailure: Failure | undefined
  #lastAnswer: ErrorAnswer | undefined
  #over = false
  #overhead = 0

  constructor(gateway: Gateway, runtime: Runtime, inbound: Inbound, client: Client) {
    this.#gateway = gateway
    this.#runtime = runtime
    this.#inbound = inbound
    this.#preparation = new Preparation(inbound, gateway.stored, gateway.metrics)
    this.#attempts = new Attempts(gateway.deadlines, gateway.tracer?.begin(inbound))
    this.#patience = new Patience(this, inbound.stream, gateway.deadlines)
    this.#bill = new Bill(gateway, runtime, inbound)
    this.#delivery = new Delivery(client, inbound, this.#preparation, this)
    gateway.metrics.inflight++
    gateway.running.add(this)
  }

  start(refusal: Failure | undefined): void {
    if (refusal !== undefined) return this.#fail(refusal)
    const { hooks } = this.#runtime
    if (hooks === undefined) return this.#route(this.#inbound)
    const hooked = new Hooked(hooks, this.#inbound, this.#preparation, this.#attempts.spans, (inbound, client) => {
      const inner = new Exchange(this.#gateway, { ...this.#runtime, hooks: undefined }, inbound, client)
      inner.start(undefined)
      return () => inner.abandon()
    })
    this.#hooked = hooked
    hooked.before(ended => {
      if (ended !== undefined) this.#endBy(ended)
      else if (!this.#over) this.#route(hooked.inbound)
    })
  }

  /** `inbound`: as hooks left it. */
  #route(inbound: Inbound): void {
    const { routes } = this.#runtime
    const resolved = inbound.model === undefined ? routes.resolveDefault() : routes.resolve(inbound.model)
    const refused = refusedModel(inbound.caller, inbound.model, resolved, this.#runtime)
    if (refused !== undefined) return this.#giveUp(refused)
    if (resolved instanceof Failure) return this.#giveUp(resolved)
    if (inbound.caller === undefined || inbound.caller.bounds.length === 0) return this.#enter(inbound, resolved)
    this.#bill.ask(resolved, granted => {
      if (this.#over) return
      if (granted instanceof Failure) this.#giveUp(granted)
      else this.#enter(inbound, granted)
    })
  }

  /** It may be served: by whom, the ladder says. */
  #enter(inbound: Inbound, resolved: Resolved): void {
    const { rules, routes } = this.#runtime
    const ask = {
      tags: this.#hooked?.tags ?? tagsOf(inbound, resolved.route),
      conversation: conversationOf(inbound, resolved.route, rules.sticky),
      tokens: tokensOf(this.#inbound)
    }
    this.#resolved = resolved
    this.#ladder = new Ladder(routes, resolved, ask, rules)
    if (this.#inbound.trace === true) this.#candidates = candidatesOf(resolved, this.#ladder.ask, performance.now())
    this.#climb(this.#ladder, this.#ladder.next(performance.now()))
  }

  /** Does what the ladder says until something is under way, or nothing is left. */
  #climb(ladder: Ladder, first: Step): void {
    for (let step = first; ; ) {
      if (step.kind === 'fail') return this.#giveUp(step.failure)
      if (step.kind === 'queue') return this.#patience.wait(step.target, true, this.#runtime.rules.queueWait)
      if (step.kind === 'pause') return this.#patience.wait(step.target, false, step.milliseconds)
      const failure = this.#try(step.target, step.resolved)
      if (failure === undefined) return
      step = this.#remember(ladder, step.target, failure)
    }
  }

  /** How it failed, in the upstream's own words where there are any; and what is next. */
  #remember(ladder: Ladder, target: Target, failure: Failure, answer?: ErrorAnswer): Step {
    this.#lastFailure = failure
    this.#lastAnswer = answer
    return ladder.failed(target, failure, performance.now())
  }

  waited(wait: Wait, over: 'slot' | 'time'): void {
    const ladder = this.#ladder
    if (this.#over || ladder === undefined) return
    const now = performance.now()
    if (over === 'slot') return this.#climb(ladder, ladder.next(now))
    if (!wait.queued) return this.#climb(ladder, ladder.again(wait.target, now))
    const failure = waitedInVain(wait.target, wait.milliseconds)
    this.#climb(ladder, this.#remember(ladder, wait.target, failure))
  }

  /** Undefined when it is under way; else why this target cannot take the request at all. */
  #try(target: Target, resolved: Resolved): Failure | undefined {
    const from = this.#resolved?.route.name
    const to = resolved.route.name
    this.#resolved = resolved
    if (from !== undefined && from !== to)
      this.#gateway.metrics.fellBack(from, to, this.#lastFailure?.kind ?? 'unavailable')
    const model = upstreamModel(target, resolved.asked, resolved.captured)
    const attempt = afterwards(this.#bill.cover(target, model), () => this.#hooked?.at(target, model))
    if (attempt instanceof Failure) return attempt
    if (!(attempt instanceof Promise)) return this.#tryHooked(target, model, attempt)
    this.#patience.watchOver(target)
    void attempt.then(later => {
      if (this.#over) return
      const failure = later instanceof Failure ? later : this.#tryHooked(target, model, later)
      const ladder = this.#ladder
      if (failure !== undefined && ladder !== undefined) this.#climb(ladder, this.#remember(ladder, target, failure))
    })
    return undefined
  }

  #tryHooked(target: Target, model: string, attempt: HookedAttempt | Ended | undefined): Failure | undefined {
    if (attempt !== undefined && 'end' in attempt) {
      if (attempt.end instanceof Failure) return attempt.end
      this.#endBy(attempt)
      return undefined
    }
    const prepared = this.#preparation.for(target, model, attempt)
    if (prepared instanceof Failure) return prepared
    this.#model = model
    if ('surface' in prepared) this.#send(target, prepared, attempt)
    else this.#tell(prepared)
    return undefined
  }

  /** A hook has answered, or refused. */
  #endBy({ end, attempt }: Ended): void {
    if (this.#over) return
    if (end instanceof Failure) return this.#giveUp(end)
    this.#bill.waive()
    this.#delivery.answer(this.#preparation.plainWay(attempt), end, (failure, usage) => {
      if (this.#over) return
      if (failure === undefined) this.#settle(usage, undefined)
      else this.#giveUp(failure)
    })
  }

  #send(target: Target, { surface, path, body, dropped, translation }: Prepared, hooked?: HookedAttempt): void {
    const inbound = this.#inbound
    const sent = hooked === undefined ? inbound.headers : { ...inbound.headers, ...hooked.changes.headers }
    const foreign = translation !== undefined && surface.dialect !== inbound.dialect
    const headers = upstreamHeaders(sent, surface, target.provider === 'demo', foreign)
    this.#preparation.losses.asked(target, surface.dialect, dropped)
    const bodyLength = byteLength(body)
    if (body.length > 1) headers.push('content-length', String(bodyLength))
    const checksEnd = inbound.operation === 'chat' || inbound.operation === 'completions'
    this.#patience.watchOver(target)
    const attempt = new Attempt({ target, surface, stream: inbound.stream, checksEnd, translation }, this)
    if (this.#attempts.sent === 0) this.#overhead = attempt.startedAt - inbound.receivedAt - this.#patience.waitedFor
    addOver(headers, this.#attempts.start(attempt, this.#model, this.#ladder?.ask.tokens ?? 0))
    this.#bill.sent(target, this.#model, this.#resolved)
    const request = { method: 'POST', path: surface.base + path, headers, body, bodyLength }
    const sending = { operation: inbound.operation, model: this.#model }
    this.#attempts.send(attempt, surface.finish?.(request, sending) ?? request, failure => this.failed(failure))
  }

  /** What takes no upstream at all. */
  #tell(known: Known): void {
    this.#delivery.tell(known)
    this.#settle(undefined, undefined)
  }

  beat(): boolean {
    return !this.#over && this.#delivery.reassure(this.#attempts.latest)
  }

  begin(status: number, upstream: WireHeaders, length: number | undefined, usage?: Usage): void {
    if (this.#over) return
    const attempt = this.#attempts.latest
    this.#bill.price(attempt, usage)
    this.#delivery.begin(status, upstream, length)
    if (attempt === undefined || !this.#delivery.framed) return
    attempt.target.state.measured(this.#delivery.firstByteAt - attempt.startedAt, this.#delivery.firstByteAt)
  }

  write(chunk: Buffer): void {
    this.#patience.moved()
    if (!this.#delivery.write(chunk)) this.#attempts.pause()
    if (this.#bill.watches) this.#bill.passed(chunk, this.#attempts.latest, failure => this.failed(failure))
  }

  finish(usage: Usage | undefined, last: Buffer | undefined): void {
    if (this.#over) return
    this.#delivery.end(last)
    this.#close('ok', undefined, usage)
    this.#settle(usage, undefined)
  }

  failed(failure: Failure, answer?: ErrorAnswer): void {
    if (this.#over) return
    const target = this.#attempts.latest?.target
    this.#close(failure.kind, failure)
    if (this.#delivery.answering) return this.#failMidway(failure)
    // It may have failed by what it said, and go on talking.
    this.#attempts.abort()
    if (this.#inbound.operation === 'count-tokens' && CANNOT_COUNT.has(answer?.status ?? failure.status))
      return this.#estimate(failure)
    const ladder = this.#ladder
    if (ladder === undefined || target === undefined) return this.#fail(failure)
    this.#climb(ladder, this.#remember(ladder, target, failure, answer))
  }

  /** The server answers chats and has no such thing as a count. */
  #estimate(failure: Failure): void {
    const known = this.#preparation.estimated()
    if (known instanceof Failure) this.#fail(failure)
    else this.#tell(known)
  }

  #giveUp(failure: Failure): void {
    if (this.#hooked === undefined || this.#delivery.answering) return this.#tellFailure(failure)
    this.#hooked.rescue(failure, ended => (ended === undefined ? this.#tellFailure(failure) : this.#endBy(ended)))
  }

  #tellFailure(failure: Failure): void {
    if (this.#over) return
    const target = this.#attempts.latest?.target
    const route = this.#resolved?.route.name
    const told =
      target === undefined || route === undefined
        ? failure
        : advised(failure, target, this.#model, route, this.#runtime, this.#inbound.caller)
    if (this.#delivery.begun) return this.#failMidway(told)
    const passes = failure === this.#lastFailure && !(target?.flavour === 'local' && isModelMissing(failure))
    if (this.#lastAnswer !== undefined && passes) this.#passError(failure, this.#lastAnswer)
    else this.#fail(told)
  }

  /** The client has left: nobody needs the answer, and a GPU is busy making it. */
  abandon(): void {
    if (this.#over) return
    this.#attempts.abort()
    this.#close('aborted')
    if (this.#delivery.begun) this.#gateway.metrics.streamAborted('client')
    this.#settle(undefined, undefined, true)
  }

  /** The client has taken what it was sent. */
  resume(): void {
    if (!this.#over) this.#attempts.resume()
  }

  /** The gateway ends: streams get their failure event, others their failure. */
  stop(failure: Failure): void {
    if (this.#over) return
    this.#attempts.abort()
    this.#close(failure.kind)
    if (this.#delivery.begun) this.#failMidway(failure)
    else this.#fail(failure)
  }

  #failMidway(failure: Failure): void {
    this.#gateway.metrics.streamAborted(failure.kind === 'unavailable' ? 'gateway' : 'upstream')
    this.#attempts.abort()
    this.#delivery.breakOff(failure, this.#attempts.latest)
    this.#settle(undefined, failure)
  }

  #passError(failure: Failure, answer: ErrorAnswer): void {
    this.#bill.waive()
    this.#delivery.pass(answer)
    this.#settle(undefined, failure)
  }

  #fail(failure: Failure): void {
    this.#bill.waive()
    this.#delivery.fail(failure)
    this.#settle(undefined, failure)
  }

  ownHeaders(): string[] {
    const attempt = this.#attempts.latest
    if (attempt === undefined) this.#overhead = performance.now() - this.#inbound.receivedAt - this.#patience.waitedFor
    return ownHeaders({
      id: this.#inbound.id,
      target: attempt?.target,
      model: this.#model,
      dropped: this.#preparation.losses.told,
      sent: this.#attempts.sent,
      generation: this.#runtime.generation,
      overhead: this.#overhead,
      trace: this.#candidates && this.#trace(this.#candidates),
      cost: this.#bill.cost,
      limits: this.#bill.headers,
      more: this.#hooked?.answerHeaders
    })
  }

  #trace(candidates: readonly Candidate[]): string {
    return renderTrace({
      id: this.#inbound.id,
      asked: this.#inbound.model,
      resolved: this.#resolved,
      candidates,
      attempts: this.#attempts.records,
      answering: this.#attempts.answering,
      waited: this.#patience.waitedFor
    })
  }

  #close(reason: string, failure?: Failure, usage?: Usage): void {
    const { answering } = this.#delivery
    this.#attempts.close({ reason, failure, usage, answering, cooldown: this.#runtime.rules.cooldown })
  }

  #settle(usage: Usage | undefined, failure: Failure | undefined, clientGone = false): void {
    if (this.#over) return
    this.#over = true
    this.#patience.stop()
    const { metrics } = this.#gateway
    metrics.inflight--
    this.#gateway.running.remove(this)
    const inbound = this.#inbound
    const attempt = this.#attempts.latest
    const target = attempt?.target
    const cache = cacheResult(this.#hooked?.answerHeaders)
    const spending = this.#bill.close({
      attempt,
      usage,
      worked: clientGone || this.#delivery.answering,
      cached: isFromCache(cache),
      resolved: this.#resolved
    })
    const record = callRecord({
      inbound,
      delivery: this.#delivery,
      route: this.#resolved?.route.name,
      upstreamModel: target && this.#model,
      tries: this.#attempts,
      usage,
      spending,
      dropped: this.#preparation.losses.settled(),
      mended: this.#preparation.mended,
      waited: this.#patience.waitedFor,
      overhead: this.#overhead,
      failure,
      clientGone,
      generation: this.#runtime.generation
    })
    count(record, seriesOf(target, this.#resolved, inbound, this.#runtime, metrics), metrics, cache)
    this.#attempts.spans?.settled(record)
    this.#gateway.settled(record, failure?.details.cause, accountOf(inbound, this.#resolved, spending.counted))
    this.#hooked?.done(record)
  }
}

/** How servers answer on a path that they do not have. */
const CANNOT_COUNT: ReadonlySet<number> = new Set([404, 405])
