// Upstreams on real sockets for tests over HTTP: one that plays the demo, one that plays recorded bytes.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createDemo } from '../../src/demo/demo.ts'
import type { Wire, WireControl } from '../../src/lib/wire.ts'
import { closeServer, listen, socketsOf } from './port.ts'

/** A request exactly as it came. */
export interface ReceivedRequest {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Whole once `complete` is true. */
  body: Buffer
  complete: boolean
  receivedAt: number
  /** When the client went away before it had been answered whole. */
  abortedAt: number | undefined
}

export interface Upstream {
  readonly url: string
  readonly port: number
  readonly requests: ReceivedRequest[]
  /** Resolves when so many requests have come whole. */
  received(count: number): Promise<ReceivedRequest>
  /** Resolves when the client has gone away before the end of that request's answer. */
  aborted(index?: number): Promise<ReceivedRequest>
  close(): Promise<void>
}

export type Answer = (request: ReceivedRequest, response: ServerResponse) => void

/** A real HTTP server that answers each request, once it is whole, with the wire or the function given. */
export async function startUpstream(answer: Wire | Answer): Promise<Upstream> {
  const answerWith = typeof answer === 'function' ? answer : playWire(answer)
  const requests: ReceivedRequest[] = []
  const watchers = new Set<() => void>()
  const changed = () => {
    for (const watcher of watchers) watcher()
  }
  const server = createServer(receive(requests, answerWith, changed))
  const sockets = socketsOf(server)
  const port = await listen(server)
  const until = (find: () => ReceivedRequest | undefined) =>
    new Promise<ReceivedRequest>(resolve => {
      const look = () => {
        const found = find()
        if (found === undefined) return
        watchers.delete(look)
        resolve(found)
      }
      watchers.add(look)
      look()
    })
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    received: count => until(() => requests.filter(request => request.complete)[count - 1]),
    aborted: (index = 0) => until(() => (requests[index]?.abortedAt === undefined ? undefined : requests[index])),
    close: () => closeServer(server, sockets)
  }
}

function receive(requests: ReceivedRequest[], answer: Answer, changed: () => void): RequestListener {
  return (message: IncomingMessage, response: ServerResponse) => {
    const { method = '', url = '', rawHeaders, headers } = message
    const request: ReceivedRequest = {
      method,
      url,
      rawHeaders: [...rawHeaders],
      headers,
      body: Buffer.alloc(0),
      complete: false,
      receivedAt: performance.now(),
      abortedAt: undefined
    }
    requests.push(request)
    const chunks: Buffer[] = []
    message.on('data', (chunk: Buffer) => chunks.push(chunk))
    message.on('error', () => undefined)
    message.on('end', () => {
      request.body = Buffer.concat(chunks)
      request.complete = true
      changed()
      answer(request, response)
    })
    response.on('close', () => {
      if (response.writableFinished) return
      if (!request.complete) request.body = Buffer.concat(chunks)
      request.abortedAt = performance.now()
      changed()
    })
  }
}

/** The built-in demo, over a socket. */
export function demoUpstream(): Promise<Upstream> {
  return startUpstream(createDemo())
}

export function playWire(wire: Wire): Answer {
  return (request, response) => {
    const headers: string[] = []
    for (const [index, value] of request.rawHeaders.entries())
      headers.push(index % 2 === 0 ? value.toLowerCase() : value)
    const body = request.body.length > 0 ? [request.body] : []
    const { method, url: path } = request
    const control: WireControl = wire.send(
      { method, path, headers, body, bodyLength: request.body.length },
      {
        onStart: () => undefined,
        onHead: (status, head) => {
          response.writeHead(status, { ...head })
          response.flushHeaders()
        },
        onData: chunk => {
          if (!response.write(chunk)) control.pause()
        },
        onEnd: () => response.end(),
        onError: () => response.socket?.resetAndDestroy()
      }
    )
    response.on('drain', () => control.resume())
    response.on('close', () => control.abort())
  }
}

export interface Recording {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** Written one by one, so that each arrives as a chunk of its own where the network lets it. */
  readonly chunks?: readonly (Buffer | string)[]
  /** Milliseconds before each chunk: one number for all of them, or one each. */
  readonly delays?: number | readonly number[]
  /** The connection breaks after so many bytes of the body. */
  readonly cutAfter?: number
  readonly destroyAt?: 'before-head' | 'after-head' | 'mid-body'
  /** Leaves the answer open after the last chunk. */
  readonly hang?: boolean
}

/** Plays bytes with chosen cuts and delays: one recording for all requests, or one each, the last one for the rest. */
export function recordedUpstream(recordings: Recording | readonly Recording[]): Promise<Upstream> {
  const queue: readonly Recording[] = Array.isArray(recordings) ? recordings : [recordings as Recording]
  let next = 0
  return startUpstream((_request, response) => {
    const recording = queue[Math.min(next++, queue.length - 1)] ?? {}
    void play(recording, response)
  })
}

async function play(recording: Recording, response: ServerResponse): Promise<void> {
  const { status = 200, headers = {}, destroyAt, delays = 0, hang = false } = recording
  if (destroyAt === 'before-head') return destroy(response)
  const chunks = cut(
    (recording.chunks ?? []).map(chunk => Buffer.from(chunk)),
    recording.cutAfter
  )
  const last = destroyAt === 'mid-body' ? Math.ceil(chunks.length / 2) : chunks.length
  response.writeHead(status, { ...headers })
  response.flushHeaders()
  if (destroyAt === 'after-head') return destroy(response)
  for (const [index, chunk] of chunks.slice(0, last).entries()) {
    // A turn in between at least, so that chunks do not share a write.
    const wait = typeof delays === 'number' ? delays : (delays[index] ?? 0)
    await new Promise(resolve => (wait > 0 ? setTimeout(resolve, wait) : setImmediate(resolve)))
    if (response.destroyed) return
    await new Promise(resolve => response.write(chunk, resolve))
  }
  if (destroyAt === 'mid-body' || recording.cutAfter !== undefined) return destroy(response)
  if (!hang) response.end()
}

function cut(chunks: readonly Buffer[], most = Number.POSITIVE_INFINITY): Buffer[] {
  let left = most
  return chunks.flatMap(chunk => {
    const kept = chunk.subarray(0, left)
    left -= kept.length
    return kept.length > 0 ? [kept] : []
  })
}

/** A reset, after what was written has had its turn to leave. */
function destroy(response: ServerResponse): void {
  setImmediate(() => response.socket?.resetAndDestroy())
}
