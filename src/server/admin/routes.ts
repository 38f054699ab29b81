// The administrator's routes in LiteLLM's shapes: who may ask, what was sent, and what is told.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Failure } from '../../chat/failure.ts'
import type { Gateway } from '../../exchange/gateway.ts'
import type { Keyring } from '../../keys/keyring.ts'
import { asObject, type Row } from '../../store/values.ts'
import { masterOnly } from '../doors.ts'
import { sendFailure } from '../reply.ts'
import { type AdminRoute, type Asked, THE_FILE } from './asked.ts'
import { AUDIT_ROUTES } from './audit.ts'
import { IMPORT_ROUTES } from './import.ts'
import { KEY_ROUTES } from './keys.ts'
import { OWNER_ROUTES } from './owners.ts'
import { SPEND_ROUTES } from './spend.ts'
import { TEAM_ROUTES } from './teams.ts'
import { USER_ROUTES } from './users.ts'

export const ADMIN_ROUTES: readonly AdminRoute[] = [
  ...KEY_ROUTES,
  ...IMPORT_ROUTES,
  ...TEAM_ROUTES,
  ...USER_ROUTES,
  ...OWNER_ROUTES,
  ...SPEND_ROUTES,
  ...AUDIT_ROUTES
]

const BODY_LIMIT = 1_000_000

/** Below routes that have asked already who is there. */
export function managementRoutes(app: FastifyInstance, gateway: Gateway, keyring: Keyring | undefined): void {
  app.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'string', bodyLimit: BODY_LIMIT }, (_, body, done) => {
      const sent = objectIn(String(body))
      if (sent === undefined) done(Object.assign(new Error('The body must be a JSON object.'), { statusCode: 400 }))
      else done(null, sent)
    })
    for (const route of ADMIN_ROUTES) {
      const { method, path: url } = route
      scope.route({
        method,
        url,
        onRequest: async (request, reply) => {
          const refused = route.own ? undefined : masterOnly(request.admitted)
          return refused === undefined ? undefined : sendFailure(reply, refused, 'openai-chat')
        },
        handler: (request, reply) => answer(route, gateway, keyring, request, reply)
      })
    }
  })
}

/** An empty body says nothing, which is no mistake. */
function objectIn(body: string): Row | undefined {
  if (body.trim() === '') return {}
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? asObject(value) : undefined
  } catch {
    return undefined
  }
}

async function answer(
  route: AdminRoute,
  gateway: Gateway,
  keyring: Keyring | undefined,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<FastifyReply> {
  const asked = await askedOf(gateway, keyring, request)
  const told = asked instanceof Failure ? asked : await route.answer(asked)
  return told instanceof Failure ? sendFailure(reply, told, 'openai-chat') : reply.send(told)
}

/** The first of all who manage keys has the database made. */
async function askedOf(
  gateway: Gateway,
  keyring: Keyring | undefined,
  request: FastifyRequest
): Promise<Asked | Failure> {
  const { admitted, query, params, body, headers, socket } = request
  if (admitted === undefined || admitted instanceof Failure) return masterOnly(admitted) ?? NOT_ON
  if (keyring === undefined || gateway.runtime.masterKey === undefined) return NOT_ON
  const store = keyring.store ?? (await keyring.opened())
  if (store === undefined) return keyring.problem
  const sent = asObject(body)
  return {
    gateway,
    keyring,
    store,
    caller: admitted,
    sent: { ...asObject(query), ...sent, ...asObject(params) },
    isQuery: Object.keys(sent).length === 0,
    at: new Date(),
    by: admitted.master ? whoeverSays(headers['litellm-changed-by']) : `key ${admitted.id}`,
    ip: socket.remoteAddress
  }
}

const NOT_ON = new Failure('forbidden', 'Keys are not managed here.', {
  code: 'keys_are_off',
  recommendations: ['Set auth.master_key in gateway.yaml.']
})

/** Several people may share the master key; LiteLLM's header tells them apart. */
function whoeverSays(header: string | string[] | undefined): string {
  const said = typeof header === 'string' ? header.replace(/[^\x20-\x7e]/g, '').slice(0, 200) : ''
  return said === '' || said === THE_FILE ? 'master' : said
}
