// What goes to the thread of a hook as a copy, and what of it comes back.

import { Failure } from '../chat/failure.ts'
import { HookCall, NoConversation } from './call.ts'
import type { Answer } from './hook.ts'
import type { PlainFailure, Said } from './isolated-messages.ts'

/** What a phase may have come to. */
export type Given = HookCall | Answer | Failure | undefined

/** A phase that is under way in the thread. */
export interface Pending {
  readonly call: HookCall
  resolve(said: Given): void
  reject(error: unknown): void
}

export function noCall(said: Given): Answer | Failure | undefined {
  if (said instanceof HookCall) throw new TypeError('it returned a call, which only preCall may')
  return said
}

export function noFailure(said: Given): Answer | undefined {
  if (said instanceof Failure) throw new TypeError('it returned a failure, which it was to answer')
  const answer = noCall(said)
  return answer instanceof Failure ? undefined : answer
}

export function plainFailure({ kind, message, details: { cause: _, ...details } }: Failure): PlainFailure {
  return { failure: { kind, message, details } }
}

export function failureOf({ failure: { kind, message, details } }: PlainFailure): Failure {
  return new Failure(kind, message, details)
}

export function settle({ call, resolve, reject }: Pending, said: Said): void {
  switch (said.as) {
    case 'nothing':
      return resolve(undefined)
    case 'value':
      // Whoever asked looks at what it is.
      return resolve(said.value as Answer)
    case 'failure':
      return resolve(failureOf(said))
    case 'no-conversation':
      return reject(new NoConversation(said.failure === undefined ? undefined : failureOf({ failure: said.failure })))
    case 'error': {
      const error = new Error(said.message)
      if (said.stack !== undefined) error.stack = said.stack
      return reject(error)
    }
    case 'call':
      // Checked again: what comes from a thread is only what it says.
      try {
        return resolve(call.with(said.changes))
      } catch (error) {
        return reject(error)
      }
  }
}
