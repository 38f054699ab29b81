import { budgetOf, isEffort } from '../../chat/effort.ts'
import type { ChatRequest, Effort, Fields, Reasoning } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { fields, number } from '../read.ts'

/** The least that Anthropic takes. */
const LEAST = 1_024

export function decodeReasoning(thinking: Fields, outputConfig: Fields): Reasoning | undefined {
  const effort = isEffort(outputConfig['effort']) ? { effort: outputConfig['effort'] } : undefined
  switch (thinking['type']) {
    case 'disabled':
      return { mode: 'off', ...effort }
    case 'adaptive':
      return { mode: 'adaptive', ...effort }
    case 'enabled': {
      const budget = number(thinking['budget_tokens'])
      return { mode: 'on', ...(budget !== undefined && { budget }), ...effort }
    }
    default:
      return effort
  }
}

export interface Thinking {
  readonly thinking?: object
  readonly effort?: Effort
}

/**
 * Models from 4.6 on think as much as an effort says; older ones need a budget, which has to be below `max_tokens`.
 * A tool that is forced excludes thinking.
 */
export function encodeReasoning(chat: ChatRequest, maxTokens: number, dropped: Dropped): Thinking {
  const { reasoning, toolChoice, model } = chat
  if (reasoning === undefined) return {}
  const { mode, budget, effort } = reasoning
  const said = effort === undefined ? {} : { effort: effort === 'minimal' ? ('low' as const) : effort }
  if (mode === undefined) return said
  if (mode === 'off') return { thinking: { type: 'disabled' }, ...said }
  if (toolChoice?.mode === 'any' || toolChoice?.mode === 'named') {
    dropped.add('reasoning')
    return {}
  }
  if (mode === 'adaptive') return { thinking: { type: 'adaptive' }, ...said }
  if (budget === undefined && versionOf(model) >= 406) return { thinking: { type: 'adaptive' }, ...said }
  const wanted = Math.max(LEAST, budget ?? budgetOf(effort ?? 'medium'))
  if (wanted < maxTokens) return withBudget(wanted, budget === undefined ? {} : said)
  if (maxTokens > LEAST) return withBudget(Math.max(LEAST, maxTokens >> 1), budget === undefined ? {} : said)
  dropped.add('reasoning')
  return {}
}

function withBudget(budget_tokens: number, said: Thinking): Thinking {
  return { thinking: { type: 'enabled', budget_tokens }, ...said }
}

/** 406 for `claude-opus-4-6`; 0 for a name without a version: nothing is known of it. */
export function versionOf(model: string): number {
  const [, major = '0', minor = '0'] = /claude-[a-z]+-(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?/.exec(model) ?? []
  return 100 * Number(major) + Number(minor)
}

export const thinkingExtra = (value: unknown): Fields => {
  const { type: _, budget_tokens: __, ...rest } = fields(value)
  return rest
}
