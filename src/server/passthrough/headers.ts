// Which headers travel on byte-for-byte routes. Deny-lists, unlike on model routes: what an unknown API needs is unknown.

import type { WireHeaders } from '../../lib/wire.ts'
import type { Destination } from './destination.ts'

type Headers = Record<string, string | string[]>

/** They describe one connection, and there are two. `expect` has been answered by the time we know of it. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect'
]

const NOT_FORWARDED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'authorization',
  'x-api-key',
  'api-key',
  'x-goog-api-key',
  'cookie',
  'proxy-authorization',
  'host',
  'x-gateway-backend',
  // Whether a page may ask has been decided here; local servers refuse the origins they do not know.
  'origin'
])
const WEBSOCKET = /^sec-websocket-/

const NOT_RETURNED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'set-cookie',
  'set-cookie2',
  'www-authenticate',
  // Said of the upstream's host, these would change how a browser talks to the gateway's.
  'alt-svc',
  'strict-transport-security',
  'public-key-pins',
  'clear-site-data',
  'refresh',
  'report-to',
  'nel',
  'server',
  'x-powered-by',
  // Whose key the gateway holds is nobody's business.
  'openai-organization',
  'openai-project',
  'anthropic-organization-id',
  'x-task-id',
  'x-provider',
  'x-model'
])
const NOT_RETURNED_PREFIXES = ['access-control-', 'x-gateway-']

/** What the upstream is sent: the client's headers without its credentials, and the destination's over them. */
export function forwardedHeaders(client: WireHeaders, destination: Destination): Headers {
  const headers: Headers = {}
  const named = namedByConnection(client)
  for (const name in client) {
    const value = client[name]
    if (value === undefined || NOT_FORWARDED.has(name) || named.has(name) || WEBSOCKET.test(name)) continue
    headers[name] = value
  }
  return Object.assign(headers, destination.headers)
}

/** What the client may see of the upstream's headers. */
export function returnedHeaders(upstream: WireHeaders, destination: Destination): Headers {
  const headers: Headers = {}
  const named = namedByConnection(upstream)
  for (const name in upstream) {
    const value = upstream[name]
    if (value === undefined || NOT_RETURNED.has(name) || named.has(name)) continue
    if (NOT_RETURNED_PREFIXES.some(prefix => name.startsWith(prefix))) continue
    headers[name] = value
  }
  const { location } = upstream
  delete headers['location']
  if (typeof location === 'string') {
    const shown = returnedLocation(location, destination)
    if (shown !== undefined) headers['location'] = shown
  }
  return headers
}

/** Where a redirect leads, seen from the client: below the base through the gateway again, elsewhere as it is. */
function returnedLocation(location: string, destination: Destination): string | undefined {
  const { origin, base, path, prefix } = destination
  if (!URL.canParse(location, origin + path)) return undefined
  const url = new URL(location, origin + path)
  url.username = ''
  url.password = ''
  if (secretsOf(destination).some(secret => url.href.includes(secret) || url.href.includes(encodeURIComponent(secret))))
    return undefined
  const inside = url.origin === origin && (url.pathname === base || url.pathname.startsWith(`${base}/`))
  return inside ? prefix + url.pathname.slice(base.length) + url.search + url.hash : url.href
}

function secretsOf({ headers }: Destination): string[] {
  return Object.values(headers)
    .flatMap(value => [value, value.replace(/^[a-z]+ +/i, '')])
    .filter(value => value.length >= 8)
}

function namedByConnection({ connection }: WireHeaders): ReadonlySet<string> {
  if (connection === undefined) return new Set()
  return new Set(
    String(connection)
      .toLowerCase()
      .split(',')
      .map(name => name.trim())
  )
}
