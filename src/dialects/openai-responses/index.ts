import type { Dialect } from '../dialect.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { encodeFailure, encodeFailureFrame } from './failure.ts'
import { readUsage, streamEnded } from './usage.ts'

export const openaiResponses: Dialect = {
  name: 'openai-responses',
  encodeFailure,
  statusOf: failure => failure.status,
  encodeFailureFrame,
  decodeFailure: decodeUpstreamFailure,
  readUsage,
  streamEnded
}
