// An upstream that speaks raw TCP, for bytes that are no valid HTTP.
import { createServer, type Socket } from 'node:net'
import { closeServer, listen, socketsOf } from './port.ts'

export interface RawUpstream {
  readonly url: string
  readonly port: number
  /** What each connection has sent so far. */
  readonly received: Buffer[]
  close(): Promise<void>
}

/** Speaks raw TCP: answers the first bytes of each connection with whatever is given, valid HTTP or not, then ends it. */
export async function rawUpstream(
  bytes: string | Buffer | readonly (string | Buffer)[],
  { end = true }: { end?: boolean } = {}
): Promise<RawUpstream> {
  const pieces = Array.isArray(bytes) ? bytes : [bytes as string | Buffer]
  const received: Buffer[] = []
  const server = createServer(socket => {
    const index = received.push(Buffer.alloc(0)) - 1
    socket.on('error', () => undefined)
    socket.on('data', chunk => {
      received[index] = Buffer.concat([received[index] ?? Buffer.alloc(0), chunk])
    })
    socket.once('data', () => void writePieces(socket, pieces, end))
  })
  const sockets = socketsOf(server)
  const port = await listen(server)
  return { url: `http://127.0.0.1:${port}`, port, received, close: () => closeServer(server, sockets) }
}

async function writePieces(socket: Socket, pieces: readonly (string | Buffer)[], end: boolean): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return
    await new Promise(resolve => socket.write(piece, () => setImmediate(resolve)))
  }
  if (end) socket.end()
}
