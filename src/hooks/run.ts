// Lists of hooks, run down and back up. Everything is synchronous as long as the hooks are.

import { Failure } from '../chat/failure.ts'
import type { Bound, Phase } from './bound.ts'
import { checkAnswerHeaders, HookCall } from './call.ts'
import { deepFreeze } from './freeze.ts'
import type { Answer, DoneRecord } from './hook.ts'

/** What came of going down a list: another call, or an end, and the hooks that the answer passes on its way back. */
export interface Gone {
  readonly call: HookCall
  readonly passed: readonly Bound[]
  readonly end: Answer | Failure | undefined
}

export function runDown(list: readonly Bound[], call: HookCall): Gone | Promise<Gone> {
  return downFrom(list, 0, call)
}

function downFrom(list: readonly Bound[], first: number, start: HookCall): Gone | Promise<Gone> {
  let call = start
  for (let at = first; at < list.length; at++) {
    const bound = list[at]
    if (bound?.phases.preCall === undefined || !bound.covers(call)) continue
    const asked = call
    const said = bound.ask('preCall', asked, phases => phases.preCall?.(asked))
    if (said instanceof Promise)
      return said.then(late => {
        const next = judged(bound, late)
        return next instanceof HookCall || next === undefined
          ? downFrom(list, at + 1, next ?? asked)
          : { call: asked, passed: list.slice(0, at), end: next }
      })
    const next = judged(bound, said)
    if (next instanceof HookCall) call = next
    else if (next !== undefined) return { call, passed: list.slice(0, at), end: next }
  }
  return { call, passed: list, end: undefined }
}

function judged(bound: Bound, said: unknown): HookCall | Answer | Failure | undefined {
  if (said === undefined || said instanceof HookCall || said instanceof Failure) return said
  return isAnswer(said)
    ? checked(bound, 'preCall', said)
    : bound.broken('preCall', strange('a call, an answer, a failure or nothing'))
}

/** The answer as it comes out of a list, from its last hook to its first. */
export function runBack(
  list: readonly Bound[],
  answer: Answer,
  call: HookCall
): Answer | Failure | Promise<Answer | Failure> {
  return backFrom(list, list.length - 1, deepFreeze(answer), call)
}

function backFrom(
  list: readonly Bound[],
  first: number,
  start: Answer,
  call: HookCall
): Answer | Failure | Promise<Answer | Failure> {
  let answer = start
  for (let at = first; at >= 0; at--) {
    const bound = list[at]
    if (bound?.phases.postCall === undefined || !bound.covers(call)) continue
    const given = answer
    const said = bound.ask('postCall', call, phases => phases.postCall?.(given, call))
    if (said instanceof Promise)
      return said.then(late => {
        const next = reviewed(bound, 'postCall', late)
        return next instanceof Failure ? next : backFrom(list, at - 1, next ?? given, call)
      })
    const next = reviewed(bound, 'postCall', said)
    if (next instanceof Failure) return next
    answer = next ?? answer
  }
  return answer
}

/** The first answer that a hook has for a failure, from the last hook to the first. */
export function runFailure(
  list: readonly Bound[],
  failure: Failure,
  call: HookCall
): Answer | undefined | Promise<Answer | undefined> {
  for (let at = list.length - 1; at >= 0; at--) {
    const bound = list[at]
    if (bound?.phases.onFailure === undefined || !bound.covers(call)) continue
    const said = bound.ask('onFailure', call, phases => phases.onFailure?.(failure, call))
    if (said instanceof Promise)
      return said.then(late => rescued(bound, late) ?? runFailure(list.slice(0, at), failure, call))
    const answer = rescued(bound, said)
    if (answer !== undefined) return answer
  }
  return undefined
}

/** A hook that fails here must not hide the failure that was to be told. */
function rescued(bound: Bound, said: unknown): Answer | undefined {
  const answer = reviewed(bound, 'onFailure', said)
  return answer instanceof Failure ? undefined : answer
}

/** Nobody waits for these. */
export function runDone(list: readonly Bound[], record: DoneRecord, call: HookCall): void {
  for (const bound of list) {
    if (bound.phases.onDone === undefined || !bound.covers(call)) continue
    void bound.ask('onDone', call, phases => phases.onDone?.(record, call))
  }
}

function reviewed(bound: Bound, phase: Phase, said: unknown): Answer | Failure | undefined {
  if (said === undefined || said instanceof Failure) return said
  if (isAnswer(said)) return checked(bound, phase, said)
  return bound.broken(phase, strange('an answer, a failure or nothing'))
}

function checked(bound: Bound, phase: Phase, answer: Answer): Answer | Failure | undefined {
  try {
    checkAnswerHeaders(answer.headers ?? {})
    return deepFreeze(answer)
  } catch (error) {
    return bound.broken(phase, error)
  }
}

function isAnswer(said: unknown): said is Answer {
  return typeof said === 'object' && said !== null && 'blocks' in said && Array.isArray(said.blocks) && 'finish' in said
}

function strange(wanted: string): TypeError {
  return new TypeError(`it returned something else than ${wanted}`)
}
