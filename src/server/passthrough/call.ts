// The call to an upstream, as reply-from makes it: its headers, its answer, its deadlines, its troubles.

import type { FastifyReply } from 'fastify'
import type { Agent, Dispatcher } from 'undici'
import { Failure } from '../../chat/failure.ts'
import type { WireHeaders } from '../../lib/wire.ts'
import { brokenConnection } from '../../upstream/trouble.ts'
import { forwardedHeaders, returnedHeaders } from './headers.ts'
import { destinationOf, type Passage } from './passage.ts'

export const CONNECT_TIMEOUT = 5000
/** How undici's wrapper in reply-from, which knows nothing of requests, is told whose call it makes. */
const PASSAGE = Symbol('passage')

export function requestHeaders(passage: Passage, client: WireHeaders, host: unknown): Record<string, string> {
  const destination = destinationOf(passage)
  const { held } = destination
  const headers = forwardedHeaders(client, destination)
  if (held !== undefined) {
    headers['content-length'] = String(passage.bytesIn)
    if (held.unpacked) delete headers['content-encoding']
  }
  return { host, ...headers, ...passage.traced, [PASSAGE]: passage } as Record<string, string>
}

export function answerHeaders(passage: Passage, upstream: WireHeaders): Record<string, string> {
  const headers = { ...returnedHeaders(upstream, destinationOf(passage)), ...passage.ownHeaders() }
  const isStream = String(upstream['content-type']).startsWith('text/event-stream')
  // Proxies in front of us would collect events before they pass them on.
  return { ...headers, ...(isStream && { 'x-accel-buffering': 'no' }) } as Record<string, string>
}

/** What reply-from has of an upstream's answer, whatever its types say. */
export interface Answered {
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly stream: NodeJS.ReadableStream
}

export function answer(passage: Passage, reply: FastifyReply, { headers, stream }: Answered): void {
  if (String(headers['content-type']).startsWith('text/event-stream')) passage.streams()
  stream.on('data', (chunk: Buffer) => passage.passed(chunk))
  stream.on('error', (error: Error) => {
    passage.problem ??= passage.signal.aborted ? undefined : explained(passage, error)
  })
  reply.send(stream)
  // The head goes out now, not with the first event: a client's timer waits for it.
  if (!reply.raw.writableEnded) reply.raw.flushHeaders()
}

/** undici under this call's own deadlines, given up when nobody waits any more. */
export function dispatcher(agent: Agent): Dispatcher['request'] {
  const request = (
    options: Dispatcher.RequestOptions & { headers: { [PASSAGE]?: Passage } },
    done: (error: Error | null, data: Dispatcher.ResponseData) => void
  ): void => {
    const passage = options.headers[PASSAGE]
    if (passage === undefined) throw new Error('a call has no passage')
    const { firstToken, idle } = destinationOf(passage).timeouts
    const { signal } = passage
    agent.request({ ...options, signal, headersTimeout: firstToken, bodyTimeout: idle }, done)
  }
  return request as unknown as Dispatcher['request']
}

export function explained(passage: Passage, wrapped: Error): Failure {
  const { place, timeouts } = destinationOf(passage)
  const error = (wrapped.cause instanceof Error ? wrapped.cause : wrapped) as Error & { code?: string }
  const timedOut = (text: string, timer: string, milliseconds: number): Failure =>
    new Failure('upstream-timed-out', `${place} timed out: ${text} ${milliseconds / 1000} s (timeouts.${timer}).`, {
      code: `timeout_${timer}`,
      cause: error,
      recommendations: ['Check that it is running and reachable, and not overloaded.']
    })
  switch (error.code) {
    case 'UND_ERR_HEADERS_TIMEOUT':
      return timedOut('no first byte within', 'first_token', timeouts.firstToken)
    case 'UND_ERR_BODY_TIMEOUT':
      return timedOut('nothing more came for', 'idle', timeouts.idle)
    case 'UND_ERR_CONNECT_TIMEOUT':
      return timedOut('no connection within', 'connect', CONNECT_TIMEOUT)
    case 'FST_REPLY_FROM_BAD_GATEWAY':
      return new Failure('upstream-failed', `${place} answered with a status that is none.`, { cause: error })
  }
  return brokenConnection(place, error, false)
}
