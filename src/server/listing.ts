import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import { namesFor, refusedModel } from '../exchange/permitted.ts'
import type { Caller } from '../keys/caller.ts'
import { sendFailure } from './reply.ts'

interface Listed {
  readonly id: string
  readonly owner: string
  readonly description: string | undefined
  readonly contextWindow: number | undefined
  readonly maxTokens: number | undefined
}

type Shape = 'openai' | 'anthropic' | 'gemini'

const DIALECT_OF = { openai: 'openai-chat', anthropic: 'anthropic', gemini: 'gemini' } as const

/** `/v1/models` for three protocols at one address: the headers say whose client it is. */
export function listingRoutes(app: FastifyInstance, gateway: Gateway): void {
  for (const url of ['/v1/models', '/models', '/v1beta/models']) {
    app.get(url, request => {
      const query = request.query as Record<string, string | undefined>
      const names = namesFor(callerOf(request), gateway.runtime, query['return_wildcard_routes'] === 'true')
      return LISTS[shapeOf(request)](
        names.map(name => describe(gateway, name)),
        gateway.runtime.loadedAt
      )
    })
    app.get(`${url}/*`, (request, reply) => {
      const id = (request.params as { '*': string })['*']
      const resolved = gateway.runtime.routes.resolve(id)
      const refused = refusedModel(callerOf(request), id, resolved, gateway.runtime)
      if (refused !== undefined) return sendFailure(reply, refused, DIALECT_OF[shapeOf(request)])
      if (resolved instanceof Failure) return sendFailure(reply, resolved, DIALECT_OF[shapeOf(request)])
      return ITEMS[shapeOf(request)](describe(gateway, id), gateway.runtime.loadedAt)
    })
  }
}

function callerOf({ admitted }: FastifyRequest): Caller | undefined {
  return admitted instanceof Failure ? undefined : admitted
}

function shapeOf(request: FastifyRequest): Shape {
  const { headers } = request
  if (headers['anthropic-version'] !== undefined) return 'anthropic'
  if (
    request.url.startsWith('/v1beta') ||
    headers['x-goog-api-key'] !== undefined ||
    headers['x-goog-api-client'] !== undefined
  )
    return 'gemini'
  return 'openai'
}

function describe(gateway: Gateway, name: string): Listed {
  const resolved = gateway.runtime.routes.resolve(name)
  if (resolved instanceof Failure)
    return { id: name, owner: 'sluice', description: undefined, contextWindow: undefined, maxTokens: undefined }
  const target = resolved.route.targets[0]
  const entry = gateway.runtime.config.model_list.find(row => row.model_name === resolved.route.name)
  return {
    id: name,
    owner: target?.provider ?? 'sluice',
    description: entry?.description,
    contextWindow: entry?.context_window,
    maxTokens: target?.maxTokens
  }
}

const ITEMS: Record<Shape, (model: Listed, loadedAt: number) => object> = {
  openai: (model, loadedAt) => ({
    id: model.id,
    object: 'model',
    created: Math.floor(loadedAt / 1000),
    owned_by: model.owner,
    ...(model.description !== undefined && { description: model.description }),
    ...(model.contextWindow !== undefined && { context_window: model.contextWindow })
  }),
  anthropic: (model, loadedAt) => ({
    type: 'model',
    id: model.id,
    display_name: model.id,
    created_at: new Date(loadedAt).toISOString(),
    ...(model.contextWindow !== undefined && { max_input_tokens: model.contextWindow })
  }),
  gemini: model => ({
    name: `models/${model.id}`,
    version: '1',
    displayName: model.id,
    ...(model.description !== undefined && { description: model.description }),
    supportedGenerationMethods: ['generateContent', 'streamGenerateContent', 'countTokens', 'embedContent'],
    ...(model.contextWindow !== undefined && { inputTokenLimit: model.contextWindow }),
    ...(model.maxTokens !== undefined && { outputTokenLimit: model.maxTokens })
  })
}

const LISTS: Record<Shape, (models: Listed[], loadedAt: number) => object> = {
  openai: (models, loadedAt) => ({ object: 'list', data: models.map(model => ITEMS.openai(model, loadedAt)) }),
  anthropic: (models, loadedAt) => ({
    data: models.map(model => ITEMS.anthropic(model, loadedAt)),
    has_more: false,
    first_id: models[0]?.id ?? null,
    last_id: models[models.length - 1]?.id ?? null
  }),
  gemini: (models, loadedAt) => ({ models: models.map(model => ITEMS.gemini(model, loadedAt)) })
}
