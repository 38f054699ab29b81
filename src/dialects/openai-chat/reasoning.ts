import { effortOf, isEffort } from '../../chat/effort.ts'
import type { ChatRequest, Fields, Reasoning } from '../../chat/request.ts'
import type { Flavour } from '../dialect.ts'
import type { Dropped } from '../dropped.ts'
import { COMMON_EFFORTS } from '../openai-fields.ts'
import { fields, number } from '../read.ts'

const THINKING: ReadonlyMap<unknown, boolean> = new Map([
  ['enabled', true],
  ['disabled', false]
])

/** `reasoning_effort` is OpenAI's, `reasoning` OpenRouter's, `thinking` LiteLLM's, the switch that of open models. */
export function decodeReasoning(body: Fields): Reasoning | undefined {
  const router = fields(body['reasoning'])
  const effort = body['reasoning_effort'] ?? router['effort']
  const thinking = fields(body['thinking'])
  const budget = number(router['max_tokens']) ?? number(thinking['budget_tokens'])
  const enabled =
    THINKING.get(thinking['type']) ?? fields(body['chat_template_kwargs'])['enable_thinking'] ?? router['enabled']
  if (effort === 'none' || enabled === false) return { mode: 'off' }
  if (!isEffort(effort) && budget === undefined && enabled !== true) return undefined
  return { mode: 'on', ...(isEffort(effort) && { effort }), ...(budget !== undefined && { budget }) }
}

/** Says nothing where it might be refused: models that do not think refuse an effort. */
export function encodeReasoning({ reasoning, model }: ChatRequest, flavour: Flavour, dropped: Dropped): Fields {
  if (reasoning === undefined) return {}
  const effort = effortOf(reasoning)
  const { mode } = reasoning
  if (flavour === 'local') {
    if (mode === 'off') return { chat_template_kwargs: { enable_thinking: false } }
    if (mode === 'on' && reasoning.budget === undefined && effort !== undefined)
      return { reasoning_effort: COMMON_EFFORTS[effort] }
    if (mode === 'on') return { chat_template_kwargs: { enable_thinking: true } }
  } else if (flavour === 'official') {
    if (!reasons(model)) {
      // Not to think is what such a model does anyway.
      if (mode === 'on') dropped.add('reasoning')
      return {}
    }
    if (mode === 'off') return { reasoning_effort: /^gpt-5(?!\.)/.test(model) ? 'minimal' : 'none' }
    if (effort !== undefined) return { reasoning_effort: effort === 'max' ? 'xhigh' : effort }
  } else if (mode === 'on' && effort !== undefined) return { reasoning_effort: COMMON_EFFORTS[effort] }
  if (effort !== undefined || mode === 'off') dropped.add('reasoning')
  return {}
}

/** OpenAI's names of models that think. */
function reasons(model: string): boolean {
  return /^(?:o\d|gpt-(?:[5-9]|\d\d)(?!.*chat))/.test(model.replace(/^.*\//, ''))
}
