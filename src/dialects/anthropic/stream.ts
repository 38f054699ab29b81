import type { FinishReason } from '../../chat/answer.ts'
import type { Block } from '../../chat/block.ts'
import type { Citation } from '../../chat/citation.ts'
import type { ChatEvent } from '../../chat/events.ts'
import { Failure } from '../../chat/failure.ts'
import type { Fields } from '../../chat/request.ts'
import type { Usage } from '../../chat/usage.ts'
import { parseJson } from '../../lib/json-repair.ts'
import type { SseFrame } from '../../lib/sse.ts'
import type { DecodeContext, StreamDecoder } from '../dialect.ts'
import { defined, fields, string, unread } from '../read.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { decodeFinish, decodeUsage, offered } from './answer.ts'
import { decodeBlock, NAME, OWN_SIGNATURE } from './blocks.ts'
import { decodeCitations } from './citations.ts'

interface Open {
  /** The upstream's number of the block. */
  readonly at: unknown
  readonly index: number
  /** What is said at the end when no delta has said anything: what the block began with. */
  unsaid: string
}

const READ_DELTA = new Set(['stop_reason', 'stop_sequence'])
const READ_MESSAGE_DELTA = new Set(['type', 'delta', 'usage'])

export function decodeStream(context: DecodeContext = {}): StreamDecoder {
  return new AnthropicDecoder(context)
}

class AnthropicDecoder implements StreamDecoder {
  readonly #context: DecodeContext
  #out: ChatEvent[] = []
  #started = false
  #over = false
  #open: Open | undefined
  #blocks = 0
  #usage: Usage | undefined
  #finish: (ChatEvent & { type: 'finish' }) | undefined

  constructor(context: DecodeContext) {
    this.#context = context
  }

  push(frame: SseFrame): ChatEvent[] {
    if (!this.#over) this.#read(frame)
    return this.#taken()
  }

  end(): ChatEvent[] {
    if (!this.#over && this.#finish !== undefined) this.#end(this.#finish)
    if (!this.#over) {
      const message = 'The upstream ended its stream before the answer was complete.'
      this.#end({ type: 'failure', failure: new Failure('upstream-failed', message, { code: 'stream_truncated' }) })
    }
    return this.#taken()
  }

  #taken(): ChatEvent[] {
    const events = this.#out
    this.#out = []
    return events
  }

  #read(frame: SseFrame): void {
    const event = parseJson(frame.data)
    if (event === undefined) {
      const failure = new Failure('upstream-failed', 'The upstream sent an event that is not JSON.')
      return this.#end({ type: 'failure', failure })
    }
    const value = fields(event)
    switch (value['type']) {
      case 'content_block_delta':
        return this.#delta(value['index'], fields(value['delta']))
      case 'content_block_start':
        return this.#startBlock(value['index'], fields(value['content_block']))
      case 'content_block_stop':
        return this.#open?.at === value['index'] ? this.#closeBlock() : undefined
      case 'message_start':
        return this.#start(fields(value['message']))
      case 'message_delta':
        return this.#messageDelta(value)
      case 'message_stop':
        return this.#end(this.#finish ?? { type: 'finish', reason: 'stop' })
      case 'ping':
        return void this.#out.push({ type: 'ping' })
      case 'error':
        return this.#end({ type: 'failure', failure: decodeUpstreamFailure(0, frame.data) })
      default:
        // Anthropic adds events, and says that unknown ones are to be ignored.
        if (value['error'] !== undefined || frame.event === 'error')
          this.#end({ type: 'failure', failure: decodeUpstreamFailure(0, frame.data) })
    }
  }

  #start(message: Fields): void {
    if (this.#started) return
    this.#started = true
    const usage = decodeUsage(fields(message['usage']))
    // Zeros are a server that does not know yet.
    if (usage.input > 0) this.#usage = usage
    this.#out.push({
      type: 'start',
      id: string(message['id']) ?? '',
      model: string(message['model']) ?? '',
      ...defined({ usage: this.#usage })
    })
  }

  #startBlock(at: unknown, value: Fields): void {
    this.#start({})
    this.#closeBlock()
    const { block, text, extra, citations } = split(offered(decodeBlock(withoutOwn(value)), this.#context))
    const index = this.#blocks++
    this.#open = { at, index, unsaid: '' }
    this.#out.push({ type: 'block-start', index, block })
    if (block.type === 'tool-call') this.#open.unsaid = text
    else if (text !== '') this.#out.push({ type: 'block-delta', index, text })
    if (extra !== undefined || citations !== undefined) {
      const own = extra === undefined ? {} : { [NAME]: extra }
      this.#out.push({ type: 'block-extra', index, extra: own, ...defined({ citations }) })
    }
  }

  #delta(at: unknown, delta: Fields): void {
    const open = this.#open
    if (open === undefined || open.at !== at) return
    const { index } = open
    const text = string(delta['text'] ?? delta['partial_json'] ?? delta['thinking'])
    if (text !== undefined && text !== '') {
      open.unsaid = ''
      this.#out.push({ type: 'block-delta', index, text })
    }
    const { signature, citation } = delta
    if (typeof signature === 'string' && signature !== '' && signature !== OWN_SIGNATURE)
      this.#out.push({ type: 'block-extra', index, extra: { [NAME]: { signature } } })
    if (citation !== undefined)
      this.#out.push({ type: 'block-extra', index, extra: {}, ...decodeCitations([citation]) })
  }

  #closeBlock(): void {
    if (this.#open === undefined) return
    const { index, unsaid } = this.#open
    if (unsaid !== '') this.#out.push({ type: 'block-delta', index, text: unsaid })
    this.#out.push({ type: 'block-end', index })
    this.#open = undefined
  }

  #messageDelta(value: Fields): void {
    const delta = fields(value['delta'])
    if (value['usage'] !== undefined) {
      this.#usage = decodeUsage(fields(value['usage']), this.#usage)
    }
    const reason = string(delta['stop_reason'])
    if (reason === undefined) return
    const own = {
      ...unread(NAME, delta, READ_DELTA).extra?.[NAME],
      ...unread(NAME, value, READ_MESSAGE_DELTA).extra?.[NAME]
    }
    this.#finish = {
      type: 'finish',
      reason: decodeFinish(reason) satisfies FinishReason,
      ...defined({ stopSequence: string(delta['stop_sequence']) }),
      ...(Object.keys(own).length > 0 && { extra: { [NAME]: own } })
    }
  }

  #end(last: ChatEvent & { type: 'finish' | 'failure' }): void {
    if (last.type === 'finish') {
      this.#start({})
      this.#closeBlock()
      if (this.#usage !== undefined) this.#out.push({ type: 'usage', usage: this.#usage })
    }
    this.#out.push(last)
    this.#over = true
  }
}

function withoutOwn(value: Fields): Fields {
  return value['type'] === 'thinking' && value['signature'] === OWN_SIGNATURE ? { ...value, signature: '' } : value
}

/** A block as it starts, and what of it has to follow as deltas. */
function split(block: Block): { block: Block; text: string; extra?: Fields; citations?: readonly Citation[] } {
  switch (block.type) {
    case 'text':
    case 'thinking': {
      const known = block.type === 'text' ? { citations: block.citations } : {}
      const more = defined({ extra: block.extra?.[NAME], ...known })
      return { block: { type: block.type, text: '' }, text: block.text, ...more }
    }
    case 'tool-call':
      return { block: { ...block, input: '' }, text: block.input }
    default:
      return { block, text: '' }
  }
}
