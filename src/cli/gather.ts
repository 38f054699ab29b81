import pino from 'pino'

/** Where log text goes. */
export interface LogDestination {
  write(text: string): void
  flushSync?(): void
}

/** Lines are joined for this long before they are written: a system call for each would cost more than the line. */
const LONGEST_WAIT = 50
const ENOUGH = 16 * 1024
/** A reader that stopped must not take the gateway's memory; what is beyond is lost. */
const MOST_KEPT = 16 * 1024 * 1024

/** Joins lines, and writes them together. */
export class Gathering implements LogDestination {
  readonly #to: LogDestination
  #text = ''
  #timer: NodeJS.Timeout | undefined

  constructor(to: LogDestination) {
    this.#to = to
  }

  write(text: string): void {
    this.#text += text
    if (this.#text.length >= ENOUGH) this.#flush()
    else this.#timer ??= setTimeout(() => this.#flush(), LONGEST_WAIT).unref()
  }

  flushSync(): void {
    this.#flush()
    this.#to.flushSync?.()
  }

  #flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#text === '') return
    const text = this.#text
    this.#text = ''
    this.#to.write(text)
  }
}

/** Standard output, written to without waiting for it. */
export function standardOutput(): LogDestination {
  const stream = pino.destination({ dest: 1, sync: false, maxLength: MOST_KEPT })
  return {
    write: text => void stream.write(text),
    flushSync: () => {
      try {
        stream.flushSync()
      } catch {
        // Whoever read the log has gone; there is nobody left to tell.
      }
    }
  }
}
