import type { ChatEvent } from '../chat/events.ts'
import { Failure } from '../chat/failure.ts'
import type { Bound } from './bound.ts'
import type { HookCall } from './call.ts'
import { deepFreeze } from './freeze.ts'
import { ValidStream } from './valid-stream.ts'

const BLOCKING = 50

/** The events of one answer on their way back up the hooks that want to see them. */
export class HookStage {
  readonly #bounds: readonly Bound[]
  readonly #spent: Float64Array
  readonly #call: HookCall
  readonly #valid = new ValidStream()
  /** Those that failed and are to be skipped: they see no more of this answer. */
  readonly #broken = new Set<Bound>()

  /** `bounds`: in the order of the list. */
  constructor(bounds: readonly Bound[], call: HookCall) {
    this.#bounds = bounds.filter(bound => bound.phases.onEvent !== undefined && bound.covers(call)).reverse()
    this.#spent = new Float64Array(this.#bounds.length)
    this.#call = call
  }

  get isEmpty(): boolean {
    return this.#bounds.length === 0
  }

  push(event: ChatEvent): readonly ChatEvent[] {
    if (event.type === 'ping' || event.type === 'failure') return this.#valid.push(event)
    let said: ChatEvent | readonly ChatEvent[] = event
    for (let at = 0; at < this.#bounds.length; at++)
      said = isList(said) ? said.flatMap(made => this.#ask(at, made)) : this.#ask(at, said)
    if (event.type === 'finish') this.#measure()
    return isList(said) ? said.flatMap(made => this.#valid.push(made)) : this.#valid.push(said)
  }

  /** The event itself when the hook leaves it as it is. */
  #ask(at: number, event: ChatEvent): ChatEvent | readonly ChatEvent[] {
    const bound = this.#bounds[at]
    if (bound === undefined || event.type === 'failure') return event
    if (this.#broken.size > 0 && this.#broken.has(bound)) return event
    const began = performance.now()
    let said: unknown
    try {
      said = bound.phases.onEvent?.(frozen(event), this.#call)
    } catch (error) {
      said = this.#fail(bound, error)
    }
    const took = performance.now() - began
    this.#spent[at] = (this.#spent[at] ?? 0) + took
    if (took > BLOCKING) bound.observe('onEvent', this.#call, took)
    return said === undefined ? event : this.#judged(bound, said, event)
  }

  #judged(bound: Bound, said: unknown, event: ChatEvent): ChatEvent | readonly ChatEvent[] {
    if (said === null) return []
    if (said instanceof Failure) return { type: 'failure', failure: said }
    if (isEvent(said)) return said
    if (Array.isArray(said) && said.every(isEvent)) return said
    const wrong = this.#fail(bound, new TypeError('it returned something else than events, null or nothing'))
    return wrong === undefined ? event : { type: 'failure', failure: wrong }
  }

  #fail(bound: Bound, error: unknown): Failure | undefined {
    this.#broken.add(bound)
    return bound.broken('onEvent', error)
  }

  #measure(): void {
    for (const [at, bound] of this.#bounds.entries())
      bound.observe('onEvent', this.#call, this.#spent[at] ?? 0, this.#broken.has(bound))
  }
}

function isList(said: ChatEvent | readonly ChatEvent[]): said is readonly ChatEvent[] {
  return Array.isArray(said)
}

/** Of the events that are most, a copy: an object as it is written here is frozen ten times as fast as any other. */
function frozen(event: ChatEvent): ChatEvent {
  if (event.type !== 'block-delta') return deepFreeze(event)
  return Object.freeze({ type: 'block-delta', index: event.index, text: event.text })
}

/** The fields without which an event is none. */
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  start: ['id', 'model'],
  'block-start': ['index', 'block'],
  'block-delta': ['index', 'text'],
  'block-extra': ['index', 'extra'],
  'block-end': ['index'],
  usage: ['usage'],
  finish: ['reason'],
  failure: ['failure'],
  ping: []
}

function isEvent(value: unknown): value is ChatEvent {
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') return false
  return FIELDS[value.type]?.every(name => name in value) === true
}
