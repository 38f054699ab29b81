import { objectAt } from '../dialects/bare-keys.ts'
import type { Ask, Fields, Tool } from './ask.ts'
import { readOffer, valueFor } from './schema-value.ts'

export interface ToolCall {
  readonly tool: Tool
  readonly input: Fields
  /** The text of a custom tool, else the arguments as JSON. */
  readonly text: string
}

const ASKS = /\b(?:call|use (?:an?|the|any|some|your|both|two)\b[^.!?]*\b(?:tools?|functions?))\b/i
const BOTH = /\b(?:both|twice|two (?:tools|calls|functions))\b/i

/** The calls that a request asks for: by the tool's name, by «use a tool», «call», or by a choice that forces one. */
export function toolCallsFor(ask: Ask): ToolCall[] {
  if (ask.toolChoice === 'none' || ask.tools.length === 0 || ask.results.length > 0) return []
  const offer = readOffer(ask.prompt)
  const spelled = spelledArguments(ask.prompt)
  return chosenTools(ask).map((tool, index) => {
    const input =
      (index === 0 ? spelled : undefined) ?? (valueFor({ type: 'object', ...(tool.schema as object) }, offer) as Fields)
    const text = tool.custom ? (offer.texts.shift() ?? ask.prompt) : JSON.stringify(input)
    return { tool, input, text }
  })
}

function chosenTools({ prompt, tools, toolChoice, parallel }: Ask): Tool[] {
  if (typeof toolChoice === 'object') return tools.filter(tool => tool.name === toolChoice.name).slice(0, 1)
  const named = tools
    .map(tool => ({ tool, at: mentionOf(tool.name, prompt) }))
    .filter(({ at }) => at >= 0)
    .sort((left, right) => left.at - right.at)
    .map(({ tool }) => tool)
  if (named.length === 0 && toolChoice !== 'required' && !ASKS.test(prompt)) return []
  const chosen = named.length > 0 ? named : tools.slice(0, 1)
  if (!parallel) return chosen.slice(0, 1)
  const both = BOTH.test(prompt) && chosen.length === 1
  const second = named.length === 1 ? named[0] : (tools[1] ?? tools[0])
  return both && second !== undefined ? [...chosen, second] : chosen
}

/** Where the prompt names the tool. A name of one word needs its exact letters: «write» is a word, `Write` is a tool. */
function mentionOf(name: string, prompt: string): number {
  const exact = indexOfWord(prompt, name)
  const spoken = name.replace(/[_-]+/g, ' ').toLowerCase()
  return exact === -1 && spoken.includes(' ') ? indexOfWord(prompt.toLowerCase(), spoken) : exact
}

function indexOfWord(text: string, word: string): number {
  if (word === '') return -1
  for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + 1)) {
    if (!/\w/.test(text[at - 1] ?? ' ') && !/\w/.test(text[at + word.length] ?? ' ')) return at
  }
  return -1
}

/** The arguments, where the prompt spells them out: «call Write with {"path": "x"}». */
function spelledArguments(prompt: string): Fields | undefined {
  const opening = prompt.indexOf('{"')
  return opening === -1 ? undefined : objectAt(prompt, opening)
}
