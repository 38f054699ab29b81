import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { ClientSide, DialectName, EncodeContext, StreamEncoder, Translator } from '../dialects/dialect.ts'
import { Dropped } from '../dialects/dropped.ts'
import { parseExact } from '../dialects/exact.ts'
import type { MendCounts, Mender } from '../quirks/mend.ts'
import { menderFor } from '../quirks/quirks.ts'
import { stabilisePrompt } from '../quirks/stable-prompt.ts'
import { Translation } from '../relay/translate.ts'
import type { Target } from '../routing/target.ts'
import type { HookedAttempt } from './hooked.ts'
import type { Inbound } from './inbound.ts'
import { continued, isToBeKept, keeperFor, type StoredResponses } from './stored.ts'

/** One request as the conversation we hold: read once, written for each target that needs it. */
export class Conversation {
  readonly #inbound: Inbound
  readonly #client: ClientSide
  readonly #stored: StoredResponses
  readonly #streamType: string
  readonly #context: { readonly id: string; readonly created: number }
  #chat: ChatRequest | Failure | undefined
  #isKept = false
  #voice: StreamEncoder | undefined
  /** What the voice could not say. */
  #dropped: Dropped
  #hasSpoken = false
  /** What hooks made of the request for this attempt. */
  hooked: HookedAttempt | undefined
  #mender: Mender | undefined

  constructor(inbound: Inbound, client: ClientSide, stored: StoredResponses, streamType: string) {
    this.#streamType = streamType
    this.#inbound = inbound
    this.#client = client
    this.#stored = stored
    this.#dropped = new Dropped(inbound.dialect, 'answer')
    this.#context = { id: inbound.id, created: Math.floor(Date.now() / 1000) }
  }

  get chat(): ChatRequest | Failure {
    this.#chat ??= this.#read()
    return this.#chat
  }

  /** True once the client's stream has begun before any answer: then all of it has to be written by one encoder. */
  get hasSpoken(): boolean {
    return this.#hasSpoken
  }

  /** What the client's stream is written with, once something has been. */
  get spoken(): StreamEncoder | undefined {
    return this.#voice
  }

  /** What the model wrote in another form than it meant, so far. */
  get mended(): MendCounts | undefined {
    return this.#mender?.counts
  }

  /** What of the answer the client cannot be told, by now. */
  get dropped(): readonly string[] {
    return this.#dropped.list()
  }

  /** Another attempt begins: what an earlier one has lost is forgotten with it. */
  begin(hooked: HookedAttempt | undefined): void {
    this.hooked = hooked
    if (!this.#hasSpoken) this.#dropped = new Dropped(this.#inbound.dialect, 'answer')
  }

  /** For a sign of life; undefined when the request cannot be read. */
  speak(): StreamEncoder | undefined {
    const { chat } = this
    if (chat instanceof Failure) return undefined
    this.#hasSpoken = true
    this.#voice ??= this.#client.encodeStream(this.#contextOf(chat))
    return this.#voice
  }

  /** The conversation as this target is asked it in that dialect. */
  for(target: Target, model: string, dialect: DialectName): ChatRequest | Failure {
    const said = this.hooked?.changes.chat ?? this.chat
    if (said instanceof Failure) return said
    const isForeign = dialect !== this.#inbound.dialect
    this.#isKept = isForeign && isToBeKept(said, this.#inbound)
    const chat = isForeign ? continued(said, this.#inbound, this.#stored) : said
    if (chat instanceof Failure) return chat
    const maxTokens = this.hooked?.changes.maxTokens ?? chat.maxTokens
    const limit = target.maxTokens === undefined ? maxTokens : Math.min(maxTokens ?? target.maxTokens, target.maxTokens)
    const asked = { ...chat, model, ...(limit !== undefined && { maxTokens: limit }) }
    return target.quirks.includes('stable-prompt') ? stabilisePrompt(asked) : asked
  }

  /** The way back of what was asked; without a target, of an answer that comes from none. */
  wayBack(chat: ChatRequest, upstream: Translator, target: Target | undefined): Translation {
    // What an earlier attempt began and never sent is forgotten.
    const isNew = !this.#hasSpoken || this.#voice === undefined
    if (isNew) this.#dropped = new Dropped(this.#inbound.dialect, 'answer')
    const context = this.#contextOf(chat)
    const voice = isNew || this.#voice === undefined ? this.#client.encodeStream(context) : this.#voice
    this.#voice = voice
    // Where none may be called, what looks like a call is text.
    const tools = chat.toolChoice?.mode === 'none' ? [] : chat.tools
    this.#mender = target && menderFor(target.quirks, { tools, id: this.#inbound.id })
    return new Translation({
      client: this.#client,
      upstream,
      chat,
      context,
      stages: [...(this.#mender === undefined ? [] : [this.#mender]), ...(this.hooked?.stages() ?? [])],
      encoder: voice,
      streamType: this.#streamType,
      review: this.hooked?.review,
      keep: this.#isKept ? keeperFor(chat, this.#inbound, this.#stored) : undefined
    })
  }

  #read(): ChatRequest | Failure {
    const body = parseExact(Buffer.concat(this.#inbound.body.chunks).toString('utf8'))
    if (body === undefined) return new Failure('invalid-request', 'The body is not JSON.')
    const chat = this.#client.decodeRequest(body)
    if (chat instanceof Failure) return chat
    // Gemini says in the path whether it is a stream.
    return { ...chat, stream: this.#inbound.stream }
  }

  #contextOf(chat: ChatRequest): EncodeContext {
    const { model } = this.#inbound
    const streamUsage = chat.streamUsage === true
    return { ...this.#context, model: model ?? chat.model, streamUsage, tools: chat.tools, dropped: this.#dropped }
  }
}
