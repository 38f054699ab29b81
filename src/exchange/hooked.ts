// What the hooks of a configuration do to one request. A runtime without hooks has none of this.

import { createHash } from 'node:crypto'
import type { ChatAnswer } from '../chat/answer.ts'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { Bound } from '../hooks/bound.ts'
import { type CallOrigin, HookCall } from '../hooks/call.ts'
import type { Answer, CallChanges, Caller, TargetInfo } from '../hooks/hook.ts'
import type { HookSet } from '../hooks/hook-set.ts'
import { type Gone, runBack, runDone, runDown, runFailure } from '../hooks/run.ts'
import { HookStage } from '../hooks/stage.ts'
import { LOCAL } from '../keys/caller.ts'
import { credentialOf } from '../keys/gate.ts'
import type { Target } from '../routing/target.ts'
import type { RequestSpans } from '../tracing/request-spans.ts'
import { tagsOf } from './ask.ts'
import type { Client, Inbound } from './inbound.ts'
import { answerIn, InnerClient, innerEmbedding, innerInbound, vectorsIn } from './inner.ts'
import type { Preparation } from './prepare.ts'
import type { CallRecord } from './record.ts'

/** Starts a request; what is returned ends it. */
export type Begin = (inbound: Inbound, client: Client) => () => void

type Reviewed = ChatAnswer | Failure

/** What hooks made of a request on its way to one target, and what they do to the answer. */
export class HookedAttempt {
  readonly #bounds: readonly Bound[]
  readonly #asked: Asked | undefined
  #call: HookCall

  /** `bounds`: those that the request has passed. `asked`: whom it goes to, when the call does not say so yet. */
  constructor(call: HookCall, bounds: readonly Bound[], asked?: Asked) {
    this.#call = call
    this.#bounds = bounds
    this.#asked = asked
  }

  get changes(): CallChanges {
    return this.#call.changes
  }

  get call(): HookCall {
    if (this.#asked !== undefined && this.#call.target === undefined) this.#call = this.#call.at(infoOf(this.#asked))
    return this.#call
  }

  /** They have to be shown the answer, so its bytes cannot simply pass. */
  get readsAnswer(): boolean {
    const { operation } = this.#call
    if (operation !== 'chat' && operation !== 'completions') return false
    return this.#bounds.some(({ phases }) => phases.onEvent !== undefined || phases.postCall !== undefined)
  }

  /** A new one for each answer. */
  stages(): HookStage[] {
    const stage = new HookStage(this.#bounds, this.call)
    return stage.isEmpty ? [] : [stage]
  }

  get review(): ((answer: ChatAnswer) => Reviewed | Promise<Reviewed>) | undefined {
    if (!this.#bounds.some(bound => bound.phases.postCall !== undefined && bound.covers(this.call))) return undefined
    return answer => runBack(this.#bounds, answer, this.call)
  }
}

/** A hook has answered instead of the upstream, or stopped the request. */
export type Ended = { readonly end: Answer | Failure; readonly attempt: HookedAttempt }

/** One request among hooks. */
export class Hooked {
  readonly #set: HookSet
  readonly #inbound: Inbound
  readonly #origin: Origin
  #call: HookCall
  /** The gateway's own hooks that the request has passed. */
  #passed: readonly Bound[] = []
  #entry: readonly Bound[] = []
  #asked: Asked | undefined
  #headers: Readonly<Record<string, string>> | undefined
  #rescued = false

  /** `begin` starts another request, without hooks. */
  constructor(set: HookSet, inbound: Inbound, preparation: Preparation, spans: RequestSpans | undefined, begin: Begin) {
    this.#set = set
    this.#inbound = inbound
    this.#origin = new Origin(inbound, preparation, spans, begin)
    this.#call = new HookCall(this.#origin, {}, undefined)
    set.enter()
  }

  /** The request as the gateway's own hooks left it, for choosing where it goes. */
  get inbound(): Inbound {
    const { model, headers } = this.#call.changes
    if (model === undefined && headers === undefined) return this.#inbound
    return {
      ...this.#inbound,
      ...(model !== undefined && { model }),
      ...(headers !== undefined && { headers: { ...this.#inbound.headers, ...headers } })
    }
  }

  get tags(): readonly string[] | undefined {
    return this.#call.changes.tags
  }

  /** What hooks add to the headers that the client is sent. */
  get answerHeaders(): Readonly<Record<string, string>> | undefined {
    return this.#headers ?? this.#call.changes.answerHeaders
  }

  /** Runs the gateway's own hooks. `next` is called at once when they are synchronous. */
  before(next: (ended: Ended | undefined) => void): void {
    const gone = this.#set.own.length === 0 ? NOTHING(this.#call) : runDown(this.#set.own, this.#call)
    const go = ({ call, passed, end }: Gone) => {
      this.#call = call
      this.#passed = passed
      next(end && this.#ended(end, new HookedAttempt(call, passed)))
    }
    if (gone instanceof Promise) void gone.then(go)
    else go(gone)
  }

  /** Runs the hooks of a target's entry. */
  at(target: Target, model: string): HookedAttempt | Ended | Promise<HookedAttempt | Ended> {
    this.#asked = { target, model }
    this.#entry = target.hooks
    if (target.hooks.length === 0) return new HookedAttempt(this.#call, this.#passed, this.#asked)
    const gone = runDown(target.hooks, this.#call.at(infoOf(this.#asked)))
    return gone instanceof Promise ? gone.then(later => this.#arrive(later)) : this.#arrive(gone)
  }

  #arrive({ call, passed, end }: Gone): HookedAttempt | Ended {
    const attempt = new HookedAttempt(call, [...this.#passed, ...passed])
    this.#headers = attempt.changes.answerHeaders
    return end === undefined ? attempt : this.#ended(end, attempt)
  }

  /** Asks for an answer instead of a failure, once; `next` is told of none when no hook has one. */
  rescue(failure: Failure, next: (ended: Ended | undefined) => void): void {
    if (this.#rescued) return next(undefined)
    this.#rescued = true
    const call = this.#last
    const go = (answer: Answer | undefined) => next(answer && this.#ended(answer, new HookedAttempt(call, [])))
    const answer = runFailure([...this.#set.own, ...this.#entry], failure, call)
    if (answer instanceof Promise) void answer.then(go)
    else go(answer)
  }

  /** The request is over. What hooks still do for it is of no use when the client has left or got a failure. */
  done(record: CallRecord): void {
    if (record.clientGone || record.failure !== undefined) this.#origin.abort()
    for (const list of [this.#set.own, this.#entry]) if (list.some(hasEnd)) runDone(list, record, this.#last)
    this.#set.leave()
  }

  get #last(): HookCall {
    return this.#asked === undefined ? this.#call : this.#call.at(infoOf(this.#asked))
  }

  #ended(end: Answer | Failure, attempt: HookedAttempt): Ended {
    if (!(end instanceof Failure)) this.#headers = { ...attempt.changes.answerHeaders, ...end.headers }
    return { end, attempt }
  }
}

const NOTHING = (call: HookCall): Gone => ({ call, passed: [], end: undefined })

const hasEnd = ({ phases }: Bound) => phases.onDone !== undefined

/** Whom an attempt asks, and what for. */
interface Asked {
  readonly target: Target
  readonly model: string
}

function infoOf({ target, model }: Asked): TargetInfo {
  const { name, provider, origin, surfaces } = target
  return Object.freeze({ name, provider, model, origin, dialects: surfaces.map(surface => surface.dialect) })
}

const SECRET_HEADERS = /^(authorization|proxy-authorization|cookie|x-api-key|api-key|x-goog-api-key)$/

/** Answers what hooks ask of a request, and finds it out no earlier. */
class Origin implements CallOrigin {
  readonly id: string
  readonly model: string
  readonly stream: boolean
  readonly dialect: string
  readonly operation: CallOrigin['operation']
  readonly ran: CallOrigin['ran']
  readonly #inbound: Inbound
  readonly #preparation: Preparation
  readonly #begin: Begin
  readonly #spans: RequestSpans | undefined
  #asked = 0
  #abort: AbortController | undefined
  #caller: Caller | undefined
  #headers: Readonly<Record<string, string | undefined>> | undefined

  constructor(inbound: Inbound, preparation: Preparation, spans: RequestSpans | undefined, begin: Begin) {
    this.#begin = begin
    this.#spans = spans
    this.ran = spans && ((hook, phase, milliseconds, failed) => spans.ran(hook, phase, milliseconds, failed))
    this.id = inbound.id
    this.model = inbound.model ?? ''
    this.stream = inbound.stream
    this.dialect = inbound.dialect
    this.operation = inbound.operation
    this.#inbound = inbound
    this.#preparation = preparation
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    return this.#abort.signal
  }

  abort(): void {
    this.#abort?.abort()
  }

  get caller(): Caller {
    this.#caller ??= Object.freeze(callerOf(this.#inbound))
    return this.#caller
  }

  headers(): Readonly<Record<string, string | undefined>> {
    this.#headers ??= shownHeaders(this.#inbound.headers)
    return this.#headers
  }

  tags(): readonly string[] {
    return tagsOf(this.#inbound, { tagged: true })
  }

  maxTokens(): number | undefined {
    const { found } = this.#inbound.body.fields
    for (const name of ['max_tokens', 'max_completion_tokens', 'max_output_tokens']) {
      const value = found[name]?.value
      if (typeof value === 'number') return value
    }
    if (this.dialect !== 'gemini') return undefined
    const chat = this.chat()
    return chat === undefined || chat instanceof Failure ? undefined : chat.maxTokens
  }

  ask(chat: ChatRequest): Promise<Answer | Failure> {
    const inbound = innerInbound(chat, this.#inbound, this.#nextId())
    return inbound instanceof Failure
      ? Promise.resolve(inbound)
      : this.#within<Answer>(inbound, text => answerIn(text, inbound))
  }

  embed(model: string, texts: readonly string[]): Promise<readonly (readonly number[])[] | Failure> {
    const inbound = innerEmbedding(model, texts, this.#inbound, this.#nextId())
    return inbound instanceof Failure
      ? Promise.resolve(inbound)
      : this.#within<readonly (readonly number[])[]>(inbound, text => vectorsIn(text, texts.length))
  }

  #nextId(): string {
    return `${this.id}-${++this.#asked}`
  }

  #within<Told>(inbound: Inbound, read: (text: string) => Told | Failure): Promise<Told | Failure> {
    return new Promise(resolve => {
      const headers = { ...inbound.headers, ...this.#spans?.header }
      const abandon = this.#begin({ ...inbound, headers }, new InnerClient<Told>(inbound, read, resolve))
      this.signal.addEventListener('abort', () => {
        abandon()
        resolve(new Failure('unavailable', 'The client has left.'))
      })
    })
  }

  chat(): ReturnType<CallOrigin['chat']> {
    return this.#preparation.chat
  }
}

/** Where nobody needs a key, those who send one all the same are told apart by it. */
function callerOf({ caller, headers }: Inbound): Caller {
  if (caller !== undefined && caller.id !== LOCAL.id) {
    const { id, alias, userId, teamId, organizationId } = caller
    return {
      id,
      ...(alias !== undefined && { alias }),
      ...(userId !== undefined && { userId }),
      ...(teamId !== undefined && { teamId }),
      ...(organizationId !== undefined && { organizationId })
    }
  }
  const credential = credentialOf(headers, '')
  if (credential === undefined) return { id: 'anonymous' }
  return { id: createHash('sha256').update(credential).digest('hex').slice(0, 16) }
}

function shownHeaders(headers: Inbound['headers']): Readonly<Record<string, string | undefined>> {
  const shown: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(headers))
    if (!SECRET_HEADERS.test(name)) shown[name] = Array.isArray(value) ? value.join(', ') : value
  return Object.freeze(shown)
}
