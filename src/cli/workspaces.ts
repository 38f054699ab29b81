import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { Failure } from '../chat/failure.ts'
import type { Gateway } from '../exchange/gateway.ts'
import { noWorkspace } from '../server/workspaces.ts'
import { CannotStart } from './cannot-start.ts'
import { type ConfigFile, findConfig } from './find-config.ts'
import type { Logs } from './logs.ts'
import type { RunningGateway, StartOptions } from './serve.ts'

type Variables = StartOptions['env']

interface WorkspaceSettings {
  /** The file that declares them; their places are beside it. */
  readonly file: string
  readonly env: Variables
  /** Name → folder or file, as the configuration in force says. */
  readonly declared: () => Readonly<Record<string, string>>
  readonly logs: Logs
  readonly open: (options: Pick<StartOptions, 'file' | 'env' | 'workspace'>) => Promise<RunningGateway>
}

interface Opened {
  readonly place: string
  readonly gateway: Promise<RunningGateway | Failure>
  /** Once it runs. */
  running?: RunningGateway
  /** On the clock of `performance.now()`: when one that cannot be opened may be tried again. */
  again: number
}

/** A file that is wrong is not read for every request of an agent that keeps trying. */
const PAUSE = 1000

/** The file of a workspace; a string says why there is none. */
export function workspaceFile(from: string, place: string, env: Variables): ConfigFile | string {
  const path = resolve(dirname(from), place)
  const own = variablesOf(env)
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile() === true
  const found = findConfig(isFile ? { config: path } : { workspace: path }, own)
  if (typeof found === 'string' || found.whence !== 'packaged') return found
  return `There is no gateway.yaml in ${path}.`
}

/** What names the file and the data of the one that was started would make one of them all. */
function variablesOf(env: Variables): Variables {
  const { SLUICE_CONFIG: _, SLUICE_DATA_DIR: __, LLM_BACKEND_CONFIG: ___, LLM_PROXY_PORT: ____, ...own } = env
  return own
}

/** Other folders that this process serves: each is opened when it is first asked for, and is a gateway of its own. */
export class Workspaces {
  readonly #settings: WorkspaceSettings
  readonly #opened = new Map<string, Opened>()
  #closed = false

  constructor(settings: WorkspaceSettings) {
    this.#settings = settings
  }

  async find(name: string): Promise<FastifyInstance | Failure> {
    this.#forget()
    const declared = this.#settings.declared()
    const place = Object.hasOwn(declared, name) ? declared[name] : undefined
    if (place === undefined) return noWorkspace()
    if (this.#closed) return new Failure('unavailable', 'The gateway is shutting down.', { retryAfter: 5 })
    const before = this.#opened.get(name)
    const opened = before !== undefined && performance.now() < before.again ? before : this.#open(name, place)
    const found = await opened.gateway
    return found instanceof Failure ? found : found.app
  }

  /** The place in a hook of one of them that an error comes from, when it comes from one. */
  blame(error: unknown): string | undefined {
    for (const { running } of this.#opened.values()) {
      const hook = running?.blame(error)
      if (hook !== undefined) return hook
    }
    return undefined
  }

  async reload(reason: string): Promise<void> {
    await Promise.all([...this.#opened.values()].map(opened => opened.running?.reload(reason)))
  }

  /** Ends all of them, in order each. */
  async close(): Promise<void> {
    this.#closed = true
    const gateways = await Promise.all([...this.#opened.values()].map(opened => opened.gateway))
    await Promise.all(gateways.map(gateway => (gateway instanceof Failure ? undefined : gateway.stop())))
    this.#opened.clear()
  }

  #open(name: string, place: string): Opened {
    const opened: Opened = { place, gateway: this.#start(name, place), again: Number.POSITIVE_INFINITY }
    this.#opened.set(name, opened)
    void opened.gateway.then(gateway => {
      if (gateway instanceof Failure) opened.again = performance.now() + PAUSE
      else opened.running = gateway
    })
    return opened
  }

  async #start(name: string, place: string): Promise<RunningGateway | Failure> {
    const { file, env, open, logs } = this.#settings
    const wrong = (lines: readonly string[]) => {
      logs.event('error', `the workspace ${name} cannot be opened`, { workspace: name }, lines)
      return new Failure('unavailable', `The workspace \`${name}\` cannot be opened: its file is not in order.`, {
        retryAfter: PAUSE / 1000,
        recommendations: ['`sluice check` in its folder says what is wrong; the log of the gateway has it too.']
      })
    }
    const found = workspaceFile(file, place, env)
    if (typeof found === 'string') return wrong([found])
    try {
      const gateway = await open({ file: found.file, env: variablesOf(env), workspace: name })
      logs.event('info', `the workspace ${name} is open`, { workspace: name, config: found.file })
      return gateway
    } catch (error) {
      if (error instanceof CannotStart) return wrong(error.lines)
      logs.bug(error, `the workspace ${name} could not be opened`)
      return new Failure('bug', 'The gateway made a mistake; its log has more.')
    }
  }

  /** What is declared no more, or elsewhere, ends; its requests under way are finished. */
  #forget(): void {
    const declared = this.#settings.declared()
    for (const [name, opened] of this.#opened) {
      if (declared[name] === opened.place) continue
      this.#opened.delete(name)
      void opened.gateway.then(gateway => (gateway instanceof Failure ? undefined : gateway.stop()))
    }
  }
}

/** Other folders behind the same port. Those of a workspace are not its own to open: it is one itself. */
export function workspacesOf(
  options: StartOptions,
  gateway: Gateway,
  logs: Logs,
  start: (options: StartOptions) => Promise<RunningGateway>
): Workspaces | undefined {
  const declared = () => gateway.runtime.config.workspaces
  if (options.workspace === undefined) {
    const open: WorkspaceSettings['open'] = own =>
      start({
        ...own,
        ...(options.log !== undefined && { log: options.log }),
        terminal: options.terminal === true,
        json: options.json === true
      })
    return new Workspaces({ file: options.file, env: options.env, declared, logs, open })
  }
  if (Object.keys(declared()).length > 0) logs.event('warn', 'workspaces of a workspace are not served')
  return undefined
}
