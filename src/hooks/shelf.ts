import type { Jiti } from 'jiti'
import type { GatewayConfig } from '../config/generated/types.ts'
import { nearest } from '../lib/nearest.ts'
import { messageOf, placeIn, shown } from './blame.ts'
import { Bound, type Instance } from './bound.ts'
import { checkOptions, type Definition, hookLoader, readDefinition } from './definition.ts'
import type { HookEnvironment } from './environment.ts'
import { filesOfHook, findHook, knownHooks, stampOfFiles } from './files.ts'
import { deepFreeze } from './freeze.ts'
import type { Phases } from './hook.ts'
import { HookSet } from './hook-set.ts'
import { type HookProblem, type Listed, listedIn } from './listed.ts'
import { servicesFor } from './services.ts'
import { Stores } from './stores.ts'

/** What hooks need of a configuration. */
export type HookConfig = Pick<GatewayConfig, 'hooks' | 'model_list' | 'store'>

interface Read {
  readonly stamp: string
  readonly definition: Definition
}

interface Running extends Instance {
  readonly key: string
  /** Where its store lies. */
  readonly redisUrl: string
  users: number
}

export interface Shelved {
  readonly set: HookSet
  /** What is wrong, but stopped nothing: the last good one of a file goes on. */
  readonly warnings: readonly string[]
}

/** A setup that takes longer does not end. */
const SETUP = 10_000

/** Hooks by their files, for the life of the process: what did not change goes on over a reload, with what it holds. */
export class Shelf {
  readonly #environment: HookEnvironment
  readonly #stores = new Stores()
  readonly #read = new Map<string, Read>()
  /** What is wrong with a file, as it is. */
  readonly #broken = new Map<string, string>()
  /** Hooks of the configuration's own folder that were there before. */
  #seen: ReadonlySet<string> = new Set()
  readonly #running = new Map<string, Running>()
  readonly #disposing = new Set<Promise<void>>()
  /** Every file of every hook there was, for whom to blame. */
  readonly #files = new Set<string>()
  #watched: readonly string[] = []
  #jiti: Jiti | undefined

  constructor(environment: HookEnvironment) {
    this.#environment = environment
  }

  /** Files of hooks that were listed last: what has to be watched. */
  get watched(): readonly string[] {
    return this.#watched
  }

  /** How many are alive. */
  get size(): number {
    return this.#running.size
  }

  /** The place in a hook that an error comes from, when it comes from one. */
  behind(error: unknown): string | undefined {
    return placeIn(error, this.#files)
  }

  /** The hooks that a configuration lists, each of them running, or every thing that is wrong. */
  async take(config: HookConfig, configFile: string): Promise<Shelved | readonly HookProblem[]> {
    const { own, entries } = listedIn(config)
    const taking = new Taking()
    const watched = new Set<string>()
    const bind = async (list: readonly (Listed | HookProblem)[]): Promise<Bound[]> => {
      const bounds: Bound[] = []
      for (const listed of list) {
        if ('message' in listed) taking.problems.push(listed)
        else {
          const instance = await this.#instance(listed, config, configFile, taking, watched)
          if (instance !== undefined) bounds.push(new Bound(instance, listed, this.#environment))
        }
      }
      return bounds
    }
    const ownBounds = await bind(own)
    const byEntry: Bound[][] = []
    for (const list of entries) byEntry.push(await bind(list))
    this.#watched = [...watched]
    this.#tellNew(configFile)
    const release = () => {
      for (const instance of taking.taken) this.#release(instance)
    }
    if (taking.problems.length > 0) {
      release()
      return taking.problems
    }
    const stamp = taking.taken.map(instance => instance.key).join('\n')
    return { set: new HookSet(ownBounds, byEntry, stamp, release), warnings: taking.warnings }
  }

  /** A file that was put into the folder is known by its name at once, and runs when it is listed. */
  #tellNew(configFile: string): void {
    const own = knownHooks(configFile).filter(hook => !hook.shipped)
    for (const { name, file } of own)
      if (!this.#seen.has(file) && !this.#watched.includes(file))
        this.#environment.log.info(
          `the hook \`${name}\` (${shown(file)}) is known, and runs once \`hooks\` in gateway.yaml lists it`
        )
    this.#seen = new Set(own.map(({ file }) => file))
  }

  async #definition(file: string, warnings: string[] | undefined): Promise<Read | undefined> {
    const stamp = stampOfFiles(filesOfHook(file))
    const known = this.#read.get(file)
    if (known?.stamp === stamp) return known
    this.#jiti ??= hookLoader()
    const definition = await readDefinition(this.#jiti, file)
    if (typeof definition !== 'string') {
      this.#broken.delete(file)
      const read = { stamp, definition }
      this.#read.set(file, read)
      return read
    }
    this.#broken.set(file, definition)
    if (known !== undefined) warnings?.push(`${definition}; the last one that did goes on`)
    return known
  }

  async #instance(
    listed: Listed,
    config: HookConfig,
    configFile: string,
    taking: Taking,
    watched: Set<string>
  ): Promise<Running | undefined> {
    const found = findHook(listed.name, configFile)
    if (found === undefined) {
      const near = nearest(
        listed.name,
        knownHooks(configFile).map(hook => hook.name),
        1
      )[0]
      const hint = near === undefined ? 'put a file of that name into `hooks/`' : `did you mean "${near}"?`
      taking.problems.push({ path: listed.path, message: `there is no hook \`${listed.name}\`; ${hint}` })
      return undefined
    }
    const { file } = found
    for (const path of filesOfHook(file)) {
      watched.add(path)
      this.#files.add(path)
    }
    const read = await this.#definition(file, taking.warnings)
    if (read === undefined) {
      taking.problems.push({ path: listed.path, message: this.#broken.get(file) ?? 'cannot be loaded' })
      return undefined
    }
    const checked = checkOptions(read.definition, listed.options)
    if (!('options' in checked)) {
      for (const { path, message } of checked) taking.problems.push({ path: [...listed.path, ...path], message })
      return undefined
    }
    const redisUrl = config.store.redis_url
    const key = [file, read.stamp, JSON.stringify(checked.options), redisUrl].join('\n')
    const running = this.#running.get(key) ?? (await this.#start(key, file, read, checked.options, config, configFile))
    if (typeof running === 'string') {
      taking.problems.push({ path: listed.path, message: running })
      return undefined
    }
    running.users++
    taking.taken.push(running)
    return running
  }

  async #start(
    key: string,
    file: string,
    { definition }: Read,
    options: unknown,
    config: HookConfig,
    configFile: string
  ): Promise<Running | string> {
    const { name } = definition
    const { redis_url } = config.store
    const services = servicesFor({
      hook: name,
      environment: this.#environment,
      kv: this.#stores.at(redis_url),
      configFile,
      config
    })
    const files = new Set(filesOfHook(file))
    try {
      const phases = await withinTime(definition.setup(deepFreeze(options), services))
      if (!isPhases(phases))
        return `the hook ${name} (${shown(file)}): \`setup\` must return the phases it takes part in`
      const running: Running = { key, name, phases, timeout: definition.timeout, files, redisUrl: redis_url, users: 0 }
      this.#running.set(key, running)
      return running
    } catch (error) {
      const place = placeIn(error, files) ?? shown(file)
      return `the hook ${name} cannot be set up (${place}): ${messageOf(error)}`
    }
  }

  /** Ends what runs, whoever still uses it: the process ends. */
  async close(): Promise<void> {
    const running = [...this.#running.values()]
    this.#running.clear()
    await withinTime(Promise.all(running.map(instance => this.#dispose(instance)))).catch(() => undefined)
    await withinTime(Promise.all(this.#disposing)).catch(() => undefined)
    this.#stores.keepOnly(new Set())
  }

  #release(instance: Running): void {
    instance.users--
    if (instance.users > 0 || !this.#running.delete(instance.key)) return
    const disposing = this.#dispose(instance).finally(() => {
      this.#disposing.delete(disposing)
      this.#stores.keepOnly(new Set([...this.#running.values()].map(({ redisUrl }) => redisUrl)))
    })
    this.#disposing.add(disposing)
  }

  async #dispose({ name, phases }: Running): Promise<void> {
    try {
      await phases.dispose?.()
    } catch (error) {
      this.#environment.metrics.hookFailed(name)
      this.#environment.log.error(`the hook \`${name}\` failed in dispose: ${messageOf(error)}`, { hook: name })
    }
  }
}

/** What one configuration has got hold of so far. */
class Taking {
  readonly problems: HookProblem[] = []
  readonly warnings: string[] = []
  readonly taken: Running[] = []
}

function withinTime(work: unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`setup took longer than ${SETUP / 1000} s`)), SETUP)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

const PHASES = ['preCall', 'postCall', 'onEvent', 'onFailure', 'onDone', 'dispose'] as const

/** A misspelt phase would never run, and nobody would know. */
function isPhases(value: unknown): value is Phases {
  if (typeof value !== 'object' || value === null) return false
  const named = Object.entries(value).filter(([, phase]) => phase !== undefined)
  const known: readonly string[] = PHASES
  const wrong = named.filter(([name, phase]) => !known.includes(name) || typeof phase !== 'function')
  if (wrong.length > 0)
    throw new TypeError(
      `there is no phase ${wrong.map(([name]) => `\`${name}\``).join(', ')}; known: ${PHASES.join(', ')}`
    )
  return named.length > 0
}
