import type { Preset, Spoken } from './preset.ts'

export type { Preset } from './preset.ts'

const chat: Spoken = { dialect: 'openai-chat', prefix: '/v1' }
const responses: Spoken = { dialect: 'openai-responses', prefix: '/v1' }
const messages: Spoken = { dialect: 'anthropic', prefix: '/v1' }
const bareChat: Spoken = { dialect: 'openai-chat', prefix: '' }
const bareResponses: Spoken = { dialect: 'openai-responses', prefix: '' }
const bareMessages: Spoken = { dialect: 'anthropic', prefix: '' }
/** Beside the address that OpenAI's clients are given, as many do. */
const besideMessages: Spoken = { dialect: 'anthropic', prefix: '/anthropic/v1' }

/** Claude on Amazon's and Google's clouds is asked in its own dialect, the rest in OpenAI's. */
const AMAZON_CLAUDE = /(^|[./])anthropic\./
const GOOGLE_CLAUDE = /^claude/
const GOOGLE_GEMINI = /^(google\/)?gemini/

/** A service whose base URL says all: what most rows are. */
function compatible(
  title: string,
  apiBase: string,
  keyVariable: string,
  docs: string,
  speaks: readonly Spoken[] = [bareChat]
) {
  return { title, apiBase, speaks, keyHeader: 'bearer', keyVariable, probe: '/models', docs } as const
}

/** A server on this machine. */
function local(title: string, port: number, speaks: readonly Spoken[], docs: string) {
  return {
    title,
    apiBase: `http://127.0.0.1:${port}`,
    speaks,
    keyHeader: 'bearer',
    probe: '/v1/models',
    local: true,
    docs
  } as const
}

/** Every provider we know by name. A row is data: what needs code is named in `cloud`. */
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
    rateLimits: 'anthropic-ratelimit-*',
    docs: 'https://docs.anthropic.com/en/api/overview'
  },
  gemini: {
    title: 'Google Gemini (AI Studio)',
    apiBase: 'https://generativelanguage.googleapis.com',
    speaks: [
      { dialect: 'gemini', prefix: '/v1beta' },
      { dialect: 'openai-chat', prefix: '/v1beta/openai', keyHeader: 'bearer' }
    ],
    keyHeader: 'x-goog-api-key',
    keyVariable: 'GEMINI_API_KEY',
    probe: '/v1beta/models',
    docs: 'https://ai.google.dev/api'
  },
  'vertex-ai': {
    title: 'Google Vertex AI',
    cloud: 'vertex',
    addressShape: 'https://europe-west4-aiplatform.googleapis.com/v1/projects/NAME/locations/europe-west4',
    speaks: [
      { dialect: 'gemini', prefix: '/publishers/google', onlyFor: GOOGLE_GEMINI, notFor: GOOGLE_CLAUDE },
      { dialect: 'anthropic', prefix: '/publishers/anthropic/models', onlyFor: GOOGLE_CLAUDE, notFor: GOOGLE_GEMINI },
      { dialect: 'openai-chat', prefix: '/endpoints/openapi', notFor: GOOGLE_CLAUDE }
    ],
    keyHeader: 'bearer',
    note: 'The path of a service account’s key file, as `api_key` or in `GOOGLE_APPLICATION_CREDENTIALS`; or an API key, for Gemini alone. Without `api_base`: `GOOGLE_CLOUD_PROJECT` or the key file’s project, and `GOOGLE_CLOUD_LOCATION` or `global`.',
    docs: 'https://cloud.google.com/vertex-ai/generative-ai/docs'
  },
  'azure-openai': {
    title: 'Azure OpenAI',
    cloud: 'azure',
    addressShape: 'https://your-name.openai.azure.com',
    speaks: [
      { dialect: 'openai-chat', prefix: '/openai/v1' },
      { dialect: 'openai-responses', prefix: '/openai/v1' }
    ],
    keyHeader: 'api-key',
    keyVariable: 'AZURE_OPENAI_API_KEY',
    maxTokensField: 'max_completion_tokens',
    flavour: 'official',
    probe: '/openai/v1/models',
    note: 'The model is the deployment’s name. An `api_base` that ends with `/openai/deployments` or `/openai/deployments/NAME` means the dated API, at `AZURE_OPENAI_API_VERSION` or 2024-10-21.',
    docs: 'https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle'
  },
  bedrock: {
    title: 'Amazon Bedrock',
    cloud: 'bedrock',
    addressShape: 'https://bedrock-runtime.eu-central-1.amazonaws.com',
    speaks: [
      { dialect: 'openai-chat', prefix: '/openai/v1', notFor: AMAZON_CLAUDE },
      { dialect: 'openai-responses', prefix: '/openai/v1', notFor: AMAZON_CLAUDE },
      { dialect: 'anthropic', prefix: '/anthropic/v1', onlyFor: AMAZON_CLAUDE }
    ],
    keyHeader: 'bearer',
    keyVariable: 'AWS_BEARER_TOKEN_BEDROCK',
    secretVariables: ['AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'],
    note: 'A Bedrock API key, or an access key by which requests are signed: `api_key: ID:SECRET` (`ID:SECRET:TOKEN`) or AWS’s own variables. Without `api_base`: the region in `AWS_REGION`. Profiles, roles, Converse and InvokeModel are not supported.',
    docs: 'https://docs.aws.amazon.com/bedrock/latest/userguide/endpoints.html'
  },
  ollama: {
    ...local('Ollama', 11434, [chat, responses, messages], 'https://docs.ollama.com'),
    lists: ['/v1/models', '/api/tags']
  },
  mlx: {
    ...local('MLX (mlx_lm.server)', 8080, [chat], 'https://github.com/ml-explore/mlx-lm'),
    // It stops after 512 tokens when nobody says otherwise.
    quirks: { defaults: { max_tokens: 8192 } }
  },
  'lm-studio': local('LM Studio', 1234, [chat, responses, messages], 'https://lmstudio.ai/docs'),
  'llama.cpp': local('llama.cpp (llama-server)', 8080, [chat, messages], 'https://github.com/ggml-org/llama.cpp'),
  vllm: local('vLLM', 8000, [chat, responses, messages], 'https://docs.vllm.ai'),
  sglang: local('SGLang', 30000, [chat, messages], 'https://docs.sglang.io'),
  'self-hosted': {
    title: 'A server of your own',
    flavour: 'local',
    addressShape: 'http://127.0.0.1:8000',
    speaks: [messages, chat, responses],
    keyHeader: 'bearer',
    probe: '/health',
    note: 'For vLLM on a rented GPU (Vast.ai), a RunPod pod or serverless endpoint, a server behind an SSH tunnel. Pin `dialect` if it does not speak all three.'
  },
  custom: {
    title: 'Anything OpenAI-compatible',
    addressShape: 'https://models.example.com/v1',
    speaks: [chat],
    keyHeader: 'bearer',
    probe: '/models'
  },
  litellm: {
    title: 'LiteLLM',
    addressShape: 'http://127.0.0.1:4000',
    speaks: [chat, responses, messages],
    keyHeader: 'bearer',
    probe: '/health/liveliness',
    note: 'To move from it name by name.',
    docs: 'https://docs.litellm.ai'
  },
  cerebras: {
    ...compatible('Cerebras', 'https://api.cerebras.ai/v1', 'CEREBRAS_API_KEY', 'https://inference-docs.cerebras.ai'),
    quirks: { rejects: ['frequency_penalty', 'presence_penalty', 'logit_bias', 'parallel_tool_calls', 'service_tier'] },
    rateLimits: 'x-ratelimit-*-requests-day, x-ratelimit-*-tokens-minute'
  },
  groq: {
    ...compatible('Groq', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY', 'https://console.groq.com/docs', [
      bareChat,
      bareResponses
    ]),
    quirks: { rejects: ['logprobs', 'logit_bias', 'top_logprobs', 'messages[].name'], only: { n: [1] } }
  },
  openrouter: compatible(
    'OpenRouter',
    'https://openrouter.ai/api/v1',
    'OPENROUTER_API_KEY',
    'https://openrouter.ai/docs',
    [bareChat, bareResponses, bareMessages]
  ),
  deepseek: {
    ...compatible('DeepSeek', 'https://api.deepseek.com', 'DEEPSEEK_API_KEY', 'https://api-docs.deepseek.com', [
      chat,
      besideMessages
    ]),
    probe: '/v1/models'
  },
  mistral: {
    ...compatible('Mistral', 'https://api.mistral.ai/v1', 'MISTRAL_API_KEY', 'https://docs.mistral.ai/api'),
    // Any field it does not know is an error there.
    quirks: {
      rejects: ['store', 'logit_bias', 'logprobs', 'top_logprobs', 'messages[].reasoning_content'],
      renames: { max_completion_tokens: 'max_tokens', seed: 'random_seed' }
    }
  },
  xai: compatible('xAI', 'https://api.x.ai/v1', 'XAI_API_KEY', 'https://docs.x.ai', [bareChat, bareResponses]),
  together: compatible('Together AI', 'https://api.together.ai/v1', 'TOGETHER_API_KEY', 'https://docs.together.ai'),
  fireworks: compatible(
    'Fireworks AI',
    'https://api.fireworks.ai/inference/v1',
    'FIREWORKS_API_KEY',
    'https://docs.fireworks.ai',
    [bareChat, bareMessages]
  ),
  deepinfra: compatible(
    'DeepInfra',
    'https://api.deepinfra.com/v1/openai',
    'DEEPINFRA_API_KEY',
    'https://deepinfra.com/docs'
  ),
  perplexity: {
    title: 'Perplexity',
    apiBase: 'https://api.perplexity.ai',
    speaks: [responses],
    keyHeader: 'bearer',
    keyVariable: 'PERPLEXITY_API_KEY',
    note: 'Its Agent API; Chat Completions ended there in September 2026.',
    docs: 'https://docs.perplexity.ai'
  },
  cohere: {
    title: 'Cohere',
    apiBase: 'https://api.cohere.ai/compatibility/v1',
    speaks: [bareChat],
    keyHeader: 'bearer',
    keyVariable: 'COHERE_API_KEY',
    quirks: { rejects: ['stream_options'] },
    lists: ['/v1/models'],
    docs: 'https://docs.cohere.com/docs/compatibility-api'
  },
  huggingface: {
    ...compatible(
      'Hugging Face (Inference Providers)',
      'https://router.huggingface.co/v1',
      'HF_TOKEN',
      'https://huggingface.co/docs/inference-providers'
    ),
    keyShared: true
  },
  moonshot: {
    ...compatible(
      'Moonshot AI (Kimi)',
      'https://api.moonshot.ai',
      'MOONSHOT_API_KEY',
      'https://platform.kimi.ai/docs',
      [chat, responses, besideMessages]
    ),
    probe: '/v1/models'
  },
  zai: {
    title: 'Z.ai (GLM)',
    apiBase: 'https://api.z.ai',
    speaks: [
      { dialect: 'openai-chat', prefix: '/api/paas/v4' },
      { dialect: 'anthropic', prefix: '/api/anthropic/v1' }
    ],
    keyHeader: 'bearer',
    keyVariable: 'ZAI_API_KEY',
    note: 'The coding plan’s address is `https://api.z.ai/api/coding/paas/v4`.',
    docs: 'https://docs.z.ai'
  },
  'nvidia-nim': compatible(
    'NVIDIA NIM',
    'https://integrate.api.nvidia.com/v1',
    'NVIDIA_API_KEY',
    'https://docs.api.nvidia.com/nim'
  ),
  'github-models': {
    title: 'GitHub Models',
    apiBase: 'https://models.github.ai/inference',
    speaks: [bareChat],
    keyHeader: 'bearer',
    keyVariable: 'GITHUB_TOKEN',
    keyShared: true,
    lists: ['/catalog/models'],
    docs: 'https://docs.github.com/github-models'
  }
} as const satisfies Record<string, Preset>

export type ProviderName = keyof typeof PRESETS

export const PROVIDER_NAMES = Object.keys(PRESETS) as ProviderName[]

export function presetOf(name: string): Preset | undefined {
  return Object.hasOwn(PRESETS, name) ? PRESETS[name as ProviderName] : undefined
}
