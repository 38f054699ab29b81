import { defineHook } from 'sluice/hook'

export default defineHook({
  name: 'token-cap',
  description: 'Caps the tokens of an answer: a larger ask is lowered, a missing one is filled in.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ max: 8192 }],
    properties: {
      max: { type: 'integer', minimum: 1, default: 8192, description: 'The most tokens that may be asked for.' }
    }
  },
  setup: ({ max }) => ({
    preCall: call => {
      if (call.operation !== 'chat' && call.operation !== 'completions') return undefined
      return (call.maxTokens ?? Number.POSITIVE_INFINITY) > max ? call.with({ maxTokens: max }) : undefined
    }
  })
})
