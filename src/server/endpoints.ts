import type { DialectName, Operation } from '../dialects/dialect.ts'

/** A route on which a model is asked something. A new one is a row. */
export interface Endpoint {
  /** Without the version prefix, which is optional for OpenAI's. */
  readonly paths: readonly string[]
  /** How logs and metrics name it. */
  readonly name: string
  readonly dialect: DialectName
  readonly operation: Operation
  readonly summary: string
}

export const ENDPOINTS: readonly Endpoint[] = [
  row('openai-chat', 'chat', 'OpenAI Chat Completions', '/v1/chat/completions', '/chat/completions'),
  row('openai-chat', 'completions', 'OpenAI Completions', '/v1/completions', '/completions'),
  row('openai-chat', 'embeddings', 'OpenAI Embeddings', '/v1/embeddings', '/embeddings'),
  row('openai-responses', 'chat', 'OpenAI Responses', '/v1/responses', '/responses'),
  row('anthropic', 'chat', 'Anthropic Messages', '/v1/messages', '/messages'),
  row('anthropic', 'count-tokens', 'Anthropic token counting', '/v1/messages/count_tokens', '/messages/count_tokens')
]

function row(dialect: DialectName, operation: Operation, summary: string, ...paths: string[]): Endpoint {
  return { paths, name: paths[0] ?? '', dialect, operation, summary }
}

/** Gemini has the model and the operation in the path: `/v1beta/models/{model}:{action}`, and below `/v1` for genai 3. */
export const GEMINI_PREFIXES = ['/v1beta/models/', '/v1/models/'] as const

export const GEMINI_ACTIONS: Readonly<
  Record<string, { readonly operation: Operation; readonly stream: boolean; readonly summary: string }>
> = {
  generateContent: { operation: 'chat', stream: false, summary: 'Gemini generateContent' },
  streamGenerateContent: { operation: 'chat', stream: true, summary: 'Gemini streamGenerateContent' },
  countTokens: { operation: 'count-tokens', stream: false, summary: 'Gemini token counting' },
  embedContent: { operation: 'embeddings', stream: false, summary: 'Gemini embedding' },
  batchEmbedContents: { operation: 'embeddings', stream: false, summary: 'Gemini embeddings' }
}

/** The dialect in which a path's failures are written, known route or not. */
export function dialectOfPath(path: string): DialectName {
  if (path.startsWith('/v1beta') || /^\/v1\/models\/.+:/.test(path)) return 'gemini'
  if (/^(\/v1)?\/messages/.test(path)) return 'anthropic'
  return /^(\/v1)?\/responses/.test(path) ? 'openai-responses' : 'openai-chat'
}
