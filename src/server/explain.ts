// `/admin/explain`: where a model name leads, for whom, and what would be sent; no upstream is asked.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Failure } from '../chat/failure.ts'
import { tagsOf, tokensOf } from '../exchange/ask.ts'
import { explain } from '../exchange/explain.ts'
import type { Gateway } from '../exchange/gateway.ts'
import type { Body, Inbound } from '../exchange/inbound.ts'
import { refusedModel } from '../exchange/permitted.ts'
import { collectBody } from './body.ts'
import type { Doors } from './doors.ts'
import { sendFailure } from './reply.ts'
import { inboundFrom, rewrites } from './rewrite.ts'

/** What is asked about. */
interface Question {
  readonly model: string
  /** Undefined: those that the request names. */
  readonly tags: readonly string[] | undefined
  readonly key: string | undefined
  /** When the body is one that a client would send. */
  readonly inbound: Inbound | undefined
}

/** As `sluice explain --json` has it. */
interface KeySays {
  readonly allowed: boolean
  readonly text: string
}

/** What a body has that is a conversation and not a question about one. */
const TELLING = ['messages', 'contents', 'prompt', 'input']

export function explainRoutes(app: FastifyInstance, gateway: Gateway, doors: Doors): void {
  app.get('/admin/explain', (request, reply) => {
    const { model } = queryOf(request)
    if (model === undefined)
      return sendFailure(reply, invalid('Say which model: /admin/explain?model=NAME', 'model'), 'openai-chat')
    const explained = explain(gateway.runtime, model)
    return explained instanceof Failure ? sendFailure(reply, explained, 'openai-chat') : explained
  })
  app.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (request, _, done) =>
      collectBody(request.raw, gateway.runtime.bodyLimit, body => done(null, body))
    )
    scope.post('/admin/explain', async (request, reply) => {
      const question = questionIn(request)
      const answer = question instanceof Failure ? question : await answerTo(question, gateway, doors, request)
      return answer instanceof Failure ? sendFailure(reply, answer, 'openai-chat') : reply.send(answer)
    })
  })
}

async function answerTo(
  { model, tags, key, inbound }: Question,
  { runtime }: Gateway,
  doors: Doors,
  request: FastifyRequest
): Promise<object | Failure> {
  const path = inbound?.endpoint ?? '/v1/chat/completions'
  const caller = key === undefined ? undefined : await doors.holderOf(key, path, request.raw.socket.remoteAddress)
  // What a key calls a model may be another one's name.
  const meant = caller === undefined || caller instanceof Failure ? model : (caller.aliases.get(model) ?? model)
  const resolved = runtime.routes.resolve(meant)
  if (resolved instanceof Failure) return resolved
  const said = inbound && { tags: tagsOf(inbound, resolved.route), tokens: tokensOf(inbound) }
  const explained = explain(runtime, meant, { ...said, ...(tags !== undefined && { tags }) })
  if (explained instanceof Failure) return explained
  const refused = caller instanceof Failure ? caller : refusedModel(caller, meant, resolved, runtime)
  return {
    ...explained,
    ...(caller !== undefined && { key: judged(refused, model, meant) }),
    ...(inbound !== undefined && { request: rewrites(runtime, meant, inbound) })
  }
}

function questionIn(request: FastifyRequest): Question | Failure {
  const body = request.body as Body | Failure | undefined
  if (body instanceof Failure) return body
  const said = body === undefined || body.fields.empty ? {} : objectIn(body)
  const { model = textIn(said['model']), endpoint } = queryOf(request)
  if (model === undefined) return invalid('Say which model: {"model": "NAME"}, or the body of a request.', 'model')
  const { tags, key } = said
  if (tags !== undefined && !isTexts(tags)) return invalid('`tags` is a list of texts.', 'tags')
  if (key !== undefined && textIn(key) === undefined) return invalid('`key` is a text.', 'key')
  const isRequest = endpoint !== undefined || TELLING.some(name => said[name] !== undefined)
  const inbound = body !== undefined && isRequest ? inboundFrom(body, endpoint, request.headers) : undefined
  if (typeof inbound === 'string') return invalid(inbound, 'endpoint')
  return { model, tags, key: textIn(key), inbound }
}

/** A scan has found an object there already, but has not looked into its values. */
function objectIn({ chunks }: Body): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>
  } catch {
    return {}
  }
}

function judged(refused: Failure | undefined, asked: string, meant: string): KeySays {
  if (refused !== undefined) {
    const { message, details } = refused
    return { allowed: false, text: ['The key may not:', message, ...(details.recommendations ?? [])].join(' ') }
  }
  return {
    allowed: true,
    text: asked === meant ? 'The key may use it.' : `The key may use it, and means \`${meant}\`.`
  }
}

function queryOf({ query }: FastifyRequest): { readonly model?: string; readonly endpoint?: string } {
  const { model, endpoint } = query as Record<string, unknown>
  const [named, to] = [textIn(model), textIn(endpoint)]
  return { ...(named !== undefined && { model: named }), ...(to !== undefined && { endpoint: to }) }
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function invalid(message: string, field: string): Failure {
  return new Failure('invalid-request', message, { field })
}
