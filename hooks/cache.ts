import { createHash } from 'node:crypto'
import { type Answer, type Call, type ChatRequest, defineHook, parseDuration, perCall } from 'sluice/hook'

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
      coalesce: { type: 'boolean', default: true, description: 'Ask once for identical requests under way.' }
    }
  },
  setup: ({ ttl, shared, random, coalesce }, { kv, log, metrics }) => {
    const seconds = parseDuration(ttl) / 1000
    const flights = new Map<string, Flight>()
    const state = perCall((): { key?: string; wishes?: Wishes; flight?: Flight | undefined } => ({}))
    let toldAt = Number.NEGATIVE_INFINITY
    /** A store that is down costs hits, never requests. */
    const down = (error: unknown) => {
      metrics.count('store_failed')
      if (performance.now() - toldAt < 60_000) return
      toldAt = performance.now()
      log.warn(`the cache's store fails, and requests go on without it: ${String(error)}`)
    }
    const find = async (key: string, maxAge: number): Promise<Stored | undefined> => {
      try {
        const text = await kv.get(key)
        if (text === undefined) return undefined
        const stored = JSON.parse(text) as Stored
        return Date.now() - stored.at <= maxAge * 1000 ? stored : undefined
      } catch (error) {
        down(error)
        return undefined
      }
    }
    const lead = (call: Call, key: string): Call => {
      let land: Flight['land'] = () => undefined
      const flight = {
        answer: new Promise<Answer | undefined>(resolve => (land = resolve)),
        land: (answer: Answer | undefined) => land(answer)
      }
      state(call).flight = flight
      flights.set(key, flight)
      metrics.count('miss')
      return call.with({ answerHeaders: { 'x-gateway-cache': 'miss' } })
    }
    const look = async (call: Call, key: string, wishes: Wishes): Promise<Call | Answer | undefined> => {
      for (;;) {
        const stored = wishes.read ? await find(key, wishes.maxAge) : undefined
        if (stored !== undefined) {
          metrics.count('hit')
          metrics.count('saved_tokens', stored.answer.usage?.output ?? 0)
          return told(stored.answer, 'hit', Math.floor((Date.now() - stored.at) / 1000))
        }
        const flight = coalesce && wishes.read ? flights.get(key) : undefined
        if (flight === undefined) return lead(call, key)
        const answer = await Promise.race([flight.answer, left(call.signal)])
        if (call.signal.aborted) return undefined
        if (answer !== undefined) {
          metrics.count('coalesced')
          return told(answer, 'coalesced', 0)
        }
        // It failed or its client left: the next in line asks, and the others wait for that one.
      }
    }
    const land = (call: Call, answer: Answer | undefined): (() => void) => {
      const { key, flight } = state(call)
      state(call).flight = undefined
      flight?.land(answer)
      return () => {
        if (key !== undefined && flights.get(key) === flight) flights.delete(key)
      }
    }
    return {
      preCall: call => {
        if (call.operation !== 'chat' && call.operation !== 'completions') return undefined
        const wishes = wishesOf(call.headers, seconds)
        if ((!wishes.read && !wishes.store) || !isCacheable(call.chat, random)) {
          metrics.count('bypass')
          return undefined
        }
        const key = keyOf(call, shared)
        Object.assign(state(call), { key, wishes })
        return look(call, key, wishes)
      },
      postCall: async (answer, call) => {
        const { key, wishes, flight } = state(call)
        if (key === undefined || wishes === undefined || flight === undefined) return
        const whole = COMPLETE.has(answer.finish) ? answer : undefined
        // Those who wait need not wait for the store; those who come meanwhile find the flight.
        const forget = land(call, whole)
        if (whole !== undefined && wishes.store)
          await kv.set(key, JSON.stringify({ at: Date.now(), answer: whole }), wishes.seconds).catch(down)
        forget()
      },
      onDone: (_, call) => {
        if (state(call).flight !== undefined) land(call, undefined)()
      }
    }
  }
})

function told(answer: Answer, how: string, age: number): Answer {
  return { ...answer, headers: { 'x-gateway-cache': how, age: String(age) } }
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
function keyOf(call: Call, shared: boolean): string {
  const { stream: _, streamUsage: __, user: ___, metadata: ____, serviceTier: _____, ...asked } = call.chat
  const whose = shared ? '' : call.caller.id
  const text = JSON.stringify([whose, call.operation, call.target?.name ?? '', call.model, ordered(asked)])
  return createHash('sha256').update(text).digest('base64url')
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
