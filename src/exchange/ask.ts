// What a request says about where it wants to go: its conversation and its tags.

import { scanObject } from '../lib/json-scan.ts'
import { byteLength, slice } from '../lib/splice.ts'
import { hashBytes, hashText } from '../routing/rendezvous.ts'
import type { Route } from '../routing/route.ts'
import type { Inbound } from './inbound.ts'

/** How a conversation is told from others. */
export type Sticky = 'session' | 'prefix' | 'none'

/** Where clients name their session; the gateway's own name for it first. */
const SESSION_HEADERS = [
  'x-gateway-session',
  'x-session-id',
  'x-session-affinity',
  'x-claude-code-session-id',
  'session-id',
  'session_id',
  'conversation_id',
  'x-litellm-session-id'
] as const

/** Providers find a common beginning by blocks of about a thousand tokens; this is one. */
const PREFIX = 4096
const METADATA_KEYS: ReadonlySet<string> = new Set(['user_id', 'session_id', 'tags'])
const MAX_TAGS = 20
/** Characters of a request to one token, about. */
const PER_TOKEN = 4

/** Which conversation this belongs to, as a number; 0 when nothing says so or nothing depends on it. */
export function conversationOf(inbound: Inbound, route: Route, sticky: Sticky): number {
  if (sticky === 'none' || route.targets.length < 2) return 0
  const session = sessionOf(inbound)
  if (session !== undefined) return hashText(session) || 1
  return sticky === 'prefix' ? hashBytes(inbound.body.chunks, PREFIX) || 1 : 0
}

function sessionOf(inbound: Inbound): string | undefined {
  for (const name of SESSION_HEADERS) {
    const value = inbound.headers[name]
    if (typeof value === 'string' && value !== '') return value
  }
  const cacheKey = inbound.body.fields.found['prompt_cache_key']?.value
  if (typeof cacheKey === 'string' && cacheKey !== '') return cacheKey
  const { session_id: session, user_id: user } = metadataOf(inbound) ?? {}
  const named = session?.value ?? user?.value
  return typeof named === 'string' && named !== '' ? named : undefined
}

/** The tags that the header or the body's metadata name. They matter only where entries have some. */
export function tagsOf(inbound: Inbound, route: Pick<Route, 'tagged'>): readonly string[] {
  // LiteLLM's clients name tags for their bills, too: where no entry has any, that chooses nothing.
  const theirs = route.tagged ? inbound.headers['x-litellm-tags'] : undefined
  const header = inbound.headers['x-gateway-tags'] ?? theirs
  if (typeof header === 'string')
    return header
      .split(',', MAX_TAGS)
      .map(tag => tag.trim())
      .filter(tag => tag !== '')
  if (!route.tagged) return []
  const found = metadataOf(inbound)?.['tags']
  if (found === undefined || found.value !== undefined) return []
  try {
    const tags = JSON.parse(inbound.body.chunks.length === 0 ? '[]' : textOf(inbound, found)) as unknown
    return Array.isArray(tags) ? tags.filter(tag => typeof tag === 'string').slice(0, MAX_TAGS) : []
  } catch {
    return []
  }
}

/** How many tokens it will take, about: what it sends. What it really used corrects this. */
export function tokensOf({ operation, body }: Inbound): number {
  return operation === 'count-tokens' ? 0 : Math.ceil(body.length / PER_TOKEN)
}

interface Found {
  readonly start: number
  readonly end: number
  readonly value: unknown
}

export function metadataOf(inbound: Pick<Inbound, 'body'>): Readonly<Record<string, Found | undefined>> | undefined {
  const metadata = inbound.body.fields.found['metadata']
  if (metadata === undefined || metadata.value !== undefined) return undefined
  const bytes: Buffer[] = []
  slice(inbound.body.chunks, metadata.start, metadata.end, bytes)
  if (byteLength(bytes) > 64 * 1024) return undefined
  const scanned = scanObject(bytes, METADATA_KEYS)
  if ('problem' in scanned) return undefined
  const moved: Record<string, Found> = {}
  for (const [name, found] of Object.entries(scanned.found)) {
    if (found === undefined) continue
    moved[name] = { start: found.start + metadata.start, end: found.end + metadata.start, value: found.value }
  }
  return moved
}

function textOf(inbound: Inbound, { start, end }: Found): string {
  const bytes: Buffer[] = []
  slice(inbound.body.chunks, start, end, bytes)
  return Buffer.concat(bytes).toString('utf8')
}
