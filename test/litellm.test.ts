import { join } from 'node:path'
import t from 'tap'
import { PROVIDERS, placeModel, UNREACHED } from '../src/config/litellm/providers.ts'
import type { Fit } from '../src/config/litellm/report.ts'
import { type LoadedConfig, loadConfig, parseConfig } from '../src/config/load.ts'
import { formatProblem, type Problem } from '../src/config/problem.ts'

const FILE = join(process.cwd(), 'config.test.yaml')
const NAMES = [...new Set([...Object.values(PROVIDERS), 'demo'])]
const ENV = {
  OPENAI_API_KEY: 'o',
  AZURE_API_BASE: 'https://a',
  AZURE_API_KEY: 'z',
  ANTHROPIC_API_KEY: 'a',
  REDIS_HOST: 'r',
  LITELLM_MASTER_KEY: 'm',
  DATABASE_URL: 'postgres://u:p@h/d'
}

function read(text: string): { loaded: LoadedConfig | undefined; problems: readonly Problem[]; lines: string[] } {
  const result = parseConfig(text, FILE, { env: ENV, known: { providers: NAMES } })
  const problems = result.ok ? result.loaded.problems : result.problems
  return { loaded: result.ok ? result.loaded : undefined, problems, lines: problems.map(formatProblem) }
}

function load(text: string): LoadedConfig {
  const { loaded, lines } = read(text)
  if (loaded === undefined) throw new Error(lines.join('\n'))
  return loaded
}

function fitOf(loaded: LoadedConfig, path: string): Fit | undefined {
  return loaded.report?.lines.find(line => line.path === path)?.fit
}

/** LiteLLM's own example, with both kinds of everything. */
const CANONICAL = `model_list:
  - model_name: gpt-4o                      # group of two deployments
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 600, weight: 2, timeout: 60, stream_timeout: 10}
  - model_name: gpt-4o
    litellm_params: {model: azure_ai/my-gpt4o, api_base: os.environ/AZURE_API_BASE, api_key: os.environ/AZURE_API_KEY, api_version: "2024-08-01-preview", order: 2}
    model_info: {id: azure-eu-1, base_model: azure/gpt-4o}
  - model_name: "claude-*"
    litellm_params: {model: "anthropic/claude-*", api_key: os.environ/ANTHROPIC_API_KEY}
  - model_name: "ollama/*"
    litellm_params: {model: "ollama/*", api_base: http://localhost:11434}
  - model_name: "*"
    litellm_params: {model: "*"}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  fallbacks: [{"gpt-4o": ["claude-sonnet-4-5"]}, {"*": ["gpt-4o"]}]
  context_window_fallbacks: [{"gpt-4o": ["claude-sonnet-4-5"]}]
  model_group_alias: {"gpt-4": "gpt-4o"}
  allowed_fails: 3
  cooldown_time: 30
litellm_settings:
  callbacks: [prometheus, custom_callbacks.proxy_handler_instance]
  drop_params: true
  cache: true
  cache_params: {type: redis, host: os.environ/REDIS_HOST, port: 6379, ttl: 600}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DATABASE_URL
`

t.test('of the canonical config only what cannot be reached is an error', async t => {
  const errors = read(CANONICAL).problems.filter(problem => problem.severity === 'error')
  t.match(errors, [
    {
      line: 5,
      column: 29,
      path: 'model_list[1].litellm_params.model',
      message: 'the provider `azure_ai` cannot be reached by this version'
    }
  ])
  t.equal(errors.length, 1)
})

t.test('the canonical config, its azure entry pointed elsewhere, runs', async t => {
  const loaded = load(CANONICAL.replace('azure_ai/my-gpt4o', 'openai/my-gpt4o'))
  const { config } = loaded
  t.match(config.model_list.slice(0, 4), [
    {
      model_name: 'gpt-4o',
      provider: 'openai',
      model: 'gpt-4o',
      api_key: 'o',
      timeouts: { total: 60, first_token: 10, idle: '60s' }
    },
    { model_name: 'gpt-4o', provider: 'custom', model: 'my-gpt4o', api_base: 'https://a', api_key: 'z' },
    { model_name: 'claude-*', provider: 'anthropic', model: 'claude-*', api_key: 'a' },
    { model_name: 'ollama/*', provider: 'ollama', model: '*', api_base: 'http://localhost:11434' }
  ])
  // LiteLLM tries what has an order before what has none.
  t.same(
    config.model_list.slice(0, 2).map(({ weight, order, rpm }) => ({ weight, order, rpm })),
    [
      { weight: 2, order: 3, rpm: 600 },
      { weight: 1, order: 2, rpm: undefined }
    ]
  )
  t.match(config.routing, {
    strategy: 'weighted',
    retries: 2,
    cooldown: { failures: 4, within: '1m', for: 30 },
    context_fallbacks: { 'gpt-4o': ['claude-sonnet-4-5'] }
  })
  t.same(
    config.model_list.slice(4).map(entry => `${entry.model_name} → ${entry.provider}`),
    [
      ...['gpt-*', 'chatgpt-*', 'o1*', 'o3*', 'o4*', 'text-embedding-*'].map(name => `${name} → openai`),
      'gemini-* → gemini'
    ]
  )
  t.same(config.routing.fallbacks, { 'gpt-4o': ['claude-sonnet-4-5'], '*': ['gpt-4o'] })
  t.same(config.aliases, { 'gpt-4': 'gpt-4o' })
  t.same(config.auth, { master_key: 'm' })
  t.equal(config.store.database_url, 'postgres://u:p@h/d')
  for (const [path, fit] of [
    ['model_list[0].litellm_params.model', 'exact'],
    ['model_list[0].litellm_params.timeout', 'approximate'],
    ['model_list[0].litellm_params.rpm', 'approximate'],
    ['model_list[1].litellm_params.order', 'exact'],
    ['model_list[4].litellm_params.model', 'approximate'],
    ['router_settings.routing_strategy', 'exact'],
    ['router_settings.num_retries', 'approximate'],
    ['router_settings.allowed_fails', 'approximate'],
    ['router_settings.context_window_fallbacks[0].gpt-4o', 'exact'],
    ['router_settings.fallbacks[0].gpt-4o', 'exact'],
    ['litellm_settings.callbacks[0]', 'approximate'],
    ['litellm_settings.callbacks[1]', 'unsupported'],
    ['general_settings.master_key', 'exact'],
    ['general_settings.database_url', 'approximate']
  ] as const) {
    t.equal(fitOf(loaded, path), fit, path)
  }
  const unsupported = loaded.report?.lines.filter(line => line.fit === 'unsupported') ?? []
  t.equal(loaded.problems.length, unsupported.length, 'each is a warning too')
  t.match(
    loaded.locate(['model_list', 1, 'api_base']),
    { line: 5, column: 56 },
    'a place is a place in the file as it is'
  )
})

t.test('every key of the report is read once, with a place and a reason', async t => {
  const { report } = load(CANONICAL.replace('azure_ai/my-gpt4o', 'openai/my-gpt4o'))
  const paths = report?.lines.map(line => line.path) ?? []
  t.same(paths, [...new Set(paths)])
  for (const line of report?.lines ?? []) t.ok(line.line > 0 && line.column > 0 && line.reason.length > 0, line.path)
})

t.test('what LiteLLM ignores in silence is an error here', async t => {
  const told = read(`model_list:
  - model_name: a
    litellm_params: {model: openai/x, timout: 5, rmp: 3, api_baes: x}
    model_inf: {}
  - model_name: b
    litellm_params: {api_key: x}
  - model_name: c
    litellm_params: {model: sagemaker/x}
  - model_name: d
    litellm_params: {model: mystery}
  - model_name: e
    litellm_params: nothing
  - model_name: f
    litellm_params: {model: openai/y, litellm_credential_name: gone}
router_settings:
  num_retires: 2
  fallbacks: [{a: [nowhere]}]
  model_group_alias: {x: nowhere}
general_settings: {mater_key: x, unheard_of: 1}
litellm_settings: {drop_prams: true}
router_setings: {}
`).lines.join('\n')
  for (const expected of [
    /:3:39 error .*timout: unknown key; did you mean "timeout"/,
    /:3:50 error .*rmp: unknown key; did you mean "rpm"/,
    /:3:58 error .*api_baes: unknown key; did you mean "api_base"/,
    /:4:5 error model_list\[0\].model_inf: unknown key; did you mean "model_info"/,
    /:6:21 error .*needs `model`/,
    /:8:29 error .*the provider `sagemaker` cannot be reached/,
    /:10:29 error .*does not say which provider/,
    /:12:21 error model_list\[4\]: `litellm_params` must be a map/,
    /:14:39 error .*no credential of this name/,
    /:16:3 error router_settings.num_retires: unknown key; did you mean "num_retries"/,
    /general_settings.mater_key: unknown key; did you mean "master_key"/,
    /general_settings.unheard_of: unknown key; LiteLLM has no such setting/,
    /litellm_settings.drop_prams: unknown key; did you mean "drop_params"/,
    /router_setings: unknown key "router_setings"; did you mean "router_settings"/
  ]) {
    t.match(told, expected)
  }
  const names = read(`model_list: [{model_name: a, litellm_params: {model: openai/x}}]
router_settings:
  fallbacks: [{a: [nowhere]}]
  model_group_alias: {x: nowhere}
`).lines
  t.match(names, [
    /:3:20 error routing.fallbacks.a\[0\]: nothing serves this name/,
    /:4:26 error aliases.x: nothing serves this name/
  ])
})

t.test('a key of the provider’s own is told and does not stop', async t => {
  const loaded = load('model_list: [{model_name: a, litellm_params: {model: openai/x, my_own_thing: 1}}]\n')
  t.equal(fitOf(loaded, 'model_list[0].litellm_params.my_own_thing'), 'unsupported')
})

t.test('the settings that map, map', async t => {
  const { config } = load(`environment_variables: {REGION: eu}
credential_list:
  - {credential_name: shared, credential_values: {api_key: os.environ/OPENAI_API_KEY, api_base: "http://\${REGION}.example/v1"}}
model_list:
  - {model_name: a, litellm_params: {model: gpt-4o-mini, organization: org-1, extra_headers: {x-team: s}, max_tokens: "100", timeout: 7}, model_info: {max_input_tokens: 8000}}
  - {model_name: b, litellm_params: {model: openai/local, litellm_credential_name: shared, ttft_timeout: 3, stream_idle_timeout: 4}}
  - {model_name: c, litellm_params: {model: whatever, custom_llm_provider: groq}}
  - {model_name: d, litellm_params: {model: openai/x, mock_response: pong}}
  - {model_name: "bed-*", litellm_params: {model: "openrouter/anthropic/claude-*"}}
  - {model_name: native, provider: demo}
router_settings: {timeout: 30, default_fallbacks: [d], model_group_alias: {e: {model: a, hidden: true}}}
litellm_settings: {request_timeout: 6000, json_logs: true, success_callback: prometheus}
general_settings:
  max_request_size_mb: 2
  pass_through_endpoints: [{path: /v1/rerank, target: "https://api.example.com/v1/rerank", headers: {authorization: os.environ/OPENAI_API_KEY}}]
server: {port: 5000}
`)
  t.match(config.model_list, [
    {
      provider: 'openai',
      model: 'gpt-4o-mini',
      headers: { 'openai-organization': 'org-1', 'x-team': 's' },
      max_tokens: 100,
      context_window: 8000,
      timeouts: { total: 7 }
    },
    {
      provider: 'custom',
      model: 'local',
      api_key: 'o',
      api_base: 'http://eu.example/v1',
      timeouts: { total: 30, first_token: 3, idle: 4 }
    },
    { provider: 'groq', model: 'whatever' },
    { provider: 'demo', demo: { text: 'pong' } },
    { model_name: 'bed-*', provider: 'openrouter', model: 'anthropic/claude-*' },
    { model_name: 'native', provider: 'demo' }
  ])
  t.match(config.server, { port: 5000, body_limit: 2 * 1024 * 1024, logs: { format: 'json' } })
  t.same(config.routing.fallbacks, { '*': ['d'] })
  t.same(config.aliases, { e: 'a' })
  t.match(config.passthrough, {
    'v1-rerank': { target: 'https://api.example.com/v1/rerank', headers: { authorization: 'o' } }
  })
})

t.test('load is shared as simple-shuffle shares it', async t => {
  const weights = (...params: string[]): number[] =>
    load(
      `model_list:\n${params.map(more => `  - {model_name: a, litellm_params: {model: openai/x, ${more}}}\n`).join('')}`
    ).config.model_list.map(entry => entry.weight)
  t.same(weights('weight: 3', 'weight: 1', 'rpm: 9'), [3, 1, 1e-6], 'a missing share is a spare')
  t.same(weights('rpm: 600', 'rpm: 60', 'weight: 5'), [600, 60, 1e-6], 'the first entry says by what')
  t.same(weights('api_key: k', 'weight: 7'), [1, 1], 'when it says nothing, all are equal')
  t.same(weights('weight: 0', 'weight: 3'), [1e-6, 3])
})

const listOf = (...params: string[]): string =>
  `model_list:\n${params.map(more => `  - {model_name: a, litellm_params: {model: openai/x, ${more}}}\n`).join('')}`

t.test('who comes first is said in our words, and what has no order comes last', async t => {
  const orders = (...params: string[]): number[] => load(listOf(...params)).config.model_list.map(entry => entry.order)
  t.same(orders('order: 2', 'order: 1', 'timeout: 3'), [2, 1, 3])
  t.same(orders('order: "2"', 'order: 2'), [2, 2])
  t.same(orders('order: -1', 'order: 5', 'timeout: 3'), [0, 1, 2], 'an order that we cannot say keeps its rank')
  t.same(orders('timeout: 3', 'timeout: 3'), [0, 0])
})

t.test('limits and prices of an entry are taken over', async t => {
  const { config } = load(`${listOf(
    'rpm: 0, tpm: "1000.7", max_parallel_requests: 4, input_cost_per_token: 1.5e-7, output_cost_per_token: "6e-7"',
    'rpm: 60'
  )}  - {model_name: b, litellm_params: {model: openai/y}, model_info: {cache_read_input_token_cost: 0.00000003, cache_creation_input_token_cost: 0}}
router_settings: {default_max_parallel_requests: 9}
`)
  const [one, two, three] = config.model_list
  t.match(one, { tpm: 1000, max_parallel: 4, price: { input: 0.15, output: 0.6 } })
  t.equal(one?.rpm, undefined, 'zero is no limit')
  t.match(two, { rpm: 60, max_parallel: 9 })
  t.match(three, { price: { cache_read: 0.03, cache_write: 0 } })
})

t.test('tags choose entries only where LiteLLM lets them', async t => {
  const list = listOf('tags: [fast, eu]', 'timeout: 3')
  const off = load(list)
  t.same(off.config.model_list[0]?.tags, [])
  t.equal(fitOf(off, 'model_list[0].litellm_params.tags'), 'exact', 'they choose nothing there either')
  const on = load(`${list}router_settings: {enable_tag_filtering: true, tag_filtering_match_any: false}\n`)
  t.same(on.config.model_list[0]?.tags, ['fast', 'eu'])
  t.equal(fitOf(on, 'router_settings.tag_filtering_match_any'), 'exact')
  t.equal(
    fitOf(
      load(`${list}router_settings: {enable_tag_filtering: true, tag_filtering_match_any: true}\n`),
      'router_settings.tag_filtering_match_any'
    ),
    'approximate'
  )
})

t.test('each strategy of LiteLLM has its nearest here, and what it has not is an error', async t => {
  const strategy = (name: string) => load(`${listOf('timeout: 3')}router_settings: {routing_strategy: ${name}}\n`)
  for (const [theirs, ours, fit] of [
    ['simple-shuffle', 'weighted', 'exact'],
    ['least-busy', 'least-busy', 'exact'],
    ['latency-based-routing', 'fastest', 'approximate'],
    ['cost-based-routing', 'cheapest', 'approximate'],
    ['usage-based-routing', 'least-busy', 'approximate'],
    ['usage-based-routing-v2', 'least-busy', 'approximate']
  ] as const) {
    const loaded = strategy(theirs)
    t.equal(loaded.config.routing.strategy, ours, theirs)
    t.equal(fitOf(loaded, 'router_settings.routing_strategy'), fit, theirs)
  }
  t.match(read(`${listOf('timeout: 3')}router_settings: {routing_strategy: least-bsuy}\n`).lines, [
    /:3:37 error router_settings.routing_strategy: LiteLLM has no such strategy; did you mean "least-busy"\?/
  ])
})

t.test('where state is kept, and for how long, is taken over', async t => {
  const list = listOf('timeout: 3')
  const said = load(`${list}router_settings: {redis_url: "redis://r:6379"}
general_settings: {maximum_spend_logs_retention_period: 14d}
`)
  t.match(said.config, { store: { redis_url: 'redis://r:6379' }, spend: { retention: '14d' } })
  const odd = load(`${list}general_settings: {maximum_spend_logs_retention_period: 1mo}\n`)
  t.equal(fitOf(odd, 'general_settings.maximum_spend_logs_retention_period'), 'unsupported')
})

t.test('what the router says of failures holds, wherever it is said', async t => {
  const routing = (more: string) => load(`${listOf('timeout: 3')}${more}`).config.routing
  t.match(routing('litellm_settings: {num_retries: 3, allowed_fails: 0, cooldown_time: "5"}\n'), {
    retries: 3,
    cooldown: { failures: 1, within: '1m', for: 5 }
  })
  t.match(
    routing('router_settings: {num_retries: 1}\nlitellm_settings: {num_retries: 3}\n'),
    { retries: 1 },
    'the router wins, as in LiteLLM'
  )
  t.match(routing('router_settings: {num_retries: 50}\n'), { retries: 10 })
  for (const both of ['allowed_fails: 2, disable_cooldowns: true', 'disable_cooldowns: true, allowed_fails: 2'])
    t.match(routing(`router_settings: {${both}}\n`), { cooldown: { failures: 0 } }, both)
  t.match(routing('router_settings: {allowed_fails: 2, disable_cooldowns: false}\n'), { cooldown: { failures: 3 } })
  t.match(routing('  - {model_name: b, provider: demo}\nlitellm_settings: {content_policy_fallbacks: [{a: [b]}]}\n'), {
    content_policy_fallbacks: { a: ['b'] }
  })
  const wrong = read(
    `${listOf('timeout: 3')}router_settings: {num_retries: 1.5, allowed_fails: x, cooldown_time: [], context_window_fallbacks: {}}\n`
  ).lines.join('\n')
  for (const expected of [
    /num_retries: must be a whole number/,
    /allowed_fails: must be a whole number/,
    /cooldown_time: must be a number of seconds/,
    /context_window_fallbacks: must be a list of maps/
  ])
    t.match(wrong, expected)
})

t.test('every prefix is placed or refused, none guessed', async t => {
  for (const prefix of Object.keys(PROVIDERS))
    t.match(placeModel(`${prefix}/x`, undefined, false), { provider: PROVIDERS[prefix], model: 'x', inferred: false })
  for (const prefix of UNREACHED) t.type(placeModel(`${prefix}/x`, undefined, false), 'string')
  for (const prefix of UNREACHED) t.notOk(Object.hasOwn(PROVIDERS, prefix))
  t.type(placeModel('toString/x', undefined, false), 'string')
  t.type(placeModel('x', '__proto__', false), 'string')
})

t.test('an include of LiteLLM’s extends the list', async t => {
  const folder = t.testdir({
    'config.yaml': 'include: [more.yaml]\nmodel_list: [{model_name: a, litellm_params: {model: openai/x}}]\n',
    'more.yaml':
      'model_list: [{model_name: b, litellm_params: {model: openai/y}}]\nlitellm_settings: {num_retries: 3}\n'
  })
  const result = loadConfig(join(folder, 'config.yaml'), { env: {} })
  t.match(result, {
    ok: true,
    loaded: {
      config: { model_list: [{ model_name: 'a' }, { model_name: 'b', model: 'y' }], routing: { retries: 3 } },
      problems: []
    }
  })
})
