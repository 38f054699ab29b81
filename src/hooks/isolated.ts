// The gateway's side of a hook in a thread of its own.

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import { Failure } from '../chat/failure.ts'
import { placeIn } from './blame.ts'
import { type CallOrigin, HookCall } from './call.ts'
import type { OptionProblem } from './definition.ts'
import type { HookEnvironment } from './environment.ts'
import type { Call, Kv, Phases } from './hook.ts'
import type {
  FromThread,
  Granted,
  InHatch,
  IsolatedPhase,
  PlainCall,
  PlainError,
  Start,
  ToThread,
  Wish
} from './isolated-messages.ts'
import { type Given, noCall, noFailure, type Pending, plainFailure, settle } from './isolated-values.ts'

export interface IsolatedSettings {
  /** As gateway.yaml names it. */
  readonly hook: string
  readonly file: string
  readonly options: unknown
  readonly folder: string
  readonly models: readonly string[]
  readonly kv: Kv
  readonly environment: HookEnvironment
  /** Milliseconds that a phase may take; undefined: what the hook says. */
  readonly timeout: number | undefined
  /** For whom to blame. */
  readonly files: ReadonlySet<string>
}

interface Ready {
  readonly phases: readonly string[]
  readonly name: string
  readonly timeout: number
}

/** A thread that does not say within this time that it is there is computing. */
const GRACE = 100
const STARTING = 10_000
const RESTARTING = 1000
const DISPOSING = 5000
const MEMORY_MB = 256
/** Requests that a hook may still be asked about; their end is not always told to it. */
const MOST_CALLS = 10_000

export class Isolated {
  readonly #settings: IsolatedSettings
  readonly #pending = new Map<number, Pending>()
  readonly #keys = new WeakMap<CallOrigin, number>()
  readonly #origins = new Map<number, CallOrigin>()
  #thread: Promise<Worker> | undefined
  #worker: Worker | undefined
  #bell = new Int32Array(new SharedArrayBuffer(4))
  #hatch: MessagePort | undefined
  #lastAsk = 0
  #lastKey = 0
  #timeout = 0
  #wantsChat = false
  #pong: (() => void) | undefined
  /** Settles when it is known whether the thread answers. */
  #checking: Promise<void> | undefined
  #startedAt = Number.NEGATIVE_INFINITY
  /** It has worked once: what makes it end later is no reason not to start it again. */
  #wasReady = false
  #closed = false
  #disposed: (() => void) | undefined

  constructor(settings: IsolatedSettings) {
    this.#settings = settings
  }

  /** The phases that it takes part in, each of which asks the thread; or what is wrong with it. */
  async start(): Promise<{ readonly phases: Phases; readonly ready: Ready } | readonly OptionProblem[]> {
    const first = await this.#open()
    if (!('ready' in first)) return first
    const { ready } = first
    if (ready.phases.includes('onEvent')) {
      await this.#worker?.terminate()
      const message = `the hook ${ready.name} has \`onEvent\`, which may not wait and so cannot be asked in a worker`
      return [{ path: [], message }]
    }
    this.#timeout = this.#settings.timeout ?? ready.timeout
    this.#wasReady = true
    this.#thread = Promise.resolve(first.worker)
    const has = (phase: string) => ready.phases.includes(phase)
    const phases: Phases = {
      ...(has('preCall') && { preCall: call => this.#ask('preCall', call, undefined) }),
      ...(has('postCall') && {
        postCall: async (answer, call) => noCall(await this.#ask('postCall', call, answer))
      }),
      ...(has('onFailure') && {
        onFailure: async (failure, call) => noFailure(await this.#ask('onFailure', call, plainFailure(failure)))
      }),
      onDone: async (record, call) => {
        if (has('onDone')) await this.#ask('onDone', call, record)
        this.#forget(originOf(call))
      },
      dispose: () => this.#dispose()
    }
    return { phases, ready }
  }

  /** Starts the thread, again when it had to be ended. */
  async #open(): Promise<{ readonly ready: Ready; readonly worker: Worker } | readonly OptionProblem[]> {
    const { file, options, folder, models } = this.#settings
    const bell = new Int32Array(new SharedArrayBuffer(4))
    const { port1: hatch, port2 } = new MessageChannel()
    const workerData: Start = { file, options, folder, models, bell: bell.buffer, hatch: port2 }
    const worker = new Worker(new URL('./isolated-thread.js', import.meta.url), {
      workerData,
      transferList: [port2],
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: MEMORY_MB }
    })
    this.#startedAt = performance.now()
    this.#worker = worker
    this.#bell = bell
    this.#hatch = hatch
    const outcome = await new Promise<FromThread>(resolve => {
      const late = setTimeout(() => resolve(wrong(`setup took longer than ${STARTING / 1000} s`)), STARTING)
      const settle = (message: FromThread) => {
        clearTimeout(late)
        resolve(message)
      }
      worker.on('message', (message: FromThread) => {
        if ('ready' in message || 'wrong' in message) settle(message)
        else this.#hear(message, worker)
      })
      worker.on('error', error => {
        this.#stray({ message: error.message, stack: error.stack })
        settle(wrong(`its thread ended: ${error.message}`))
      })
      worker.on('exit', () => {
        settle(wrong('its thread ended'))
        this.#lost(worker, 'its thread ended')
      })
    })
    // A thread is no reason for the process to go on.
    worker.unref()
    if ('ready' in outcome) {
      const { ready: phases, name, timeout } = outcome
      return { ready: { phases, name, timeout }, worker }
    }
    await worker.terminate()
    return 'wrong' in outcome ? outcome.wrong : []
  }

  async #ask(phase: IsolatedPhase, call: Call, about: unknown): Promise<Given> {
    if (!(call instanceof HookCall)) throw new TypeError('not a call of this gateway')
    const worker = await this.#running()
    const ask = ++this.#lastAsk
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#check(worker), this.#timeout)
      const settle =
        <Value>(done: (value: Value) => void) =>
        (value: Value) => {
          clearTimeout(timer)
          done(value)
        }
      this.#pending.set(ask, { call, resolve: settle(resolve), reject: settle(reject) })
      const message: ToThread = { ask, phase, call: this.#plainCall(call), about }
      worker.postMessage(message)
    })
  }

  async #running(): Promise<Worker> {
    await this.#checking
    if (this.#closed) throw new Error('its thread has been ended')
    this.#thread ??= this.#again()
    return this.#thread
  }

  /** One that dies again and again is not started all the time. */
  async #again(): Promise<Worker> {
    await new Promise(resolve => setTimeout(resolve, this.#startedAt + RESTARTING - performance.now()).unref())
    const opened = this.#closed ? [] : await this.#open()
    if ('worker' in opened) return opened.worker
    this.#thread = undefined
    throw new Error(opened[0]?.message ?? 'its thread cannot be started')
  }

  /** A phase is late. If the thread waits for something, that is all; if it computes, only its end helps. */
  #check(worker: Worker): void {
    if (this.#checking !== undefined || this.#worker !== worker) return
    this.#checking = new Promise(resolve => {
      const done = () => {
        clearTimeout(late)
        this.#checking = undefined
        resolve()
      }
      const late = setTimeout(() => {
        this.#lost(worker, `its thread computed for longer than ${this.#timeout / 1000} s and was ended`)
        void worker.terminate()
        done()
      }, GRACE)
      this.#pong = done
    })
    const ping: ToThread = { ping: true }
    worker.postMessage(ping)
  }

  /** Whoever waits for this thread waits in vain; another one begins. */
  #lost(worker: Worker, why: string): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#hatch?.close()
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    this.#disposed?.()
    for (const { reject } of pending) reject(new Error(why))
    if (this.#closed || !this.#wasReady) return
    this.#thread = this.#again()
    // Whoever asks next is told what is wrong.
    this.#thread.catch(() => undefined)
  }

  #hear(message: FromThread, worker: Worker): void {
    const { environment, hook } = this.#settings
    if ('answered' in message) {
      const pending = this.#pending.get(message.answered)
      this.#pending.delete(message.answered)
      if (pending !== undefined) settle(pending, message.said)
    } else if ('chatOf' in message) this.#ring(message.chatOf)
    else if ('wish' in message) void this.#grant(message.wish, message.wanted, worker)
    else if ('log' in message) environment.log[message.log](message.message, { ...message.fields, hook })
    else if ('count' in message) environment.metrics.hookCounted(hook, message.count, message.amount)
    else if ('stray' in message) this.#stray(message.stray)
    else if ('pong' in message) this.#pong?.()
    else if ('disposed' in message) this.#disposed?.()
  }

  #stray(error: PlainError): void {
    const { environment, hook, files } = this.#settings
    const place = placeIn(error, files)
    environment.metrics.hookFailed(hook)
    const where = place === undefined ? '' : ` (${place})`
    environment.log.error(`the hook \`${hook}\` left an error behind in its thread${where}: ${error.message}`, { hook })
  }

  #ring(key: number): void {
    this.#wantsChat = true
    const read = this.#origins.get(key)?.chat()
    const left: InHatch =
      read === undefined ? { none: true } : read instanceof Failure ? plainFailure(read) : { chat: read }
    this.#hatch?.postMessage(left)
    Atomics.store(this.#bell, 0, 1)
    Atomics.notify(this.#bell, 0)
  }

  async #grant(wish: number, wanted: Wish, worker: Worker): Promise<void> {
    let reply: ToThread
    try {
      reply = { reply: wish, value: await this.#granted(wanted) }
    } catch (error) {
      reply = { reply: wish, value: undefined, error: error instanceof Error ? error.message : String(error) }
    }
    worker.postMessage(reply)
  }

  async #granted(wanted: Wish): Promise<unknown> {
    const { kv } = this.#settings
    if ('of' in wanted) {
      const origin = this.#origins.get(wanted.of)
      const asked = 'chat' in wanted ? origin?.ask(wanted.chat) : origin?.embed(wanted.embed, wanted.texts)
      const told = (await asked) ?? new Failure('unavailable', 'The request is over.')
      const granted: Granted<unknown> = told instanceof Failure ? plainFailure(told) : { told }
      return granted
    }
    const { key, value = '', seconds = 0 } = wanted
    if (wanted.kv === 'get') return kv.get(key)
    return wanted.kv === 'set' ? kv.set(key, value, seconds) : kv.delete(key)
  }

  #plainCall(call: HookCall): PlainCall {
    const { origin, target, changes } = call
    const { id, model, stream, dialect, operation, caller } = origin
    const chat = this.#wantsChat ? origin.chat() : undefined
    return {
      key: this.#keyOf(origin),
      id,
      model,
      stream,
      dialect,
      operation,
      caller,
      maxTokens: origin.maxTokens(),
      headers: origin.headers(),
      tags: origin.tags(),
      target,
      changes,
      chat: chat instanceof Failure ? undefined : chat
    }
  }

  #keyOf(origin: CallOrigin): number {
    const known = this.#keys.get(origin)
    if (known !== undefined) return known
    const key = ++this.#lastKey
    this.#keys.set(origin, key)
    this.#origins.set(key, origin)
    for (const [oldest, one] of this.#origins) {
      if (this.#origins.size <= MOST_CALLS) break
      this.#forget(one)
      this.#origins.delete(oldest)
    }
    origin.signal.addEventListener('abort', () => this.#tell({ abort: key }), { once: true })
    return key
  }

  #forget(origin: CallOrigin): void {
    const key = this.#keys.get(origin)
    if (key === undefined || !this.#origins.delete(key)) return
    this.#tell({ forget: key })
  }

  #tell(message: ToThread): void {
    this.#worker?.postMessage(message)
  }

  async #dispose(): Promise<void> {
    const worker = this.#worker
    this.#closed = true
    if (worker === undefined) return
    const disposed = new Promise<void>(resolve => {
      this.#disposed = resolve
    })
    this.#tell({ dispose: true })
    const late = setTimeout(() => this.#disposed?.(), Math.min(this.#timeout, DISPOSING))
    await disposed
    clearTimeout(late)
    await worker.terminate()
  }
}

function originOf(call: Call): CallOrigin {
  if (!(call instanceof HookCall)) throw new TypeError('not a call of this gateway')
  return call.origin
}

function wrong(message: string): FromThread {
  return { wrong: [{ path: [], message }] }
}
