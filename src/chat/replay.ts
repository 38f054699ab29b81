import type { ChatAnswer } from './answer.ts'
import type { Block } from './block.ts'
import type { Citation } from './citation.ts'
import type { ChatEvent } from './events.ts'
import type { TokenProbability } from './probability.ts'

/** An answer that came whole, as the stream that a client asked for. */
export function eventsOf(answer: ChatAnswer): ChatEvent[] {
  const { id, model, blocks, finish, stopSequence, usage, extra } = answer
  const events: ChatEvent[] = [{ type: 'start', id, model, ...(usage !== undefined && { usage }) }]
  for (const [index, block] of blocks.entries()) {
    events.push(...eventsOfBlock(block, index), { type: 'block-end', index })
  }
  if (usage !== undefined) events.push({ type: 'usage', usage })
  const more = { ...(stopSequence !== undefined && { stopSequence }), ...(extra !== undefined && { extra }) }
  events.push({ type: 'finish', reason: finish, ...more })
  return events
}

function eventsOfBlock(block: Block, index: number): ChatEvent[] {
  switch (block.type) {
    case 'text': {
      const { extra, citations, logprobs, text, ...head } = block
      const more = extra ?? (citations === undefined ? undefined : {})
      return [
        { type: 'block-start', index, block: { ...head, text: '' } },
        ...delta(index, text, logprobs),
        ...(more === undefined ? [] : [{ type: 'block-extra' as const, index, extra: more, ...defined(citations) }])
      ]
    }
    case 'thinking': {
      const { extra, text, ...head } = block
      return [
        { type: 'block-start', index, block: { ...head, text: '' } },
        ...delta(index, text),
        ...(extra === undefined ? [] : [{ type: 'block-extra' as const, index, extra }])
      ]
    }
    case 'tool-call':
      return [{ type: 'block-start', index, block: { ...block, input: '' } }, ...delta(index, block.input)]
    default:
      return [{ type: 'block-start', index, block }]
  }
}

function delta(index: number, text: string, logprobs?: readonly TokenProbability[]): ChatEvent[] {
  if (text === '' && logprobs === undefined) return []
  return [{ type: 'block-delta', index, text, ...(logprobs !== undefined && { logprobs }) }]
}

function defined(citations: readonly Citation[] | undefined): { citations?: readonly Citation[] } {
  return citations === undefined ? {} : { citations }
}
