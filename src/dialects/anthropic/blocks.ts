import type { Block, Source, TextBlock, ToolCallBlock } from '../../chat/block.ts'
import type { Fields } from '../../chat/request.ts'
import { repairObject } from '../../lib/json-repair.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { exactJson, exactObject } from '../exact.ts'
import { defined, fields, list, string, unread } from '../read.ts'
import { decodeCitations, encodeCitations } from './citations.ts'

export const NAME = 'anthropic'

/** Marks thinking of other models: Anthropic made no signature for it, and refuses any that it has not made. */
export const OWN_SIGNATURE = 'sluice:unsigned'

const TEXT = new Set(['type', 'text', 'citations'])
const THINKING = new Set(['type', 'thinking', 'signature'])
const REDACTED = new Set(['type'])
const TOOL_USE = new Set(['type', 'id', 'name', 'input'])
const TOOL_RESULT = new Set(['type', 'tool_use_id', 'content', 'is_error'])
const IMAGE = new Set(['type', 'source'])
const DOCUMENT = new Set(['type', 'source', 'title'])

/** A string or a list of blocks. */
export function decodeContent(content: unknown): Block[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return list(content).map(decodeBlock)
}

export function decodeBlock(value: Fields): Block {
  switch (value['type']) {
    case 'text':
      return {
        type: 'text',
        text: string(value['text']) ?? '',
        ...decodeCitations(value['citations']),
        ...unread(NAME, value, TEXT)
      }
    case 'thinking':
      return { type: 'thinking', text: string(value['thinking']) ?? '', ...unread(NAME, genuine(value), THINKING_REST) }
    case 'redacted_thinking':
      return { type: 'redacted-thinking', extra: unread(NAME, value, REDACTED).extra ?? { [NAME]: {} } }
    case 'tool_use':
      return {
        type: 'tool-call',
        id: string(value['id']) ?? '',
        name: string(value['name']) ?? '',
        input: typeof value['input'] === 'string' ? value['input'] : exactJson(value['input'] ?? {}),
        ...unread(NAME, value, TOOL_USE)
      }
    case 'tool_result':
      return {
        type: 'tool-result',
        callId: string(value['tool_use_id']) ?? '',
        ...(value['is_error'] === true && { isError: true }),
        blocks: decodeContent(value['content']),
        ...unread(NAME, value, TOOL_RESULT)
      }
    default:
      return decodeMedia(value)
  }
}

const THINKING_REST = new Set([...THINKING].filter(key => key !== 'signature'))

/** Without a signature that is none of Anthropic's. */
function genuine(value: Fields): Fields {
  const signature = string(value['signature']) ?? ''
  return signature === '' || signature === OWN_SIGNATURE ? { ...value, signature: undefined } : value
}

function decodeMedia(value: Fields): Block {
  const source = decodeSource(fields(value['source']))
  if (source !== undefined && value['type'] === 'image') return { type: 'image', source, ...unread(NAME, value, IMAGE) }
  if (source !== undefined && value['type'] === 'document') {
    const name = string(value['title'])
    return { type: 'document', source, ...defined({ name }), ...unread(NAME, value, DOCUMENT) }
  }
  return { type: 'foreign', dialect: NAME, value, ...defined({ text: inWords(value) }) }
}

/** What a model of another maker can be told of a block that Anthropic's alone know. */
function inWords(value: Fields): string | undefined {
  const { type, tool_name: tool, title, source } = value
  // What Claude Code's search for tools finds: the tools themselves are in the request.
  if (type === 'tool_reference') return `[the tool ${string(tool) ?? ''} is available]`
  if (type !== 'search_result') return undefined
  const texts = list(value['content']).map(block => string(block['text']) ?? '')
  return [string(title) ?? '', string(source) ?? '', ...texts].filter(text => text !== '').join('\n')
}

function decodeSource(source: Fields): Source | undefined {
  const data = string(source['data'])
  const url = string(source['url'])
  const id = string(source['file_id'])
  const { type, content } = source
  if (type === 'base64' && data !== undefined)
    return { kind: 'base64', mediaType: string(source['media_type']) ?? 'application/octet-stream', data }
  if (type === 'url' && url !== undefined) return { kind: 'url', url }
  if (type === 'file' && id !== undefined) return { kind: 'file', dialect: NAME, id }
  if (type === 'text' && data !== undefined) return { kind: 'text', text: data }
  return type === 'content' ? { kind: 'blocks', blocks: decodeContent(content) } : undefined
}

/** Writes blocks for one request or answer, and declares what it cannot write. */
export class BlockWriter {
  readonly dropped: Dropped
  readonly #flavour: Flavour

  constructor(dropped: Dropped, flavour: Flavour) {
    this.dropped = dropped
    this.#flavour = flavour
  }

  /** A string where that says it all. */
  content(blocks: readonly Block[]): string | object[] {
    const written = this.blocks(blocks)
    const { type, text, ...more } = fields(written.length === 1 ? written[0] : undefined)
    return type === 'text' && typeof text === 'string' && Object.keys(more).length === 0 ? text : written
  }

  blocks(blocks: readonly Block[]): object[] {
    return blocks.map(block => this.block(block)).filter(block => block !== undefined)
  }

  block(block: Block): object | undefined {
    switch (block.type) {
      case 'text':
        return this.text(block)
      case 'thinking':
        return this.#thinking(block.text, this.dropped.extra(block.extra, 'messages.thinking.'))
      case 'redacted-thinking': {
        const { data, ...rest } = this.dropped.extra(block.extra, 'messages.redacted_thinking.')
        return typeof data === 'string' ? { type: 'redacted_thinking', data, ...rest } : this.#drop('redacted_thinking')
      }
      case 'tool-call':
        return {
          type: 'tool_use',
          id: callId(block.id),
          name: block.name,
          input: inputOf(block),
          ...this.dropped.extra(block.extra, 'messages.tool_calls.')
        }
      case 'tool-result':
        return {
          type: 'tool_result',
          tool_use_id: callId(block.callId),
          ...(block.blocks.length > 0 && { content: this.content(block.blocks) }),
          ...(block.isError === true && { is_error: true }),
          ...this.dropped.extra(block.extra, 'messages.tool_result.')
        }
      default:
        return this.#media(block)
    }
  }

  /** Anthropic refuses an empty text. */
  text(block: TextBlock): object | undefined {
    const extra = this.dropped.extra(block.extra, 'messages.')
    if (block.logprobs !== undefined) this.dropped.add('messages.logprobs')
    const citations = encodeCitations(block.citations, block.text.length, this.dropped)
    if (block.text === '') return undefined
    return { type: 'text', text: block.text, ...(citations.length > 0 && { citations }), ...extra }
  }

  #thinking(thinking: string, extra: Fields): object | undefined {
    if (typeof extra['signature'] === 'string') return { type: 'thinking', thinking, ...extra }
    if (this.#flavour === 'official') return this.#drop('thinking')
    return { type: 'thinking', thinking, signature: OWN_SIGNATURE, ...extra }
  }

  #media(block: Exclude<Block, { type: 'text' | 'thinking' | 'tool-call' | 'tool-result' }>): object | undefined {
    if (block.type === 'foreign') {
      if (block.dialect === NAME) return { ...block.value }
      this.dropped.block(block)
      return undefined
    }
    const source = block.type === 'image' || block.type === 'document' ? this.#source(block.source) : undefined
    if (source === undefined || block.type === 'audio' || block.type === 'redacted-thinking')
      return this.#drop(block.type)
    const extra = this.dropped.extra(block.extra, `messages.${block.type}.`)
    if (block.type === 'image') {
      if (block.detail !== undefined && block.detail !== 'auto') this.dropped.add('messages.image_url.detail')
      return { type: 'image', source, ...extra }
    }
    return { type: 'document', source, ...defined({ title: block.name }), ...extra }
  }

  #source(source: Source): object | undefined {
    switch (source.kind) {
      case 'base64':
        return { type: 'base64', media_type: source.mediaType, data: source.data }
      case 'url':
        return { type: 'url', url: source.url }
      case 'file':
        return source.dialect === NAME ? { type: 'file', file_id: source.id } : undefined
      case 'text':
        return { type: 'text', media_type: 'text/plain', data: source.text }
      case 'blocks':
        return { type: 'content', content: this.content(source.blocks) }
    }
  }

  #drop(what: string): undefined {
    this.dropped.add(`messages.${what}`)
    return undefined
  }
}

/** Anthropic takes letters, digits, `_` and `-` alone. The same id becomes the same, so calls and results still meet. */
function callId(id: string): string {
  return id.replace(/[^\w-]/g, '_') || 'call'
}

/** An object, whatever the model wrote. */
function inputOf({ input, freeform }: ToolCallBlock): Fields {
  if (freeform === true) return { input }
  return exactObject(input) ?? exactObject(repairObject(input) ?? '') ?? { unparsed: input }
}
