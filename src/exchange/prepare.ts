import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { ClientSide, EncodedRequest } from '../dialects/dialect.ts'
import { exactJson } from '../dialects/exact.ts'
import { DIALECTS } from '../dialects/index.ts'
import { misplaced } from '../dialects/misplaced.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { applyQuirks } from '../providers/quirks.ts'
import { leadsAstray, operationPath, type Surface } from '../providers/surface.ts'
import type { MendCounts } from '../quirks/mend.ts'
import { translateEmbeddings } from '../relay/embeddings.ts'
import { OneShot } from '../relay/one-shot.ts'
import type { Translation } from '../relay/translate.ts'
import type { WayBack } from '../relay/way-back.ts'
import { surfaceFor, type Target } from '../routing/target.ts'
import { bodyFor } from './body.ts'
import { Conversation } from './conversation.ts'
import { countRequest, decodeCount, encodeCount, estimate } from './count.ts'
import type { HookedAttempt } from './hooked.ts'
import type { Inbound } from './inbound.ts'
import { Losses } from './losses.ts'
import type { StoredResponses } from './stored.ts'

/** A request as one target is sent it. */
export interface Prepared {
  readonly surface: Surface
  /** Behind the surface's base, with its query. */
  readonly path: string
  readonly body: readonly Buffer[]
  /** What the target cannot be told. */
  readonly dropped: readonly string[]
  /** Undefined: the bytes of the answer pass. */
  readonly translation: WayBack | undefined
}

/** What the gateway knows without asking anybody. */
export interface Known {
  readonly body: Buffer
}

/** Writes one request for each target it is tried at: as the client's own bytes, or through the hub. */
export class Preparation {
  readonly #inbound: Inbound
  readonly #conversation: Conversation | undefined
  /** What a stream that we write is. */
  readonly streamType: string
  readonly losses: Losses

  constructor(inbound: Inbound, stored: StoredResponses, metrics?: Metrics) {
    this.#inbound = inbound
    this.losses = new Losses(inbound, metrics, () => this.#conversation?.dropped ?? [])
    const client = clientOf(inbound)
    this.streamType = isArray(inbound) ? 'application/json' : 'text/event-stream; charset=utf-8'
    this.#conversation = client === undefined ? undefined : new Conversation(inbound, client, stored, this.streamType)
  }

  /** What was undone of the last answer. */
  get mended(): MendCounts | undefined {
    return this.#conversation?.mended
  }

  /** Something that a client takes for progress while there is none; it begins the stream if nothing has. */
  signOfLife(): string {
    return this.#conversation?.speak()?.keepAlive() ?? ''
  }

  /** How a stream that we began ends when it fails; undefined when we did not begin it. */
  lastWords(failure: Failure): string | undefined {
    return this.#conversation?.spoken?.push({ type: 'failure', failure })
  }

  /** The way back from an upstream of the client's own dialect, once bytes can no longer pass. */
  ownWay(target: Target | undefined): WayBack | undefined {
    const upstream = DIALECTS[this.#inbound.dialect].translate
    const chat = this.#conversation?.chat
    if (target === undefined || upstream === undefined || chat === undefined || chat instanceof Failure)
      return undefined
    return this.#conversation?.wayBack(chat, upstream, target)
  }

  /** The conversation as the client sent it; undefined when this is none. */
  get chat(): ChatRequest | Failure | undefined {
    return this.#conversation?.chat
  }

  /** How an answer that comes from no upstream reaches the client. */
  plainWay(hooked: HookedAttempt): Translation | Failure {
    const upstream = DIALECTS[this.#inbound.dialect].translate
    const conversation = this.#conversation
    if (conversation === undefined || upstream === undefined)
      return new Failure('bug', `A hook answered a call for ${this.#inbound.operation}, which it cannot.`)
    conversation.hooked = hooked
    const { chat } = conversation
    return chat instanceof Failure ? chat : conversation.wayBack(chat, upstream, undefined)
  }

  /** The only place that chooses between passing and translating. */
  for(target: Target, model: string, hooked?: HookedAttempt): Prepared | Known | Failure {
    this.#conversation?.begin(hooked)
    const { dialect, operation } = this.#inbound
    // Where the model stands in the path.
    if (leadsAstray(model) && target.surfaces.some(row => row.dialect === 'gemini'))
      return new Failure('invalid-request', 'This is no name of a model.', { field: 'model' })
    const surface = surfaceFor(target, dialect)
    if (surface !== undefined && !this.#needsHub(target, hooked)) return this.#passed(target, surface, model, hooked)
    switch (operation) {
      case 'chat':
      case 'completions':
        return this.#translated(target, model, surface)
      case 'embeddings':
        return this.#embedded(target, model)
      case 'count-tokens':
        return this.#counted(target, model)
    }
  }

  /** For a target that has no such thing as the count that it was asked for. */
  estimated(): Known | Failure {
    const chat = this.#conversation?.chat
    if (chat === undefined || chat instanceof Failure) return chat ?? new Failure('unsupported', 'Nothing to count.')
    return { body: json(encodeCount(this.#inbound.dialect, estimate(chat))) }
  }

  #needsHub(target: Target, hooked: HookedAttempt | undefined): boolean {
    const { operation } = this.#inbound
    if (isMisplaced(this.#inbound)) return true
    if (hooked?.changes.chat !== undefined) return operation !== 'embeddings'
    // Nobody reads upstream answers of this operation; a chat's can be written as such.
    if (operation === 'completions') return hooked?.readsAnswer === true
    return operation === 'chat' && (target.mends || this.#conversation?.hasSpoken === true)
  }

  #passed(target: Target, surface: Surface, model: string, hooked: HookedAttempt | undefined): Prepared | Failure {
    const inbound = this.#inbound
    const body = bodyFor(inbound, target, surface, model, hooked?.changes.maxTokens)
    if (body instanceof Failure) return body
    const own = surface.dialect === 'gemini' ? geminiPath(model, inbound.action ?? '') : undefined
    const path = (own ?? operationPath(surface.dialect, inbound.operation) ?? '') + inbound.query
    // The request passes as it is, and only the answer is read.
    const translation = hooked?.readsAnswer === true ? this.ownWay(target) : undefined
    return { surface, path, body, dropped: [], translation }
  }

  /** `own`: the surface of the client's dialect, for answers that have to be read though nothing is to be translated. */
  #translated(target: Target, model: string, own: Surface | undefined): Prepared | Failure {
    const surface = own ?? target.surfaces.find(row => DIALECTS[row.dialect].translate !== undefined)
    const upstream = surface === undefined ? undefined : DIALECTS[surface.dialect].translate
    const conversation = this.#conversation
    if (surface === undefined || upstream === undefined || conversation === undefined)
      return cannotSpeak(target, this.#inbound)
    const chat = conversation.for(target, model, surface.dialect)
    if (chat instanceof Failure) return chat
    const encoded = this.#encoded(chat, target, surface)
    if (encoded instanceof Failure) return encoded
    const translation = conversation.wayBack(chat, upstream, target)
    const path =
      surface.dialect === 'gemini'
        ? geminiPath(model, chat.stream ? 'streamGenerateContent?alt=sse' : 'generateContent')
        : (operationPath(surface.dialect, 'chat') ?? '')
    return { surface, path, body: [json(encoded.body)], dropped: encoded.dropped, translation }
  }

  #encoded(chat: ChatRequest, target: Target, { dialect, quirks }: Surface): EncodedRequest | Failure {
    const asked = dialect === 'openai-responses' && this.#inbound.dialect !== dialect ? unstored(chat) : chat
    const encoded = DIALECTS[dialect].translate?.encodeRequest(asked, target.flavour)
    if (encoded === undefined) return cannotSpeak(target, this.#inbound)
    if (encoded instanceof Failure) return encoded
    const { body } = encoded
    const dropped = quirks === undefined ? encoded.dropped : [...encoded.dropped, ...applyQuirks(body, quirks)].sort()
    if (dropped.length === 0 || target.onUnsupported !== 'reject') return { body, dropped }
    const [field = ''] = dropped
    const message = `${target.place} cannot be told: ${dropped.join(', ')}.`
    return new Failure('unsupported', message, {
      field,
      recommendations: ['Leave it out, or say `on_unsupported: warn` on the entry.']
    })
  }

  #embedded(target: Target, model: string): Prepared | Failure {
    const { dialect, body, model: asked } = this.#inbound
    for (const surface of target.surfaces) {
      const bytes = Buffer.concat(body.chunks)
      const done = translateEmbeddings(dialect, surface.dialect, bytes, model, asked ?? model)
      if (done === undefined) continue
      if (done instanceof Failure) return done
      const path =
        surface.dialect === 'gemini'
          ? geminiPath(model, 'batchEmbedContents')
          : (operationPath(surface.dialect, 'embeddings') ?? '')
      return { surface, path, body: [json(done.body)], dropped: done.dropped, translation: done.wayBack }
    }
    return cannotSpeak(target, this.#inbound)
  }

  #counted(target: Target, model: string): Prepared | Known | Failure {
    for (const surface of target.surfaces) {
      const chat = this.#conversation?.for(target, model, surface.dialect)
      if (chat === undefined || chat instanceof Failure) return chat ?? cannotSpeak(target, this.#inbound)
      const encoded = DIALECTS[surface.dialect].translate?.encodeRequest(chat, target.flavour)
      if (encoded === undefined || encoded instanceof Failure) continue
      const request = countRequest(surface.dialect, model, encoded.body)
      if (request === undefined) continue
      const path =
        surface.dialect === 'gemini'
          ? geminiPath(model, 'countTokens')
          : (operationPath(surface.dialect, 'count-tokens') ?? '')
      const translation = new OneShot(said => {
        const tokens = decodeCount(said)
        return tokens instanceof Failure
          ? tokens
          : { body: encodeCount(this.#inbound.dialect, tokens), usage: undefined }
      })
      return { surface, path, body: [json(request)], dropped: encoded.dropped, translation }
    }
    return this.estimated()
  }
}

/** Gemini streams as one JSON array to those who do not ask for events. */
function isArray({ dialect, stream, query }: Inbound): boolean {
  return dialect === 'gemini' && stream && !/[?&]alt=sse(?:&|$)/.test(query)
}

/** Cursor asks for Chat's answers in the words of Responses; no upstream takes both. */
function isMisplaced({ dialect, operation, body }: Inbound): boolean {
  if (dialect !== 'openai-chat' || operation !== 'chat' || body.fields.found['messages'] !== undefined) return false
  return Buffer.concat(body.chunks).includes('"input"')
}

/** How a client's request is read and answered, where we can do that. */
function clientOf(inbound: Inbound): ClientSide | undefined {
  const { dialect, operation } = inbound
  const { translate, completions, array } = DIALECTS[dialect]
  if (isArray(inbound)) return array
  if (isMisplaced(inbound)) return misplaced
  return operation === 'completions' ? completions : translate
}

/** OpenAI keeps answers unless it is told not to, and only its own clients can know that it does. */
function unstored(chat: ChatRequest): ChatRequest {
  return { ...chat, extra: { ...chat.extra, 'openai-responses': { store: false } } }
}

function geminiPath(model: string, action: string): string {
  return `/models/${encodeURIComponent(model).replaceAll('%2F', '/')}:${action}`
}

function json(body: object): Buffer {
  return Buffer.from(exactJson(body))
}

function cannotSpeak(target: Target, inbound: Inbound): Failure {
  const spoken = target.surfaces.map(row => row.dialect).join(', ')
  const message = `${target.place} speaks ${spoken}; it cannot serve ${inbound.operation} of ${inbound.dialect}.`
  return new Failure('unsupported', message, {
    recommendations: [`Pin \`dialect: ${inbound.dialect}\` on the entry if the server speaks it too.`]
  })
}
