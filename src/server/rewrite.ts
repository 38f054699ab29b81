// What the targets of a model would be sent for a body, without sending it.

import { Failure } from '../chat/failure.ts'
import type { DialectName, Operation } from '../dialects/dialect.ts'
import { bodyFor } from '../exchange/body.ts'
import { type Body, type Inbound, WANTED_KEYS } from '../exchange/inbound.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { type ScannedObject, scanObject } from '../lib/json-scan.ts'
import { byteLength } from '../lib/splice.ts'
import { operationPath, type Surface } from '../providers/surface.ts'
import { surfaceFor, type Target, upstreamModel } from '../routing/target.ts'
import { ENDPOINTS } from './endpoints.ts'

/** What a target would be sent for a body. */
export type Rewrite =
  | { readonly target: string; readonly problem: string }
  | {
      readonly target: string
      readonly url: string
      readonly bytes_in: number
      readonly bytes_out: number
      readonly edits: readonly string[]
    }

interface Route {
  readonly endpoint: string
  readonly dialect: DialectName
  readonly operation: Operation
  readonly action?: string
}

/** A body as every target of a model would get it. Of a name that leads nowhere, whoever explains it has said so. */
export function rewrites(runtime: Runtime, model: string, inbound: Inbound): readonly Rewrite[] {
  const resolved = runtime.routes.resolve(model)
  if (resolved instanceof Failure) return []
  return resolved.route.targets.map(target =>
    rewrite({ ...inbound, model }, target, upstreamModel(target, resolved.asked, resolved.captured))
  )
}

/** A body as if a client had sent it; a string says why it cannot be. `endpoint`: where to; otherwise guessed from its shape. */
export function inboundFrom(body: Body, endpoint: string | undefined, headers: Inbound['headers']): Inbound | string {
  const route = endpoint === undefined ? guessed(body) : routeOf(endpoint)
  if (route === undefined) return `${endpoint} is not a route of a model; those are ${known()}.`
  const { found } = body.fields
  const model = found['model']?.value
  return {
    id: '',
    ...route,
    body,
    model: typeof model === 'string' ? model : undefined,
    stream: found['stream']?.value === true,
    action: route.action,
    query: '',
    headers,
    receivedAt: 0
  }
}

function rewrite(inbound: Inbound, target: Target, model: string): Rewrite {
  const surface = surfaceFor(target, inbound.dialect)
  if (surface === undefined) {
    const spoken = target.surfaces.map(row => row.dialect).join(', ')
    return { target: target.name, problem: `it speaks ${spoken}; the body is ${inbound.dialect}` }
  }
  const body = bodyFor(inbound, target, surface, model)
  if (body instanceof Failure) return { target: target.name, problem: body.message }
  const after = scanObject(body, WANTED_KEYS)
  return {
    target: target.name,
    url: target.origin + pathOf(inbound, surface, model),
    bytes_in: inbound.body.length,
    bytes_out: byteLength(body),
    edits: 'problem' in after ? [] : differences(inbound.body.fields, after)
  }
}

function pathOf({ operation, action }: Inbound, surface: Surface, model: string): string {
  if (surface.dialect === 'gemini') return `${surface.base}/models/${model}:${action}`
  return surface.base + (operationPath(surface.dialect, operation) ?? '')
}

/** The only values that are ever exchanged are those that the scan looks for. */
function differences(before: ScannedObject, after: ScannedObject): string[] {
  const lines: string[] = []
  for (const key of WANTED_KEYS) {
    const [was, is] = [before.found[key], after.found[key]]
    if (is === undefined || (was !== undefined && was.value === is.value && was.end - was.start === is.end - is.start))
      continue
    const value = is.value === undefined ? '{…}' : JSON.stringify(is.value)
    if (was === undefined) lines.push(`+ ${key}: ${value}`)
    else lines.push(`~ ${key}: ${was.value === undefined ? '{…}' : JSON.stringify(was.value)} → ${value}`)
  }
  return lines
}

/** By what only one protocol's bodies have; the rest is taken for OpenAI Chat. */
function guessed({ chunks }: Body): Route {
  const { found } = scanObject(chunks, TELLING) as ScannedObject
  if (found['contents'] !== undefined)
    return {
      endpoint: '/v1beta/models/{model}:generateContent',
      dialect: 'gemini',
      operation: 'chat',
      action: 'generateContent'
    }
  const path =
    found['messages'] === undefined
      ? found['prompt'] !== undefined
        ? '/v1/completions'
        : '/v1/responses'
      : found['system'] !== undefined || found['anthropic_version'] !== undefined || found['thinking'] !== undefined
        ? '/v1/messages'
        : '/v1/chat/completions'
  return routeOf(path) as Route
}

const TELLING: ReadonlySet<string> = new Set([
  'contents',
  'messages',
  'prompt',
  'system',
  'anthropic_version',
  'thinking'
])

function routeOf(path: string): Route | undefined {
  const row = ENDPOINTS.find(({ paths }) => paths.includes(path))
  return row === undefined ? undefined : { endpoint: row.name, dialect: row.dialect, operation: row.operation }
}

function known(): string {
  return ENDPOINTS.map(({ name }) => name).join(', ')
}
