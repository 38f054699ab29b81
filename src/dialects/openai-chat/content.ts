import type { Block, DocumentBlock, Source } from '../../chat/block.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import { dataUrl, readDataUrl } from '../../lib/data-url.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { defined, fields, list, string, unread } from '../read.ts'

export const NAME = 'openai-chat'

const TEXT = new Set(['type', 'text', 'cache_control'])

/** A string, a list of parts, or nothing. */
export function decodeContent(content: unknown): Block[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return list(content).map(decodePart)
}

function decodePart(part: Fields): Block {
  switch (part['type']) {
    case 'text':
      return { type: 'text', text: string(part['text']) ?? '', ...extraOf(part) }
    case 'refusal':
      return { type: 'text', text: string(part['refusal']) ?? '', refusal: true }
    // Mistral's.
    case 'thinking':
      return { type: 'thinking', text: plainText(decodeContent(part['thinking'])) }
    case 'image_url':
      return decodeImage(part)
    case 'input_audio': {
      const { data, format } = fields(part['input_audio'])
      const mediaType = `audio/${string(format) ?? 'wav'}`
      return { type: 'audio', source: { kind: 'base64', mediaType, data: string(data) ?? '' } }
    }
    case 'file':
      return decodeFile(part)
    default:
      return { type: 'foreign', dialect: NAME, value: part }
  }
}

/** Clients that know Anthropic behind OpenAI's dialect mark what is to be cached in its words. */
function extraOf(part: Fields): { extra?: Extra } {
  const { extra } = unread(NAME, part, TEXT)
  const { cache_control } = part
  return cache_control ? { extra: { ...extra, anthropic: { cache_control } } } : defined({ extra })
}

function decodeImage(part: Fields): Block {
  const { image_url: image } = part
  const url = string(image) ?? string(fields(image)['url']) ?? ''
  return { type: 'image', source: sourceOf(url), ...defined({ detail: string(fields(image)['detail']) }) }
}

function decodeFile(part: Fields): Block {
  const { file_data: data, file_id: id, filename } = fields(part['file'])
  const name = defined({ name: string(filename) })
  if (typeof data === 'string') {
    const source = readDataUrl(data) ?? { mediaType: 'application/pdf', data }
    return { type: 'document', source: { kind: 'base64', ...source }, ...name }
  }
  if (typeof id === 'string') return { type: 'document', source: { kind: 'file', dialect: NAME, id }, ...name }
  return { type: 'foreign', dialect: NAME, value: part }
}

function sourceOf(url: string): Source {
  const inline = readDataUrl(url)
  return inline === undefined ? { kind: 'url', url } : { kind: 'base64', ...inline }
}

/** The text of blocks, a paragraph each. */
export function plainText(blocks: readonly Block[]): string {
  return blocks
    .map(block => (block.type === 'text' ? block.text : ''))
    .filter(text => text !== '')
    .join('\n\n')
}

const AUDIO_FORMAT: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ['audio/mpeg', 'mp3'],
  ['audio/x-wav', 'wav']
])

/** Writes what a user says, and declares what cannot be written. */
export class ContentWriter {
  readonly dropped: Dropped
  readonly flavour: Flavour

  constructor(dropped: Dropped, flavour: Flavour) {
    this.dropped = dropped
    this.flavour = flavour
  }

  /** A string where that says it all: templates of open models know no lists of texts. */
  content(blocks: readonly Block[]): string | object[] {
    const parts = blocks.flatMap(block => this.parts(block))
    const texts = parts.map(part => (part['type'] === 'text' ? string(part['text']) : undefined))
    if (!texts.every(text => text !== undefined)) return parts
    return this.flavour === 'official' && parts.length > 1 ? parts : texts.filter(text => text !== '').join('\n\n')
  }

  parts(block: Block): Record<string, unknown>[] {
    switch (block.type) {
      case 'text':
        if (block.logprobs !== undefined) this.dropped.add('messages.logprobs')
        return [{ type: 'text', text: block.text, ...this.dropped.extra(block.extra, 'messages.') }]
      case 'image': {
        this.dropped.extra(block.extra, 'messages.image.')
        const url = this.#url(block.source)
        return url === undefined ? this.#drop('image') : [image(url, block.detail)]
      }
      case 'audio':
        return block.source.kind === 'base64' ? [audio(block.source)] : this.#drop('audio')
      case 'document':
        this.dropped.extra(block.extra, 'messages.document.')
        return this.#document(block)
      case 'foreign':
        if (block.dialect === NAME) return [{ ...block.value }]
        if (block.text !== undefined) return [{ type: 'text', text: block.text }]
        return this.#drop(string(block.value['type']) ?? 'content')
      default:
        return this.#drop(block.type.replace('-', '_'))
    }
  }

  #url(source: Source): string | undefined {
    if (source.kind === 'url') return source.url
    return source.kind === 'base64' ? dataUrl(source.mediaType, source.data) : undefined
  }

  #document({ source, name }: DocumentBlock): Record<string, unknown>[] {
    const title = name === undefined ? '' : `${name}\n\n`
    if (source.kind === 'text') return [{ type: 'text', text: title + source.text }]
    if (source.kind === 'blocks') {
      const parts = source.blocks.flatMap(block => this.parts(block))
      return title === '' ? parts : [{ type: 'text', text: title.trim() }, ...parts]
    }
    if (source.kind === 'file' && source.dialect === NAME) return [{ type: 'file', file: { file_id: source.id } }]
    if (source.kind === 'base64' && this.flavour !== 'local') {
      const file_data = dataUrl(source.mediaType, source.data)
      return [{ type: 'file', file: { filename: name ?? 'document.pdf', file_data } }]
    }
    this.#drop('document')
    // The model should know that there was something.
    return [{ type: 'text', text: `[document${name === undefined ? '' : ` ${name}`}: this model cannot read it]` }]
  }

  #drop(what: string): [] {
    this.dropped.add(`messages.${what}`)
    return []
  }
}

function image(url: string, detail: string | undefined): Record<string, unknown> {
  return { type: 'image_url', image_url: { url, ...defined({ detail }) } }
}

function audio({ mediaType, data }: { mediaType: string; data: string }): Record<string, unknown> {
  return {
    type: 'input_audio',
    input_audio: { data, format: AUDIO_FORMAT.get(mediaType) ?? mediaType.replace('audio/', '') }
  }
}
