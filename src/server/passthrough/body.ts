import type { IncomingMessage } from 'node:http'
import { Readable, Transform, type TransformCallback } from 'node:stream'
import { Failure } from '../../chat/failure.ts'
import type { Body } from '../../exchange/inbound.ts'
import { boundaryOf, findField } from '../../lib/multipart.ts'
import { byteLength, splice } from '../../lib/splice.ts'
import { collectBody } from '../body.ts'

/** A body that had to be read to find its model. */
export interface HeldBody {
  readonly chunks: readonly Buffer[]
  /** Where the model stands, and what it was, if the body names one. */
  readonly model: { readonly start: number; readonly end: number; readonly value: string } | undefined
  readonly encode: (model: string) => string
  /** It came compressed and is no longer. */
  readonly unpacked: boolean
}

export function tooLarge(limit: number): Failure {
  return new Failure('too-large', `The request body is larger than ${limit} bytes (server.body_limit).`)
}

/** Whether a request says that it has a body. */
export function announcesBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/** With what people's `curl -d` and browsers' `fetch` say of a string: nothing here takes another kind of text. */
const LIKE_JSON = /^(?:application\/(?:[\w.+-]+\+)?json|text\/plain|application\/x-www-form-urlencoded)\b/i

/** Reads a body that may name a model. Undefined: it is of a kind that cannot, and has not been touched. */
export async function holdBody(request: IncomingMessage, limit: number): Promise<HeldBody | Failure | undefined> {
  const type = request.headers['content-type']
  if (type === undefined || LIKE_JSON.test(type)) return holdJson(request, limit)
  const boundary = boundaryOf(type)
  return boundary === undefined ? undefined : holdForm(request, boundary, limit)
}

/** The same body with another model: every other byte stays what it was. */
export function withModel(body: HeldBody, model: string): HeldBody {
  const { model: found } = body
  if (found === undefined || found.value === model) return body
  const edit = { start: found.start, end: found.end, bytes: Buffer.from(body.encode(model)) }
  return { ...body, chunks: splice(body.chunks, [edit]) }
}

async function holdJson(request: IncomingMessage, limit: number): Promise<HeldBody | Failure> {
  const body = await new Promise<Body | Failure>(done => collectBody(request, limit, done))
  if (body instanceof Failure) return body
  const model = body.fields.found['model']
  if (model !== undefined && model.value !== null && typeof model.value !== 'string')
    return new Failure('invalid-request', '`model` must be a string.', { field: 'model' })
  return {
    chunks: body.chunks,
    model: typeof model?.value === 'string' ? { ...model, value: model.value } : undefined,
    encode: JSON.stringify,
    unpacked: (request.headers['content-encoding'] ?? 'identity') !== 'identity'
  }
}

async function holdForm(request: IncomingMessage, boundary: string, limit: number): Promise<HeldBody | Failure> {
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
    return new Failure('unsupported-media', 'A form is read only as it is; send it without content-encoding.')
  const chunks: Buffer[] = []
  let problem: Failure | undefined
  try {
    for await (const chunk of boundedBody(request, limit, failure => (problem = failure))) chunks.push(chunk)
  } catch {
    return problem ?? new Failure('invalid-request', 'The body could not be read: it is cut.')
  }
  const found = findField(chunks, boundary, 'model')
  if (found !== undefined && 'problem' in found) return new Failure('invalid-request', found.problem)
  if (found?.value.match(/[\r\n]/))
    return new Failure('invalid-request', '`model` must be one line.', { field: 'model' })
  return { chunks, model: found, encode: model => model, unpacked: false }
}

/** A request's body, which breaks when it is too large. */
export function boundedBody(request: IncomingMessage, limit: number, over: (failure: Failure) => void): Readable {
  const bounded = new Bounded(limit, failure => {
    over(failure)
    // What still comes is let go by, so that the client gets to read the answer.
    request.unpipe(bounded).resume()
  })
  // Not `pipeline`: it would destroy the client's connection, and our answer with it.
  request.once('close', () => {
    if (!bounded.writableEnded) bounded.destroy(new Error('the client has left'))
  })
  request.on('error', () => undefined)
  return request.pipe(bounded)
}

/** Passes bytes on, and fails when there are too many. */
class Bounded extends Transform {
  readonly #limit: number
  readonly #over: (failure: Failure) => void
  #passed = 0

  constructor(limit: number, over: (failure: Failure) => void) {
    super()
    this.#limit = limit
    this.#over = over
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#passed += chunk.length
    if (this.#passed <= this.#limit) return done(null, chunk)
    this.#over(tooLarge(this.#limit))
    done(new Error('the body is too large'))
  }
}

/** A body's chunks as a stream that sends each as it is. */
export function streamOf(chunks: readonly Buffer[]): { stream: Readable; length: number } {
  return { stream: Readable.from(chunks), length: byteLength(chunks) }
}
