import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo, Socket as TcpSocket } from 'node:net'

/** What tests use of `ws`, which is there through http-proxy and has no types. */
export interface WebSocket {
  readonly protocol: string
  readonly readyState: number
  send(data: string | Buffer): void
  close(code?: number, reason?: string): void
  terminate(): void
  on(event: 'message', listener: (data: Buffer, binary: boolean) => void): this
  on(event: 'error', listener: (error: Error) => void): this
  once(event: 'open', listener: () => void): this
  once(event: 'close', listener: (code: number, reason: Buffer) => void): this
  once(event: 'unexpected-response', listener: (request: unknown, response: IncomingMessage) => void): this
}

interface WebSocketServer {
  on(event: 'connection', listener: (socket: WebSocket, request: IncomingMessage) => void): this
  handleUpgrade(request: IncomingMessage, socket: unknown, head: Buffer, done: (socket: WebSocket) => void): void
}

interface Module {
  new (url: string, protocols?: string[], options?: { headers?: Record<string, string> }): WebSocket
  readonly Server: new (options: {
    noServer: true
    handleProtocols?: (protocols: Set<string>) => string | false
  }) => WebSocketServer
}

const besideProxy = createRequire(createRequire(import.meta.url).resolve('@fastify/http-proxy'))
const ws = besideProxy('ws') as Module

export interface Closed {
  readonly code: number
  readonly reason: string
}

/** A client that has been answered: connected, refused with a status, or closed. */
export class TestSocket {
  readonly socket: WebSocket
  /** The HTTP status; 101 when it was accepted. */
  readonly answered: Promise<number>
  readonly closed: Promise<Closed>
  readonly received: { data: Buffer; binary: boolean }[] = []
  #watch: () => void = () => undefined

  constructor(url: string, protocols: string[] = [], headers: Record<string, string> = {}) {
    const socket = new ws(url.replace(/^http/, 'ws'), protocols, { headers })
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('message', (data, binary) => {
      this.received.push({ data, binary })
      this.#watch()
    })
    this.answered = new Promise(resolve => {
      socket.once('open', () => resolve(101))
      socket.once('unexpected-response', (_, response) => {
        response.resume()
        resolve(response.statusCode ?? 0)
      })
    })
    this.closed = new Promise(resolve => {
      socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  /** Resolves when so many messages have come. */
  async messages(count: number): Promise<{ data: Buffer; binary: boolean }[]> {
    while (this.received.length < count) await new Promise<void>(resolve => (this.#watch = resolve))
    return this.received
  }
}

export interface SocketUpstream {
  readonly url: string
  readonly requests: IncomingMessage[]
  readonly sockets: WebSocket[]
  close(): Promise<void>
}

export interface SocketUpstreamOptions {
  /** What it answers instead of accepting. */
  readonly refuseWith?: number
  /** How long it lets an upgrade wait. */
  readonly delay?: number
  readonly onConnection?: (socket: WebSocket, request: IncomingMessage) => void
}

/** An upstream that speaks WebSocket: an echo, unless told otherwise. */
export async function startSocketUpstream(options: SocketUpstreamOptions = {}): Promise<SocketUpstream> {
  const { refuseWith, delay = 0, onConnection = echo } = options
  const requests: IncomingMessage[] = []
  const sockets: WebSocket[] = []
  const open = new Set<TcpSocket>()
  const upgrader = new ws.Server({ noServer: true })
  const server = createServer((_, response) => response.writeHead(404).end())
  server.on('connection', socket => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.on('upgrade', (request, socket, head) => {
    requests.push(request)
    socket.on('error', () => undefined)
    if (refuseWith !== undefined) {
      socket.end(`HTTP/1.1 ${refuseWith} No\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    setTimeout(() => {
      upgrader.handleUpgrade(request, socket, head, accepted => {
        sockets.push(accepted)
        onConnection(accepted, request)
      })
    }, delay)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sockets,
    close: () =>
      new Promise(resolve => {
        for (const socket of open) socket.destroy()
        server.close(() => resolve())
      })
  }
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, binary) => socket.send(binary ? data : data.toString()))
}
