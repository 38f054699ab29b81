// Who may ask, and for what. Without a master key only this machine may, and no page in its browser unless it is named.

import { hash, timingSafeEqual } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { Failure } from '../chat/failure.ts'
import { type Caller, LOCAL, MASTER } from './caller.ts'
import type { Keyring } from './keyring.ts'
import { versioned } from './routes.ts'

type Headers = Readonly<Record<string, string | string[] | undefined>>

const CLAUDE_CODE = /^claude-cli\//

export interface GateSettings {
  readonly masterKey: string | undefined
  /** `auth: none`: the operator said that anybody may ask. */
  readonly open: boolean
  readonly allowedOrigins: ReadonlySet<string>
  /** Absent: there is no key but the master's. */
  readonly keyring?: Keyring | undefined
}

/** Somebody at the door. */
export interface Visit {
  readonly headers: Headers
  /** Empty on routes where no key may stand in the address. */
  readonly query: string
  /** Without the query. */
  readonly path: string
  readonly remoteAddress: string | undefined
}

/** A promise only when a key has to be looked up. */
export type Admission = Caller | Failure | Promise<Caller | Failure>

export class Gate {
  readonly #settings: GateSettings
  readonly #expected: Buffer | undefined

  constructor(settings: GateSettings) {
    this.#settings = settings
    this.#expected = settings.masterKey === undefined ? undefined : digest(settings.masterKey)
  }

  /** Who asks, or why nothing of theirs is done. */
  admit(visit: Visit): Admission {
    const { headers, query, remoteAddress } = visit
    if (this.#expected !== undefined) return this.#holder(credentialOf(headers, query), visit)
    if (this.#settings.open) return LOCAL
    if (!isLoopbackAddress(remoteAddress)) {
      return unauthenticated(headers, 'Without auth.master_key only this machine is served.', [
        'Set auth.master_key in gateway.yaml, or say `auth: none` if anybody may use it.'
      ])
    }
    return this.#refusePage(headers) ?? LOCAL
  }

  /** The value for `access-control-allow-origin`, when the page behind a request may read the answer. */
  allowedOrigin(headers: Headers): string | undefined {
    const { origin } = headers
    if (typeof origin !== 'string') return undefined
    const { allowedOrigins } = this.#settings
    return allowedOrigins.has('*') || allowedOrigins.has(origin) || isLoopbackOrigin(origin) ? origin : undefined
  }

  #holder(presented: string | undefined, visit: Visit): Admission {
    const { headers } = visit
    if (presented === undefined) {
      return unauthenticated(headers, 'No key was sent.', ['Send it as `Authorization: Bearer …` or `x-api-key: …`.'])
    }
    if (this.#isKey(presented)) return MASTER
    const { keyring } = this.#settings
    // What is no key by its look need not be looked up.
    if (keyring === undefined || !/^sk-.{1,500}$/.test(presented)) {
      return unauthenticated(headers, 'This key is not known here.', [
        'The gateway’s key is auth.master_key in gateway.yaml.'
      ])
    }
    const found = keyring.find(presented)
    return found instanceof Promise ? found.then(later => welcome(later, visit)) : welcome(found, visit)
  }

  /** Digests are compared, which are all of one length and tell nothing about the key's parts. */
  #isKey(presented: string): boolean {
    return this.#expected !== undefined && timingSafeEqual(digest(presented), this.#expected)
  }

  /** A page in a browser on this machine can reach loopback too: its origin, or the name it looked us up by, gives it away. */
  #refusePage(headers: Headers): Failure | undefined {
    if (headers.origin !== undefined && this.allowedOrigin(headers) === undefined) {
      return new Failure('forbidden', 'Pages of this origin may not use the gateway.', {
        recommendations: ['Add the origin to server.allowed_origins in gateway.yaml.']
      })
    }
    const host = typeof headers.host === 'string' ? headers.host : ''
    if (isLoopbackHost(host) || this.#settings.allowedOrigins.has('*')) return undefined
    for (const origin of this.#settings.allowedOrigins) if (origin.endsWith(`//${host}`)) return undefined
    return new Failure(
      'forbidden',
      `Without auth.master_key the gateway answers to loopback names only, not to \`${host.slice(0, 100)}\`.`,
      {
        recommendations: [
          'Call it as http://127.0.0.1, set auth.master_key, or add the address to server.allowed_origins.'
        ]
      }
    )
  }
}

/** Where each protocol's clients put their key; `query` is empty on routes where none may stand. */
export function credentialOf(headers: Headers, query: string): string | undefined {
  const { authorization } = headers
  if (typeof authorization === 'string' && /^bearer /i.test(authorization)) return authorization.slice(7).trim()
  for (const name of ['x-api-key', 'api-key', 'x-goog-api-key']) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return new URLSearchParams(query).get('key') ?? undefined
}

/** A key that is known opens nothing when it is blocked, over, used from elsewhere or for something else. */
function welcome(caller: Caller | Failure, visit: Visit): Caller | Failure {
  if (caller instanceof Failure) {
    if (caller.kind !== 'unauthenticated') return caller
    return unauthenticated(visit.headers, caller.message, caller.details.recommendations ?? [], caller.details.code)
  }
  const { blocked, expires, ipRanges, routes } = caller
  if (blocked !== undefined) {
    const whose = blocked === 'key' ? 'This key' : `The ${blocked} of this key`
    return unauthenticated(visit.headers, `${whose} is blocked.`, ['An administrator can unblock it.'], 'key_blocked')
  }
  if (expires <= Date.now()) {
    const at = new Date(expires).toISOString()
    return unauthenticated(visit.headers, `This key expired at ${at}.`, ['Ask for another one.'], 'key_expired')
  }
  if (ipRanges !== undefined && !isWithin(ipRanges, visit.remoteAddress)) {
    return new Failure('forbidden', 'This key may not be used from this address.', { code: 'ip_not_allowed' })
  }
  if (routes !== undefined && !routes.has(versioned(visit.path))) {
    return new Failure('forbidden', 'This key may not be used on this route.', { code: 'route_not_allowed' })
  }
  return caller
}

function isWithin(ranges: NonNullable<Caller['ipRanges']>, address: string | undefined): boolean {
  if (address === undefined) return false
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '')
  return ranges.check(plain, isIPv6(plain) ? 'ipv6' : 'ipv4')
}

/** Claude Code tries a 401 ten times before it tells its user; a 403 is told at once. */
function unauthenticated(
  headers: Headers,
  message: string,
  recommendations: readonly string[],
  code?: string
): Failure {
  const status = CLAUDE_CODE.test(String(headers['user-agent'])) ? { status: 403 } : {}
  return new Failure('unauthenticated', message, { recommendations, ...status, ...(code !== undefined && { code }) })
}

function digest(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

function isLoopbackAddress(address: string | undefined): boolean {
  // Undefined: `inject`, which no network reaches.
  return address === undefined || address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.')
}

function isLoopbackHost(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(name)
}

function isLoopbackOrigin(origin: string): boolean {
  const [, host = ''] = /^https?:\/\/(.+)$/.exec(origin) ?? []
  return isLoopbackHost(host)
}
