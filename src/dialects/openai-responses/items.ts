// Items of an input or an output, as blocks. What an item has beside its content is kept in `item`, so that it comes back.
import type { Block, TextBlock, ToolCallBlock } from '../../chat/block.ts'
import type { Extra, Fields, Turn } from '../../chat/request.ts'
import { exactJson } from '../exact.ts'
import { defined, list, someFields, string, unread } from '../read.ts'
import { decodeContent, foreign, NAME, own, ownExtra } from './content.ts'
import { carried } from './reasoning.ts'
import { joinName } from './tools.ts'

const MESSAGE = new Set(['type', 'role', 'content'])
const CALL = new Set(['type', 'call_id', 'name', 'arguments', 'input'])
const OUTPUT = new Set(['type', 'call_id', 'output'])
const REASONING = new Set(['type', 'summary', 'content', 'encrypted_content'])

/** What is left of an item, but for the status that each finished one has. */
function rest(item: Fields, read: ReadonlySet<string>): Fields | undefined {
  const left = unread(NAME, item, read).extra?.[NAME] ?? {}
  const { status, ...others } = left
  return someFields(status === 'completed' ? others : left)
}

/** What the assistant said in one item; undefined for an item of somebody else. */
export function decodeSaid(item: Fields): Block[] | undefined {
  switch (item['type']) {
    case 'function_call':
    case 'custom_tool_call':
      return [decodeCall(item)]
    case 'reasoning':
      return [decodeReasoningItem(item)]
    case 'message':
    case undefined:
      return item['role'] === 'assistant' ? decodeMessage(item) : undefined
    default:
      return /_output$|^item_reference$|_response$/.test(string(item['type']) ?? '') ? undefined : [foreign(item)]
  }
}

function decodeMessage(item: Fields): Block[] {
  return decodeContent(item['content']).map((block, at) => (at === 0 ? withItem(block, rest(item, MESSAGE)) : block))
}

function withItem(block: Block, item: Fields | undefined): Block {
  if (item === undefined || block.type !== 'text') return block
  return { ...block, ...ownExtra({ ...own(block), item }) }
}

export function decodeCall(item: Fields): ToolCallBlock {
  const freeform = item['type'] === 'custom_tool_call'
  const said = freeform ? item['input'] : item['arguments']
  const written = typeof said === 'string' ? said : said ? exactJson(said) : ''
  return {
    type: 'tool-call',
    id: string(item['call_id']) || string(item['id']) || '',
    name: joinName(string(item['namespace']), string(item['name']) ?? ''),
    input: written,
    ...(freeform && { freeform }),
    ...ownExtra({ item: rest(item, CALL) })
  }
}

/** The texts of a summary, or of thinking that is open. */
export function reasoningText(parts: unknown): string {
  return list(parts)
    .map(part => string(part['text']) ?? '')
    .join('\n\n')
}

export function decodeReasoningItem(item: Fields): Block {
  const { summary, content, encrypted_content: encrypted } = item
  const ours = carried(encrypted)
  const text = reasoningText(summary) || reasoningText(content)
  if (ours !== undefined) {
    return text === '' && Object.keys(ours).length > 0
      ? { type: 'redacted-thinking', extra: ours }
      : { type: 'thinking', text, ...defined({ extra: someFields(ours) as Extra | undefined }) }
  }
  const isPlain = list(summary).length === 1 && list(content).length === 0
  const known = {
    item: rest(item, REASONING),
    encrypted_content: string(encrypted),
    summary: isPlain || !Array.isArray(summary) ? undefined : summary,
    content: list(content).length > 0 ? content : undefined
  }
  if (text !== '') return { type: 'thinking', text, ...ownExtra(known) }
  return { type: 'redacted-thinking', extra: ownExtra(known).extra ?? { [NAME]: {} } }
}

const isSystem = ({ role, type }: Fields): boolean =>
  (role === 'system' || role === 'developer') && (type === undefined || type === 'message')

interface Conversation {
  readonly system: TextBlock[]
  readonly turns: Turn[]
}

/** Tools are no part of the conversation. */
const isNoAddition = ({ type }: Fields): boolean => type !== 'additional_tools'

export function decodeInput(instructions: unknown, input: unknown): Conversation {
  const items = typeof input === 'string' ? [{ role: 'user', content: input }] : list(input).filter(isNoAddition)
  const first = items.findIndex(item => !isSystem(item))
  const leading = items.slice(0, first === -1 ? undefined : first)
  const told: TextBlock[] = string(instructions) ? [{ type: 'text', text: string(instructions) ?? '' }] : []
  const reader = new TurnReader()
  for (const item of items.slice(leading.length)) reader.add(item)
  return { system: [...told, ...leading.flatMap(systemBlocks)], turns: reader.turns }
}

/** Each message stays one: agents cache what comes first. */
function systemBlocks(item: Fields): TextBlock[] {
  const { role } = item
  return decodeContent(item['content'])
    .filter(block => block.type === 'text')
    .map((block, at) => {
      const known = { ...own(block), role, part: at || undefined, item: at === 0 ? rest(item, MESSAGE) : undefined }
      return { ...block, ...ownExtra(known) }
    })
}

class TurnReader {
  readonly turns: Turn[] = []
  /** The blocks of the last turn, as long as more may join it. */
  #open: { role: Turn['role']; blocks: Block[] } | undefined
  readonly #freeform = new Set<string>()

  add(item: Fields): void {
    const said = decodeSaid(item)
    if (said !== undefined) return this.#addSaid(said)
    const { type, role } = item
    if (type === 'function_call_output' || type === 'custom_tool_call_output') {
      this.#blocks('user').push(this.#result(item))
    } else if (type !== undefined && type !== 'message') {
      this.#blocks(type === 'item_reference' ? (this.#open?.role ?? 'user') : 'user').push(foreign(item))
    } else if (role === undefined && item['content'] === undefined) {
      this.#blocks(this.#open?.role ?? 'user').push(foreign(item))
    } else this.#addMessage(item)
  }

  #addSaid(said: readonly Block[]): void {
    const blocks = this.#blocks('assistant')
    for (const [at, block] of said.entries()) {
      if (block.type === 'tool-call' && block.freeform === true) this.#freeform.add(block.id)
      // Two messages in a row would become one.
      const joins = at === 0 && block.type === 'text' && blocks.at(-1)?.type === 'text'
      const isMarked = 'extra' in block && own(block)['item'] !== undefined
      blocks.push(joins && !isMarked ? withItem(block, {}) : block)
    }
  }

  #addMessage(item: Fields): void {
    const blocks = decodeContent(item['content'])
    const known = rest(item, MESSAGE)
    if (isSystem(item)) {
      const extra = ownExtra({ role: item['role'] === 'developer' ? 'developer' : undefined, item: known })
      this.turns.push({ role: 'system', blocks, ...extra })
      this.#open = undefined
      return
    }
    const holdsResults = this.#open?.role === 'user' && this.#open.blocks.every(({ type }) => type === 'tool-result')
    if (holdsResults && known === undefined) this.#open?.blocks.push(...blocks)
    else this.turns.push({ role: 'user', blocks, ...ownExtra({ item: known }) })
    this.#open = undefined
  }

  #result(item: Fields): Block {
    const callId = string(item['call_id']) ?? ''
    // Which kind it is, the call says, where it is there.
    const custom = item['type'] === 'custom_tool_call_output' && !this.#freeform.has(callId) ? true : undefined
    const extra = ownExtra({ custom, item: rest(item, OUTPUT) })
    return { type: 'tool-result', callId, blocks: decodeContent(item['output']), ...extra }
  }

  #blocks(role: Turn['role']): Block[] {
    if (this.#open?.role !== role) {
      this.#open = { role, blocks: [] }
      this.turns.push(this.#open)
    }
    return this.#open.blocks
  }
}
