import type { Failure } from '../../chat/failure.ts'
import { depthAt, valuesFromEnd } from '../bare-keys.ts'
import { openAIError } from '../openai-failure.ts'

export function encodeFailure(failure: Failure): string {
  return JSON.stringify({ error: openAIError(failure) })
}

/**
 * Two frames, as OpenAI sends them: the SDK throws at `error` and would take a lone `response.failed` for one more
 * event; Codex ignores `error` and acts on the code in `response.failed`.
 */
export function encodeFailureFrame(failure: Failure, requestId: string, tail = ''): string {
  const error = openAIError(failure)
  const number = lastSequenceNumber(tail) + 1
  const response = {
    id: `resp_${requestId}`,
    object: 'response',
    created_at: 0,
    status: 'failed',
    error: { code: error.code ?? error.type, message: error.message },
    incomplete_details: null,
    output: [],
    usage: null
  }
  return (
    frame({
      type: 'error',
      sequence_number: number,
      code: error.code,
      message: error.message,
      param: error.param,
      error
    }) + frame({ type: 'response.failed', sequence_number: number + 1, response })
  )
}

function frame(event: { type: string; [key: string]: unknown }): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}

function lastSequenceNumber(tail: string): number {
  for (const valueAt of valuesFromEnd(tail, 'sequence_number')) {
    const digits = depthAt(tail, valueAt) === 1 ? /^\d+/.exec(tail.slice(valueAt, valueAt + 16)) : null
    if (digits !== null) return Number(digits[0])
  }
  return -1
}
