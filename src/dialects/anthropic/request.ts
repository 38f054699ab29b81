import type { TextBlock } from '../../chat/block.ts'
import { Failure } from '../../chat/failure.ts'
import type { ChatRequest, Extra, Fields, ResponseFormat, Turn } from '../../chat/request.ts'
import { foldSystem, pairTools } from '../../chat/turns.ts'
import type { EncodedRequest, Flavour } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { defined, fields, list, number, someFields, string, unread } from '../read.ts'
import { BlockWriter, decodeContent, NAME } from './blocks.ts'
import { decodeReasoning, encodeReasoning, thinkingExtra, versionOf } from './thinking.ts'
import { decodeToolChoice, decodeTools, encodeToolChoice, encodeTools } from './tools.ts'

const READ = new Set([
  'model',
  'messages',
  'system',
  'tools',
  'tool_choice',
  'max_tokens',
  'stop_sequences',
  'temperature',
  'top_p',
  'top_k',
  'stream',
  'thinking',
  'output_config',
  'output_format',
  'metadata',
  'service_tier'
])
const READ_MESSAGE = new Set(['role', 'content'])

/** Claude Code's first system block: it changes with each version and entry point, and only Anthropic needs it. */
const BILLING = 'x-anthropic-billing-header'

export function decodeRequest(input: unknown): ChatRequest | Failure {
  const body = fields(input)
  if (body['thread'] !== undefined && body['thread'] !== null) {
    const message = 'thread: this upstream keeps no threads; send the whole conversation.'
    return new Failure('unsupported', message, { code: 'thread_unsupported_request', field: 'thread' })
  }
  if (!Array.isArray(body['messages'])) {
    return new Failure('invalid-request', 'messages: Field required', { field: 'messages' })
  }
  const system = decodeContent(body['system']).filter(block => block.type === 'text')
  const billing = system.find(isBilling)
  const outputConfig = fields(body['output_config'])
  const { user_id: user, ...metadata } = fields(body['metadata'])
  const tier = string(body['service_tier'])
  const sampling = someFields(
    defined({ temperature: number(body['temperature']), topP: number(body['top_p']), topK: number(body['top_k']) })
  )
  const stop = Array.isArray(body['stop_sequences']) ? body['stop_sequences'].filter(isString) : undefined
  return {
    model: string(body['model']) ?? '',
    system: system.filter(block => block !== billing),
    turns: list(body['messages']).map(decodeTurn),
    tools: decodeTools(body['tools']),
    ...decodeToolChoice(body['tool_choice']),
    ...defined({
      maxTokens: number(body['max_tokens']),
      stop,
      sampling,
      reasoning: decodeReasoning(fields(body['thinking']), outputConfig),
      responseFormat: decodeFormat(fields(outputConfig['format'] ?? body['output_format'])),
      user: string(user),
      metadata: someFields(metadata),
      serviceTier: tier === 'standard_only' ? 'default' : tier,
      extra: extraOf(body, billing)
    }),
    stream: body['stream'] === true
  }
}

const isString = (value: unknown): value is string => typeof value === 'string'

function isBilling({ text }: TextBlock): boolean {
  return text.startsWith(`${BILLING}:`) && !text.trimEnd().includes('\n')
}

function decodeTurn(message: Fields): Turn {
  const { role } = message
  return {
    role: role === 'assistant' || role === 'system' ? role : 'user',
    blocks: decodeContent(message['content']),
    ...unread(NAME, message, READ_MESSAGE)
  }
}

function decodeFormat({ type, schema }: Fields): ResponseFormat | undefined {
  return type === 'json_schema' ? { type: 'schema', schema: fields(schema) } : undefined
}

function extraOf(body: Fields, billing: TextBlock | undefined): Extra | undefined {
  const { effort: _, format: __, ...outputConfig } = fields(body['output_config'])
  const rest = unread(NAME, body, READ).extra?.[NAME]
  const own = someFields({
    ...rest,
    ...below('thinking', thinkingExtra(body['thinking'])),
    ...below('output_config', outputConfig),
    ...defined({ [BILLING]: billing?.text })
  })
  return own === undefined ? undefined : { [NAME]: own }
}

/** Fields of an object in the request, by their paths: so they are declared where they cannot be said. */
function below(name: string, object: Fields): Fields {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [`${name}.${key}`, value]))
}

function takeBelow(name: string, from: Record<string, unknown>): Fields {
  const paths = Object.keys(from).filter(path => path.startsWith(`${name}.`))
  const taken = paths.map(path => [path.slice(name.length + 1), from[path]])
  for (const path of paths) delete from[path]
  return Object.fromEntries(taken)
}

export function encodeRequest(chat: ChatRequest, flavour: Flavour = 'official'): EncodedRequest | Failure {
  if ((chat.choices ?? 1) > 1) {
    return new Failure('unsupported', 'n: this upstream gives one answer a request.', { field: 'n' })
  }
  const dropped = new Dropped(NAME)
  const writer = new BlockWriter(dropped, flavour)
  const extra = dropped.extra(chat.extra)
  const { [BILLING]: billing, ...rest } = extra
  const thinkingRest = takeBelow('thinking', rest)
  const outputRest = takeBelow('output_config', rest)
  const maxTokens = chat.maxTokens ?? defaultMaxTokens(chat.model)
  const { thinking, effort } = encodeReasoning(chat, maxTokens, dropped)
  const outputConfig = { ...outputRest, ...defined({ effort, format: encodeFormat(chat, dropped) }) }
  const tools = encodeTools(chat.tools, dropped)
  const body = {
    model: chat.model,
    max_tokens: maxTokens,
    ...defined({
      system: encodeSystem(chat, string(billing), writer),
      messages: encodeTurns(chat, writer),
      tools: tools.length > 0 ? tools : undefined,
      tool_choice: encodeToolChoice(chat, tools, dropped),
      stop_sequences: encodeStop(chat.stop, dropped),
      ...encodeSampling(chat, thinking, dropped),
      thinking: thinking === undefined ? undefined : { ...thinking, ...thinkingRest },
      output_config: someFields(outputConfig),
      metadata: chat.user === undefined ? undefined : { user_id: chat.user },
      service_tier: encodeTier(chat.serviceTier, dropped)
    }),
    ...rest,
    ...(chat.stream && { stream: true })
  }
  if (chat.metadata !== undefined) dropped.add('metadata')
  if (chat.logprobs !== undefined) dropped.add('logprobs')
  return { body, dropped: dropped.list() }
}

function encodeSystem(
  chat: ChatRequest,
  billing: string | undefined,
  writer: BlockWriter
): string | object[] | undefined {
  const first: TextBlock[] = billing === undefined ? [] : [{ type: 'text', text: billing }]
  const [only, another] = chat.system
  // A block of its own stays one: its role elsewhere is no loss.
  if (first.length === 0 && another === undefined && only?.extra?.[NAME] === undefined) return only?.text || undefined
  const blocks = [...first, ...chat.system].map(block => {
    const { [NAME]: own } = block.extra ?? {}
    return writer.text({ type: 'text', text: block.text, ...(own !== undefined && { extra: { [NAME]: own } }) })
  })
  return blocks.filter(block => block !== undefined)
}

/** What the system says in the middle is Anthropic's own only where Anthropic's client said it: a beta has to allow it. */
function encodeTurns(chat: ChatRequest, writer: BlockWriter): object[] {
  const turns = pairTools(foldSystem(chat.turns, turn => turn.extra?.['openai-chat'] === undefined))
  const messages = turns.map(({ role, blocks, extra }) => ({
    role,
    content: writer.content(blocks),
    ...(role === 'system' ? extra?.[NAME] : writer.dropped.extra(extra, 'messages.'))
  }))
  // Nor does it take a message without content.
  return messages.filter(({ content }) => content.length > 0)
}

/** Anthropic has no JSON without a schema, and of a schema it takes nothing but itself. */
function encodeFormat({ responseFormat }: ChatRequest, dropped: Dropped): object | undefined {
  if (responseFormat?.type === 'json') dropped.add('response_format')
  if (responseFormat?.type !== 'schema') return undefined
  // Its name tells a model nothing, but this may.
  if (responseFormat.description !== undefined) dropped.add('response_format.description')
  return { type: 'json_schema', schema: responseFormat.schema }
}

function encodeStop(stop: readonly string[] | undefined, dropped: Dropped): string[] | undefined {
  if (stop === undefined) return undefined
  const visible = stop.filter(sequence => sequence.trim() !== '')
  if (visible.length < stop.length) dropped.add('stop')
  return visible.length > 0 ? visible : undefined
}

function encodeSampling(chat: ChatRequest, thinking: object | undefined, dropped: Dropped): Fields {
  const { sampling = {}, reasoning, model } = chat
  const { temperature, topP, topK, seed, minP, frequencyPenalty, presencePenalty } = sampling
  const unknown = { seed, min_p: minP, frequency_penalty: frequencyPenalty, presence_penalty: presencePenalty }
  for (const [name, value] of Object.entries(unknown)) if (value !== undefined && value !== 0) dropped.add(name)
  // Thinking excludes them (where there is a budget, Anthropic's own client has chosen both), and so do models from 4.7 on.
  const ours = thinking !== undefined && reasoning?.mode === 'on' && reasoning.budget === undefined
  if (ours || versionOf(model) >= 407) {
    for (const [name, value] of Object.entries({ temperature, top_p: topP, top_k: topK }))
      if (value !== undefined && value !== 1) dropped.add(name)
    return {}
  }
  if (temperature !== undefined && temperature > 1) dropped.add('temperature')
  const both = temperature !== undefined && topP !== undefined
  // From 4.1 on a model takes one of them.
  const isTooMuch = both && topP < 1 && versionOf(model) >= 401
  if (isTooMuch) dropped.add('top_p')
  return {
    temperature: temperature === undefined ? undefined : Math.min(1, temperature),
    top_p: isTooMuch || (both && topP === 1) ? undefined : topP,
    top_k: topK
  }
}

function encodeTier(tier: string | undefined, dropped: Dropped): string | undefined {
  if (tier === undefined || tier === 'auto') return tier
  if (tier === 'default') return 'standard_only'
  dropped.add('service_tier')
  return undefined
}

/** Anthropic wants a limit, others do not: as much as each of its models takes. */
function defaultMaxTokens(model: string): number {
  if (/claude-3-(?:opus|haiku|sonnet)/.test(model)) return 4_096
  return /claude-3-5/.test(model) ? 8_192 : 32_000
}
