import type { Dialect } from '../dialect.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { encodeFailure, encodeFailureFrame, statusOf } from './failure.ts'
import { readUsage, streamEnded } from './usage.ts'

export const anthropic: Dialect = {
  name: 'anthropic',
  encodeFailure,
  statusOf,
  encodeFailureFrame,
  decodeFailure: decodeUpstreamFailure,
  readUsage,
  streamEnded
}
