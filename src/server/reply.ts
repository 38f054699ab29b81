import { randomUUID } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import type { Failure } from '../chat/failure.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'

/** A failure as HTTP, on routes that reach no model. Model routes write theirs in `exchange`. */
export function sendFailure(reply: FastifyReply, failure: Failure, dialect: DialectName): FastifyReply {
  const id = randomUUID()
  const { retryAfter } = failure.details
  if (retryAfter !== undefined) reply.header('retry-after', Math.ceil(retryAfter))
  return reply
    .code(DIALECTS[dialect].statusOf(failure))
    .header('x-task-id', id)
    .type('application/json')
    .send(DIALECTS[dialect].encodeFailure(failure, id))
}
