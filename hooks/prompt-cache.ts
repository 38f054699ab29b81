import { type Block, type ChatRequest, defineHook } from 'sluice/hook'

const MARK = { cache_control: { type: 'ephemeral' } }

export default defineHook({
  name: 'prompt-cache',
  description:
    'Marks the beginning of conversations for Anthropic’s prompt cache, where the client did not. List it on entries of Anthropic models.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ min_chars: 8000 }],
    properties: {
      min_chars: {
        type: 'integer',
        minimum: 0,
        default: 4096,
        description: 'Shorter beginnings are not marked: writing to the cache costs more than reading.'
      }
    }
  },
  setup: ({ min_chars: least }, services) => ({
    preCall: call => {
      if (call.operation !== 'chat') return undefined
      if (call.target !== undefined && !call.target.dialects.includes('anthropic')) return undefined
      const { chat } = call
      if (isMarked(chat)) return undefined
      const marked = mark(chat, least)
      if (marked === undefined) return undefined
      services.metrics.count('marked')
      return call.with({ chat: marked })
    }
  })
})

function isMarked(chat: ChatRequest): boolean {
  const blocks = chat.turns.flatMap(turn => turn.blocks)
  const extras = [...chat.system, ...chat.tools, ...blocks].map(item => ('extra' in item ? item.extra : undefined))
  return extras.some(extra => extra?.['anthropic']?.['cache_control'] !== undefined)
}

/** Three marks: behind the tools, behind the system prompt, and behind what was said last, where the next turn goes on. */
function mark(chat: ChatRequest, least: number): ChatRequest | undefined {
  const tools = JSON.stringify(chat.tools).length
  const system = chat.system.reduce((sum, block) => sum + block.text.length, 0)
  const turns = JSON.stringify(chat.turns).length
  if (tools + system + turns < least) return undefined
  const last = chat.turns.at(-1)
  const block = last?.blocks.at(-1)
  return {
    ...chat,
    tools: system === 0 && tools >= least ? markLast(chat.tools) : chat.tools,
    system: tools + system >= least ? markLast(chat.system) : chat.system,
    turns:
      last === undefined || block === undefined || !canBear(block)
        ? chat.turns
        : [...chat.turns.slice(0, -1), { ...last, blocks: markLast(last.blocks) }]
  }
}

function markLast<Item extends object>(items: readonly Item[]): readonly Item[] {
  const last = items.at(-1)
  if (last === undefined) return items
  const extra = 'extra' in last && typeof last.extra === 'object' ? last.extra : {}
  const anthropic = { ...Reflect.get(extra ?? {}, 'anthropic'), ...MARK }
  return [...items.slice(0, -1), { ...last, extra: { ...extra, anthropic } }]
}

/** Thinking bears no mark, and neither does a text of nothing. */
function canBear(block: Block): boolean {
  if (block.type === 'text') return block.text !== ''
  return (
    block.type === 'tool-result' || block.type === 'image' || block.type === 'document' || block.type === 'tool-call'
  )
}
