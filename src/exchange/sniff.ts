// What an upstream's answer is, by what it says of itself and, where that says nothing, by how it begins.

import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'

/** An answer longer than this is not unpacked: a small one could hold any amount. */
const MAX_UNPACKED = 32 * 1024 * 1024

const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

/** `unsure`: servers that send events as plain text, proxies that send pages as answers. */
export function kindOfType(type: string | string[] | undefined): 'events' | 'json' | 'unsure' {
  if (typeof type !== 'string') return 'unsure'
  if (type.startsWith('text/event-stream')) return 'events'
  return /^application\/([\w.-]+\+)?json/i.test(type) ? 'json' : 'unsure'
}

/** Undefined while there is nothing but space. */
export function kindOfBytes(chunk: Buffer): 'events' | 'json' | 'list' | 'other' | undefined {
  const first = chunk.find(byte => byte > 0x20)
  if (first === undefined) return undefined
  if (first === OPEN_OBJECT) return 'json'
  if (first === OPEN_LIST) return 'list'
  return /^\s*(data|event|id|retry)?:/.test(chunk.toString('latin1', 0, 64)) ? 'events' : 'other'
}

/** Whether JSON's first and last bytes are there: an answer that is cut, or is none, has them seldom. */
export function looksWhole(bytes: Buffer): boolean {
  let end = bytes.length - 1
  while (end > 0 && (bytes[end] ?? 0) <= 0x20) end--
  let start = 0
  while (start < end && (bytes[start] ?? 0) <= 0x20) start++
  if (bytes[start] === OPEN_OBJECT) return end > start && bytes[end] === CLOSE_OBJECT
  return bytes[start] === OPEN_LIST && end > start && bytes[end] === CLOSE_LIST
}

/** An error that says it is a success. */
export function saysError(bytes: Buffer): boolean {
  return /^\s*\{\s*"error"\s*:\s*[{"]/.test(bytes.toString('latin1', 0, 64))
}

const UNPACK = { gzip: gunzipSync, 'x-gzip': gunzipSync, deflate: inflateSync, br: brotliDecompressSync } as const

/** How an answer is compressed, if it is. */
export function packingOf(encoding: string | string[] | undefined): string | undefined {
  return typeof encoding !== 'string' || encoding === '' || encoding === 'identity' ? undefined : encoding.toLowerCase()
}

/** The bytes as they were before; undefined when they cannot be had. */
export function unpack(bytes: Buffer, packing: string): Buffer | undefined {
  if (!Object.hasOwn(UNPACK, packing)) return undefined
  try {
    return UNPACK[packing as keyof typeof UNPACK](bytes, { maxOutputLength: MAX_UNPACKED })
  } catch {
    return undefined
  }
}

/** Frames that say that somebody is there, and nothing of an answer yet: comments, pings, how an answer begins. */
const NO_CONTENT =
  /"type":\s?"(?:ping|message_start|response\.(?:created|in_progress|queued))"|"delta":\s?\{\s*(?:"role":\s?"assistant"\s*,?\s*)?(?:"content":\s?(?:""|null))?\s*\}/

/** Whether a piece of a stream holds some of an answer. A piece of a long event does. */
export function hasContent(chunk: Buffer): boolean {
  for (const line of chunk.toString('latin1', 0, 4096).split('\n')) {
    if (line.length < 2 || line.startsWith(':') || line.startsWith('event:')) continue
    if (!NO_CONTENT.test(line)) return true
  }
  return chunk.length > 4096
}
