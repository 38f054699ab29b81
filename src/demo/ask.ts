/** A tool on offer, wherever its dialect keeps name and schema. */
export interface Tool {
  readonly name: string
  readonly schema: unknown
  /** Responses alone: a tool that takes text, and the namespace a tool lies in. */
  readonly custom?: boolean
  readonly namespace?: string
}

/** What the demo understands of a request, the same in each dialect. */
export interface Ask {
  /** The text of the last thing the user said. */
  readonly prompt: string
  /** What tools answered since the model spoke last. */
  readonly results: readonly string[]
  readonly tools: readonly Tool[]
  readonly toolChoice: 'auto' | 'none' | 'required' | { readonly name: string }
  readonly parallel: boolean
  /** The JSON schema that the answer has to follow; `true` for any object. */
  readonly schema: unknown
  /** The most tokens the answer may have. */
  readonly cap: number | undefined
  readonly stops: readonly string[]
  /** Tokens of the prompt, guessed. */
  readonly input: number
}

export type Fields = Readonly<Record<string, unknown>>

/** The value as an object: empty when it is none. */
export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

/** The value as a list of objects. */
export function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fields) : []
}

export function string(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

export function wholeNumber(...values: unknown[]): number | undefined {
  return values.find((value): value is number => Number.isSafeInteger(value) && Number(value) > 0)
}

export function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.filter(entry => typeof entry === 'string') : []
}

/** The text of a message's content: a string, or parts of which some are text. */
export function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  const texts = list(content).map(part => (typeof part['text'] === 'string' ? part['text'] : textOf(part['content'])))
  return texts.filter(text => text !== '').join('\n')
}

/** What the user said, without what an agent put around it: Claude Code's reminders name half of its tools. */
export function promptOf(content: unknown): string {
  const text = textOf(content)
  return text.replace(/<system-reminder>[\s\S]*?<\/system-reminder>/g, '').trim()
}

/** A guess at the tokens of some text. */
export function tokensOf(characters: number): number {
  return Math.max(1, Math.ceil(characters / 4))
}

/** A guess at the tokens of anything: a quarter of the characters of its text, less those of pictures and files. */
export function tokensIn(...values: unknown[]): number {
  let characters = 0
  // No recursion: a body may be nested deeper than the stack.
  for (const stack = [...values]; stack.length > 0; ) {
    const value = stack.pop()
    if (typeof value === 'string') characters += value.startsWith('data:') ? 0 : value.length
    else if (Array.isArray(value)) for (const entry of value) stack.push(entry)
    else for (const [key, entry] of Object.entries(fields(value))) if (key !== 'data') stack.push(entry)
  }
  return tokensOf(characters)
}
