// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references are what is tested.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { describeChanges } from '../src/config/changes.ts'
import type { GatewayConfig } from '../src/config/generated/types.ts'
import { type LoadedConfig, type LoadOptions, loadConfig, parseConfig } from '../src/config/load.ts'
import { formatProblem, type Problem } from '../src/config/problem.ts'
import { watchConfig } from '../src/config/watch.ts'
import { parseDuration, readDuration } from '../src/lib/duration.ts'
import { parseSize, readSize } from '../src/lib/size.ts'

const build = join(dirname(fileURLToPath(import.meta.url)), '..')
const root = dirname(build)
const PROVIDERS = ['demo', 'openai', 'anthropic', 'ollama', 'self-hosted', 'cerebras', 'mlx']
const FILE = join(process.cwd(), 'test.yaml')

function problemsOf(text: string, env: LoadOptions['env'] = {}): readonly Problem[] {
  const result = parseConfig(text, FILE, { env, known: { providers: PROVIDERS } })
  return result.ok ? result.loaded.problems : result.problems
}

/** What is wrong, as it is printed. */
function linesOf(text: string, env: LoadOptions['env'] = {}): string[] {
  return problemsOf(text, env).map(formatProblem)
}

function load(text: string, env: LoadOptions['env'] = {}, options: Partial<LoadOptions> = {}): LoadedConfig {
  const result = parseConfig(text, FILE, { env, known: { providers: PROVIDERS }, ...options })
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'))
  return result.loaded
}

const ONE = 'model_list: [{model_name: a, provider: demo}]\n'

t.test('what is generated is what the schema says', async t => {
  const options = ['scripts/generate.mjs', '--check', '--build', build]
  const { status, stderr } = spawnSync(process.execPath, options, { cwd: root, encoding: 'utf8' })
  t.equal(status, 0, stderr)
})

t.test('every property of the schema has a title, a description and an example, and its default fits it', async t => {
  const schema = JSON.parse(readFileSync(join(root, 'schemas/gateway.schema.json'), 'utf8'))
  const walk = (node: Record<string, unknown>, path: string): void => {
    for (const [key, property] of Object.entries(
      (node['properties'] ?? {}) as Record<string, Record<string, unknown>>
    )) {
      for (const word of ['title', 'description', 'examples']) t.ok(property[word], `${path}.${key} has ${word}`)
      walk(property, `${path}.${key}`)
    }
    for (const word of ['items', 'additionalProperties']) {
      const below = node[word]
      if (typeof below === 'object' && below !== null) walk(below as Record<string, unknown>, `${path}.${word}`)
    }
  }
  walk(schema, '')
})

t.test('defaults are filled in and do not count as said', async t => {
  const { config, problems } = load(ONE)
  t.same(problems, [])
  t.match(config, {
    server: {
      host: '127.0.0.1',
      port: 4000,
      body_limit: '32mb',
      drain: '30s',
      logs: { level: 'info', format: 'auto' }
    },
    auth: {},
    model_list: [
      { weight: 1, headers: {}, timeouts: { connect: '5s', first_token: '120s', idle: '60s', total: '10m' } }
    ],
    routing: { strategy: 'weighted', fallbacks: {} }
  })
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.model_list[0]?.timeouts))
})

t.test('the example of the contract is understood', async t => {
  const { config } = load(
    `# yaml-language-server: $schema=./schemas/gateway.schema.json
server: { host: 127.0.0.1, port: 4000, body_limit: 32mb, drain: 30s }
auth:
  master_key: \${SLUICE_MASTER_KEY:-}
store: { database_url: "\${DATABASE_URL:-}", data_dir: ./.sluice, redis_url: "\${REDIS_URL:-}" }
backends:
  cerebras: { provider: cerebras, api_key: \${CEREBRAS_API_KEY} }
  vast:     { provider: self-hosted, api_base: http://127.0.0.1:8000 }
active_backend: cerebras
model_list:
  - model_name: claude-*
    provider: mlx
    dialect: openai-chat
    model: mlx-community/Qwen2.5-Coder-32B-Instruct-8bit
    api_base: http://localhost:11402/v1
    api_key: placeholder
    max_tokens: 8192
    headers: { MAX_TOKENS: "8192" }
    weight: 1
    rpm: 60
    tpm: 100000
    max_parallel: 1
    timeouts: { connect: 5s, first_token: 120s, idle: 60s, total: 10m }
    price: { input: 0.25, output: 1.0, cache_read: 0.02, cache_write: 0.3 }
    tags: [local]
    hooks: [strip-prefix]
  - { model_name: gpt-4o, backend: active }
aliases: { sonnet: claude-sonnet-4-5 }
routing:
  strategy: weighted
  retries: 2
  cooldown: { failures: 3, within: 30s, for: 30s }
  fallbacks: { "claude-*": [gpt-4o, cerebras/llama3.3-70b] }
  context_fallbacks: {}
hooks:
  - strip-prefix: { prefixes: [openai/, anthropic/] }
  - token-cap: { max: 8192 }
  - cache: { ttl: 24h }
  - ./hooks/my-hook.ts: { greeting: hello }
passthrough:
  openai: { target: https://api.openai.com, headers: { authorization: "Bearer \${OPENAI_API_KEY}" } }
`,
    { CEREBRAS_API_KEY: 'c', OPENAI_API_KEY: 'o' }
  )
  t.equal(config.backends['cerebras']?.api_key, 'c')
  t.equal(config.hooks.length, 4)
  t.same(config.model_list[0]?.price, { input: 0.25, output: 1, cache_read: 0.02, cache_write: 0.3 })
  t.equal(config.passthrough['openai']?.headers['authorization'], 'Bearer o')
})

t.test('what is wrong is told at its place, in one line, with what was meant', async t => {
  const cases: [string, string][] = [
    ['server:\n  prot: 1\n', '2:3 error server.prot: unknown key "prot"; did you mean "port"?'],
    ['server: {port: 70000}\n', '1:16 error server.port: must be at most 65535'],
    ['server: {port: auot}\n', '1:16 error server.port: must be one of: auto; did you mean "auto"?'],
    ['server: {port: [1]}\n', '1:16 error server.port: must be a whole number or "auto"; for example 4000, auto'],
    [
      'server: {logs: {format: jsn}}\n',
      '1:25 error server.logs.format: must be one of: auto, json, pretty; did you mean "json"?'
    ],
    ['server:\n  drain: 5 minutes\n', '2:10 error server.drain: is not a duration; for example 500ms, 30s, 10m'],
    ['server:\n  body_limit: big\n', '2:15 error server.body_limit: is not a size; for example 512kb, 32mb'],
    ['auth: noen\n', '1:7 error auth: must be one of: none; did you mean "none"?'],
    ['auth: {master_kye: x}\n', '1:8 error auth.master_kye: unknown key "master_kye"; did you mean "master_key"?'],
    ['aliases:\n', '1:1 error aliases: is empty; give it a value or remove the key'],
    ['model_list:\n  - model_name: a\n', '2:5 error model_list[0]: needs `provider` or `backend`; say who serves it'],
    ['model_list:\n  - provider: demo\n', '2:5 error model_list[0]: needs `model_name`'],
    [
      'model_list:\n  - {model_name: a, provider: demo, modle: x}\n',
      '2:37 error model_list[0].modle: unknown key "modle"; did you mean "model"?'
    ],
    [
      'model_list:\n  - {model_name: a, provider: opnai}\n',
      '2:31 error model_list[0].provider: no provider of this name is known; did you mean "openai"?'
    ],
    [
      'model_list:\n  - {model_name: a, provider: demo, max_tokens: lots}\n',
      '2:49 error model_list[0].max_tokens: must be a whole number; for example 8192'
    ],
    [
      'model_list:\n  - {model_name: a, provider: demo, headers: {n: 5}}\n',
      '2:50 error model_list[0].headers.n: must be a text; write it in quotes'
    ],
    [
      'model_list:\n  - {model_name: a, provider: demo, demo: {fail: 429}}\n',
      '2:50 error model_list[0].demo.fail: must be a text; write it in quotes: "429"'
    ],
    [
      'model_list: [5]\n',
      '1:14 error model_list[0]: must be a map of keys; for example {"model_name":"claude-*","provider":"mlx","model":"mlx-community/Qwen2.5-Coder-32B-Instruct-8bit"}'
    ],
    ['- a\n', '1:1 error must be a map of keys'],
    ['', '1:1 error the file is empty; write at least `model_list: []`'],
    ['server: {port: 1}\nserver: {port: 2}\n', '2:1 error server: the key "server" is here twice: first on line 1'],
    ['server: {__proto__: {host: x}}\n', '1:10 error server: the key "__proto__" is not allowed'],
    ['aliases: {a: {"b": c}}\n', '1:14 error aliases.a: must be a text']
  ]
  for (const [text, line] of cases) t.equal(linesOf(text)[0], `test.yaml:${line}`)
})

t.test('text that is not YAML is told at its place', async t => {
  t.match(linesOf('server:\n\tport: 1\n')[0], /^test.yaml:2:1 error a tab cannot indent/)
  t.match(linesOf('server:\n  host: x\n port: 1\n')[0], /^test.yaml:3:\d+ error /)
  t.match(linesOf('server: {host: "x}\n')[0], /^test.yaml:\d+:\d+ error /)
  t.match(linesOf('a: 1\n---\nb: 2\n')[0], /^test.yaml:2:1 error one document per file/)
  t.match(linesOf('auth: {master_key: *sk-secret}\n')[0], /^test.yaml:1:20 error auth.master_key: the alias/)
  t.match(linesOf('server: !!binary aGVsbG8=\n')[0], /^test.yaml:1:\d+ error /)
  t.match(linesOf('? [a]\n: b\n')[0], /error a key must be a text/)
})

t.test('keys that are declared can be told apart, and somebody looks at them', async t => {
  const hash = 'ab'.repeat(32)
  const keysOf = (keys: object[], more = 'auth: {master_key: "${KEY:-sk-master}"}\n') =>
    linesOf(`${ONE}${more}keys: ${JSON.stringify(keys)}\n`)
  t.same(
    keysOf([{ alias: 'a', hash, models: ['demo'], max_budget: 1, budget_duration: '1d', expires: '2027-01-31' }]),
    []
  )
  t.match(keysOf([{ alias: 'a', hash }], ''), [/keys: nobody is asked for a key here/])
  t.match(keysOf([{ alias: 'a', hash }], 'auth: none\n'), [/keys: nobody is asked for a key here.*lets anybody in/])
  const twice = [/keys\[1\]\.alias: is another key/, /keys\[1\]\.hash: is another key/]
  t.match(
    keysOf([
      { alias: 'a', hash },
      { alias: 'a', hash }
    ]),
    twice
  )
  t.match(keysOf([{ alias: 'a', hash: 'sk-plain' }]), [/keys\[0\]\.hash/])
  t.match(keysOf([{ alias: 'a', hash, expires: '2027-13-45' }]), [/keys\[0\]\.expires: is no time/])
  t.match(keysOf([{ alias: 'a', hash, allowed_ips: ['10.0.0.0/33'] }]), [/allowed_ips\[0\]: is neither/])
  t.match(keysOf([{ alias: 'a', hash, budget_duration: '3 moons' }]), [/keys\[0\]\.budget_duration/])
})

t.test('references are put in, and a missing one is told at its place', async t => {
  const folder = t.testdir({ secret: 'from-file\n' })
  const text = `model_list:
  - model_name: a
    provider: demo
    model: "x-\${A}-$\${B}-\${C:-d,e: {f} #g}"
    api_key: \${file:${folder}/secret}
    api_base: os.environ/BASE
    max_tokens: \${MAX:-100}
    headers: { one: \${EMPTY:-fallback}, two: "\${EMPTY}", three: \${A:-\${NOPE}} }
server: { port: \${PORT}, allowed_origins: ["\${ORIGIN}"] }
`
  const env = { A: '1', BASE: 'http://h:1', PORT: '4321', EMPTY: '', ORIGIN: 'http://a' }
  const { config, files } = load(text, env)
  t.match(config.model_list[0], {
    model: `x-1-\${B}-d,e: {f} #g`,
    api_key: 'from-file',
    api_base: 'http://h:1',
    max_tokens: 100,
    headers: { one: 'fallback', two: '', three: '1' }
  })
  t.equal(config.server.port, 4321)
  t.same(config.server.allowed_origins, ['http://a'])
  t.ok(files.includes(join(folder, 'secret')), 'a file that is read is watched')

  t.equal(
    linesOf(text, { ...env, BASE: undefined }).at(0),
    'test.yaml:6:15 error model_list[0].api_base: the variable BASE is not set; set it, or write ${BASE:-default}'
  )
  const missing = linesOf('server: {host: "a${X}"}\naliases: {a: "${file:/no/such}", b: "${", c: "${a b}"}\n')
  t.match(missing, [
    /^test.yaml:1:18 error server.host: the variable X is not set/,
    /^test.yaml:2:15 error aliases.a: the file does not exist/,
    /^test.yaml:2:38 error aliases.b: the reference is not closed/,
    /^test.yaml:2:47 error aliases.c: this is not a reference/
  ])
  t.equal(load(`${ONE}auth: {master_key: "\${K}"}\n`, { K: '12345' }).config.auth === 'none', false)
  t.same(
    load(`${ONE}auth: {master_key: "\${K}"}\n`, { K: '12345' }).config.auth,
    { master_key: '12345' },
    'a text stays a text where one is wanted'
  )
})

t.test('what a variable holds is put in as it is and never read again', async t => {
  const { config } = load('model_list: [{model_name: a, provider: demo, model: "${A}"}]\n', { A: '${B}: [x] #y' })
  t.equal(config.model_list[0]?.model, '${B}: [x] #y')
})

t.test('no value of a secret is in what is printed', async t => {
  const secret = 'sk-verysecretvalue1234567890'
  const texts = [
    `auth: ${secret}\n`,
    `auth: {master_key: *${secret}}\n`,
    `auth: {master_key: [${secret}]}\n`,
    `server: {port: \${K}, drain: \${K}, logs: {level: \${K}}, host: \${K}}\n`,
    `model_list: [{model_name: a, provider: \${K}, api_base: \${K}, api_key: "${secret}\\n", weight: \${K}}]\n`,
    `model_list: [{model_name: a, provider: demo, api_key:${secret}}]\n`,
    `active_backend: \${K}\naliases: {a: \${K}}\nrouting: {fallbacks: {a: [\${K}]}}\n`,
    `passthrough: {x: {target: "http://u:${secret}@h", headers: {authorization: "Bearer ${secret}"}}}\n`,
    `store: {database_url: "postgres://u:${secret}@h/d"}\n`
  ]
  for (const text of texts) {
    const lines = linesOf(text, { K: secret })
    t.ok(lines.length > 0)
    t.notOk(lines.join('\n').includes(secret), lines.join('\n'))
  }
})

t.test('anchors, aliases and merge keys work, and do not multiply without end', async t => {
  const { config } = load(`model_list:
  - &base {model_name: a, provider: demo, timeouts: {total: 5s}}
  - {<<: *base, model_name: b, max_tokens: 5}
`)
  t.match(config.model_list[1], { model_name: 'b', provider: 'demo', max_tokens: 5, timeouts: { total: '5s' } })
  let bomb = 'x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n'
  for (let level = 1; level < 12; level++) bomb += `x${level}: &x${level} [${`*x${level - 1}, `.repeat(10)}]\n`
  const begun = Date.now()
  t.match(linesOf(bomb).join('\n'), /too large or too deeply nested/)
  t.ok(Date.now() - begun < 5000)
  t.match(linesOf('a: &a [*a]\n').join('\n'), /too deeply nested/)
})

t.test('input that is deep, large or strange is refused and does no harm', async t => {
  for (const text of [
    '['.repeat(300_000),
    '{a: '.repeat(100_000),
    '- '.repeat(20_000),
    '${'.repeat(100_000),
    `a: "${'x'.repeat(300_000)}"`
  ]) {
    t.match(problemsOf(text)[0], { severity: 'error', line: Number, column: Number })
  }
  t.match(linesOf('#'.repeat(5 * 1024 * 1024))[0], /larger than 4 MB/)
  const folder = t.testdir({ 'bad.yaml': Buffer.from([0x61, 0x3a, 0x20, 0xff]), folder: {} })
  const env = {}
  t.match(loadConfig(join(folder, 'bad.yaml'), { env }), { ok: false, problems: [{ message: /not UTF-8/ }] })
  t.match(loadConfig(join(folder, 'folder'), { env }), { ok: false, problems: [{ message: /not a file/ }] })
  t.match(loadConfig(join(folder, 'none.yaml'), { env }), { ok: false, problems: [{ message: /does not exist/ }] })
})

t.test('no text makes the loader throw, and every problem has its place', async t => {
  t.plan(1)
  const yamlish = fc.array(
    fc.constantFrom(
      'model_list',
      'server',
      'auth',
      ':',
      ' ',
      '\n',
      '  ',
      '- ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '"',
      "'",
      '&a',
      '*a',
      '<<',
      '${',
      '}',
      '|',
      '>',
      '!!str',
      '#',
      '\t',
      'x',
      '1',
      '---',
      '%',
      '?',
      'litellm_params',
      'general_settings',
      'model_name',
      'include',
      'null',
      '__proto__',
      '\r',
      '\ufdd0',
      '\u0000'
    ),
    { maxLength: 60 }
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 200 }),
        yamlish.map(parts => parts.join(''))
      ),
      text => {
        const result = parseConfig(text, FILE, { env: {}, known: { providers: PROVIDERS } })
        const problems = result.ok ? result.loaded.problems : result.problems
        if (!result.ok && problems.length === 0) throw new Error('refused without a reason')
        for (const problem of problems) {
          if (!(problem.line >= 1 && problem.column >= 1 && problem.file === FILE))
            throw new Error(formatProblem(problem))
          if (formatProblem(problem).includes('\n')) throw new Error('more than one line')
        }
      }
    ),
    { numRuns: 3000 }
  )
  t.pass()
})

t.test('any tree of our own keys is either loaded or refused with its place', async t => {
  t.plan(1)
  const value: fc.Arbitrary<unknown> = fc.letrec(tie => ({
    node: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(
        null,
        true,
        0,
        -1,
        1.5,
        '',
        'none',
        'demo',
        'a',
        '*',
        '30s',
        'http://h',
        'constructor',
        'toString'
      ),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          'server',
          'port',
          'auth',
          'backends',
          'model_list',
          'model_name',
          'provider',
          'backend',
          'litellm_params',
          'model',
          'router_settings',
          'fallbacks',
          'aliases',
          'routing',
          'headers',
          'include',
          'timeouts',
          'constructor',
          'hasOwnProperty',
          'general_settings',
          'pass_through_endpoints',
          'model_group_alias',
          'callbacks',
          'weight',
          'order'
        ),
        tie('node'),
        { maxKeys: 5 }
      )
    )
  })).node
  fc.assert(
    fc.property(value, tree => {
      const result = parseConfig(JSON.stringify(tree), FILE, { env: {}, known: { providers: PROVIDERS } })
      if (!result.ok && result.problems.length === 0) throw new Error('refused without a reason')
    }),
    { numRuns: 2000 }
  )
  t.pass()
})

t.test('names that lead nowhere are told', async t => {
  const lines = linesOf(`model_list:
  - {model_name: "cl-*", provider: demo}
  - {model_name: "cl-**", provider: demo}
  - {model_name: a, backend: nope}
  - {model_name: b, backend: active}
  - {model_name: c, provider: demo, model: "x-*"}
  - {model_name: d, provider: demo, weight: 0}
  - {model_name: e, provider: openai, demo: {pace: 1s}}
  - {model_name: f, provider: demo, backend: x}
`)
  t.match(lines, [/9:37 error model_list\[7\].backend: the entry has `provider` as well/], 'shape first')
  const names = linesOf(`model_list:
  - {model_name: "cl-*", provider: demo}
  - {model_name: "cl-**", provider: demo}
  - {model_name: a, backend: nope}
  - {model_name: b, backend: active}
  - {model_name: c, provider: demo, model: "x-*"}
  - {model_name: d, provider: demo, weight: 0}
  - {model_name: e, provider: openai, demo: {pace: 1s}}
aliases: {a: c, q: nothing, r: q, s: cl-1, t: t}
active_backend: gone
routing: {fallbacks: {a: [nope, a, cl-x, "cl-*"], zz: [a]}}
`)
  const told = names.join('\n')
  for (const expected of [
    /:3:18 error model_list\[1\].model_name: never reached: the glob at test.yaml:2 matches the same names/,
    /:4:30 error model_list\[2\].backend: no backend of this name is declared/,
    /:6:44 error model_list\[4\].model: `\*` stands for what/,
    /:7:45 warning model_list\[5\].weight: this entry is never reached/,
    /:8:39 error model_list\[6\].demo: these options are for `provider: demo` alone/,
    /:9:11 error aliases.a: never reached: model_list has an entry of this very name/,
    /:9:20 error aliases.q: nothing serves this name/,
    /:9:32 error aliases.r: an alias cannot lead to another alias/,
    /:9:47 error aliases.t: an alias cannot mean itself/,
    /:10:17 error active_backend: no backend of this name is declared/,
    /:11:27 error routing.fallbacks.a\[0\]: nothing serves this name/,
    /:11:33 error routing.fallbacks.a\[1\]: a model cannot fall back to itself/,
    /:11:42 error routing.fallbacks.a\[3\]: a fallback is an exact name/,
    /:11:51 error routing.fallbacks.zz: no entry of model_list has this name/
  ]) {
    t.match(told, expected)
  }
  t.match(
    linesOf('model_list: [{model_name: b, backend: active}]\n')[0],
    /`active` means the backend that active_backend names, and there is none/
  )
})

t.test('two entries of one name share its load', async t => {
  t.same(
    linesOf('model_list: [{model_name: "a-*", provider: demo}, {model_name: "a-*", provider: openai, weight: 2}]\n'),
    []
  )
})

t.test('what cannot be sent is told', async t => {
  const told = linesOf(`model_list:
  - {model_name: a, provider: demo, api_base: "htp://x"}
  - {model_name: b, provider: demo, api_base: "http://u:p@x"}
  - {model_name: c, provider: demo, api_base: "nowhere"}
  - {model_name: d, provider: demo, headers: {"a b": x, Host: y, x-a: "1\\r\\nb: 2", X-A: z}}
  - {model_name: e, provider: demo, api_key: "a\\nb", timeouts: {total: 40d, idle: 0s}}
passthrough: {"a/b": {target: "ftp://x"}}
`).join('\n')
  for (const expected of [
    /:2:47 error .*must begin with http/,
    /:3:47 error .*has a name or a password/,
    /:4:47 error .*is not a URL/,
    /:5:47 error .*is not a name that a header can have/,
    /:5:57 error .*is set by the gateway itself/,
    /:5:71 error .*has a line break/,
    /:5:84 error .*here twice/,
    /:6:46 error .*has a line break/,
    /:6:72 error .*at most 24 days/,
    /:6:83 error .*at least 1ms/,
    /:7:15 error .*the name is part of a URL/,
    /:7:31 error .*must begin with http/
  ]) {
    t.match(told, expected)
  }
})

t.test('listening beyond loopback needs a credential, or `none` said aloud', async t => {
  const host = (value: string, more = ''): string[] => linesOf(`${ONE}server: {host: "${value}"}\n${more}`)
  for (const loopback of ['127.0.0.1', '127.9.9.9', 'localhost', '::1']) t.same(host(loopback), [])
  t.match(host('0.0.0.0')[0], /:2:16 error server.host: listening beyond this machine needs a credential/)
  t.match(host('::', 'auth: {master_key: ""}\n')[0], /needs a credential/)
  t.same(host('0.0.0.0', 'auth: none\n'), [])
  t.same(host('0.0.0.0', 'auth: {master_key: k}\n'), [])
  const flags = parseConfig(ONE, FILE, { env: {}, overrides: { host: '0.0.0.0', port: 'auto' } })
  t.match(flags, { ok: false, problems: [{ path: 'server.host' }] }, 'a flag is checked as the file is')
  t.match(load(ONE, {}, { overrides: { port: 5 } }).config.server, { port: 5, host: '127.0.0.1' })
})

t.test('a secret in the file is a warning, and so is a file that everybody can read', async t => {
  const key = 'sk-proj-4f9aK2mQ7xT1vB8nR3'
  const folder = t.testdir({ 'gateway.yaml': `auth: {master_key: ${key}}\n${ONE}` })
  const file = join(folder, 'gateway.yaml')
  const result = loadConfig(file, { env: {} })
  t.match(result, {
    ok: true,
    loaded: { problems: [{ message: /everybody/ }, { path: 'auth.master_key', line: 1, column: 20 }] }
  })
  t.same(linesOf(`auth: {master_key: "\${K}"}\n${ONE}`, { K: key }), [])
  t.same(linesOf('model_list: [{model_name: a, provider: demo, api_key: placeholder}]\n'), [])
})

t.test('files are included, each problem in its own', async t => {
  const folder = t.testdir({
    'gateway.yaml':
      'include: [models/*.yaml, aliases.yaml]\nmodel_list: [{model_name: a, provider: demo}]\nserver: {port: 1}\n',
    'aliases.yaml': 'aliases: {x: b}\n',
    models: {
      'b.yaml': 'model_list:\n  - {model_name: b, provider: demo}\n',
      '.hidden.yaml': 'nonsense: 1\n',
      'c.txt': '['
    }
  })
  const file = join(folder, 'gateway.yaml')
  const options = { env: {}, known: { providers: PROVIDERS } }
  const result = loadConfig(file, options)
  if (!result.ok) return t.fail(result.problems.map(formatProblem).join('\n'))
  t.same(
    result.loaded.config.model_list.map(entry => entry.model_name),
    ['a', 'b']
  )
  t.same(result.loaded.files, [file, join(folder, 'models/b.yaml'), join(folder, 'aliases.yaml')])
  t.same(result.loaded.globs, [join(folder, 'models/*.yaml')])
  t.match(result.loaded.locate(['model_list', 1, 'provider']), {
    file: join(folder, 'models/b.yaml'),
    line: 2,
    column: 31
  })
  t.equal(result.loaded.dataDir, join(folder, '.sluice'))

  writeFileSync(
    join(folder, 'models/d.yaml'),
    'server: {port: 2}\nmodel_list: [{model_name: d, provider: dmeo}]\ninclude: [../gateway.yaml]\n'
  )
  const bad = loadConfig(file, options)
  t.match(bad, {
    ok: false,
    problems: [
      { file: join(folder, 'models/d.yaml'), line: 1, column: 10, path: 'server.port', message: /already set/ },
      { file: join(folder, 'models/d.yaml'), line: 2, column: 40, message: /no provider/ },
      { file: join(folder, 'models/d.yaml'), line: 3, column: 11, message: /included already, or includes itself/ }
    ]
  })
  writeFileSync(file, `include: [nope.yaml, "m*/x.yaml", "*.none"]\n${ONE}`)
  const told = loadConfig(file, options)
  t.match(told, {
    ok: false,
    problems: [
      { column: 11, message: /does not exist/ },
      { column: 22, message: /name of a file/ },
      { severity: 'warning' }
    ]
  })
})

t.test('what a reload changes is said in a line each, without secrets', async t => {
  const before = load(`model_list:
  - {model_name: "claude-*", provider: mlx, max_tokens: 4096, api_key: one}
  - {model_name: gpt-4, provider: openai}
  - {model_name: two, provider: openai}
  - {model_name: two, provider: demo}
aliases: {x: gpt-4, y: two}
`).config
  const after = load(`server: {drain: 10s}
auth: {master_key: hush}
model_list:
  - {model_name: "claude-*", provider: mlx, max_tokens: 8192, api_key: two, headers: {authorization: hush}}
  - {model_name: new, provider: mlx}
  - {model_name: two, provider: openai, timeouts: {total: 5m}}
aliases: {y: new}
routing: {fallbacks: {two: [new]}}
`).config
  t.same(describeChanges(before, after), [
    '~ claude-*: max_tokens 4096 → 8192, api_key ••• → •••, headers.authorization •••',
    '- gpt-4',
    '~ two: timeouts.total 10m → 5m',
    '- two → demo',
    '+ new → mlx',
    '~ server.drain 30s → 10s',
    '+ auth.master_key •••',
    '- aliases.x',
    '~ aliases.y two → new',
    '+ routing.fallbacks.two [new]'
  ])
  t.same(describeChanges(before, before), [])
  const reversed: GatewayConfig = { ...before, model_list: [...before.model_list].reverse() }
  t.same(describeChanges(before, reversed), ['~ model_list: order'])
})

t.test('durations and sizes', async t => {
  t.same(
    ['500ms', '30s', '1.5m', '24h', '7d', 2].map(parseDuration),
    [500, 30_000, 90_000, 86_400_000, 604_800_000, 2000]
  )
  t.same(['512kb', '32mb', '1GB', '7b', 9].map(parseSize), [524_288, 33_554_432, 1_073_741_824, 7, 9])
  for (const wrong of ['', 's', '5', '-1s', '1w', '1 s', -1, Number.NaN]) t.equal(readDuration(wrong), undefined)
  for (const wrong of ['', 'mb', '5', '5tb', -1]) t.equal(readSize(wrong), undefined)
  t.throws(() => parseDuration('soon'))
  t.throws(() => parseSize('big'))
})

t.test('a change is noticed within a second, once for each burst', async t => {
  const folder = t.testdir({ conf: { 'gateway.yaml': ONE, models: {} }, hooks: {} })
  const file = join(folder, 'conf/gateway.yaml')
  let changes = 0
  const globs = [join(folder, 'conf/models/*.yaml')]
  const watcher = watchConfig({
    files: () => [file],
    globs: () => globs,
    directories: () => [join(folder, 'hooks')],
    onChange: () => void changes++
  })
  t.teardown(() => watcher.close())
  await watcher.ready
  const settles = async (what: string, act: () => void | Promise<void>, expected = 1): Promise<void> => {
    const before = changes
    await act()
    const begun = Date.now()
    while (changes === before && Date.now() - begun < 1000) await wait(10)
    await wait(200)
    t.equal(changes - before, expected, what)
  }
  await settles('written in place', () => writeFileSync(file, `${ONE}# 1\n`))
  await settles('replaced', () => {
    writeFileSync(`${file}.tmp`, `${ONE}# 2\n`)
    renameSync(`${file}.tmp`, file)
  })
  await settles('a burst', async () => {
    for (let round = 0; round < 10; round++) {
      writeFileSync(file, `${ONE}# round ${round}\n`)
      await wait(5)
    }
  })
  await settles('truncated, then written', async () => {
    writeFileSync(file, '')
    await wait(120)
    writeFileSync(file, `${ONE}# 3\n`)
  })
  await settles('a new file that a glob matches', () =>
    writeFileSync(join(folder, 'conf/models/a.yaml'), 'aliases: {}\n')
  )
  await settles('a new hook', () => writeFileSync(join(folder, 'hooks/h.ts'), 'export default {}\n'))
  await settles('the same text again', () => writeFileSync(file, `${ONE}# 3\n`), 0)
  await settles('a file that does not count', () => writeFileSync(join(folder, 'conf/other.txt'), 'x'), 0)
})

t.test('a swapped ConfigMap is noticed', async t => {
  const folder = t.testdir({ v1: { 'gateway.yaml': ONE }, v2: { 'gateway.yaml': `${ONE}# 2\n` } })
  symlinkSync('v1', join(folder, '..data'))
  symlinkSync('..data/gateway.yaml', join(folder, 'gateway.yaml'))
  let changes = 0
  const watcher = watchConfig({ files: () => [join(folder, 'gateway.yaml')], onChange: () => void changes++ })
  t.teardown(() => watcher.close())
  await watcher.ready
  symlinkSync('v2', join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
  for (let round = 0; round < 300 && changes === 0; round++) await wait(10)
  t.equal(changes, 1)
})

t.test('without any event the poll notices, and what is written during a reload is seen after it', async t => {
  const folder = t.testdir({ 'gateway.yaml': ONE })
  const file = join(folder, 'gateway.yaml')
  const seen: string[] = []
  let overlapping = 0
  const watcher = watchConfig({
    files: () => [file],
    pollMs: 100,
    onChange: async () => {
      overlapping++
      t.equal(overlapping, 1, 'never twice at a time')
      seen.push(readFileSync(file, 'utf8'))
      if (seen.length === 1) writeFileSync(file, 'second\n')
      await wait(150)
      overlapping--
      if (seen.length === 1) throw new Error('a bug of the caller does not end the watch')
    },
    onError: () => undefined
  })
  t.teardown(() => watcher.close())
  writeFileSync(file, 'first\n')
  for (let round = 0; round < 300 && seen.length < 2; round++) await wait(10)
  await wait(300)
  t.same(seen, ['first\n', 'second\n'])
  mkdirSync(join(folder, 'unrelated'))
})
