/** LiteLLM's prefix of a model → our preset. */
export const PROVIDERS: Readonly<Record<string, string>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  gemini: 'gemini',
  ollama: 'ollama',
  ollama_chat: 'ollama',
  hosted_vllm: 'vllm',
  vllm: 'vllm',
  lm_studio: 'lm-studio',
  llamafile: 'llama.cpp',
  groq: 'groq',
  cerebras: 'cerebras',
  openrouter: 'openrouter',
  deepseek: 'deepseek',
  mistral: 'mistral',
  xai: 'xai',
  together_ai: 'together',
  fireworks_ai: 'fireworks',
  azure: 'azure-openai',
  vertex_ai: 'vertex-ai',
  vertex_ai_beta: 'vertex-ai',
  bedrock: 'bedrock',
  bedrock_converse: 'bedrock',
  deepinfra: 'deepinfra',
  perplexity: 'perplexity',
  cohere: 'cohere',
  cohere_chat: 'cohere',
  huggingface: 'huggingface',
  moonshot: 'moonshot',
  zai: 'zai',
  nvidia_nim: 'nvidia-nim',
  github: 'github-models',
  litellm_proxy: 'litellm',
  custom_openai: 'custom',
  openai_like: 'custom',
  'text-completion-openai': 'openai',
  codestral: 'mistral'
}

/** Prefixes that LiteLLM knows and that no preset reaches yet: an entry that uses one is an error, for it must not vanish. */
export const UNREACHED: readonly string[] = [
  ...['azure_ai', 'azure_text', 'sagemaker', 'sagemaker_chat'],
  ...['replicate', 'databricks', 'watsonx', 'watsonx_text', 'predibase', 'cloudflare', 'oci'],
  ...['ai21', 'ai21_chat', 'nlp_cloud', 'aleph_alpha', 'petals', 'triton', 'voyage', 'jina_ai', 'sambanova'],
  ...['anyscale', 'friendliai', 'galadriel', 'github_copilot', 'snowflake', 'clarifai', 'maritalk', 'empower'],
  ...['baseten', 'volcengine', 'dashscope', 'minimax', 'novita', 'nebius', 'hyperbolic', 'lambda_ai', 'meta_llama'],
  ...[
    'featherless_ai',
    'nscale',
    'v0',
    'morph',
    'xinference',
    'infinity',
    'deepgram',
    'elevenlabs',
    'assemblyai',
    'topaz',
    'llamagate'
  ],
  ...[
    'text-completion-codestral',
    'custom',
    'bytez',
    'heroku',
    'datarobot',
    'gradient_ai',
    'wandb',
    'vercel_ai_gateway',
    'aiml',
    'cometapi'
  ]
]

/** Bare names whose provider LiteLLM infers. */
const INFERRED: readonly (readonly [RegExp, string])[] = [
  [/^(gpt-|chatgpt-|o[134](-|$)|text-embedding-|davinci|babbage|dall-e|whisper|tts-|omni-)/, 'openai'],
  [/^claude-/, 'anthropic'],
  [/^gemini-/, 'gemini'],
  [/^(mistral-|ministral-|codestral-|open-mi[sx]tral|pixtral-)/, 'mistral'],
  [/^deepseek-/, 'deepseek'],
  [/^grok-/, 'xai']
]

function inferProvider(model: string): string | undefined {
  return INFERRED.find(([pattern]) => pattern.test(model))?.[1]
}

/** What `model: "*"` stands for: LiteLLM infers the provider from each name that is asked for. */
export const ANY_MODEL: readonly { readonly names: readonly string[]; readonly provider: string }[] = [
  { names: ['gpt-*', 'chatgpt-*', 'o1*', 'o3*', 'o4*', 'text-embedding-*'], provider: 'openai' },
  { names: ['claude-*'], provider: 'anthropic' },
  { names: ['gemini-*'], provider: 'gemini' }
]

export interface Placed {
  readonly provider: string
  /** The upstream's own name; undefined when it is whatever was asked for. */
  readonly model: string
  /** Whether LiteLLM would have had to guess too. */
  readonly inferred: boolean
}

/** Which preset a `litellm_params.model` means; a string says why none. */
export function placeModel(model: string, forced: string | undefined, hasApiBase: boolean): Placed | string {
  const slash = model.indexOf('/')
  const prefix = slash > 0 ? model.slice(0, slash) : ''
  const isKnown = Object.hasOwn(PROVIDERS, prefix) || UNREACHED.includes(prefix)
  const name = forced ?? (isKnown ? prefix : inferProvider(model))
  const rest = isKnown && (forced === undefined || forced === prefix) ? model.slice(slash + 1) : model
  if (name === undefined) return 'it does not say which provider serves the model'
  if (UNREACHED.includes(name)) return `the provider \`${name}\` cannot be reached by this version`
  const preset = Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name] : undefined
  if (preset === undefined) return `no provider is known by that name`
  const provider = preset === 'openai' && hasApiBase ? 'custom' : preset
  return { provider, model: rest, inferred: forced === undefined && !isKnown }
}
