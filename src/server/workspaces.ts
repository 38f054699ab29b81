// Requests that name a workspace are answered by that workspace's own app: its file, its keys, its data, nothing of others.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { Failure } from '../chat/failure.ts'
import { DIALECTS } from '../dialects/index.ts'
import { dialectOfPath } from './endpoints.ts'

/** The app of a workspace, or why there is none. */
export type FindWorkspace = (name: string) => Promise<FastifyInstance | Failure>

const PREFIX = '/w/'
const HEADER = 'x-workspace'
/** Names go into addresses and log lines as they are. */
const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/

export interface AskedWorkspace {
  readonly name: string
  /** What is left of the address for the workspace. */
  readonly url: string
}

/** The workspace that a request is for; undefined when it names none. */
export function askedWorkspace(url: string, header: string | undefined): AskedWorkspace | Failure | undefined {
  const inPath = url.startsWith(PREFIX)
  if (!inPath && header === undefined) return undefined
  const cut = inPath ? /^[^/?]*/.exec(url.slice(PREFIX.length))?.[0].length : undefined
  const end = PREFIX.length + (cut ?? 0)
  const name = inPath ? url.slice(PREFIX.length, end) : (header ?? '')
  const rest = inPath ? url.slice(end) : url
  if (inPath && header !== undefined && header !== name)
    return new Failure('invalid-request', 'The path names one workspace and `x-workspace` another.')
  if (!NAME.test(name)) return noWorkspace()
  return { name, url: rest.startsWith('/') ? rest : `/${rest}` }
}

/** Who may not see what there is hears no more than this. */
export function noWorkspace(): Failure {
  return new Failure('not-found', 'There is no workspace of this name here.', {
    recommendations: ['Declare it below `workspaces` in gateway.yaml; saving puts it in force.']
  })
}

type Listener = (...given: unknown[]) => unknown

/** Stands before every route of an app: what names a workspace is handed over as it came, body and all. */
export function serveWorkspaces(app: FastifyInstance, find: FindWorkspace): void {
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = request
    const asked = askedBy(raw)
    if (asked === undefined) return done()
    reply.hijack()
    const answer = (found: FastifyInstance | Failure) =>
      found instanceof Failure ? refuse(reply.raw, found, raw.url ?? '') : found.routing(raw, reply.raw)
    if (asked instanceof Failure) return answer(asked)
    forward(raw, asked)
    void find(asked.name).then(answer)
  })
  // WebSockets come in beside the routes; whoever listens for them does so by then.
  app.addHook('onReady', async () => divertUpgrades(app.server, find))
}

function divertUpgrades(server: Server, find: FindWorkspace): void {
  const listeners: Listener[] = server.listeners('upgrade').map(listener => (...given) => {
    Reflect.apply(listener, server, given)
  })
  server.removeAllListeners('upgrade')
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const asked = askedBy(request)
    if (asked === undefined) {
      for (const listener of listeners) listener(request, socket, head)
      return
    }
    const answer = (found: FastifyInstance | Failure) =>
      found instanceof Failure ? refuseUpgrade(socket, found) : found.server.emit('upgrade', request, socket, head)
    if (asked instanceof Failure) return void answer(asked)
    forward(request, asked)
    // Nobody listens to the socket meanwhile, and an error that nobody hears ends the process.
    const ignore = () => undefined
    socket.on('error', ignore)
    void find(asked.name).then(found => {
      socket.off('error', ignore)
      if (!socket.destroyed) answer(found)
    })
  })
}

function askedBy({ url = '', headers }: IncomingMessage): AskedWorkspace | Failure | undefined {
  const header = headers[HEADER]
  return askedWorkspace(url, typeof header === 'string' ? header : undefined)
}

/** The workspace is asked as if it were alone, and no upstream hears of it. */
function forward(request: IncomingMessage, { url }: AskedWorkspace): void {
  request.url = url
  delete request.headers[HEADER]
  const { rawHeaders } = request
  for (let index = rawHeaders.length - 2; index >= 0; index -= 2)
    if (rawHeaders[index]?.toLowerCase() === HEADER) rawHeaders.splice(index, 2)
}

function refuse(response: ServerResponse, failure: Failure, url: string): void {
  const dialect = DIALECTS[dialectOfPath(url)]
  const id = randomUUID()
  const { retryAfter } = failure.details
  response
    .writeHead(dialect.statusOf(failure), {
      'content-type': 'application/json',
      'x-task-id': id,
      ...(retryAfter !== undefined && { 'retry-after': String(Math.ceil(retryAfter)) })
    })
    .end(dialect.encodeFailure(failure, id))
}

function refuseUpgrade(socket: Duplex, { status, message }: Failure): void {
  const body = `${message}\n`
  const head = ['content-type: text/plain', `content-length: ${Buffer.byteLength(body)}`, 'connection: close']
  socket.on('error', () => undefined)
  socket.end(`HTTP/1.1 ${status} Refused\r\n${head.join('\r\n')}\r\n\r\n${body}`)
}
