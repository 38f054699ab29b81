import { Failure } from '../../chat/failure.ts'
import type { ChatRequest, Fields, ResponseFormat, Sampling } from '../../chat/request.ts'
import { parseJson } from '../../lib/json-repair.ts'
import type { EncodedRequest, Flavour } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { inWordsOf } from '../openai-fields.ts'
import { boolean, defined, fields, list, number, someFields, string, unread } from '../read.ts'
import { NAME } from './content.ts'
import { decodeMessages, encodeMessages } from './messages.ts'
import { decodeReasoning, encodeReasoning } from './reasoning.ts'
import { decodeToolChoice, decodeTools, encodeToolChoice, encodeTools } from './tools.ts'

const READ = new Set([
  'model',
  'messages',
  'tools',
  'functions',
  'tool_choice',
  'function_call',
  'parallel_tool_calls',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'seed',
  'frequency_penalty',
  'presence_penalty',
  'n',
  'logprobs',
  'top_logprobs',
  'response_format',
  'reasoning_effort',
  'reasoning',
  'thinking',
  'stream',
  'stream_options',
  'user',
  'metadata',
  'service_tier'
])

export function decodeRequest(input: unknown): ChatRequest | Failure {
  const body = fields(input)
  if (!Array.isArray(body['messages'])) {
    return new Failure('invalid-request', 'messages: a list is required.', { field: 'messages' })
  }
  const { stop } = body
  const stops = typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop.filter(isString) : undefined
  const top = number(body['top_logprobs'])
  return {
    model: string(body['model']) ?? '',
    ...decodeMessages(list(body['messages'])),
    tools: decodeTools(body['tools'], body['functions']),
    ...decodeToolChoice(body['tool_choice'] ?? body['function_call']),
    ...defined({
      parallelTools: boolean(body['parallel_tool_calls']),
      maxTokens: number(body['max_completion_tokens']) ?? number(body['max_tokens']),
      stop: stops,
      sampling: decodeSampling(body),
      reasoning: decodeReasoning(body),
      responseFormat: decodeFormat(fields(body['response_format'])),
      streamUsage: boolean(fields(body['stream_options'])['include_usage']),
      choices: number(body['n']),
      logprobs: body['logprobs'] === true ? defined({ top }) : undefined,
      user: string(body['user']),
      metadata: someFields(body['metadata']),
      serviceTier: string(body['service_tier'])
    }),
    stream: body['stream'] === true,
    ...unread(NAME, body, READ)
  }
}

const isString = (value: unknown): value is string => typeof value === 'string'

const SAMPLING: Record<keyof Sampling, string> = {
  temperature: 'temperature',
  topP: 'top_p',
  topK: 'top_k',
  minP: 'min_p',
  seed: 'seed',
  frequencyPenalty: 'frequency_penalty',
  presencePenalty: 'presence_penalty'
}
/** What only servers of open models take. */
const LOCAL = new Set(['top_k', 'min_p'])

function decodeSampling(body: Fields): Sampling | undefined {
  const said = Object.entries(SAMPLING).map(([name, field]) => [name, number(body[field])])
  return someFields(defined(Object.fromEntries(said)))
}

function decodeFormat({ type, json_schema }: Fields): ResponseFormat | undefined {
  if (type === 'text') return { type }
  if (type === 'json_object') return { type: 'json' }
  if (type !== 'json_schema') return undefined
  const { name, description, schema, strict } = fields(json_schema)
  const named = { name: string(name), description: string(description), strict: boolean(strict) }
  return { type: 'schema', schema: fields(schema), ...defined(named) }
}

export function encodeRequest(chat: ChatRequest, flavour: Flavour = 'compatible'): EncodedRequest {
  const dropped = new Dropped(NAME)
  const tools = encodeTools(chat.tools, flavour, dropped)
  const { chat_template_kwargs: template, ...extra } = dropped.extra(inWordsOf(NAME, chat.extra, flavour))
  const { chat_template_kwargs: ours, ...reasoning } = encodeReasoning(chat, flavour, dropped)
  const body = {
    model: chat.model,
    messages: encodeMessages(chat, flavour, dropped),
    ...defined({
      tools: tools.length > 0 ? tools : undefined,
      ...encodeToolChoice(chat, tools, flavour, dropped),
      [flavour === 'official' ? 'max_completion_tokens' : 'max_tokens']: chat.maxTokens,
      stop: encodeStop(chat.stop, flavour, dropped),
      ...encodeSampling(chat.sampling, flavour, dropped),
      ...reasoning,
      chat_template_kwargs: someFields({ ...fields(template), ...fields(ours) }),
      response_format: encodeFormat(chat.responseFormat),
      n: chat.choices,
      logprobs: chat.logprobs === undefined ? undefined : true,
      top_logprobs: chat.logprobs?.top,
      user: encodeUser(chat.user, dropped),
      metadata: chat.metadata,
      service_tier: encodeTier(chat.serviceTier, flavour, dropped)
    }),
    ...extra,
    // Without it most servers say nothing about tokens.
    ...(chat.stream && { stream: true, stream_options: { include_usage: true } })
  }
  return { body, dropped: dropped.list() }
}

const MOST_STOPS = 4

function encodeStop(
  stop: readonly string[] | undefined,
  flavour: Flavour,
  dropped: Dropped
): readonly string[] | undefined {
  if (stop === undefined || stop.length === 0) return undefined
  if (flavour === 'local' || stop.length <= MOST_STOPS) return stop
  dropped.add('stop')
  return stop.slice(0, MOST_STOPS)
}

function encodeSampling(sampling: Sampling = {}, flavour: Flavour, dropped: Dropped): Fields {
  const said: Record<string, number> = {}
  for (const [name, field] of Object.entries(SAMPLING) as [keyof Sampling, string][]) {
    const value = sampling[name]
    if (value === undefined) continue
    if (LOCAL.has(field) && flavour !== 'local') dropped.add(field)
    else said[field] = value
  }
  return said
}

function encodeFormat(format: ResponseFormat | undefined): object | undefined {
  if (format === undefined) return undefined
  if (format.type !== 'schema') return { type: format.type === 'json' ? 'json_object' : 'text' }
  const { name = 'answer', description, schema, strict } = format
  return { type: 'json_schema', json_schema: { name, ...defined({ description }), schema, ...defined({ strict }) } }
}

const LONGEST_USER = 64

/** OpenAI takes 64 characters. Claude Code says who its user is in a longer text, of JSON: one part of it is enough. */
function encodeUser(user: string | undefined, dropped: Dropped): string | undefined {
  if (user === undefined || user.length <= LONGEST_USER) return user
  dropped.add('user')
  const parts = readParts(user)
  const part = [parts['account_uuid'], parts['device_id'], parts['session_id']].find(id => isString(id) && id !== '')
  return (isString(part) ? part : user).slice(0, LONGEST_USER)
}

function readParts(user: string): Fields {
  return fields(parseJson(user))
}

/** `auto` is what everybody does unasked. */
function encodeTier(tier: string | undefined, flavour: Flavour, dropped: Dropped): string | undefined {
  if (tier === undefined || flavour === 'official') return tier
  if (tier !== 'auto') dropped.add('service_tier')
  return undefined
}
