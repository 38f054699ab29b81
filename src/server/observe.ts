import type { FastifyInstance } from 'fastify'
import type { Gateway } from '../exchange/gateway.ts'
import type { Keyring } from '../keys/keyring.ts'
import type { Controls } from './admin.ts'
import { metricsRoute, tellProbes } from './metrics.ts'
import { VERSION } from './version.ts'

/** What probes, scrapers and people look at. */
export function observeRoutes(
  app: FastifyInstance,
  gateway: Gateway,
  controls: Controls,
  keyring: Keyring | undefined
): void {
  tellProbes(app, controls)
  app.get('/', () => ({
    name: 'sluice',
    version: VERSION,
    endpoints: [
      '/v1/chat/completions',
      '/v1/responses',
      '/v1/messages',
      '/v1beta/models',
      '/v1/models',
      '/health',
      ...(controls.metricsApart === true ? [] : ['/metrics']),
      '/openapi.json'
    ]
  }))
  // Claude Code asks one of these before its first message, and posts telemetry that is nobody's business to the other.
  app.get('/api/hello', () => ({ message: 'hello' }))
  app.post('/api/event_logging/batch', () => ({ status: 'ok' }))
  app.get('/health/live', () => ({ status: 'alive' }))
  app.get('/health/ready', (_, reply) => {
    const ready = !gateway.draining
    // Ready all the same: the last good configuration serves. Why the new one was refused, GET /admin/config says.
    const config = controls.rejected().length > 0 ? 'rejected' : 'in force'
    return reply
      .code(ready ? 200 : 503)
      .send({ status: ready ? 'ready' : 'draining', generation: gateway.runtime.generation, config })
  })
  app.get('/health', () => health(gateway, controls, keyring))
  metricsRoute(app, gateway, controls)
}

function health(gateway: Gateway, controls: Controls, keyring: Keyring | undefined): object {
  const { runtime } = gateway
  const now = performance.now()
  const backends = runtime.targets.map(({ name, provider, origin, state, maxParallel }) => {
    const cooling = state.coolingFor(now)
    return {
      name,
      provider,
      endpoint: origin,
      status: state.ok === undefined ? 'unknown' : state.ok ? 'healthy' : 'unhealthy',
      ...(state.ok !== undefined && { checked_at: new Date(state.at).toISOString(), latency_ms: state.milliseconds }),
      ...(state.firstToken > 0 && { first_token_ms: Math.round(state.firstToken) }),
      ...(cooling > 0 && { left_out_for_seconds: Math.ceil(cooling / 1000) }),
      inflight: state.inflight,
      ...(maxParallel !== undefined && { max_parallel: maxParallel, waiting: state.waiting }),
      ...(state.lastError !== undefined && { last_error: state.lastError }),
      ...(state.ok === false && state.lastKind !== undefined && { failure: state.lastKind })
    }
  })
  return {
    status: backends.some(backend => backend.status === 'unhealthy') ? 'degraded' : 'healthy',
    timestamp: new Date().toISOString(),
    version: VERSION,
    uptime_seconds: Math.round((Date.now() - gateway.startedAt) / 1000),
    inflight: gateway.metrics.inflight,
    generation: runtime.generation,
    components: {
      gateway: gateway.draining ? 'draining' : 'healthy',
      database: keyring?.state ?? 'disabled',
      redis: redisState(gateway, controls)
    },
    backends
  }
}

/** As limits and hooks last heard of it: nobody who looks is kept waiting for it. */
function redisState({ limits }: Gateway, { hooksRedis }: Controls): 'healthy' | 'unreachable' | 'disabled' {
  const heard = [limits.redis, hooksRedis?.()]
  if (heard.includes('unreachable')) return 'unreachable'
  return heard.includes('healthy') ? 'healthy' : 'disabled'
}
