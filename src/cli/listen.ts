import type { FastifyInstance } from 'fastify'
import { CannotStart } from './cannot-start.ts'
import { ask } from './client.ts'
import { identify, readPidFile } from './pid-file.ts'

const FIRST_PORT = 4000
const LAST_PORT = 4099
/** A thousand clients may come at once: one that finds the queue full tries again a whole second later. */
const BACKLOG = 4096

export interface Listening {
  readonly port: number
  /** How a client on this machine reaches it. */
  readonly url: string
}

/** Opens the port, or the first free one. */
export async function listen(
  app: FastifyInstance,
  host: string,
  asked: number | 'auto',
  dataDir: string
): Promise<Listening> {
  for (let port = asked === 'auto' ? FIRST_PORT : asked; ; port++) {
    try {
      await app.listen({ host, port, backlog: BACKLOG })
      const address = app.server.address()
      const open = address !== null && typeof address === 'object' ? address.port : port
      return { port: open, url: `http://${reachable(host)}:${open}` }
    } catch (error) {
      const { code } = error as { code?: string }
      if (asked === 'auto' && code === 'EADDRINUSE' && port < LAST_PORT) continue
      throw new CannotStart(await explain(error, code, host, port, dataDir))
    }
  }
}

function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return host.includes(':') ? `[${host}]` : host
}

async function explain(
  error: unknown,
  code: string | undefined,
  host: string,
  port: number,
  dataDir: string
): Promise<string[]> {
  const place = `${host}:${port}`
  switch (code) {
    case 'EADDRINUSE':
      return [
        `${place} is in use${await holder(host, port, dataDir)}.`,
        'Take another port (--port auto finds a free one), or end what holds this one.'
      ]
    case 'EACCES':
      return [
        `${place} may not be opened by this user.`,
        'Ports below 1024 need rights; take a higher one: --port 4000.'
      ]
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return [
        `This machine has no address ${host}.`,
        'Use 127.0.0.1 (this machine alone) or 0.0.0.0 (every interface).'
      ]
    default:
      return [`${place} cannot be opened: ${error instanceof Error ? error.message : String(error)}`]
  }
}

/** Who may hold the port, as far as it can be seen. */
async function holder(host: string, port: number, dataDir: string): Promise<string> {
  const record = readPidFile(dataDir)
  if (record?.port === port && (await identify(record)) === 'ours')
    return ` by this gateway itself, started before (pid ${record.pid}; \`sluice stop\` ends it)`
  const reply = await ask(`http://${reachable(host)}:${port}`, '/', 500)
  if (typeof reply !== 'string' && reply.body['name'] === 'sluice') return ' by another Sluice'
  return process.platform === 'win32' ? '' : ` by another program (\`lsof -i :${port}\` says which)`
}
