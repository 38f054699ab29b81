import { Failure } from '../chat/failure.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'
import type { WireHeaders } from '../lib/wire.ts'
import type { Surface } from '../providers/surface.ts'
import { Excerpt, FrameGate } from '../relay/pass.ts'
import type { Target } from '../routing/target.ts'
import type { CallReceiver } from '../upstream/call.ts'

/** An upstream's error answer in the client's own dialect: its bytes say more than we could. */
export interface ErrorAnswer {
  readonly status: number
  readonly headers: WireHeaders
  readonly body: Buffer
}

/** Told how a try goes. After `failed` or `finished` nothing follows. */
export interface AttemptOwner {
  begin(status: number, headers: WireHeaders, length: number | undefined): void
  /** False: the attempt waits until it is resumed. */
  write(chunk: Buffer): void
  finish(excerpt: Excerpt, last: Buffer | undefined): void
  failed(failure: Failure, answer?: ErrorAnswer): void
}

/**
 * What is being received. `whole`: a JSON answer, kept until it is complete, so that a broken one is a proper failure.
 * `frames`: a stream of events, passed on as they come. `raw`: anything else.
 */
type Mode = 'waiting' | 'error' | 'whole' | 'frames' | 'raw'

/** An answer longer than this is not kept whole. */
const MAX_WHOLE = 8 * 1024 * 1024
const MAX_ERROR = 64 * 1024

/** One try at one target in the client's own dialect. */
export class Attempt implements CallReceiver {
  readonly target: Target
  readonly startedAt = performance.now()
  readonly #dialect: Dialect
  readonly #stream: boolean
  readonly #checksEnd: boolean
  readonly #owner: AttemptOwner
  readonly #excerpt = new Excerpt()
  readonly #gate = new FrameGate()
  #mode: Mode = 'waiting'
  #status = 0
  #headers: WireHeaders = {}
  #kept: Buffer[] = []
  #begun = false

  constructor(target: Target, surface: Surface, stream: boolean, checksEnd: boolean, owner: AttemptOwner) {
    this.target = target
    this.#dialect = DIALECTS[surface.dialect]
    this.#stream = stream
    this.#checksEnd = checksEnd
    this.#owner = owner
  }

  onHead(status: number, headers: WireHeaders): void {
    this.#status = status
    this.#headers = headers
    const type = headers['content-type']
    if (status < 200 || status > 299) this.#mode = 'error'
    else if (typeof type === 'string' && type.startsWith('text/event-stream')) this.#mode = 'frames'
    else if (!this.#stream && (typeof type !== 'string' || type.startsWith('application/json'))) this.#mode = 'whole'
    else this.#mode = 'raw'
  }

  onData(chunk: Buffer): void {
    this.#excerpt.add(chunk)
    switch (this.#mode) {
      case 'frames': {
        const frames = this.#gate.push(chunk)
        if (frames !== undefined) this.#pass(frames)
        return
      }
      case 'raw':
        return this.#pass(chunk)
      case 'whole':
        this.#kept.push(chunk)
        if (this.#excerpt.bytes > MAX_WHOLE) this.#stopKeeping()
        return
      default:
        if (this.#excerpt.bytes <= MAX_ERROR) this.#kept.push(chunk)
    }
  }

  onEnd(): void {
    switch (this.#mode) {
      case 'error':
        return this.#failWith(Buffer.concat(this.#kept))
      case 'whole':
        this.#owner.begin(this.#status, this.#headers, this.#excerpt.bytes)
        return this.#owner.finish(this.#excerpt, this.#kept.length === 1 ? this.#kept[0] : Buffer.concat(this.#kept))
      case 'frames':
        return this.#endFrames()
      default:
        if (!this.#begun) this.#owner.begin(this.#status, this.#headers, this.#excerpt.bytes)
        return this.#owner.finish(this.#excerpt, undefined)
    }
  }

  onFailure(failure: Failure): void {
    this.#owner.failed(failure)
  }

  #pass(chunk: Buffer): void {
    if (!this.#begun) {
      // Nothing has been sent yet, so an error that comes as the first event can still be a proper status.
      const failure = this.#mode === 'frames' ? firstFrameFailure(this.#dialect, chunk) : undefined
      if (failure !== undefined) return this.#owner.failed(failure)
      this.#begun = true
      this.#owner.begin(this.#status, this.#headers, undefined)
    }
    this.#owner.write(chunk)
  }

  #stopKeeping(): void {
    const kept = this.#kept
    this.#kept = []
    this.#mode = 'raw'
    for (const chunk of kept) this.#pass(chunk)
  }

  #endFrames(): void {
    const { place } = this.target
    if (this.#excerpt.bytes === 0)
      return this.#owner.failed(new Failure('upstream-failed', `${place} answered with an empty stream.`))
    if (this.#checksEnd && !this.#dialect.streamEnded(this.#excerpt.tail())) {
      return this.#owner.failed(
        new Failure('upstream-failed', `${place} ended its stream before the answer was complete.`, {
          code: 'stream_truncated'
        })
      )
    }
    const rest = this.#gate.rest()
    if (rest !== undefined) this.#pass(rest)
    this.#owner.finish(this.#excerpt, undefined)
  }

  #failWith(body: Buffer): void {
    const { place } = this.target
    const status = this.#status
    if (status >= 300 && status < 400) {
      return this.#owner.failed(
        new Failure('upstream-failed', `${place} answered with a redirect (${status}), which is never followed.`, {
          recommendations: ['Put the address it redirects to into api_base.']
        })
      )
    }
    const read = this.#dialect.decodeFailure(status, body.toString('utf8'))
    const first = body.find(byte => byte > 0x20)
    const isJson = first === 0x7b || first === 0x5b
    const retryAfter = Number(this.#headers['retry-after'])
    const failure = new Failure(read.kind, `${place} answered ${status}: ${read.message}`, {
      ...read.details,
      ...(Number.isFinite(retryAfter) && { retryAfter }),
      ...(status === 404 &&
        !isJson && { recommendations: ['Is api_base right? This address does not look like a model server.'] })
    })
    const speaksForItself = isJson && PASSED_AS_IS.has(read.kind)
    this.#owner.failed(failure, speaksForItself ? { status, headers: this.#headers, body } : undefined)
  }
}

/** The client's own mistakes, and limits it can act on; the rest is told in our words, with what to do about it. */
const PASSED_AS_IS: ReadonlySet<string> = new Set(['upstream-rejected', 'upstream-rate-limited', 'upstream-overloaded'])

function firstFrameFailure(dialect: Dialect, frames: Buffer): Failure | undefined {
  const start = frames.toString('utf8', 0, 2048)
  if (!start.startsWith('event: error') && !/^data: ?\{"error":/.test(start)) return undefined
  const data = /^data: ?(.*)$/m.exec(start)?.[1] ?? ''
  const status = start.includes('overloaded') ? 529 : start.includes('rate_limit') ? 429 : 500
  return dialect.decodeFailure(status, data)
}
