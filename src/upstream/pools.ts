import type { Dispatcher } from 'undici'
import { Pool } from 'undici'
import type { Wire, WireControl, WireHeaders, WireReceiver, WireRequest } from '../lib/wire.ts'

/** Long enough for any network; the deadline a target sets is shorter and is ours. */
const CONNECT_TIMEOUT = 30_000

/** Connections to upstreams, kept by origin: a reload keeps them warm. */
export class Pools {
  readonly #pools = new Map<string, PooledWire>()

  /** The wire to an origin such as `http://127.0.0.1:8000`. */
  wire(origin: string): Wire {
    let wire = this.#pools.get(origin)
    if (wire === undefined) {
      wire = new PooledWire(origin)
      this.#pools.set(origin, wire)
    }
    return wire
  }

  /** Closes what no configuration needs any more; requests under way end first. */
  keepOnly(origins: ReadonlySet<string>): void {
    for (const [origin, wire] of this.#pools) {
      if (origins.has(origin)) continue
      this.#pools.delete(origin)
      void wire.close()
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(wire => wire.destroy()))
    this.#pools.clear()
  }
}

class PooledWire implements Wire {
  readonly #pool: Pool

  constructor(origin: string) {
    // Our own deadlines replace undici's; one request a connection at a time, because a model's answer blocks it for long.
    // Below the five seconds that Node's and uvicorn's servers keep a connection, so that a reused one is rarely a dead one.
    this.#pool = new Pool(origin, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 4000,
      connect: { timeout: CONNECT_TIMEOUT }
    })
  }

  send(request: WireRequest, receiver: WireReceiver): WireControl {
    const call = new PooledCall(receiver)
    const { body } = request
    try {
      this.#pool.dispatch(
        {
          method: request.method as Dispatcher.HttpMethod,
          path: request.path,
          headers: request.headers as string[],
          // Several chunks go out one after the other; joining 500 KB first costs twice the CPU.
          body: body.length === 0 ? null : body.length === 1 ? (body[0] as Buffer) : (body as unknown as Buffer)
        },
        call
      )
    } catch (error) {
      call.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)))
    }
    return call
  }

  close(): Promise<void> {
    return this.#pool.close()
  }

  destroy(): Promise<void> {
    return this.#pool.destroy()
  }
}

/** One request on undici's wire. Written to the interface that undici 8 keeps. */
class PooledCall implements Dispatcher.DispatchHandler, WireControl {
  readonly #receiver: WireReceiver
  #controller: Dispatcher.DispatchController | undefined
  #aborted = false

  constructor(receiver: WireReceiver) {
    this.#receiver = receiver
  }

  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#controller?.abort(new Error('The gateway gave this request up.'))
  }

  pause(): void {
    this.#controller?.pause()
  }

  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Given up while it waited for a connection: there was nothing to abort then.
    if (this.#aborted) controller.abort(new Error('The gateway gave this request up.'))
    else this.#receiver.onStart()
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: WireHeaders): void {
    if (!this.#aborted && status >= 200) this.#receiver.onHead(status, headers)
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#aborted) this.#receiver.onData(chunk)
  }

  onResponseEnd(): void {
    if (!this.#aborted) this.#receiver.onEnd()
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error & { code?: string }): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#receiver.onError(error)
  }
}
