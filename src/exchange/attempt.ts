import { Failure } from '../chat/failure.ts'
import type { Usage } from '../chat/usage.ts'
import type { Dialect } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'
import type { WireHeaders } from '../lib/wire.ts'
import type { Surface } from '../providers/surface.ts'
import { Excerpt, FrameGate } from '../relay/pass.ts'
import type { Translated, WayBack } from '../relay/way-back.ts'
import type { Target } from '../routing/target.ts'
import type { CallReceiver } from '../upstream/call.ts'
import { retryAfterOf } from '../upstream/retry-after.ts'
import { outputIn } from './guess.ts'
import { hasContent, kindOfBytes, kindOfType, looksWhole, packingOf, saysError, unpack } from './sniff.ts'

/** An upstream's error answer in the client's own dialect: its bytes say more than we could. */
export interface ErrorAnswer {
  readonly status: number
  readonly headers: WireHeaders
  readonly body: Buffer
}

/** Told how a try goes. After `failed` or `finished` nothing follows. */
export interface AttemptOwner {
  /** `usage`: of a whole answer. */
  begin(status: number, headers: WireHeaders, length: number | undefined, usage?: Usage): void
  /** False: the attempt waits until it is resumed. */
  write(chunk: Buffer): void
  finish(usage: Usage | undefined, last: Buffer | undefined): void
  failed(failure: Failure, answer?: ErrorAnswer): void
}

/**
 * What is being received. `whole`: a JSON answer, kept until it is complete, so that a broken one is a proper failure.
 * `frames`: a stream of events, passed on as they come. `gather`: a stream for a client that asked for none.
 * `raw`: anything else.
 */
type Mode = 'waiting' | 'unsure' | 'error' | 'whole' | 'frames' | 'gather' | 'raw'

/** An answer longer than this is not kept whole. */
const MAX_WHOLE = 8 * 1024 * 1024
const MAX_ERROR = 64 * 1024

export interface AttemptSettings {
  readonly target: Target
  readonly surface: Surface
  /** The client asked for a stream. */
  readonly stream: boolean
  /** A stream of this operation says when it is complete. */
  readonly checksEnd: boolean
  /** The way back, when client and upstream speak different dialects; else the bytes pass. */
  readonly translation: WayBack | undefined
}

/** One try at one target. */
export class Attempt implements CallReceiver {
  readonly target: Target
  readonly startedAt = performance.now()
  readonly #dialect: Dialect
  readonly #stream: boolean
  readonly #checksEnd: boolean
  #translation: WayBack | undefined
  readonly #owner: AttemptOwner
  readonly #excerpt = new Excerpt()
  readonly #gate = new FrameGate()
  #mode: Mode = 'waiting'
  #status = 0
  #headers: WireHeaders = {}
  #kept: Buffer[] = []
  #begun = false

  constructor(settings: AttemptSettings, owner: AttemptOwner) {
    this.target = settings.target
    this.#dialect = DIALECTS[settings.surface.dialect]
    this.#stream = settings.stream
    this.#checksEnd = settings.checksEnd
    this.#translation = settings.translation
    this.#owner = owner
  }

  /** True while a sign of life can be put into what the client is sent. */
  get listens(): boolean {
    return this.#translation !== undefined || this.#excerpt.bytes === 0
  }

  /** What the client was sent last, where bytes pass. */
  get tail(): string {
    return this.#excerpt.tail()
  }

  /** What it has used so far: as the upstream said, and where it did not, by what has come. `input`: a guess. */
  usageSoFar(input: number): Usage {
    const { bytes } = this.#excerpt
    const said = this.#translation?.usage ?? (bytes === 0 ? undefined : this.#excerpt.usage(this.#dialect))
    const output = bytes === 0 || this.#mode === 'error' ? 0 : outputIn(this.#dialect.name, bytes, this.tail)
    return {
      input: said === undefined || said.input === 0 ? input : said.input,
      output: Math.max(said?.output ?? 0, output),
      cacheRead: said?.cacheRead ?? 0,
      cacheWrite: said?.cacheWrite ?? 0,
      reasoning: said?.reasoning ?? 0
    }
  }

  /** The client's stream has been begun by us, so the answer has to go on with it. */
  speakThrough(wayBack: () => WayBack | undefined): void {
    this.#translation ??= wayBack()
    // The answer's head may have come, and none of its body.
    if (this.#mode === 'raw') this.#mode = 'whole'
  }

  onHead(status: number, headers: WireHeaders): void {
    this.#status = status
    this.#headers = headers
    if (status < 200 || status > 299) {
      this.#mode = 'error'
      return
    }
    const kind = kindOfType(headers['content-type'])
    const packing = packingOf(headers['content-encoding'])
    const listed = kind === 'json' && this.#mayList
    if ((kind === 'unsure' || listed) && packing === undefined) this.#mode = 'unsure'
    else this.#receive(kind === 'events' ? 'events' : 'json')
    if (packing !== undefined && this.#mode !== 'whole')
      this.#owner.failed(this.#wrong(`compressed its stream (${packing}), though nobody asked for that`))
  }

  /** Gemini streams a list of JSON to those who do not ask for events. */
  get #mayList(): boolean {
    return this.#stream && this.#translation === undefined && this.#dialect.name === 'gemini'
  }

  #receive(kind: 'events' | 'json' | 'list'): void {
    if (kind === 'events') this.#mode = this.#stream || this.#translation === undefined ? 'frames' : 'gather'
    else this.#mode = kind === 'list' && this.#mayList ? 'raw' : 'whole'
  }

  /** The answer does not say what it is. */
  #sniff(chunk: Buffer): void {
    const kind = kindOfBytes(chunk)
    if (kind === undefined) return
    if (kind === 'other') {
      const said = this.#dialect.decodeFailure(502, chunk.toString('utf8')).message
      return this.#owner.failed(
        new Failure('upstream-failed', `${this.target.place} answered ${this.#status}: ${said}`, {
          recommendations: ['Is api_base right? This address does not look like a model server.']
        })
      )
    }
    this.#headers = { ...this.#headers, 'content-type': kind === 'events' ? 'text/event-stream' : 'application/json' }
    this.#receive(kind)
    this.#take(chunk)
  }

  says(chunk: Buffer): boolean {
    return this.#mode !== 'frames' || hasContent(chunk)
  }

  onData(chunk: Buffer): void {
    this.#excerpt.add(chunk)
    if (this.#mode === 'unsure') this.#sniff(chunk)
    else this.#take(chunk)
  }

  #take(chunk: Buffer): void {
    switch (this.#mode) {
      case 'frames': {
        if (this.#translation !== undefined) return this.#passTranslated(this.#translation.push(chunk))
        const frames = this.#gate.push(chunk)
        if (frames !== undefined) this.#pass(frames)
        return
      }
      case 'gather':
        this.#gather(this.#translation?.push(chunk))
        return
      case 'raw':
        return this.#pass(chunk)
      case 'whole':
        this.#kept.push(chunk)
        if (this.#excerpt.bytes > MAX_WHOLE && this.#translation === undefined) this.#stopKeeping()
        return
      default:
        if (this.#excerpt.bytes <= MAX_ERROR) this.#kept.push(chunk)
    }
  }

  onEnd(): void {
    switch (this.#mode) {
      case 'error':
        return this.#failWith(this.#unpacked(Buffer.concat(this.#kept)) ?? Buffer.alloc(0), this.#status)
      case 'whole':
        return this.#endWhole(this.#kept.length === 1 ? (this.#kept[0] as Buffer) : Buffer.concat(this.#kept))
      case 'gather':
        return this.#endGathered()
      case 'frames':
        return this.#endFrames()
      case 'unsure':
        return this.#owner.failed(this.#wrong('answered with nothing'))
      default:
        if (!this.#begun) this.#owner.begin(this.#status, this.#headers, this.#excerpt.bytes)
        return this.#owner.finish(this.#excerpt.usage(this.#dialect), undefined)
    }
  }

  onFailure(failure: Failure): void {
    this.#owner.failed(failure)
  }

  #endWhole(bytes: Buffer): void {
    const translation = this.#translation
    const unpacked = this.#unpacked(bytes)
    if (unpacked === undefined) return this.#owner.failed(this.#wrong('compressed its answer in a way not known here'))
    bytes = unpacked
    if (bytes.length === 0) return this.#owner.failed(this.#wrong('answered with nothing'))
    if (saysError(bytes)) return this.#failWith(bytes, 502)
    if (translation === undefined) {
      if (looksWhole(bytes)) return this.#answer(bytes)
      return this.#owner.failed(this.#wrong('gave an answer that is no JSON, or not all of it'))
    }
    if (!this.#stream) return this.#await(translation.answer(bytes))
    const said = translation.answerStream(bytes)
    this.#passTranslated(said)
    if (said.failure === undefined) this.#owner.finish(translation.usage, undefined)
  }

  #unpacked(bytes: Buffer): Buffer | undefined {
    const packing = packingOf(this.#headers['content-encoding'])
    if (packing === undefined) return bytes
    this.#headers = { ...this.#headers, 'content-encoding': undefined }
    return unpack(bytes, packing)
  }

  /** Hooks may take their time over an answer. */
  #await(bytes: Buffer | Failure | Promise<Buffer | Failure>): void {
    if (bytes instanceof Promise) void bytes.then(late => this.#answer(late))
    else this.#answer(bytes)
  }

  #answer(bytes: Buffer | Failure): void {
    if (bytes instanceof Failure)
      return this.#owner.failed(this.#wrong(`gave an answer that cannot be understood: ${bytes.message}`, bytes))
    const headers = this.#mode === 'gather' ? { ...this.#headers, 'content-type': 'application/json' } : this.#headers
    const usage = this.#translation?.usage ?? this.#excerpt.usage(this.#dialect)
    this.#owner.begin(this.#status, headers, bytes.length, usage)
    this.#owner.finish(usage, bytes)
  }

  #gather(said: Translated | undefined): boolean {
    const failure = said?.failure
    if (failure !== undefined) this.#owner.failed(this.#wrong(`failed: ${failure.message}`, failure))
    return failure === undefined
  }

  #endGathered(): void {
    const translation = this.#translation
    if (translation !== undefined && this.#gather(translation.end())) this.#await(translation.gathered())
  }

  #wrong(what: string, failure?: Failure): Failure {
    const refusal = this.#translation?.refusal
    if (refusal !== undefined && refusal === failure) return refusal
    return new Failure(failure?.kind ?? 'upstream-failed', `${this.target.place} ${what}`, failure?.details ?? {})
  }

  #passTranslated({ text, failure }: Translated): void {
    // A stream that fails with its first event has sent nothing yet, so it can still be a proper status.
    if (text !== '' && !(failure !== undefined && !this.#begun)) {
      if (!this.#begun)
        this.#owner.begin(
          this.#status,
          { ...this.#headers, 'content-type': this.#translation?.streamType ?? '' },
          undefined
        )
      this.#begun = true
      this.#owner.write(Buffer.from(text))
    }
    if (failure !== undefined) this.#owner.failed(this.#wrong(`failed: ${failure.message}`, failure))
  }

  #pass(chunk: Buffer): void {
    if (!this.#begun) {
      // Nothing has been sent yet, so an error that comes as the first event can still be a proper status.
      const failure = this.#mode === 'frames' ? firstFrameFailure(this.#dialect, chunk) : undefined
      if (failure !== undefined) return this.#owner.failed(failure)
      this.#begun = true
      this.#owner.begin(this.#status, this.#headers, undefined)
    }
    this.#owner.write(chunk)
  }

  #stopKeeping(): void {
    const kept = this.#kept
    this.#kept = []
    this.#mode = 'raw'
    for (const chunk of kept) this.#pass(chunk)
  }

  #endFrames(): void {
    const { place } = this.target
    if (this.#excerpt.bytes === 0)
      return this.#owner.failed(new Failure('upstream-failed', `${place} answered with an empty stream.`))
    if (this.#translation !== undefined) {
      const last = this.#translation.end()
      this.#passTranslated(last)
      if (last.failure === undefined) this.#owner.finish(this.#translation.usage, undefined)
      return
    }
    if (this.#checksEnd && !this.#dialect.streamEnded(this.#excerpt.tail())) {
      return this.#owner.failed(
        new Failure('upstream-failed', `${place} ended its stream before the answer was complete.`, {
          code: 'stream_truncated'
        })
      )
    }
    const rest = this.#gate.rest()
    if (rest !== undefined) this.#pass(rest)
    this.#owner.finish(this.#excerpt.usage(this.#dialect), undefined)
  }

  #failWith(body: Buffer, status: number): void {
    const { place } = this.target
    if (status >= 300 && status < 400) {
      return this.#owner.failed(
        new Failure('upstream-failed', `${place} answered with a redirect (${status}), which is never followed.`, {
          recommendations: ['Put the address it redirects to into api_base.']
        })
      )
    }
    const read = this.#dialect.decodeFailure(status, body.toString('utf8'))
    const first = body.find(byte => byte > 0x20)
    const isJson = first === 0x7b || first === 0x5b
    const later = status === 429 || status >= 500
    const retryAfter = later ? retryAfterOf(this.#headers, Date.now()) : undefined
    const failure = new Failure(read.kind, `${place} answered ${status}: ${read.message}`, {
      ...read.details,
      ...(retryAfter !== undefined && { retryAfter }),
      ...(status === 404 &&
        !isJson && { recommendations: ['Is api_base right? This address does not look like a model server.'] })
    })
    const speaksForItself = this.#translation === undefined && isJson && PASSED_AS_IS.has(read.kind)
    this.#owner.failed(failure, speaksForItself ? { status, headers: this.#headers, body } : undefined)
  }
}

/** The client's own mistakes, and limits it can act on; the rest is told in our words, with what to do about it. */
const PASSED_AS_IS: ReadonlySet<string> = new Set(['upstream-rejected', 'upstream-rate-limited', 'upstream-overloaded'])

function firstFrameFailure(dialect: Dialect, frames: Buffer): Failure | undefined {
  const start = frames.toString('utf8', 0, 2048)
  if (!start.startsWith('event: error') && !/^data: ?\{"error":/.test(start)) return undefined
  const data = /^data: ?(.*)$/m.exec(start)?.[1] ?? ''
  const status = start.includes('overloaded') ? 529 : start.includes('rate_limit') ? 429 : 500
  return dialect.decodeFailure(status, data)
}
