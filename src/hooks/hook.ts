// What a hook file may import: `sluice/hook`. Hooks that are shipped know no more than this.

import type { ChatAnswer } from '../chat/answer.ts'
import type { Block } from '../chat/block.ts'
import type { ChatEvent } from '../chat/events.ts'
import type { Failure, FailureKind } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { Usage } from '../chat/usage.ts'
import type { ValueOf } from './options.ts'

export type { Block } from '../chat/block.ts'
export { Failure } from '../chat/failure.ts'

export { parseDuration } from '../lib/duration.ts'
export { jsonSchema } from './json-schema.ts'
export { safePattern } from './safe-pattern.ts'
export { TextWindow } from './text-window.ts'
export type { ChatRequest }
/** `headers` of an answer that a hook gives go to the client: `age` and those that begin with `x-gateway-`. */
export type Answer = ChatAnswer & { readonly headers?: Readonly<Record<string, string>> }
export type Event = ChatEvent

export interface Caller {
  /**
   * The public part of a key; `master` for the administrator. Where nobody needs a key: the same for the same credential,
   * and no secret; `anonymous` without one.
   */
  readonly id: string
  readonly alias?: string
  readonly userId?: string
  readonly teamId?: string
  readonly organizationId?: string
}

/** Whom an attempt asks. */
export interface TargetInfo {
  readonly name: string
  readonly provider: string
  /** As the upstream calls it. */
  readonly model: string
  /** In the order of preference. */
  readonly dialects: readonly string[]
  /** Scheme, host and port. */
  readonly origin: string
}

export interface CallChanges {
  readonly model?: string
  readonly maxTokens?: number
  readonly tags?: readonly string[]
  /** Over those the client sent; undefined takes one away. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly chat?: ChatRequest
  /** For the client: `age` and those that begin with `x-gateway-`. */
  readonly answerHeaders?: Readonly<Record<string, string>>
}

/** One request. Never changes: `with` makes another. */
export interface Call {
  readonly id: string
  /** As the client named it; empty when it named none. */
  readonly model: string
  readonly maxTokens: number | undefined
  readonly stream: boolean
  /** Lower-case names; credentials and cookies are left out. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly caller: Caller
  readonly dialect: string
  readonly operation: 'chat' | 'completions' | 'embeddings' | 'count-tokens'
  /** Set in the hooks of an entry of model_list. */
  readonly target: TargetInfo | undefined
  readonly tags: readonly string[]
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal
  /** The conversation, read when asked for. A request that has none (embeddings) ends the phase for this hook. */
  readonly chat: ChatRequest
  /** The same for all that `with` made of one request: what a hook remembers of it hangs here (see `perCall`). */
  readonly origin: object
  with(changes: CallChanges): Call
  /** Asks the gateway for an answer to another conversation, as this caller would; without hooks. */
  ask(chat: ChatRequest): Promise<Answer | Failure>
  /** A vector for each text, from a model that the gateway serves; as this caller would, without hooks. */
  embed(model: string, texts: readonly string[]): Promise<readonly (readonly number[])[] | Failure>
}

/** What became of a request. */
export interface DoneRecord {
  readonly id: string
  readonly at: number
  readonly endpoint: string
  readonly stream: boolean
  readonly model: string | undefined
  readonly route: string | undefined
  readonly provider: string | undefined
  readonly upstreamModel: string | undefined
  readonly status: number
  readonly usage: Usage | undefined
  /** USD; absent where nobody knows what it cost. */
  readonly cost?: number
  readonly milliseconds: number
  readonly firstByteMilliseconds: number | undefined
  readonly bytesIn: number
  readonly bytesOut: number
  readonly failure: FailureKind | undefined
  readonly failureMessage: string | undefined
  readonly clientGone: boolean
}

/** Texts by name, each for a while: of this hook alone, and alive through reloads. */
export interface Kv {
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, seconds: number): Promise<void>
  delete(key: string): Promise<void>
}

export interface Log {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void
  info(message: string, fields?: Readonly<Record<string, unknown>>): void
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void
  error(message: string, fields?: Readonly<Record<string, unknown>>): void
}

export interface Services {
  readonly log: Log
  readonly kv: Kv
  readonly metrics: {
    /** Adds to `gateway_hook_events_total` of this hook. Events are told apart by a few fixed names. */
    count(event: string, amount?: number): void
  }
  /** As the global one, without redirects, and not to where clouds keep their credentials. */
  readonly fetch: typeof fetch
  readonly config: {
    /** The folder gateway.yaml lies in: relative paths of options start there. */
    readonly folder: string
    /** Names that model_list serves. */
    readonly models: readonly string[]
  }
}

type Awaitable<Value> = Value | Promise<Value>
// biome-ignore lint/suspicious/noConfusingVoidType: a phase that returns nothing leaves things as they are.
type Nothing = undefined | void

export interface Phases {
  /** Before the upstream: another call, an answer instead of the upstream's, or a failure. */
  preCall?(call: Call): Awaitable<Call | Answer | Failure | Nothing>
  /** The whole answer: another one, or a failure. Of a stream it comes after the end and can change nothing. */
  postCall?(answer: Answer, call: Call): Awaitable<Answer | Failure | Nothing>
  /** Each event of an answer: another one, several, or null for none. May not wait. */
  onEvent?(event: Event, call: Call): Event | readonly Event[] | null | Nothing
  /** Nothing more can be tried, and the client has seen nothing: an answer instead. */
  onFailure?(failure: Failure, call: Call): Awaitable<Answer | Nothing>
  /** After the last byte. */
  onDone?(record: DoneRecord, call: Call): Awaitable<unknown>
  /** After the last request of its configuration. */
  dispose?(): Awaitable<unknown>
}

export interface Hook<Schema = unknown> {
  readonly name: string
  readonly description?: string
  /** Seconds that a phase of it is waited for when gateway.yaml does not say; 2 when this does not either. */
  readonly timeout?: number
  /** JSON Schema of the options; without one, there are none. */
  readonly options?: Schema
  setup(options: ValueOf<Schema>, services: Services): Awaitable<Phases>
}

/** Only adds types. */
export function defineHook<const Schema>(hook: Hook<Schema>): Hook<Schema> {
  return hook
}

/** An answer of one text. */
export function answerOf(text: string, model = ''): Answer {
  return { id: '', model, blocks: [{ type: 'text', text }], finish: 'stop' }
}

/** What a hook remembers of one request, made when it is first asked for. */
export function perCall<Value extends object>(make: (call: Call) => Value): (call: Call) => Value {
  const values = new WeakMap<object, Value>()
  return call => {
    let value = values.get(call.origin)
    if (value === undefined) {
      value = make(call)
      values.set(call.origin, value)
    }
    return value
  }
}

/** The conversation with each of its texts changed: what the system and all turns say, results of tools too. */
export function mapTexts(chat: ChatRequest, change: (text: string) => string): ChatRequest {
  let changed = false
  const note = <Value>(before: Value, after: Value): Value => {
    changed ||= before !== after
    return after
  }
  const mapBlock = (block: Block): Block => {
    if (block.type === 'text') {
      const text = note(block.text, change(block.text))
      return text === block.text ? block : { ...block, text }
    }
    if (block.type === 'tool-result') {
      const blocks = block.blocks.map(mapBlock)
      return blocks.every((inner, index) => inner === block.blocks[index]) ? block : { ...block, blocks }
    }
    if (block.type === 'tool-call') {
      const input = note(block.input, change(block.input))
      return input === block.input ? block : { ...block, input }
    }
    return block
  }
  const system = chat.system.map(block => {
    const text = note(block.text, change(block.text))
    return text === block.text ? block : { ...block, text }
  })
  const turns = chat.turns.map(turn => ({ ...turn, blocks: turn.blocks.map(mapBlock) }))
  return changed ? { ...chat, system, turns } : chat
}

/** All that an answer says to its reader. */
export function textOf(answer: Answer): string {
  return answer.blocks.map(block => (block.type === 'text' ? block.text : '')).join('')
}
