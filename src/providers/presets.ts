import type { DialectName, Flavour } from '../dialects/dialect.ts'

export type KeyHeader = 'bearer' | 'x-api-key' | 'x-goog-api-key' | 'none'

/** One dialect a provider speaks, and what has to stand between its base URL and the dialect's own paths. */
export interface Spoken {
  readonly dialect: DialectName
  /** Put before the dialect's paths unless the base URL already ends with a version; empty when the base says all. */
  readonly prefix: string
  /** How this dialect wants the key, where that differs from the provider's habit. */
  readonly keyHeader?: KeyHeader
}

export interface Preset {
  readonly title: string
  /** Undefined: the entry has to say `api_base`. */
  readonly apiBase?: string
  /** In order of preference, for clients whose own dialect is not among them. */
  readonly speaks: readonly Spoken[]
  readonly keyHeader: KeyHeader
  /** Where the key is looked for when the entry gives none. */
  readonly keyVariable?: string
  /** The field a missing cap is filled in under, where OpenAI's own newer name is the only one accepted. */
  readonly maxTokensField?: 'max_completion_tokens'
  /** Path below the base URL that answers cheaply when all is well. */
  readonly probe?: string
  /** How much of a dialect it takes; `local` for a local one and else `compatible`, unless said. */
  readonly flavour?: Flavour
  /** Runs on this machine: found by its port at the first start, works without a key. */
  readonly local?: boolean
  readonly docs?: string
}

const chat: Spoken = { dialect: 'openai-chat', prefix: '/v1' }
const responses: Spoken = { dialect: 'openai-responses', prefix: '/v1' }
const messages: Spoken = { dialect: 'anthropic', prefix: '/v1' }
const bareChat: Spoken = { dialect: 'openai-chat', prefix: '' }

/** An OpenAI-compatible service: what most rows are. */
function compatible(title: string, apiBase: string, keyVariable: string, docs: string): Preset {
  return { title, apiBase, speaks: [bareChat], keyHeader: 'bearer', keyVariable, probe: '/models', docs }
}

/** A server on this machine. */
function local(title: string, port: number, speaks: readonly Spoken[], docs: string): Preset {
  return {
    title,
    apiBase: `http://127.0.0.1:${port}`,
    speaks,
    keyHeader: 'bearer',
    probe: '/v1/models',
    local: true,
    docs
  }
}

/** Every provider we know by name. A row is data: what needs code is named in `quirks`. */
export const PRESETS = {
  demo: {
    title: 'Demo',
    apiBase: 'http://demo.invalid',
    speaks: [chat, responses, messages, { dialect: 'gemini', prefix: '/v1beta' }],
    keyHeader: 'none'
  },
  openai: {
    title: 'OpenAI',
    apiBase: 'https://api.openai.com/v1',
    speaks: [chat, responses],
    keyHeader: 'bearer',
    keyVariable: 'OPENAI_API_KEY',
    maxTokensField: 'max_completion_tokens',
    flavour: 'official',
    probe: '/models',
    docs: 'https://platform.openai.com/docs/api-reference'
  },
  anthropic: {
    title: 'Anthropic',
    apiBase: 'https://api.anthropic.com',
    speaks: [messages],
    keyHeader: 'x-api-key',
    keyVariable: 'ANTHROPIC_API_KEY',
    flavour: 'official',
    probe: '/v1/models',
    docs: 'https://docs.anthropic.com/en/api/overview'
  },
  gemini: {
    title: 'Google Gemini (AI Studio)',
    apiBase: 'https://generativelanguage.googleapis.com',
    speaks: [{ dialect: 'gemini', prefix: '/v1beta' }],
    keyHeader: 'x-goog-api-key',
    keyVariable: 'GEMINI_API_KEY',
    probe: '/v1beta/models',
    docs: 'https://ai.google.dev/api'
  },
  ollama: local('Ollama', 11434, [chat, responses, messages], 'https://docs.ollama.com'),
  mlx: local('MLX (mlx_lm.server)', 8080, [chat], 'https://github.com/ml-explore/mlx-lm'),
  'lm-studio': local('LM Studio', 1234, [chat, responses, messages], 'https://lmstudio.ai/docs'),
  'llama.cpp': local('llama.cpp (llama-server)', 8080, [chat, messages], 'https://github.com/ggml-org/llama.cpp'),
  vllm: local('vLLM', 8000, [chat, responses, messages], 'https://docs.vllm.ai'),
  sglang: local('SGLang', 30000, [chat], 'https://docs.sglang.ai'),
  'self-hosted': {
    title: 'A server of your own',
    flavour: 'local',
    speaks: [messages, chat, responses],
    keyHeader: 'bearer',
    probe: '/health'
  },
  custom: { title: 'Anything OpenAI-compatible', speaks: [chat], keyHeader: 'bearer', probe: '/models' },
  litellm: { title: 'LiteLLM', speaks: [chat, responses, messages], keyHeader: 'bearer', probe: '/health/liveliness' },
  cerebras: compatible(
    'Cerebras',
    'https://api.cerebras.ai/v1',
    'CEREBRAS_API_KEY',
    'https://inference-docs.cerebras.ai'
  ),
  groq: compatible('Groq', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY', 'https://console.groq.com/docs'),
  openrouter: compatible(
    'OpenRouter',
    'https://openrouter.ai/api/v1',
    'OPENROUTER_API_KEY',
    'https://openrouter.ai/docs'
  ),
  deepseek: compatible('DeepSeek', 'https://api.deepseek.com/v1', 'DEEPSEEK_API_KEY', 'https://api-docs.deepseek.com'),
  mistral: compatible('Mistral', 'https://api.mistral.ai/v1', 'MISTRAL_API_KEY', 'https://docs.mistral.ai/api'),
  xai: compatible('xAI', 'https://api.x.ai/v1', 'XAI_API_KEY', 'https://docs.x.ai'),
  together: compatible('Together AI', 'https://api.together.xyz/v1', 'TOGETHER_API_KEY', 'https://docs.together.ai'),
  fireworks: compatible(
    'Fireworks AI',
    'https://api.fireworks.ai/inference/v1',
    'FIREWORKS_API_KEY',
    'https://docs.fireworks.ai'
  )
} as const satisfies Record<string, Preset>

export type ProviderName = keyof typeof PRESETS

export const PROVIDER_NAMES = Object.keys(PRESETS) as ProviderName[]

export function presetOf(name: string): Preset | undefined {
  return Object.hasOwn(PRESETS, name) ? PRESETS[name as ProviderName] : undefined
}
