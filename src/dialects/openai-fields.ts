// What both of OpenAI's dialects say of a request, and nobody else.
import type { Effort, Extra } from '../chat/request.ts'
import type { Flavour } from './dialect.ts'

/** As Chat names them, and as Responses does. */
const FIELDS = [
  ['prompt_cache_key', 'prompt_cache_key'],
  ['prompt_cache_retention', 'prompt_cache_retention'],
  ['safety_identifier', 'safety_identifier'],
  ['verbosity', 'text.verbosity']
] as const

/** The words for how much to think that others than OpenAI know. */
export const COMMON_EFFORTS: Record<Effort, string> = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'high',
  max: 'high'
}

const DIALECTS = ['openai-chat', 'openai-responses'] as const

/** What was said in the other one's words, in this one's. OpenAI takes them in both; who imitates it may refuse them. */
export function inWordsOf(
  dialect: (typeof DIALECTS)[number],
  extra: Extra | undefined,
  flavour: Flavour
): Extra | undefined {
  const mine = DIALECTS.indexOf(dialect)
  const other = DIALECTS[1 - mine] ?? dialect
  const said = extra?.[other]
  if (flavour !== 'official' || said === undefined) return extra
  const left: Record<string, unknown> = { ...said }
  const own: Record<string, unknown> = {}
  for (const names of FIELDS) {
    const theirs = names[1 - mine] ?? names[0]
    if (left[theirs] === undefined) continue
    own[names[mine] ?? theirs] = left[theirs]
    delete left[theirs]
  }
  return { ...extra, [other]: left, [dialect]: { ...own, ...extra?.[dialect] } }
}
