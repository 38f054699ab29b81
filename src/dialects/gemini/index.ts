import type { Dialect } from '../dialect.ts'
import { decodeFailure, encodeFailure, encodeFailureFrame } from './failure.ts'
import { readUsage, streamEnded } from './usage.ts'

export const gemini: Dialect = {
  name: 'gemini',
  encodeFailure,
  statusOf: failure => failure.status,
  encodeFailureFrame,
  decodeFailure,
  readUsage,
  streamEnded
}
