import type { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { Target } from '../routing/target.ts'
import type { CooldownRule } from '../routing/target-state.ts'

/** How a try at a target has ended. */
interface Ended {
  readonly ok: boolean
  readonly failure: Failure | undefined
  readonly usage: Usage | undefined
  /** The client has been sent some of its answer. */
  readonly answering: boolean
  readonly milliseconds: number
  /** Tokens that were set aside for it. */
  readonly tokens: number
}

/** Remembers what a try showed of its target: how it is, and what it has used. */
export function learn({ state, tpm }: Target, ended: Ended, rule: CooldownRule, now: number): void {
  const { ok, failure, usage, milliseconds } = ended
  if (ok) state.succeeded(milliseconds, now)
  else if (failure !== undefined && saysSomething(failure)) {
    const { kind, message, details } = failure
    state.failed(kind, message, milliseconds, details.retryAfter, rule, now)
  }
  // A stream that broke has used what nobody tells: the estimate stands.
  if (tpm === undefined || (usage === undefined && ended.answering)) return
  const used = usage === undefined ? 0 : usage.input + usage.output
  state.tokens.add(used - ended.tokens, now)
}

/** Neither a client's own mistake nor its leaving says anything about the target. */
function saysSomething({ kind }: Failure): boolean {
  return kind.startsWith('upstream-') && kind !== 'upstream-rejected'
}
