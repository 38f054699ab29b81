import { dirname } from 'node:path'
import type { Jiti } from 'jiti'
import type { GatewayConfig } from '../config/generated/types.ts'
import { nearest } from '../lib/nearest.ts'
import { messageOf, placeIn, shown } from './blame.ts'
import { Bound, type Instance } from './bound.ts'
import { checkOptions, type Definition, hookLoader, readDefinition } from './definition.ts'
import type { HookEnvironment } from './environment.ts'
import { filesOfHook, findHook, knownHooks, stampOfFiles } from './files.ts'
import { deepFreeze } from './freeze.ts'
import { HookSet } from './hook-set.ts'
import { Isolated } from './isolated.ts'
import { type HookProblem, type Listed, listedIn } from './listed.ts'
import { phasesOf } from './phases.ts'
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
  #models: readonly string[] = []
  /** Where a hook in a thread stands in the file → the key of the one that runs. */
  readonly #lastIsolated = new Map<string, string>()
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

  /** Whether the Redis answers that hooks keep things in; undefined where they have none, or have not used it. */
  get redis(): 'healthy' | 'unreachable' | undefined {
    return this.#stores.redis
  }

  /** The place in a hook that an error comes from, when it comes from one. */
  behind(error: unknown): string | undefined {
    return placeIn(error, this.#files)
  }

  /** The hooks that a configuration lists, each of them running, or every thing that is wrong. */
  async take(config: HookConfig, configFile: string): Promise<Shelved | readonly HookProblem[]> {
    const { own, entries } = listedIn(config)
    const taking = new Taking(dirname(configFile), config.store.redis_url)
    this.#models = [...new Set(config.model_list.map(entry => entry.model_name))]
    const watched = new Set<string>()
    const bind = async (list: readonly (Listed | HookProblem)[]): Promise<Bound[]> => {
      const bounds: Bound[] = []
      for (const listed of list) {
        if ('message' in listed) taking.problems.push(listed)
        else {
          const instance = await this.#instance(listed, configFile, taking, watched)
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
      return taking.refuse(listed.path, `there is no hook \`${listed.name}\`; ${hint}`)
    }
    const { file } = found
    for (const path of filesOfHook(file)) {
      watched.add(path)
      this.#files.add(path)
    }
    const running = await (listed.isolated ? this.#isolated(listed, file, taking) : this.#within(listed, file, taking))
    if (running === undefined) return undefined
    running.users++
    taking.taken.push(running)
    return running
  }

  /** In the gateway's own thread. */
  async #within({ path, options }: Listed, file: string, taking: Taking): Promise<Running | undefined> {
    const read = await this.#definition(file, taking.warnings)
    if (read === undefined) return taking.refuse(path, this.#broken.get(file) ?? 'cannot be loaded')
    const checked = checkOptions(read.definition, options)
    if (!('options' in checked)) {
      for (const problem of checked) taking.refuse([...path, ...problem.path], problem.message)
      return undefined
    }
    const { redisUrl } = taking
    const key = [file, read.stamp, JSON.stringify(checked.options), redisUrl].join('\n')
    const known = this.#running.get(key)
    if (known !== undefined) return known
    const { name, timeout, setup } = read.definition
    const services = servicesFor({
      hook: name,
      environment: this.#environment,
      kv: this.#stores.at(redisUrl),
      folder: taking.folder,
      models: () => this.#models
    })
    const files = new Set(filesOfHook(file))
    try {
      const phases = phasesOf(await withinTime(setup(deepFreeze(checked.options), services)))
      return this.#keep({ key, name, phases, timeout, files, redisUrl, users: 0 })
    } catch (error) {
      const place = placeIn(error, files) ?? shown(file)
      return taking.refuse(path, `the hook ${name} cannot be set up (${place}): ${messageOf(error)}`)
    }
  }

  /** In a thread of its own, which alone ever runs a line of it. */
  async #isolated(
    { path, name: hook, options, timeout }: Listed,
    file: string,
    taking: Taking
  ): Promise<Running | undefined> {
    const { redisUrl, folder } = taking
    const files = new Set(filesOfHook(file))
    const place = ['worker', file, JSON.stringify(options), redisUrl, timeout, this.#models.join()].join('\n')
    const key = `${place}\n${stampOfFiles([...files])}`
    const known = this.#running.get(key)
    if (known !== undefined) return known
    const { environment, models } = { environment: this.#environment, models: this.#models }
    const kv = this.#stores.at(redisUrl)
    const isolated = new Isolated({ hook, file, options, folder, models, kv, environment, timeout, files })
    const started = await isolated.start()
    const before = this.#lastIsolated.get(place)
    if ('phases' in started) {
      const { phases, ready } = started
      const running = { key, name: ready.name, phases, timeout: timeout ?? ready.timeout, files, redisUrl, users: 0 }
      this.#lastIsolated.set(place, key)
      return this.#keep(running)
    }
    const last = before === undefined ? undefined : this.#running.get(before)
    for (const problem of started) {
      if (last === undefined) taking.refuse([...path, ...problem.path], problem.message)
      else taking.warnings.push(`${problem.message}; the last one that did goes on`)
    }
    return last
  }

  #keep(running: Running): Running {
    this.#running.set(running.key, running)
    return running
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
    for (const [place, key] of this.#lastIsolated) if (key === instance.key) this.#lastIsolated.delete(place)
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
  /** gateway.yaml's. */
  readonly folder: string
  readonly redisUrl: string

  constructor(folder: string, redisUrl: string) {
    this.folder = folder
    this.redisUrl = redisUrl
  }

  refuse(path: HookProblem['path'], message: string): undefined {
    this.problems.push({ path, message })
  }
}

function withinTime(work: unknown): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`setup took longer than ${SETUP / 1000} s`)), SETUP)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
