// Requests to clouds as the exchange would hand them to the wire, and a key file that is nobody's.
import { generateKeyPairSync } from 'node:crypto'
import { Failure } from '../../src/chat/failure.ts'
import type { DialectName, Operation } from '../../src/dialects/dialect.ts'
import type { Wire, WireRequest } from '../../src/lib/wire.ts'
import { presetOf } from '../../src/providers/presets.ts'
import { reach } from '../../src/providers/reach.ts'
import { operationPath } from '../../src/providers/surface.ts'
import type { Reach, Wanted } from '../../src/providers/wanted.ts'

const NO_WIRE = (_: string): Wire => {
  throw new Error('nothing is sent here')
}

export type Variables = Record<string, string>

export function reached(
  provider: string,
  more: Partial<Wanted>,
  variables: Variables = {},
  wireTo = NO_WIRE
): Reach | string {
  const preset = presetOf(provider)
  if (preset === undefined) throw new Error(provider)
  const wanted = {
    provider,
    apiBase: undefined,
    apiKey: undefined,
    headers: {},
    dialect: undefined,
    model: '*',
    ...more
  }
  return reach(preset, wanted, { variables, wireTo })
}

export interface Asking {
  readonly dialect: DialectName
  readonly model?: string
  readonly operation?: Operation
  readonly body?: string
  readonly query?: string
}

/** The request as the exchange would hand it to the wire. */
export async function finished(place: Reach | string, asking: Asking): Promise<WireRequest | Failure> {
  if (typeof place === 'string') throw new Error(place)
  const { dialect, model = 'm', operation = 'chat', body = '{"model":"m"}', query = '' } = asking
  const surface = place.surfaces.find(row => row.dialect === dialect)
  if (surface === undefined) throw new Error(`${dialect} is not spoken`)
  const path = dialect === 'gemini' ? `/models/${model}:generateContent` : operationPath(dialect, operation)
  const bytes = Buffer.from(body)
  const request = {
    method: 'POST',
    path: surface.base + path + query,
    headers: [...surface.headers, 'content-type', 'application/json', 'content-length', String(bytes.length)],
    body: [bytes],
    bodyLength: bytes.length
  }
  return surface.finish?.(request, { operation, model }) ?? request
}

export async function sent(place: Reach | string, asking: Asking): Promise<WireRequest> {
  const request = await finished(place, asking)
  if (request instanceof Failure) throw new Error(request.message)
  return request
}

export const headerOf = ({ headers }: WireRequest, name: string) => {
  const at = headers.findIndex((word, index) => index % 2 === 0 && word === name)
  return at < 0 ? undefined : headers[at + 1]
}
export const textOf = ({ body }: WireRequest) => Buffer.concat(body).toString()

const { privateKey, publicKey: PUBLIC_KEY } = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

export function keyFile(more: Record<string, unknown> = {}): string {
  return JSON.stringify({
    type: 'service_account',
    project_id: 'proj',
    private_key_id: 'kid-1',
    private_key: PEM,
    client_email: 'robot@proj.iam.gserviceaccount.com',
    token_uri: 'https://oauth2.googleapis.com/token',
    ...more
  })
}

export { PUBLIC_KEY }
