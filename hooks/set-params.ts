import { type Call, type ChatRequest, defineHook } from 'sluice/hook'

const NUMBERS = {
  temperature: { type: 'number', minimum: 0 },
  top_p: { type: 'number', minimum: 0, maximum: 1 },
  top_k: { type: 'integer', minimum: 0 },
  min_p: { type: 'number', minimum: 0, maximum: 1 },
  seed: { type: 'integer' },
  frequency_penalty: { type: 'number' },
  presence_penalty: { type: 'number' },
  max_tokens: { type: 'integer', minimum: 1 },
  reasoning_effort: { type: 'string', enum: ['minimal', 'low', 'medium', 'high', 'xhigh', 'max'] },
  service_tier: { type: 'string', minLength: 1 },
  user: { type: 'string', minLength: 1 }
} as const

/** Where the conversation keeps each parameter. */
const SAMPLING = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  seed: 'seed',
  frequency_penalty: 'frequencyPenalty',
  presence_penalty: 'presencePenalty'
} as const
const OTHERS = { service_tier: 'serviceTier', user: 'user' } as const

type Name = keyof typeof NUMBERS
type Parameters = { readonly [Parameter in Name]?: string | number | undefined }

export default defineHook({
  name: 'set-params',
  description:
    'Sets parameters of requests: those that are missing, those of every request, and those that are taken out.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ defaults: { temperature: 0.2 }, overrides: { max_tokens: 4096 }, drop: ['user'] }],
    properties: {
      defaults: {
        type: 'object',
        additionalProperties: false,
        properties: NUMBERS,
        default: {},
        description: 'For requests that do not say them.'
      },
      overrides: {
        type: 'object',
        additionalProperties: false,
        properties: NUMBERS,
        default: {},
        description: 'Whatever the request says.'
      },
      drop: {
        type: 'array',
        items: { type: 'string', enum: Object.keys(NUMBERS) as Name[] },
        default: [],
        description: 'Taken out of requests.'
      }
    }
  },
  setup: ({ defaults, overrides, drop }) => ({
    preCall: call => {
      if (call.operation !== 'chat' && call.operation !== 'completions') return undefined
      return onlyCap(defaults, overrides, drop)
        ? capped(call, defaults.max_tokens, overrides.max_tokens)
        : call.with({ chat: changed(call.chat, defaults, overrides, drop) })
    }
  })
})

/** A cap alone is put into the bytes; anything else takes the conversation apart. */
function onlyCap(defaults: Parameters, overrides: Parameters, drop: readonly Name[]): boolean {
  const named = [...Object.keys(defaults), ...Object.keys(overrides)]
  return drop.length === 0 && named.every(name => name === 'max_tokens')
}

function capped(call: Call, fallback: number | undefined, always: number | undefined): Call | undefined {
  const wanted = always ?? call.maxTokens ?? fallback
  return wanted === undefined || wanted === call.maxTokens ? undefined : call.with({ maxTokens: wanted })
}

function changed(chat: ChatRequest, defaults: Parameters, overrides: Parameters, drop: readonly Name[]): ChatRequest {
  const said = parametersOf(chat)
  for (const name of drop) delete said[name]
  const wanted: Parameters = { ...defaults, ...said, ...overrides }
  const { sampling: _, reasoning, maxTokens: __, serviceTier: ___, user: ____, ...rest } = chat
  const sampling = Object.fromEntries(
    Object.entries(SAMPLING).flatMap(([name, field]) => {
      const value = wanted[name as Name]
      return value === undefined ? [] : [[field, value]]
    })
  )
  const others = Object.fromEntries(
    Object.entries(OTHERS).flatMap(([name, field]) => {
      const value = wanted[name as Name]
      return value === undefined ? [] : [[field, value]]
    })
  )
  const { effort: _____, ...thinking } = reasoning ?? {}
  const effort = wanted.reasoning_effort as NonNullable<ChatRequest['reasoning']>['effort']
  const reasons = { ...thinking, ...(effort !== undefined && { effort }) }
  return {
    ...rest,
    ...others,
    ...(Object.keys(sampling).length > 0 && { sampling }),
    ...(Object.keys(reasons).length > 0 && { reasoning: reasons }),
    ...(typeof wanted.max_tokens === 'number' && { maxTokens: wanted.max_tokens })
  }
}

function parametersOf(chat: ChatRequest): { [Parameter in Name]?: string | number } {
  const said: { [Parameter in Name]?: string | number } = {}
  for (const [name, field] of Object.entries(SAMPLING)) {
    const value = chat.sampling?.[field]
    if (value !== undefined) said[name as Name] = value
  }
  if (chat.maxTokens !== undefined) said.max_tokens = chat.maxTokens
  if (chat.reasoning?.effort !== undefined) said.reasoning_effort = chat.reasoning.effort
  if (chat.serviceTier !== undefined) said.service_tier = chat.serviceTier
  if (chat.user !== undefined) said.user = chat.user
  return said
}
