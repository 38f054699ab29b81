import type { ChatRequest, Fields, Tool, ToolChoice } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { defined, fields, list, someFields, string, unread } from '../read.ts'
import { jsonSchemaOf } from './schema.ts'
import { camel, NAME, several } from './shape.ts'

const DECLARATION = new Set(['name', 'description', 'parameters', 'parametersJsonSchema'])
const CALLING = new Set(['mode'])

/** One entry may hold many functions, and beside them tools that Gemini runs itself. */
export function decodeTools(tools: unknown): Tool[] {
  return several(tools).flatMap(entry =>
    Object.entries(camel(entry)).flatMap(([name, value]): Tool[] => {
      if (name === 'functionDeclarations') return list(several(value)).map(decodeDeclaration)
      return value === null ? [] : [{ name, foreign: { dialect: NAME, value: { [name]: value } } }]
    })
  )
}

function decodeDeclaration(value: Fields): Tool {
  const declaration = camel(value)
  const { parameters, parametersJsonSchema } = declaration
  const schema = someFields(parametersJsonSchema) ?? (someFields(parameters) && jsonSchemaOf(parameters))
  return {
    name: string(declaration['name']) ?? '',
    ...defined({ description: string(declaration['description']), schema }),
    ...unread(NAME, declaration, DECLARATION)
  }
}

const FREEFORM = { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] }

export function encodeTools(tools: readonly Tool[], dropped: Dropped): Fields[] {
  const entries: Fields[] = []
  let functions: object[] | undefined
  for (const tool of tools) {
    if (tool.foreign === undefined) {
      if (functions === undefined) {
        functions = []
        entries.push({ functionDeclarations: functions })
      }
      functions.push(encodeDeclaration(tool, dropped))
    } else if (tool.foreign.dialect === NAME) {
      functions = undefined
      entries.push({ ...tool.foreign.value })
    } else dropped.add(`tools.${string(tool.foreign.value['type']) ?? tool.name}`)
  }
  return entries
}

/** A function without arguments has no schema: an empty one is refused. */
function encodeDeclaration(tool: Tool, dropped: Dropped): object {
  const { name, description, schema, freeform, strict } = tool
  if (strict === true) dropped.add('tools.strict')
  const parametersJsonSchema = freeform === true ? FREEFORM : withType(schema)
  return { name, ...defined({ description, parametersJsonSchema }), ...dropped.extra(tool.extra, 'tools.') }
}

function withType(schema: Fields | undefined): Fields | undefined {
  if (schema === undefined || 'type' in schema || '$ref' in schema) return schema
  return { type: 'object', ...schema }
}

const MODE: ReadonlyMap<unknown, 'auto' | 'any' | 'none'> = new Map([
  ['AUTO', 'auto'],
  ['ANY', 'any'],
  ['NONE', 'none'],
  ['VALIDATED', 'auto']
])

/** `rest` is what only Gemini says about calling. */
export function decodeCalling(value: unknown): { toolChoice?: ToolChoice; rest: Fields } {
  const calling = camel(value)
  const said = string(calling['mode'])?.toUpperCase()
  const mode = MODE.get(said)
  const rest = unread(NAME, calling, CALLING).extra?.[NAME] ?? {}
  const { allowedFunctionNames: names, ...others } = rest
  const [name, another] = Array.isArray(names) ? names : []
  if (mode === undefined) return { rest }
  if (mode === 'any' && typeof name === 'string' && another === undefined)
    return { toolChoice: { mode: 'named', name }, rest: others }
  return { toolChoice: { mode }, rest: said === 'VALIDATED' ? { mode: said, ...rest } : rest }
}

/** Nothing for functions that there are none of. */
export function encodeCalling(chat: ChatRequest, rest: Fields, dropped: Dropped): Fields | undefined {
  const functions = chat.tools.filter(tool => tool.foreign === undefined)
  const { toolChoice, parallelTools } = chat
  if (parallelTools === false && functions.length > 0) dropped.add('parallel_tool_calls')
  if (toolChoice === undefined || functions.length === 0) return someFields(rest)
  if (toolChoice.mode !== 'named') return { mode: toolChoice.mode.toUpperCase(), ...rest }
  if (functions.some(tool => tool.name === toolChoice.name))
    return { mode: 'ANY', allowedFunctionNames: [toolChoice.name], ...fields(rest) }
  dropped.add('tool_choice')
  return someFields(rest)
}
