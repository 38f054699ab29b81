import { type Answer, type Call, type ChatRequest, defineHook, Failure, jsonSchema, textOf } from 'sluice/hook'

export default defineHook({
  name: 'validate',
  description:
    'Holds answers to what they have to be, and asks again with what was wrong. A stream has been sent when it is looked at, so it is only counted.',
  timeout: 300,
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ json: true, retries: 2 }],
    properties: {
      non_empty: { type: 'boolean', default: true, description: 'It must say something, or call a tool.' },
      json: { type: 'boolean', default: false, description: 'It must be JSON.' },
      schema: { type: 'object', description: 'It must be JSON that fits this JSON Schema.' },
      contains: { type: 'array', items: { type: 'string' }, default: [], description: 'Texts that must stand in it.' },
      retries: { type: 'integer', minimum: 0, maximum: 5, default: 1, description: 'How often it is asked again.' }
    }
  },
  setup: (options, services) => {
    const { non_empty: nonEmpty, json, schema, contains, retries } = options
    const fits = schema === undefined ? undefined : jsonSchema(schema)
    const problemWith = (answer: Answer): string | undefined => {
      // A call of a tool is no answer yet.
      if (answer.blocks.some(block => block.type === 'tool-call')) return undefined
      const text = textOf(answer)
      if (nonEmpty && text.trim() === '') return 'it is empty'
      const missing = contains.find(wanted => !text.includes(wanted))
      if (missing !== undefined) return `it does not contain ${JSON.stringify(missing)}`
      if (!json && fits === undefined) return undefined
      const value = parsed(text)
      return value === undefined ? 'it is not JSON' : fits?.(value.value)
    }
    return {
      postCall: async (first, call) => {
        if (call.stream) {
          const problem = problemWith(first)
          if (problem !== undefined) services.metrics.count('wrong_stream')
          return undefined
        }
        let answer = first
        for (let attempt = 0; ; attempt++) {
          const problem = problemWith(answer)
          if (problem === undefined) return answer === first ? undefined : answer
          services.metrics.count('wrong')
          if (attempt >= retries) return refusal(problem, attempt)
          const again = await call.ask(withFeedback(call, answer, problem))
          if (again instanceof Failure) return again
          services.metrics.count('retried')
          answer = again
        }
      }
    }
  }
})

function refusal(problem: string, retries: number): Failure {
  const times = retries === 0 ? '' : `, also after being asked ${retries} more time${retries === 1 ? '' : 's'}`
  return new Failure('upstream-failed', `The answer is not what it has to be: ${problem}${times}.`, {
    code: 'invalid_answer'
  })
}

function withFeedback(call: Call, answer: Answer, problem: string): ChatRequest {
  const { chat } = call
  const feedback = `Your answer is not what it has to be: ${problem}. Answer again, with nothing but the corrected answer.`
  const said = answer.blocks.length === 0 ? [] : [{ role: 'assistant' as const, blocks: answer.blocks }]
  return { ...chat, turns: [...chat.turns, ...said, { role: 'user', blocks: [{ type: 'text', text: feedback }] }] }
}

/** Models like to put JSON into a fence. */
function parsed(text: string): { readonly value: unknown } | undefined {
  const plain = /^\s*```(?:json)?\s*\n([\s\S]*?)\n\s*```\s*$/.exec(text)?.[1] ?? text
  try {
    const value: unknown = JSON.parse(plain)
    return { value }
  } catch {
    return undefined
  }
}
