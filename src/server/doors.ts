import type { IncomingMessage } from 'node:http'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Runtime } from '../exchange/runtime.ts'
import type { Caller } from '../keys/caller.ts'
import { type Admission, Gate } from '../keys/gate.ts'
import type { Keyring } from '../keys/keyring.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, or why they may not, once that has been found out. */
    admitted: Caller | Failure | undefined
  }
}

/** Who is let in, under the configuration in force. */
export class Doors {
  readonly #gateway: Gateway
  readonly #keyring: Keyring | undefined
  #runtime: Runtime | undefined
  #gate: Gate | undefined

  constructor(gateway: Gateway, keyring: Keyring | undefined) {
    this.#gateway = gateway
    this.#keyring = keyring
  }

  /** Who asks, or why their request may not go on. `query` is empty where no key may stand in it. */
  admit(request: IncomingMessage, query: string): Admission {
    if (this.#gateway.draining) return new Failure('unavailable', 'The gateway is shutting down.', { retryAfter: 5 })
    const { headers, socket, url = '' } = request
    return this.#current().admit({ headers, query, path: pathOf(url), remoteAddress: socket?.remoteAddress })
  }

  /** The caller, bound by what binds the end user that its request names; a promise only when that has to be looked up. */
  forCustomer(caller: Caller, name: string): Admission {
    return this.#keyring === undefined ? caller : this.#keyring.customers.bind(caller, name)
  }

  /** Who a key would be on this route, from where another request comes. */
  holderOf(key: string, path: string, remoteAddress: string | undefined): Admission {
    const headers = { authorization: `Bearer ${key}`, host: 'localhost' }
    return this.#current().admit({ headers, query: '', path, remoteAddress })
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
      if (masterKey !== undefined) this.#keyring?.wake()
      this.#gate = new Gate({ masterKey, allowedOrigins, open: config.auth === 'none', keyring: this.#keyring })
    }
    return this.#gate
  }
}

/** What only the administrator may do. */
export function masterOnly(admitted: Caller | Failure | undefined): Failure | undefined {
  if (admitted !== undefined && !(admitted instanceof Failure) && admitted.master) return undefined
  return new Failure('forbidden', 'Only the master key may do this.', { code: 'not_allowed' })
}

/** Trailing slashes mean nothing to the router. */
function pathOf(url: string): string {
  const cut = url.indexOf('?')
  const path = cut < 0 ? url : url.slice(0, cut)
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}
