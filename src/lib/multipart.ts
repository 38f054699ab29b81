// Finds a field of a form in the bytes of a multipart body, as the chunks they came in: the rest is neither parsed nor
// joined. What two parsers could read differently is refused, because one of them stands behind us.

import { slice } from './splice.ts'

export interface FoundField {
  /** Where the value's bytes are, counted over the whole body. */
  readonly start: number
  readonly end: number
  readonly value: string
}

export interface FormProblem {
  readonly problem: string
}

/** More parts than any form has; each costs a walk over the chunks. */
const MAX_PARTS = 1000
const MAX_HEAD = 16 * 1024
const MAX_VALUE = 4096
const LINE_END = Buffer.from('\r\n')
const HEAD_END = Buffer.from('\r\n\r\n')

/** The boundary that a content type declares, if it is a form with files. */
export function boundaryOf(contentType: string | undefined): string | undefined {
  if (contentType === undefined || !/^multipart\/form-data\s*;/i.test(contentType)) return undefined
  const [, quoted, bare] = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType) ?? []
  return quoted ?? bare
}

/** The value of the form's field `name`; undefined when there is none. */
export function findField(
  chunks: readonly Buffer[],
  boundary: string,
  name: string
): FoundField | FormProblem | undefined {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const opening = delimiter.subarray(LINE_END.length)
  let found: FoundField | undefined
  // A form begins with its first boundary; only then is no line end in front of it.
  let at = textOf(chunks, 0, opening.length) === opening.toString('latin1') ? opening.length : -1
  if (at < 0) {
    const first = indexOf(chunks, delimiter, 0)
    if (first < 0) return { problem: 'The form has no part: the boundary that content-type declares is not in it.' }
    at = first + delimiter.length
  }
  for (let parts = 0; parts < MAX_PARTS; parts++) {
    if (textOf(chunks, at, at + 2) === '--') return found
    const part = partAt(chunks, at, delimiter)
    if ('problem' in part) return part
    const field = fieldName(part.head)
    if (typeof field === 'object') return field
    if (field === name) {
      if (found !== undefined) return { problem: `The field \`${name}\` stands twice in the form.` }
      if (part.end - part.start > MAX_VALUE) return { problem: `The field \`${name}\` is too long.` }
      const value = bytesOf(chunks, part.start, part.end).toString('utf8')
      found = { start: part.start, end: part.end, value }
    }
    at = part.end + delimiter.length
  }
  return { problem: `The form has more than ${MAX_PARTS} parts.` }
}

interface Part {
  readonly head: string
  readonly start: number
  readonly end: number
}

/** The part whose boundary ends at `at`. */
function partAt(chunks: readonly Buffer[], at: number, delimiter: Buffer): Part | FormProblem {
  const cut: FormProblem = { problem: 'The form cannot be read: it is cut, or its boundary stands inside a part.' }
  const lineEnd = indexOf(chunks, LINE_END, at)
  if (lineEnd < 0 || lineEnd - at > 100 || !/^[ \t]*$/.test(textOf(chunks, at, lineEnd))) return cut
  const headEnd = indexOf(chunks, HEAD_END, lineEnd)
  if (headEnd < 0 || headEnd - lineEnd > MAX_HEAD) return cut
  const start = headEnd + HEAD_END.length
  // From within the empty line, so that a part that ends before it begins is seen.
  const end = indexOf(chunks, delimiter, headEnd + LINE_END.length)
  return end < start ? cut : { head: textOf(chunks, lineEnd, headEnd), start, end }
}

/** The name in a part's head, or nothing when the part is a file or has no name. */
function fieldName(head: string): string | FormProblem | undefined {
  const lines = head.split('\r\n').filter(line => /^content-disposition\s*:/i.test(line))
  if (lines.length > 1) return { problem: 'A part of the form has two content-dispositions.' }
  let name: string | undefined
  for (const [, key = '', quoted, bare] of (lines[0] ?? '').matchAll(
    /;\s*([^=;\s]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g
  )) {
    const parameter = key.toLowerCase()
    if (parameter === 'filename' || parameter === 'filename*') return undefined
    if (parameter === 'name*' || (parameter === 'name' && name !== undefined))
      return { problem: 'A part of the form says its name twice, or encoded.' }
    if (parameter === 'name') name = quoted?.replace(/\\(.)/g, '$1') ?? bare
  }
  return name
}

/** Where `needle` begins at or after `from`, or -1; it may lie across chunks. */
function indexOf(chunks: readonly Buffer[], needle: Buffer, from: number): number {
  const overlap = needle.length - 1
  let offset = 0
  /** The last bytes before the chunk at hand, from `from` on. */
  let carry: Buffer = Buffer.alloc(0)
  for (const chunk of chunks) {
    const skipped = Math.max(from - offset, 0)
    if (skipped < chunk.length) {
      const rest = skipped === 0 ? chunk : chunk.subarray(skipped)
      if (carry.length > 0) {
        const seam = Buffer.concat([carry, rest.subarray(0, overlap)]).indexOf(needle)
        if (seam >= 0) return offset - carry.length + seam
      }
      const at = rest.indexOf(needle)
      if (at >= 0) return offset + skipped + at
      carry = rest.length >= overlap ? rest.subarray(rest.length - overlap) : lastOf(carry, rest, overlap)
    }
    offset += chunk.length
  }
  return -1
}

function lastOf(carry: Buffer, rest: Buffer, length: number): Buffer {
  const joined = Buffer.concat([carry, rest])
  return joined.subarray(Math.max(joined.length - length, 0))
}

function bytesOf(chunks: readonly Buffer[], start: number, end: number): Buffer {
  const pieces: Buffer[] = []
  slice(chunks, start, end, pieces)
  return Buffer.concat(pieces)
}

function textOf(chunks: readonly Buffer[], start: number, end: number): string {
  return bytesOf(chunks, start, end).toString('latin1')
}
