import type { ChatRequest, Fields, Tool, ToolChoice } from '../../chat/request.ts'
import { shortToolName } from '../../chat/tool-names.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { FREEFORM_SCHEMA, freeformDescription } from '../freeform.ts'
import { boolean, defined, fields, list, someFields, string, unread } from '../read.ts'
import { NAME } from './content.ts'

const FUNCTION = new Set(['type', 'function', 'name', 'description', 'parameters', 'strict'])
const CUSTOM = new Set(['name', 'description'])

export function decodeTools(tools: unknown, functions: unknown): Tool[] {
  const old = list(functions).map(value => ({ type: 'function', function: value }))
  return [...list(tools), ...old].map(decodeTool)
}

/** Cursor sends functions flat, as Responses has them. */
function decodeTool(value: Fields): Tool {
  const inner = { ...fields(value), ...fields(value['function']), ...fields(value['custom']) }
  const name = string(inner['name']) ?? ''
  const description = string(inner['description'])
  if (value['type'] === 'custom') {
    return { name, ...defined({ description }), freeform: true, ...unread(NAME, fields(value['custom']), CUSTOM) }
  }
  if (value['type'] !== 'function' && value['function'] === undefined) {
    return { name, foreign: { dialect: NAME, value } }
  }
  const { parameters } = inner
  return {
    name,
    ...defined({ description, schema: someFields(parameters), strict: boolean(inner['strict']) }),
    ...unread(NAME, { ...value, ...fields(value['function']) }, FUNCTION)
  }
}

export function encodeTools(tools: readonly Tool[], flavour: Flavour, dropped: Dropped): object[] {
  return tools.map(tool => encodeTool(tool, flavour, dropped)).filter(tool => tool !== undefined)
}

const NO_ARGUMENTS = { type: 'object', properties: {} }

function encodeTool(tool: Tool, flavour: Flavour, dropped: Dropped): object | undefined {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === NAME) return { ...tool.foreign.value }
    dropped.add(`tools.${string(tool.foreign.value['type']) ?? tool.name}`)
    return undefined
  }
  const { freeform, schema, strict } = tool
  const name = toolName(tool.name, flavour)
  const extra = dropped.extra(tool.extra, 'tools.')
  // Who holds the model to the format needs no words for it.
  const isHeld = flavour === 'official' && extra['format'] !== undefined
  const description = freeform === true && !isHeld ? freeformDescription(tool) : tool.description
  if (freeform === true && flavour === 'official') {
    return { type: 'custom', custom: { name, ...defined({ description }), ...extra } }
  }
  const parameters = freeform === true ? FREEFORM_SCHEMA : (schema ?? NO_ARGUMENTS)
  const own = freeform === true ? {} : extra
  return {
    type: 'function',
    function: { name, ...defined({ description }), parameters, ...defined({ strict }), ...own }
  }
}

/** Only OpenAI itself counts the characters. */
export function toolName(name: string, flavour: Flavour): string {
  return flavour === 'official' ? shortToolName(name) : name
}

export function decodeToolChoice(value: unknown): { toolChoice?: ToolChoice } {
  if (value === 'auto' || value === 'none') return { toolChoice: { mode: value } }
  if (value === 'required' || value === 'any') return { toolChoice: { mode: 'any' } }
  const choice = fields(value)
  const name = string({ ...choice, ...fields(choice['function']), ...fields(choice['custom']) }['name'])
  return name === undefined ? {} : { toolChoice: { mode: 'named', name } }
}

/** Nothing without tools: servers refuse a choice that has none to choose from. */
export function encodeToolChoice(
  chat: ChatRequest,
  tools: readonly object[],
  flavour: Flavour,
  dropped: Dropped
): Fields {
  const { toolChoice, parallelTools } = chat
  if (tools.length === 0) return {}
  const parallel = parallelTools === undefined ? {} : { parallel_tool_calls: parallelTools }
  if (toolChoice === undefined) return parallel
  if (toolChoice.mode !== 'named') {
    return { tool_choice: toolChoice.mode === 'any' ? 'required' : toolChoice.mode, ...parallel }
  }
  const name = toolName(toolChoice.name, flavour)
  const chosen = tools.map(fields).find(tool => fields(tool['function'] ?? tool['custom'])['name'] === name)
  if (chosen === undefined) {
    dropped.add('tool_choice')
    return parallel
  }
  const type = chosen['type'] === 'custom' ? 'custom' : 'function'
  return { tool_choice: { type, [type]: { name } }, ...parallel }
}
