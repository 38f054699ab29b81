// Bytes of an answer go on as they came. Beside them, without a parse or a copy, its beginning and its end are kept:
// that is where every protocol says what the answer cost and whether it is complete. 0.3 µs a chunk.

import type { Usage } from '../chat/usage.ts'
import type { Dialect } from '../dialects/dialect.ts'

const HEAD_BYTES = 4096
const TAIL_BYTES = 16 * 1024
/** A frame longer than this is let go in pieces: memory is worth more than its whole end. */
const MAX_HELD = 256 * 1024
const NEWLINE = 0x0a

/** Remembers how an answer began and how it ended. */
export class Excerpt {
  readonly #head: Buffer[] = []
  #headBytes = 0
  readonly #tail: Buffer[] = []
  #tailBytes = 0
  bytes = 0

  add(chunk: Buffer): void {
    this.bytes += chunk.length
    if (this.#headBytes < HEAD_BYTES) {
      this.#head.push(chunk)
      this.#headBytes += chunk.length
    }
    this.#tail.push(chunk)
    this.#tailBytes += chunk.length
    let first = this.#tail[0]
    while (first !== undefined && this.#tailBytes - first.length >= TAIL_BYTES) {
      this.#tailBytes -= first.length
      this.#tail.shift()
      first = this.#tail[0]
    }
  }

  head(): string {
    return joined(this.#head).toString('utf8', 0, HEAD_BYTES)
  }

  tail(): string {
    const bytes = joined(this.#tail)
    return bytes.toString('utf8', Math.max(0, bytes.length - TAIL_BYTES))
  }

  usage(dialect: Dialect): Usage | undefined {
    return dialect.readUsage(this.head(), this.tail())
  }
}

/** Lets whole SSE frames through and holds back a part of one, so that a failure never follows half an event. */
export class FrameGate {
  #held: Buffer[] = []
  #heldBytes = 0

  /** What may go out now, if anything. */
  push(chunk: Buffer): Buffer | undefined {
    if (this.#heldBytes === 0) {
      if (endsFrame(chunk)) return chunk
    } else {
      this.#held.push(chunk)
      chunk = Buffer.concat(this.#held)
      this.#held = []
      this.#heldBytes = 0
    }
    const end = lastFrameEnd(chunk)
    if (end === 0 && chunk.length > MAX_HELD) return chunk
    if (end < chunk.length) {
      this.#held.push(chunk.subarray(end))
      this.#heldBytes = chunk.length - end
    }
    return end === 0 ? undefined : chunk.subarray(0, end)
  }

  /** What is left when the stream ends properly: some servers leave out the last blank line. */
  rest(): Buffer | undefined {
    return this.#heldBytes === 0 ? undefined : Buffer.concat(this.#held)
  }
}

function endsFrame(chunk: Buffer): boolean {
  const { length } = chunk
  if (length < 2 || chunk[length - 1] !== NEWLINE) return false
  return chunk[length - 2] === NEWLINE || (length > 3 && chunk[length - 2] === 0x0d && chunk[length - 3] === NEWLINE)
}

function lastFrameEnd(chunk: Buffer): number {
  if (endsFrame(chunk)) return chunk.length
  const plain = chunk.lastIndexOf('\n\n')
  const carriage = chunk.lastIndexOf('\n\r\n')
  return Math.max(plain < 0 ? 0 : plain + 2, carriage < 0 ? 0 : carriage + 3)
}

function joined(chunks: readonly Buffer[]): Buffer {
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)
}
