// Writes what follows from the schema: the types, checked in so that a checkout compiles without this, and docs/configuration.md;
// docs/litellm.md, from the tables that the loader itself uses, docs/providers.md, from the presets, and docs/shipped-hooks.md
// with the options of hooks in the schema, from hooks/, as they are built.
// `--check` writes nothing and ends with 1 when a file on disk differs; `--build DIR` says where the build lies.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compile } from 'json-schema-to-typescript'
import { renderShippedHooks, schemaWithHooks, shippedHooks } from './generate-hooks.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const schema = JSON.parse(readFileSync(join(root, 'schemas/gateway.schema.json'), 'utf8'))

/** The schema as the type generator should see it: what is always there after defaults is required, only objects have names. */
function forTypes(node) {
  if (Array.isArray(node)) return node.map(forTypes)
  if (typeof node !== 'object' || node === null) return node
  const { $ref, ...own } = node
  const scalar = $ref !== undefined && $ref !== '#/definitions/hook'
  const whole = scalar ? { ...schema.definitions[$ref.split('/').pop()], ...own } : node
  const { title, examples, default: fallback, defaultSnippets, pattern, ...rest } = whole
  const named = whole.properties !== undefined || whole === schema.definitions.hook
  // «provider or backend» has no readable type; the loader checks it.
  if (whole.oneOf?.every(branch => Object.keys(branch).join() === 'required')) delete rest.oneOf
  const result = {}
  for (const [key, value] of Object.entries(rest)) {
    if (key.startsWith('x-')) continue
    const isMap = key === 'properties' || key === 'definitions'
    result[key] = isMap
      ? Object.fromEntries(
          Object.entries(value)
            .filter(([, inner]) => inner['x-hook'] !== true)
            .map(([name, inner]) => [name, forTypes(inner)])
        )
      : key === 'enum'
        ? value
        : forTypes(value)
  }
  if (named && title !== undefined) result.title = title
  if (rest.properties !== undefined) {
    const present = Object.keys(rest.properties).filter(name => rest.properties[name].default !== undefined)
    result.required = [...new Set([...(rest.required ?? []), ...present])]
  }
  return result
}

async function renderTypes() {
  const { definitions, ...rest } = forTypes(schema)
  return compile({ ...rest, definitions: { hook: definitions.hook } }, 'GatewayConfig', {
    ignoreMinAndMaxItems: true,
    bannerComment:
      '// Generated from schemas/gateway.schema.json by scripts/generate.mjs. Do not edit: run `npm run types`.',
    unreachableDefinitions: false,
    style: { semi: false, singleQuote: true, printWidth: 120, trailingComma: 'none' }
  })
}

const cell = text => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')
const code = value => `\`${cell(typeof value === 'string' ? value : JSON.stringify(value))}\``

function dereference(node) {
  const { $ref, ...own } = node
  return $ref === undefined ? node : { ...schema.definitions[$ref.split('/').pop()], ...own }
}

/** What a value looks like, in a word or two. */
function kindOf(node) {
  const whole = dereference(node)
  if (whole.title === 'Duration' || $refName(node) === 'duration') return 'duration'
  if ($refName(node) === 'size') return 'size'
  if (whole.enum !== undefined) return whole.enum.map(code).join(', ')
  if (whole.anyOf !== undefined) return whole.anyOf.map(kindOf).join(' or ')
  if (whole.type === 'array') return `list of ${kindOf(whole.items ?? {})}`
  if (whole.properties !== undefined) return 'map'
  if (whole.type === 'object')
    return typeof whole.additionalProperties === 'object' ? `map of ${kindOf(whole.additionalProperties)}` : 'map'
  return { string: 'text', integer: 'whole number', number: 'number', boolean: 'true or false' }[whole.type] ?? 'any'
}

const $refName = node => node.$ref?.split('/').pop()

/** Every map with keys of its own is a section: a heading and a table. */
function section(name, node, lines) {
  const whole = dereference(node)
  lines.push(
    `## ${name}`,
    '',
    whole.description,
    '',
    '| key | kind | default | example | |',
    '| --- | --- | --- | --- | --- |'
  )
  for (const [key, property] of Object.entries(whole.properties)) {
    const own = dereference(property)
    const needed = whole.required?.includes(key) ? 'required' : ''
    const fallback = property.default === undefined ? needed : code(property.default)
    const example = property.examples?.[0] === undefined ? '' : code(property.examples[0])
    lines.push(`| \`${key}\` | ${kindOf(property)} | ${fallback} | ${example} | ${cell(own.description)} |`)
  }
  lines.push('')
  for (const [key, property] of Object.entries(whole.properties))
    below(`${name === 'gateway.yaml' ? '' : `${name}.`}${key}`, property, lines)
}

function below(name, node, lines) {
  if (node.properties !== undefined) section(name, node, lines)
  for (const branch of node.anyOf ?? []) below(name, branch, lines)
  if (node.items?.properties !== undefined) section(`${name}[]`, node.items, lines)
  if (node.additionalProperties?.properties !== undefined) section(`${name}.NAME`, node.additionalProperties, lines)
}

function renderReference() {
  const lines = [
    '<!-- Generated from schemas/gateway.schema.json by scripts/generate.mjs. Do not edit: run `npm run types`. -->',
    '# Configuration',
    '',
    'Every key of `gateway.yaml`. An editor that knows YAML schemas completes and checks the file as it is written, when its first line is',
    '',
    '```yaml',
    '# yaml-language-server: $schema=./schemas/gateway.schema.json',
    '```',
    '',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the page is about them.
    'Anywhere in a value, `${NAME}` is a variable of the environment, `${NAME:-default}` one that may be missing or empty, `${file:/path}` the',
    'content of a file, and `$${` a literal `${`. A value that is nothing but `os.environ/NAME` is a variable too, as in LiteLLM.',
    'In `{ }` on one line, editors want such a value in quotes; the gateway does not.',
    '',
    'A duration is a number of seconds or a text such as `500ms`, `30s`, `10m`, `24h`, `7d`; a size is a number of bytes or a text such as `512kb`, `32mb`, `1gb`.',
    ''
  ]
  section('gateway.yaml', schema, lines)
  return `${lines.join('\n').trimEnd()}\n`
}

async function renderLiteLLM(build) {
  const load = name => import(pathToFileURL(join(build, 'src/config/litellm', `${name}.js`)).href)
  const names = ['section-keys', 'entry-keys', 'setting-keys', 'providers']
  const [sections, entry, settings, providers] = await Promise.all(names.map(load))
  const lines = [
    '<!-- Generated from src/config/litellm by scripts/generate.mjs. Do not edit: run `npm run build` and `npm run types`. -->',
    '# LiteLLM’s config.yaml',
    '',
    'A `config.yaml` of LiteLLM runs as it is: `sluice start --config config.yaml`. `sluice check config.yaml` reports what becomes of each of its',
    'keys. What is unsupported is a warning; a key that is misspelt, a provider that cannot be reached and a name that nothing serves are errors.',
    'Sections of `gateway.yaml` may stand in the same file.',
    ''
  ]
  const table = (title, rules) => {
    lines.push(`## ${title}`, '', '| key | fit | becomes | |', '| --- | --- | --- | --- |')
    for (const [key, rule] of Object.entries(rules)) {
      lines.push(`| \`${key}\` | ${rule.fit} | ${rule.to ? `\`${rule.to}\`` : ''} | ${cell(rule.reason)} |`)
    }
    lines.push('')
  }
  table('Sections', sections.SECTIONS)
  table('model_list[].litellm_params', entry.LITELLM_PARAMS)
  lines.push('Any other key is handed to the provider by LiteLLM, and is unsupported here.', '')
  table('model_list[].model_info', entry.MODEL_INFO)
  table('router_settings', settings.ROUTER_SETTINGS)
  table('litellm_settings', settings.LITELLM_SETTINGS)
  table('general_settings', settings.GENERAL_SETTINGS)
  table('general_settings.pass_through_endpoints[]', settings.PASS_THROUGH)
  lines.push(
    '## Providers',
    '',
    'The prefix of `litellm_params.model`. `openai/` with an `api_base` of its own becomes `custom`.',
    ''
  )
  lines.push('| prefix | provider |', '| --- | --- |')
  for (const [prefix, provider] of Object.entries(providers.PROVIDERS))
    lines.push(`| \`${prefix}/\` | \`${provider}\` |`)
  lines.push('', `Not reached by this version, and an error: ${providers.UNREACHED.map(code).join(', ')}.`)
  return `${lines.join('\n')}\n`
}

const SAMPLE_MODEL = 'MODEL'
const KEY_HEADERS = { bearer: 'authorization: Bearer', none: 'none' }

/** The whole address of a conversation in each dialect, as the presets make it. */
function addressesOf(preset, surfaces) {
  const base = new URL(preset.apiBase ?? preset.addressShape)
  // A cloud with places below a project has its rows appended, whatever its address ends with.
  const made =
    preset.cloud === 'vertex'
      ? preset.speaks.map(row => ({ dialect: row.dialect, base: base.pathname + row.prefix }))
      : surfaces.surfacesOf(preset, base, undefined, {}, undefined)
  return made.map(({ dialect, base: below }) => {
    if (dialect === 'gemini') return [dialect, `${base.origin}${below}/models/${SAMPLE_MODEL}:generateContent`]
    if (preset.cloud === 'vertex' && dialect === 'anthropic')
      return [dialect, `${base.origin}${below}/${SAMPLE_MODEL}:rawPredict`]
    return [dialect, base.origin + below + surfaces.operationPath(dialect, 'chat')]
  })
}

function mindedBy({ rejects = [], only = {}, renames = {}, defaults = {} } = {}) {
  const list = fields => fields.map(code).join(', ')
  return [
    ...(rejects.length > 0 ? [`left out: ${list(rejects)}`] : []),
    ...Object.entries(only).map(([field, values]) => `${code(field)} only ${list(values)}`),
    ...Object.entries(renames).map(([field, name]) => `${code(field)} is sent as ${code(name)}`),
    ...Object.entries(defaults).map(([field, value]) => `${code(field)} ${code(value)} when nothing is said`)
  ].join('; ')
}

async function renderProviders(build) {
  const load = name => import(pathToFileURL(join(build, 'src/providers', `${name}.js`)).href)
  const [{ PRESETS }, surfaces] = await Promise.all([load('presets'), load('surface')])
  const presets = Object.entries(PRESETS).filter(([name]) => name !== 'demo')
  const lines = [
    '<!-- Generated from src/providers by scripts/generate.mjs. Do not edit: run `npm run build` and `npm run types`. -->',
    '# Providers',
    '',
    'What `provider:` of an entry or a backend may say, beside the built-in `demo`. A row knows the address, where the key goes, and which dialects',
    'are spoken there; `api_base`, `api_key`, `headers` and `dialect` of the entry come before it. A client whose own dialect is spoken is passed on',
    'byte for byte; for any other the request is translated into the first one that can be.',
    '',
    '`sluice models --provider NAME` lists what a provider offers.',
    '',
    '| provider | dialects | key | address of a conversation |',
    '| --- | --- | --- | --- |'
  ]
  for (const [name, preset] of presets) {
    const title = preset.docs === undefined ? preset.title : `[${preset.title}](${preset.docs})`
    const spoken = addressesOf(preset, surfaces)
    const header = KEY_HEADERS[preset.keyHeader] ?? preset.keyHeader
    const key = preset.keyVariable === undefined ? code(header) : `${code(preset.keyVariable)}, as ${code(header)}`
    const cells = [spoken.map(([dialect]) => code(dialect)), [key], spoken.map(([, address]) => code(address))]
    lines.push(`| \`${name}\`: ${cell(title)} | ${cells.map(lists => lists.join('<br>')).join(' | ')} |`)
  }
  lines.push(
    '',
    'Capitals stand for what is yours. Servers on this machine need no key, and get one if the entry has it.',
    ''
  )
  lines.push('## What is different', '', '| provider | |', '| --- | --- |')
  for (const [name, preset] of presets) {
    const notes = [
      preset.note,
      mindedBy(preset.quirks),
      preset.rateLimits && `rate limits: ${preset.rateLimits.split(', ').map(code).join(', ')}`,
      preset.lists && `models listed at ${preset.lists.map(code).join(', then ')}`
    ]
    const told = notes.filter(note => note !== undefined && note !== '').map(note => cell(note).replace(/\.?$/, '.'))
    if (told.length > 0)
      lines.push(`| \`${name}\` | ${told.map(note => note[0].toUpperCase() + note.slice(1)).join(' ')} |`)
  }
  lines.push(
    '',
    'Fields are left out and renamed in requests that are translated; their paths come back in `x-gateway-dropped`. What passes byte for byte is never changed.'
  )
  return `${lines.join('\n')}\n`
}

const files = new Map([
  ['src/config/generated/types.ts', await renderTypes()],
  ['docs/configuration.md', renderReference()]
])
const said = process.argv.indexOf('--build')
const build = resolve(root, said < 0 ? 'dist' : process.argv[said + 1])
// Before the first build there are no tables to read, and the types may be what it waits for.
if (existsSync(join(build, 'src/config/litellm/entry-keys.js')))
  files.set('docs/litellm.md', await renderLiteLLM(build))
if (existsSync(join(build, 'src/providers/surface.js'))) files.set('docs/providers.md', await renderProviders(build))
if (existsSync(join(build, 'src/hooks/hook-schema.js'))) {
  const hooks = await shippedHooks(build)
  const path = 'schemas/gateway.schema.json'
  files.set('docs/shipped-hooks.md', renderShippedHooks(hooks))
  files.set(path, await schemaWithHooks(build, readFileSync(join(root, path), 'utf8'), hooks))
}

let stale = 0
for (const [path, text] of files) {
  const file = join(root, path)
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
  if (process.argv.includes('--check')) {
    console.error(`${path} is not what the schema says: run \`npm run types\``)
    stale++
  } else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
}
process.exitCode = stale > 0 ? 1 : 0
