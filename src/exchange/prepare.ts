import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import { DIALECTS } from '../dialects/index.ts'
import type { Surface } from '../providers/surface.ts'
import { canTranslate, readRequest, type Translation, writeRequest } from '../relay/translate.ts'
import { surfaceFor, type Target } from '../routing/target.ts'
import { bodyFor } from './body.ts'
import type { Inbound } from './inbound.ts'

/** A request as one target is sent it. */
export interface Prepared {
  readonly surface: Surface
  readonly body: readonly Buffer[]
  /** What the target cannot be told. */
  readonly dropped: readonly string[]
  /** Undefined: the bytes of the answer pass. */
  readonly translation: Translation | undefined
}

/** Writes one request for each target it is tried at: as the client's own bytes, or through the hub. */
export class Preparation {
  readonly #inbound: Inbound
  /** Read when the first target needs it. */
  #chat: ChatRequest | Failure | undefined

  constructor(inbound: Inbound) {
    this.#inbound = inbound
  }

  /** The only place that chooses between passing and translating. */
  for(target: Target, model: string): Prepared | Failure {
    const surface = surfaceFor(target, this.#inbound.dialect)
    if (surface === undefined) return this.#translated(target, model)
    const body = bodyFor(this.#inbound, target, surface, model)
    return body instanceof Failure ? body : { surface, body, dropped: [], translation: undefined }
  }

  #translated(target: Target, model: string): Prepared | Failure {
    const inbound = this.#inbound
    const client = DIALECTS[inbound.dialect]
    const surface = target.surfaces.find(row => canTranslate(client, DIALECTS[row.dialect]))
    if (surface === undefined || inbound.operation !== 'chat') return cannotSpeak(target, inbound)
    this.#chat ??= readRequest(client, inbound.body.chunks)
    if (this.#chat instanceof Failure) return this.#chat
    const { maxTokens } = this.#chat
    const limit = target.maxTokens === undefined ? maxTokens : Math.min(maxTokens ?? target.maxTokens, target.maxTokens)
    const chat = { ...this.#chat, model, ...(limit !== undefined && { maxTokens: limit }) }
    const context = { id: inbound.id, model: inbound.model ?? model, created: Math.floor(Date.now() / 1000) }
    const written = writeRequest(chat, client, DIALECTS[surface.dialect], target.flavour, context)
    if (written instanceof Failure) return written
    return { surface, body: [written.body], dropped: written.dropped, translation: written.translation }
  }
}

function cannotSpeak(target: Target, inbound: Inbound): Failure {
  const spoken = target.surfaces.map(row => row.dialect).join(', ')
  const message = `${target.place} speaks ${spoken}; this version cannot serve ${inbound.operation} of ${inbound.dialect} by it.`
  return new Failure('unsupported', message, {
    recommendations: [`Pin \`dialect: ${inbound.dialect}\` on the entry if the server speaks it too.`]
  })
}
