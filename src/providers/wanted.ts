import type { DialectName } from '../dialects/dialect.ts'
import type { Wire } from '../lib/wire.ts'
import type { Preset } from './preset.ts'
import type { Surface } from './surface.ts'

/** What an entry says about its upstream. */
export interface Wanted {
  readonly provider: string
  readonly apiBase: string | undefined
  /** Empty: none is sent. */
  readonly apiKey: string | undefined
  readonly headers: Readonly<Record<string, string>>
  /** Pinned by the operator. */
  readonly dialect: DialectName | undefined
  /** The upstream's name of the model, or the glob that is filled in. */
  readonly model: string
}

/** What is there beside the configuration. */
export interface World {
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly wireTo: (origin: string) => Wire
}

export interface Reach {
  readonly url: URL
  readonly surfaces: readonly Surface[]
  /** What tells one account from another: a secret, or the path of one. Undefined or empty: none is used. */
  readonly credential: string | undefined
  /** What works but not as somebody may expect. */
  readonly warning?: string
}

/** The address as a URL, or what is wrong with it. */
export function addressOf(address: string | undefined, preset: Preset, provider: string): URL | string {
  if (address === undefined) {
    const shape = preset.addressShape === undefined ? '' : `, such as ${preset.addressShape}`
    return `\`api_base\` is missing: the provider \`${provider}\` has no address of its own${shape}`
  }
  return URL.canParse(address) ? new URL(address) : '`api_base` is not a URL'
}

export function missingKey(preset: Preset, provider: string, variables: string): string {
  return `${provider}: no api_key, and ${variables} is not set; ${preset.title} will refuse requests`
}
