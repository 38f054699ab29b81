import Fastify, { type FastifyInstance } from 'fastify'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Keyring } from '../keys/keyring.ts'
import { modelInfoRoutes } from './admin/models.ts'
import { managementRoutes } from './admin/routes.ts'
import { adminRoutes, type Controls, callRoutes } from './admin.ts'
import { Doors, masterOnly } from './doors.ts'
import { dialectOfPath } from './endpoints.ts'
import { explainRoutes } from './explain.ts'
import { listingRoutes } from './listing.ts'
import { modelRoutes } from './models.ts'
import { observeRoutes } from './observe.ts'
import { openApiRoutes } from './openapi.ts'
import { passthroughRoutes } from './passthrough/routes.ts'
import { sendFailure } from './reply.ts'
import { type FindWorkspace, serveWorkspaces } from './workspaces.ts'

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** The gateway's HTTP side. It does not listen, so tests may inject. `find`: other apps that answer behind the same port. */
export function createApp(
  gateway: Gateway,
  controls: Controls,
  keyring?: Keyring,
  find?: FindWorkspace
): FastifyInstance {
  const doors = new Doors(gateway, keyring)
  const app = Fastify({
    // One line a request is written when it is settled; Fastify's own two would double it.
    logger: false,
    requestIdHeader: false,
    genReqId: () => '',
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: true },
    // Longer than the minute that load balancers keep a connection, so that they close it and not we.
    keepAliveTimeout: 72_000,
    // A large prompt on a slow line; the answer has timers of its own.
    requestTimeout: 300_000,
    forceCloseConnections: 'idle'
  })
  app.decorateRequest('admitted', undefined)
  if (find !== undefined) serveWorkspaces(app, find)
  // Model and provider routes read bodies their own way. Nothing else looks at one, so it is neither held nor parsed.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_, payload, done) => {
    payload.resume()
    done(null)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const failure = new Failure('not-found', `There is no route ${request.method} ${path.slice(0, 200)}.`, {
      recommendations: ['GET /openapi.json lists the routes.']
    })
    return sendFailure(reply, failure, dialectOfPath(path))
  })
  app.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    const dialect = dialectOfPath(request.url)
    if (error.statusCode !== undefined && error.statusCode < 500) {
      const kind =
        error.statusCode === 413 ? 'too-large' : error.statusCode === 415 ? 'unsupported-media' : 'invalid-request'
      return sendFailure(reply, new Failure(kind, error.message, { status: error.statusCode }), dialect)
    }
    controls.onBug(error)
    return sendFailure(reply, new Failure('bug', 'The gateway made a mistake; its log has more.'), dialect)
  })
  app.options('*', (request, reply) => {
    const extra = doors.extraHeaders(request.raw)
    for (let index = 0; index + 1 < extra.length; index += 2) reply.header(extra[index] ?? '', extra[index + 1] ?? '')
    const asked = request.headers['access-control-request-headers']
    if (asked !== undefined && reply.hasHeader('access-control-allow-origin')) {
      reply
        .header('access-control-allow-methods', ALLOWED_METHODS)
        .header('access-control-allow-headers', asked)
        .header('access-control-max-age', '600')
    }
    return reply.code(204).send()
  })
  app.register(async scope => modelRoutes(scope, gateway, doors))
  app.register(async scope => passthroughRoutes(scope, gateway, doors))
  app.register(async scope => {
    scope.addHook('onRequest', async (request, reply) => {
      const path = request.url.split('?', 1)[0] ?? ''
      // Gemini's clients may put their key into the query, and list models below both prefixes.
      const query = /^\/v1(beta)?\/models/.test(path) ? request.url.slice(path.length) : ''
      const admitted = await doors.admit(request.raw, query)
      if (admitted instanceof Failure) return sendFailure(reply, admitted, dialectOfPath(path))
      request.admitted = admitted
      const extra = doors.extraHeaders(request.raw)
      for (let index = 0; index + 1 < extra.length; index += 2) reply.header(extra[index] ?? '', extra[index + 1] ?? '')
      return undefined
    })
    listingRoutes(scope, gateway)
    callRoutes(scope, gateway)
    modelInfoRoutes(scope, gateway)
    managementRoutes(scope, gateway, keyring)
    scope.register(async inner => {
      inner.addHook('onRequest', async (request, reply) => {
        const refused = masterOnly(request.admitted)
        return refused === undefined ? undefined : sendFailure(reply, refused, 'openai-chat')
      })
      adminRoutes(inner, gateway, controls)
      explainRoutes(inner, gateway, doors)
    })
  })
  // Open to anybody who can connect: probes and scrapers carry no key, and nothing here is a secret.
  app.register(async scope => {
    observeRoutes(scope, gateway, controls, keyring)
    openApiRoutes(scope)
  })
  return app
}
