import type { ChatAnswer } from '../chat/answer.ts'
import type { Block } from '../chat/block.ts'
import type { ChatEvent } from '../chat/events.ts'
import type { Mender } from './mend.ts'

/** A whole answer, by the same machine. */
export function mendAnswer(answer: ChatAnswer, mender: Mender): ChatAnswer {
  const said = eventsOf(answer).flatMap(event => mender.push(event))
  const blocks: Block[] = []
  let finish = answer.finish
  for (const event of said) {
    const last = blocks.at(-1)
    if (event.type === 'block-start') blocks.push(event.block)
    else if (event.type === 'block-delta' && last !== undefined) blocks[blocks.length - 1] = grown(last, event.text)
    else if (event.type === 'finish') finish = event.reason
  }
  const { stopSequence, ...rest } = answer
  const stopped = stopSequence !== undefined && finish === answer.finish && { stopSequence }
  return { ...rest, blocks, finish, ...stopped }
}

function eventsOf({ id, model, blocks, finish }: ChatAnswer): ChatEvent[] {
  const events: ChatEvent[] = [{ type: 'start', id, model }]
  for (const [index, block] of blocks.entries()) {
    const text =
      block.type === 'tool-call' ? block.input : block.type === 'text' || block.type === 'thinking' ? block.text : ''
    events.push({ type: 'block-start', index, block: emptied(block) })
    if (text !== '') events.push({ type: 'block-delta', index, text })
    events.push({ type: 'block-end', index })
  }
  return [...events, { type: 'finish', reason: finish }]
}

function emptied(block: Block): Block {
  if (block.type === 'tool-call') return { ...block, input: '' }
  return block.type === 'text' || block.type === 'thinking' ? { ...block, text: '' } : block
}

function grown(block: Block, text: string): Block {
  if (block.type === 'tool-call') return { ...block, input: block.input + text }
  return block.type === 'text' || block.type === 'thinking' ? { ...block, text: block.text + text } : block
}
