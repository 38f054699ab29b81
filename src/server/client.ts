import type { ServerResponse } from 'node:http'
import type { Client } from '../exchange/inbound.ts'

/** A client on Node's own response: the reply was taken from Fastify before. */
export class HttpClient implements Client {
  /**
   * Told when what was written has gone out after a `false` of `write`. An object and not a closure: one closure a
   * request, stored in a field, kept whole requests alive from one young collection to the next and doubled the cost.
   */
  waiter: { resume(): void } | undefined
  readonly #raw: ServerResponse
  readonly #extra: readonly string[]
  #waiting = false

  constructor(raw: ServerResponse, extra: readonly string[]) {
    this.#raw = raw
    this.#extra = extra
  }

  begin(status: number, headers: string[]): void {
    if (this.#extra.length > 0) headers.push(...this.#extra)
    this.#raw.writeHead(status, headers)
  }

  write(chunk: Buffer): boolean {
    if (this.#raw.write(chunk)) return true
    if (!this.#waiting) {
      this.#waiting = true
      this.#raw.once('drain', () => {
        this.#waiting = false
        this.waiter?.resume()
      })
    }
    return false
  }

  end(chunk?: Buffer): void {
    this.#raw.end(chunk)
  }

  destroy(): void {
    this.#raw.destroy()
  }
}
