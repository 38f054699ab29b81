import type { AddressInfo } from 'node:net'
import { Ajv } from 'ajv'
import type { FastifyInstance } from 'fastify'
import type { GatewayConfig } from '../../src/config/generated/types.ts'
import { SCHEMA } from '../../src/config/schema.ts'
import { createDemo } from '../../src/demo/demo.ts'
import { Gateway } from '../../src/exchange/gateway.ts'
import type { CallRecord } from '../../src/exchange/record.ts'
import { compile, type Runtime } from '../../src/exchange/runtime.ts'
import type { HookSet } from '../../src/hooks/hook-set.ts'
import type { Keyring } from '../../src/keys/keyring.ts'
import type { Wire } from '../../src/lib/wire.ts'
import { Metrics } from '../../src/metrics/metrics.ts'
import { HealthBook } from '../../src/routing/health.ts'
import { createApp } from '../../src/server/app.ts'
import { Pools } from '../../src/upstream/pools.ts'

type Partly<T> = T extends readonly (infer Item)[]
  ? Partly<Item>[]
  : T extends object
    ? { [Key in keyof T]?: Partly<T[Key]> }
    : T

/** What a test says of a configuration; the schema's defaults fill in the rest. */
export type PartialConfig = Partly<GatewayConfig>

export interface TestGateway {
  readonly app: FastifyInstance
  readonly gateway: Gateway
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Every call that was settled, in order. */
  readonly records: CallRecord[]
  /** Bugs that reached the error handler; a test expects none. */
  readonly bugs: Error[]
  /** Puts another configuration in force, as a saved file would. */
  reload(config: PartialConfig): void
  close(): Promise<void>
}

export interface TestOptions {
  readonly demo?: Wire
  readonly variables?: Readonly<Record<string, string | undefined>>
  /** Hooks of the configuration that is there from the start. */
  readonly hooks?: (config: GatewayConfig, metrics: Metrics) => Promise<HookSet>
  /** Closed with the gateway. */
  readonly keyring?: Keyring
}

const validate = new Ajv({ useDefaults: true, strict: false, allErrors: true }).compile<GatewayConfig>(SCHEMA)

/** A gateway on a real socket of this machine, configured without files. */
export async function testGateway(config: PartialConfig, options: TestOptions = {}): Promise<TestGateway> {
  const metrics = new Metrics()
  const pools = new Pools()
  const health = new HealthBook()
  let generation = 0
  const hooks = await options.hooks?.(filled(config), metrics)
  const compiled = (partial: PartialConfig): Runtime => {
    generation++
    const { demo = createDemo(), variables = {} } = options
    const runtime = compile(filled(partial), {
      generation,
      variables,
      metrics,
      wireTo: origin => pools.wire(origin),
      demo,
      health,
      ...(generation === 1 && hooks !== undefined && { hooks })
    })
    if (!('routes' in runtime)) throw new Error(`the test's configuration is wrong: ${JSON.stringify(runtime)}`)
    return runtime
  }
  const records: CallRecord[] = []
  const bugs: Error[] = []
  const gateway = new Gateway(compiled(config), metrics, record => records.push(record))
  const controls = {
    reload: async () => ({ accepted: false, generation, lines: ['A test has no file to reload.'] }),
    rejected: () => [],
    onBug: (error: Error) => bugs.push(error)
  }
  const app = createApp(gateway, controls, options.keyring)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    app,
    gateway,
    url: `http://127.0.0.1:${port}`,
    records,
    bugs,
    reload: partial => gateway.swap(compiled(partial)),
    close: async () => {
      app.server.closeAllConnections()
      await app.close()
      await options.keyring?.close()
      await pools.close()
      gateway.checks.stop()
      gateway.deadlines.close()
    }
  }
}

/** The configuration with the schema's defaults, refused when the schema refuses it. */
function filled(partial: PartialConfig): GatewayConfig {
  const config: unknown = structuredClone(partial)
  if (!validate(config)) throw new Error(`the test's configuration is wrong: ${JSON.stringify(validate.errors)}`)
  return config
}
