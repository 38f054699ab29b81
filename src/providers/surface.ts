import type { Failure } from '../chat/failure.ts'
import type { DialectName, Operation } from '../dialects/dialect.ts'
import type { WireRequest } from '../lib/wire.ts'
import type { KeyHeader, Preset, Spoken } from './preset.ts'
import type { Quirks } from './quirks.ts'

/** Where and how a target is asked in one dialect: all of it worked out when the config is compiled. */
export interface Surface {
  readonly dialect: DialectName
  /** Path in front of the dialect's own, such as `/v1` or `/openai/v1`. */
  readonly base: string
  /** Sent with every request, as a flat list: the key and what the entry declares. */
  readonly headers: readonly string[]
  /** Names in `headers`, which a client's own never replace. */
  readonly owned: ReadonlySet<string>
  /** What a body that is written for this surface has to mind. */
  readonly quirks?: Quirks
  /** Called last, on the request as it would go out. */
  readonly finish?: Finish
}

/** What is known of a request beside its bytes. */
export interface Sending {
  readonly operation: Operation | 'list'
  readonly model: string
}

/** Adds what exists only when a request is sent: a token, a signature, a path with the model in it. Mostly at once. */
export type Finish = (request: WireRequest, sending: Sending) => WireRequest | Failure | Promise<WireRequest | Failure>

/** A client may have chosen the name, and a path with such steps in it leads somewhere else. */
export function leadsAstray(model: string): boolean {
  return /(^|[/\\])\.{1,2}([/\\]|$)/.test(model)
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

/** `model`: the upstream's name of it, or the glob that is filled in; some models are asked in some dialects only. */
export function surfacesOf(
  preset: Preset,
  apiBase: URL,
  apiKey: string | undefined,
  extraHeaders: Readonly<Record<string, string>>,
  pinned: DialectName | undefined,
  model = '*'
): readonly Surface[] {
  return spokenFor(preset, pinned, model).map(row => {
    const headers = keyAndExtra(row.keyHeader ?? preset.keyHeader, row.dialect, apiKey, extraHeaders)
    return surfaceAt(preset, row.dialect, baseOf(preset, row, apiBase), headers)
  })
}

export function surfaceAt(
  preset: Preset,
  dialect: DialectName,
  base: string,
  headers: ReadonlyMap<string, string>,
  finish?: Finish
): Surface {
  return {
    dialect,
    base,
    headers: [...headers].flat(),
    owned: new Set(headers.keys()),
    ...(preset.quirks !== undefined && dialect === 'openai-chat' && { quirks: preset.quirks }),
    ...(finish !== undefined && { finish })
  }
}

/** The rows a model is asked by. An operator may pin a dialect that no row lists: servers learn faster than tables do. */
export function spokenFor(preset: Preset, pinned: DialectName | undefined, model: string): readonly Spoken[] {
  if (pinned !== undefined) return [preset.speaks.find(row => row.dialect === pinned) ?? assumed(pinned)]
  const star = model.indexOf('*')
  const known = star < 0 ? model : model.slice(0, star)
  // What a `*` will stand for is not known: only a name that is surely of another kind is left out.
  return preset.speaks.filter(
    row => row.notFor?.test(known) !== true && (star >= 0 || row.onlyFor === undefined || row.onlyFor.test(known))
  )
}

function assumed(dialect: DialectName): Spoken {
  return { dialect, prefix: dialect === 'gemini' ? '/v1beta' : '/v1' }
}

/** An address's path without what belongs to one operation. */
export function pathOf(apiBase: URL): string {
  return apiBase.pathname.replace(/\/+$/, '').replace(WHOLE_ADDRESS, '')
}

function baseOf(preset: Preset, row: Spoken, apiBase: URL): string {
  const path = pathOf(apiBase)
  const root = rootOf(preset, path)
  if (root !== undefined) return root + row.prefix
  // An address that no row ends with was given for the first; a row that stands elsewhere on the host is found there.
  const [first] = preset.speaks
  const elsewhere = first !== undefined && first.prefix !== row.prefix && first.prefix !== ''
  if (elsewhere && sameHost(preset, apiBase)) return row.prefix
  // OpenAI's SDKs append `/chat/completions` to whatever base they are given, Anthropic's append `/v1/messages`.
  const complete = VERSION.test(path) || (path !== '' && row.dialect.startsWith('openai'))
  return complete ? path : path + row.prefix
}

/** What stands before a row's prefix when an address ends with one, with or without the version at its end. */
export function rootOf(preset: Preset, path: string): string | undefined {
  let longest = ''
  for (const { prefix } of preset.speaks)
    for (const end of [prefix, prefix.replace(VERSION, '')])
      if (end.length > longest.length && path.endsWith(end)) longest = end
  return longest === '' ? undefined : path.slice(0, -longest.length)
}

function sameHost(preset: Preset, apiBase: URL): boolean {
  return preset.apiBase !== undefined && new URL(preset.apiBase).host === apiBase.host
}

/** The key and what the entry declares, under names in lower case. */
export function keyAndExtra(
  keyHeader: KeyHeader,
  dialect: DialectName,
  apiKey: string | undefined,
  extra: Readonly<Record<string, string>>
): Map<string, string> {
  const headers = new Map<string, string>()
  if (apiKey !== undefined && apiKey !== '') addKey(headers, keyHeader, dialect, apiKey)
  for (const [name, value] of Object.entries(extra)) headers.set(name.toLowerCase(), value)
  return headers
}

function addKey(headers: Map<string, string>, keyHeader: KeyHeader, dialect: DialectName, apiKey: string): void {
  if (keyHeader === 'none') return
  if (keyHeader !== 'bearer') headers.set(keyHeader, apiKey)
  else headers.set('authorization', `Bearer ${apiKey}`)
  // Servers that speak several dialects look for the key where that dialect's own clients put it.
  if (keyHeader === 'bearer' && dialect === 'anthropic') headers.set('x-api-key', apiKey)
}
