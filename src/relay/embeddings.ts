import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { EMBEDDINGS } from '../dialects/embeddings.ts'
import { parseJson } from '../lib/json-repair.ts'
import { OneShot } from './one-shot.ts'
import type { WayBack } from './way-back.ts'

export interface AskedForEmbeddings {
  readonly body: Record<string, unknown>
  readonly dropped: readonly string[]
  readonly wayBack: WayBack
}

/** Embeddings between dialects; undefined where one of them has none. */
export function translateEmbeddings(
  client: DialectName,
  upstream: DialectName,
  bytes: Buffer,
  model: string,
  asked: string
): AskedForEmbeddings | Failure | undefined {
  const [from, to] = [EMBEDDINGS[client], EMBEDDINGS[upstream]]
  if (from === undefined || to === undefined) return undefined
  const body = parseJson(bytes.toString('utf8'))
  if (body === undefined) return new Failure('invalid-request', 'The body is not JSON.')
  const request = from.decodeRequest(body)
  if (request instanceof Failure) return request
  const encoded = to.encodeRequest(request, model)
  if (encoded instanceof Failure) return encoded
  const wayBack = new OneShot(said => {
    const answer = to.decodeAnswer(said, request.inputs.length)
    if (answer instanceof Failure) return answer
    const usage: Usage | undefined = answer.usage
    return { body: from.encodeAnswer(answer, request, asked), usage }
  })
  return { body: encoded.body, dropped: encoded.dropped, wayBack }
}
