import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, chownSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { closedPort } from './port.ts'

const run = promisify(execFile)

/** PostgreSQL refuses to run as root; this is `nobody` wherever Docker runs. */
const NOBODY = 65534

export interface PostgresService {
  /** The address of a new, empty database. */
  createDatabase(): Promise<string>
  /** Stops the server at once, as a power cut does to its clients. */
  stop(): Promise<void>
  /** On the same port, with the same data. */
  start(): Promise<void>
  remove(): Promise<void>
}

/** A real server in a temporary folder; undefined where none is installed. */
export async function postgresService(): Promise<PostgresService | undefined> {
  const binaries = findPostgres()
  if (binaries === undefined) return undefined
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {}
  const folder = mkdtempSync(join(tmpdir(), 'sluice-postgres-'))
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  if (user.uid !== undefined) for (const path of [folder, data]) chownSync(path, NOBODY, NOBODY)
  await run(
    join(binaries, 'initdb'),
    ['-D', data, '-U', 'sluice', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...user, cwd: folder }
  )
  const port = await closedPort()
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off']
  let server: ChildProcess | undefined
  const start = async () => {
    server = spawn(join(binaries, 'postgres'), ['-D', data, ...settings.flatMap(setting => ['-c', setting])], {
      ...user,
      cwd: folder,
      stdio: 'ignore'
    })
    await until(() => canQuery(port))
  }
  const stop = async () => {
    const { exitCode, signalCode } = server ?? {}
    if (server === undefined || exitCode !== null || signalCode !== null) return
    const ended = new Promise(resolve => server?.once('exit', resolve))
    // PostgreSQL's «immediate» shutdown.
    server.kill('SIGQUIT')
    await ended
  }
  const kill = () => server?.kill('SIGQUIT')
  process.once('exit', kill)
  await start()
  let databases = 0
  return {
    createDatabase: async () => {
      const name = `test_${databases++}`
      await administer(port, `create database ${name} template template0`)
      return `postgres://sluice@127.0.0.1:${port}/${name}`
    },
    start,
    stop,
    remove: async () => {
      await stop()
      process.removeListener('exit', kill)
      rmSync(folder, { recursive: true, force: true })
    }
  }
}

export interface RedisService {
  readonly url: string
  stop(): Promise<void>
}

/** A real server without persistence, where another one was if that is given; undefined where none is installed. */
export async function redisService(again?: RedisService): Promise<RedisService | undefined> {
  const binary = inPath('redis-server')
  if (binary === undefined) return undefined
  const port = again === undefined ? await closedPort() : Number(new URL(again.url).port)
  const server = spawn(binary, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
    cwd: tmpdir(),
    stdio: 'ignore'
  })
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  await until(() => accepts(port))
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      const ended = new Promise(resolve => server.once('exit', resolve))
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGTERM')
        await ended
      }
      process.removeListener('exit', kill)
    }
  }
}

/** The folder of the newest one: Debian keeps them apart from the PATH. */
function findPostgres(): string | undefined {
  const debian = '/usr/lib/postgresql'
  const versions = isThere(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : []
  const folders = versions.map(version => join(debian, version, 'bin'))
  const { PATH = '' } = process.env
  return [...folders, ...PATH.split(delimiter)].find(folder =>
    ['initdb', 'postgres'].every(name => isThere(join(folder, name)))
  )
}

function inPath(name: string): string | undefined {
  const { PATH = '' } = process.env
  return PATH.split(delimiter)
    .map(folder => join(folder, name))
    .find(isThere)
}

function isThere(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function administer(port: number, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: `postgres://sluice@127.0.0.1:${port}/postgres` })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

function canQuery(port: number): Promise<boolean> {
  return administer(port, 'select 1').then(
    () => true,
    () => false
  )
}

function accepts(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

async function until(condition: () => Promise<boolean>, milliseconds = 20_000): Promise<void> {
  const late = Date.now() + milliseconds
  while (!(await condition())) {
    if (Date.now() > late) throw new Error('a service did not start')
    await wait(20)
  }
}
