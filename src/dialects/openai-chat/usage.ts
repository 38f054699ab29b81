import type { Usage } from '../../chat/usage.ts'
import { count, firstObject, lastObject, valuesFromEnd } from '../bare-keys.ts'

const PROOFS = ['prompt_tokens', 'total_tokens']
// Groq's streams have it one deeper, in `x_groq`.
const DEPTHS = [1, 2]

/** Chat, completions and embeddings say it alike. Streams may repeat it in each chunk: the last one counts. */
export function readUsage(head: string, tail: string): Usage | undefined {
  const said = lastObject(tail, 'usage', DEPTHS, PROOFS) ?? firstObject(head, 'usage')
  if (said === undefined) return undefined
  const prompt = said['prompt_tokens_details']
  return {
    input: count(said, 'prompt_tokens') ?? count(said, 'total_tokens') ?? 0,
    output: count(said, 'completion_tokens') ?? 0,
    // DeepSeek has its own name for it.
    cacheRead: count(prompt, 'cached_tokens') ?? count(said, 'prompt_cache_hit_tokens') ?? 0,
    cacheWrite: count(prompt, 'cache_write_tokens') ?? count(said, 'cache_creation_input_tokens') ?? 0,
    reasoning: count(said['completion_tokens_details'], 'reasoning_tokens') ?? 0
  }
}

/** `[DONE]`, or a reason to finish: not every server sends the former. An error frame is an end that was said, too. */
export function streamEnded(tail: string): boolean {
  if (/(?:^|\n)data: ?(?:\[DONE\]|\{\s*"error"\s*:\s*[{"])/.test(tail)) return true
  for (const valueAt of valuesFromEnd(tail, 'finish_reason')) if (tail[valueAt] === '"') return true
  return false
}
