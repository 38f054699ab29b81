import { Failure } from '../chat/failure.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Wire, WireControl, WireHeaders, WireReceiver, WireRequest } from '../lib/wire.ts'
import { brokenConnection } from './trouble.ts'

/** Milliseconds. */
export interface CallTimeouts {
  readonly connect: number
  readonly firstToken: number
  readonly idle: number
  readonly total: number
}

export interface CallReceiver {
  onHead(status: number, headers: WireHeaders): void
  /** Whether a piece is some of the answer, and not only a sign that somebody is working on it. */
  says?(chunk: Buffer): boolean
  onData(chunk: Buffer): void
  onEnd(): void
  /** Expected trouble: refused, cut, timed out. Nothing follows it. */
  onFailure(failure: Failure): void
}

type Phase = 'connect' | 'first_token' | 'idle'

const PHASE_TEXT: Record<Phase | 'total', string> = {
  connect: 'no connection within',
  first_token: 'no first token within',
  idle: 'nothing more came for',
  total: 'the answer was not complete after'
}

/** One request to one upstream under four deadlines, whose ends are failures that name the upstream and the timer. */
export class Call implements WireReceiver, Deadline {
  place = -1
  phaseAt: number
  totalAt: number
  readonly #deadlines: Deadlines
  readonly #timeouts: CallTimeouts
  readonly #receiver: CallReceiver
  /** How messages name the upstream. */
  readonly #name: string
  readonly #control: WireControl
  #phase: Phase = 'connect'
  #over = false

  constructor(
    wire: Wire,
    request: WireRequest,
    name: string,
    timeouts: CallTimeouts,
    deadlines: Deadlines,
    receiver: CallReceiver
  ) {
    this.#deadlines = deadlines
    this.#timeouts = timeouts
    this.#receiver = receiver
    this.#name = name
    const now = deadlines.start()
    this.phaseAt = now + timeouts.connect
    this.totalAt = now + timeouts.total
    deadlines.add(this)
    this.#control = wire.send(request, this)
  }

  abort(): void {
    if (this.#over) return
    this.#finish()
    this.#control.abort()
  }

  /** The client is slow: the upstream waits, and its silence does not count against it. */
  pause(): void {
    this.phaseAt = Number.POSITIVE_INFINITY
    this.#control.pause()
  }

  resume(): void {
    this.phaseAt = this.#deadlines.now + this.#timeouts.idle
    this.#control.resume()
  }

  onStart(): void {
    this.#phase = 'first_token'
    this.phaseAt = this.#deadlines.now + this.#timeouts.firstToken
  }

  onHead(status: number, headers: WireHeaders): void {
    if (!this.#over) this.#receiver.onHead(status, headers)
  }

  onData(chunk: Buffer): void {
    if (this.#over) return
    if (this.#phase === 'idle' || this.#receiver.says?.(chunk) !== false) {
      this.#phase = 'idle'
      this.phaseAt = this.#deadlines.now + this.#timeouts.idle
    }
    this.#receiver.onData(chunk)
  }

  onEnd(): void {
    if (this.#over) return
    this.#finish()
    this.#receiver.onEnd()
  }

  onError(error: Error & { code?: string }): void {
    if (this.#over) return
    this.#finish()
    this.#receiver.onFailure(brokenConnection(this.#name, error, this.#phase === 'idle'))
  }

  expire(which: 'phase' | 'total'): void {
    if (this.#over) return
    this.#finish()
    this.#control.abort()
    const timer = which === 'total' ? 'total' : this.#phase
    const waited = timer === 'first_token' ? this.#timeouts.firstToken : this.#timeouts[timer]
    this.#receiver.onFailure(
      new Failure(
        'upstream-timed-out',
        `${this.#name} timed out: ${PHASE_TEXT[timer]} ${waited / 1000} s (timeouts.${timer}).`,
        {
          code: `timeout_${timer}`,
          recommendations: [
            timer === 'connect'
              ? 'Check that it is running and reachable.'
              : `The model may be loading or overloaded; raise timeouts.${timer} if that is expected.`
          ]
        }
      )
    )
  }

  #finish(): void {
    this.#over = true
    this.#deadlines.remove(this)
  }
}
