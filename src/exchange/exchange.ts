import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'
import { byteLength } from '../lib/splice.ts'
import type { WireHeaders } from '../lib/wire.ts'
import type { Surface } from '../providers/surface.ts'
import { operationPath } from '../providers/surface.ts'
import type { Resolved } from '../routing/routes.ts'
import { shuffled, type Target, upstreamModel } from '../routing/target.ts'
import { Call } from '../upstream/call.ts'
import { Attempt, type AttemptOwner, type ErrorAnswer } from './attempt.ts'
import type { Gateway, Running } from './gateway.ts'
import { addReturned, upstreamHeaders } from './headers.ts'
import type { Client, Inbound } from './inbound.ts'
import { Preparation, type Prepared } from './prepare.ts'
import type { AttemptRecord, CallRecord } from './record.ts'
import type { Runtime } from './runtime.ts'
import { count } from './settle.ts'

/** A client that waits this long has seen every name we could offer. */
const MAX_FALLBACK_NAMES = 5

/** One request, from the body's last byte to the settled account. Nothing here waits: events drive it. */
export class Exchange implements AttemptOwner, Running {
  place = -1
  readonly #gateway: Gateway
  readonly #runtime: Runtime
  readonly #inbound: Inbound
  readonly #client: Client
  readonly #dialect: Dialect
  readonly #preparation: Preparation
  #resolved: Resolved | undefined
  #queue: readonly Target[] = []
  #triedNames: string[] = []
  #attempt: Attempt | undefined
  #call: Call | undefined
  #model = ''
  #attempts: AttemptRecord[] = []
  #lastFailure: Failure | undefined
  #dropped: readonly string[] = []
  /** Attempts that went out. */
  #sent = 0
  #status = 0
  #begun = false
  #framed = false
  #over = false
  #firstByteAt = 0
  #overhead = 0
  #bytesOut = 0

  constructor(gateway: Gateway, runtime: Runtime, inbound: Inbound, client: Client) {
    this.#gateway = gateway
    this.#runtime = runtime
    this.#inbound = inbound
    this.#client = client
    this.#dialect = DIALECTS[inbound.dialect]
    this.#preparation = new Preparation(inbound)
    gateway.metrics.inflight++
    gateway.running.add(this)
  }

  start(refusal: Failure | undefined): void {
    if (refusal !== undefined) return this.#fail(refusal)
    const { routes } = this.#runtime
    const resolved = this.#inbound.model === undefined ? routes.resolveDefault() : routes.resolve(this.#inbound.model)
    if (resolved instanceof Failure) return this.#fail(resolved)
    this.#take(resolved)
    this.#next()
  }

  #take(resolved: Resolved): void {
    this.#resolved = resolved
    this.#queue = shuffled(resolved.route.targets, Math.random)
    this.#triedNames.push(resolved.route.name)
  }

  /** Tries the next target: of this name, then of the names declared as its fallbacks. */
  #next(): void {
    for (;;) {
      const [target, ...rest] = this.#queue
      if (target === undefined) {
        if (this.#lastFailure?.tryNext === false || !this.#fallBack())
          return this.#fail(this.#lastFailure ?? new Failure('unavailable', 'No target serves this model now.'))
        continue
      }
      this.#queue = rest
      if (this.#try(target)) return
    }
  }

  #fallBack(): boolean {
    const route = this.#resolved?.route
    const name = route?.fallbacks.find(candidate => !this.#triedNames.includes(candidate))
    if (route === undefined || name === undefined || this.#triedNames.length > MAX_FALLBACK_NAMES) return false
    const resolved = this.#runtime.routes.resolve(name)
    this.#triedNames.push(name)
    if (resolved instanceof Failure) return this.#fallBack()
    this.#gateway.metrics.fellBack(route.name, resolved.route.name, this.#lastFailure?.kind ?? 'none')
    // The first name's list goes on; a fallback's own fallbacks would make circles and surprises.
    this.#resolved = { ...resolved, route: { ...resolved.route, fallbacks: route.fallbacks } }
    this.#queue = shuffled(resolved.route.targets, Math.random)
    return true
  }

  /** False when this target cannot take the request at all. */
  #try(target: Target): boolean {
    const resolved = this.#resolved as Resolved
    this.#model = upstreamModel(target, resolved.asked, resolved.captured)
    const prepared = this.#preparation.for(target, this.#model)
    if (!(prepared instanceof Failure)) {
      this.#send(target, prepared)
      return true
    }
    this.#lastFailure = prepared
    // What the client got wrong is wrong for every target.
    if (!prepared.tryNext) this.#queue = []
    return false
  }

  #send(target: Target, { surface, body, dropped, translation }: Prepared): void {
    const inbound = this.#inbound
    const headers = upstreamHeaders(inbound.headers, surface, target.provider === 'demo', translation !== undefined)
    this.#dropped = dropped
    for (const field of dropped) this.#gateway.metrics.droppedField(inbound.dialect, surface.dialect, field)
    const bodyLength = byteLength(body)
    if (body.length > 1) headers.push('content-length', String(bodyLength))
    const checksEnd = inbound.operation === 'chat' || inbound.operation === 'completions'
    const attempt = new Attempt({ target, surface, stream: inbound.stream, checksEnd, translation }, this)
    this.#attempt = attempt
    this.#sent++
    if (this.#attempts.length === 0) this.#overhead = attempt.startedAt - inbound.receivedAt
    const request = {
      method: 'POST',
      path: surface.base + this.#path(surface) + (translation === undefined ? inbound.query : ''),
      headers,
      body,
      bodyLength
    }
    const call = new Call(target.wire, request, target.place, target.timeouts, this.#gateway.deadlines, attempt)
    // A failure at once has already moved on to another attempt, or ended the exchange.
    if (this.#attempt === attempt && !this.#over) this.#call = call
    else call.abort()
  }

  #path(surface: Surface): string {
    const { operation, action } = this.#inbound
    if (surface.dialect === 'gemini')
      return `/models/${encodeURIComponent(this.#model).replaceAll('%2F', '/')}:${action}`
    return operationPath(surface.dialect, operation) ?? ''
  }

  begin(status: number, upstream: WireHeaders, length: number | undefined): void {
    this.#firstByteAt = performance.now()
    this.#begun = true
    this.#status = status
    this.#framed = length === undefined && String(upstream['content-type']).startsWith('text/event-stream')
    const headers = this.#ownHeaders()
    addReturned(upstream, headers)
    if (length !== undefined) headers.push('content-length', String(length))
    else if (this.#framed) headers.push('cache-control', 'no-cache', 'x-accel-buffering', 'no')
    this.#client.begin(status, headers)
  }

  write(chunk: Buffer): void {
    this.#bytesOut += chunk.length
    if (!this.#client.write(chunk)) this.#call?.pause()
  }

  finish(usage: Usage | undefined, last: Buffer | undefined): void {
    if (this.#over) return
    this.#bytesOut += last?.length ?? 0
    this.#client.end(last)
    this.#note('ok')
    this.#settle(usage, undefined)
  }

  failed(failure: Failure, answer?: ErrorAnswer): void {
    if (this.#over) return
    this.#note(failure.kind, failure.message)
    this.#lastFailure = failure
    if (this.#begun) return this.#failMidway(failure)
    this.#call = undefined
    if (failure.tryNext && (this.#queue.length > 0 || this.#hasFallback())) return this.#next()
    if (answer !== undefined) this.#passError(failure, answer)
    else this.#fail(failure)
  }

  /** The client has left: nobody needs the answer, and a GPU is busy making it. */
  abandon(): void {
    if (this.#over) return
    this.#call?.abort()
    if (this.#attempt !== undefined) this.#note('aborted')
    if (this.#begun) this.#gateway.metrics.streamAborted('client')
    this.#settle(undefined, undefined, true)
  }

  /** The client has taken what it was sent. */
  resume(): void {
    if (!this.#over) this.#call?.resume()
  }

  /** The gateway ends: streams get their failure event, others their failure. */
  stop(failure: Failure): void {
    if (this.#over) return
    this.#call?.abort()
    if (this.#attempt !== undefined) this.#note(failure.kind)
    if (this.#begun) this.#failMidway(failure)
    else this.#fail(failure)
  }

  #hasFallback(): boolean {
    return this.#resolved?.route.fallbacks.some(name => !this.#triedNames.includes(name)) ?? false
  }

  #failMidway(failure: Failure): void {
    this.#gateway.metrics.streamAborted(failure.kind === 'unavailable' ? 'gateway' : 'upstream')
    this.#call?.abort()
    // After part of a JSON body only a broken connection says that it is not whole.
    if (this.#framed) this.#client.end(Buffer.from(this.#dialect.encodeFailureFrame(failure, this.#inbound.id)))
    else this.#client.destroy()
    this.#settle(undefined, failure)
  }

  #passError(failure: Failure, answer: ErrorAnswer): void {
    this.#status = answer.status
    const headers = this.#ownHeaders()
    addReturned(answer.headers, headers)
    // Codex gives up on a 429 that does not say when to come back.
    if (answer.status === 429 && answer.headers['retry-after'] === undefined) headers.push('retry-after', '5')
    headers.push('content-length', String(answer.body.length))
    this.#client.begin(answer.status, headers)
    this.#client.end(answer.body)
    this.#settle(undefined, failure)
  }

  #fail(failure: Failure): void {
    this.#status = this.#dialect.statusOf(failure)
    const body = Buffer.from(this.#dialect.encodeFailure(failure, this.#inbound.id))
    const headers = this.#ownHeaders()
    headers.push('content-type', 'application/json', 'content-length', String(body.length))
    const retryAfter =
      failure.details.retryAfter ??
      (this.#status === 429 || this.#status === 529 || this.#status === 503 ? 5 : undefined)
    if (retryAfter !== undefined) headers.push('retry-after', String(Math.ceil(retryAfter)))
    this.#client.begin(this.#status, headers)
    this.#client.end(body)
    this.#settle(undefined, failure)
  }

  #ownHeaders(): string[] {
    if (this.#attempt === undefined) this.#overhead = performance.now() - this.#inbound.receivedAt
    const headers = ['x-task-id', this.#inbound.id]
    if (this.#attempt !== undefined)
      headers.push('x-provider', this.#attempt.target.provider, 'x-model', headerSafe(this.#model))
    if (this.#dropped.length > 0) headers.push('x-gateway-dropped', headerSafe(this.#dropped.join(', ').slice(0, 2000)))
    headers.push(
      'x-gateway-attempts',
      String(this.#sent),
      'x-gateway-cache',
      'bypass',
      'x-gateway-config',
      String(this.#runtime.generation),
      'x-gateway-overhead-ms',
      this.#overhead.toFixed(2)
    )
    return headers
  }

  #note(reason: string, message?: string): void {
    const attempt = this.#attempt
    if (attempt === undefined) return
    const milliseconds = Math.round(performance.now() - attempt.startedAt)
    attempt.target.series.attempt(reason)
    const clients = reason === 'aborted' || reason === 'upstream-rejected' || reason === 'unavailable'
    // Neither a client's own mistake nor its leaving says anything about the target.
    if (!clients) this.#gateway.health.note(attempt.target.name, reason === 'ok', milliseconds, message)
    this.#attempts.push({
      target: attempt.target.name,
      reason,
      milliseconds,
      ...(message !== undefined && { message })
    })
  }

  #settle(usage: Usage | undefined, failure: Failure | undefined, clientGone = false): void {
    if (this.#over) return
    this.#over = true
    const { metrics } = this.#gateway
    metrics.inflight--
    this.#gateway.running.remove(this)
    const inbound = this.#inbound
    const target = this.#attempt?.target
    const record: CallRecord = {
      id: inbound.id,
      at: Date.now(),
      endpoint: inbound.endpoint,
      stream: inbound.stream,
      model:
        inbound.model === undefined || inbound.model.length <= 200 ? inbound.model : `${inbound.model.slice(0, 200)}…`,
      route: this.#resolved?.route.name,
      provider: target?.provider,
      upstreamModel: target === undefined ? undefined : this.#model,
      status: clientGone ? 499 : this.#status,
      attempts: this.#attempts,
      usage,
      dropped: this.#dropped,
      firstByteMilliseconds: this.#firstByteAt === 0 ? undefined : this.#firstByteAt - inbound.receivedAt,
      milliseconds: performance.now() - inbound.receivedAt,
      overheadMilliseconds: this.#overhead,
      bytesIn: inbound.body.length,
      bytesOut: this.#bytesOut,
      failure: failure?.kind,
      failureMessage: failure?.message,
      clientGone,
      generation: this.#runtime.generation
    }
    // A stranger chose the name of a model that leads nowhere.
    const series = target?.series.call(inbound.endpoint) ?? metrics.call('other', 'none', inbound.endpoint)
    count(record, series, metrics)
    this.#gateway.settled(record, failure?.details.cause)
  }
}

/** A model's name goes into a header, and a client may have chosen it. */
function headerSafe(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text)
}
