import type { FastifyInstance } from 'fastify'
import type { GatewayConfig } from '../config/generated/types.ts'
import { CannotStart } from './cannot-start.ts'
import { type Listening, listen } from './listen.ts'

export interface Doors extends Listening {
  /** Where metrics are, when they have a port of their own. */
  readonly metricsUrl: string | undefined
}

/** The gateway's port, and that of its metrics. What answers behind the port of another opens none. */
export async function openDoors(
  { app, metrics }: { readonly app: FastifyInstance; readonly metrics: FastifyInstance | undefined },
  { host, port, metrics: { port: metricsPort } }: GatewayConfig['server'],
  dataDir: string,
  workspace: string | undefined
): Promise<Doors> {
  if (workspace !== undefined) {
    await app.ready()
    return { url: `/w/${workspace}`, port: 0, metricsUrl: undefined }
  }
  // The gateway's own first: a mistake there has more to say.
  const listening = await listen(app, host, port, dataDir)
  if (metrics === undefined || metricsPort === undefined) return { ...listening, metricsUrl: undefined }
  try {
    const { url } = await listen(metrics, host, metricsPort, dataDir)
    return { ...listening, metricsUrl: `${url}/metrics` }
  } catch (error) {
    if (!(error instanceof CannotStart)) throw error
    throw new CannotStart([...error.lines.slice(0, 1), 'Metrics would be told there: server.metrics.port.'])
  }
}
