import type { FastifyInstance } from 'fastify'
import { ADMIN_ROUTES } from './admin/routes.ts'
import { ENDPOINTS, GEMINI_ACTIONS, GEMINI_PREFIXES } from './endpoints.ts'
import { PROVIDER_PATHS } from './passthrough/routes.ts'
import { VERSION } from './version.ts'

type Operation = Record<string, unknown>

const JSON_BODY = {
  required: true,
  content: { 'application/json': { schema: { type: 'object', additionalProperties: true } } }
}
const FAILURE = { description: 'A failure, in the shape of the route’s own API.' }
const ANSWER = {
  description: 'The upstream’s answer.',
  content: { 'application/json': { schema: { type: 'object' } }, 'text/event-stream': { schema: { type: 'string' } } }
}

/** Generated from the endpoint table, so a route cannot be missing. */
function openApi(): object {
  const paths: Record<string, Record<string, Operation>> = {}
  for (const endpoint of ENDPOINTS) {
    for (const path of endpoint.paths) paths[path] = { post: asks(endpoint.summary, endpoint.dialect) }
  }
  for (const prefix of GEMINI_PREFIXES) {
    for (const [action, { summary }] of Object.entries(GEMINI_ACTIONS)) {
      const parameters = [{ name: 'model', in: 'path', required: true, schema: { type: 'string' } }]
      paths[`${prefix}{model}:${action}`] = { post: { ...asks(summary, 'gemini'), parameters } }
    }
  }
  const reads: Record<string, string> = {
    '/v1/models': 'Models served here, in OpenAI’s, Anthropic’s or Gemini’s shape by the request’s headers',
    '/v1beta/models': 'Models served here, in Gemini’s shape',
    '/health': 'State of the gateway and of each backend',
    '/health/live': 'The process is alive',
    '/health/ready': 'The gateway takes requests',
    '/metrics': 'Metrics for Prometheus',
    '/openapi.json': 'This document',
    '/calls/{id}': 'What became of the call that was answered with this x-task-id',
    '/model/info': 'Models served here, with prices and limits, in LiteLLM’s shape',
    '/admin/config': 'The configuration in force, without its secrets',
    '/admin/explain': 'Where a model name leads, and why'
  }
  for (const [path, summary] of Object.entries(reads)) {
    const parameters = path.includes('{id}')
      ? [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }]
      : []
    if (path === '/admin/explain')
      parameters.push({ name: 'model', in: 'query', required: true, schema: { type: 'string' } })
    paths[path] = {
      get: { summary, tags: ['gateway'], parameters, responses: { 200: { description: 'OK' }, default: FAILURE } }
    }
  }
  for (const path of PROVIDER_PATHS)
    paths[`/v1${path.replace('*', '{path}')}`] = { post: passes(path, 'Byte for byte to a provider of OpenAI’s API') }
  const named = { name: 'name', in: 'path', required: true, schema: { type: 'string' } }
  const declared = passes('*', 'Byte for byte to an upstream below `passthrough` in the configuration')
  paths['/passthrough/{name}/{path}'] = { post: { ...declared, parameters: [named, PATH] } }
  paths['/admin/config'] = {
    ...paths['/admin/config'],
    post: {
      summary: 'Reload the configuration',
      tags: ['gateway'],
      responses: { 200: { description: 'In force' }, 422: { description: 'Refused; the old one goes on' } }
    }
  }
  const query = (name: string) => ({ name, in: 'query', required: false, schema: { type: 'string' } })
  paths['/admin/explain'] = {
    ...paths['/admin/explain'],
    post: {
      summary: 'Where a model name leads for a key, for tags, or for the body of a request, and what would be sent',
      tags: ['gateway'],
      parameters: [query('model'), query('endpoint')],
      requestBody: JSON_BODY,
      responses: { 200: { description: 'OK' }, default: FAILURE }
    }
  }
  for (const { method, path, summary } of ADMIN_ROUTES) {
    const name = path.replace(/:(\w+)/, '{$1}')
    paths[name] = { ...paths[name], [method.toLowerCase()]: manages(method, name, summary) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sluice', version: VERSION, description: 'An LLM gateway that one YAML file declares.' },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' }
      }
    },
    security: [{ bearer: [] }, { apiKey: [] }, {}],
    paths
  }
}

/** In LiteLLM's shapes, which its own documents tell field by field. */
function manages(method: string, path: string, summary: string): Operation {
  const [, name] = /\{(\w+)\}/.exec(path) ?? []
  const parameters = name === undefined ? [] : [{ name, in: 'path', required: true, schema: { type: 'string' } }]
  const body = method === 'GET' ? {} : { requestBody: JSON_BODY }
  return { summary, tags: ['admin'], parameters, ...body, responses: { 200: { description: 'OK' }, default: FAILURE } }
}

const PATH = { name: 'path', in: 'path', required: true, schema: { type: 'string' } }

/** Any method and any body: what it means is the provider's to say. */
function passes(path: string, summary: string): Operation {
  return {
    summary,
    tags: ['passthrough'],
    parameters: path.includes('*') ? [PATH] : [],
    responses: { default: { description: 'What the provider answers' } }
  }
}

export function openApiRoutes(app: FastifyInstance): void {
  const document = openApi()
  app.get('/openapi.json', () => document)
}

function asks(summary: string, tag: string): Operation {
  return { summary, tags: [tag], requestBody: JSON_BODY, responses: { 200: ANSWER, default: FAILURE } }
}
