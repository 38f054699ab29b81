import type { DialectName, Flavour } from '../dialects/dialect.ts'
import type { Quirks } from './quirks.ts'

export type KeyHeader = 'bearer' | 'x-api-key' | 'x-goog-api-key' | 'api-key' | 'none'

/** One dialect a provider speaks, and what has to stand between its base URL and the dialect's own paths. */
export interface Spoken {
  readonly dialect: DialectName
  /** Put before the dialect's paths unless the base URL already ends with a version; empty when the base says all. */
  readonly prefix: string
  /** How this dialect wants the key, where that differs from the provider's habit. */
  readonly keyHeader?: KeyHeader
  /** Models that alone are asked this way. */
  readonly onlyFor?: RegExp
  /** Models that are not. */
  readonly notFor?: RegExp
}

export interface Preset {
  readonly title: string
  /** Undefined: the entry has to say `api_base`, or the environment says enough to make one. */
  readonly apiBase?: string
  /** What an address looks like, where the provider has none that fits everybody. */
  readonly addressShape?: string
  /** In order of preference, for clients whose own dialect is not among them. */
  readonly speaks: readonly Spoken[]
  readonly keyHeader: KeyHeader
  /** Where the key is looked for when the entry gives none. */
  readonly keyVariable?: string
  /** The variable is set for other purposes too: it is used, but is no sign that somebody uses the provider. */
  readonly keyShared?: boolean
  /** Other variables that hold secrets. */
  readonly secretVariables?: readonly string[]
  /** The field a missing cap is filled in under, where OpenAI's own newer name is the only one accepted. */
  readonly maxTokensField?: 'max_completion_tokens'
  /** What its Chat Completions refuse, name otherwise or need: applied to requests that are written for it. */
  readonly quirks?: Quirks
  /** Path below the base URL that answers cheaply when all is well. */
  readonly probe?: string
  /** Paths from the address's root that list models, tried in order. Undefined: `/models` below the first dialect. */
  readonly lists?: readonly string[]
  /** Its rate-limit headers, where they are not OpenAI's. */
  readonly rateLimits?: string
  /** How much of a dialect it takes; `local` for a local one and else `compatible`, unless said. */
  readonly flavour?: Flavour
  /** Runs on this machine: found by its port at the first start, works without a key. */
  readonly local?: boolean
  /** Addresses and credentials that are made, not just sent: each has a file of its own. */
  readonly cloud?: 'azure' | 'bedrock' | 'vertex'
  /** One sentence for the table of the docs. */
  readonly note?: string
  readonly docs?: string
}
