import type { Dialect } from '../dialect.ts'
import { decodeUpstreamFailure } from '../upstream-message.ts'
import { decodeAnswer, encodeAnswer } from './answer.ts'
import { completions } from './completions.ts'
import { encodeFailure, encodeFailureFrame } from './failure.ts'
import { decodeRequest, encodeRequest } from './request.ts'
import { decodeStream } from './stream.ts'
import { encodeStream } from './stream-writer.ts'
import { readUsage, streamEnded } from './usage.ts'

export const openaiChat: Dialect = {
  name: 'openai-chat',
  encodeFailure,
  statusOf: failure => failure.status,
  encodeFailureFrame,
  decodeFailure: decodeUpstreamFailure,
  readUsage,
  streamEnded,
  translate: { decodeRequest, encodeRequest, decodeAnswer, encodeAnswer, decodeStream, encodeStream },
  completions
}
