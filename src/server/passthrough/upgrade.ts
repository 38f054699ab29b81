import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { Failure } from '../../chat/failure.ts'
import { DIALECTS } from '../../dialects/index.ts'
import { dialectOfPath } from '../endpoints.ts'
import { splitUrl } from './address.ts'

type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** How browsers, which cannot set headers on a WebSocket, say their key. */
const KEY_PROTOCOL = 'openai-insecure-api-key.'
const SOCKET_PATHS = /^\/(?:(?:v1\/)?realtime\/?$|passthrough\/[^/])/

/**
 * Stands in front of http-proxy's own listener, which would take every upgrade for a WebSocket. Node hands over each
 * request that asks for one, with the socket and without its body, as soon as anybody listens: also a plain POST whose
 * client offers HTTP/2, as Java's does.
 */
export function guardUpgrades(server: Server): void {
  const [dispatch, ...others] = server.listeners('upgrade') as UpgradeListener[]
  if (dispatch === undefined || others.length > 0) throw new Error('exactly one upgrade listener is expected')
  server.removeListener('upgrade', dispatch)
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Between Node's letting go of a socket and `ws` taking it over nobody else would hear its error.
    socket.on('error', () => socket.destroy())
    const protocols = (request.headers.upgrade ?? '').toLowerCase().split(',')
    if (!protocols.some(protocol => protocol.trim() === 'websocket'))
      return withoutUpgrade(server, request, socket, head)
    const { path } = splitUrl(request.url ?? '')
    const failure = request.method === 'GET' && SOCKET_PATHS.test(path) ? undefined : refusal(path)
    if (failure !== undefined) return refuse(request, socket, failure)
    takeKey(request)
    dispatch(request, socket, head)
  })
}

/** Whether Node has handed a request's socket over. A header alone does not say so. */
export function isUpgrade(request: IncomingMessage & { readonly upgrade?: boolean }): boolean {
  return request.upgrade === true
}

function refusal(path: string): Failure {
  // Codex asks this before its first request, and goes on over HTTP when it is told so.
  if (/^\/(v1\/)?responses\/?$/.test(path))
    return new Failure('upgrade-required', 'The Responses API is served over HTTP here, not over a WebSocket.')
  return new Failure('not-found', `There is no WebSocket at ${path.slice(0, 200)}.`, {
    recommendations: ['WebSockets: /v1/realtime and /passthrough/{name}/….']
  })
}

function refuse(request: IncomingMessage, socket: Duplex, failure: Failure): void {
  const response = new ServerResponse(request)
  response.assignSocket(socket as Parameters<ServerResponse['assignSocket']>[0])
  response.shouldKeepAlive = false
  response.on('finish', () => socket.end())
  const dialect = DIALECTS[dialectOfPath(request.url ?? '')]
  const status = dialect.statusOf(failure)
  // RFC 9110 has a 426 name what is spoken instead.
  const headers = { 'content-type': 'application/json', ...(status === 426 && { upgrade: 'HTTP/1.1' }) }
  response.writeHead(status, headers).end(dialect.encodeFailure(failure, ''))
}

/** Serves the request as if it had not asked, which HTTP allows: its head is given back to the server without the asking. */
function withoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`]
  const { rawHeaders } = request
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const value = rawHeaders[index + 1] ?? ''
    if (/^(upgrade|http2-settings)$/i.test(name)) continue
    if (!/^connection$/i.test(name)) lines.push(`${name}: ${value}`)
    else if (/\bclose\b/i.test(value)) lines.push('connection: close')
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  server.emit('connection', socket)
}

/** Turns the key among the subprotocols into the header it would have been. Nobody after this sees it as a protocol. */
function takeKey({ headers }: IncomingMessage): void {
  const offered = headers['sec-websocket-protocol']
  if (offered === undefined) return
  const protocols = offered.split(',').map(protocol => protocol.trim())
  const key = protocols.find(protocol => protocol.startsWith(KEY_PROTOCOL))
  if (key === undefined) return
  headers.authorization ??= `Bearer ${key.slice(KEY_PROTOCOL.length)}`
  const rest = protocols.filter(protocol => !protocol.startsWith(KEY_PROTOCOL))
  if (rest.length > 0) headers['sec-websocket-protocol'] = rest.join(', ')
  else delete headers['sec-websocket-protocol']
}
