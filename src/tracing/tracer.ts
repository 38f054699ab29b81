import { randomFillSync } from 'node:crypto'
import { Exporter, type ExportOwner, type ExportSettings } from './exporter.ts'
import { encodeSpans } from './otlp.ts'
import { type Incoming, type Outcome, RequestSpans } from './request-spans.ts'
import { readTraceparent } from './traceparent.ts'

export interface TracerSettings extends ExportSettings {
  /** How many of the traces that begin here are kept, from 0 to 1. */
  readonly sample: number
}

/** Bytes of ids that are drawn at once: a draw costs more than what it draws. */
const POOL = 4096
/** So many bits of a trace's id decide whether it is kept: as many as a number holds exactly. */
const SAMPLED_DIGITS = 13

/** Follows requests to the upstreams they ask, and tells a collector. */
export class Tracer {
  readonly #sample: number
  readonly #exporter: Exporter
  readonly #pool = Buffer.alloc(POOL)
  #drawn = POOL

  constructor(settings: TracerSettings, owner: ExportOwner) {
    this.#sample = settings.sample
    this.#exporter = new Exporter(settings, owner)
  }

  /** Undefined when this one is not followed: whoever began the trace has decided that, else chance does. */
  begin(incoming: Incoming): RequestSpans | undefined {
    const parent = readTraceparent(incoming.headers['traceparent'])
    const traceId = parent?.traceId ?? this.#newId(16)
    if (!(parent?.sampled ?? this.#isKept(traceId))) return undefined
    const ids = { traceId, parentId: parent?.spanId, next: () => this.#newId(8) }
    return new RequestSpans(ids, incoming, (spans, outcome) => this.#settled(spans, outcome))
  }

  /** Sends off what it still has. */
  close(): Promise<void> {
    return this.#exporter.close()
  }

  #settled(spans: RequestSpans, outcome: Outcome): void {
    this.#exporter.add(encodeSpans(spans, outcome, Date.now() - performance.now()))
  }

  #isKept(traceId: string): boolean {
    return Number.parseInt(traceId.slice(-SAMPLED_DIGITS), 16) < this.#sample * 16 ** SAMPLED_DIGITS
  }

  #newId(bytes: number): string {
    if (this.#drawn + bytes > POOL) {
      randomFillSync(this.#pool)
      this.#drawn = 0
    }
    const id = this.#pool.toString('hex', this.#drawn, this.#drawn + bytes)
    this.#drawn += bytes
    return id
  }
}
