// The blocks of an answer as the message of a completion, with what stands beside it: citations, and its tokens.
import type { Block, TextBlock, ToolCallBlock } from '../../chat/block.ts'
import type { TokenProbability } from '../../chat/probability.ts'
import type { Extra, Fields } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { encodeNestedAnnotation } from '../openai-citations.ts'
import { decodeLogprobs, encodeLogprobs } from '../openai-logprobs.ts'
import { fields } from '../read.ts'
import { NAME, plainText } from './content.ts'

/** What of a message is read; the audio and whatever else there is is Chat's own. */
export const ANSWERED: ReadonlySet<string> = new Set([
  'role',
  'content',
  'refusal',
  'tool_calls',
  'function_call',
  'annotations',
  'reasoning_content',
  'reasoning',
  'reasoning_details'
])

interface WithLogprobs {
  readonly blocks: readonly Block[]
  /** Logprobs of something else than a text: they stay as they are. */
  readonly rest: unknown
}

/** Puts the tokens to the text that they make. */
export function withLogprobs(blocks: readonly Block[], value: unknown): WithLogprobs {
  if (!value) return { blocks, rest: undefined }
  const said = fields(value)
  const { logprobs: words } = decodeLogprobs(said['content'])
  const { logprobs: refusing } = decodeLogprobs(said['refusal'])
  const text = blocks.find(block => block.type === 'text' && block.refusal !== true)
  const refusal = blocks.find(block => block.type === 'text' && block.refusal === true)
  const isLost = (words !== undefined && text === undefined) || (refusing !== undefined && refusal === undefined)
  if (isLost || (words ?? refusing) === undefined) return { blocks, rest: value }
  const told = blocks.map(block => {
    const logprobs = block === text ? words : block === refusal ? refusing : undefined
    return logprobs === undefined ? block : { ...block, logprobs }
  })
  return { blocks: told, rest: undefined }
}

/** The message, and `logprobs` where they are known of one of its texts. */
export function encodeSaid(blocks: readonly Block[], dropped: Dropped): Record<string, unknown> {
  const texts = blocks.filter(block => block.type === 'text')
  const words = texts.filter(block => block.refusal !== true)
  const { text, annotations } = joined(words, dropped)
  const refusal = plainText(texts.filter(block => block.refusal === true))
  const thinking = blocks.flatMap(block => (block.type === 'thinking' ? [block.text] : [])).join('\n\n')
  const calls = blocks.filter(block => block.type === 'tool-call').map(encodeCall)
  for (const block of blocks) declare(block, dropped)
  return {
    role: 'assistant',
    content: text === '' && (calls.length > 0 || refusal !== '') ? null : text,
    refusal: refusal === '' ? null : refusal,
    ...(annotations.length > 0 && { annotations }),
    ...(thinking !== '' && { reasoning_content: thinking }),
    ...(calls.length > 0 && { tool_calls: calls }),
    ...logprobsOf(texts)
  }
}

/** Declares what of a block cannot be said. */
export function declare(block: Block, dropped: Dropped): void {
  if (block.type === 'text' || block.type === 'thinking' || block.type === 'tool-call')
    declareExtra(block, block.extra, dropped)
  else dropped.block(block)
}

const PLACES: Partial<Record<Block['type'], string>> = { thinking: 'thinking.', 'tool-call': 'tool_calls.' }

export function declareExtra({ type }: Block, extra: Extra | undefined, dropped: Dropped): void {
  if (extra !== undefined) dropped.extra(extra, PLACES[type])
}

/**
 * A paragraph for each text. But who cites cuts its sentences where the sources change: beside a text with citations
 * nothing is put between them.
 */
function joined(texts: readonly TextBlock[], dropped: Dropped) {
  const annotations: object[] = []
  let text = ''
  let before: TextBlock | undefined
  for (const block of texts) {
    if (block.text === '' && block.citations === undefined) continue
    const isApart = text !== '' && before?.citations === undefined && block.citations === undefined
    if (isApart) text += '\n\n'
    for (const citation of dropped.citations(block.citations))
      annotations.push(encodeNestedAnnotation(NAME, citation, text.length, block.text.length))
    text += block.text
    before = block
  }
  return { text, annotations }
}

function logprobsOf(texts: readonly TextBlock[]): { logprobs?: Fields } {
  if (texts.every(({ logprobs }) => logprobs === undefined)) return {}
  const of = (isRefusal: boolean) =>
    texts.filter(({ refusal }) => (refusal === true) === isRefusal).flatMap(({ logprobs = [] }) => logprobs)
  return { logprobs: { content: encoded(of(false)), refusal: encoded(of(true)) } }
}

function encoded(logprobs: readonly TokenProbability[]): Fields[] | null {
  return logprobs.length === 0 ? null : encodeLogprobs(logprobs, null)
}

/** Logprobs of a piece of a text, as a chunk has them. */
export function encodeTokens(logprobs: readonly TokenProbability[], isRefusal: boolean): string {
  const tokens = encodeLogprobs(logprobs, null)
  return JSON.stringify(isRefusal ? { content: null, refusal: tokens } : { content: tokens, refusal: null })
}

function encodeCall({ id, name, input, freeform }: ToolCallBlock): object {
  if (freeform === true) return { id, type: 'custom', custom: { name, input } }
  return { id, type: 'function', function: { name, arguments: input || '{}' } }
}
