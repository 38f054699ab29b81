import { effortOf, isEffort } from '../../chat/effort.ts'
import type { ChatRequest, Extra, Fields, Reasoning } from '../../chat/request.ts'
import { parseObject } from '../../lib/json-repair.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { COMMON_EFFORTS } from '../openai-fields.ts'
import { fields, string } from '../read.ts'
import { NAME } from './content.ts'

export function decodeReasoning({ effort }: Fields): Reasoning | undefined {
  if (effort === 'none') return { mode: 'off' }
  return isEffort(effort) ? { mode: 'on', effort } : undefined
}

/** Says nothing where it might be refused: OpenAI's models that do not think refuse an effort. */
export function encodeReasoning(
  { reasoning, model }: ChatRequest,
  flavour: Flavour,
  dropped: Dropped
): { effort?: string } {
  if (reasoning === undefined) return {}
  const effort = effortOf(reasoning)
  const off = reasoning.mode === 'off'
  if (flavour === 'official' && !reasons(model)) {
    // A model that never thinks need not be told not to.
    if (!off && effort !== undefined) dropped.add('reasoning')
    return {}
  }
  if (flavour !== 'official' && effort !== undefined && !off) return { effort: COMMON_EFFORTS[effort] }
  if (off) return { effort: /^(?:.*\/)?gpt-5(?!\.)/.test(model) ? 'minimal' : 'none' }
  if (effort !== undefined) return { effort: effort === 'max' ? 'xhigh' : effort }
  return {}
}

/** OpenAI's names of models that think. */
function reasons(model: string): boolean {
  return /^(?:o\d|codex|gpt-(?:[5-9]|\d\d)(?!.*chat))/.test(model.replace(/^.*\//, ''))
}

/** Marks what we put where OpenAI has its encrypted thinking: the proofs of other upstreams, for them to see again. */
const CARRIED = 'sluice:'

export function carry(extra: Extra = {}): string {
  const others = Object.entries(extra).filter(([dialect]) => dialect !== NAME)
  if (others.length === 0) return CARRIED
  return CARRIED + Buffer.from(JSON.stringify(Object.fromEntries(others))).toString('base64url')
}

/** The extras that `carry` has put there; undefined for what is not ours. */
export function carried(encrypted: unknown): Extra | undefined {
  const text = string(encrypted)
  if (text?.startsWith(CARRIED) !== true) return undefined
  const value = parseObject(Buffer.from(text.slice(CARRIED.length), 'base64url').toString('utf8')) ?? {}
  const entries = Object.entries(value).filter(([dialect]) => dialect !== NAME)
  return Object.fromEntries(entries.map(([dialect, known]) => [dialect, fields(known)]))
}
