import type { ChatAnswer } from './answer.ts'
import type { Block } from './block.ts'
import type { Citation } from './citation.ts'
import type { ChatEvent } from './events.ts'
import { Failure } from './failure.ts'
import type { TokenProbability } from './probability.ts'
import type { Extra, Fields } from './request.ts'
import type { Usage } from './usage.ts'

interface Growing {
  readonly block: Block
  readonly texts: string[]
  readonly citations: Citation[]
  readonly logprobs: TokenProbability[]
  extra: Extra | undefined
}

/** The answer that a stream's events come to. */
export class Collector {
  readonly #blocks: Growing[] = []
  #id = ''
  #model = ''
  #usage: Usage | undefined
  #end: (ChatEvent & { type: 'finish' | 'failure' }) | undefined

  push(event: ChatEvent): void {
    switch (event.type) {
      case 'start':
        this.#id = event.id
        this.#model = event.model
        this.#usage = event.usage ?? this.#usage
        return
      case 'block-start':
        this.#blocks[event.index] = { block: event.block, texts: [], citations: [], logprobs: [], extra: undefined }
        return
      case 'block-delta': {
        const growing = this.#blocks[event.index]
        growing?.texts.push(event.text)
        for (const token of event.logprobs ?? []) growing?.logprobs.push(token)
        return
      }
      case 'block-extra': {
        const growing = this.#blocks[event.index]
        if (growing === undefined) return
        for (const citation of event.citations ?? []) growing.citations.push(citation)
        if (Object.keys(event.extra).length > 0) growing.extra = merged(growing.extra, event.extra)
        return
      }
      case 'usage':
        this.#usage = event.usage
        return
      case 'finish':
      case 'failure':
        this.#end = event
        return
      default:
    }
  }

  answer(): ChatAnswer | Failure {
    const end = this.#end
    if (end === undefined) return new Failure('upstream-failed', 'The answer ended before it was complete.')
    if (end.type === 'failure') return end.failure
    const blocks = this.#blocks.filter(growing => growing !== undefined).map(whole)
    return {
      id: this.#id,
      model: this.#model,
      blocks,
      finish: end.reason,
      ...(end.stopSequence !== undefined && { stopSequence: end.stopSequence }),
      ...(this.#usage !== undefined && { usage: this.#usage }),
      ...(end.extra !== undefined && { extra: end.extra })
    }
  }
}

function whole({ block, texts, citations, logprobs, extra }: Growing): Block {
  const text = texts.join('')
  const more = extra === undefined ? {} : { extra: 'extra' in block ? merged(block.extra, extra) : extra }
  if (block.type === 'text') {
    return {
      ...block,
      ...(citations.length > 0 && { citations: [...(block.citations ?? []), ...citations] }),
      ...(logprobs.length > 0 && { logprobs: [...(block.logprobs ?? []), ...logprobs] }),
      ...more,
      text: block.text + text
    }
  }
  if (block.type === 'thinking') return { ...block, ...more, text: block.text + text }
  if (block.type === 'tool-call') return { ...block, ...more, input: block.input + text }
  return block
}

/** What a dialect says in several steps: a list grows, a text too, anything else is replaced. */
function merged(before: Extra | undefined, more: Extra): Extra {
  if (before === undefined) return more
  const all: Record<string, Fields> = { ...before }
  for (const [dialect, fields] of Object.entries(more)) {
    const known: Record<string, unknown> = { ...all[dialect] }
    for (const [name, value] of Object.entries(fields)) {
      const had = known[name]
      known[name] = Array.isArray(had) && Array.isArray(value) ? [...had, ...value] : value
    }
    all[dialect] = known
  }
  return all
}
