import type { Block } from '../chat/block.ts'
import type { Citation } from '../chat/citation.ts'
import type { Extra, Fields } from '../chat/request.ts'

const MOST = 40

/** What Responses and OpenAI Chat note to say the same thing again in the same way; no other dialect misses it. */
const BOOKKEEPING: ReadonlySet<string> = new Set(['item', 'part', 'added', 'namespace', 'system.role'])

/** Of an answer: who made it and how long it took, what was counted, and what it repeats of its request. */
const BOOKKEEPING_OF_ANSWERS: ReadonlySet<string> = new Set([
  ...BOOKKEEPING,
  // OpenAI Chat, and those that speak it.
  'system_fingerprint',
  'provider',
  'timings',
  'x_groq',
  'stats',
  'prompt_logprobs',
  'prompt_token_ids',
  'kv_transfer_params',
  // Verdicts of a filter: what they came to, the reason of the end says.
  'prompt_filter_results',
  'content_filter_results',
  'safetyRatings',
  // Responses repeats its request.
  'background',
  'billing',
  'frequency_penalty',
  'instructions',
  'max_output_tokens',
  'max_tool_calls',
  'metadata',
  'moderation',
  'parallel_tool_calls',
  'presence_penalty',
  'previous_response_id',
  'prompt_cache_key',
  'prompt_cache_retention',
  'reasoning',
  'safety_identifier',
  'service_tier',
  'store',
  'temperature',
  'text',
  'tool_choice',
  'tool_usage',
  'tools',
  'top_logprobs',
  'top_p',
  'truncation',
  'user',
  'thinking.summary',
  'thinking.content',
  // Anthropic: where its tools run, and who calls one.
  'container',
  'tool_calls.caller',
  // Gemini. The sources are the citations of texts.
  'avgLogprobs',
  'citationMetadata',
  'createTime',
  'groundingChunks',
  'groundingSupports',
  'modelStatus',
  'tokenCount',
  'usageMetadata'
])

/** Objects whose fields are declared one by one. */
const OPEN: ReadonlySet<string> = new Set(['candidate', 'groundingMetadata', 'message'])

/** What could not be said, as paths of fields. They go into a header: clients choose some of the names. */
export class Dropped {
  readonly of: 'request' | 'answer'
  readonly #mine: string
  readonly #paths = new Set<string>()

  constructor(mine: string, of: 'request' | 'answer' = 'request') {
    this.#mine = mine
    this.of = of
  }

  add(path: string): void {
    if (this.#paths.size >= MOST) return
    const said = this.of === 'request' ? path : `answer.${path.replace(/^messages\./, '')}`
    this.#paths.add(said.slice(0, 80).replace(/[^\w.-]/g, '_'))
  }

  /** Declares what other dialects keep in an `extra`, and returns what this one does. */
  extra(extra: Extra | undefined, at = ''): Readonly<Record<string, unknown>> {
    if (extra === undefined) return {}
    for (const [dialect, known] of Object.entries(extra)) if (dialect !== this.#mine) this.#declare(known, at)
    return extra[this.#mine] ?? {}
  }

  /** Declares the citations that only others can say, and returns the rest. */
  citations(citations: readonly Citation[] = []): readonly Citation[] {
    return citations.filter(citation => {
      if (citation.type === 'page' || citation.dialect === this.#mine) return true
      this.add(`messages.citations.${nameOf(citation.value)}`)
      return false
    })
  }

  /** Declares a whole block. */
  block(block: Block): void {
    this.add(`messages.${block.type === 'foreign' ? nameOf(block.value) : block.type.replace('-', '_')}`)
  }

  list(): string[] {
    return [...this.#paths].sort()
  }

  #declare(known: Fields, at: string): void {
    const bookkeeping = this.of === 'answer' ? BOOKKEEPING_OF_ANSWERS : BOOKKEEPING
    const place = this.of === 'answer' ? at.replace('messages.', '') : at
    for (const [key, value] of Object.entries(known)) {
      if (bookkeeping.has(key) || bookkeeping.has(place + key)) continue
      if (this.of === 'answer' && OPEN.has(key) && isObject(value)) this.#declare(value, at)
      else this.add(at + key)
    }
  }
}

/** Its type; of Gemini's things, which have none, the first field. */
function nameOf(value: Fields): string {
  const { type } = value
  return typeof type === 'string' ? type : (Object.keys(value)[0] ?? 'content')
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
