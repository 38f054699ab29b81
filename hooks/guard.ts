import { type ChatRequest, defineHook, Failure, safePattern, textOf } from 'sluice/hook'

export default defineHook({
  name: 'guard',
  description: 'Refuses requests, and answers, by pattern, length and topic.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ deny: ['ignore (all|previous) instructions'], max_chars: 200000, mode: 'warn' }],
    properties: {
      deny: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        default: [],
        description: 'Regular expressions that no text may match. Those that a text could make slow are refused.'
      },
      topics: {
        type: 'object',
        additionalProperties: { type: 'array', items: { type: 'string', minLength: 1 } },
        default: {},
        description: 'Topics by name, each with words or phrases that give it away.'
      },
      max_chars: { type: 'integer', minimum: 1, description: 'The longest conversation, in characters.' },
      mode: {
        type: 'string',
        enum: ['block', 'warn', 'dry-run'],
        default: 'block',
        description: '`warn` lets pass and tells the client in `x-gateway-guard`; `dry-run` only counts and logs.'
      },
      answers: {
        type: 'boolean',
        default: false,
        description: 'Look at answers too. A stream is looked at after its end, so it is only counted and logged.'
      },
      message: { type: 'string', default: 'This is not allowed here.', description: 'What the client is told.' }
    }
  },
  setup: ({ deny, topics, max_chars: most, mode, answers, message }, services) => {
    const rules = [
      ...deny.map(pattern => ({ name: 'deny', pattern: safePattern(pattern, 'iu') })),
      ...Object.entries(topics).map(([name, words]) => ({ name, pattern: wordsOf(words ?? []) }))
    ]
    const broken = (texts: readonly string[]): string | undefined => {
      const length = texts.reduce((sum, text) => sum + text.length, 0)
      if (most !== undefined && length > most) return 'length'
      return rules.find(rule => texts.some(text => rule.pattern.test(text)))?.name
    }
    const tell = (rule: string, what: string, id: string): Failure | undefined => {
      services.metrics.count(`${what}-${rule}`)
      services.log.warn(`guard: ${what} breaks the rule ${rule}${mode === 'block' ? '' : `, and passes (${mode})`}`, {
        call: id
      })
      return mode === 'block' ? new Failure('forbidden', message, { code: 'guard', field: rule }) : undefined
    }
    return {
      preCall: call => {
        if (call.operation === 'embeddings') return undefined
        const rule = broken(said(call.chat))
        if (rule === undefined) return undefined
        const failure = tell(rule, 'request', call.id)
        if (failure !== undefined || mode !== 'warn') return failure
        return call.with({ answerHeaders: { 'x-gateway-guard': encodeURIComponent(rule) } })
      },
      ...(answers && {
        postCall: (answer, call) => {
          const rule = broken([textOf(answer)])
          return rule === undefined ? undefined : tell(rule, 'answer', call.id)
        }
      })
    }
  }
})

/** What people and tools say; what the model said itself was looked at when it did. */
function said(chat: ChatRequest): string[] {
  const texts = chat.system.map(block => block.text)
  for (const turn of chat.turns) {
    if (turn.role === 'assistant') continue
    for (const block of turn.blocks) {
      if (block.type === 'text') texts.push(block.text)
      if (block.type === 'tool-result')
        for (const inner of block.blocks) if (inner.type === 'text') texts.push(inner.text)
    }
  }
  return texts
}

/** Words as they stand, whole. */
function wordsOf(words: readonly string[]): RegExp {
  if (words.length === 0) return /(?!)/
  const plain = words.map(word => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${plain.join('|')})(?![\\p{L}\\p{N}])`, 'iu')
}
