import type { Usage } from '../../chat/usage.ts'
import { count, depthAt, firstObject, lastObject, valuesFromEnd } from '../bare-keys.ts'

const PROOFS = ['promptTokenCount', 'totalTokenCount']
/** 1 in an answer, 2 in the array that a stream without `alt=sse` is. */
const DEPTHS = [1, 2]

export function readUsage(head: string, tail: string): Usage | undefined {
  const said = lastObject(tail, 'usageMetadata', DEPTHS, PROOFS) ?? firstObject(head, 'usageMetadata')
  if (said === undefined) return undefined
  const reasoning = count(said, 'thoughtsTokenCount') ?? 0
  return {
    input: (count(said, 'promptTokenCount') ?? 0) + (count(said, 'toolUsePromptTokenCount') ?? 0),
    output: (count(said, 'candidatesTokenCount') ?? 0) + reasoning,
    cacheRead: count(said, 'cachedContentTokenCount') ?? 0,
    cacheWrite: 0,
    reasoning
  }
}

/** A candidate's `finishReason`, a refused prompt or an error. A tool's arguments are no text here, so depth has to tell. */
export function streamEnded(tail: string): boolean {
  const inArray = /\]\s*$/.test(tail) ? 1 : 0
  const said = (key: string, depth: number, opening: string) => {
    for (const valueAt of valuesFromEnd(tail, key)) {
      if (tail[valueAt] === opening && depthAt(tail, valueAt) <= depth + inArray) return true
    }
    return false
  }
  return said('finishReason', 3, '"') || said('blockReason', 2, '"') || said('error', 1, '{')
}
