import type { ChatAnswer } from './answer.ts'
import type { Block } from './block.ts'
import type { ChatEvent } from './events.ts'
import type { Extra } from './request.ts'

/** An answer that came whole, as the stream that a client asked for. */
export function eventsOf(answer: ChatAnswer): ChatEvent[] {
  const { id, model, blocks, finish, stopSequence, usage, extra } = answer
  const events: ChatEvent[] = [{ type: 'start', id, model, ...(usage !== undefined && { usage }) }]
  for (const [index, block] of blocks.entries()) {
    const { head, text, extra: own } = parts(block)
    events.push({ type: 'block-start', index, block: head })
    if (text !== '') events.push({ type: 'block-delta', index, text })
    if (own !== undefined) events.push({ type: 'block-extra', index, extra: own })
    events.push({ type: 'block-end', index })
  }
  if (usage !== undefined) events.push({ type: 'usage', usage })
  const more = { ...(stopSequence !== undefined && { stopSequence }), ...(extra !== undefined && { extra }) }
  events.push({ type: 'finish', reason: finish, ...more })
  return events
}

/** What opens a block, what its deltas come to, and what is known of it at its end. */
function parts(block: Block): { readonly head: Block; readonly text: string; readonly extra: Extra | undefined } {
  switch (block.type) {
    case 'text':
    case 'thinking': {
      const { extra, ...head } = block
      return { head: { ...head, text: '' }, text: block.text, extra }
    }
    case 'tool-call':
      return { head: { ...block, input: '' }, text: block.input, extra: undefined }
    default:
      return { head: block, text: '', extra: undefined }
  }
}
