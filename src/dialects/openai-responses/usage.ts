import type { Usage } from '../../chat/usage.ts'
import { count, firstObject, lastObject } from '../bare-keys.ts'

const PROOFS = ['input_tokens']
/** 1 in an answer, 2 in the event that carries the answer. */
const DEPTHS = [1, 2]

export function readUsage(head: string, tail: string): Usage | undefined {
  const said = lastObject(tail, 'usage', DEPTHS, PROOFS) ?? firstObject(head, 'usage')
  if (said === undefined) return undefined
  return {
    input: count(said, 'input_tokens') ?? 0,
    output: count(said, 'output_tokens') ?? 0,
    cacheRead: count(said['input_tokens_details'], 'cached_tokens') ?? 0,
    cacheWrite: count(said['input_tokens_details'], 'cache_write_tokens') ?? 0,
    reasoning: count(said['output_tokens_details'], 'reasoning_tokens') ?? 0
  }
}

const TERMINAL = 'response\\.(?:completed|incomplete|failed|cancelled)|error'
const LINE = new RegExp(`(?:^|\\n)(?:event: ?(?:${TERMINAL})\\r?\\n|data: ?\\{\\s*"type"\\s*:\\s*"(?:${TERMINAL})")`)

/** A terminal event. Its frame repeats the whole answer, so its beginning may be out of sight: then its usage proves it. */
export function streamEnded(tail: string): boolean {
  if (LINE.test(tail)) return true
  const frameIsCut = !/(?:^|\n)data:/.test(tail)
  return frameIsCut && /\n\r?\n$/.test(tail) && lastObject(tail, 'usage', DEPTHS, PROOFS) !== undefined
}
