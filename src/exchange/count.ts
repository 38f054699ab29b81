// How many tokens a request has. Upstreams that count are asked; for others it is estimated, and the answer says so.

import type { Block, Source } from '../chat/block.ts'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { fields } from '../dialects/read.ts'
import { estimateTokens } from '../lib/tokens.ts'

/** A message's own frame, and a tool's, in the templates that were looked at. */
const PER_TURN = 4
const PER_TOOL = 12
/** Of a picture whose size is not known; a large one for most models. */
const PER_IMAGE = 1600
const PER_PAGE_BYTES = 50_000
const PER_PAGE = 1500

/** An answer in the client's dialect that says how many tokens there are. */
export function encodeCount(dialect: DialectName, tokens: number): Record<string, number> {
  return dialect === 'gemini' ? { totalTokens: tokens } : { input_tokens: tokens }
}

/** Reads an upstream's answer. */
export function decodeCount(body: unknown): number | Failure {
  const { input_tokens: input, totalTokens: total } = fields(body)
  const tokens = input ?? total
  return typeof tokens === 'number' ? tokens : new Failure('upstream-failed', 'the answer holds no count of tokens')
}

/** The request that counts in another dialect, from the one that would be sent for an answer; undefined where there is none. */
export function countRequest(dialect: DialectName, model: string, body: Record<string, unknown>): object | undefined {
  if (dialect === 'gemini') return { generateContentRequest: { model: `models/${model}`, ...body } }
  if (dialect !== 'anthropic') return undefined
  const { messages, system, tools, tool_choice, thinking } = body
  return { model, messages, system, tools, tool_choice, thinking }
}

export function estimate(chat: ChatRequest): number {
  const turns = chat.turns.reduce((sum, turn) => sum + PER_TURN + ofBlocks(turn.blocks), 0)
  const tools = chat.tools.reduce((sum, tool) => sum + PER_TOOL + estimateTokens(JSON.stringify(tool)), 0)
  return turns + tools + ofBlocks(chat.system) + (chat.system.length > 0 ? PER_TURN : 0)
}

function ofBlocks(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => sum + ofBlock(block), 0)
}

function ofBlock(block: Block): number {
  switch (block.type) {
    case 'text':
    case 'thinking':
      return estimateTokens(block.text)
    case 'tool-call':
      return PER_TURN + estimateTokens(block.name) + estimateTokens(block.input)
    case 'tool-result':
      return PER_TURN + ofBlocks(block.blocks)
    case 'image':
      return PER_IMAGE
    case 'document':
      return ofSource(block.source)
    case 'audio':
      return ofSource(block.source)
    case 'foreign':
      return estimateTokens(JSON.stringify(block.value))
    case 'redacted-thinking':
      return 0
  }
}

function ofSource(source: Source): number {
  if (source.kind === 'text') return estimateTokens(source.text)
  if (source.kind === 'blocks') return ofBlocks(source.blocks)
  return source.kind === 'base64' ? Math.ceil(source.data.length / PER_PAGE_BYTES) * PER_PAGE : PER_PAGE
}
