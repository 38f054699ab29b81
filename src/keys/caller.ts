// Who asks, with everything that binds them worked out: what a request needs of a key, and nothing of the key itself.

import type { BlockList } from 'node:net'
import type { Bound } from '../store/bound.ts'
import type { Patterns } from './patterns.ts'

/** The models of one scope: whoever asks may use what every scope allows. */
export interface ModelList {
  readonly scope: 'key' | 'user' | 'team' | 'organization' | 'customer'
  readonly patterns: Patterns
}

export interface Caller {
  /** The public part of the key; `master` and `local` are nobody's key. */
  readonly id: string
  /** The administrator, or anybody where there is no key at all. */
  readonly master: boolean
  readonly alias?: string
  readonly userId?: string
  readonly teamId?: string
  readonly organizationId?: string
  /** Names and globs. No list: all models. */
  readonly models: readonly ModelList[]
  /** What this caller calls a model → what it is. */
  readonly aliases: ReadonlyMap<string, string>
  /** Undefined: every route. */
  readonly routes: Patterns | undefined
  /** Undefined: from anywhere. */
  readonly ipRanges: BlockList | undefined
  /** Milliseconds since 1970; Infinity when it never does. */
  readonly expires: number
  /** Whose block it is. */
  readonly blocked: 'key' | 'user' | 'team' | 'organization' | undefined
  readonly tags: readonly string[]
  readonly bounds: readonly Bound[]
}

const UNBOUND = {
  master: true,
  models: [],
  aliases: new Map<string, string>(),
  routes: undefined,
  ipRanges: undefined,
  expires: Number.POSITIVE_INFINITY,
  blocked: undefined,
  tags: [],
  bounds: []
} as const

/** Whoever has the master key. */
export const MASTER: Caller = Object.freeze({ ...UNBOUND, id: 'master' })

/** Whoever may ask where there is no key. */
export const LOCAL: Caller = Object.freeze({ ...UNBOUND, id: 'local' })
