import type { Block, TextBlock, ToolCallBlock, ToolResultBlock } from '../../chat/block.ts'
import type { Fields } from '../../chat/request.ts'
import { repairObject } from '../../lib/json-repair.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { exactObject } from '../exact.ts'
import { fields, list, someFields, string, unread } from '../read.ts'
import { decodeMedia, encodeSource, type Media } from './media.ts'
import { camel, isOlder, jsonOf, NAME, several } from './shape.ts'

const TEXT = new Set(['text', 'thought'])
const CALL_PART = new Set(['functionCall'])
const RESULT = new Set(['id', 'name', 'response', 'parts'])

/** Who knows the ids of calls: most of Gemini's calls have none, and their results go by the name. */
export interface CallIds {
  ofCall(said: string, name: string): string
  ofResult(said: string, name: string): string
}

export function decodeParts(parts: unknown, ids: CallIds): Block[] {
  return several(parts)
    .map(part => decodePart(typeof part === 'string' ? { text: part } : camel(part), ids))
    .filter(block => block !== undefined)
}

/** Undefined: an empty text, which streams end with. */
export function decodePart(part: Fields, ids: CallIds): Block | undefined {
  if (part['functionCall']) return decodeCall(part, ids)
  if (part['functionResponse']) return decodeResult(camel(part['functionResponse']), ids)
  const text = string(part['text'])
  if (text === undefined) {
    const media = part['inlineData'] || part['fileData'] ? decodeMedia(part) : undefined
    if (media !== undefined) return media
    const words = inWords(part)
    return { type: 'foreign', dialect: NAME, value: part, ...(words !== undefined && { text: words }) }
  }
  const { extra } = unread(NAME, part, TEXT)
  // It tells Gemini's own thinking from that of others, which it has no use for.
  if (part['thought'] === true) return { type: 'thinking', text, extra: extra ?? { [NAME]: {} } }
  if (text === '' && extra === undefined) return undefined
  return { type: 'text', text, ...(extra !== undefined && { extra }) }
}

function decodeCall(part: Fields, ids: CallIds): Block {
  const call = camel(part['functionCall'])
  const name = string(call['name']) ?? ''
  const id = ids.ofCall(string(call['id']) ?? '', name)
  const input = jsonOf(fields(call['args']))
  return { type: 'tool-call', id, name, input, ...unread(NAME, part, CALL_PART) }
}

function decodeResult(result: Fields, ids: CallIds): Block {
  const callId = ids.ofResult(string(result['id']) ?? '', string(result['name']) ?? '')
  const response = fields(result['response'])
  const media = list(result['parts'])
    .map(part => decodeMedia(camel(part)))
    .filter(block => block !== undefined)
  const { extra } = unread(NAME, result, RESULT)
  const only = Object.keys(response).length === 1
  const output = only ? string(response['output']) : undefined
  const error = only ? string(response['error']) : undefined
  const text = output ?? error
  if (text !== undefined || Object.keys(response).length === 0) {
    const blocks: Block[] = text ? [{ type: 'text', text }, ...media] : media
    const isError = error !== undefined && { isError: true }
    return { type: 'tool-result', callId, ...isError, blocks, ...(extra !== undefined && { extra }) }
  }
  const blocks: Block[] = [{ type: 'text', text: jsonOf(response) }, ...media]
  // The mark, empty or not, says that the text is to be an object again.
  return { type: 'tool-result', callId, blocks, extra: extra ?? { [NAME]: {} } }
}

/** What other models can be told of what Gemini ran by itself. */
function inWords(part: Fields): string | undefined {
  const { executableCode, codeExecutionResult } = part
  const { code, language } = camel(executableCode)
  if (typeof code === 'string') return `\`\`\`${(string(language) ?? '').toLowerCase()}\n${code}\n\`\`\``
  return string(camel(codeExecutionResult)['output'])
}

/** An id that was made from a position means nothing to Gemini, which goes by the position itself. */
const MADE = /^call_\d+_\d+$/

/** Writes blocks for one request or answer, and declares what it cannot write. */
export class PartWriter {
  readonly dropped: Dropped
  readonly #flavour: Flavour
  readonly #isOlder: boolean
  readonly #names: ReadonlyMap<string, string>

  constructor(dropped: Dropped, flavour: Flavour, model: string, names: ReadonlyMap<string, string> = new Map()) {
    this.dropped = dropped
    this.#flavour = flavour
    this.#isOlder = isOlder(model)
    this.#names = names
  }

  parts(blocks: readonly Block[]): Fields[] {
    const moved: Fields[] = []
    const parts = blocks.flatMap(block => this.part(block, moved))
    return [...parts, ...moved]
  }

  /** The parts of one block; `moved` takes what has to stand behind the results of tools. */
  part(block: Block, moved: Fields[] = []): Fields[] {
    switch (block.type) {
      case 'text': {
        const extra = this.dropped.extra(block.extra, 'messages.')
        if (this.dropped.of === 'request') this.#declare(block)
        return block.text === '' && someFields(extra) === undefined ? [] : [{ text: block.text, ...extra }]
      }
      case 'thinking': {
        const extra = this.dropped.extra(block.extra, 'messages.thinking.')
        if (this.#flavour === 'official' && block.extra?.[NAME] === undefined) return this.#drop('thinking')
        return [{ text: block.text, thought: true, ...extra }]
      }
      case 'redacted-thinking':
        this.dropped.extra(block.extra, 'messages.redacted_thinking.')
        return this.#drop('redacted_thinking')
      case 'tool-call':
        return [{ functionCall: callOf(block), ...this.dropped.extra(block.extra, 'messages.tool_calls.') }]
      case 'tool-result':
        return [{ functionResponse: this.#result(block, moved) }]
      case 'foreign':
        if (block.dialect === NAME) return [{ ...block.value }]
        if (block.text !== undefined) return [{ text: block.text }]
        this.dropped.block(block)
        return []
      default:
        return this.#media(block)
    }
  }

  /** Of a text of a request, where there is no candidate to say it of. */
  #declare({ citations, logprobs }: TextBlock): void {
    if (this.dropped.citations(citations).length > 0) this.dropped.add('messages.citations')
    if (logprobs !== undefined) this.dropped.add('messages.logprobs')
  }

  #media(block: Media): Fields[] {
    const own = this.dropped.extra(block.extra, `messages.${block.type}.`)
    if (block.type === 'image' && block.detail !== undefined && block.detail !== 'auto')
      this.dropped.add('messages.image_url.detail')
    const part = encodeSource(block, own)
    const name = block.type === 'document' ? block.name : undefined
    if (part !== undefined) {
      if (name !== undefined) this.dropped.add('messages.document.title')
      return [part]
    }
    const { source } = block
    const title: Fields[] = name === undefined ? [] : [{ text: name }]
    if (source.kind === 'text') return [...title, { text: source.text }]
    if (source.kind === 'blocks') return [...title, ...this.parts(source.blocks)]
    return this.#drop(block.type)
  }

  /** A result is an object; what it shows stands in it as well from Gemini 3 on, and after it before. */
  #result(block: ToolResultBlock, moved: Fields[]): Fields {
    const own = this.dropped.extra(block.extra, 'messages.tool_result.')
    const parts = this.parts(block.blocks)
    const texts = parts.map(part => string(part['text'])).filter(text => text !== undefined)
    const media = parts.filter(part => part['text'] === undefined)
    const inside = this.#isOlder ? [] : media.filter(part => part['inlineData'] !== undefined)
    moved.push(...media.filter(part => !inside.includes(part)))
    const text = texts.join('\n\n')
    const isMoved = text === '' && media.length > inside.length
    const said = block.extra?.[NAME] === undefined ? undefined : exactObject(text)
    return {
      ...(MADE.test(block.callId) ? {} : { id: block.callId }),
      name: this.#names.get(block.callId) ?? 'unknown',
      response: said ?? { [block.isError === true ? 'error' : 'output']: isMoved ? '[see below]' : text },
      ...(inside.length > 0 && { parts: inside.map(({ inlineData }) => ({ inlineData })) }),
      ...own
    }
  }

  #drop(what: string): [] {
    this.dropped.add(`messages.${what}`)
    return []
  }
}

function callOf(call: ToolCallBlock): Fields {
  return { ...(MADE.test(call.id) ? {} : { id: call.id }), name: call.name, args: inputOf(call) }
}

/** An object, whatever the model wrote. */
function inputOf({ input, freeform }: ToolCallBlock): Fields {
  if (freeform === true) return { input }
  return exactObject(input) ?? exactObject(repairObject(input) ?? '') ?? { unparsed: input }
}
