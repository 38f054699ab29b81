import { defineHook, mapTexts, perCall, safePattern, TextWindow } from 'sluice/hook'

/** None of these can take longer than the text is long. */
const KINDS = {
  keys: [
    /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{0,8000}?-----END [A-Z ]{0,30}PRIVATE KEY-----/g,
    /\b(?:sk|pk|rk)[-_](?:ant-|proj-|live[-_]|test[-_]|or-)?[A-Za-z0-9_-]{16,200}/g,
    /\bAKIA[0-9A-Z]{16}\b/g,
    /\bAIza[0-9A-Za-z_-]{35}/g
  ],
  tokens: [
    /\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,255}/g,
    /\bgithub_pat_[A-Za-z0-9_]{22,255}/g,
    /\bglpat-[A-Za-z0-9_-]{20,100}/g,
    /\bxox[abprs]-[A-Za-z0-9-]{10,200}/g,
    /\bhf_[A-Za-z0-9]{30,100}/g,
    /\bnpm_[A-Za-z0-9]{36}\b/g,
    /\beyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}/g
  ],
  emails: [/\b[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}\b/g],
  cards: [/\b\d(?:[ -]?\d){12,18}\b/g]
} as const

type Kind = keyof typeof KINDS

export default defineHook({
  name: 'redact',
  description: 'Takes secrets out of what is sent to models, and out of what they answer.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ kinds: ['keys', 'tokens', 'emails'], patterns: ['project-\\d+'] }],
    properties: {
      kinds: {
        type: 'array',
        items: { type: 'string', enum: ['keys', 'tokens', 'emails', 'cards'] },
        default: ['keys', 'tokens'],
        description: 'What is looked for.'
      },
      patterns: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        default: [],
        description: 'Regular expressions of your own. Those that a text could make slow are refused.'
      },
      answers: { type: 'boolean', default: true, description: 'Look at answers too.' },
      mark: { type: 'string', default: '[redacted]', description: 'What is put in the place.' }
    }
  },
  setup: ({ kinds, patterns, answers, mark }, services) => {
    const own = patterns.map(pattern => safePattern(pattern))
    const plain = [...kinds.filter(kind => kind !== 'cards').flatMap((kind: Kind) => [...KINDS[kind]]), ...own]
    const cards = kinds.includes('cards')
    const clean = (text: string): string => {
      let changed = text
      for (const pattern of plain) changed = changed.replace(pattern, mark)
      if (cards)
        for (const pattern of KINDS.cards) changed = changed.replace(pattern, found => (isCard(found) ? mark : found))
      if (changed !== text) services.metrics.count('redacted')
      return changed
    }
    // A pattern of one's own may span words.
    const windowOf = perCall(() => new TextWindow(text => held(text, own.length > 0), clean))
    return {
      preCall: call => {
        if (call.operation === 'embeddings') return undefined
        const chat = mapTexts(call.chat, clean)
        return chat === call.chat ? undefined : call.with({ chat })
      },
      ...(answers && { onEvent: (event, call) => windowOf(call).push(event) })
    }
  }
})

/** The last word may go on, and so may a number in groups or a private key; no wait is longer than a key. */
function held(text: string, ownPatterns: boolean): number {
  const key = text.lastIndexOf('-----BEGIN ')
  if (key >= 0 && !text.includes('-----END ', key) && text.length - key < 8000) return text.length - key
  const group = /\d[\d -]{0,40}$/.exec(text)
  let start = text.length
  while (start > 0 && text.length - start < 4000 && !/\s/.test(text[start - 1] ?? '')) start--
  return Math.max(text.length - start, group?.[0].length ?? 0, ownPatterns ? Math.min(text.length, 200) : 0)
}

/** Luhn: other long numbers are left alone. */
function isCard(text: string): boolean {
  let sum = 0
  let double = false
  for (const digit of text.replace(/\D/g, '').split('').reverse()) {
    const value = Number(digit) * (double ? 2 : 1)
    sum += value > 9 ? value - 9 : value
    double = !double
  }
  return sum % 10 === 0
}
