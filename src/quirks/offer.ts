import type { Fields, Tool } from '../chat/request.ts'
import { offeredToolName } from '../chat/tool-names.ts'

/** A call that stood in the text. `input` is the text of a JSON object; of a freeform tool, any text. */
export interface TextCall {
  readonly tool: Tool
  readonly input: string
}

/** The tools that a model may call. Those that an upstream runs itself are never called in the text. */
export class Offer {
  readonly #tools: ReadonlyMap<string, Tool>
  readonly #names: readonly string[]

  constructor(tools: readonly Tool[]) {
    this.#tools = new Map(tools.filter(tool => tool.foreign === undefined).map(tool => [tool.name, tool]))
    this.#names = [...this.#tools.keys()]
  }

  get isEmpty(): boolean {
    return this.#names.length === 0
  }

  tool(name: string): Tool | undefined {
    return this.isEmpty ? undefined : this.#tools.get(offeredToolName(name.trim(), this.#names))
  }

  /** Undefined when the tool is not on offer, or takes free text and there is no telling which of the values it is. */
  call(name: string, input: Fields): TextCall | undefined {
    const tool = this.tool(name)
    if (tool === undefined) return undefined
    if (tool.freeform !== true) return { tool, input: JSON.stringify(input) }
    const [text, ...others] = Object.values(input)
    return typeof text === 'string' && others.length === 0 ? { tool, input: text } : undefined
  }
}

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** All of them, or none: half of what a model wants to do is not what it wants. */
export function allOf(calls: readonly (TextCall | undefined)[]): TextCall[] | undefined {
  const known = calls.filter(call => call !== undefined)
  return known.length > 0 && known.length === calls.length ? known : undefined
}
