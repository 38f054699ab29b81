// What follows from the hooks that are shipped: their options in the schema for editors, and docs/shipped-hooks.md.
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { stringify } from 'yaml'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The definitions, as the build reads them. */
export async function shippedHooks(build) {
  const { hookLoader, readDefinition } = await import(pathToFileURL(join(build, 'src/hooks/definition.js')))
  const jiti = hookLoader()
  const found = []
  for (const name of readdirSync(join(root, 'hooks')).filter(file => file.endsWith('.ts'))) {
    const definition = await readDefinition(jiti, join(root, 'hooks', name))
    if (typeof definition === 'string') throw new Error(definition)
    found.push(definition)
  }
  return found.sort((a, b) => a.name.localeCompare(b.name))
}

/** The text of the schema with the options of these hooks; every other byte stays. */
export async function schemaWithHooks(build, text, hooks) {
  const { withHookOptions } = await import(pathToFileURL(join(build, 'src/hooks/hook-schema.js')))
  const { properties } = withHookOptions(JSON.parse(text), hooks).definitions.hook.anyOf[1]
  const own = Object.fromEntries(Object.entries(properties).filter(([, value]) => value['x-hook'] === true))
  const place =
    /("additionalProperties": true,\n\s*"properties": \{)[\s\S]*?(\n\s*"when": \{\n\s*"title": "HookCondition")/
  if (!place.test(text)) throw new Error('schemas/gateway.schema.json has no place for the options of hooks')
  const rows = Object.entries(own).map(([name, value]) => `${MARGIN}${JSON.stringify(name)}: ${pretty(value, MARGIN)},`)
  return text.replace(place, (_, before, after) => `${before}\n${rows.join('\n')}${after}`)
}

const MARGIN = ' '.repeat(12)

/** As the rest of the file is written: on one line what fits there. */
function pretty(value, margin) {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const isList = Array.isArray(value)
  const inner = `${margin}  `
  const items = Object.entries(value).map(
    ([name, item]) => `${isList ? '' : `${JSON.stringify(name)}: `}${pretty(item, inner)}`
  )
  if (items.length === 0) return isList ? '[]' : '{}'
  const short = isList ? `[${items.join(', ')}]` : `{ ${items.join(', ')} }`
  if (short.length + margin.length < 110 && !short.includes('\n')) return short
  const [open, close] = isList ? '[]' : '{}'
  return `${open}\n${items.map(item => inner + item).join(',\n')}\n${margin}${close}`
}

const cell = text => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ')
const code = value => `\`${cell(typeof value === 'string' ? value : JSON.stringify(value))}\``

export function renderShippedHooks(hooks) {
  const lines = [
    '<!-- Generated from hooks/ by scripts/generate.mjs. Do not edit: run `npm run types`. -->',
    '# Shipped hooks',
    '',
    'List one by its name in `hooks` of `gateway.yaml`, or on an entry of `model_list`. [hooks.md](hooks.md) says how hooks run and how to write one.',
    '',
    '| hook | |',
    '| --- | --- |',
    ...hooks.map(({ name, description }) => `| [${name}](#${name}) | ${cell(description)} |`),
    ''
  ]
  for (const { name, description, options, timeout } of hooks) {
    const [example = {}] = options.examples ?? []
    lines.push(`## ${name}`, '', description, '')
    if (timeout !== 2000)
      lines.push(`Each phase of it is waited for ${timeout / 1000} s, unless \`timeout\` says otherwise.`, '')
    lines.push(
      '```yaml',
      stringify({ hooks: [{ [name]: example }] }, { flowCollectionPadding: true }).trimEnd(),
      '```',
      ''
    )
    lines.push('| option | kind | default | |', '| --- | --- | --- | --- |')
    for (const [option, property] of Object.entries(options.properties ?? {})) {
      const needed = options.required?.includes(option) ? 'required' : ''
      const fallback = property.default === undefined ? needed : code(property.default)
      lines.push(`| \`${option}\` | ${kindOf(property)} | ${fallback} | ${cell(property.description ?? '')} |`)
    }
    lines.push('')
  }
  return `${lines.join('\n').trimEnd()}\n`
}

function kindOf(node) {
  if (node.enum !== undefined) return node.enum.map(code).join(', ')
  if (node.type === 'array') return `list of ${kindOf(node.items ?? {})}`
  if (node.type === 'object') {
    const names = Object.keys(node.properties ?? {})
    if (names.length > 0) return `map of ${names.map(code).join(', ')}`
    return typeof node.additionalProperties === 'object' ? `map of ${kindOf(node.additionalProperties)}` : 'map'
  }
  return { string: 'text', integer: 'whole number', number: 'number', boolean: 'true or false' }[node.type] ?? 'any'
}
