import type { IncomingMessage } from 'node:http'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { Gate } from '../keys/gate.ts'

/** Who is let in, under the configuration in force. */
export class Doors {
  readonly #gateway: Gateway
  #runtime: Runtime | undefined
  #gate: Gate | undefined

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** Why a request may not go on, if so. */
  refuse(request: IncomingMessage, query: string): Failure | undefined {
    if (this.#gateway.draining) return new Failure('unavailable', 'The gateway is shutting down.', { retryAfter: 5 })
    return this.#current().refuse(request.headers, query, request.socket?.remoteAddress)
  }

  isMaster(request: IncomingMessage, query: string): boolean {
    return this.#current().isMaster(request.headers, query, request.socket?.remoteAddress)
  }

  /** Headers of this request's answer that have nothing to do with what it says. */
  extraHeaders(request: IncomingMessage): string[] {
    const headers: string[] = []
    if (this.#gateway.draining) headers.push('connection', 'close')
    if (request.headers.origin === undefined) return headers
    const origin = this.#current().allowedOrigin(request.headers)
    if (origin !== undefined)
      headers.push('access-control-allow-origin', origin, 'access-control-expose-headers', '*', 'vary', 'origin')
    return headers
  }

  #current(): Gate {
    const { runtime } = this.#gateway
    if (this.#gate === undefined || this.#runtime !== runtime) {
      this.#runtime = runtime
      const { masterKey, allowedOrigins, config } = runtime
      this.#gate = new Gate({ masterKey, allowedOrigins, open: config.auth === 'none' })
    }
    return this.#gate
  }
}
