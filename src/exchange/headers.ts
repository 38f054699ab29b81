// Which headers travel. Allow-lists both ways: a credential, a cookie or a hop-by-hop header never does.

import type { WireHeaders } from '../lib/wire.ts'
import type { Surface } from '../providers/surface.ts'

const FORWARDED: ReadonlySet<string> = new Set([
  'content-type',
  'accept',
  'user-agent',
  'openai-beta',
  'idempotency-key',
  'traceparent',
  'tracestate',
  'http-referer',
  'x-title',
  'x-app',
  'originator',
  'session-id',
  'session_id',
  'conversation_id',
  'thread-id',
  'x-session-id',
  'x-session-affinity',
  'x-client-request-id',
  'x-goog-api-client'
])
const FORWARDED_PREFIXES = ['anthropic-', 'x-stainless-', 'x-claude-code-', 'x-codex-']

const RETURNED: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'content-disposition',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'request-id',
  'x-request-id',
  'openai-processing-ms',
  'openai-version',
  'openai-model'
])
const RETURNED_PREFIXES = ['x-ratelimit-', 'anthropic-ratelimit-']

/** A decision by header name, remembered: clients send the same dozen names for ever, strangers could send any. */
function remembered(names: ReadonlySet<string>, prefixes: readonly string[]): (name: string) => boolean {
  const known = new Map<string, boolean>()
  return name => {
    const answer = known.get(name)
    if (answer !== undefined) return answer
    const allowed = names.has(name) || prefixes.some(prefix => name.startsWith(prefix))
    if (known.size < 1000) known.set(name, allowed)
    return allowed
  }
}

const forwarded = remembered(FORWARDED, FORWARDED_PREFIXES)
const returned = remembered(RETURNED, RETURNED_PREFIXES)

/** Headers that only the client's own dialect understands: they go in a pair with fields of the body. */
const DIALECT_BOUND = /^(anthropic-|openai-|x-stainless-|x-goog-|accept$)/

/** What the upstream is sent, as a flat list. */
export function upstreamHeaders(client: WireHeaders, surface: Surface, toDemo: boolean, translated: boolean): string[] {
  const headers = surface.headers.slice()
  for (const name in client) {
    const value = client[name]
    if (value === undefined || surface.owned.has(name)) continue
    if (translated && DIALECT_BOUND.test(name)) continue
    if (forwarded(name) || (toDemo && name.startsWith('x-demo-')))
      headers.push(name, Array.isArray(value) ? value.join(', ') : value)
  }
  if (client['content-type'] === undefined) headers.push('content-type', 'application/json')
  if (
    surface.dialect === 'anthropic' &&
    (translated || client['anthropic-version'] === undefined) &&
    !surface.owned.has('anthropic-version')
  ) {
    headers.push('anthropic-version', '2023-06-01')
  }
  return headers
}

/** Sets headers in a flat list, over those that are there. */
export function addOver(headers: string[], more: Readonly<Record<string, string>> | undefined): void {
  for (const [name, value] of Object.entries(more ?? {})) {
    const at = headers.findIndex((known, index) => index % 2 === 0 && known === name)
    if (at < 0) headers.push(name, value)
    else headers[at + 1] = value
  }
}

/** Appends what a client may see of an upstream's headers. */
export function addReturned(upstream: WireHeaders, headers: string[]): void {
  for (const name in upstream) {
    const value = upstream[name]
    // The limits of the caller here say more to it than those of a key that it does not know.
    if (name.includes('ratelimit-') && headers.includes(name)) continue
    if (value !== undefined && returned(name)) headers.push(name, Array.isArray(value) ? value.join(', ') : value)
  }
}
