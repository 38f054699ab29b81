// Bytes to SSE frames. The only place that knows that bytes are cut anywhere: inside a frame, a CRLF and a character.
import { StringDecoder } from 'node:string_decoder'

export interface SseFrame {
  readonly event?: string | undefined
  readonly data: string
}

const MAX_FRAME = 32 * 1024 * 1024

/** Reads a stream's frames. Each byte is looked at a fixed number of times, however the stream is cut. */
export class SseReader {
  readonly #limit: number
  readonly #decoder = new StringDecoder('utf8')
  /** Pieces of a line whose end has not come. */
  #line: string[] = []
  #data: string[] = []
  #event: string | undefined
  /** Characters of the frame so far. */
  #size = 0
  #afterCarriageReturn = false
  #begun = false
  #overflowed = false

  constructor(limit = MAX_FRAME) {
    this.#limit = limit
  }

  /** True once a frame was longer than the limit: nothing is read any more. */
  get overflowed(): boolean {
    return this.#overflowed
  }

  push(chunk: Buffer): SseFrame[] {
    const frames: SseFrame[] = []
    this.#read(this.#decoder.write(chunk), frames)
    return frames
  }

  /** The frame that is left at the end: some servers leave out the last blank line. */
  end(): SseFrame[] {
    const frames: SseFrame[] = []
    this.#read(`${this.#decoder.end()}\n\n`, frames)
    return frames
  }

  #read(decoded: string, frames: SseFrame[]): void {
    const text = this.#withPlainNewlines(decoded)
    let from = 0
    while (!this.#overflowed) {
      const newline = text.indexOf('\n', from)
      if (newline === -1) break
      this.#endLine(text.slice(from, newline), frames)
      from = newline + 1
    }
    if (from < text.length) this.#keep(this.#line, text.slice(from))
  }

  #withPlainNewlines(decoded: string): string {
    let text = decoded
    if (text === '') return text
    if (!this.#begun) {
      this.#begun = true
      if (text.charCodeAt(0) === 0xfeff) text = text.slice(1)
    }
    if (this.#afterCarriageReturn && text.startsWith('\n')) text = text.slice(1)
    this.#afterCarriageReturn = decoded.endsWith('\r')
    return text.includes('\r') ? text.replace(/\r\n?/g, '\n') : text
  }

  #endLine(last: string, frames: SseFrame[]): void {
    let line = last
    if (this.#line.length > 0) {
      line = this.#line.join('') + last
      this.#line = []
    }
    if (line === '') return this.#endFrame(frames)
    if (line.startsWith('data:')) this.#keep(this.#data, line.slice(line[5] === ' ' ? 6 : 5))
    else if (line.startsWith('event:')) this.#event = line.slice(line[6] === ' ' ? 7 : 6)
    // A field without a colon has an empty value. The rest, comments among it, means nothing here.
    else if (line === 'data') this.#keep(this.#data, '')
  }

  #endFrame(frames: SseFrame[]): void {
    const [only, another] = this.#data
    if (only !== undefined) {
      frames.push({ event: this.#event, data: another === undefined ? only : this.#data.join('\n') })
      this.#data = []
    }
    this.#event = undefined
    this.#size = 0
  }

  #keep(pieces: string[], piece: string): void {
    // One more for the piece itself: empty lines are not free.
    this.#size += piece.length + 1
    if (this.#size > this.#limit) {
      this.#overflowed = true
      this.#line = []
      this.#data = []
    } else if (!this.#overflowed) pieces.push(piece)
  }
}
