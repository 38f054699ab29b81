import type { Block, TextBlock, ToolCallBlock, ToolResultBlock } from '../../chat/block.ts'
import type { ChatRequest, Fields, Turn } from '../../chat/request.ts'
import { foldSystem, isResult, pairTools } from '../../chat/turns.ts'
import { repairObject } from '../../lib/json-repair.ts'
import { citing } from '../citing.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { exactJson } from '../exact.ts'
import { decodeAnnotations, encodeNestedAnnotation } from '../openai-citations.ts'
import { defined, fields, list, string, unread } from '../read.ts'
import { ContentWriter, decodeContent, NAME, plainText } from './content.ts'
import { toolName } from './tools.ts'

const SYSTEM = new Set(['content'])
const USER = new Set(['role', 'content'])
const ASSISTANT = new Set(['role', 'content', 'refusal', 'tool_calls', 'function_call', 'annotations', 'audio'])
const REASONING = ['reasoning_content', 'reasoning', 'reasoning_details']
const ASSISTANT_READ = new Set([...ASSISTANT, ...REASONING])
const TOOL = new Set(['role', 'content', 'tool_call_id', 'name'])

export interface Conversation {
  readonly system: TextBlock[]
  readonly turns: Turn[]
}

const isSystem = ({ role }: Fields): boolean => role === 'system' || role === 'developer'

export function decodeMessages(messages: readonly Fields[]): Conversation {
  const first = messages.findIndex(message => !isSystem(message))
  const leading = messages.slice(0, first === -1 ? undefined : first)
  const marked = leading.length > 1 || leading.some(({ role }) => role !== 'system')
  const system = leading.flatMap(message => systemBlocks(message, marked))
  const reader = new TurnReader()
  for (const [at, message] of messages.entries()) if (at >= leading.length) reader.add(message, at)
  return { system, turns: reader.turns }
}

/** Each message stays one where there are several, or where its role is not the usual one. */
function systemBlocks(message: Fields, marked: boolean): TextBlock[] {
  const { extra } = marked ? unread(NAME, message, SYSTEM) : {}
  return decodeContent(message['content'])
    .filter(block => block.type === 'text')
    .map(({ text, extra: own }) => ({
      type: 'text',
      text,
      ...defined({ extra: own === undefined ? extra : { ...own, ...extra } })
    }))
}

class TurnReader {
  readonly turns: Turn[] = []
  /** Results of tools, which are messages of their own here, until the next turn takes them in. */
  #results: Block[] | undefined
  #unanswered = new Set<string>()

  add(message: Fields, at: number): void {
    const { role } = message
    if (role === 'tool' || role === 'function') return this.#addResult(message)
    const results = this.#results
    this.#results = undefined
    if (isSystem(message)) {
      const blocks = decodeContent(message['content'])
      this.turns.push({ role: 'system', blocks, ...unread(NAME, message, SYSTEM) })
    } else if (role === 'assistant') {
      const blocks = decodeAssistant(message, `${at}`)
      this.#unanswered = new Set(blocks.filter(block => block.type === 'tool-call').map(block => block.id))
      this.turns.push({ role: 'assistant', blocks, ...unread(NAME, message, ASSISTANT_READ) })
    } else {
      const blocks = decodeContent(message['content'])
      const { extra } = unread(NAME, message, USER)
      if (results !== undefined && extra === undefined) results.push(...blocks)
      else this.turns.push({ role: 'user', blocks, ...defined({ extra }) })
    }
  }

  #addResult(message: Fields): void {
    const said = string(message['tool_call_id'])
    const callId = said ?? this.#unanswered.values().next().value ?? string(message['name']) ?? ''
    this.#unanswered.delete(callId)
    const blocks = decodeContent(message['content'])
    if (this.#results === undefined) {
      this.#results = []
      this.turns.push({ role: 'user', blocks: this.#results })
    }
    this.#results.push({ type: 'tool-result', callId, blocks, ...unread(NAME, message, TOOL) })
  }
}

/** What an assistant said, in a request or an answer. `place` makes the ids of calls that have none. */
export function decodeAssistant(message: Fields, place: string): Block[] {
  const blocks: Block[] = []
  const thinking = reasoningText(message)
  if (thinking !== '') blocks.push({ type: 'thinking', text: thinking })
  const { citations = [] } = decodeAnnotations(NAME, message['annotations'])
  blocks.push(...citing(decodeContent(message['content']), citations))
  const refusal = string(message['refusal']) ?? ''
  if (refusal !== '') blocks.push({ type: 'text', text: refusal, refusal: true })
  const old = message['function_call']
  const calls = [...list(message['tool_calls']), ...(old ? [{ function: old }] : [])]
  for (const [index, call] of calls.entries()) blocks.push(decodeCall(call, `call_${place}_${index}`))
  return blocks
}

/** Each family of servers has its own name for it. */
export function reasoningText(message: Fields): string {
  const said = string(message['reasoning_content']) || string(message['reasoning'])
  if (said !== undefined && said !== '') return said
  const details = list(message['reasoning_details'])
  return details.map(detail => string(detail['text']) ?? string(detail['summary']) ?? '').join('')
}

function decodeCall(call: Fields, made: string): ToolCallBlock {
  const id = string(call['id']) || made
  if (call['type'] === 'custom') {
    const { name, input } = fields(call['custom'])
    return { type: 'tool-call', id, name: string(name) ?? '', input: string(input) ?? '', freeform: true }
  }
  const { name, arguments: said } = fields(call['function'])
  // Some servers send the object itself.
  const input = typeof said === 'string' ? said : exactJson(said ?? {})
  return { type: 'tool-call', id, name: string(name) ?? '', input }
}

export function encodeMessages(chat: ChatRequest, flavour: Flavour, dropped: Dropped): object[] {
  const writer = new MessageWriter(flavour, dropped)
  // The templates of open models know one system message, at the top.
  const keeps = ({ extra }: Turn) => flavour !== 'local' && extra?.[NAME] !== undefined
  const turns = pairTools(foldSystem(chat.turns, keeps))
  return [...writer.system(chat.system), ...turns.flatMap(turn => writer.turn(turn))]
}

class MessageWriter {
  readonly #flavour: Flavour
  readonly #dropped: Dropped
  readonly #content: ContentWriter

  constructor(flavour: Flavour, dropped: Dropped) {
    this.#flavour = flavour
    this.#dropped = dropped
    this.#content = new ContentWriter(dropped, flavour)
  }

  system(blocks: readonly TextBlock[]): object[] {
    const isApart = ({ extra }: TextBlock) => extra?.[NAME] !== undefined && this.#flavour !== 'local'
    const own = blocks.filter(isApart)
    const joined = blocks.filter(block => !isApart(block))
    for (const { extra } of joined) this.#dropped.extra(extra, 'system.')
    const messages = own.map(block => this.#systemMessage(block.extra?.[NAME] ?? {}, [block]))
    return joined.length === 0 ? messages : [this.#systemMessage({}, joined), ...messages]
  }

  turn(turn: Turn): object[] {
    if (turn.role === 'assistant') return this.#assistant(turn)
    if (turn.role === 'system') {
      for (const block of turn.blocks) if (block.type === 'text') this.#dropped.extra(block.extra, 'messages.')
      return [this.#systemMessage(turn.extra?.[NAME] ?? {}, turn.blocks)]
    }
    const extra = this.#dropped.extra(turn.extra, 'messages.')
    const results = turn.blocks.filter(isResult)
    const moved = results.flatMap(result => result.blocks.filter(isMedia))
    const rest = [...moved, ...turn.blocks.filter(block => !isResult(block))]
    const messages = results.map(result => this.#result(result))
    if (rest.length === 0 && messages.length > 0) return messages
    return [...messages, { role: 'user', content: this.#content.content(rest), ...extra }]
  }

  /** `developer` is a word of OpenAI's alone. */
  #systemMessage({ role, ...extra }: Fields, blocks: readonly Block[]): object {
    const plain = blocks.map(block => (block.type === 'text' ? { type: block.type, text: block.text } : block))
    const name = role === 'developer' && this.#flavour === 'official' ? 'developer' : 'system'
    return { role: name, content: this.#content.content(plain), ...extra }
  }

  /** A message of a tool is text: what else there is comes in the user's message after it. */
  #result(result: ToolResultBlock): object {
    const texts = result.blocks.filter(block => !isMedia(block))
    const extra = this.#dropped.extra(result.extra, 'messages.')
    const isMoved = texts.length === 0 && result.blocks.length > 0
    const said = isMoved ? '[in the next message]' : this.#content.content(texts)
    const content = result.isError === true ? asError(said) : said
    return { role: 'tool', tool_call_id: result.callId, content, ...extra }
  }

  #assistant({ blocks, extra }: Turn): object[] {
    const own = this.#dropped.extra(extra, 'messages.')
    const thinking = this.#thinking(blocks)
    const said = blocks.filter(block => block.type === 'text').filter(({ refusal }) => refusal !== true)
    const refusal = plainText(blocks.filter(block => block.type === 'text' && block.refusal === true))
    const calls = blocks.filter(block => block.type === 'tool-call').map(call => this.#call(call))
    for (const block of blocks) if (!ASSISTANT_BLOCKS.has(block.type)) this.#content.parts(block)
    if (said.length === 0 && calls.length === 0 && refusal === '' && thinking === '') return []
    const content = said.length === 0 && (calls.length > 0 || refusal !== '') ? null : this.#content.content(said)
    const annotations = this.#annotations(said)
    return [
      {
        role: 'assistant',
        content,
        ...(refusal !== '' && { refusal }),
        ...(annotations.length > 0 && { annotations }),
        ...(thinking !== '' && { reasoning_content: thinking }),
        ...(calls.length > 0 && { tool_calls: calls }),
        ...own
      }
    ]
  }

  /** Only OpenAI takes back what it says itself. */
  #annotations(texts: readonly TextBlock[]): object[] {
    const annotations: object[] = []
    let from = 0
    for (const { text, citations } of texts) {
      for (const citation of this.#dropped.citations(citations)) {
        if (this.#flavour !== 'official') this.#dropped.add('messages.citations')
        else annotations.push(encodeNestedAnnotation(NAME, citation, from, text.length))
      }
      from += text.length
    }
    return annotations
  }

  /** Only open models get their thinking back: the rest refuse the field, or keep their own. */
  #thinking(blocks: readonly Block[]): string {
    const thoughts = blocks.filter(block => block.type === 'thinking')
    for (const { extra } of thoughts) this.#dropped.extra(extra, 'messages.thinking.')
    if (this.#flavour === 'local') return thoughts.map(block => block.text).join('\n\n')
    if (thoughts.length > 0) this.#dropped.add('messages.thinking')
    return ''
  }

  #call(call: ToolCallBlock): object {
    this.#dropped.extra(call.extra, 'messages.tool_calls.')
    const { id, input, freeform } = call
    const name = toolName(call.name, this.#flavour)
    if (freeform === true && this.#flavour === 'official') return { id, type: 'custom', custom: { name, input } }
    const text = freeform === true ? JSON.stringify({ input }) : validInput(input)
    return { id, type: 'function', function: { name, arguments: text } }
  }
}

const MEDIA: ReadonlySet<string> = new Set(['image', 'document', 'audio'])
const isMedia = ({ type }: Block): boolean => MEDIA.has(type)

const ASSISTANT_BLOCKS: ReadonlySet<string> = new Set(['text', 'thinking', 'tool-call'])

/** Servers parse it, and some fail whole when they cannot. What is valid keeps its bytes, for their prompt caches. */
function validInput(input: string): string {
  return repairObject(input) ?? JSON.stringify({ unparsed: input })
}

function asError(content: string | object[]): string | object[] {
  if (typeof content !== 'string') return [{ type: 'text', text: 'Error:' }, ...content]
  return /^(?:<tool_use_error>|error\b)/i.test(content) ? content : `Error: ${content}`
}
