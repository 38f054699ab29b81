// The one place that looks inside an upstream's words: most servers have no code for «the prompt does not fit»,
// and a client that is not told so in its own words neither compacts nor recovers.

export interface ContextLimit {
  /** Tokens of the prompt. */
  input?: number
  /** Tokens the answer was allowed, when that is what did not fit. */
  output?: number
  limit?: number
}

const CODES = new Set([
  'context_length_exceeded',
  'exceed_context_size_error',
  'context_window_exceeded',
  'string_above_max_length',
  'prompt_too_long'
])

// Named groups: i(nput), o(utput), l(imit). The most telling first.
const WORDINGS: readonly RegExp[] = [
  // Anthropic
  /prompt is too long(?:: (?<i>\d+) tokens? > (?<l>\d+))?/i,
  /exceed context limit: (?<i>\d+) \+ (?<o>\d+) > (?<l>\d+)/i,
  // vLLM, asked for more output than fits
  /is too large: (?<o>\d+)\. This model's maximum context length is (?<l>\d+) tokens and your request has (?<i>\d+)/i,
  // OpenAI, vLLM, OpenRouter, DeepSeek
  /maximum context length is (?<l>\d+) tokens.*?requested (?:about )?\d+ tokens \((?<i>\d+)\D+(?<o>\d+)/is,
  /maximum context length is (?<l>\d+) tokens.*?(?:resulted in|requested|contains?|has)\D{0,30}(?<i>\d+)/is,
  /maximum (?:context|prompt|model) length (?:is|of) (?<l>\d+)/i,
  /decoder prompt \(length (?<i>\d+)\) is longer than the maximum model length of (?<l>\d+)/i,
  // SGLang
  /input \((?<i>\d+) tokens\) is longer than the model's context length \((?<l>\d+)/i,
  // llama.cpp
  /request \((?<i>\d+) tokens\) exceeds the available context size \((?<l>\d+)/i,
  /exceeds? the available context size/i,
  // Gemini
  /input token count \((?<i>\d+)\) exceeds the maximum number of tokens allowed \(?(?<l>\d+)/i,
  /input token count.*exceeds the maximum number of tokens/i,
  // Mistral, Cerebras, Ollama, LM Studio, Bedrock, OpenAI Responses
  /contains (?<i>\d+) tokens.*too large for model with (?<l>\d+) maximum context length/i,
  /current length is (?<i>\d+) while limit is (?<l>\d+)/i,
  /(?:input|prompt) (?:length )?(?:exceeds|exceeded) the (?:model's )?(?:maximum )?context (?:length|window)/i,
  /prompt too long; exceeded max context length/i,
  /context the overflows|greater than the context length/i,
  /input is too long for requested model/i,
  /exceeds the context window/i
]

/** What an upstream said about its context, if that is what it complains about. */
export function readContextLimit(code: string, message: string, error: unknown): ContextLimit | undefined {
  const words = WORDINGS.map(wording => wording.exec(message)).find(found => found !== null)
  if (words === undefined && !CODES.has(code)) return undefined
  // llama.cpp has its numbers beside the message.
  const { n_prompt_tokens: prompt, n_ctx: size } = (error ?? {}) as Record<string, unknown>
  const input = words?.groups?.['i'] ?? prompt
  const output = words?.groups?.['o']
  const limit = words?.groups?.['l'] ?? size
  return {
    ...(input !== undefined && { input: Number(input) }),
    ...(output !== undefined && { output: Number(output) }),
    ...(limit !== undefined && { limit: Number(limit) })
  }
}
