import type { WireControl, WireReceiver } from '../lib/wire.ts'

/** An answer, ready to be played. */
export interface Script {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** What goes out together; between two of them the pace is kept. */
  readonly chunks: readonly string[]
  /** `reset` breaks the connection, `silence` leaves it open without another byte. Without a head there is only silence. */
  readonly ending: 'end' | 'reset' | 'silence' | 'no-head'
}

export interface Timing {
  readonly firstByte: number
  readonly pace: number
}

/** So that a stream of 100,000 chunks leaves others a turn. */
const CHUNKS_A_TURN = 512

/** Plays a script to a receiver: never before `send` has returned, with one timer at most, which `abort` and `pause` clear. */
export class Playback implements WireControl {
  readonly #script: Script
  readonly #timing: Timing
  readonly #receiver: WireReceiver
  #pending: { timer?: NodeJS.Timeout; immediate?: NodeJS.Immediate } = {}
  #next = 0
  #phase: 'before-head' | 'body' | 'over' = 'before-head'
  #paused = false

  constructor(script: Script, timing: Timing, receiver: WireReceiver) {
    this.#script = script
    this.#timing = timing
    this.#receiver = receiver
    this.#soon(() => this.#start())
  }

  abort(): void {
    this.#phase = 'over'
    this.#cancel()
  }

  pause(): void {
    this.#paused = true
    if (this.#phase === 'body') this.#cancel()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#phase === 'body') this.#soon(() => this.#play())
  }

  #start(): void {
    this.#receiver.onStart()
    if (this.#phase === 'over' || this.#script.ending === 'no-head') return
    if (this.#timing.firstByte > 0) this.#later(this.#timing.firstByte, () => this.#sendHead())
    else this.#sendHead()
  }

  #sendHead(): void {
    this.#pending = {}
    this.#phase = 'body'
    this.#receiver.onHead(this.#script.status, this.#script.headers)
    if (this.#isPlaying()) this.#play()
  }

  #play(): void {
    const { chunks } = this.#script
    for (let sent = 0; this.#isPlaying() && this.#next < chunks.length; ) {
      this.#receiver.onData(Buffer.from(chunks[this.#next++] ?? ''))
      if (!this.#isPlaying()) return
      if (this.#timing.pace > 0 && this.#next < chunks.length) return this.#waitForPace()
      if (++sent === CHUNKS_A_TURN) return this.#soon(() => this.#play())
    }
    if (this.#isPlaying()) this.#finish()
  }

  #finish(): void {
    const { ending } = this.#script
    if (ending === 'silence') return
    this.#phase = 'over'
    if (ending === 'reset') this.#receiver.onError(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
    else this.#receiver.onEnd()
  }

  /** The receiver may abort or pause from within each of its methods. */
  #isPlaying(): boolean {
    return this.#phase === 'body' && !this.#paused
  }

  #waitForPace(): void {
    if (this.#pending.timer === undefined) this.#later(this.#timing.pace, () => this.#play())
    else this.#pending.timer.refresh()
  }

  #later(milliseconds: number, step: () => void): void {
    this.#pending = { timer: setTimeout(step, milliseconds) }
  }

  #soon(step: () => void): void {
    this.#cancel()
    this.#pending = { immediate: setImmediate(step) }
  }

  #cancel(): void {
    clearTimeout(this.#pending.timer)
    clearImmediate(this.#pending.immediate)
    this.#pending = {}
  }
}
