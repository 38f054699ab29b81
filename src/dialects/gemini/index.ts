import type { Dialect } from '../dialect.ts'
import { decodeAnswer, encodeAnswer } from './answer.ts'
import { array } from './array.ts'
import { decodeFailure, encodeFailure, encodeFailureFrame } from './failure.ts'
import { decodeRequest, encodeRequest } from './request.ts'
import { decodeStream } from './stream.ts'
import { encodeStream } from './stream-writer.ts'
import { readUsage, streamEnded } from './usage.ts'

export const gemini: Dialect = {
  name: 'gemini',
  encodeFailure,
  statusOf: failure => failure.status,
  encodeFailureFrame,
  decodeFailure,
  readUsage,
  streamEnded,
  translate: { decodeRequest, encodeRequest, decodeAnswer, encodeAnswer, decodeStream, encodeStream },
  array
}
