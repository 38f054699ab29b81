import type { Block, ToolResultBlock } from './block.ts'
import type { Turn } from './request.ts'

interface Growing {
  readonly turn: Turn
  readonly blocks: Block[]
}

export const isResult = (block: Block): block is ToolResultBlock => block.type === 'tool-result'

/**
 * Puts what the system says in the middle into the user's turn beside it, as agents do themselves. Never to the top:
 * that would change the beginning of the prompt, which servers have cached. `keeps` are turns that stay.
 */
export function foldSystem(turns: readonly Turn[], keeps: (turn: Turn) => boolean): readonly Turn[] {
  const folds = (turn: Turn) => turn.role === 'system' && !keeps(turn)
  if (!turns.some(folds)) return turns
  const folded: Growing[] = []
  let waiting: Block[] = []
  for (const turn of turns) {
    const last = folded.at(-1)
    if (folds(turn)) {
      const target = last?.turn.role === 'user' ? last.blocks : waiting
      target.push(...turn.blocks.map(reminder))
    } else if (waiting.length > 0 && turn.role === 'user') {
      // Results of tools have to stay first.
      folded.push({ turn, blocks: [...turn.blocks.filter(isResult), ...waiting, ...turn.blocks.filter(isNoResult)] })
      waiting = []
    } else {
      if (waiting.length > 0) folded.push({ turn: { role: 'user', blocks: [] }, blocks: waiting })
      waiting = []
      folded.push({ turn, blocks: [...turn.blocks] })
    }
  }
  if (waiting.length > 0) folded.push({ turn: { role: 'user', blocks: [] }, blocks: waiting })
  return folded.map(({ turn, blocks }) => ({ ...turn, blocks }))
}

const isNoResult = (block: Block): boolean => block.type !== 'tool-result'

function reminder(block: Block): Block {
  if (block.type !== 'text' || block.text.startsWith('<system-reminder>')) return block
  return { ...block, text: `<system-reminder>\n${block.text}\n</system-reminder>` }
}

/**
 * Gives each call its result and each result its call. A client that compacts its history cuts between them, and
 * upstreams reject one without the other.
 */
export function pairTools(turns: readonly Turn[]): readonly Turn[] {
  let open = new Set<string>()
  let changed = false
  const paired: Turn[] = []
  for (const [at, turn] of turns.entries()) {
    if (turn.role === 'assistant') {
      if (open.size > 0) {
        changed = true
        paired.push({ role: 'user', blocks: [...open].map(unanswered) })
      }
      open = new Set(turn.blocks.filter(block => block.type === 'tool-call').map(block => block.id))
      paired.push(turn)
      continue
    }
    const blocks = turn.blocks.flatMap(block =>
      isResult(block) && !open.delete(block.callId) ? orphan(block) : [block]
    )
    const next = turns[at + 1]
    const isLast = next === undefined || next.role === 'assistant'
    const missing = isLast ? [...open].map(unanswered) : []
    if (isLast) open = new Set()
    if (missing.length === 0 && blocks.every((block, index) => block === turn.blocks[index])) paired.push(turn)
    else {
      changed = true
      paired.push({
        ...turn,
        role: 'user',
        blocks: [...blocks.filter(isResult), ...missing, ...blocks.filter(isNoResult)]
      })
    }
  }
  return changed ? paired : turns
}

function orphan({ blocks }: ToolResultBlock): Block[] {
  return [{ type: 'text', text: '[result of a tool call that is no longer in the conversation]' }, ...blocks]
}

function unanswered(callId: string): ToolResultBlock {
  return { type: 'tool-result', callId, blocks: [{ type: 'text', text: '[no result]' }] }
}
