import { Failure } from '../../chat/failure.ts'
import type { ChatRequest, Fields } from '../../chat/request.ts'
import type { EncodedRequest, Flavour } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { defined, someFields, string, unread } from '../read.ts'
import { decodeConfig, encodeConfig } from './config.ts'
import { decodeContents, decodeSystem, encodeContents, encodeSystem } from './contents.ts'
import { camel, NAME } from './shape.ts'
import { decodeCalling, decodeTools, encodeCalling, encodeTools } from './tools.ts'

const READ = new Set([
  'model',
  'contents',
  'systemInstruction',
  'tools',
  'toolConfig',
  'generationConfig',
  'serviceTier'
])
const TOOL_CONFIG = new Set(['functionCallingConfig'])

// Objects whose fields are declared one by one where they cannot be said; the deeper before those they lie in.
const THINKING = 'generationConfig.thinkingConfig.'
const CONFIG = 'generationConfig.'
const CALLING = 'toolConfig.functionCallingConfig.'
const TOOLS = 'toolConfig.'

/** The model and whether to stream stand in the address: whoever knows it puts them in. */
export function decodeRequest(input: unknown): ChatRequest | Failure {
  const body = camel(input)
  const { contents } = body
  if (contents === undefined || contents === null) {
    return new Failure('invalid-request', 'contents: a list is required.', { field: 'contents' })
  }
  const { rest, thinkingRest, ...config } = decodeConfig(body['generationConfig'])
  const toolConfig = camel(body['toolConfig'])
  const { toolChoice, rest: callingRest } = decodeCalling(toolConfig['functionCallingConfig'])
  const own = someFields({
    ...unread(NAME, body, READ).extra?.[NAME],
    ...below(CONFIG, rest),
    ...below(THINKING, thinkingRest),
    ...below(TOOLS, unread(NAME, toolConfig, TOOL_CONFIG).extra?.[NAME] ?? {}),
    ...below(CALLING, callingRest)
  })
  return {
    model: '',
    system: decodeSystem(body['systemInstruction']),
    turns: decodeContents(contents),
    tools: decodeTools(body['tools']),
    ...config,
    ...defined({
      toolChoice,
      serviceTier: decodeTier(string(body['serviceTier'])),
      // Only a client of Gemini's can be given several answers of Gemini's: the mark, empty or not, says that it is one.
      extra: own !== undefined || (config.choices ?? 1) > 1 ? { [NAME]: own ?? {} } : undefined
    }),
    stream: false
  }
}

function below(path: string, object: Fields): Fields {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [path + key, value]))
}

/** The fields below a path, and what is left without them. */
function takeBelow(path: string, from: Fields): readonly [taken: Fields, rest: Fields] {
  const entries = Object.entries(from)
  const taken = entries.filter(([key]) => key.startsWith(path)).map(([key, value]) => [key.slice(path.length), value])
  return [Object.fromEntries(taken), Object.fromEntries(entries.filter(([key]) => !key.startsWith(path)))]
}

export function encodeRequest(chat: ChatRequest, flavour: Flavour = 'official'): EncodedRequest | Failure {
  if ((chat.choices ?? 1) > 1 && chat.extra?.[NAME] === undefined) {
    return new Failure('unsupported', 'n: this upstream gives one answer a request.', { field: 'n' })
  }
  const dropped = new Dropped(NAME)
  const [thinkingRest, first] = takeBelow(THINKING, dropped.extra(chat.extra))
  const [configRest, second] = takeBelow(CONFIG, first)
  const [callingRest, third] = takeBelow(CALLING, second)
  const [toolRest, rest] = takeBelow(TOOLS, third)
  const tools = encodeTools(chat.tools, dropped)
  const functionCallingConfig = encodeCalling(chat, callingRest, dropped)
  const body = {
    ...defined({
      systemInstruction: encodeSystem(chat.system, dropped),
      contents: encodeContents(chat, flavour, dropped),
      tools: tools.length > 0 ? tools : undefined,
      toolConfig: someFields({ ...defined({ functionCallingConfig }), ...toolRest }),
      generationConfig: someFields(encodeConfig(chat, configRest, thinkingRest, dropped)),
      serviceTier: encodeTier(chat.serviceTier, dropped)
    }),
    ...rest
  }
  if (chat.user !== undefined) dropped.add('user')
  if (chat.metadata !== undefined) dropped.add('metadata')
  return { body, dropped: dropped.list() }
}

function decodeTier(tier: string | undefined): string | undefined {
  const name = tier?.toLowerCase()
  if (name === 'unspecified') return undefined
  return name === 'standard' ? 'default' : name
}

const TIERS: ReadonlySet<string> = new Set(['flex', 'priority'])

/** `auto` is what everybody does unasked. */
function encodeTier(tier: string | undefined, dropped: Dropped): string | undefined {
  if (tier === undefined || tier === 'auto') return undefined
  if (tier === 'default') return 'standard'
  if (TIERS.has(tier)) return tier
  dropped.add('service_tier')
  return undefined
}
