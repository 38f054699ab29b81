import type { ClientRequest } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { forwardedHeaders } from './headers.ts'
import { Link, type Socket } from './link.ts'
import { destinationOf, type Passage } from './passage.ts'

/** What http-proxy decorates replies with; its types leave it out. */
export interface SocketProxy {
  handleConnection(source: Socket, request: FastifyRequest, path: string): void
}

const MAX_MESSAGE = 64 * 1024 * 1024
const HANDSHAKE_TIMEOUT = 10_000
/** `ws` does not say whose request it is about to send, so the id travels in a header that is taken off again. */
const TICKET = 'x-sluice-passage'

/** The WebSockets that pass through. */
export class Sockets {
  readonly #links = new Map<string, { readonly link: Link; readonly protocols: string | undefined }>()
  readonly #passageOf: (request: FastifyRequest) => Passage
  readonly #adopted = new WeakSet<SocketProxy>()

  constructor(passageOf: (request: FastifyRequest) => Passage) {
    this.#passageOf = passageOf
  }

  /** The gateway goes away. */
  leave(): void {
    for (const { link } of this.#links.values()) link.leave()
  }

  /** Makes http-proxy tell of each client it has taken, before it connects it: none of its hooks comes so early. */
  adopt(proxy: SocketProxy | undefined): void {
    if (proxy === undefined) throw new Error('http-proxy has no WebSocket side')
    if (this.#adopted.has(proxy)) return
    this.#adopted.add(proxy)
    const connect = proxy.handleConnection.bind(proxy)
    proxy.handleConnection = (source, request) => {
      const passage = this.#passageOf(request)
      const destination = destinationOf(passage)
      const link = new Link(passage, source, destination.place, () => this.#links.delete(passage.id))
      this.#links.set(passage.id, { link, protocols: request.raw.headers['sec-websocket-protocol'] })
      connect(source, request, destination.path)
    }
  }

  /** For http-proxy: how it asks upstreams, and what it takes from clients. */
  options(): { wsServerOptions: object; wsClientOptions: object } {
    return {
      wsServerOptions: { maxPayload: MAX_MESSAGE },
      wsClientOptions: {
        maxPayload: MAX_MESSAGE,
        perMessageDeflate: false,
        handshakeTimeout: HANDSHAKE_TIMEOUT,
        queryString: (_: unknown, __: unknown, request: FastifyRequest) =>
          this.#passageOf(request).destination?.query.slice(1) ?? '',
        rewriteRequestHeaders: (_: unknown, request: FastifyRequest) => {
          const passage = this.#passageOf(request)
          return { ...forwardedHeaders(request.raw.headers, destinationOf(passage)), [TICKET]: passage.id }
        },
        finishRequest: (request: ClientRequest, target: Socket) => this.#asking(request, target)
      }
    }
  }

  #asking(request: ClientRequest, target: Socket): void {
    const id = String(request.getHeader(TICKET))
    request.removeHeader(TICKET)
    const known = this.#links.get(id)
    if (known === undefined) throw new Error('a WebSocket belongs to no request')
    // http-proxy offers only the one it has agreed on with the client, but some upstreams read the others.
    if (known.protocols !== undefined) request.setHeader('Sec-WebSocket-Protocol', known.protocols)
    known.link.attach(target, request)
    request.end()
  }
}
