// Whose tokens cost what: what the entry says, else the catalogue that is installed with us. Nothing here asks the network.

import { createRequire } from 'node:module'
import type { ModelPrice, TieredPrices } from '@pydantic/genai-prices'
import type { Price } from '../config/generated/types.ts'
import { FREE, type Rate, rate, type Tariff } from './tariff.ts'

/** What a target's tokens cost; a target may serve many models. */
export interface Prices {
  /** Undefined: nobody knows. `now`: milliseconds since 1970, since some prices have a first day or an hour of the day. */
  of(model: string, now: number): Tariff | undefined
}

/** Our name for a provider to the catalogue's, where they differ. What is not in the catalogue is priced by the model alone. */
const CATALOGUED: Readonly<Record<string, string>> = {
  gemini: 'google',
  'vertex-ai': 'google',
  'azure-openai': 'azure',
  bedrock: 'aws',
  xai: 'x-ai',
  moonshot: 'moonshotai'
}

/** One that is anybody's: whatever it calls its models, their makers' prices are not its. */
const NOBODYS: ReadonlySet<string> = new Set(['custom', 'self-hosted', 'litellm'])

/** Prices that depend on the time are looked up again after this. */
const RECHECK_MS = 60_000
/** A glob lets clients name models. */
const MAX_MODELS = 500

const EVERYTHING_FREE: Prices = { of: () => FREE }

/** `free`: it runs on somebody's own machine. `assumed`: what to take for a price that nobody knows. */
export function pricesOf(provider: string, own: Price | undefined, free: boolean, assumed: Tariff | undefined): Prices {
  if (own !== undefined) return always(ownTariff(own))
  if (free) return EVERYTHING_FREE
  return NOBODYS.has(provider) ? always(assumed) : new Catalogued(CATALOGUED[provider] ?? provider, assumed)
}

function always(tariff: Tariff | undefined): Prices {
  return { of: () => tariff }
}

/** What an entry, or the operator for all that is unknown, says. */
export function ownTariff(price: Price, assumed = false): Tariff {
  const input = rate(price.input ?? 0)
  return {
    input,
    output: rate(price.output ?? 0),
    cacheRead: price.cache_read === undefined ? input : rate(price.cache_read),
    cacheWrite: price.cache_write === undefined ? input : rate(price.cache_write),
    assumed
  }
}

interface Looked {
  readonly tariff: Tariff | undefined
  readonly until: number
}

/** The catalogue takes a quarter of a millisecond to find a model, so each is looked for once. */
class Catalogued implements Prices {
  readonly #provider: string
  readonly #otherwise: Tariff | undefined
  readonly #known = new Map<string, Looked>()

  constructor(provider: string, otherwise: Tariff | undefined) {
    this.#provider = provider
    this.#otherwise = otherwise
  }

  of(model: string, now: number): Tariff | undefined {
    const known = this.#known.get(model)
    if (known !== undefined && now < known.until) return known.tariff ?? this.#otherwise
    const looked = lookUp(this.#provider, model, now)
    if (this.#known.size >= MAX_MODELS) this.#known.clear()
    this.#known.set(model, looked)
    return looked.tariff ?? this.#otherwise
  }
}

/**
 * What a model costs where its maker sells it, whoever serves it here. The tables take a tenth of a second to read, so the
 * first who asks is told nothing, and they are read when nobody waits.
 */
export class ListPrices implements Prices {
  readonly #makers = new Catalogued('', undefined)
  #read: 'no' | 'soon' | 'yes' = 'no'

  of(model: string, now: number): Tariff | undefined {
    if (this.#read === 'yes') return this.#makers.of(model, now)
    if (this.#read === 'no') {
      this.#read = 'soon'
      setTimeout(() => this.read(), READ_AFTER).unref()
    }
    return undefined
  }

  read(): void {
    catalogue()
    this.#read = 'yes'
  }
}

const READ_AFTER = 250

const require = createRequire(import.meta.url)

/** Half a megabyte of tables: read when the first model has to be looked for, which local ones never need. */
function catalogue(): typeof import('@pydantic/genai-prices') {
  return require('@pydantic/genai-prices')
}

function lookUp(providerId: string, model: string, now: number): Looked {
  const { calcPrice, findProvider } = catalogue()
  const timestamp = new Date(now)
  const provider = findProvider({ providerId })
  const found =
    provider === undefined ? calcPrice({}, model, { timestamp }) : calcPrice({}, model, { provider, timestamp })
  if (found === null) return { tariff: undefined, until: Number.POSITIVE_INFINITY }
  const changes = Array.isArray(found.model.prices) && found.model.prices.length > 1
  return { tariff: tariffOf(found.model_price), until: changes ? now + RECHECK_MS : Number.POSITIVE_INFINITY }
}

/** Undefined for what is not sold by tokens: pictures, minutes, pages. */
function tariffOf(price: ModelPrice): Tariff | undefined {
  const input = rateOf(price['input_mtok'])
  const output = rateOf(price['output_mtok'])
  if (input === undefined && output === undefined) return undefined
  const read = rateOf(price['cache_read_mtok'])
  const written = rateOf(price['cache_write_mtok'])
  const sent = input ?? rate(0)
  return {
    input: sent,
    output: output ?? rate(0),
    cacheRead: read ?? sent,
    cacheWrite: written ?? sent,
    assumed: false
  }
}

function rateOf(price: number | TieredPrices | undefined): Rate | undefined {
  if (price === undefined) return undefined
  return typeof price === 'number'
    ? rate(price)
    : rate(
        price.base,
        [...price.tiers].sort((a, b) => a.start - b.start)
      )
}
