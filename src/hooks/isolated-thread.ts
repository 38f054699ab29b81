// A hook in a thread of its own. It is given copies, and what it says goes back as copies.

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Failure } from '../chat/failure.ts'
import type { ChatRequest } from '../chat/request.ts'
import { messageOf, placeIn, shown } from './blame.ts'
import { type CallOrigin, HookCall, NoConversation } from './call.ts'
import { checkOptions, hookLoader, readDefinition } from './definition.ts'
import { filesOfHook } from './files.ts'
import type { Answer, DoneRecord, Log, Phases } from './hook.ts'
import type {
  AskPhase,
  FromThread,
  Granted,
  InHatch,
  PlainCall,
  PlainError,
  PlainFailure,
  Reply,
  Said,
  Start,
  ToThread,
  Wish
} from './isolated-messages.ts'
import { failureOf, plainFailure } from './isolated-values.ts'
import { phasesOf } from './phases.ts'
import { servicesFor } from './services.ts'

class Thread {
  readonly #port: MessagePort
  readonly #start: Start
  readonly #bell: Int32Array
  readonly #origins = new Map<number, { readonly origin: CallOrigin; readonly abort: AbortController }>()
  readonly #wishes = new Map<number, (reply: Reply) => void>()
  #lastWish = 0
  #phases: Phases = {}

  constructor(port: MessagePort, start: Start) {
    this.#port = port
    this.#start = start
    this.#bell = new Int32Array(start.bell)
  }

  async begin(): Promise<void> {
    const { file, options: said, folder, models } = this.#start
    const wrong = (message: string, path: readonly (string | number)[] = []) => ({ path, message })
    const definition = await readDefinition(hookLoader(), file)
    if (typeof definition === 'string') return this.#tell({ wrong: [wrong(definition)] })
    const checked = checkOptions(definition, said)
    if (!('options' in checked)) return this.#tell({ wrong: checked })
    const { name, timeout } = definition
    const log =
      (level: keyof Log) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
        this.#tell({ log: level, message, fields: plainFields(fields) })
    const services = servicesFor({
      hook: name,
      environment: {
        log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
        metrics: {
          hookDuration: () => ({ observe: () => undefined }),
          hookFailed: () => undefined,
          hookCounted: (_, count, amount) => this.#tell({ count, amount })
        }
      },
      kv: {
        get: async key => textOf(await this.#wish({ kv: 'get', key })),
        set: async (key, value, seconds) => void (await this.#wish({ kv: 'set', key, value, seconds })),
        delete: async key => void (await this.#wish({ kv: 'delete', key }))
      },
      folder,
      models: () => models
    })
    try {
      this.#phases = phasesOf(await definition.setup(checked.options, services))
    } catch (error) {
      const place = placeIn(error, new Set(filesOfHook(file))) ?? shown(file)
      return this.#tell({ wrong: [wrong(`the hook ${name} cannot be set up (${place}): ${messageOf(error)}`)] })
    }
    this.#port.on('message', (message: ToThread) => this.#hear(message))
    this.#tell({ ready: Object.keys(this.#phases), name, timeout })
  }

  stray(error: unknown): void {
    this.#tell({ stray: plainError(error) })
  }

  #tell(message: FromThread): void {
    this.#port.postMessage(message)
  }

  #hear(message: ToThread): void {
    if ('ask' in message) void this.#ask(message)
    else if ('reply' in message) {
      this.#wishes.get(message.reply)?.(message)
      this.#wishes.delete(message.reply)
    } else if ('abort' in message) this.#origins.get(message.abort)?.abort.abort()
    else if ('forget' in message) this.#origins.delete(message.forget)
    else if ('ping' in message) this.#tell({ pong: true })
    else void this.#dispose()
  }

  async #dispose(): Promise<void> {
    try {
      await this.#phases.dispose?.()
    } catch (error) {
      this.stray(error)
    }
    this.#tell({ disposed: true })
  }

  async #ask({ ask, phase, call: plain, about }: AskPhase): Promise<void> {
    let said: Said
    try {
      said = plainSaid(await this.#run(phase, new HookCall(this.#originOf(plain), plain.changes, plain.target), about))
    } catch (error) {
      said =
        error instanceof NoConversation
          ? { as: 'no-conversation', ...(error.failure !== undefined && plainFailure(error.failure)) }
          : { as: 'error', ...plainError(error) }
    }
    try {
      this.#tell({ answered: ask, said })
    } catch (error) {
      // It returned what cannot be copied: a function, say.
      this.#tell({ answered: ask, said: { as: 'error', ...plainError(error) } })
    }
  }

  #run(phase: AskPhase['phase'], call: HookCall, about: unknown): unknown {
    switch (phase) {
      case 'preCall':
        return this.#phases.preCall?.(call)
      case 'postCall':
        return this.#phases.postCall?.(about as Answer, call)
      case 'onFailure':
        return this.#phases.onFailure?.(failureOf(about as PlainFailure), call)
      case 'onDone':
        return this.#phases.onDone?.(about as DoneRecord, call)
    }
  }

  #originOf(call: PlainCall): CallOrigin {
    const known = this.#origins.get(call.key)
    if (known !== undefined) return known.origin
    const abort = new AbortController()
    let chat: ChatRequest | Failure | undefined
    let isRead = false
    const { key, id, model, stream, dialect, operation, caller, headers, tags, maxTokens } = call
    const origin: CallOrigin = {
      id,
      model,
      stream,
      dialect,
      operation,
      caller: Object.freeze(caller),
      signal: abort.signal,
      headers: () => Object.freeze(headers),
      tags: () => Object.freeze(tags),
      maxTokens: () => maxTokens,
      ask: asked => this.#granted({ of: key, chat: asked }),
      embed: (embed, texts) => this.#granted({ of: key, embed, texts }),
      chat: () => {
        if (!isRead) chat = call.chat ?? this.#chatOf(key)
        isRead = true
        return chat
      }
    }
    this.#origins.set(key, { origin, abort })
    return origin
  }

  /** Stands still until the gateway has read the conversation: `call.chat` is no promise. */
  #chatOf(key: number): ChatRequest | Failure | undefined {
    Atomics.store(this.#bell, 0, 0)
    this.#tell({ chatOf: key })
    Atomics.wait(this.#bell, 0, 0)
    const left: { readonly message: InHatch } | undefined = receiveMessageOnPort(this.#start.hatch)
    if (left === undefined || 'none' in left.message) return undefined
    return 'chat' in left.message ? left.message.chat : failureOf(left.message)
  }

  async #granted<Told>(wanted: Wish): Promise<Told | Failure> {
    const granted = (await this.#wish(wanted)) as Granted<Told>
    return 'told' in granted ? granted.told : failureOf(granted)
  }

  #wish(wanted: Wish): Promise<unknown> {
    const wish = ++this.#lastWish
    return new Promise((resolve, reject) => {
      this.#wishes.set(wish, ({ value, error }) => (error === undefined ? resolve(value) : reject(new Error(error))))
      this.#tell({ wish, wanted })
    })
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function plainSaid(said: unknown): Said {
  if (said === undefined) return { as: 'nothing' }
  if (said instanceof HookCall) return { as: 'call', changes: said.changes }
  if (said instanceof Failure) return { as: 'failure', ...plainFailure(said) }
  return { as: 'value', value: said }
}

function plainError(error: unknown): PlainError {
  if (typeof error !== 'object' || error === null) return { message: String(error), stack: undefined }
  const stack = 'stack' in error ? String(error.stack) : undefined
  return { message: 'message' in error ? String(error.message) : String(error), stack }
}

/** A log may be told anything; what cannot be copied goes as its text. */
function plainFields(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === 'object' || typeof value === 'function' ? String(value) : value
    ])
  )
}

if (parentPort !== null) {
  const thread = new Thread(parentPort, workerData)
  // What a hook leaves behind is told; the thread goes on, as the gateway does.
  process.on('uncaughtException', error => thread.stray(error))
  process.on('unhandledRejection', error => thread.stray(error))
  await thread.begin()
}
