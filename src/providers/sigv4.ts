// AWS Signature Version 4: a request signed by a secret that is never sent.
import { createHash, createHmac } from 'node:crypto'

export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of temporary credentials. */
  readonly sessionToken?: string
}

export interface Signable {
  readonly method: string
  /** As it goes out, with its query string. */
  readonly path: string
  readonly host: string
  /** What is signed beside the host and the date: name in lower case, value. */
  readonly headers: readonly (readonly [string, string])[]
  readonly body: readonly Buffer[]
}

/** The headers that make a request a signed one, as a flat list. */
export function signV4(
  request: Signable,
  credentials: AwsCredentials,
  region: string,
  service: string,
  at: Date
): string[] {
  const date = at.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const scope = `${date.slice(0, 8)}/${region}/${service}/aws4_request`
  const added: [string, string][] = [['x-amz-date', date]]
  if (credentials.sessionToken !== undefined) added.push(['x-amz-security-token', credentials.sessionToken])
  const { canonical, signed } = canonicalHeaders([['host', request.host], ...request.headers, ...added])
  const [path = '', query = ''] = splitOnce(request.path, '?')
  const body = createHash('sha256')
  for (const chunk of request.body) body.update(chunk)
  const whole = [request.method, canonicalPath(path), canonicalQuery(query), canonical, signed, body.digest('hex')]
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(whole.join('\n')).digest('hex')].join('\n')
  let key: Buffer | string = `AWS4${credentials.secretAccessKey}`
  for (const part of scope.split('/')) key = createHmac('sha256', key).update(part).digest()
  const signature = createHmac('sha256', key).update(text).digest('hex')
  const credential = `${credentials.accessKeyId}/${scope}`
  added.push([
    'authorization',
    `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`
  ])
  return added.flat()
}

/** Sorted by name; the values of a name that comes twice are joined in the order they came. */
function canonicalHeaders(headers: readonly (readonly [string, string])[]): { canonical: string; signed: string } {
  const byName = new Map<string, string[]>()
  for (const [name, value] of headers) {
    const clean = value.trim().replace(/\s+/g, ' ')
    byName.set(name, [...(byName.get(name) ?? []), clean])
  }
  const names = [...byName.keys()].sort()
  return {
    canonical: names.map(name => `${name}:${(byName.get(name) ?? []).join(',')}\n`).join(''),
    signed: names.join(';')
  }
}

/** Dots are resolved, doubled slashes are one, and every service but S3 wants what goes out to be escaped once more. */
function canonicalPath(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(escaped(segment))
  }
  const end = segments.length > 0 && path.endsWith('/') ? '/' : ''
  return `/${segments.join('/')}${end}`
}

function canonicalQuery(query: string): string {
  const pairs = query
    .split('&')
    .filter(pair => pair !== '')
    .map(pair => {
      const [name = '', value = ''] = splitOnce(pair, '=')
      return [escaped(unescaped(name)), escaped(unescaped(value))] as const
    })
  pairs.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
  return pairs.map(([name, value]) => `${name}=${value}`).join('&')
}

/** By code point, as AWS does, not by the habits of a language. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, sign => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** A `%` that escapes nothing stands for itself. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function splitOnce(text: string, at: string): readonly string[] {
  const cut = text.indexOf(at)
  return cut < 0 ? [text] : [text.slice(0, cut), text.slice(cut + 1)]
}
