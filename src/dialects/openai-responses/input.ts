// A conversation as the items of an input.
import type { Block, TextBlock, ToolCallBlock, ToolResultBlock } from '../../chat/block.ts'
import type { ChatRequest, Fields, Turn } from '../../chat/request.ts'
import { foldSystem, isResult, pairTools } from '../../chat/turns.ts'
import { repairObject } from '../../lib/json-repair.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { encodeAnnotation } from '../openai-citations.ts'
import { encodeLogprobs } from '../openai-logprobs.ts'
import { defined, fields, string } from '../read.ts'
import { ContentWriter, NAME, own } from './content.ts'
import { calledTool, isFlat, toolName } from './tools.ts'

interface EncodedInput {
  readonly instructions: string | undefined
  readonly input: object[]
}

export function encodeInput(chat: ChatRequest, flavour: Flavour, dropped: Dropped): EncodedInput {
  const writer = new InputWriter(chat, flavour, dropped)
  const isApart = (block: TextBlock) => own(block)['role'] !== undefined
  const joined = chat.system.filter(block => !isApart(block))
  for (const { extra } of joined) dropped.extra(extra, 'system.')
  const instructions = joined.map(({ text }) => text).join('\n\n')
  writer.system(chat.system.filter(isApart))
  // The templates of open models know one system message, at the top.
  const folded = foldSystem(chat.turns, () => flavour !== 'local')
  for (const turn of continues(chat) ? folded : pairTools(folded)) writer.turn(turn)
  if (writer.items.length > 0 || continues(chat))
    return { instructions: instructions || undefined, input: writer.items }
  // An input is required, and what the system says may be all there is.
  return { instructions: undefined, input: [{ type: 'message', role: 'system', content: instructions }] }
}

/** Calls whose results come now may be in what the upstream has kept. */
function continues({ extra, turns }: ChatRequest): boolean {
  const { previous_response_id: previous, conversation } = extra?.[NAME] ?? {}
  if (previous !== undefined || conversation !== undefined) return true
  const isKept = (block: Block) =>
    block.type === 'foreign' && block.dialect === NAME && (block.value['type'] ?? 'item_reference') === 'item_reference'
  return turns.some(({ blocks }) => blocks.some(isKept))
}

class InputWriter {
  readonly items: object[] = []
  readonly #chat: ChatRequest
  readonly #flavour: Flavour
  readonly #dropped: Dropped
  readonly #content: ContentWriter
  /** The ids of calls whose input was text. */
  readonly #freeform = new Set<string>()

  constructor(chat: ChatRequest, flavour: Flavour, dropped: Dropped) {
    this.#chat = chat
    this.#flavour = flavour
    this.#dropped = dropped
    this.#content = new ContentWriter(dropped, flavour)
  }

  system(blocks: readonly TextBlock[]): void {
    let parts: Fields[] = []
    for (const block of blocks) {
      const { role, part, item } = own(block)
      const [said = {}] = this.#content.parts(block)
      if (part !== undefined && parts.length > 0) parts.push(said)
      else {
        parts = [said]
        this.items.push({ type: 'message', role, content: parts, ...fields(item) })
      }
    }
  }

  turn(turn: Turn): void {
    if (turn.role === 'assistant') return this.#assistant(turn)
    const { role, item } = this.#dropped.extra(turn.extra, 'messages.')
    if (turn.role === 'system') {
      const said = string(role) ?? 'system'
      return this.#message(said, turn.blocks, fields(item))
    }
    const others: Block[] = []
    for (const block of turn.blocks) {
      if (isResult(block)) this.#result(block)
      else if (isItem(block)) this.items.push({ ...block.value })
      else others.push(block)
    }
    if (others.length > 0) this.#message('user', others, fields(item))
  }

  #message(role: string, blocks: readonly Block[], item: Fields): void {
    const content = this.#content.content(blocks)
    if (content.length > 0) this.items.push({ type: 'message', role, content, ...item })
  }

  #result(result: ToolResultBlock): void {
    const { custom, item } = this.#dropped.extra(result.extra, 'messages.tool_result.')
    const type =
      custom === true || this.#freeform.has(result.callId) ? 'custom_tool_call_output' : 'function_call_output'
    const said = this.#content.content(result.blocks)
    const output = result.isError === true ? asError(said) : said
    this.items.push({ type, call_id: result.callId, output: output.length === 0 ? '' : output, ...fields(item) })
  }

  #assistant(turn: Turn): void {
    this.#dropped.extra(turn.extra, 'messages.')
    let parts: Fields[] | undefined
    for (const block of turn.blocks) {
      if (block.type === 'text') {
        const item = own(block)['item']
        if (parts === undefined || item !== undefined) {
          parts = []
          this.items.push({ type: 'message', role: 'assistant', content: parts, ...fields(item) })
        }
        parts.push(outputPart(block, this.#content.textExtra(block), this.#dropped))
        continue
      }
      parts = undefined
      const item = this.#saidItem(block)
      if (item !== undefined) this.items.push(item)
    }
  }

  #saidItem(block: Exclude<Block, TextBlock>): object | undefined {
    switch (block.type) {
      case 'tool-call':
        return this.#call(block)
      case 'thinking':
        return this.#thinking(block.text, this.#dropped.extra(block.extra, 'messages.thinking.'))
      case 'redacted-thinking': {
        const { item, ...known } = this.#dropped.extra(block.extra, 'messages.redacted_thinking.')
        if (block.extra[NAME] === undefined) return this.#drop('redacted_thinking')
        return { type: 'reasoning', summary: [], ...known, ...fields(item) }
      }
      default:
        if (isItem(block)) return { ...block.value }
        return this.#drop(block.type === 'foreign' ? (string(block.value['type']) ?? 'content') : block.type)
    }
  }

  /** OpenAI takes back what it has thought itself; servers of open models take any thinking. */
  #thinking(text: string, known: Fields): object | undefined {
    const { item, ...rest } = known
    if (rest['encrypted_content'] !== undefined || item !== undefined) {
      return { type: 'reasoning', summary: [{ type: 'summary_text', text }], ...rest, ...fields(item) }
    }
    if (this.#flavour !== 'local') return this.#drop('thinking')
    return { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text }], ...rest }
  }

  #call(call: ToolCallBlock): object {
    const { item } = this.#dropped.extra(call.extra, 'messages.tool_calls.')
    const { namespace: _, ...rest } = fields(item)
    const named = isFlat(this.#flavour) ? call : calledTool(call, this.#chat.tools)
    const { namespace } = 'namespace' in named ? named : {}
    const name = namespace === undefined ? toolName(named.name, this.#flavour) : named.name
    const head = { call_id: call.id, name, ...defined({ namespace }) }
    const { freeform = false, input } = named
    if (freeform && !isFlat(this.#flavour)) {
      this.#freeform.add(call.id)
      return { type: 'custom_tool_call', ...head, input, ...rest }
    }
    const text = freeform ? JSON.stringify({ input }) : (repairObject(input) ?? JSON.stringify({ unparsed: input }))
    return { type: 'function_call', ...head, arguments: text, ...rest }
  }

  #drop(what: string): undefined {
    this.#dropped.add(`messages.${what}`)
    return undefined
  }
}

/** Of a message it is a part; otherwise an item of its own. */
const PARTS = /^(?:input|output)_|^text$|^refusal$/

function isItem(block: Block): block is Block & { type: 'foreign' } {
  return block.type === 'foreign' && block.dialect === NAME && !PARTS.test(string(block.value['type']) ?? '')
}

export function outputPart(block: TextBlock, extra: Fields, dropped: Dropped): Fields {
  const { text, logprobs } = block
  if (block.refusal === true) {
    if (logprobs !== undefined) dropped.add('messages.logprobs')
    return { type: 'refusal', refusal: text, ...extra }
  }
  const annotations = dropped
    .citations(block.citations)
    .map(citation => encodeAnnotation(NAME, citation, text.length, dropped))
  const tokens = logprobs === undefined ? {} : { logprobs: encodeLogprobs(logprobs, []) }
  return { type: 'output_text', text, annotations, ...tokens, ...extra }
}

function asError(content: string | object[]): string | object[] {
  if (typeof content !== 'string') return [{ type: 'input_text', text: 'Error:' }, ...content]
  return /^(?:<tool_use_error>|error\b)/i.test(content) ? content : `Error: ${content}`
}
