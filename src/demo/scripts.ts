import { Failure } from '../chat/failure.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'
import * as anthropic from './anthropic.ts'
import type { Fields } from './ask.ts'
import { geminiEmbedding, geminiEmbeddings, openAIEmbeddings } from './embeddings.ts'
import * as gemini from './gemini.ts'
import { modelEntry, modelList } from './models.ts'
import type { Orders } from './orders.ts'
import type { Script } from './playback.ts'
import { replyTo } from './reply.ts'
import type { Route } from './routes.ts'

/** What identifies one request and its answer. */
export interface Call {
  readonly key: string
  readonly model: string
}

/** The answer to a request that nothing goes wrong with. */
export function scriptFor(route: Route, body: Fields, orders: Orders, call: Call): Script {
  if (route.kind === 'generate') return generated(route, body, orders, call)
  return jsonScript(route.dialect, 200, answerTo(route, body, call.model), call.key)
}

function answerTo({ kind, dialect }: Route, body: Fields, model: string): object {
  if (kind === 'models') return modelList(dialect)
  if (kind === 'model') return modelEntry(dialect, model)
  if (kind === 'embed-batch') return geminiEmbeddings(body)
  if (kind === 'embed') return dialect === 'gemini' ? geminiEmbedding(body) : openAIEmbeddings(body, model)
  return dialect === 'gemini'
    ? { totalTokens: gemini.countTokens(body) }
    : { input_tokens: anthropic.countTokens(body) }
}

function generated(route: Route & { kind: 'generate' }, body: Fields, orders: Orders, { key, model }: Call): Script {
  const { writer, dialect } = route
  const failure = mistakeIn(route, body)
  if (failure !== undefined) return failureScript(dialect, failure, key)
  const reply = replyTo(writer.readAsk(body), orders, key, model)
  if (route.stream === 'array') {
    return {
      status: 200,
      headers: headersOf(dialect, key, 'application/json'),
      chunks: gemini.encodeArray(reply),
      ending: 'end'
    }
  }
  if (route.stream !== 'sse' && (body['stream'] !== true || dialect === 'gemini')) {
    return jsonScript(dialect, 200, writer.encodeAnswer(reply, body), key)
  }
  const headers = { ...headersOf(dialect, key, 'text/event-stream; charset=utf-8'), 'cache-control': 'no-cache' }
  return { status: 200, headers, chunks: writer.encodeStream(reply, body), ending: 'end' }
}

function mistakeIn({ field, dialect }: Route & { kind: 'generate' }, body: Fields): Failure | undefined {
  if (body[field] === undefined) return new Failure('invalid-request', `${field}: Field required`, { field })
  if (dialect !== 'anthropic' || body['thread'] === undefined) return undefined
  // It keeps no threads. Told so in this way, the SDK goes on without them.
  const message = 'thread: this upstream keeps no threads'
  return new Failure('unsupported', message, { code: 'thread_unsupported_request', field: 'thread' })
}

export function failureScript(dialect: DialectName, failure: Failure, key: string): Script {
  const { encodeFailure, statusOf } = DIALECTS[dialect]
  const { retryAfter } = failure.details
  const script = textScript(dialect, statusOf(failure), encodeFailure(failure, `req_${key}`), key)
  if (retryAfter === undefined) return script
  return { ...script, headers: { ...script.headers, 'retry-after': String(retryAfter) } }
}

function jsonScript(dialect: DialectName, status: number, answer: object, key: string): Script {
  return textScript(dialect, status, JSON.stringify(answer), key)
}

function textScript(dialect: DialectName, status: number, text: string, key: string): Script {
  const headers = { ...headersOf(dialect, key, 'application/json'), 'content-length': String(Buffer.byteLength(text)) }
  return { status, headers, chunks: [text], ending: 'end' }
}

function headersOf(dialect: DialectName, key: string, type: string): Record<string, string> {
  return { 'content-type': type, [dialect === 'anthropic' ? 'request-id' : 'x-request-id']: `req_${key}` }
}
