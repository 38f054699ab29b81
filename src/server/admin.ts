import type { FastifyInstance } from 'fastify'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import { redacted } from '../exchange/redacted.ts'
import { sendFailure } from './reply.ts'

export interface ReloadOutcome {
  readonly accepted: boolean
  readonly generation: number
  /** What changed, or why nothing did, a line each. */
  readonly lines: readonly string[]
}

/** What the process lets an administrator do to it. */
export interface Controls {
  reload(): Promise<ReloadOutcome>
  /** The last configuration that was refused, if the file now differs from what is in force. */
  rejected(): readonly string[]
  onBug(error: Error): void
  /** Somebody looked whether the gateway is there, or scraped it. */
  onProbe?(path: string, status: number, milliseconds: number): void
  /** Whether the Redis answers that hooks keep things in; undefined where they have none. */
  hooksRedis?(): 'healthy' | 'unreachable' | undefined
  /** Metrics are told on a port of their own, for as long as the process runs. */
  readonly metricsApart?: boolean
}

export function adminRoutes(app: FastifyInstance, gateway: Gateway, controls: Controls): void {
  app.get('/admin/config', () => ({
    generation: gateway.runtime.generation,
    loaded_at: new Date(gateway.runtime.loadedAt).toISOString(),
    warnings: gateway.runtime.warnings,
    rejected: controls.rejected(),
    config: redacted(gateway.runtime.config)
  }))
  app.post('/admin/config', async (_, reply) => {
    const { accepted, generation, lines } = await controls.reload()
    return reply.code(accepted ? 200 : 422).send({ accepted, generation, [accepted ? 'changes' : 'problems']: lines })
  })
}

/** What became of a call, for whoever made it. */
export function callRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get('/calls/:id', (request, reply) => {
    const { id } = request.params as { id: string }
    const record = gateway.calls.get(id)
    const { admitted } = request
    const isOwn = !(admitted instanceof Failure) && (admitted?.master === true || admitted?.id === record?.keyId)
    // Of others' calls nobody hears that they are there.
    if (record === undefined || !isOwn) {
      return sendFailure(
        reply,
        new Failure('not-found', 'No such call here: it is not settled yet, or older than the last thousand.'),
        'openai-chat'
      )
    }
    return { ...record, at: new Date(record.at).toISOString() }
  })
}
