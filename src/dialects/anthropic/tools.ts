import type { ChatRequest, Fields, Tool, ToolChoice } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { FREEFORM_SCHEMA, freeformDescription } from '../freeform.ts'
import { boolean, defined, fields, list, someFields, string, unread } from '../read.ts'
import { NAME } from './blocks.ts'

const TOOL = new Set(['type', 'name', 'description', 'input_schema', 'strict'])

export function decodeTools(tools: unknown): Tool[] {
  return list(tools).map(value => {
    const name = string(value['name']) ?? ''
    const type = value['type'] ?? 'custom'
    if (type !== 'custom') return { name, foreign: { dialect: NAME, value } }
    return {
      name,
      ...defined({
        description: string(value['description']),
        schema: someFields(value['input_schema']),
        strict: boolean(value['strict'])
      }),
      ...unread(NAME, value, TOOL)
    }
  })
}

export function encodeTools(tools: readonly Tool[], dropped: Dropped): object[] {
  return tools.map(tool => encodeTool(tool, dropped)).filter(tool => tool !== undefined)
}

function encodeTool(tool: Tool, dropped: Dropped): object | undefined {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === NAME) return { ...tool.foreign.value }
    dropped.add(`tools.${string(tool.foreign.value['type']) ?? tool.name}`)
    return undefined
  }
  const { name, schema, freeform, strict } = tool
  const description = freeform === true ? freeformDescription(tool) : tool.description
  return {
    name,
    ...defined({ description }),
    input_schema: freeform === true ? FREEFORM_SCHEMA : withType(schema),
    ...(strict === true && { strict }),
    ...dropped.extra(tool.extra, 'tools.')
  }
}

/** A tool without arguments has no schema elsewhere; here it must say `object`. */
function withType(schema: Fields | undefined): Fields {
  if (schema === undefined) return { type: 'object', properties: {} }
  return schema['type'] === 'object' ? schema : { type: 'object', ...schema }
}

export function decodeToolChoice(value: unknown): { toolChoice?: ToolChoice; parallelTools?: boolean } {
  const { type, name, disable_parallel_tool_use: disabled } = fields(value)
  const parallel = typeof disabled === 'boolean' ? { parallelTools: !disabled } : {}
  if (type === 'tool' && typeof name === 'string') return { toolChoice: { mode: 'named', name }, ...parallel }
  if (type === 'auto' || type === 'any' || type === 'none') return { toolChoice: { mode: type }, ...parallel }
  return parallel
}

/** Nothing for the default: without tools a choice is refused. */
export function encodeToolChoice(chat: ChatRequest, tools: readonly object[], dropped: Dropped): object | undefined {
  const { toolChoice, parallelTools } = chat
  if (tools.length === 0) return undefined
  const parallel = parallelTools === false ? { disable_parallel_tool_use: true } : {}
  if (toolChoice === undefined) return parallelTools === false ? { type: 'auto', ...parallel } : undefined
  if (toolChoice.mode !== 'named') return { type: toolChoice.mode, ...(toolChoice.mode !== 'none' && parallel) }
  if (tools.some(tool => fields(tool)['name'] === toolChoice.name))
    return { type: 'tool', name: toolChoice.name, ...parallel }
  dropped.add('tool_choice')
  return undefined
}
