import type { Block, Source } from '../../chat/block.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import { someFields, string, unread } from '../read.ts'
import { camel, NAME } from './shape.ts'

type MediaType = 'image' | 'document' | 'audio'
export type Media = Extract<Block, { type: MediaType }>

const INLINE_PART = new Set(['inlineData'])
const FILE_PART = new Set(['fileData'])
const INLINE = new Set(['mimeType', 'data'])
const FILE = new Set(['fileUri'])

/** A picture, a document or a sound; undefined for a video, which nobody else takes. */
export function decodeMedia(part: Fields): Block | undefined {
  return part['inlineData'] === undefined ? decodeFile(part) : decodeInline(part)
}

function decodeInline(part: Fields): Block | undefined {
  const blob = camel(part['inlineData'])
  const data = string(blob['data'])
  const mediaType = string(blob['mimeType']) ?? ''
  const type = typeOf(mediaType)
  if (data === undefined || type === undefined) return undefined
  const own = unread(NAME, blob, INLINE).extra?.[NAME]
  const text = mediaType.startsWith('text/') ? plainText(data) : undefined
  if (text !== undefined) {
    const inlineData = { mimeType: mediaType, ...own }
    return { type: 'document', source: { kind: 'text', text }, ...extraOf(part, INLINE_PART, { inlineData }) }
  }
  const source: Source = { kind: 'base64', mediaType, data }
  return { type, source, ...extraOf(part, INLINE_PART, own === undefined ? {} : { inlineData: own }) }
}

function decodeFile(part: Fields): Block | undefined {
  const file = camel(part['fileData'])
  const uri = string(file['fileUri'])
  const type = typeOf(string(file['mimeType']) ?? '')
  if (uri === undefined || type === undefined) return undefined
  const isPublic = /^https?:/.test(uri) && !/\.googleapis\.com\//.test(uri)
  const source: Source = isPublic ? { kind: 'url', url: uri } : { kind: 'file', dialect: NAME, id: uri }
  const { mimeType, ...rest } = unread(NAME, file, FILE).extra?.[NAME] ?? {}
  const isGuessed = isPublic && mimeType === mediaTypeOf(uri, type)
  const own = someFields(isGuessed ? rest : { mimeType, ...rest })
  return { type, source, ...extraOf(part, FILE_PART, own === undefined ? {} : { fileData: own }) }
}

function extraOf(part: Fields, read: ReadonlySet<string>, more: Fields): { extra?: Extra } {
  const own = someFields({ ...unread(NAME, part, read).extra?.[NAME], ...more })
  return own === undefined ? {} : { extra: { [NAME]: own } }
}

function typeOf(mediaType: string): MediaType | undefined {
  if (mediaType === '' || mediaType.startsWith('video/')) return undefined
  if (mediaType.startsWith('image/')) return 'image'
  return mediaType.startsWith('audio/') ? 'audio' : 'document'
}

/** The text of base64; undefined when the bytes would not come back the same. */
function plainText(data: string): string | undefined {
  const text = Buffer.from(data, 'base64').toString('utf8')
  return base64(text) === data ? text : undefined
}

const base64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64')

/** One part with the bytes or where they are; undefined where Gemini cannot get at them. */
export function encodeSource({ type, source }: Media, own: Fields): Fields | undefined {
  const { inlineData, fileData, ...rest } = own
  switch (source.kind) {
    case 'base64': {
      const mimeType = source.mediaType || DEFAULT[type]
      return { inlineData: { mimeType, data: source.data, ...someFields(inlineData) }, ...rest }
    }
    case 'url': {
      const mimeType = mediaTypeOf(source.url, type)
      return { fileData: { mimeType, fileUri: source.url, ...someFields(fileData) }, ...rest }
    }
    case 'file':
      if (source.dialect !== NAME) return undefined
      return { fileData: { ...someFields(fileData), fileUri: source.id }, ...rest }
    case 'text':
      // It was a file of its own before.
      if (inlineData === undefined) return undefined
      return { inlineData: { ...someFields(inlineData), data: base64(source.text) }, ...rest }
    case 'blocks':
      return undefined
  }
}

const DEFAULT: Record<MediaType, string> = { image: 'image/jpeg', document: 'application/pdf', audio: 'audio/wav' }

const BY_ENDING: ReadonlyMap<unknown, string> = new Map<unknown, string>([
  ['png', 'image/png'],
  ['jpg', 'image/jpeg'],
  ['jpeg', 'image/jpeg'],
  ['webp', 'image/webp'],
  ['gif', 'image/gif'],
  ['heic', 'image/heic'],
  ['heif', 'image/heif'],
  ['pdf', 'application/pdf'],
  ['mp3', 'audio/mp3'],
  ['wav', 'audio/wav']
])

/** Gemini wants to be told; an address tells it by its ending at best. */
function mediaTypeOf(url: string, type: MediaType): string {
  const ending = /\.(\w{3,4})(?:[?#]|$)/.exec(url)?.[1]?.toLowerCase()
  return BY_ENDING.get(ending) ?? DEFAULT[type]
}
