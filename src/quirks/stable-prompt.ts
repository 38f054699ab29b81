// A server of local models keeps what it has read and reads on from the first token that differs. So what changes from
// one request to the next without meaning anything to the model has to leave the beginning of the prompt.
import type { Block, TextBlock } from '../chat/block.ts'
import type { ChatRequest, Turn } from '../chat/request.ts'

/** Claude Code's first block: the build that asks, for whoever sends the bill. */
const BILLING = /^x-anthropic-billing-header:[^\n]*(?:\n|$)/
/** The id has to be one of a machine: a person's sentence about sessions stays. */
const SESSION =
  /^[ \t]*(?:[-*] )?session[ _-]?id: *["'`]?[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}["'`]?[ \t]*\r?(?:\n|$)/gim
const DATE = /^[ \t]*(?:[-*] )?(?:today's date|today’s date|current date)(?: is|:)[^\n]{1,80}(?:\n|$)/gim

/**
 * Takes out the billing header and lines with a session's id, and puts today's date where Claude Code has it: before the
 * first thing that the user says. The same request comes to the same text, and one that has none of it stays itself.
 */
export function stabilisePrompt(chat: ChatRequest): ChatRequest {
  const dates: string[] = []
  const at = chat.turns.findIndex(turn => turn.role === 'user')
  const system = chat.system
    .map(block => stabilised(block, at >= 0 ? dates : undefined))
    .filter(block => block !== undefined)
  const isSame = system.length === chat.system.length && system.every((block, index) => block === chat.system[index])
  if (isSame) return chat
  return { ...chat, system, turns: dates.length === 0 ? chat.turns : withReminder(chat.turns, at, dates) }
}

/** Undefined when nothing is left of the block. `dates` gets what is moved. */
function stabilised(block: TextBlock, dates: string[] | undefined): TextBlock | undefined {
  let text = block.text.replace(BILLING, '').replace(SESSION, '')
  if (dates !== undefined) {
    text = text.replace(DATE, line => {
      dates.push(line.trim().replace(/^[-*] /, ''))
      return ''
    })
  }
  if (text === block.text) return block
  return text.trim() === '' ? undefined : { ...block, text }
}

function withReminder(turns: readonly Turn[], at: number, dates: readonly string[]): readonly Turn[] {
  const reminder: Block = { type: 'text', text: `<system-reminder>\n${dates.join('\n')}\n</system-reminder>` }
  return turns.map((turn, index) => {
    if (index !== at) return turn
    // Results of tools have to stay first.
    const results = turn.blocks.filter(block => block.type === 'tool-result')
    const others = turn.blocks.filter(block => block.type !== 'tool-result')
    return { ...turn, blocks: [...results, reminder, ...others] }
  })
}
