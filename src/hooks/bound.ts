import { Failure } from '../chat/failure.ts'
import { matchesGlob } from '../config/checks/served.ts'
import { messageOf, placeIn } from './blame.ts'
import { type HookCall, NoConversation } from './call.ts'
import type { HookEnvironment, PhaseMeter } from './environment.ts'
import type { Call, Phases } from './hook.ts'
import type { Condition, Listed } from './listed.ts'

export type Phase = Exclude<keyof Phases, 'dispose'>

/** A hook blocks everybody while it computes; from here on that is told. Milliseconds. */
const BLOCKING = 50
const TELL_AGAIN = 10_000

/** What all lists share that name one hook with the same options. */
export interface Instance {
  readonly name: string
  readonly phases: Phases
  /** Milliseconds. */
  readonly timeout: number
  /** Absolute. */
  readonly files: ReadonlySet<string>
}

/** A hook in one list: when it is asked, how long it is waited for, and what its mistakes come to. */
export class Bound {
  readonly name: string
  readonly instance: Instance
  readonly phases: Phases
  readonly #listed: Listed
  readonly #timeout: number
  readonly #environment: HookEnvironment
  readonly #meters = new Map<string, PhaseMeter>()
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(instance: Instance, listed: Listed, environment: HookEnvironment) {
    this.name = instance.name
    this.instance = instance
    this.phases = instance.phases
    this.#listed = listed
    this.#timeout = listed.timeout ?? instance.timeout
    this.#environment = environment
  }

  covers(call: Call): boolean {
    const { when } = this.#listed
    return when === undefined || meets(when, call)
  }

  /** What the hook says; a mistake of its own is the failure that the request gets, or nothing where it is to be skipped. */
  ask<Said>(
    phase: Phase,
    call: HookCall,
    work: (phases: Phases) => Said | Promise<Said>
  ): Said | Failure | undefined | Promise<Said | Failure | undefined> {
    const began = performance.now()
    let said: Said | Promise<Said>
    try {
      said = work(this.phases)
    } catch (error) {
      this.#measure(phase, call, began, { blocking: true, failed: true })
      return this.broken(phase, error)
    }
    if (!isThenable(said)) {
      this.#measure(phase, call, began, { blocking: true })
      return said
    }
    const blocked = performance.now() - began
    if (blocked > BLOCKING) this.#tellBlocking(phase, blocked)
    return this.#settled(phase, call, said, began)
  }

  /** Counts and tells a mistake. */
  broken(phase: Phase, error: unknown): Failure | undefined {
    if (error instanceof NoConversation) return error.failure
    const place = placeIn(error, this.instance.files)
    const where = place === undefined ? '' : ` (${place})`
    const message = `The hook \`${this.name}\` failed in ${phase}${where}: ${messageOf(error).slice(0, 300)}`
    return this.#failed(message, { code: 'hook_failed', cause: error })
  }

  observe(phase: Phase, call: HookCall, milliseconds: number, failed = false): void {
    call.origin.ran?.(this.name, phase, milliseconds, failed)
    let meter = this.#meters.get(phase)
    if (meter === undefined) {
      meter = this.#environment.metrics.hookDuration(this.name, phase)
      this.#meters.set(phase, meter)
    }
    meter.observe(milliseconds / 1000)
  }

  #settled<Said>(
    phase: Phase,
    call: HookCall,
    promise: PromiseLike<Said>,
    began: number
  ): Promise<Said | Failure | undefined> {
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        this.#measure(phase, call, began, { failed: true })
        const seconds = this.#timeout / 1000
        resolve(
          this.#failed(`The hook \`${this.name}\` took longer than ${seconds} s in ${phase}.`, {
            code: 'hook_timed_out'
          })
        )
      }, this.#timeout)
      // What comes after the timeout, or a second time, resolves nothing.
      promise.then(
        said => {
          clearTimeout(timer)
          this.#measure(phase, call, began, {})
          resolve(said)
        },
        error => {
          clearTimeout(timer)
          this.#measure(phase, call, began, { failed: true })
          resolve(this.broken(phase, error))
        }
      )
    })
  }

  #failed(message: string, details: { code: string; cause?: unknown }): Failure | undefined {
    const { log, metrics } = this.#environment
    metrics.hookFailed(this.name)
    const { skips } = this.#listed
    log.error(skips ? `${message} It was skipped.` : message, { hook: this.name })
    return skips
      ? undefined
      : new Failure('bug', message, { code: details.code, recommendations: [SKIP], cause: details.cause })
  }

  #measure(phase: Phase, call: HookCall, began: number, { blocking = false, failed = false }): void {
    const milliseconds = performance.now() - began
    this.observe(phase, call, milliseconds, failed)
    if (blocking && milliseconds > BLOCKING) this.#tellBlocking(phase, milliseconds)
  }

  #tellBlocking(phase: Phase, milliseconds: number): void {
    const now = performance.now()
    if (now - this.#toldAt < TELL_AGAIN) return
    this.#toldAt = now
    const what = `the hook \`${this.name}\` computed for ${Math.round(milliseconds)} ms in ${phase}; every other request waited`
    this.#environment.log.warn(what, { hook: this.name })
  }
}

const SKIP = 'Mend the hook, or say `onError: skip` beside it in gateway.yaml to go on without it.'

function meets({ models, tags, keys }: Condition, call: Call): boolean {
  if (models.length > 0 && !models.some(glob => matchesGlob(glob, call.model))) return false
  const { id, alias } = call.caller
  if (keys.length > 0 && !keys.includes(id) && !(alias !== undefined && keys.includes(alias))) return false
  return tags.length === 0 || tags.some(tag => call.tags.includes(tag))
}

function isThenable<Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
