import { hostname } from 'node:os'
import type { TracingSettings } from '../config/generated/types.ts'
import type { Gateway } from '../exchange/gateway.ts'
import { VERSION } from '../server/version.ts'
import type { Tracer } from '../tracing/tracer.ts'
import type { RoomLog } from './logs.ts'

/** Keeps the tracer that the configuration in force asks for, if it asks for one. */
export class Tracing {
  readonly #gateway: Gateway
  readonly #logs: RoomLog
  #said = ''
  #tracer: Tracer | undefined
  /** Those that are sending off their last. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(gateway: Gateway, logs: RoomLog) {
    this.#gateway = gateway
    this.#logs = logs
  }

  async configure(settings: TracingSettings): Promise<void> {
    const said = JSON.stringify(settings)
    if (said === this.#said) return
    this.#said = said
    const before = this.#tracer
    this.#tracer = settings.endpoint === '' ? undefined : await this.#tracerOf(settings)
    this.#gateway.tracer = this.#tracer
    if (before !== undefined) this.#leave(before)
  }

  /** Waits for what is on its way. */
  async close(): Promise<void> {
    this.#gateway.tracer = undefined
    if (this.#tracer !== undefined) this.#leave(this.#tracer)
    await Promise.all(this.#leaving)
  }

  #leave(tracer: Tracer): void {
    const left = tracer.close().finally(() => this.#leaving.delete(left))
    this.#leaving.add(left)
  }

  /** Read only when wanted. */
  async #tracerOf({ endpoint, headers, sample, service }: TracingSettings): Promise<Tracer> {
    const { Tracer } = await import('../tracing/tracer.ts')
    const resource = {
      'service.name': service,
      'service.version': VERSION,
      'service.instance.id': `${hostname()}:${process.pid}`,
      'telemetry.sdk.language': 'nodejs'
    }
    return new Tracer(
      { endpoint, headers, sample, resource, version: VERSION },
      {
        ended: (result, spans) => this.#gateway.metrics.spansEnded(result, spans),
        trouble: problem =>
          problem === undefined
            ? this.#logs.event('info', 'traces are sent again')
            : this.#logs.event('warn', 'traces cannot be sent; the newest are kept for a while', {}, [problem])
      }
    )
  }
}
