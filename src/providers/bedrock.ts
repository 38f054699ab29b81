// Amazon Bedrock by its HTTP surfaces for OpenAI's and Anthropic's dialects: requests are signed, or carry an API key.
// Converse and InvokeModel, whose streams are framed in AWS's own way, are not spoken.
import type { Preset } from './preset.ts'
import { type AwsCredentials, signV4 } from './sigv4.ts'
import { type Finish, surfacesOf } from './surface.ts'
import { addressOf, missingKey, type Reach, type Wanted, type World } from './wanted.ts'

const HOST = /(bedrock-runtime|bedrock-mantle)(?:-fips)?\.([a-z0-9-]+)\./
/** `ID:SECRET`, with the session token as a third part when the credentials are temporary. */
const PAIR = /^(A[A-Z0-9]{15,127}):([^:\s]+)(?::([^:\s]+))?$/

type Auth = { readonly bearer: string } | { readonly credentials: AwsCredentials } | undefined

export function reachBedrock(preset: Preset, wanted: Wanted, { variables }: World): Reach | string {
  const said = variables['AWS_REGION'] ?? variables['AWS_DEFAULT_REGION']
  const made = said === undefined ? undefined : `https://bedrock-runtime.${said}.amazonaws.com`
  const url = addressOf(wanted.apiBase ?? made, preset, wanted.provider)
  if (typeof url === 'string') return `${url}; AWS_REGION is not set either`
  const [, endpoint = 'bedrock-runtime', inHost] = HOST.exec(url.hostname) ?? []
  const region = inHost ?? said
  const auth = authOf(wanted.apiKey, variables)
  const bearer = auth !== undefined && 'bearer' in auth ? auth.bearer : undefined
  // The second endpoint serves OpenAI's dialects below /v1.
  const speaks =
    endpoint === 'bedrock-mantle'
      ? preset.speaks.map(row => (row.prefix === '/openai/v1' ? { ...row, prefix: '/v1' } : row))
      : preset.speaks
  const plain = surfacesOf({ ...preset, speaks }, url, bearer, wanted.headers, wanted.dialect, wanted.model)
  if (auth === undefined) {
    const names = 'AWS_BEARER_TOKEN_BEDROCK (or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)'
    return wanted.apiKey === ''
      ? { url, surfaces: plain, credential: undefined }
      : { url, surfaces: plain, credential: undefined, warning: missingKey(preset, wanted.provider, names) }
  }
  if ('bearer' in auth) return { url, surfaces: plain, credential: auth.bearer }
  if (region === undefined) return 'the region is not known: name it in `api_base`, or set AWS_REGION'
  const service = endpoint === 'bedrock-mantle' ? 'bedrock-mantle' : 'bedrock'
  const finish = signing(auth.credentials, url.host, region, service)
  const { accessKeyId, secretAccessKey } = auth.credentials
  const surfaces = plain.map(surface => ({ ...surface, finish }))
  return { url, surfaces, credential: `${accessKeyId}:${secretAccessKey}` }
}

/** What the entry says comes first; an API key in the environment comes before an access key there, as in AWS's SDKs. */
function authOf(apiKey: string | undefined, variables: World['variables']): Auth {
  if (apiKey === '') return undefined
  if (apiKey !== undefined) {
    const [, accessKeyId, secretAccessKey, sessionToken] = PAIR.exec(apiKey) ?? []
    if (accessKeyId === undefined || secretAccessKey === undefined) return { bearer: apiKey }
    return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) } }
  }
  const bearer = variables['AWS_BEARER_TOKEN_BEDROCK']
  if (bearer) return { bearer }
  const accessKeyId = variables['AWS_ACCESS_KEY_ID']
  const secretAccessKey = variables['AWS_SECRET_ACCESS_KEY']
  const sessionToken = variables['AWS_SESSION_TOKEN']
  if (!accessKeyId || !secretAccessKey) return undefined
  return { credentials: { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) } }
}

function signing(credentials: AwsCredentials, host: string, region: string, service: string): Finish {
  return request => {
    const { method, path, headers, body } = request
    const type = headers[headers.indexOf('content-type') + 1]
    const signed: [string, string][] =
      headers.includes('content-type') && type !== undefined ? [['content-type', type]] : []
    const added = signV4({ method, path, host, headers: signed, body }, credentials, region, service, new Date())
    return { ...request, headers: [...headers, ...added] }
  }
}
