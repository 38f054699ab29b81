// Tokens say what a text was. Once somebody has changed the text, they would tell what is not to be known.
import type { Block } from '../chat/block.ts'
import type { ChatEvent } from '../chat/events.ts'
import type { TokenProbability } from '../chat/probability.ts'

/** The event without the tokens of another text. */
export function withOwnTokens(event: ChatEvent): ChatEvent {
  if (event.type !== 'block-delta' || make(event.logprobs, event.text)) return event
  const { logprobs: _, ...rest } = event
  return rest
}

/** The block likewise. */
export function blockWithOwnTokens(block: Block): Block {
  if (block.type !== 'text' || make(block.logprobs, block.text)) return block
  const { logprobs: _, ...rest } = block
  return rest
}

function make(tokens: readonly TokenProbability[] | undefined, text: string): boolean {
  return tokens === undefined || tokens.map(({ token }) => token).join('') === text
}

/** What of these events came with others that they were made of, and is not all in them any more. */
export function lessIn(events: readonly ChatEvent[], before: readonly ChatEvent[]): string[] {
  const [is, was] = [countOf(events), countOf(before)]
  return [...(is.logprobs < was.logprobs ? ['logprobs'] : []), ...(is.citations < was.citations ? ['citations'] : [])]
}

function countOf(events: readonly ChatEvent[]): { readonly logprobs: number; readonly citations: number } {
  let logprobs = 0
  let citations = 0
  for (const event of events) {
    if (event.type === 'block-delta') logprobs += event.logprobs?.length ?? 0
    else if (event.type === 'block-extra') citations += event.citations?.length ?? 0
  }
  return { logprobs, citations }
}
