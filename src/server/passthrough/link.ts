import type { ClientRequest, IncomingMessage } from 'node:http'
import { Failure } from '../../chat/failure.ts'
import { brokenConnection } from '../../upstream/trouble.ts'
import type { Leavable, Passage } from './passage.ts'

/** What we use of a `ws` socket; its own types are not installed. */
export interface Socket {
  readonly readyState: number
  readonly bufferedAmount: number
  on(event: 'message', listener: (data: Buffer) => void): this
  once(event: 'open', listener: () => void): this
  once(event: 'close', listener: (code: number, reason: Buffer) => void): this
  once(event: 'error', listener: (error: Error & { code?: string }) => void): this
  once(event: 'unexpected-response', listener: (request: ClientRequest, response: IncomingMessage) => void): this
  close(code?: number, reason?: string | Buffer): void
  terminate(): void
  pause(): void
  resume(): void
}

const CONNECTING = 0
const OPEN = 1
/** What may wait for a slow peer before the other one has to wait too. */
const HIGH_WATER = 4 * 1024 * 1024
const MAX_REASON = 120
const LEAVE_GRACE = 2000

/**
 * The two ends of a passed-on WebSocket. http-proxy carries the frames; how it ends is decided here, because http-proxy
 * leaves an upstream open whose client left while it was connecting, throws on a reason longer than a frame may hold,
 * turns «no code» into 4005, and lets a slow peer's frames pile up.
 */
export class Link implements Leavable {
  readonly #passage: Passage
  readonly #source: Socket
  readonly #place: string
  readonly #ended: () => void
  #target: Socket | undefined
  #opened = false

  constructor(passage: Passage, source: Socket, place: string, ended: () => void) {
    this.#passage = passage
    this.#source = source
    this.#place = place
    this.#ended = ended
    passage.becomes(this)
    // Nothing is read before there is somebody to hand it to.
    source.pause()
    source.on('message', data => {
      passage.bytesIn += data.length
      if (this.#target !== undefined) holdBack(source, this.#target)
    })
    source.once('close', (code, reason) => this.#sourceClosed(code, reason))
  }

  /** The upstream's end, before it has been asked. */
  attach(target: Socket, request: ClientRequest): void {
    this.#target = target
    target.once('open', () => {
      this.#opened = true
      this.#source.resume()
    })
    target.on('message', data => {
      this.#passage.passed(data)
      holdBack(target, this.#source)
    })
    target.once('unexpected-response', (_, response) => {
      const status = response.statusCode ?? 0
      const kind = status === 401 || status === 403 ? 'upstream-refused-key' : 'upstream-failed'
      this.#refuse(1014, new Failure(kind, `${this.#place} answered the WebSocket with ${status}.`))
      response.resume()
      request.destroy()
    })
    target.once('error', error => {
      const failure = /timed? ?out/i.test(error.message)
        ? new Failure('upstream-timed-out', `${this.#place} did not take the WebSocket in time.`, { cause: error })
        : brokenConnection(this.#place, error, this.#opened)
      this.#refuse(this.#opened ? 1011 : 1014, failure)
    })
    target.once('close', (code, reason) => {
      this.#source.resume()
      closeLike(this.#source, code, reason, 1011, 'The upstream broke the connection.')
    })
  }

  /** The gateway goes away. */
  leave(): void {
    this.#source.resume()
    if (this.#source.readyState === OPEN) this.#source.close(1001, 'The gateway is shutting down.')
    setTimeout(() => this.#source.terminate(), LEAVE_GRACE).unref()
  }

  #sourceClosed(code: number, reason: Buffer): void {
    const target = this.#target
    if (target?.readyState === CONNECTING) target.terminate()
    else if (target !== undefined) {
      target.resume()
      closeLike(target, code, reason, 1001, 'The client has left.')
    }
    this.#passage.settle(101, false)
    this.#ended()
  }

  #refuse(code: number, failure: Failure): void {
    this.#passage.problem ??= failure
    this.#source.resume()
    if (this.#source.readyState === OPEN) this.#source.close(code, cutTo(failure.message, MAX_REASON))
  }
}

/** 1005 and 1006 say what was not in a frame, so they cannot be put into one. */
function closeLike(socket: Socket, code: number, reason: Buffer, lost: number, lostReason: string): void {
  if (socket.readyState !== OPEN) return
  if (code === 1005) socket.close()
  else if (code === 1006) socket.close(lost, lostReason)
  else socket.close(code, reason)
}

function holdBack(from: Socket, to: Socket): void {
  if (to.bufferedAmount < HIGH_WATER) return
  from.pause()
  const timer = setInterval(() => {
    if (to.readyState === OPEN && to.bufferedAmount > HIGH_WATER / 2) return
    clearInterval(timer)
    from.resume()
  }, 10)
}

function cutTo(text: string, bytes: number): string {
  const ascii = text.replace(/[^\x20-\x7e]/g, '?')
  return ascii.length <= bytes ? ascii : `${ascii.slice(0, bytes - 3)}...`
}
