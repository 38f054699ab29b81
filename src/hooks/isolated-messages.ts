// What is said between the gateway and the thread of a hook. All of it is copied: nothing is shared.

import type { MessagePort } from 'node:worker_threads'
import type { FailureDetails, FailureKind } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { CallOrigin } from './call.ts'
import type { CallChanges, Log, TargetInfo } from './hook.ts'

export interface Start {
  readonly file: string
  readonly options: unknown
  readonly folder: string
  readonly models: readonly string[]
  /** Where the thread waits for what it cannot do without: `call.chat` may not be a promise. It is left in the hatch. */
  readonly bell: SharedArrayBuffer
  readonly hatch: MessagePort
}

/** A failure, of which a copy would be none. */
export interface PlainFailure {
  readonly failure: { readonly kind: FailureKind; readonly message: string; readonly details: FailureDetails }
}

export interface PlainError {
  readonly message: string
  readonly stack: string | undefined
}

/** All of a call that does not have to be asked for. */
export interface PlainCall extends Pick<CallOrigin, 'id' | 'model' | 'stream' | 'dialect' | 'operation' | 'caller'> {
  /** The same for all phases of one request. */
  readonly key: number
  readonly maxTokens: number | undefined
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly tags: readonly string[]
  readonly target: TargetInfo | undefined
  readonly changes: CallChanges
  /** Sent along once the hook has asked for one. */
  readonly chat: ChatRequest | undefined
}

export type IsolatedPhase = 'preCall' | 'postCall' | 'onFailure' | 'onDone'

/** What a phase came to. */
export type Said =
  | { readonly as: 'nothing' }
  | { readonly as: 'call'; readonly changes: CallChanges }
  | { readonly as: 'value'; readonly value: unknown }
  | ({ readonly as: 'failure' } & PlainFailure)
  | ({ readonly as: 'error' } & PlainError)
  | ({ readonly as: 'no-conversation' } & Partial<PlainFailure>)

export interface AskPhase {
  readonly ask: number
  readonly phase: IsolatedPhase
  readonly call: PlainCall
  /** The answer, the failure or the account that the phase is about. */
  readonly about: unknown
}

export interface Reply {
  readonly reply: number
  readonly value: unknown
  readonly error?: string
}

/** To the thread. */
export type ToThread =
  | AskPhase
  | Reply
  | { readonly dispose: true }
  | { readonly ping: true }
  | { readonly abort: number }
  | { readonly forget: number }

/** What the thread asks of the gateway. */
export type Wish =
  | { readonly kv: 'get' | 'set' | 'delete'; readonly key: string; readonly value?: string; readonly seconds?: number }
  | { readonly of: number; readonly chat: ChatRequest }
  | { readonly of: number; readonly embed: string; readonly texts: readonly string[] }

/** From the thread. */
export type FromThread =
  | { readonly ready: readonly string[]; readonly name: string; readonly timeout: number }
  | { readonly wrong: readonly { readonly path: readonly (string | number)[]; readonly message: string }[] }
  | { readonly answered: number; readonly said: Said }
  | { readonly disposed: true }
  | { readonly pong: true }
  | { readonly wish: number; readonly wanted: Wish }
  /** Waits at the bell for the conversation of this call. */
  | { readonly chatOf: number }
  | { readonly log: keyof Log; readonly message: string; readonly fields: Readonly<Record<string, unknown>> }
  | { readonly count: string; readonly amount: number }
  | { readonly stray: PlainError }

/** Left in the hatch. */
export type InHatch = { readonly chat: ChatRequest } | PlainFailure | { readonly none: true }

/** What a wish of a call comes to. */
export type Granted<Told> = { readonly told: Told } | PlainFailure
