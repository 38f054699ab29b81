import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import { deepFreeze } from './freeze.ts'
import type { Answer, Call, CallChanges, Caller, TargetInfo } from './hook.ts'

/** Where a call's values come from. Each is asked for when a hook asks. */
export interface CallOrigin {
  readonly id: string
  readonly model: string
  readonly stream: boolean
  readonly dialect: string
  readonly operation: Call['operation']
  readonly signal: AbortSignal
  readonly caller: Caller
  headers(): Readonly<Record<string, string | undefined>>
  tags(): readonly string[]
  maxTokens(): number | undefined
  ask(chat: ChatRequest): Promise<Answer | Failure>
  embed(model: string, texts: readonly string[]): Promise<readonly (readonly number[])[] | Failure>
  /** Told how long a hook took, by those who follow the request. */
  readonly ran?: ((hook: string, phase: string, milliseconds: number, failed: boolean) => void) | undefined
  /** Undefined when this is no conversation. */
  chat(): ChatRequest | Failure | undefined
}

/** Thrown out of a hook that asks for what a request does not have; not its mistake. */
export class NoConversation {
  /** Undefined: the request is none, and the hook has nothing to do with it. */
  readonly failure: Failure | undefined

  constructor(failure: Failure | undefined) {
    this.failure = failure
  }
}

export class HookCall implements Call {
  readonly origin: CallOrigin
  readonly target: TargetInfo | undefined
  readonly changes: CallChanges

  constructor(origin: CallOrigin, changes: CallChanges, target: TargetInfo | undefined) {
    this.origin = origin
    this.changes = changes
    this.target = target
    Object.freeze(this)
  }

  get id(): string {
    return this.origin.id
  }

  get model(): string {
    return this.changes.model ?? this.origin.model
  }

  get maxTokens(): number | undefined {
    return 'maxTokens' in this.changes ? this.changes.maxTokens : this.origin.maxTokens()
  }

  get stream(): boolean {
    return this.origin.stream
  }

  get dialect(): string {
    return this.origin.dialect
  }

  get operation(): Call['operation'] {
    return this.origin.operation
  }

  get caller(): Caller {
    return this.origin.caller
  }

  get signal(): AbortSignal {
    return this.origin.signal
  }

  get headers(): Readonly<Record<string, string | undefined>> {
    const { headers } = this.changes
    return headers === undefined ? this.origin.headers() : { ...this.origin.headers(), ...headers }
  }

  get tags(): readonly string[] {
    return this.changes.tags ?? this.origin.tags()
  }

  get chat(): ChatRequest {
    const { chat, maxTokens } = this.changes
    if (chat !== undefined) return chat
    const read = this.origin.chat()
    if (read === undefined || read instanceof Failure) throw new NoConversation(read)
    deepFreeze(read)
    // Gemini's requests name the model in their path.
    if (maxTokens === undefined && read.model === this.model) return read
    return Object.freeze({ ...read, model: this.model, ...(maxTokens !== undefined && { maxTokens }) })
  }

  with(changes: CallChanges): HookCall {
    check(changes)
    const { model, maxTokens, tags, headers, chat, answerHeaders } = changes
    const said = { ...(model !== undefined && { model }), ...(maxTokens !== undefined && { maxTokens }) }
    const merged: CallChanges = {
      ...this.changes,
      ...(chat !== undefined && ofChat(chat, this)),
      ...said,
      ...(tags !== undefined && { tags: Object.freeze([...tags]) }),
      ...(headers !== undefined && { headers: Object.freeze({ ...this.changes.headers, ...lower(headers) }) }),
      ...(answerHeaders !== undefined && {
        answerHeaders: Object.freeze({ ...this.changes.answerHeaders, ...answerHeaders })
      })
    }
    const whole = chat ?? this.changes.chat
    const asked = whole === undefined ? {} : { chat: deepFreeze({ ...whole, ...said, stream: this.stream }) }
    return new HookCall(this.origin, Object.freeze({ ...merged, ...asked }), this.target)
  }

  ask(chat: ChatRequest): Promise<Answer | Failure> {
    return this.origin.ask(chat)
  }

  embed(model: string, texts: readonly string[]): Promise<readonly (readonly number[])[] | Failure> {
    return this.origin.embed(model, texts)
  }

  /** The same call, for one attempt. */
  at(target: TargetInfo): HookCall {
    return new HookCall(this.origin, this.changes, target)
  }
}

/** What a conversation says of its model and its cap counts as said of the call. */
function ofChat(chat: ChatRequest, call: HookCall): CallChanges {
  return {
    ...(chat.model !== call.model && chat.model !== '' && { model: chat.model }),
    ...(chat.maxTokens !== undefined && chat.maxTokens !== call.maxTokens && { maxTokens: chat.maxTokens })
  }
}

function lower(headers: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}

const KNOWN: ReadonlySet<string> = new Set(['model', 'maxTokens', 'tags', 'headers', 'chat', 'answerHeaders'])

/** Throws, as the hook's own mistake: what is wrong here would break the request later, far from its cause. */
function check(changes: CallChanges): void {
  for (const name of Object.keys(changes))
    if (!KNOWN.has(name)) throw new TypeError(`call.with: there is no \`${name}\`; known: ${[...KNOWN].join(', ')}`)
  const { model, maxTokens, tags, headers, chat, answerHeaders } = changes
  if (model !== undefined && (typeof model !== 'string' || model === ''))
    throw new TypeError('call.with: `model` must be a text')
  if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && maxTokens > 0))
    throw new TypeError('call.with: `maxTokens` must be a whole number above 0')
  if (tags !== undefined && !(Array.isArray(tags) && tags.every(tag => typeof tag === 'string')))
    throw new TypeError('call.with: `tags` must be a list of texts')
  if (answerHeaders !== undefined) checkAnswerHeaders(answerHeaders)
  for (const [name, value] of Object.entries(headers ?? {}))
    if (!/^[\w-]+$/.test(name) || (value !== undefined && !/^[\t\x20-\x7e]*$/.test(value)))
      throw new TypeError(`call.with: the header \`${name}\` cannot be sent`)
  if (chat !== undefined && !(Array.isArray(chat.turns) && Array.isArray(chat.system) && Array.isArray(chat.tools)))
    throw new TypeError('call.with: `chat` must be a conversation: start from `call.chat`')
}

/** Anything else would be the upstream's to say, or break the answer's frame. */
export function checkAnswerHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers))
    if (!/^(age|x-gateway-[a-z-]+)$/.test(name) || !/^[\x20-\x7e]*$/.test(value))
      throw new TypeError(`the header \`${name}\` of an answer is not a hook's to say`)
}
