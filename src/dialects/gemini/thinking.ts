import { budgetOf, effortOf } from '../../chat/effort.ts'
import type { ChatRequest, Effort, Fields, Reasoning } from '../../chat/request.ts'
import type { Dropped } from '../dropped.ts'
import { number, string, unread } from '../read.ts'
import { camel, generationOf, isOlder, NAME } from './shape.ts'

const READ = new Set(['thinkingBudget', 'thinkingLevel'])

const EFFORT: ReadonlyMap<unknown, Effort> = new Map([
  ['MINIMAL', 'minimal'],
  ['LOW', 'low'],
  ['MEDIUM', 'medium'],
  ['HIGH', 'high']
])

/** A budget of 0 is none, one of -1 the model's own. `rest` is what only Gemini says about thinking. */
export function decodeThinking(value: unknown): { reasoning?: Reasoning; rest: Fields } {
  const config = camel(value)
  const rest = unread(NAME, config, READ).extra?.[NAME] ?? {}
  const budget = number(config['thinkingBudget'])
  const effort = EFFORT.get(string(config['thinkingLevel'])?.toUpperCase())
  if (budget === 0) return { reasoning: { mode: 'off' }, rest }
  if (budget === undefined && effort === undefined) return { rest }
  const { includeThoughts, ...others } = rest
  // Who thinks for us shows it, unless told otherwise: so only the opposite has to be remembered.
  const kept = includeThoughts === true ? others : { ...others, includeThoughts: false }
  const said = effort === undefined ? {} : { effort }
  if (budget === undefined) return { reasoning: { mode: 'on', ...said }, rest: kept }
  if (budget < 0) return { reasoning: { mode: 'adaptive', ...said }, rest: kept }
  return { reasoning: { mode: 'on', budget, ...said }, rest: kept }
}

/** From Gemini 3 on models take a level, before they took a budget, and before 2.5 they did not think at all. */
export function encodeThinking({ reasoning, model }: ChatRequest, dropped: Dropped): Fields {
  if (reasoning === undefined) return {}
  const generation = generationOf(model)
  if (generation > 0 && generation < 2.5) {
    if (reasoning.mode !== 'off') dropped.add('reasoning')
    return {}
  }
  if (reasoning.mode === 'off') return noThinking(model, dropped)
  const { budget } = reasoning
  const shown = reasoning.mode === undefined ? {} : { includeThoughts: true }
  if (budget !== undefined) return { thinkingBudget: within(budget, model, dropped), ...shown }
  const effort = effortOf(reasoning)
  if (effort === undefined) {
    if (reasoning.mode === undefined || generation >= 3) return shown
    return { thinkingBudget: -1, ...shown }
  }
  if (isOlder(model)) return { thinkingBudget: Math.min(budgetOf(effort), mostOf(model)), ...shown }
  return { thinkingLevel: levelOf(effort, model), ...shown }
}

/** Not each model can do without. */
function noThinking(model: string, dropped: Dropped): Fields {
  const isPro = /-pro/.test(model)
  if (!isPro && generationOf(model) < 3) return { thinkingBudget: 0 }
  dropped.add('reasoning')
  return generationOf(model) < 3 ? { thinkingBudget: LEAST } : { thinkingLevel: isPro ? 'LOW' : 'MINIMAL' }
}

const LEAST = 128

function mostOf(model: string): number {
  return /flash/.test(model) ? 24_576 : 32_768
}

function within(budget: number, model: string, dropped: Dropped): number {
  const allowed = Math.min(budget, mostOf(model))
  if (allowed !== budget) dropped.add('reasoning.budget')
  return allowed
}

function levelOf(effort: Effort, model: string): string {
  if (effort === 'xhigh' || effort === 'max') return 'HIGH'
  // The large models have fewer levels.
  if (effort === 'minimal' && /-pro/.test(model)) return 'LOW'
  return effort === 'medium' && /gemini-3-pro/.test(model) ? 'HIGH' : effort.toUpperCase()
}
