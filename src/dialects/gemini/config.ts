// `generationConfig`: everything about the answer that is a number, a switch or a format.
import type { ChatRequest, Fields, ResponseFormat, Sampling } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { defined, number, someFields, string, unread } from '../read.ts'
import { jsonSchemaOf } from './schema.ts'
import { camel, isOlder, NAME } from './shape.ts'
import { decodeThinking, encodeThinking } from './thinking.ts'

const SAMPLING: readonly (keyof Sampling)[] = [
  'temperature',
  'topP',
  'topK',
  'seed',
  'presencePenalty',
  'frequencyPenalty'
]
const READ = new Set([...SAMPLING, 'candidateCount', 'maxOutputTokens', 'stopSequences', 'thinkingConfig'])
const READ_FORMAT = new Set([...READ, 'responseMimeType', 'responseSchema', 'responseJsonSchema'])
const LOGPROBS: readonly string[] = ['responseLogprobs', 'logprobs']

type Decoded = Partial<ChatRequest> & { readonly rest: Fields; readonly thinkingRest: Fields }

export function decodeConfig(value: unknown): Decoded {
  const config = camel(value)
  const { reasoning, rest: thinkingRest } = decodeThinking(config['thinkingConfig'])
  const sampling = someFields(defined(Object.fromEntries(SAMPLING.map(key => [key, number(config[key])]))))
  const responseFormat = decodeFormat(config)
  const { stopSequences } = config
  const stop = Array.isArray(stopSequences) ? stopSequences.filter(isString) : undefined
  const withProbabilities = config['responseLogprobs'] === true
  const read = responseFormat === undefined ? READ : READ_FORMAT
  const left = Object.entries(unread(NAME, config, read).extra?.[NAME] ?? {})
  const rest = left.filter(([key]) => !withProbabilities || !LOGPROBS.includes(key))
  return {
    ...defined({
      choices: number(config['candidateCount']),
      maxTokens: number(config['maxOutputTokens']),
      stop,
      sampling,
      reasoning,
      responseFormat,
      logprobs: withProbabilities ? defined({ top: number(config['logprobs']) }) : undefined
    }),
    rest: Object.fromEntries(rest),
    thinkingRest
  }
}

const isString = (value: unknown): value is string => typeof value === 'string'

/** Undefined for formats that nobody else has. */
function decodeFormat(config: Fields): ResponseFormat | undefined {
  const { responseJsonSchema, responseSchema } = config
  const mediaType = string(config['responseMimeType'])
  const schema = someFields(responseJsonSchema) ?? (someFields(responseSchema) && jsonSchemaOf(responseSchema))
  if (mediaType === 'text/plain') return { type: 'text' }
  if (mediaType !== undefined && mediaType !== 'application/json') return undefined
  if (schema !== undefined) return { type: 'schema', schema }
  return mediaType === undefined ? undefined : { type: 'json' }
}

const MOST_STOPS = 5

export function encodeConfig(chat: ChatRequest, rest: Fields, thinkingRest: Fields, dropped: Dropped): Fields {
  const { sampling = {}, stop, logprobs, choices, maxTokens } = chat
  const { minP, ...common } = sampling
  if (minP !== undefined) dropped.add('min_p')
  if (stop !== undefined && stop.length > MOST_STOPS) dropped.add('stop')
  return {
    ...defined({
      ...common,
      maxOutputTokens: maxTokens,
      candidateCount: choices,
      stopSequences: stop === undefined || stop.length === 0 ? undefined : stop.slice(0, MOST_STOPS),
      ...encodeFormat(chat, dropped),
      responseLogprobs: logprobs === undefined ? undefined : true,
      logprobs: logprobs?.top,
      thinkingConfig: someFields({ ...encodeThinking(chat, dropped), ...thinkingRest })
    }),
    ...rest
  }
}

/** Before Gemini 3, JSON and functions exclude each other. */
function encodeFormat({ responseFormat, tools, model }: ChatRequest, dropped: Dropped): Fields {
  if (responseFormat === undefined) return {}
  if (responseFormat.type === 'text') return { responseMimeType: 'text/plain' }
  if (isOlder(model) && tools.some(tool => tool.foreign === undefined)) {
    dropped.add('response_format')
    return {}
  }
  return {
    responseMimeType: 'application/json',
    ...(responseFormat.type === 'schema' && { responseJsonSchema: responseFormat.schema })
  }
}
