import type { ToolCallBlock } from '../../chat/block.ts'
import type { ChatRequest, Fields, Tool, ToolChoice } from '../../chat/request.ts'
import { shortToolName } from '../../chat/tool-names.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { FREEFORM_SCHEMA, freeformDescription, freeformInput } from '../freeform.ts'
import { boolean, defined, fields, list, someFields, string, unread } from '../read.ts'
import { NAME, own } from './content.ts'

const FUNCTION = new Set(['type', 'name', 'description', 'parameters', 'strict'])
const CUSTOM = new Set(['type', 'name', 'description'])

export function decodeTools(tools: unknown): Tool[] {
  return list(tools).flatMap(decodeTool)
}

/** A namespace is a group of tools. Others know none, so its tools go by a name that holds both. */
function decodeTool(value: Fields): Tool[] {
  if (value['type'] !== 'namespace') return [decodeOne(value)]
  const { tools, ...group } = value
  const groupName = string(group['name']) ?? ''
  return list(tools).map(inner => {
    const tool = decodeOne(inner)
    const namespace = { ...group, tool: tool.name }
    return { ...tool, name: joinName(groupName, tool.name), extra: { [NAME]: { ...own(tool), namespace } } }
  })
}

/** Some clients nest a function as Chat Completions does. */
function decodeOne(value: Fields): Tool {
  const inner = { ...value, ...fields(value['function']) }
  const name = string(inner['name']) ?? ''
  const description = string(inner['description'])
  if (value['type'] === 'custom')
    return { name, ...defined({ description }), freeform: true, ...unread(NAME, value, CUSTOM) }
  if (value['type'] !== 'function') {
    return { name: name || (string(value['type']) ?? ''), foreign: { dialect: NAME, value } }
  }
  return {
    name,
    ...defined({ description, schema: someFields(inner['parameters']), strict: boolean(inner['strict']) }),
    ...unread(NAME, { ...inner, function: undefined }, FUNCTION)
  }
}

/** Tools that the client adds with an item of the input, as Codex does for the newest models. */
export function decodeAddedTools({ tools, ...added }: Fields): Tool[] {
  return decodeTools(tools).map(tool => ({ ...tool, extra: { [NAME]: { ...own(tool), added } } }))
}

/** `functions` is what OpenAI calls the namespace of tools that have none. */
export function joinName(namespace: string | undefined, name: string): string {
  if (namespace === undefined || namespace === '' || namespace === 'functions') return name
  return namespace.endsWith('__') ? namespace + name : `${namespace}__${name}`
}

/** The tool's name inside of its namespace. */
function nameWithin(namespace: string, joined: string): string {
  const prefix = joinName(namespace, '')
  return joined.startsWith(prefix) ? joined.slice(prefix.length) : joined
}

interface EncodedTools {
  readonly tools: object[]
  /** The items that add more of them. */
  readonly items: object[]
}

export function encodeTools(tools: readonly Tool[], flavour: Flavour, dropped: Dropped): EncodedTools {
  const top = new ToolList()
  const added = new Map<string, { readonly head: Fields; readonly list: ToolList }>()
  for (const tool of tools) {
    const encoded = encodeTool(tool, flavour, dropped)
    if (encoded === undefined) continue
    const known = isFlat(flavour) ? {} : own(tool)
    const head = fields(known['added'])
    const item = JSON.stringify(head)
    if (known['added'] !== undefined && !added.has(item)) added.set(item, { head, list: new ToolList() })
    const list = added.get(item)?.list ?? top
    list.add(encoded, fields(known['namespace']))
  }
  const items = [...added.values()].map(({ head, list }) => ({ ...head, tools: list.tools }))
  return { tools: top.tools, items }
}

/** Tools, those of a namespace together. */
class ToolList {
  readonly tools: object[] = []
  readonly #namespaces = new Map<string, object[]>()

  add(tool: object, { tool: _, ...namespace }: Fields): void {
    const name = string(namespace['name'])
    const known = name === undefined ? this.tools : this.#namespaces.get(name)
    if (known !== undefined) known.push(tool)
    else {
      const tools = [tool]
      this.#namespaces.set(name ?? '', tools)
      this.tools.push({ ...namespace, tools })
    }
  }
}

function namespaceOf(tool: Tool): Fields {
  return fields(own(tool)['namespace'])
}

function encodeTool(tool: Tool, flavour: Flavour, dropped: Dropped): object | undefined {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === NAME) return { ...tool.foreign.value }
    dropped.add(`tools.${string(tool.foreign.value['type']) ?? tool.name}`)
    return undefined
  }
  const { namespace, added: _, ...extra } = dropped.extra(tool.extra, 'tools.')
  const { description, freeform, schema, strict } = tool
  const within = isFlat(flavour) ? undefined : string(fields(namespace)['tool'])
  const name = within ?? toolName(tool.name, flavour)
  if (freeform === true) {
    const isHeld = !isFlat(flavour) && extra['format'] !== undefined
    const told = defined({ description: isHeld ? description : freeformDescription(tool) })
    if (!isFlat(flavour)) return { type: 'custom', name, ...told, ...extra }
    return { type: 'function', name, ...told, parameters: FREEFORM_SCHEMA, strict: false }
  }
  // It is strict unless told otherwise, and then refuses schemas that are good elsewhere.
  const parameters = schema ?? { type: 'object', properties: {} }
  return { type: 'function', name, ...defined({ description }), parameters, strict: strict ?? false, ...extra }
}

/** Servers that imitate OpenAI know functions alone: no namespaces, no tools that take text. */
export function isFlat(flavour: Flavour): boolean {
  return flavour !== 'official'
}

export function toolName(name: string, flavour: Flavour): string {
  return flavour === 'official' ? shortToolName(name) : name
}

/** A call as the client's own tools have it: by its namespace, and as text where the tool takes text. */
export function calledTool(call: ToolCallBlock, tools: readonly Tool[] = []): ToolCallBlock & { namespace?: string } {
  const said = string(fields(own(call)['item'])['namespace'])
  if (said !== undefined) return { ...call, name: nameWithin(said, call.name), namespace: said }
  const tool = tools.find(({ name }) => name === call.name)
  if (tool === undefined) return call
  const { name: namespace, tool: within } = namespaceOf(tool)
  const named = {
    ...call,
    name: string(within) ?? call.name,
    ...(typeof namespace === 'string' && { namespace })
  }
  if (tool.freeform !== true || call.freeform === true) return named
  return { ...named, freeform: true, input: freeformInput(call.input) }
}

interface DecodedChoice {
  readonly toolChoice?: ToolChoice
  /** A choice that only this dialect has. */
  readonly rest?: Fields
}

export function decodeToolChoice(value: unknown): DecodedChoice {
  if (value === 'auto' || value === 'none') return { toolChoice: { mode: value } }
  if (value === 'required') return { toolChoice: { mode: 'any' } }
  const choice = fields(value)
  const name = string(choice['name']) ?? string(fields(choice['function'])['name'])
  const { type, mode } = choice
  if ((type === 'function' || type === 'custom') && name !== undefined) {
    return { toolChoice: { mode: 'named', name: joinName(string(choice['namespace']), name) } }
  }
  if (type === undefined) return {}
  const general = type === 'allowed_tools' ? ({ mode: mode === 'required' ? 'any' : 'auto' } as const) : undefined
  return { ...defined({ toolChoice: general }), rest: choice }
}

export function encodeToolChoice(
  { toolChoice, tools, extra }: ChatRequest,
  flavour: Flavour,
  dropped: Dropped
): Fields | string | undefined {
  const said = someFields(extra?.[NAME]?.['tool_choice'])
  if (said !== undefined) return said
  if (toolChoice === undefined) return undefined
  if (toolChoice.mode !== 'named') return toolChoice.mode === 'any' ? 'required' : toolChoice.mode
  const chosen = tools.find(({ name, foreign }) => name === toolChoice.name && foreign === undefined)
  if (chosen === undefined) {
    dropped.add('tool_choice')
    return undefined
  }
  const { name: namespace, tool } = isFlat(flavour) ? {} : namespaceOf(chosen)
  const name = string(tool) ?? toolName(chosen.name, flavour)
  const type = chosen.freeform === true && !isFlat(flavour) ? 'custom' : 'function'
  return { type, name, ...defined({ namespace }) }
}
