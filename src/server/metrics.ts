// `/metrics`: for whoever has the token where one is set, and on a port of its own where one is said.

import { hash, timingSafeEqual } from 'node:crypto'
import Fastify, { type FastifyInstance } from 'fastify'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Controls } from './admin.ts'
import { sendFailure } from './reply.ts'

const NO_TOKEN = 'This needs the token of server.metrics, sent as `Authorization: Bearer …`.\n'
const PLAIN = 'text/plain; charset=utf-8'
const PROBED = /^\/(health|metrics)/

/** Among the other routes, or a word about where they are. */
export function metricsRoute(app: FastifyInstance, gateway: Gateway, controls: Controls): void {
  if (controls.metricsApart === true) {
    const elsewhere = new Failure('not-found', 'Metrics have a port of their own here: server.metrics.port.')
    app.get('/metrics', (_, reply) => sendFailure(reply, elsewhere, 'openai-chat'))
    return
  }
  scrapedRoute(app, gateway)
}

/** What listens where metrics have a port of their own: they, and nothing else. */
export function createMetricsApp(gateway: Gateway, controls: Controls): FastifyInstance {
  const app = Fastify({ logger: false, forceCloseConnections: 'idle' })
  tellProbes(app, controls)
  app.setNotFoundHandler((_, reply) => reply.code(404).type(PLAIN).send('There is /metrics here, and nothing else.\n'))
  app.setErrorHandler((error: Error & { statusCode?: number }, _, reply) => {
    const { statusCode = 500 } = error
    if (statusCode >= 500) controls.onBug(error)
    return reply.code(statusCode).type(PLAIN).send('This cannot be answered.\n')
  })
  scrapedRoute(app, gateway)
  return app
}

/** Who looks at the gateway stands in a log of its own. */
export function tellProbes(app: FastifyInstance, controls: Controls): void {
  app.addHook('onResponse', async (request, reply) => {
    const path = request.routeOptions.url ?? ''
    if (PROBED.test(path)) controls.onProbe?.(path, reply.statusCode, reply.elapsedTime)
  })
}

/** The token is that of the configuration in force. */
function scrapedRoute(app: FastifyInstance, gateway: Gateway): void {
  app.get('/metrics', async (request, reply) => {
    const { token } = gateway.runtime.config.server.metrics
    if (token !== '' && !holds(request.headers.authorization, token))
      return reply.code(401).header('www-authenticate', 'Bearer').type(PLAIN).send(NO_TOKEN)
    return reply.type(gateway.metrics.contentType).send(await gateway.metrics.render())
  })
}

/** Digests are of one length, and the time that it takes to compare them tells nothing about the token. */
function holds(authorization: string | undefined, token: string): boolean {
  const [, sent = ''] = /^bearer +(.*?) *$/i.exec(authorization ?? '') ?? []
  return timingSafeEqual(digest(sent), digest(token))
}

function digest(text: string): Buffer {
  return hash('sha256', text, 'buffer')
}
