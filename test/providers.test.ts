import t from 'tap'
import { detect } from '../src/cli/detect.ts'
import type { DialectName, Operation } from '../src/dialects/dialect.ts'
import { PRESETS, PROVIDER_NAMES, type Preset, presetOf } from '../src/providers/presets.ts'
import { applyQuirks } from '../src/providers/quirks.ts'
import { reach } from '../src/providers/reach.ts'
import { operationPath, type Surface, surfacesOf } from '../src/providers/surface.ts'
import type { Wanted } from '../src/providers/wanted.ts'

const UNUSED = () => {
  throw new Error('nothing is sent here')
}

function preset(name: string): Preset {
  const found = presetOf(name)
  if (found === undefined) throw new Error(name)
  return found
}

function wanted(provider: string, more: Partial<Wanted> = {}): Wanted {
  return { provider, apiBase: undefined, apiKey: 'k', headers: {}, dialect: undefined, model: '*', ...more }
}

function reached(provider: string, more: Partial<Wanted> = {}, variables: Record<string, string> = {}) {
  return reach(preset(provider), wanted(provider, more), { variables, wireTo: UNUSED })
}

function urlOf(url: URL, surface: Surface, operation: Operation = 'chat'): string {
  const path = surface.dialect === 'gemini' ? '/models/m:generateContent' : operationPath(surface.dialect, operation)
  return url.origin + surface.base + path
}

function urlsOf(provider: string, more: Partial<Wanted> = {}): string[] {
  const result = reached(provider, more)
  if (typeof result === 'string') throw new Error(result)
  return result.surfaces.map(surface => urlOf(result.url, surface))
}

/** What each provider's own documentation says. */
const DOCUMENTED: Record<string, readonly string[]> = {
  openai: ['https://api.openai.com/v1/chat/completions', 'https://api.openai.com/v1/responses'],
  anthropic: ['https://api.anthropic.com/v1/messages'],
  gemini: [
    'https://generativelanguage.googleapis.com/v1beta/models/m:generateContent',
    'https://generativelanguage.googleapis.com/v1beta/openai/chat/completions'
  ],
  ollama: [
    'http://127.0.0.1:11434/v1/chat/completions',
    'http://127.0.0.1:11434/v1/responses',
    'http://127.0.0.1:11434/v1/messages'
  ],
  mlx: ['http://127.0.0.1:8080/v1/chat/completions'],
  'lm-studio': [
    'http://127.0.0.1:1234/v1/chat/completions',
    'http://127.0.0.1:1234/v1/responses',
    'http://127.0.0.1:1234/v1/messages'
  ],
  'llama.cpp': ['http://127.0.0.1:8080/v1/chat/completions', 'http://127.0.0.1:8080/v1/messages'],
  vllm: [
    'http://127.0.0.1:8000/v1/chat/completions',
    'http://127.0.0.1:8000/v1/responses',
    'http://127.0.0.1:8000/v1/messages'
  ],
  sglang: ['http://127.0.0.1:30000/v1/chat/completions', 'http://127.0.0.1:30000/v1/messages'],
  cerebras: ['https://api.cerebras.ai/v1/chat/completions'],
  groq: ['https://api.groq.com/openai/v1/chat/completions', 'https://api.groq.com/openai/v1/responses'],
  openrouter: [
    'https://openrouter.ai/api/v1/chat/completions',
    'https://openrouter.ai/api/v1/responses',
    'https://openrouter.ai/api/v1/messages'
  ],
  deepseek: ['https://api.deepseek.com/v1/chat/completions', 'https://api.deepseek.com/anthropic/v1/messages'],
  mistral: ['https://api.mistral.ai/v1/chat/completions'],
  xai: ['https://api.x.ai/v1/chat/completions', 'https://api.x.ai/v1/responses'],
  together: ['https://api.together.ai/v1/chat/completions'],
  fireworks: [
    'https://api.fireworks.ai/inference/v1/chat/completions',
    'https://api.fireworks.ai/inference/v1/messages'
  ],
  deepinfra: ['https://api.deepinfra.com/v1/openai/chat/completions'],
  perplexity: ['https://api.perplexity.ai/v1/responses'],
  cohere: ['https://api.cohere.ai/compatibility/v1/chat/completions'],
  huggingface: ['https://router.huggingface.co/v1/chat/completions'],
  moonshot: [
    'https://api.moonshot.ai/v1/chat/completions',
    'https://api.moonshot.ai/v1/responses',
    'https://api.moonshot.ai/anthropic/v1/messages'
  ],
  zai: ['https://api.z.ai/api/paas/v4/chat/completions', 'https://api.z.ai/api/anthropic/v1/messages'],
  'nvidia-nim': ['https://integrate.api.nvidia.com/v1/chat/completions'],
  'github-models': ['https://models.github.ai/inference/chat/completions']
}

t.test('every row with an address makes the addresses that are documented', async t => {
  for (const name of PROVIDER_NAMES) {
    if (name === 'demo') continue
    if (preset(name).apiBase === undefined) t.notOk(DOCUMENTED[name], name)
    else t.same(urlsOf(name), DOCUMENTED[name], name)
  }
})

t.test('a row is whole: titles, links, and a shape to show where an address is missing', async t => {
  for (const [name, row] of Object.entries(PRESETS) as [string, Preset][]) {
    t.ok(row.title, name)
    t.ok(row.speaks.length > 0, name)
    t.ok(name === 'demo' || (row.apiBase ?? row.addressShape) !== undefined, name)
    if (row.apiBase !== undefined) t.ok(URL.canParse(row.apiBase), name)
    if (row.docs !== undefined) t.match(row.docs, /^https:\/\/[a-z0-9.-]+\.[a-z]+(\/|$)/, name)
    if (row.keyVariable !== undefined) t.match(row.keyVariable, /^[A-Z][A-Z0-9_]+$/, name)
    for (const path of [...(row.lists ?? []), ...(row.probe === undefined ? [] : [row.probe])])
      t.match(path, /^\//, name)
  }
})

t.test('an address may be given as people have it: with a version, of one dialect, or whole', async t => {
  const same = (provider: string, apiBase: string, urls: readonly string[] | undefined) =>
    t.same(urlsOf(provider, { apiBase }), urls, `${provider} at ${apiBase}`)
  for (const base of ['https://api.deepseek.com', 'https://api.deepseek.com/', 'https://api.deepseek.com/v1'])
    same('deepseek', base, DOCUMENTED['deepseek'])
  same('deepseek', 'https://api.deepseek.com/anthropic', DOCUMENTED['deepseek'])
  same('deepseek', 'https://api.deepseek.com/v1/chat/completions', DOCUMENTED['deepseek'])
  same('moonshot', 'https://api.moonshot.ai/anthropic/v1/messages', DOCUMENTED['moonshot'])
  same('gemini', 'https://generativelanguage.googleapis.com/v1beta/openai/', DOCUMENTED['gemini'])
  same('zai', 'https://api.z.ai/api/coding/paas/v4', [
    'https://api.z.ai/api/coding/paas/v4/chat/completions',
    'https://api.z.ai/api/anthropic/v1/messages'
  ])
  same('deepseek', 'https://proxy.example/deep/v1', [
    'https://proxy.example/deep/v1/chat/completions',
    'https://proxy.example/deep/anthropic/v1/messages'
  ])
  same('ollama', 'http://10.0.0.1:11434/v1', [
    'http://10.0.0.1:11434/v1/chat/completions',
    'http://10.0.0.1:11434/v1/responses',
    'http://10.0.0.1:11434/v1/messages'
  ])
  same('custom', 'https://models.example/openai/v1', ['https://models.example/openai/v1/chat/completions'])
  same('custom', 'https://models.example/llm', ['https://models.example/llm/chat/completions'])
  same('self-hosted', 'https://api.runpod.ai/v2/abc/openai/v1', [
    'https://api.runpod.ai/v2/abc/openai/v1/messages',
    'https://api.runpod.ai/v2/abc/openai/v1/chat/completions',
    'https://api.runpod.ai/v2/abc/openai/v1/responses'
  ])
})

t.test('other operations stand below the same base', async t => {
  const result = reached('groq')
  if (typeof result === 'string') throw new Error(result)
  const [chat] = result.surfaces
  t.equal(chat && urlOf(result.url, chat, 'embeddings'), 'https://api.groq.com/openai/v1/embeddings')
  t.equal(chat && urlOf(result.url, chat, 'completions'), 'https://api.groq.com/openai/v1/completions')
  const claude = reached('anthropic')
  if (typeof claude === 'string') throw new Error(claude)
  const [messages] = claude.surfaces
  t.equal(messages && urlOf(claude.url, messages, 'count-tokens'), 'https://api.anthropic.com/v1/messages/count_tokens')
})

t.test('the key goes where the provider looks for it, and what the entry declares comes before it', async t => {
  const headersOf = (provider: string, dialect?: DialectName, headers: Record<string, string> = {}) => {
    const base = new URL(preset(provider).apiBase ?? 'https://host.example')
    const surfaces = surfacesOf(preset(provider), base, 'secret', headers, dialect)
    return Object.fromEntries(
      (surfaces[0]?.headers ?? []).flatMap((name, index, all) => (index % 2 === 0 ? [[name, all[index + 1]]] : []))
    )
  }
  t.same(headersOf('openai'), { authorization: 'Bearer secret' })
  t.same(headersOf('anthropic'), { 'x-api-key': 'secret' })
  t.same(headersOf('gemini'), { 'x-goog-api-key': 'secret' })
  t.same(headersOf('gemini', 'openai-chat'), { authorization: 'Bearer secret' })
  t.same(headersOf('azure-openai'), { 'api-key': 'secret' })
  t.same(headersOf('deepseek', 'anthropic'), { authorization: 'Bearer secret', 'x-api-key': 'secret' })
  t.same(headersOf('openai', undefined, { Authorization: 'Other', 'X-Team': 'a' }), {
    authorization: 'Other',
    'x-team': 'a'
  })
  t.same(headersOf('demo'), {})
  for (const name of PROVIDER_NAMES) if (name !== 'demo') t.notSame(headersOf(name), {}, `${name} sends its key`)
})

t.test('a key is looked for in the environment, and said to be missing once', async t => {
  const found = reached('cerebras', { apiKey: undefined }, { CEREBRAS_API_KEY: 'from-env' })
  t.match(found, { surfaces: [{ headers: ['authorization', 'Bearer from-env'] }], warning: undefined })
  t.match(reached('cerebras', { apiKey: undefined }), { warning: /CEREBRAS_API_KEY is not set; Cerebras will refuse/ })
  t.match(reached('cerebras', { apiKey: '' }), { surfaces: [{ headers: [] }], warning: undefined })
  t.match(reached('ollama', { apiKey: undefined }), { surfaces: [{ headers: [] }], warning: undefined })
  t.match(reached('custom'), /`api_base` is missing: .*such as https:\/\/models\.example\.com\/v1/)
  t.match(reached('custom', { apiBase: 'nonsense' }), /not a URL/)
})

t.test('a body is made to fit: left out, renamed, filled in, and each is told', async t => {
  const quirksOf = (name: string) => preset(name).quirks ?? {}
  const fit = (name: string, body: Record<string, unknown>) => ({ dropped: applyQuirks(body, quirksOf(name)), body })
  t.same(fit('cerebras', { model: 'm', frequency_penalty: 0.5, parallel_tool_calls: true, temperature: 1 }), {
    dropped: ['frequency_penalty', 'parallel_tool_calls'],
    body: { model: 'm', temperature: 1 }
  })
  t.same(fit('mistral', { max_completion_tokens: 9, seed: 7, store: false }), {
    dropped: ['store'],
    body: { max_tokens: 9, random_seed: 7 }
  })
  t.same(fit('mistral', { max_completion_tokens: 9, max_tokens: 5 }).body, { max_tokens: 5 })
  t.same(fit('groq', { n: 1 }), { dropped: [], body: { n: 1 } })
  t.same(fit('groq', { n: 2 }), { dropped: ['n'], body: {} })
  t.same(fit('mlx', {}).body, { max_tokens: 8192 })
  t.same(fit('mlx', { max_tokens: 3 }).body, { max_tokens: 3 })
  t.same(fit('mlx', { max_completion_tokens: 3 }).body, { max_completion_tokens: 3 })
  t.same(fit('openai', { anything: 1 }), { dropped: [], body: { anything: 1 } })
})

t.test('a path reaches into lists, and what it passes through is left as it was', async t => {
  const message = { role: 'user', name: 'ann', content: 'x' }
  const body: Record<string, unknown> = { messages: [message, 'odd', null, { role: 'user', content: 'y' }] }
  t.same(applyQuirks(body, { rejects: ['messages[].name'] }), ['messages[].name'])
  t.same(body, {
    messages: [{ role: 'user', content: 'x' }, 'odd', null, { role: 'user', content: 'y' }]
  })
  t.equal(message.name, 'ann')
  const tools = { tools: [{ function: { strict: true, name: 'f' } }], choice: { deep: { kept: 1, gone: 2 } } }
  t.same(applyQuirks(tools, { rejects: ['tools[].function.strict', 'choice.deep.gone', 'choice.none.gone'] }), [
    'tools[].function.strict',
    'choice.deep.gone'
  ])
  t.same(tools, { tools: [{ function: { name: 'f' } }], choice: { deep: { kept: 1 } } })
  for (const messages of [undefined, null, 'text', {}, 5, [[]]])
    t.same(applyQuirks({ messages }, { rejects: ['messages[].name'] }), [])
})

t.test('quirks belong to Chat Completions alone', async t => {
  const result = reached('groq')
  if (typeof result === 'string') throw new Error(result)
  t.same(
    result.surfaces.map(surface => [surface.dialect, surface.quirks === undefined]),
    [
      ['openai-chat', false],
      ['openai-responses', true]
    ]
  )
})

t.test('a key in the environment is a finding when somebody can be reached by it', async t => {
  const found = async (env: Record<string, string>) => {
    const findings = await detect(env, 0, [])
    return findings.map(finding => (finding.kind === 'key' ? finding.provider : finding.kind))
  }
  t.same(await found({ MOONSHOT_API_KEY: 'k', ZAI_API_KEY: 'k', COHERE_API_KEY: '' }), ['moonshot', 'zai'])
  t.same(await found({ GITHUB_TOKEN: 'k', HF_TOKEN: 'k' }), [], 'they are set for other purposes')
  t.same(await found({ AZURE_OPENAI_API_KEY: 'k', AWS_BEARER_TOKEN_BEDROCK: 'k' }), [], 'nobody says where')
  const places = { AZURE_OPENAI_ENDPOINT: 'https://r.openai.azure.com', AWS_REGION: 'eu-west-1' }
  const both = { AZURE_OPENAI_API_KEY: 'k', AWS_BEARER_TOKEN_BEDROCK: 'k', ...places }
  t.same(await found(both), ['azure-openai', 'bedrock'])
})
