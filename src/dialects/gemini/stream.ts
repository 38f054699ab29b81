import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import { parseJson } from '../../lib/json-repair.ts'
import type { SseFrame } from '../../lib/sse.ts'
import type { DecodeContext, StreamDecoder } from '../dialect.ts'
import { parseExact } from '../exact.ts'
import { defined, fields, list, someFields, string, unread } from '../read.ts'
import { decodeFinish, decodeUsage, failureIn, isBare, isBlocked, NumberedIds, offered, ownOf } from './answer.ts'
import { decodeGrounding } from './grounding.ts'
import { decodeLogprobs } from './logprobs.ts'
import { PartialCall } from './partial-call.ts'
import { decodePart } from './parts.ts'
import { camel, jsonOf, NAME } from './shape.ts'

const TEXT = new Set(['text', 'thought'])

export function decodeStream(context: DecodeContext = {}): StreamDecoder {
  return new GeminiDecoder(context)
}

/** Each frame is an answer of its own, with the parts that are new. Where a text begins and ends has to be inferred. */
class GeminiDecoder implements StreamDecoder {
  readonly #context: DecodeContext
  #ids: NumberedIds
  #out: ChatEvent[] = []
  #started = false
  #over = false
  /** The kind of the open block: only texts stay open from frame to frame. */
  #open: 'text' | 'thinking' | undefined
  #blocks = 0
  #called = false
  #partial: PartialCall | undefined
  /** As the upstream said it last: each frame repeats it. */
  #usage: Fields | undefined
  #own: Fields = {}
  /** Of the open text, for the places of its sources. */
  #said: string[] = []
  #finishReason: unknown
  /** The tokens of the frame that is read, until a text takes them. */
  #logprobs: readonly TokenProbability[] | undefined

  constructor(context: DecodeContext) {
    this.#context = context
    this.#ids = new NumberedIds(context, '')
  }

  push(frame: SseFrame): ChatEvent[] {
    if (!this.#over) this.#read(frame)
    return this.#taken()
  }

  end(): ChatEvent[] {
    if (!this.#over && this.#finishReason !== undefined) this.#finish()
    if (!this.#over) {
      const message = 'The upstream ended its stream before the answer was complete.'
      this.#fail(new Failure('upstream-failed', message, { code: 'stream_truncated' }))
    }
    return this.#taken()
  }

  #taken(): ChatEvent[] {
    const events = this.#out
    this.#out = []
    return events
  }

  #read(frame: SseFrame): void {
    // Only calls hold numbers whose digits matter.
    const event = frame.data.includes('unction') ? parseExact(frame.data) : parseJson(frame.data)
    if (event === undefined) {
      return this.#fail(new Failure('upstream-failed', 'The upstream sent an event that is not JSON.'))
    }
    // Errors may stand in a list of one.
    for (const chunk of Array.isArray(event) ? list(event) : [fields(event)]) if (!this.#over) this.#chunk(chunk)
  }

  #chunk(chunk: Fields): void {
    const candidates = list(chunk['candidates'])
    const failure = failureIn(chunk, candidates)
    if (failure !== undefined) return this.#fail(failure)
    const { usageMetadata, ...rest } = chunk
    const usage = someFields(usageMetadata)
    if (usage !== undefined) this.#usage = usage
    this.#start(chunk)
    const candidate = candidates.find(({ index }) => index === undefined || index === 0) ?? {}
    if (candidates.length > 1 || (candidates.length === 1 && candidates[0] !== candidate))
      this.#context.dropped?.add('candidates')
    const bare = isBare(rest, candidate)
    this.#logprobs = bare ? undefined : decodeLogprobs(candidate['logprobsResult'])
    this.#parts(fields(candidate['content'])['parts'])
    if (!bare) this.#more(rest, candidate)
    if (typeof candidate['finishReason'] === 'string') this.#finishReason = candidate['finishReason']
    else if (candidates.length === 0 && isBlocked(chunk)) this.#finishReason ??= 'SAFETY'
    // More may be told of tokens or sources after it.
    if (this.#finishReason !== undefined && usage !== undefined) this.#finish()
  }

  #start(chunk: Fields): void {
    if (this.#started) return
    this.#started = true
    const id = string(chunk['responseId']) ?? ''
    this.#ids = new NumberedIds(this.#context, id)
    const model = string(chunk['modelVersion']) ?? ''
    this.#out.push({ type: 'start', id, model, ...(this.#usage !== undefined && { usage: decodeUsage(this.#usage) }) })
  }

  /** What a frame says beside its parts. Sources come last, and are those of all of the text. */
  #more(rest: Fields, candidate: Fields): void {
    const { logprobsResult, ...others } = candidate
    const isLeft = this.#logprobs !== undefined && this.#logprobs.length > 0
    this.#keep(ownOf(rest, { ...others, ...(isLeft && { logprobsResult }) }))
    this.#logprobs = undefined
    const citations = decodeGrounding(candidate, this.#said.join(''))
    if (citations.length === 0) return
    if (this.#open === 'text') this.#out.push({ type: 'block-extra', index: this.#blocks, extra: {}, citations })
    else this.#context.dropped?.add('citations')
  }

  #keep(own: Fields): void {
    if (someFields(own) === undefined) return
    const candidate = someFields({ ...fields(this.#own['candidate']), ...fields(own['candidate']) })
    this.#own = { ...this.#own, ...own, ...defined({ candidate }) }
  }

  #parts(parts: unknown): void {
    if (!Array.isArray(parts)) return
    for (const value of parts) {
      const part = camel(value)
      const text = part['text']
      if (typeof text === 'string' && part['functionCall'] === undefined) this.#text(part, text)
      else if (!this.#isPartial(part)) this.#whole(part)
    }
  }

  #text(part: Fields, text: string): void {
    const { extra } = unread(NAME, part, TEXT)
    if (text === '' && extra === undefined) return
    const kind = part['thought'] === true ? 'thinking' : 'text'
    if (this.#open !== kind) {
      this.#close()
      this.#out.push({ type: 'block-start', index: this.#blocks, block: { type: kind, text: '' } })
      this.#open = kind
      this.#said = []
    }
    if (text !== '') this.#delta(kind, text)
    if (extra === undefined) return
    this.#out.push({ type: 'block-extra', index: this.#blocks, extra })
    // A signature is of one part: nothing may be joined to it.
    this.#close()
  }

  #delta(kind: 'text' | 'thinking', text: string): void {
    const index = this.#blocks
    const logprobs = kind === 'text' ? this.#logprobs : undefined
    if (kind === 'text') this.#said.push(text)
    if (logprobs === undefined || logprobs.length === 0) this.#out.push({ type: 'block-delta', index, text })
    else {
      this.#out.push({ type: 'block-delta', index, text, logprobs })
      this.#logprobs = undefined
    }
  }

  #whole(part: Fields): void {
    const decoded = decodePart(part, this.#ids)
    if (decoded === undefined) return
    this.#close()
    const block = offered(decoded, this.#context)
    if (block.type === 'tool-call') return this.#call(block.id, block.name, block.input, block.extra)
    this.#out.push({ type: 'block-start', index: this.#blocks, block })
    this.#out.push({ type: 'block-end', index: this.#blocks++ })
  }

  #call(id: string, name: string, input: string, extra: Extra | undefined): void {
    const index = this.#blocks++
    this.#called = true
    this.#out.push({ type: 'block-start', index, block: { type: 'tool-call', id, name, input: '' } })
    this.#out.push({ type: 'block-delta', index, text: input })
    if (extra !== undefined) this.#out.push({ type: 'block-extra', index, extra })
    this.#out.push({ type: 'block-end', index })
  }

  /** Takes in a call that comes in pieces. */
  #isPartial(part: Fields): boolean {
    const call = camel(part['functionCall'])
    const { partialArgs, willContinue } = call
    const name = string(call['name']) ?? ''
    if (partialArgs === undefined && willContinue !== true && (this.#partial === undefined || name !== '')) return false
    if (part['functionCall'] === undefined) return false
    if (this.#partial === undefined || (name !== '' && name !== this.#partial.name)) {
      this.#endPartial()
      this.#partial = new PartialCall(name, string(call['id']) ?? '', part)
    }
    this.#partial.add(partialArgs)
    if (willContinue !== true) this.#endPartial()
    return true
  }

  #endPartial(): void {
    if (this.#partial === undefined) return
    const { name, id, args, part } = this.#partial
    this.#partial = undefined
    this.#whole({ ...part, functionCall: { name, ...(id !== '' && { id }), args: fields(parseJson(jsonOf(args))) } })
  }

  #close(): void {
    if (this.#open === undefined) return
    this.#open = undefined
    this.#out.push({ type: 'block-end', index: this.#blocks++ })
  }

  #finish(): void {
    // A call that was cut must not run.
    if (this.#finishReason !== 'MAX_TOKENS') this.#endPartial()
    this.#close()
    if (this.#usage !== undefined) {
      this.#out.push({ type: 'usage', usage: decodeUsage(this.#usage) })
      this.#keep(ownOf({ usageMetadata: this.#usage }, {}))
    }
    const own = someFields(this.#own)
    const reason = decodeFinish(this.#finishReason, this.#called)
    this.#out.push({ type: 'finish', reason, ...(own !== undefined && { extra: { [NAME]: own } }) })
    this.#over = true
  }

  #fail(failure: Failure): void {
    this.#out.push({ type: 'failure', failure })
    this.#over = true
  }
}
