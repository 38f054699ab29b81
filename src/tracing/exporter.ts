import { encodeExport } from './otlp.ts'

export interface ExportSettings {
  /** Where `/v1/traces` is below. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  readonly resource: Readonly<Record<string, string>>
  readonly version: string
}

export interface ExportOwner {
  /** So many spans were taken by the collector, or given up. */
  ended(result: 'exported' | 'dropped', spans: number): void
  /** Told when it begins to fail, and (with undefined) when it works again. */
  trouble(problem: string | undefined): void
}

/** As OpenTelemetry's own exporters do it. Milliseconds. */
const EVERY = 5000
const BATCH = 512
/** What waits for a collector that is not there: a few megabytes. */
const MOST = 4096
const PATIENCE = 10_000
const LONGEST_PAUSE = 60_000
/** For these the collector wants to be asked again. */
const LATER: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** Sends spans off in batches, and holds on to them for a while when nobody takes them. */
export class Exporter {
  readonly #settings: ExportSettings
  readonly #owner: ExportOwner
  readonly #url: string
  #waiting: string[] = []
  #timer: NodeJS.Timeout | undefined
  #sending: Promise<void> | undefined
  #failures = 0
  #closed = false

  constructor(settings: ExportSettings, owner: ExportOwner) {
    this.#settings = settings
    this.#owner = owner
    this.#url = `${settings.endpoint.replace(/\/+$/, '')}/v1/traces`
  }

  add(spans: readonly string[]): void {
    if (this.#closed || this.#waiting.length + spans.length > MOST) return this.#owner.ended('dropped', spans.length)
    this.#waiting.push(...spans)
    // While it fails, the timer says when it is tried again.
    if (this.#waiting.length >= BATCH && this.#failures === 0) void this.#flush()
    else this.#plan(EVERY)
  }

  /** Sends what waits, once. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#sending
    while (this.#waiting.length > 0 && (await this.#sendSome()));
    clearTimeout(this.#timer)
    if (this.#waiting.length > 0) this.#owner.ended('dropped', this.#waiting.splice(0).length)
  }

  #plan(milliseconds: number): void {
    if (this.#closed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      void this.#flush()
    }, milliseconds).unref()
  }

  /** One at a time: what comes meanwhile goes with the next. */
  #flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
    return this.#sending
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (await this.#sendSome()) continue
      return this.#plan(Math.min(LONGEST_PAUSE, EVERY * 2 ** Math.min(this.#failures, 6)))
    }
  }

  /** False: nobody takes it now. */
  async #sendSome(): Promise<boolean> {
    const batch = this.#waiting.splice(0, BATCH)
    const { headers, resource, version } = this.#settings
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body: encodeExport(resource, version, batch),
        redirect: 'error',
        signal: AbortSignal.timeout(this.#closed ? PATIENCE / 5 : PATIENCE)
      })
      await response.body?.cancel()
      if (LATER.has(response.status)) return this.#keep(batch, `${this.#url} answered ${response.status}`)
      if (response.ok) this.#works()
      else this.#fails(`${this.#url} answered ${response.status}`)
      this.#owner.ended(response.ok ? 'exported' : 'dropped', batch.length)
      return true
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
      return this.#keep(batch, `${this.#url}: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }

  #keep(batch: readonly string[], problem: string): false {
    this.#waiting.unshift(...batch)
    this.#fails(problem)
    return false
  }

  #works(): void {
    if (this.#failures > 0) this.#owner.trouble(undefined)
    this.#failures = 0
  }

  #fails(problem: string): void {
    if (this.#failures++ === 0) this.#owner.trouble(problem)
  }
}
