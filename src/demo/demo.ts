// The upstream that is always there: no network, no key, no clock. Same request, same bytes.
import { createHash } from 'node:crypto'
import { Failure } from '../chat/failure.ts'
import type { Wire, WireRequest } from '../lib/wire.ts'
import { type Fields, fields } from './ask.ts'
import { spoil } from './faults.ts'
import { type Orders, readOrders } from './orders.ts'
import { Playback, type Script } from './playback.ts'
import { type Route, routeOf } from './routes.ts'
import { failureScript, scriptFor } from './scripts.ts'

const KEY_LENGTH = 24

/** The built-in upstream, in memory. It speaks the four dialects and plays the faults that a request's headers or model ask for. */
export function createDemo(): Wire {
  return {
    send(request, receiver) {
      const { script, orders } = answer(request)
      return new Playback(script, orders, receiver)
    }
  }
}

function answer(request: WireRequest): { script: Script; orders: Orders } {
  const { method, path, headers } = request
  const key = keyOf(request)
  const route = routeOf(method, path, headers)
  if (typeof route === 'string') {
    const nothing = new Failure('not-found', `The demo does not know ${method} ${path.split('?', 1)[0]}.`)
    return { script: failureScript(route, nothing, key), orders: readOrders(headers, '') }
  }
  const body = method === 'GET' ? {} : readBody(request.body)
  if (body === undefined) {
    const unreadable = new Failure('invalid-request', 'The body is not a JSON object.')
    return { script: failureScript(route.dialect, unreadable, key), orders: readOrders(headers, '') }
  }
  return answerTo(route, body, headers, key)
}

function answerTo(
  route: Route,
  body: Fields,
  headers: readonly string[],
  key: string
): { script: Script; orders: Orders } {
  const model = route.model ?? (typeof body['model'] === 'string' ? body['model'] : 'demo')
  const orders = readOrders(headers, model)
  const script = scriptFor(route, body, orders, { key, model })
  return { script: spoil({ script, dialect: route.dialect, orders, key }), orders }
}

function keyOf({ path, body }: WireRequest): string {
  const hash = createHash('sha256').update(path)
  for (const chunk of body) hash.update(chunk)
  return hash.digest('hex').slice(0, KEY_LENGTH)
}

function readBody(chunks: readonly Buffer[]): Fields | undefined {
  const [only] = chunks
  const bytes = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
  try {
    const body: unknown = JSON.parse(bytes.toString())
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? fields(body) : undefined
  } catch {
    return undefined
  }
}
