// Google's Vertex AI: Gemini, Claude and open models below one project and region, each in its own dialect.
import { readFileSync } from 'node:fs'
import { Failure } from '../chat/failure.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { scanObject } from '../lib/json-scan.ts'
import type { WireRequest } from '../lib/wire.ts'
import { type GoogleCredential, readGoogleCredential } from './google-credential.ts'
import { TokenSource } from './google-token.ts'
import type { Preset } from './preset.ts'
import {
  type Finish,
  keyAndExtra,
  leadsAstray,
  pathOf,
  type Sending,
  type Surface,
  spokenFor,
  surfaceAt
} from './surface.ts'
import { addressOf, missingKey, type Reach, type Wanted, type World } from './wanted.ts'

const ANTHROPIC_VERSION = 'vertex-2023-10-16'

/** No key or token of Google's looks like one. */
const PATH = /^(\.{0,2}\/|[A-Za-z]:[\\/])|\.json$/

type Auth =
  | { readonly kind: 'tokens'; readonly said: string; readonly read: () => GoogleCredential | string }
  | { readonly kind: 'bearer' | 'key'; readonly said: string }
  | { readonly kind: 'none' }

export function reachVertex(preset: Preset, wanted: Wanted, world: World): Reach | string {
  const { variables } = world
  const auth = authOf(wanted.apiKey, variables)
  const credential = auth.kind === 'tokens' ? auth.read() : undefined
  if (typeof credential === 'string') return credential
  const location = variables['GOOGLE_CLOUD_LOCATION'] ?? 'global'
  const url = addressOf(wanted.apiBase ?? `https://${hostOf(location)}`, preset, wanted.provider)
  if (typeof url === 'string') return url
  const project = variables['GOOGLE_CLOUD_PROJECT'] ?? credential?.project
  const below = placeOf(url, project, auth.kind)
  if (below === undefined)
    return `the project is not known: end \`api_base\` with /v1/projects/NAME/locations/REGION, or set GOOGLE_CLOUD_PROJECT`
  const authorize = authorizing(auth, world)
  const surfaces = rowsOf(preset, wanted, below, auth.kind).map(({ dialect, base }): Surface => {
    const keyHeader = auth.kind === 'key' ? 'x-goog-api-key' : 'bearer'
    const key = auth.kind === 'key' || auth.kind === 'bearer' ? auth.said : undefined
    const headers = keyAndExtra(keyHeader, dialect, key, wanted.headers)
    // The gateway's habit of repeating a key for Anthropic's servers is of no use to Google's.
    if (wanted.headers['x-api-key'] === undefined) headers.delete('x-api-key')
    return surfaceAt(preset, dialect, base, headers, finishing(dialect, base, authorize))
  })
  const said = auth.kind === 'none' ? undefined : auth.said
  if (auth.kind !== 'none' || wanted.apiKey === '') return { url, surfaces, credential: said }
  return {
    url,
    surfaces,
    credential: said,
    warning: missingKey(preset, wanted.provider, 'GOOGLE_APPLICATION_CREDENTIALS')
  }
}

/** A key file by its path or its text, an access token, or an API key. */
function authOf(apiKey: string | undefined, variables: World['variables']): Auth {
  const said = apiKey ?? variables['GOOGLE_APPLICATION_CREDENTIALS']
  if (said === undefined || said === '') return { kind: 'none' }
  if (said.startsWith('{')) return { kind: 'tokens', said, read: () => readGoogleCredential(said, 'api_key') }
  if (apiKey === undefined || PATH.test(said)) return { kind: 'tokens', said, read: () => readFile(said) }
  return { kind: said.startsWith('ya29.') ? 'bearer' : 'key', said }
}

function readFile(path: string): GoogleCredential | string {
  try {
    return readGoogleCredential(readFileSync(path, 'utf8'), path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    return `the key file ${path} cannot be read${code}`
  }
}

function hostOf(location: string): string {
  if (location === 'global') return 'aiplatform.googleapis.com'
  return location === 'us' || location === 'eu'
    ? `aiplatform.${location}.rep.googleapis.com`
    : `${location}-aiplatform.googleapis.com`
}

/** The region that a host of Google's is for. */
function locationOf(host: string): string | undefined {
  return (/^([a-z0-9-]+)-aiplatform\.googleapis\.com$/.exec(host) ??
    /^aiplatform\.([a-z]+)\.rep\.googleapis\.com$/.exec(host))?.[1]
}

/** The path that everything stands below; undefined when the project is missing. */
function placeOf(url: URL, project: string | undefined, kind: Auth['kind']): string | undefined {
  const path = pathOf(url)
  if (path.includes('/projects/')) return path
  // An API key says which project it is of.
  if (kind === 'key' && project === undefined) return path === '' ? '/v1' : path
  if (project === undefined) return undefined
  const location = locationOf(url.hostname) ?? 'global'
  return `${path === '' ? '/v1' : path}/projects/${project}/locations/${location}`
}

interface Row {
  readonly dialect: DialectName
  readonly base: string
}

function rowsOf(preset: Preset, wanted: Wanted, below: string, kind: Auth['kind']): Row[] {
  // The address of an endpoint of one's own: its server speaks Chat Completions.
  if (below.includes('/endpoints/')) return [{ dialect: 'openai-chat', base: below }]
  const rows = spokenFor(preset, wanted.dialect, wanted.model)
  return rows
    .filter(row => kind !== 'key' || row.dialect === 'gemini')
    .map(({ dialect, prefix }) => ({ dialect, base: below + prefix }))
}

type Authorize = (request: WireRequest) => WireRequest | Failure | Promise<WireRequest | Failure>

function authorizing(auth: Auth, { wireTo }: World): Authorize {
  if (auth.kind !== 'tokens') return request => request
  const read = () => {
    const credential = auth.read()
    return typeof credential === 'string'
      ? new Failure('upstream-refused-key', `vertex-ai: ${credential}.`)
      : credential
  }
  const source = new TokenSource(read, wireTo, Date.now)
  const add = (request: WireRequest, token: string | Failure) =>
    token instanceof Failure ? token : { ...request, headers: [...request.headers, 'authorization', `Bearer ${token}`] }
  return request => {
    const token = source.token()
    return token instanceof Promise ? token.then(got => add(request, got)) : add(request, token)
  }
}

function finishing(dialect: DialectName, base: string, authorize: Authorize): Finish {
  return (request, sending) => {
    const shaped = shape(dialect, base, request, sending)
    return shaped instanceof Failure ? shaped : authorize(shaped)
  }
}

/** What Google asks otherwise than the companies whose dialects these are. */
function shape(dialect: DialectName, base: string, request: WireRequest, sending: Sending): WireRequest | Failure {
  if (sending.operation === 'list') return request
  if (leadsAstray(sending.model))
    return new Failure('invalid-request', 'This is no name of a model.', { field: 'model' })
  switch (dialect) {
    case 'gemini':
      // Chat Completions names Gemini's models with their publisher in front; here it is in the path already.
      return { ...request, path: request.path.replace(`${base}/models/google/`, `${base}/models/`) }
    case 'openai-chat':
      return sending.model.includes('/') || (base.includes('/endpoints/') && !base.endsWith('/endpoints/openapi'))
        ? request
        : withModel(request, `google/${sending.model}`)
    case 'anthropic':
      return forClaude(base, request, sending)
    case 'openai-responses':
      return request
  }
}

const LOOKED_FOR: ReadonlySet<string> = new Set(['model', 'anthropic_version', 'stream'])

function withModel(request: WireRequest, model: string): WireRequest | Failure {
  const body = Buffer.concat(request.body)
  const scanned = scanObject([body], LOOKED_FOR)
  if ('problem' in scanned) return new Failure('invalid-request', scanned.problem)
  const found = scanned.found['model']
  if (found === undefined) return request
  return withBody(request, [body.subarray(0, found.start), JSON.stringify(model), body.subarray(found.end)])
}

/** Claude's model stands in the path, its version of the protocol in the body; no query is known. */
function forClaude(base: string, request: WireRequest, { operation, model }: Sending): WireRequest | Failure {
  const body = Buffer.concat(request.body)
  const scanned = scanObject([body], LOOKED_FOR)
  if ('problem' in scanned) return new Failure('invalid-request', scanned.problem)
  const { found, inside, empty } = scanned
  const version = `"anthropic_version":"${ANTHROPIC_VERSION}"`
  const counts = operation === 'count-tokens'
  // Not as the client asked: an answer may be streamed for one that did not.
  const streams = found['stream']?.value === true
  const name = counts ? 'count-tokens' : encodeURIComponent(model).replaceAll('%40', '@')
  const path = `${base}/${name}:${streams && !counts ? 'streamRawPredict' : 'rawPredict'}`
  const versioned = found['anthropic_version'] !== undefined
  const asked = counts ? undefined : found['model']
  if (asked === undefined) {
    if (versioned) return { ...request, path }
    const member = version + (empty ? '' : ',')
    return withBody({ ...request, path }, [body.subarray(0, inside), member, body.subarray(inside)])
  }
  // The version takes the place of the model, so that every comma stays right.
  const [start, end] = versioned ? wholeMember(body, asked) : [keyStart(body, asked.start), asked.end]
  return withBody({ ...request, path }, [body.subarray(0, start), versioned ? '' : version, body.subarray(end)])
}

/** Where the key of a value begins: before the value stand a colon and the key's two quotes, and white space. */
function keyStart(body: Buffer, valueStart: number): number {
  const closing = body.lastIndexOf(0x22, body.lastIndexOf(0x3a, valueStart - 1))
  return body.lastIndexOf(0x22, closing - 1)
}

/** A member with the comma after it, or else the one before it. */
function wholeMember(body: Buffer, value: { readonly start: number; readonly end: number }): readonly [number, number] {
  const start = keyStart(body, value.start)
  let end = value.end
  while (isSpace(body[end])) end++
  if (body[end] === 0x2c) return [start, end + 1]
  let before = start
  while (isSpace(body[before - 1])) before--
  return body[before - 1] === 0x2c ? [before - 1, value.end] : [start, value.end]
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function withBody(request: WireRequest, parts: readonly (Buffer | string)[]): WireRequest {
  const body = Buffer.concat(parts.map(part => Buffer.from(part)))
  const headers = request.headers.slice()
  const length = headers.indexOf('content-length')
  if (length >= 0) headers[length + 1] = String(body.length)
  return { ...request, headers, body: [body], bodyLength: body.length }
}
