// Writes what follows from the schema: the types, checked in so that a checkout compiles without this, and the reference page.
// `--check` writes nothing and ends with 1 when a file on disk differs.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { compile } from 'json-schema-to-typescript'

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
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, forTypes(inner)]))
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

const files = new Map([['src/config/generated/types.ts', await renderTypes()]])

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
