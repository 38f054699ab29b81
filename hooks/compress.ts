import { type Block, type ChatRequest, defineHook } from 'sluice/hook'

export default defineHook({
  name: 'compress',
  description:
    'Shortens prompts without loss: white space that says nothing, and what tools have shown before. Leaves alone whatever looks like code, tags or a table.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ min_chars: 2000 }],
    properties: {
      space: { type: 'boolean', default: true, description: 'Collapse spaces and blank lines in prose.' },
      repeats: {
        type: 'boolean',
        default: true,
        description: 'Refer to an earlier result of a tool that was the same.'
      },
      min_chars: { type: 'integer', minimum: 100, default: 1000, description: 'Shorter results are left as they are.' }
    }
  },
  setup: ({ space, repeats, min_chars: least }, services) => ({
    preCall: call => {
      if (call.operation !== 'chat') return undefined
      const { chat } = call
      const seen = new Map<string, string>()
      const turns = chat.turns.map(turn => {
        const blocks = turn.blocks.map(block => {
          if (turn.role === 'assistant') return block
          if (block.type === 'text') return space ? spaced(block) : block
          return block.type === 'tool-result' && repeats ? referred(block, seen, least) : block
        })
        return blocks.every((block, at) => block === turn.blocks[at]) ? turn : { ...turn, blocks }
      })
      const saved = sizeOf(chat) - sizeOf({ ...chat, turns })
      if (saved <= 0) return undefined
      services.metrics.count('saved_chars', saved)
      return call.with({ chat: { ...chat, turns }, answerHeaders: { 'x-gateway-compressed': String(saved) } })
    }
  })
})

function spaced(block: Block): Block {
  if (block.type !== 'text' || !isProse(block.text)) return block
  const text = block.text
    .replace(/[ \t]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/(?<=\S) {2,}(?=\S)/g, ' ')
  return text === block.text ? block : { ...block, text }
}

/** On any doubt it is none: fences, tags, indented lines, tables, braces. */
function isProse(text: string): boolean {
  return !/```|~~~|<[a-z!/?]|[{}|\t;]|^ {2,}\S|^\s*(?:\d+[.)→:]|[-*+>#])\s/im.test(text)
}

function referred(block: Block & { type: 'tool-result' }, seen: Map<string, string>, least: number): Block {
  const [only] = block.blocks
  if (block.blocks.length !== 1 || only?.type !== 'text' || only.text.length < least) return block
  const first = seen.get(only.text)
  if (first === undefined) {
    seen.set(only.text, block.callId)
    return block
  }
  // The earlier one stays as it is: the beginning of a prompt is what upstreams cache.
  const text = `[the same, to the character, as the result of the tool call ${first} above]`
  return { ...block, blocks: [{ ...only, text }] }
}

function sizeOf(chat: ChatRequest): number {
  const sizeOfBlock = (block: Block): number => {
    if (block.type === 'text') return block.text.length
    return block.type === 'tool-result' ? block.blocks.reduce((sum, inner) => sum + sizeOfBlock(inner), 0) : 0
  }
  return chat.turns.reduce((sum, turn) => sum + turn.blocks.reduce((inner, block) => inner + sizeOfBlock(block), 0), 0)
}
