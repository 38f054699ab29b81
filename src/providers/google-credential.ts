import { createPrivateKey, type KeyObject, sign } from 'node:crypto'

/** What Google's key files hold. */
export type GoogleCredential = ServiceAccount | AuthorizedUser

interface ServiceAccount {
  readonly kind: 'service-account'
  readonly email: string
  readonly privateKey: KeyObject
  readonly keyId: string | undefined
  readonly tokenUri: string
  readonly project: string | undefined
}

/** What `gcloud auth application-default login` leaves behind. */
interface AuthorizedUser {
  readonly kind: 'authorized-user'
  readonly clientId: string
  readonly clientSecret: string
  readonly refreshToken: string
  readonly tokenUri: string
  readonly project: string | undefined
}

const TOKEN_URI = 'https://oauth2.googleapis.com/token'
const SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
/** Seconds; the longest that Google takes. */
const LIFETIME = 3600

/** Reads a key file's text. A string says what is wrong with it, and never repeats what stands in it. */
export function readGoogleCredential(text: string, place: string): GoogleCredential | string {
  const file = parseMap(text)
  if (file === undefined) return `${place} is not JSON: it should be a service account's key file`
  const tokenUri = textAt(file, 'token_uri') ?? TOKEN_URI
  if (!isTokenUri(tokenUri)) return `${place}: its token_uri is not an https address`
  const project = textAt(file, 'project_id') ?? textAt(file, 'quota_project_id')
  const type = textAt(file, 'type')
  if (type === 'authorized_user') {
    const clientId = textAt(file, 'client_id')
    const clientSecret = textAt(file, 'client_secret')
    const refreshToken = textAt(file, 'refresh_token')
    if (clientId === undefined || clientSecret === undefined || refreshToken === undefined)
      return `${place}: client_id, client_secret or refresh_token is missing`
    return { kind: 'authorized-user', clientId, clientSecret, refreshToken, tokenUri, project }
  }
  // Somebody's text could stand in `type`, so it is not told.
  if (type !== 'service_account') return `${place}: its type is not service_account, the one that is understood here`
  const email = textAt(file, 'client_email')
  const pem = textAt(file, 'private_key')
  if (email === undefined || pem === undefined) return `${place}: client_email or private_key is missing`
  const privateKey = readKey(pem)
  if (privateKey === undefined) return `${place}: its private_key is not an RSA key that can be read`
  return { kind: 'service-account', email, privateKey, keyId: textAt(file, 'private_key_id'), tokenUri, project }
}

/** The form that is exchanged for an access token. `now`: Unix seconds. */
export function tokenForm(credential: GoogleCredential, now: number): string {
  if (credential.kind === 'authorized-user') {
    return new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: credential.clientId,
      client_secret: credential.clientSecret,
      refresh_token: credential.refreshToken
    }).toString()
  }
  return new URLSearchParams({
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    assertion: signedAssertion(credential, now)
  }).toString()
}

/** A JWT that says who asks for what, signed by the account's key (RS256). */
function signedAssertion({ email, privateKey, keyId, tokenUri }: ServiceAccount, now: number): string {
  const header = { alg: 'RS256', typ: 'JWT', ...(keyId !== undefined && { kid: keyId }) }
  const claims = { iss: email, scope: SCOPE, aud: tokenUri, iat: now, exp: now + LIFETIME }
  const signed = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`
}

function readKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem)
    return key.asymmetricKeyType === 'rsa' ? key : undefined
  } catch {
    return undefined
  }
}

/** The assertion would buy a token from whoever reads it: it travels encrypted, but for a server on this machine. */
function isTokenUri(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname))
}

export function parseMap(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isMap(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textAt(map: Record<string, unknown>, key: string): string | undefined {
  const value = map[key]
  return typeof value === 'string' && value !== '' ? value : undefined
}
