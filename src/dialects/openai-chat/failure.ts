import type { Failure } from '../../chat/failure.ts'
import { openAIError } from '../openai-failure.ts'

export function encodeFailure(failure: Failure): string {
  return JSON.stringify({ error: openAIError(failure) })
}

/** No `[DONE]` after it: a stream that failed must not look like one that ended. */
export function encodeFailureFrame(failure: Failure): string {
  return `data: ${encodeFailure(failure)}\n\n`
}
