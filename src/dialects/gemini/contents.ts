import type { Block, TextBlock } from '../../chat/block.ts'
import type { ChatRequest, Extra, Fields, Turn } from '../../chat/request.ts'
import { foldSystem, isResult, pairTools } from '../../chat/turns.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { someFields, string, unread } from '../read.ts'
import { type CallIds, decodeParts, PartWriter } from './parts.ts'
import { camel, generationOf, NAME, several } from './shape.ts'

const READ = new Set(['role', 'parts'])

/**
 * The API wants a list of contents; SDKs take a text, a part or a content without its list as well. Google's own SDK
 * keeps each frame of a stream as a content of the model's: together they are the one turn they were.
 */
export function decodeContents(contents: unknown): Turn[] {
  const ids = new PlacedIds()
  const turns: (Turn & { readonly blocks: Block[] })[] = []
  for (const [at, value] of several(contents).entries()) {
    const content = contentOf(value)
    const role = string(content['role'])?.toLowerCase()
    const isModel = role === 'model' || role === 'assistant'
    const last = turns.at(-1)
    const isMore = isModel && last?.role === 'assistant'
    if (isModel && !isMore) ids.turn(at)
    const blocks = decodeParts(content['parts'], ids)
    const { extra } = unread(NAME, content, READ)
    if (isMore && extra === undefined && last.extra === undefined) append(last.blocks, blocks)
    else turns.push({ role: isModel ? 'assistant' : 'user', blocks, ...(extra !== undefined && { extra }) })
  }
  return turns
}

/** A text that was cut into frames is one text. */
function append(blocks: Block[], more: readonly Block[]): void {
  const [first, ...rest] = more
  const last = blocks.at(-1)
  if (first === undefined) return
  if (last?.type === 'text' && first.type === 'text' && isPlain(last) && isPlain(first))
    blocks.splice(-1, 1, { ...last, text: last.text + first.text })
  else if (last?.type === 'thinking' && first.type === 'thinking' && isPlain(last) && isPlain(first))
    blocks.splice(-1, 1, { ...last, text: last.text + first.text })
  else blocks.push(first)
  blocks.push(...rest)
}

function isPlain({ extra }: Block & { type: 'text' | 'thinking' }): boolean {
  return someFields(extra?.[NAME]) === undefined
}

function contentOf(value: unknown): Fields {
  const content = camel(value)
  return 'parts' in content || 'role' in content ? content : { parts: [value] }
}

export function decodeSystem(instruction: unknown): TextBlock[] {
  const { parts } = contentOf(instruction)
  if (instruction === undefined || instruction === null) return []
  return decodeParts(parts, new PlacedIds()).filter(block => block.type === 'text')
}

interface OpenCall {
  readonly id: string
  readonly name: string
}

/** Ids made from the place in the conversation: the same history has the same ids. */
class PlacedIds implements CallIds {
  #at = 0
  #count = 0
  #open: OpenCall[] = []

  turn(at: number): void {
    this.#at = at
    this.#count = 0
    this.#open = []
  }

  ofCall(said: string, name: string): string {
    const id = said || `call_${this.#at}_${this.#count}`
    this.#count++
    this.#open.push({ id, name })
    return id
  }

  /** Clients may know an id of a call that the call itself does not say. */
  ofResult(said: string, name: string): string {
    const byId = this.#open.findIndex(call => call.id === said)
    const found = byId === -1 ? this.#open.findIndex(call => call.name === name) : byId
    const [call] = found === -1 ? [] : this.#open.splice(found, 1)
    return call?.id ?? (said || name)
  }
}

/** Gemini 3 refuses a call without the signature it made for it, unless this stands there: Google's word for a history that another model wrote. */
const UNSIGNED = 'skip_thought_signature_validator'

export function encodeContents(chat: ChatRequest, flavour: Flavour, dropped: Dropped): object[] {
  const turns = joinResults(pairTools(foldSystem(chat.turns, () => false)))
  const writer = new PartWriter(dropped, flavour, chat.model, namesOf(turns))
  const mustSign = generationOf(chat.model) >= 3
  return turns.flatMap(({ role, blocks, extra }) => {
    const said = writer.parts(blocks)
    const parts = mustSign && role === 'assistant' ? signed(said) : said
    const own = dropped.extra(extra, 'messages.')
    return parts.length === 0 ? [] : [{ role: role === 'assistant' ? 'model' : 'user', parts, ...own }]
  })
}

/** The first call of a turn carries the signature for all of them. */
function signed(parts: readonly Fields[]): readonly Fields[] {
  const first = parts.findIndex(part => part['functionCall'] !== undefined)
  const call = parts[first]
  if (call === undefined || typeof call['thoughtSignature'] === 'string') return parts
  return parts.with(first, { ...call, thoughtSignature: UNSIGNED })
}

/** Gemini wants the results of one turn together. */
function joinResults(turns: readonly Turn[]): Turn[] {
  const joined: Turn[] = []
  for (const turn of turns) {
    const last = joined.at(-1)
    if (last?.role !== 'user' || !turn.blocks.some(isResult)) joined.push(turn)
    else joined.splice(-1, 1, { ...last, blocks: [...last.blocks, ...turn.blocks] })
  }
  return joined
}

function namesOf(turns: readonly Turn[]): ReadonlyMap<string, string> {
  const calls = turns.flatMap(({ blocks }) => blocks.filter((block: Block) => block.type === 'tool-call'))
  return new Map(calls.map(call => [call.id, call.name]))
}

export function encodeSystem(system: readonly TextBlock[], dropped: Dropped): object | undefined {
  const parts = system
    .filter(({ text }) => text !== '')
    .map(({ text, extra }) => ({ text, ...dropped.extra(withoutRole(extra), 'system.') }))
  return parts.length === 0 ? undefined : { parts }
}

/** Who says it has a name of its own elsewhere; here it says nothing. */
function withoutRole(extra: Extra | undefined): Extra | undefined {
  if (extra === undefined) return undefined
  return Object.fromEntries(Object.entries(extra).map(([dialect, { role: _, ...known }]) => [dialect, known]))
}
