import { createHash } from 'node:crypto'
import {
  type Answer,
  type Call,
  type ChatRequest,
  defineHook,
  Failure,
  parseDuration,
  perCall,
  type Services
} from 'sluice/hook'
import { type Prompt, Prompts, unit } from './lib/prompts.ts'

/** One request that is under way, and those that wait for what it gets. */
interface Flight {
  readonly answer: Promise<Answer | undefined>
  land(answer: Answer | undefined): void
}

interface Stored {
  readonly at: number
  readonly answer: Answer
}

/** What a call asks of the cache. */
interface Wishes {
  readonly read: boolean
  readonly store: boolean
  readonly seconds: number
  readonly maxAge: number
}

interface State {
  key?: string
  wishes?: Wishes
  flight?: Flight | undefined
  prompt?: Prompt
}

const COMPLETE = new Set(['stop', 'tool-calls', 'stop-sequence'])

export default defineHook({
  name: 'cache',
  description:
    'Answers a request that was answered before from memory. Identical requests that are under way at one time are asked once.',
  // Whoever waits for an identical request waits as long as that one takes.
  timeout: 600,
  options: {
    type: 'object',
    additionalProperties: false,
    examples: [{ ttl: '1h' }],
    properties: {
      ttl: {
        type: 'string',
        pattern: '^\\d+(\\.\\d+)?(ms|s|m|h|d)$',
        default: '24h',
        description: 'How long an answer is good for.'
      },
      shared: {
        type: 'boolean',
        default: false,
        description: 'One cache for all callers. Otherwise each caller has its own.'
      },
      random: {
        type: 'boolean',
        default: false,
        description: 'Also store answers to requests that ask for chance: a `temperature` above 0.'
      },
      coalesce: { type: 'boolean', default: true, description: 'Ask once for identical requests under way.' },
      semantic: {
        type: 'object',
        additionalProperties: false,
        required: ['model'],
        description:
          'Also answer what was asked in other words: all but the last words of the user has to be the same, and those are compared by their embeddings.',
        properties: {
          model: { type: 'string', minLength: 1, description: 'A model of model_list that embeds.' },
          threshold: {
            type: 'number',
            exclusiveMinimum: 0,
            maximum: 1,
            default: 0.95,
            description: 'The cosine from which two prompts mean the same.'
          },
          max_prompts: {
            type: 'integer',
            minimum: 1,
            default: 1000,
            description: 'How many are remembered, by this process; the oldest goes first.'
          }
        }
      }
    }
  },
  setup: (options, services) => {
    const cache = new Cache({ ...options, seconds: parseDuration(options.ttl) / 1000 }, services)
    return {
      preCall: call => cache.before(call),
      postCall: (answer, call) => cache.after(answer, call),
      onDone: (_, call) => cache.done(call)
    }
  }
})

interface Settings {
  readonly seconds: number
  readonly shared: boolean
  readonly random: boolean
  readonly coalesce: boolean
  readonly semantic: { readonly model: string; readonly threshold: number; readonly max_prompts: number } | undefined
}

class Cache {
  readonly #settings: Settings
  readonly #services: Services
  readonly #prompts: Prompts | undefined
  readonly #flights = new Map<string, Flight>()
  readonly #state = perCall((): State => ({}))
  readonly #toldAt = new Map<string, number>()

  constructor(settings: Settings, services: Services) {
    this.#settings = settings
    this.#services = services
    const { semantic } = settings
    this.#prompts = semantic && new Prompts(semantic.threshold, semantic.max_prompts)
  }

  before(call: Call): Promise<Call | Answer | undefined> | Call | undefined {
    if (call.operation !== 'chat' && call.operation !== 'completions') return undefined
    const { seconds, random, shared } = this.#settings
    const wishes = wishesOf(call.headers, seconds)
    if ((!wishes.read && !wishes.store) || !isCacheable(call.chat, random)) {
      this.#services.metrics.count('bypass')
      return call.with({ answerHeaders: { 'x-gateway-cache': 'bypass' } })
    }
    const key = keyOf(call, shared)
    Object.assign(this.#state(call), { key, wishes })
    return this.#look(call, key, wishes)
  }

  async after(answer: Answer, call: Call): Promise<undefined> {
    const { key, wishes, flight, prompt } = this.#state(call)
    if (key === undefined || wishes === undefined || flight === undefined) return
    const whole = COMPLETE.has(answer.finish) ? answer : undefined
    // Those who wait need not wait for the store; those who come meanwhile find the flight.
    const forget = this.#land(call, whole)
    if (whole !== undefined && wishes.store) {
      if (prompt !== undefined) this.#prompts?.add(key, prompt)
      const text = JSON.stringify({ at: Date.now(), answer: whole })
      await this.#services.kv.set(key, text, wishes.seconds).catch(error => this.#down(error))
    }
    forget()
  }

  done(call: Call): void {
    if (this.#state(call).flight !== undefined) this.#land(call, undefined)()
  }

  async #look(call: Call, key: string, wishes: Wishes): Promise<Call | Answer | undefined> {
    for (;;) {
      const stored = wishes.read ? await this.#find(key, wishes.maxAge) : undefined
      if (stored !== undefined) return this.#saved('hit', stored)
      const flight = this.#settings.coalesce && wishes.read ? this.#flights.get(key) : undefined
      if (flight === undefined) return this.#lead(call, key, wishes)
      const answer = await Promise.race([flight.answer, left(call.signal)])
      if (call.signal.aborted) return undefined
      if (answer !== undefined) {
        this.#services.metrics.count('coalesced')
        return told(answer, 'coalesced', 0)
      }
      // It failed or its client left: the next in line asks, and the others wait for that one.
    }
  }

  /** The first to ask; who asks the same meanwhile waits for what this one gets. */
  async #lead(call: Call, key: string, wishes: Wishes): Promise<Call | Answer> {
    let land: Flight['land'] = () => undefined
    const flight = {
      answer: new Promise<Answer | undefined>(resolve => (land = resolve)),
      land: (answer: Answer | undefined) => land(answer)
    }
    this.#state(call).flight = flight
    this.#flights.set(key, flight)
    const near = this.#prompts && (await this.#near(call, wishes, this.#prompts))
    if (near !== undefined) {
      this.#land(call, near)()
      return near
    }
    this.#services.metrics.count('miss')
    return call.with({ answerHeaders: { 'x-gateway-cache': 'miss' } })
  }

  /** What was asked in other words. The vector is remembered, for the answer to come. */
  async #near(call: Call, wishes: Wishes, prompts: Prompts): Promise<Answer | undefined> {
    const { shared, semantic } = this.#settings
    const prompt = promptOf(call, shared)
    if (semantic === undefined || prompt === undefined) return undefined
    const vectors = await call.embed(semantic.model, [prompt.text])
    if (vectors instanceof Failure) {
      this.#fails('embedding_failed', 'the embedding model fails', vectors.message)
      return undefined
    }
    const known = { scope: prompt.scope, vector: unit(vectors[0] ?? []) }
    this.#state(call).prompt = known
    const found = wishes.read ? prompts.nearest(known) : undefined
    const stored = found && (await this.#find(found.key, wishes.maxAge))
    if (found === undefined || stored === undefined) return undefined
    return this.#saved('semantic', stored, { 'x-gateway-cache-similarity': found.similarity.toFixed(4) })
  }

  #saved(how: 'hit' | 'semantic', { answer, at }: Stored, more: Answer['headers'] = {}): Answer {
    const { metrics } = this.#services
    metrics.count(how)
    metrics.count('saved_tokens', answer.usage?.output ?? 0)
    return told(answer, how, Math.floor((Date.now() - at) / 1000), more)
  }

  async #find(key: string, maxAge: number): Promise<Stored | undefined> {
    try {
      const text = await this.#services.kv.get(key)
      if (text === undefined) return undefined
      const stored = JSON.parse(text) as Stored
      return Date.now() - stored.at <= maxAge * 1000 ? stored : undefined
    } catch (error) {
      this.#down(error)
      return undefined
    }
  }

  /** Lets those who wait have the answer. What is returned lets the flight be forgotten. */
  #land(call: Call, answer: Answer | undefined): () => void {
    const { key, flight } = this.#state(call)
    this.#state(call).flight = undefined
    flight?.land(answer)
    return () => {
      if (key !== undefined && this.#flights.get(key) === flight) this.#flights.delete(key)
    }
  }

  #down(error: unknown): void {
    this.#fails('store_failed', `the cache's store fails`, error)
  }

  /** What is down costs hits, never requests. */
  #fails(event: string, what: string, error: unknown): void {
    const { metrics, log } = this.#services
    metrics.count(event)
    if (performance.now() - (this.#toldAt.get(event) ?? Number.NEGATIVE_INFINITY) < 60_000) return
    this.#toldAt.set(event, performance.now())
    log.warn(`${what}, and requests go on without it: ${String(error)}`)
  }
}

function told(answer: Answer, how: string, age: number, more: Answer['headers'] = {}): Answer {
  return { ...answer, headers: { ...more, 'x-gateway-cache': how, age: String(age) } }
}

function left(signal: AbortSignal): Promise<undefined> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** `Cache-Control` as HTTP has it, and `x-gateway-cache-control` for clients that cannot set that one. */
function wishesOf(headers: Call['headers'], seconds: number): Wishes {
  const said = `${headers['cache-control'] ?? ''},${headers['x-gateway-cache-control'] ?? ''}`
  const words = said.split(',').map(word => word.trim().toLowerCase())
  const number = (name: string, fallback: number) => {
    const found = words.find(word => word.startsWith(`${name}=`))?.slice(name.length + 1)
    return found !== undefined && /^\d+$/.test(found) ? Number(found) : fallback
  }
  const noStore = words.includes('no-store')
  const lifetime = Math.min(seconds, number('ttl', seconds))
  return {
    read: !noStore && !words.includes('no-cache'),
    store: !noStore,
    seconds: lifetime,
    maxAge: number('max-age', Number.POSITIVE_INFINITY)
  }
}

/** Chance, several answers, and what depends on more than the request itself are left out. */
function isCacheable(chat: ChatRequest, random: boolean): boolean {
  if (!random && (chat.sampling?.temperature ?? 0) > 0) return false
  if ((chat.choices ?? 1) > 1 || chat.tools.some(tool => tool.foreign !== undefined)) return false
  return chat.extra?.['openai-responses']?.['previous_response_id'] === undefined
}

/** All that may change the answer, in one order; who asks, unless the cache is for all. */
function keyOf(call: Call, shared: boolean, chat: ChatRequest = call.chat): string {
  const { stream: _, streamUsage: __, user: ___, metadata: ____, serviceTier: _____, ...asked } = chat
  const whose = shared ? '' : call.caller.id
  const text = JSON.stringify([whose, call.operation, call.target?.name ?? '', call.model, ordered(asked)])
  return createHash('sha256').update(text).digest('base64url')
}

/** The last words of the user, when they are words, and all the rest as one key. */
function promptOf(call: Call, shared: boolean): { readonly scope: string; readonly text: string } | undefined {
  const { chat } = call
  const last = chat.turns.at(-1)
  if (call.operation !== 'chat' || last?.role !== 'user' || last.blocks.length === 0) return undefined
  const texts = last.blocks.map(block => (block.type === 'text' ? block.text : undefined))
  if (texts.includes(undefined)) return undefined
  const rest = { ...chat, turns: chat.turns.slice(0, -1) }
  return { scope: keyOf(call, shared, rest), text: texts.join('\n') }
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, ordered(inner)])
  )
}
