import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '../config/load.ts'
import { EDITOR_SCHEMA } from '../config/schema.ts'
import { type Definition, hookLoader, readDefinition } from '../hooks/definition.ts'
import { findHook, type HookFile, knownHooks } from '../hooks/files.ts'
import { withHookOptions } from '../hooks/hook-schema.ts'
import { listedIn } from '../hooks/listed.ts'
import { PROVIDER_NAMES } from '../providers/presets.ts'
import { type ConfigFile, findConfig, type Where } from './find-config.ts'
import { disable, enable } from './hooks-edit.ts'
import { testHook } from './hooks-test.ts'
import { colors, EXIT, fail, print, printJson, table } from './output.ts'
import { shorter, tell } from './prepare.ts'
import { createFile } from './write-file.ts'

export interface HookFlags extends Where {
  readonly json?: boolean
  /** JSON. */
  readonly options?: string
  readonly request?: string
  readonly answer?: string
  readonly endpoint?: string
  readonly write?: string
}

const ACTIONS = ['list', 'enable', 'disable', 'new', 'test', 'schema'] as const

/** What can be done about hooks; `subject` is a name, or a file for `test`. */
export async function hooks(action: string, subject: string | undefined, flags: HookFlags): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  if (action === 'list') return list(source, json)
  if (action === 'schema') return schema(source, flags)
  if (!ACTIONS.some(known => known === action))
    return fail([`There is no \`sluice hooks ${action}\`; there are: ${ACTIONS.join(', ')}.`], json, EXIT.usage)
  if (subject === undefined)
    return fail([`\`sluice hooks ${action}\` needs ${action === 'test' ? 'a file' : 'a name'}.`], json, EXIT.usage)
  if (action === 'new') return create(subject, source, json)
  if (action === 'test') return testHook(subject, source, flags)
  if (source.whence === 'packaged')
    return fail(['The packaged gateway.yaml is not yours to change: copy it here first.'], json)
  return action === 'enable' ? enable(subject, source, flags) : disable(subject, source, json)
}

interface Row extends HookFile {
  /** A string: what is wrong with it. */
  readonly definition: Definition | string
  /** Where gateway.yaml lists it. */
  readonly listed: readonly string[]
}

async function list(source: ConfigFile, json: boolean): Promise<number> {
  const { places, problems } = placesOf(source)
  const known = await rowsOf(source.file, places)
  if (json) {
    printJson({ config: source.file, problems, hooks: known.map(asJson) })
    return EXIT.done
  }
  for (const problem of problems) print(colors.yellow(problem))
  const rows = known.map(({ name, file, shipped, definition, listed }) => [
    colors.bold(name),
    listed.length > 0 ? colors.green(listed.join(', ')) : 'not listed',
    shipped ? 'shipped' : shorter(file),
    typeof definition === 'string' ? colors.red(definition) : definition.description
  ])
  print(table(rows))
  return EXIT.done
}

function asJson({ name, file, shipped, definition, listed }: Row): object {
  const broken = typeof definition === 'string'
  return {
    name,
    file,
    shipped,
    listed,
    ...(broken ? { problem: definition } : { description: definition.description, options: definition.options })
  }
}

/** Every hook that the file may name, and the files that it names by their paths. */
async function rowsOf(configFile: string, places: ReadonlyMap<string, readonly string[]>): Promise<Row[]> {
  const known = knownHooks(configFile)
  const others = [...places.keys()]
    .filter(name => !known.some(hook => hook.name === name))
    .map(name => findHook(name, configFile))
    .filter(found => found !== undefined)
  const jiti = hookLoader()
  const rows: Row[] = []
  for (const hook of [...known, ...others]) {
    const path = relative(dirname(configFile), hook.file)
    const listed = [hook.name, path, `./${path}`, hook.file].flatMap(name => places.get(name) ?? [])
    rows.push({ ...hook, definition: await readDefinition(jiti, hook.file), listed })
  }
  return rows
}

function placesOf({ file }: ConfigFile): { places: Map<string, string[]>; problems: string[] } {
  const places = new Map<string, string[]>()
  const result = loadConfig(file, { env: process.env, known: { providers: PROVIDER_NAMES } })
  if (!result.ok) return { places, problems: tell(result.problems) }
  const { own, entries } = listedIn(result.loaded.config)
  for (const [lists, where] of [[[own], 'hooks'] as const, [entries, 'model_list'] as const])
    for (const [at, items] of lists.entries())
      for (const [index, item] of items.entries())
        if ('name' in item) {
          const place = where === 'hooks' ? `hooks[${index}]` : `model_list[${at}].hooks[${index}]`
          places.set(item.name, [...(places.get(item.name) ?? []), place])
        }
  return { places, problems: [] }
}

/** The schema for editors, with the options of every hook that is found here. */
async function schema(source: ConfigFile, { write, json }: HookFlags): Promise<number> {
  const rows = await rowsOf(source.file, new Map())
  const definitions = rows.map(({ name, definition }) =>
    typeof definition === 'string' ? [] : [{ ...definition, name }]
  )
  const text = `${JSON.stringify(withHookOptions(EDITOR_SCHEMA, definitions.flat()), null, 2)}\n`
  if (write === undefined) {
    print(text)
    return EXIT.done
  }
  if (existsSync(write) && !readFileSync(write, 'utf8').includes('"GatewayConfig"'))
    return fail([`${write} is another file: it was left as it is.`], json === true)
  const { mkdir, writeFile } = await import('node:fs/promises')
  await mkdir(dirname(write), { recursive: true })
  await writeFile(write, text)
  if (json === true) printJson({ ok: true, file: write, hooks: definitions.flat().map(({ name }) => name) })
  else
    print(`${write} knows the options of ${definitions.flat().length} hooks. The first line of gateway.yaml names it:
# yaml-language-server: $schema=${write.startsWith('/') ? write : `./${relative(dirname(source.file), write)}`}`)
  return EXIT.done
}

function create(name: string, source: ConfigFile, json: boolean): number {
  if (!/^[a-z][a-z0-9-]{0,50}$/.test(name))
    return fail([`A hook is named in small letters, digits and dashes; \`${name}\` is not.`], json, EXIT.usage)
  const folder = join(source.home, 'hooks')
  const configFile = join(source.home, 'gateway.yaml')
  const file = join(folder, `${name}.ts`)
  const same = findHook(name, configFile)
  if (same !== undefined && !same.shipped) return fail([`${shorter(same.file)} is there already.`], json)
  mkdirSync(folder, { recursive: true })
  createFile(file, TEMPLATE.replaceAll('NAME', name))
  const types = leaveTypes(folder)
  if (json) printJson({ ok: true, file, ...(types !== undefined && { types }), shadows: same?.file ?? null })
  else {
    print(`${shorter(file)} is written.${same === undefined ? '' : ` It takes the place of the shipped \`${name}\`.`}`)
    if (types !== undefined) print(`${shorter(types)} tells editors where the types of sluice/hook lie.`)
    print(`Try it:  sluice hooks test ${shorter(file)} --request body.json`)
    print(`Run it:  sluice hooks enable ${name}`)
  }
  return EXIT.done
}

/** Where the package is installed beside the hooks, editors find it by themselves. */
function leaveTypes(folder: string): string | undefined {
  const file = join(folder, 'tsconfig.json')
  if (existsSync(file)) return undefined
  try {
    createRequire(join(folder, 'x.js')).resolve('sluice/hook')
    return undefined
  } catch {
    const paths = { 'sluice/hook': [fileURLToPath(new URL('../hooks/hook.d.ts', import.meta.url))] }
    const compilerOptions = {
      target: 'es2023',
      lib: ['es2023', 'dom'],
      module: 'nodenext',
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      types: [],
      paths
    }
    createFile(file, `${JSON.stringify({ compilerOptions, include: ['*'] }, null, 2)}\n`)
    return file
  }
}

const TEMPLATE = `import { defineHook } from 'sluice/hook'

export default defineHook({
  name: 'NAME',
  description: 'What it does, in a sentence.',
  options: {
    type: 'object',
    additionalProperties: false,
    properties: {
      max: { type: 'integer', minimum: 1, default: 8192, description: 'The most tokens that an answer may have.' }
    }
  },
  setup: ({ max }, services) => ({
    // Before the upstream: nothing (as it is), another call, an answer, or a failure.
    preCall: call => {
      if ((call.maxTokens ?? Number.POSITIVE_INFINITY) <= max) return undefined
      services.metrics.count('capped')
      return call.with({ maxTokens: max })
    }
  })
})
`
