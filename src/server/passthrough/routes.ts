import type { IncomingMessage } from 'node:http'
import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Agent } from 'undici'
import { Failure } from '../../chat/failure.ts'
import type { Gateway } from '../../exchange/gateway.ts'
import { refusedModel } from '../../exchange/permitted.ts'
import type { WireHeaders } from '../../lib/wire.ts'
import type { Doors } from '../doors.ts'
import { splitUrl } from './address.ts'
import { announcesBody, boundedBody, streamOf, tooLarge } from './body.ts'
import { type Answered, answer, answerHeaders, CONNECT_TIMEOUT, dispatcher, explained, requestHeaders } from './call.ts'
import { type Destination, declaredDestination, providerDestination } from './destination.ts'
import { destinationOf, Passage } from './passage.ts'
import { type SocketProxy, Sockets } from './sockets.ts'
import { guardUpgrades, isUpgrade } from './upgrade.ts'

/** Below `/v1` or without it, to a provider of OpenAI's API. */
export const PROVIDER_PATHS = [
  '/images/*',
  '/audio/*',
  '/moderations',
  '/rerank',
  '/files',
  '/files/*',
  '/batches',
  '/batches/*',
  '/vector_stores',
  '/vector_stores/*',
  '/responses/*',
  '/realtime',
  '/realtime/*'
]
const DECLARED_PATHS = ['/passthrough/:name', '/passthrough/:name/*']

/**
 * Byte-for-byte routes, on one @fastify/http-proxy. It carries bodies both ways, WebSocket frames, and the plumbing to
 * Fastify. Not used is what it does for a fixed upstream: it cannot check a path against a base that changes with each
 * request, retries a 503 by itself, never aborts a call whose client has left, and does not verify certificates. So it is
 * given an empty upstream, checked paths through its `handler`, and a dispatcher of ours.
 */
export function passthroughRoutes(app: FastifyInstance, gateway: Gateway, doors: Doors): void {
  const passages = new WeakMap<object, Passage>()
  const passageOf = (request: { readonly raw: object }): Passage => {
    const passage = passages.get(request.raw)
    if (passage === undefined) throw new Error('a request has no passage')
    return passage
  }
  const sockets = new Sockets(passageOf)
  const agent = new Agent({ connect: { timeout: CONNECT_TIMEOUT }, pipelining: 1, keepAliveTimeout: 4000 })

  app.removeAllContentTypeParsers()
  app.addHook('onRequest', async (request, reply) => {
    const passage = new Passage(gateway, endpointOf(request), request, reply)
    passages.set(request.raw, passage)
    const extra = doors.extraHeaders(request.raw)
    for (let index = 0; index + 1 < extra.length; index += 2) reply.header(extra[index] ?? '', extra[index + 1] ?? '')
    const admitted = await doors.admit(request.raw, splitUrl(request.url).query)
    if (admitted instanceof Failure) return passage.fail(admitted)
    passage.caller = admitted
    // The gateway may have been stopped, or the client gone, while the key was looked up.
    return passage.over ? passage.drop() : undefined
  })
  app.addHook('preClose', async () => sockets.leave())
  app.addHook('onClose', async () => agent.destroy())
  app.register(httpProxy, {
    upstream: '',
    websocket: true,
    routes: [...DECLARED_PATHS, ...PROVIDER_PATHS.flatMap(path => [path, `/v1${path}`]), '/v2/rerank'],
    // OPTIONS is the browser asking whether a page may; the gateway answers it.
    httpMethods: ['DELETE', 'GET', 'HEAD', 'PATCH', 'POST', 'PUT'],
    undici: { request: dispatcher(agent) },
    disableCache: true,
    disableRequestLogging: true,
    internalRewriteLocationHeader: false,
    preHandler: ((request: FastifyRequest, reply: FastifyReply & { wsProxy?: SocketProxy }) =>
      prepare(passageOf(request), request, reply, sockets)) as never,
    handler: (request, reply, _, options) => reply.from(pathOf(passageOf(request)), options),
    replyOptions: {
      getUpstream: request => destinationOf(passageOf(request)).origin,
      queryString: (_, __, request) => destinationOf(passageOf(request)).query.slice(1),
      retryDelay: () => null,
      rewriteRequestHeaders: (request, { host }) =>
        requestHeaders(passageOf(request), request.raw.headers as WireHeaders, host),
      rewriteHeaders: (headers, request) =>
        request === undefined ? headers : answerHeaders(passageOf(request), headers as WireHeaders),
      onResponse: (request, reply, response) =>
        answer(passageOf(request), reply as unknown as FastifyReply, response as unknown as Answered),
      onError: (reply, { error }) => {
        const passage = passageOf(reply.request)
        // A call that was given up for no problem of its own has no client any more.
        if (passage.problem !== undefined || !passage.signal.aborted)
          passage.fail(passage.problem ?? explained(passage, error))
      }
    },
    ...sockets.options()
  })
  app.after(() => guardUpgrades(app.server))
}

function endpointOf(request: FastifyRequest): string {
  const path = request.routeOptions.url ?? ''
  if (path.startsWith('/passthrough/')) return '/passthrough/{name}'
  return /^\/v\d\//.test(path) ? path : `/v1${path}`
}

/** Finds out where the request goes, and makes its body ready to go there. */
async function prepare(
  passage: Passage,
  request: FastifyRequest,
  reply: FastifyReply & { wsProxy?: SocketProxy },
  sockets: Sockets
): Promise<FastifyReply | undefined> {
  const { raw } = request
  const upgrades = isUpgrade(raw)
  const hasBody = !upgrades && announcesBody(raw)
  const { bodyLimit } = passage.runtime
  if (Number(raw.headers['content-length'] ?? 0) > bodyLimit) return passage.fail(tooLarge(bodyLimit))
  if (hasBody && (request.method === 'GET' || request.method === 'HEAD'))
    return passage.fail(new Failure('invalid-request', `A ${request.method} is passed on without a body; send none.`))
  const { name } = request.params as { name?: string }
  const destination =
    name === undefined
      ? await providerDestination(passage.runtime, raw, hasBody)
      : declaredDestination(passage.runtime, name, raw.url ?? '')
  if (destination instanceof Failure) return passage.fail(destination)
  const refused = refusedDestination(passage, destination)
  if (refused !== undefined) return passage.fail(refused)
  const limited = await passage.toll.ask(passage.caller, destination)
  if (limited !== undefined) return passage.fail(limited)
  // The gateway may have been stopped, or the client gone, while the body came in.
  if (passage.over) return passage.drop()
  passage.destination = destination
  if (upgrades) sockets.adopt(reply.wsProxy)
  else request.body = hasBody ? bodyOf(passage, raw, destination, bodyLimit) : undefined
  passage.begin(destination)
  return undefined
}

/** Where no model is named, a key that may use certain models alone needs the route among those it may use. */
function refusedDestination({ caller, runtime }: Passage, { asked }: Destination): Failure | undefined {
  if (caller === undefined || caller.models.length === 0) return undefined
  if (asked !== undefined) return refusedModel(caller, asked, runtime.routes.resolve(asked), runtime)
  if (caller.routes !== undefined) return undefined
  return new Failure('forbidden', 'This key may use certain models alone, and this route names none.', {
    code: 'route_not_allowed',
    recommendations: ['An administrator can list the route in `allowed_routes` of the key.']
  })
}

function bodyOf(passage: Passage, raw: IncomingMessage, { held }: Destination, limit: number): NodeJS.ReadableStream {
  if (held !== undefined) {
    const { stream, length } = streamOf(held.chunks)
    passage.bytesIn = length
    return stream
  }
  raw.on('data', (chunk: Buffer) => {
    passage.bytesIn += chunk.length
  })
  return boundedBody(raw, limit, failure => passage.giveUp(failure))
}

function pathOf(passage: Passage): string {
  return destinationOf(passage).path
}
