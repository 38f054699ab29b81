import { randomUUID } from 'node:crypto'
import { finished } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Failure } from '../../chat/failure.ts'
import { DIALECTS } from '../../dialects/index.ts'
import { ownerOf } from '../../exchange/account.ts'
import type { Gateway, Running } from '../../exchange/gateway.ts'
import type { AttemptRecord, CallRecord } from '../../exchange/record.ts'
import type { Runtime } from '../../exchange/runtime.ts'
import type { Caller } from '../../keys/caller.ts'
import type { RequestSpans } from '../../tracing/request-spans.ts'
import { dialectOfPath } from '../endpoints.ts'
import type { Destination } from './destination.ts'
import { Toll } from './toll.ts'

/** The other end of a passage that has become a WebSocket. */
export interface Leavable {
  leave(): void
}

/** One request on its way through, from its head to the settled account. It runs under one configuration. */
export class Passage implements Running {
  place = -1
  readonly id = randomUUID()
  readonly runtime: Runtime
  readonly endpoint: string
  caller: Caller | undefined
  destination: Destination | undefined
  /** What went wrong, where the connection only knows that it was given up. */
  problem: Failure | undefined
  /** By which span the upstream is asked, where the request is traced. */
  traced: { readonly traceparent: string } | undefined
  bytesIn = 0
  bytesOut = 0
  readonly #gateway: Gateway
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #control = new AbortController()
  readonly #receivedAt = performance.now()
  readonly toll: Toll
  readonly #spans: RequestSpans | undefined
  #socket: Leavable | undefined
  #timer: NodeJS.Timeout | undefined
  #sentAt = 0
  #firstByteAt = 0
  #stream = false
  #over = false

  constructor(gateway: Gateway, endpoint: string, request: FastifyRequest, reply: FastifyReply) {
    this.#gateway = gateway
    this.runtime = gateway.runtime
    this.endpoint = endpoint
    this.#request = request
    this.#reply = reply
    this.toll = new Toll(gateway, request.url)
    const { method, headers } = request
    const receivedAt = this.#receivedAt
    this.#spans = gateway.tracer?.begin({ endpoint, method, operation: 'passthrough', headers, receivedAt })
    gateway.metrics.inflight++
    gateway.running.add(this)
    finished(reply.raw, error => {
      if (this.#socket !== undefined) return
      this.#control.abort()
      this.settle(reply.raw.statusCode, error !== undefined && error !== null && this.problem === undefined)
    })
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.#control.signal
  }

  get over(): boolean {
    return this.#over || this.#reply.sent
  }

  /** The request is about to go out. */
  begin(destination: Destination): void {
    this.destination = destination
    this.#sentAt = performance.now()
    const { provider, origin, model, target } = destination
    const asked = { name: target?.name ?? `passthrough/${provider}`, provider, origin }
    this.traced = this.#spans?.attempt(asked, model, this.#sentAt)
    const { total } = destination.timeouts
    this.#timer = setTimeout(() => {
      const message = `${destination.place} timed out: the answer was not complete after ${total / 1000} s (timeouts.total).`
      this.giveUp(new Failure('upstream-timed-out', message, { code: 'timeout_total' }))
    }, total)
    this.#timer.unref()
  }

  /** The request has become a WebSocket, which ends when it ends. */
  becomes(socket: Leavable): void {
    this.#socket = socket
    this.#stream = true
    clearTimeout(this.#timer)
  }

  /** Counts a piece of the answer. */
  passed(chunk: Buffer): void {
    if (this.#firstByteAt === 0) this.#firstByteAt = performance.now()
    this.bytesOut += chunk.length
    this.toll.passed(chunk)
  }

  streams(): void {
    this.#stream = true
  }

  /** Answers with a failure, if nothing has been answered yet. */
  fail(failure: Failure): FastifyReply {
    this.problem ??= failure
    const reply = this.#reply
    if (this.over) return this.drop()
    const dialect = DIALECTS[dialectOfPath(this.#request.url)]
    const status = dialect.statusOf(failure)
    const retryAfter = failure.details.retryAfter ?? (status === 503 ? 5 : undefined)
    if (retryAfter !== undefined) reply.header('retry-after', Math.ceil(retryAfter))
    // A body that was not read to its end would be taken for the next request.
    if (!this.#request.raw.complete) reply.header('connection', 'close')
    return reply
      .code(status)
      .headers(this.ownHeaders())
      .type('application/json')
      .send(dialect.encodeFailure(failure, this.id))
  }

  /** Nobody is there to be answered; without this Fastify would go on to the handler. */
  drop(): FastifyReply {
    return this.#reply.sent ? this.#reply : this.#reply.hijack()
  }

  giveUp(failure: Failure): void {
    this.problem ??= failure
    if (this.#sentAt === 0) this.fail(failure)
    else this.#control.abort()
  }

  stop(failure: Failure): void {
    if (this.#socket === undefined) this.giveUp(failure)
    else this.#socket.leave()
  }

  leave(): void {
    this.#socket?.leave()
  }

  ownHeaders(): Record<string, string> {
    const { destination } = this
    return {
      'x-task-id': this.id,
      ...(destination !== undefined && { 'x-provider': destination.provider }),
      ...(destination?.model !== undefined && { 'x-model': encodeURI(destination.model) }),
      'x-gateway-config': String(this.runtime.generation),
      ...this.toll.headers
    }
  }

  /** Closes the account: once, and last. */
  settle(answered: number, clientGone: boolean): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    const { metrics, running } = this.#gateway
    metrics.inflight--
    running.remove(this)
    const status = clientGone ? 499 : answered
    const milliseconds = performance.now() - this.#receivedAt
    const overhead = (this.#sentAt === 0 ? performance.now() : this.#sentAt) - this.#receivedAt
    const firstByte = this.#firstByteAt === 0 ? undefined : this.#firstByteAt - this.#receivedAt
    const { destination, problem, endpoint } = this
    const target = destination?.target
    const series =
      target?.series.call(endpoint) ??
      metrics.call(destination === undefined ? 'other' : 'none', destination?.provider ?? 'none', endpoint)
    series.status(status)
    series.duration.observe(milliseconds / 1000)
    metrics.overhead.observe(overhead / 1000)
    if (this.#stream && (clientGone || problem !== undefined)) metrics.streamAborted(clientGone ? 'client' : 'upstream')
    const costs = this.toll.close(destination)
    series.cost.add(costs.cost ?? 0)
    const record: CallRecord = {
      id: this.id,
      ...(this.#spans !== undefined && { traceId: this.#spans.traceId }),
      at: Date.now(),
      endpoint,
      ...ownerOf(this.caller),
      stream: this.#stream,
      model: destination?.asked?.slice(0, 200),
      route: destination?.route,
      provider: destination?.provider,
      upstreamModel: destination?.model,
      status,
      attempts: this.#noteAttempt(answered, clientGone),
      ...costs,
      dropped: [],
      firstByteMilliseconds: firstByte,
      milliseconds,
      overheadMilliseconds: overhead,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      failure: problem?.kind,
      failureMessage: problem?.message,
      clientGone,
      generation: this.runtime.generation
    }
    this.#spans?.settled(record)
    this.#gateway.settled(record, problem?.details.cause, this.toll.account(destination?.asked, costs.usage))
  }

  /** One, if it went out: a body that streams cannot be sent twice. */
  #noteAttempt(answered: number, clientGone: boolean): AttemptRecord[] {
    const { destination, problem } = this
    if (this.#sentAt === 0 || destination === undefined) return []
    const refused = answered === 401 || answered === 403 ? 'upstream-refused-key' : undefined
    const reason = clientGone ? 'aborted' : (problem?.kind ?? refused ?? (answered >= 500 ? 'upstream-failed' : 'ok'))
    const milliseconds = Math.round(performance.now() - this.#sentAt)
    const name = destination.target?.name ?? `passthrough/${destination.provider}`
    destination.target?.series.attempt(reason)
    if (destination.target !== undefined && (reason === 'ok' || reason.startsWith('upstream-')))
      destination.target.state.note(reason === 'ok', milliseconds, problem?.message)
    return [{ target: name, reason, milliseconds, ...(problem !== undefined && { message: problem.message }) }]
  }
}

/** Where a passage goes, once that is known. */
export function destinationOf({ destination }: Passage): Destination {
  if (destination === undefined) throw new Error('a passage has no destination yet')
  return destination
}
