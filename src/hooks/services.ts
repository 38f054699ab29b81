import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { HookEnvironment } from './environment.ts'
import type { Kv, Services } from './hook.ts'

export interface ServiceSettings {
  readonly hook: string
  readonly environment: HookEnvironment
  readonly kv: Kv
  /** gateway.yaml's. */
  readonly folder: string
  /** Names that are served now. */
  readonly models: () => readonly string[]
}

/** What one hook is lent. */
export function servicesFor({ hook, environment, kv, folder, models }: ServiceSettings): Services {
  const { log, metrics } = environment
  const of = (fields: Readonly<Record<string, unknown>> | undefined) => ({ ...fields, hook })
  return Object.freeze({
    log: Object.freeze({
      debug: (message: string, fields?: Record<string, unknown>) => log.debug(message, of(fields)),
      info: (message: string, fields?: Record<string, unknown>) => log.info(message, of(fields)),
      warn: (message: string, fields?: Record<string, unknown>) => log.warn(message, of(fields)),
      error: (message: string, fields?: Record<string, unknown>) => log.error(message, of(fields))
    }),
    kv: {
      get: (key: string) => kv.get(`${hook}\0${key}`),
      set: (key: string, value: string, seconds: number) => kv.set(`${hook}\0${key}`, value, seconds),
      delete: (key: string) => kv.delete(`${hook}\0${key}`)
    },
    metrics: { count: (event: string, amount = 1) => metrics.hookCounted(hook, event, amount) },
    fetch: environment.fetch ?? guardedFetch,
    config: Object.freeze({
      folder,
      get models() {
        return models()
      }
    })
  })
}

/** Where clouds hand out credentials to whoever asks from inside. */
const LINK_LOCAL = /^(169\.254\.|fe[89ab][0-9a-f]:|::ffff:169\.254\.|::ffff:a9fe:|fd00:ec2::254$)/i

const guardedFetch: typeof fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError(`${url.protocol} is not fetched`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const addresses = isIP(host) > 0 ? [{ address: host }] : await lookup(host, { all: true })
  if (addresses.some(({ address }) => LINK_LOCAL.test(address)))
    throw new TypeError(`${host} is a link-local address, which hooks may not fetch`)
  return fetch(input, { ...init, redirect: 'error' })
}
