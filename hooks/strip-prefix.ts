import { defineHook } from 'sluice/hook'

export default defineHook({
  name: 'strip-prefix',
  description: 'Takes a provider in front of a model name off: `openai/gpt-4o` is asked for as `gpt-4o`.',
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ prefixes: ['openai/'] }],
    properties: {
      prefixes: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        default: ['openai/', 'anthropic/', 'gemini/'],
        description: 'What is taken off; of several that fit, the longest.'
      }
    }
  },
  setup: ({ prefixes }) => {
    const longestFirst = [...prefixes].sort((a, b) => b.length - a.length)
    return {
      preCall: call => {
        const { model } = call
        const prefix = longestFirst.find(known => model.startsWith(known) && model.length > known.length)
        return prefix === undefined ? undefined : call.with({ model: model.slice(prefix.length) })
      }
    }
  }
})
