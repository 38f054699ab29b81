import type { Usage } from '../../chat/usage.ts'
import { count, depthAt, firstObject, lastObject, valuesFromEnd } from '../bare-keys.ts'

const PROOFS = ['input_tokens', 'output_tokens']
const IN_ANSWER_OR_DELTA = [1]
const IN_MESSAGE_START = [2]

/** A stream says the input in its first event and the output in its last but one, which may repeat the input. */
export function readUsage(head: string, tail: string): Usage | undefined {
  const last = lastObject(tail, 'usage', IN_ANSWER_OR_DELTA, PROOFS)
  const isAnswer = head.startsWith('{')
  const first = isAnswer ? firstObject(head, 'usage') : lastObject(head, 'usage', IN_MESSAGE_START, PROOFS)
  if (last === undefined && first === undefined) return undefined
  // A zero in the repetition is a server that does not count, not a correction.
  const tokens = (key: string) => count(last, key) || count(first, key) || 0
  const cacheRead = tokens('cache_read_input_tokens')
  const cacheWrite = tokens('cache_creation_input_tokens')
  return {
    input: tokens('input_tokens') + cacheRead + cacheWrite,
    output: tokens('output_tokens'),
    cacheRead,
    cacheWrite,
    reasoning: count(last?.['output_tokens_details'], 'thinking_tokens') ?? 0
  }
}

/** `message_stop`, a reason to stop, or an error: Claude Code too takes a reason without `message_stop` for an end. */
export function streamEnded(tail: string): boolean {
  if (/(?:^|\n)(?:event: ?(?:message_stop|error)\r?\n|data: ?\{\s*"type"\s*:\s*"(?:message_stop|error)")/.test(tail))
    return true
  for (const valueAt of valuesFromEnd(tail, 'stop_reason')) {
    // `delta.stop_reason`; deeper ones belong to what a server tool answered.
    if (tail[valueAt] === '"' && depthAt(tail, valueAt) === 2) return true
  }
  return false
}
