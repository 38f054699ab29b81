// Which routes a key may use: paths, globs of paths, and LiteLLM's names for groups of them.

import { Patterns } from './patterns.ts'

const OPENAI = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/responses*',
  '/v1/models*',
  '/v1/images/*',
  '/v1/audio/*',
  '/v1/moderations',
  '/v1/files*',
  '/v1/batches*',
  '/v1/realtime*'
]

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  llm_api_routes: ['*'],
  openai_routes: OPENAI,
  anthropic_routes: ['/v1/messages*', '/v1/models*'],
  google_routes: ['/v1beta/models*', '/v1/models*'],
  info_routes: ['/v1/models*', '/v1/key/info']
}

/** Undefined: all of them. */
export function routesOf(allowed: readonly string[]): Patterns | undefined {
  if (allowed.length === 0) return undefined
  return new Patterns(
    allowed.flatMap(route => (Object.hasOwn(GROUPS, route) ? (GROUPS[route] ?? []) : [versioned(route)]))
  )
}

/** With `/v1` in front, which is optional on OpenAI's routes. */
export function versioned(path: string): string {
  if (!path.startsWith('/') || /^\/(v\d|passthrough\/)/.test(path)) return path
  return `/v1${path}`
}
