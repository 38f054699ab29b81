// Exchanges a few values inside a body that came as chunks. The other bytes are neither copied nor looked at.

export interface Edit {
  /** Offsets over the whole body; equal for an insertion. */
  readonly start: number
  readonly end: number
  readonly bytes: Buffer
}

/** Below this a single copy is cheaper than several writes. */
const JOIN_BELOW = 16 * 1024

/** `edits` must not overlap. */
export function splice(chunks: readonly Buffer[], edits: readonly Edit[]): Buffer[] {
  const sorted = edits.length < 2 ? edits : [...edits].sort((a, b) => a.start - b.start)
  const pieces: Buffer[] = []
  let copied = 0
  for (const edit of sorted) {
    slice(chunks, copied, edit.start, pieces)
    pieces.push(edit.bytes)
    copied = edit.end
  }
  slice(chunks, copied, Number.POSITIVE_INFINITY, pieces)
  const length = byteLength(pieces)
  return length < JOIN_BELOW && pieces.length > 1 ? [Buffer.concat(pieces, length)] : pieces
}

export function byteLength(chunks: readonly Buffer[]): number {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  return length
}

/** Appends the bytes from `start` to `end` to `into`, as views. */
export function slice(chunks: readonly Buffer[], start: number, end: number, into: Buffer[]): void {
  let offset = 0
  for (const chunk of chunks) {
    const from = Math.max(start - offset, 0)
    const to = Math.min(end - offset, chunk.length)
    if (from < to) into.push(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
    offset += chunk.length
    if (offset >= end) return
  }
}
