import type { DialectName, Operation } from '../dialects/dialect.ts'
import type { KeyHeader, Preset, Spoken } from './presets.ts'

/** Where and how a target is asked in one dialect: all of it worked out when the config is compiled. */
export interface Surface {
  readonly dialect: DialectName
  /** Path in front of the dialect's own, such as `/v1` or `/openai/v1`. */
  readonly base: string
  /** Sent with every request, as a flat list: the key and what the entry declares. */
  readonly headers: readonly string[]
  /** Names in `headers`, which a client's own never replace. */
  readonly owned: ReadonlySet<string>
}

/** The dialect's own paths; Gemini's have the model in them. */
const PATHS: Record<Exclude<DialectName, 'gemini'>, Partial<Record<Operation, string>>> = {
  'openai-chat': { chat: '/chat/completions', completions: '/completions', embeddings: '/embeddings' },
  'openai-responses': { chat: '/responses' },
  anthropic: { chat: '/messages', 'count-tokens': '/messages/count_tokens' }
}

/** A path of an operation below a surface's base, or undefined where the dialect has no such operation. */
export function operationPath(dialect: DialectName, operation: Operation): string | undefined {
  return dialect === 'gemini' ? undefined : PATHS[dialect][operation]
}

/** What people paste as a base URL though it is the whole address of one operation. */
const WHOLE_ADDRESS = /\/(chat\/completions|completions|embeddings|responses|messages)$/
const VERSION = /\/v\d+(?:beta|alpha)?\d*$/

export function surfacesOf(
  preset: Preset,
  apiBase: URL,
  apiKey: string | undefined,
  extraHeaders: Readonly<Record<string, string>>,
  pinned: DialectName | undefined
): readonly Surface[] {
  const spoken =
    pinned === undefined ? preset.speaks : [preset.speaks.find(row => row.dialect === pinned) ?? assumed(pinned)]
  return spoken.map(row => surface(row, row.keyHeader ?? preset.keyHeader, apiBase, apiKey, extraHeaders))
}

/** An operator may pin a dialect that the preset does not list: servers learn new ones faster than tables do. */
function assumed(dialect: DialectName): Spoken {
  return { dialect, prefix: dialect === 'gemini' ? '/v1beta' : '/v1' }
}

function surface(
  row: Spoken,
  keyHeader: KeyHeader,
  apiBase: URL,
  apiKey: string | undefined,
  extra: Readonly<Record<string, string>>
): Surface {
  const path = apiBase.pathname.replace(/\/+$/, '').replace(WHOLE_ADDRESS, '')
  // OpenAI's SDKs append `/chat/completions` to whatever base they are given, Anthropic's append `/v1/messages`.
  const complete = VERSION.test(path) || (path !== '' && row.dialect.startsWith('openai'))
  const headers = new Map<string, string>()
  if (apiKey !== undefined && apiKey !== '') addKey(headers, keyHeader, row.dialect, apiKey)
  for (const [name, value] of Object.entries(extra)) headers.set(name.toLowerCase(), value)
  return {
    dialect: row.dialect,
    base: complete ? path : path + row.prefix,
    headers: [...headers].flat(),
    owned: new Set(headers.keys())
  }
}

function addKey(headers: Map<string, string>, keyHeader: KeyHeader, dialect: DialectName, apiKey: string): void {
  if (keyHeader === 'none') return
  if (keyHeader !== 'bearer') headers.set(keyHeader, apiKey)
  else headers.set('authorization', `Bearer ${apiKey}`)
  // Servers that speak several dialects look for the key where that dialect's own clients put it.
  if (keyHeader === 'bearer' && dialect === 'anthropic') headers.set('x-api-key', apiKey)
}
