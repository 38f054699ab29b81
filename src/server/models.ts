import { randomUUID } from 'node:crypto'
import { finished } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Failure } from '../chat/failure.ts'
import { endUserOf } from '../exchange/end-user.ts'
import { Exchange } from '../exchange/exchange.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Body, Inbound } from '../exchange/inbound.ts'
import { type Caller, LOCAL } from '../keys/caller.ts'
import { collectBody } from './body.ts'
import { HttpClient } from './client.ts'
import type { Doors } from './doors.ts'
import { dialectOfPath, ENDPOINTS, type Endpoint, GEMINI_ACTIONS, GEMINI_PREFIXES } from './endpoints.ts'
import { queryWith } from './passthrough/address.ts'
import { sendFailure } from './reply.ts'

/** What a route knows of a request before its body is looked at. */
type Asked = Pick<Inbound, 'endpoint' | 'dialect' | 'operation' | 'action'> & {
  readonly model?: string
  readonly stream?: boolean
}

const EMPTY: Body = { chunks: [], length: 0, fields: { found: {}, inside: 0, empty: true } }

/** The routes on which models are asked: raw bytes in, raw bytes out. */
export function modelRoutes(app: FastifyInstance, gateway: Gateway, doors: Doors): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => {
    const proceed = (admitted: Caller | Failure) => {
      request.admitted = admitted
      if (!(admitted instanceof Failure))
        return collectBody(payload, gateway.runtime.bodyLimit, body => done(null, body))
      // Nothing of a stranger's body is kept. It is read all the same: a client that still writes would miss the answer.
      payload.resume()
      finished(payload, () => done(null))
      return undefined
    }
    const { raw } = request
    const admission = doors.admit(raw, keyQuery(raw.url ?? ''))
    if (admission instanceof Promise) void admission.then(proceed)
    else proceed(admission)
  })
  for (const endpoint of ENDPOINTS) {
    const asked = askedAt(endpoint)
    for (const url of endpoint.paths) app.post(url, (request, reply) => answer(gateway, doors, request, reply, asked))
  }
  for (const prefix of GEMINI_PREFIXES) {
    app.post(`${prefix}*`, (request, reply) => {
      const path = (request.params as { '*': string })['*']
      const cut = path.lastIndexOf(':')
      const name = path.slice(cut + 1)
      const action = cut > 0 && Object.hasOwn(GEMINI_ACTIONS, name) ? GEMINI_ACTIONS[name] : undefined
      if (action === undefined) {
        return sendFailure(
          reply,
          new Failure('not-found', `Unknown operation; Gemini's are ${Object.keys(GEMINI_ACTIONS).join(', ')}.`),
          'gemini'
        )
      }
      const { operation, stream } = action
      return answer(gateway, doors, request, reply, {
        endpoint: `${prefix}{model}:${name}`,
        dialect: 'gemini',
        operation,
        action: name,
        model: path.slice(0, cut),
        stream
      })
    })
  }
}

function askedAt(endpoint: Endpoint): Asked {
  return { endpoint: endpoint.name, dialect: endpoint.dialect, operation: endpoint.operation, action: undefined }
}

function answer(gateway: Gateway, doors: Doors, request: FastifyRequest, reply: FastifyReply, asked: Asked): void {
  // Without a body nobody was asked who they are so far.
  const admission = request.admitted ?? doors.admit(request.raw, keyQuery(request.raw.url ?? ''))
  if (!(admission instanceof Promise)) return begin(gateway, doors, request, reply, asked, admission)
  void admission.then(admitted => begin(gateway, doors, request, reply, asked, admitted))
}

function begin(
  gateway: Gateway,
  doors: Doors,
  request: FastifyRequest,
  reply: FastifyReply,
  asked: Asked,
  admitted: Caller | Failure
): void {
  const received = request.body as Body | Failure | undefined
  const { raw } = request
  const query = queryOf(raw.url ?? '')
  const body = received === undefined || received instanceof Failure ? EMPTY : received
  const fields = body.fields.found
  const model = asked.model ?? fields['model']?.value
  const caller = admitted instanceof Failure ? undefined : admitted
  const inbound: Inbound = {
    id: randomUUID(),
    endpoint: asked.endpoint,
    dialect: asked.dialect,
    operation: asked.operation,
    body,
    model: typeof model === 'string' ? (caller?.aliases.get(model) ?? model) : undefined,
    stream: asked.stream ?? fields['stream']?.value === true,
    action: asked.action,
    // Gemini's clients put their key there, and others may by mistake; the upstream gets ours.
    query: query === '' ? query : queryWith(query, { key: undefined }),
    headers: raw.headers,
    trace: raw.headers['x-gateway-trace'] === '1' && caller?.master === true,
    ...(caller !== undefined && {
      caller,
      endUser: caller.id === LOCAL.id ? undefined : endUserOf({ headers: raw.headers, body })
    }),
    receivedAt: performance.now()
  }
  reply.hijack()
  const extra = doors.extraHeaders(raw)
  // A body that was not read to its end would be taken for the next request.
  if (received instanceof Failure && !raw.complete) extra.push('connection', 'close')
  const client = new HttpClient(reply.raw, extra)
  const refused =
    admitted instanceof Failure ? admitted : problemWith(received, fields['model']?.value, fields['stream']?.value)
  if (refused !== undefined || caller === undefined || inbound.endUser === undefined)
    return start(gateway, inbound, client, reply, refused)
  const bound = doors.forCustomer(caller, inbound.endUser)
  const go = (by: Caller | Failure) => {
    if (by instanceof Failure) start(gateway, inbound, client, reply, by)
    else start(gateway, by === caller ? inbound : { ...inbound, caller: by }, client, reply)
  }
  if (bound instanceof Promise) void bound.then(go)
  else go(bound)
}

function start(gateway: Gateway, inbound: Inbound, client: HttpClient, { raw }: FastifyReply, refused?: Failure): void {
  const exchange = new Exchange(gateway, gateway.runtime, inbound, client)
  client.waiter = exchange
  raw.on('close', () => exchange.abandon())
  exchange.start(refused)
  // It has left while its end user was looked up.
  if (raw.closed) exchange.abandon()
}

function problemWith(received: Body | Failure | undefined, model: unknown, stream: unknown): Failure | undefined {
  if (received === undefined) return new Failure('invalid-request', 'The body is empty; a JSON object is expected.')
  if (received instanceof Failure) return received
  if (model !== undefined && typeof model !== 'string')
    return new Failure('invalid-request', '`model` must be a string.', { field: 'model' })
  if (stream !== undefined && stream !== null && typeof stream !== 'boolean')
    return new Failure('invalid-request', '`stream` must be true or false.', { field: 'stream' })
  return undefined
}

/** A key may stand in the address on Gemini's routes alone. */
function keyQuery(url: string): string {
  return dialectOfPath(url) === 'gemini' ? queryOf(url) : ''
}

function queryOf(url: string): string {
  const cut = url.indexOf('?')
  return cut < 0 ? '' : url.slice(cut)
}
