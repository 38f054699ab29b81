import { Failure } from '../../chat/failure.ts'
import type { ChatRequest, Extra, Fields, ResponseFormat, Sampling } from '../../chat/request.ts'
import type { EncodedRequest, Flavour } from '../dialect.ts'
import { Dropped } from '../dropped.ts'
import { inWordsOf } from '../openai-fields.ts'
import { boolean, defined, fields, list, number, someFields, string, unread } from '../read.ts'
import { NAME } from './content.ts'
import { encodeInput } from './input.ts'
import { decodeInput } from './items.ts'
import { decodeReasoning, encodeReasoning } from './reasoning.ts'
import { decodeAddedTools, decodeToolChoice, decodeTools, encodeToolChoice, encodeTools } from './tools.ts'

const READ = new Set([
  'model',
  'input',
  'instructions',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'max_output_tokens',
  'temperature',
  'top_p',
  'top_logprobs',
  'include',
  'text',
  'reasoning',
  'stream',
  'user',
  'metadata',
  'service_tier'
])

const LOGPROBS = 'message.output_text.logprobs'

export function decodeRequest(input: unknown): ChatRequest | Failure {
  const body = fields(input)
  const { input: said } = body
  const isContinued = body['previous_response_id'] || body['conversation'] || body['prompt']
  if (typeof said !== 'string' && !Array.isArray(said) && !isContinued) {
    return new Failure('invalid-request', 'input: a text or a list is required.', { field: 'input' })
  }
  const added = list(said).filter(({ type }) => type === 'additional_tools')
  const { toolChoice, rest: choice } = decodeToolChoice(body['tool_choice'])
  const text = fields(body['text'])
  const include = Array.isArray(body['include']) ? body['include'] : []
  const top = number(body['top_logprobs'])
  const hasLogprobs = include.includes(LOGPROBS)
  return {
    model: string(body['model']) ?? '',
    ...decodeInput(body['instructions'], said),
    tools: [...decodeTools(body['tools']), ...added.flatMap(decodeAddedTools)],
    ...defined({
      toolChoice,
      parallelTools: boolean(body['parallel_tool_calls']),
      maxTokens: number(body['max_output_tokens']),
      sampling: someFields(defined({ temperature: number(body['temperature']), topP: number(body['top_p']) })),
      reasoning: decodeReasoning(fields(body['reasoning'])),
      responseFormat: decodeFormat(fields(text['format'])),
      logprobs: hasLogprobs ? defined({ top }) : undefined,
      user: string(body['user']),
      metadata: someFields(body['metadata']),
      serviceTier: string(body['service_tier']),
      extra: extraOf(body, choice, hasLogprobs)
    }),
    stream: body['stream'] === true
  }
}

function extraOf(body: Fields, choice: Fields | undefined, hasLogprobs: boolean): Extra | undefined {
  const { effort, ...reasoning } = fields(body['reasoning'])
  const { format: _, ...text } = fields(body['text'])
  const include = Array.isArray(body['include']) ? body['include'].filter(value => value !== LOGPROBS) : []
  const own = someFields({
    ...unread(NAME, body, READ).extra?.[NAME],
    ...below('reasoning', reasoning),
    ...below('text', text),
    ...defined({
      include: include.length > 0 ? include : undefined,
      top_logprobs: hasLogprobs ? undefined : number(body['top_logprobs']),
      tool_choice: choice
    })
  })
  return own === undefined ? undefined : { [NAME]: own }
}

/** Fields of an object in the request, by their paths: so they are declared where they cannot be said. */
function below(name: string, object: Fields): Fields {
  const known = Object.entries(object).filter(([, value]) => value !== undefined && value !== null)
  return Object.fromEntries(known.map(([key, value]) => [`${name}.${key}`, value]))
}

function takeBelow(name: string, from: Record<string, unknown>): Fields {
  const paths = Object.keys(from).filter(path => path.startsWith(`${name}.`))
  const taken = paths.map(path => [path.slice(name.length + 1), from[path]])
  for (const path of paths) delete from[path]
  return Object.fromEntries(taken)
}

function decodeFormat({ type, schema, name, description, strict }: Fields): ResponseFormat | undefined {
  if (type === 'text') return { type }
  if (type === 'json_object') return { type: 'json' }
  if (type !== 'json_schema') return undefined
  const named = { name: string(name), description: string(description), strict: boolean(strict) }
  return { type: 'schema', schema: fields(schema), ...defined(named) }
}

export function encodeRequest(chat: ChatRequest, flavour: Flavour = 'official'): EncodedRequest | Failure {
  if ((chat.choices ?? 1) > 1) {
    return new Failure('unsupported', 'n: this upstream gives one answer a request.', { field: 'n' })
  }
  const dropped = new Dropped(NAME)
  const { include, tool_choice: _, ...rest } = { ...dropped.extra(inWordsOf(NAME, chat.extra, flavour)) }
  const reasoningRest = takeBelow('reasoning', rest)
  const textRest = takeBelow('text', rest)
  const { tools, items } = encodeTools(chat.tools, flavour, dropped)
  const hasTools = tools.length > 0 || items.length > 0
  const { instructions, input } = encodeInput(chat, flavour, dropped)
  const body = {
    model: chat.model,
    ...defined({
      instructions,
      input: items.length + input.length > 0 ? [...items, ...input] : undefined,
      tools: tools.length > 0 ? tools : undefined,
      // A choice without tools is refused.
      tool_choice: hasTools ? encodeToolChoice(chat, flavour, dropped) : undefined,
      parallel_tool_calls: hasTools ? chat.parallelTools : undefined,
      max_output_tokens: chat.maxTokens,
      ...encodeSampling(chat.sampling, dropped),
      reasoning: someFields({ ...encodeReasoning(chat, flavour, dropped), ...reasoningRest }),
      text: someFields({ ...defined({ format: encodeFormat(chat.responseFormat) }), ...textRest }),
      include: encodeInclude(chat, include),
      top_logprobs: chat.logprobs?.top,
      user: encodeUser(chat.user, dropped),
      metadata: chat.metadata,
      service_tier: encodeTier(chat.serviceTier, flavour, dropped)
    }),
    ...rest,
    ...(chat.stream && { stream: true })
  }
  if (chat.stop !== undefined && chat.stop.length > 0) dropped.add('stop')
  return { body, dropped: dropped.list() }
}

function encodeSampling(sampling: Sampling = {}, dropped: Dropped): Fields {
  const { temperature, topP, topK, minP, seed, frequencyPenalty, presencePenalty } = sampling
  const unknown = {
    top_k: topK,
    min_p: minP,
    seed,
    frequency_penalty: frequencyPenalty,
    presence_penalty: presencePenalty
  }
  for (const [name, value] of Object.entries(unknown)) {
    if (value !== undefined && (value !== 0 || name === 'seed')) dropped.add(name)
  }
  return { temperature, top_p: topP }
}

function encodeFormat(format: ResponseFormat | undefined): object | undefined {
  if (format === undefined) return undefined
  if (format.type !== 'schema') return { type: format.type === 'json' ? 'json_object' : 'text' }
  const { name = 'answer', description, schema, strict } = format
  // It is strict unless told otherwise, and then refuses schemas that are good elsewhere.
  return { type: 'json_schema', name, ...defined({ description }), schema, strict: strict ?? false }
}

function encodeInclude({ logprobs }: ChatRequest, include: unknown): readonly unknown[] | undefined {
  const said: readonly unknown[] = Array.isArray(include) ? include : []
  const all = logprobs === undefined ? said : [...said, LOGPROBS]
  return all.length > 0 ? all : undefined
}

const LONGEST_USER = 64

/** OpenAI takes 64 characters. Half of a name is nobody's. */
function encodeUser(user: string | undefined, dropped: Dropped): string | undefined {
  if (user === undefined || user.length <= LONGEST_USER) return user
  dropped.add('user')
  return undefined
}

/** `auto` is what everybody does unasked. */
function encodeTier(tier: string | undefined, flavour: Flavour, dropped: Dropped): string | undefined {
  if (tier === undefined || flavour === 'official') return tier
  if (tier !== 'auto') dropped.add('service_tier')
  return undefined
}
