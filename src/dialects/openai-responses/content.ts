import type { Block, DocumentBlock, Source, TextBlock } from '../../chat/block.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import { dataUrl, readDataUrl } from '../../lib/data-url.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { decodeAnnotations } from '../openai-citations.ts'
import { decodeLogprobs } from '../openai-logprobs.ts'
import { defined, fields, list, someFields, string, unread } from '../read.ts'

export const NAME = 'openai-responses'

const TEXT = new Set(['type', 'text', 'annotations', 'logprobs'])
const REFUSAL = new Set(['type', 'refusal'])
const IMAGE = new Set(['type', 'image_url', 'file_id', 'detail'])
const FILE = new Set(['type', 'file_data', 'file_id', 'file_url', 'filename'])
const AUDIO = new Set(['type', 'input_audio'])

/** What this dialect alone knows of something. */
export function own(of: { readonly extra?: Extra }): Fields {
  return of.extra?.[NAME] ?? {}
}

/** As `own` finds it again; nothing where there is nothing. */
export function ownExtra(known: Fields): { extra?: Extra } {
  const some = someFields(defined(known))
  return some === undefined ? {} : { extra: { [NAME]: some } }
}

/** A string or a list of parts. */
export function decodeContent(content: unknown): Block[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }]
  return list(content).map(decodePart)
}

function decodePart(part: Fields): Block {
  switch (part['type']) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return {
        type: 'text',
        text: string(part['text']) ?? '',
        ...decodeAnnotations(NAME, part['annotations']),
        ...decodeLogprobs(part['logprobs']),
        ...unread(NAME, part, TEXT)
      }
    case 'refusal':
      return { type: 'text', text: string(part['refusal']) ?? '', refusal: true, ...unread(NAME, part, REFUSAL) }
    case 'input_image': {
      const source = imageSource(part)
      const detail = defined({ detail: string(part['detail']) })
      return source === undefined ? foreign(part) : { type: 'image', source, ...detail, ...unread(NAME, part, IMAGE) }
    }
    case 'input_file': {
      const source = fileSource(part)
      const name = defined({ name: string(part['filename']) })
      return source === undefined ? foreign(part) : { type: 'document', source, ...name, ...unread(NAME, part, FILE) }
    }
    case 'input_audio': {
      const { data, format } = fields(part['input_audio'])
      const mediaType = `audio/${string(format) ?? 'wav'}`
      const source = { kind: 'base64' as const, mediaType, data: string(data) ?? '' }
      return { type: 'audio', source, ...unread(NAME, part, AUDIO) }
    }
    default:
      return foreign(part)
  }
}

export function foreign(value: Fields): Block {
  return { type: 'foreign', dialect: NAME, value }
}

function imageSource(part: Fields): Source | undefined {
  const { image_url: image, file_id: id } = part
  // Some clients send the object of Chat Completions.
  const url = string(image) ?? string(fields(image)['url'])
  if (url !== undefined) return urlSource(url)
  return typeof id === 'string' ? { kind: 'file', dialect: NAME, id } : undefined
}

function urlSource(url: string): Source {
  const inline = readDataUrl(url)
  return inline === undefined ? { kind: 'url', url } : { kind: 'base64', ...inline }
}

function fileSource(part: Fields): Source | undefined {
  const { file_data: data, file_id: id, file_url: url } = part
  if (typeof data === 'string') {
    return { kind: 'base64', ...(readDataUrl(data) ?? { mediaType: 'application/pdf', data }) }
  }
  if (typeof url === 'string') return urlSource(url)
  return typeof id === 'string' ? { kind: 'file', dialect: NAME, id } : undefined
}

const AUDIO_FORMAT: ReadonlyMap<string, string> = new Map([
  ['audio/mpeg', 'mp3'],
  ['audio/x-wav', 'wav']
])

/** Writes what a user, a system or a tool says, and declares what cannot be written. */
export class ContentWriter {
  readonly dropped: Dropped
  readonly flavour: Flavour

  constructor(dropped: Dropped, flavour: Flavour) {
    this.dropped = dropped
    this.flavour = flavour
  }

  /** A string where that says it all. */
  content(blocks: readonly Block[]): string | object[] {
    const parts = blocks.flatMap(block => this.parts(block))
    const isPlain = (part: Fields) => part['type'] === 'input_text' && Object.keys(part).length === 2
    if (!parts.every(isPlain) || (parts.length > 1 && this.flavour !== 'local')) return parts
    return parts.map(part => string(part['text']) ?? '').join('\n\n')
  }

  parts(block: Block): Fields[] {
    switch (block.type) {
      case 'text':
        return [{ type: 'input_text', text: block.text, ...this.textExtra(block) }]
      case 'image': {
        const extra = this.dropped.extra(block.extra, 'messages.image.')
        const place = imagePlace(block.source)
        if (place === undefined) return this.drop('image')
        return [{ type: 'input_image', ...place, ...defined({ detail: block.detail }), ...extra }]
      }
      case 'audio': {
        const extra = this.dropped.extra(block.extra, 'messages.audio.')
        if (block.source.kind !== 'base64') return this.drop('audio')
        const { mediaType, data } = block.source
        const format = AUDIO_FORMAT.get(mediaType) ?? mediaType.replace('audio/', '')
        return [{ type: 'input_audio', input_audio: { data, format }, ...extra }]
      }
      case 'document':
        return this.#document(block)
      case 'foreign':
        if (block.dialect === NAME) return [{ ...block.value }]
        if (block.text !== undefined) return [{ type: 'input_text', text: block.text }]
        return this.drop(string(block.value['type']) ?? 'content')
      default:
        return this.drop(block.type.replace('-', '_'))
    }
  }

  /** What else there is to say of a text, but for the item that it is in. */
  textExtra({ extra }: TextBlock): Fields {
    const { item: _, role: __, part: ___, ...rest } = this.dropped.extra(extra, 'messages.')
    return rest
  }

  drop(what: string): [] {
    this.dropped.add(`messages.${what}`)
    return []
  }

  #document({ source, name, extra }: DocumentBlock): Fields[] {
    const rest = this.dropped.extra(extra, 'messages.document.')
    const title = name === undefined ? '' : `${name}\n\n`
    switch (source.kind) {
      case 'text':
        return [{ type: 'input_text', text: title + source.text }]
      case 'blocks': {
        const parts = source.blocks.flatMap(block => this.parts(block))
        return title === '' ? parts : [{ type: 'input_text', text: title.trim() }, ...parts]
      }
      case 'base64': {
        const file_data = dataUrl(source.mediaType, source.data)
        return [{ type: 'input_file', filename: name ?? 'document.pdf', file_data, ...rest }]
      }
      case 'url':
        return [{ type: 'input_file', ...defined({ filename: name }), file_url: source.url, ...rest }]
      case 'file':
        if (source.dialect !== NAME) return this.drop('document')
        return [{ type: 'input_file', ...defined({ filename: name }), file_id: source.id, ...rest }]
    }
  }
}

function imagePlace(source: Source): Fields | undefined {
  if (source.kind === 'url') return { image_url: source.url }
  if (source.kind === 'base64') return { image_url: dataUrl(source.mediaType, source.data) }
  return source.kind === 'file' && source.dialect === NAME ? { file_id: source.id } : undefined
}
