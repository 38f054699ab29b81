import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import type { ClientSide } from './dialect.ts'
import { encodeAnswer } from './openai-chat/answer.ts'
import { encodeStream } from './openai-chat/stream-writer.ts'
import { decodeRequest } from './openai-responses/request.ts'
import { boolean, defined, fields } from './read.ts'

/** Cursor's agent sends to Chat what Responses is sent, and reads what Chat answers. */
export const misplaced: ClientSide = { decodeRequest: decodeMisplaced, encodeAnswer, encodeStream }

function decodeMisplaced(input: unknown): ChatRequest | Failure {
  const { stream_options: options, ...body } = fields(input)
  const chat = decodeRequest(body)
  if (chat instanceof Failure) return chat
  return { ...chat, ...defined({ streamUsage: boolean(fields(options)['include_usage']) }) }
}
