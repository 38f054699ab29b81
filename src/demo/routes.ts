import type { DialectName } from '../dialects/dialect.ts'
import { anthropic } from './anthropic.ts'
import { completions } from './completions.ts'
import type { Writer } from './frames.ts'
import { gemini } from './gemini.ts'
import { openaiChat } from './openai-chat.ts'
import { openaiResponses } from './openai-responses.ts'

/** What a path asks for. */
export type Route = { readonly dialect: DialectName; readonly model?: string } & (
  | { readonly kind: 'generate'; readonly writer: Writer; readonly field: string; readonly stream?: 'sse' | 'array' }
  | { readonly kind: 'count-tokens' | 'embed' | 'embed-batch' | 'models' | 'model' }
)

const POSTS: Readonly<Record<string, Route>> = {
  '/chat/completions': { kind: 'generate', dialect: 'openai-chat', writer: openaiChat, field: 'messages' },
  '/completions': { kind: 'generate', dialect: 'openai-chat', writer: completions, field: 'prompt' },
  '/responses': { kind: 'generate', dialect: 'openai-responses', writer: openaiResponses, field: 'input' },
  '/messages': { kind: 'generate', dialect: 'anthropic', writer: anthropic, field: 'messages' },
  '/messages/count_tokens': { kind: 'count-tokens', dialect: 'anthropic' },
  '/embeddings': { kind: 'embed', dialect: 'openai-chat' }
}

const generate = { kind: 'generate', dialect: 'gemini', writer: gemini, field: 'contents' } as const

function geminiPost(method: string, query: string): Route | undefined {
  const isSse = new URLSearchParams(query).get('alt') === 'sse'
  const routes: Readonly<Record<string, Route>> = {
    generateContent: generate,
    streamGenerateContent: { ...generate, stream: isSse ? 'sse' : 'array' },
    countTokens: { kind: 'count-tokens', dialect: 'gemini' },
    embedContent: { kind: 'embed', dialect: 'gemini' },
    batchEmbedContents: { kind: 'embed-batch', dialect: 'gemini' }
  }
  return Object.hasOwn(routes, method) ? routes[method] : undefined
}

/** The route of a request, or the dialect in which to say that there is none. */
export function routeOf(method: string, target: string, headers: readonly string[]): Route | DialectName {
  const [whole = '', query = ''] = target.split('?', 2)
  const [, version = '', path = ''] = /^(\/v1beta|\/v1)?(\/.*)$/.exec(whole) ?? []
  const dialect = dialectOf(version, path, headers)
  const [, model, operation = ''] = /^\/models\/(.+):(\w+)$/.exec(path) ?? []
  if (method === 'POST') {
    const name = model === undefined ? undefined : decoded(model)
    const route = name === undefined ? Object.hasOwn(POSTS, path) && POSTS[path] : geminiPost(operation, query)
    return route ? { ...route, ...(name !== undefined && { model: name }) } : dialect
  }
  if (method !== 'GET') return dialect
  const [, id] = /^\/models(?:\/(.+))?$/.exec(path) ?? []
  if (id !== undefined) return { kind: 'model', dialect, model: decoded(id) }
  return path === '/models' ? { kind: 'models', dialect } : dialect
}

/** `/v1/models` belongs to three protocols; their clients differ in headers. */
function dialectOf(version: string, path: string, headers: readonly string[]): DialectName {
  const says = (name: string) => headers.some((header, index) => index % 2 === 0 && header === name)
  if (version === '/v1beta' || says('x-goog-api-key') || says('x-goog-api-client') || path.includes(':'))
    return 'gemini'
  if (says('anthropic-version') || path.startsWith('/messages')) return 'anthropic'
  return path.startsWith('/responses') ? 'openai-responses' : 'openai-chat'
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
