// What the tests with real SDKs share: a gateway in front of the demo's four dialects, and a look at what each SDK was sent.
import type { RawContentBlockDelta, RawMessageStreamEvent } from '@anthropic-ai/sdk/resources/messages'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import type { Test } from 'tap'
import { type PartialConfig, type TestGateway, testGateway } from './app.ts'
import { demoUpstream, type Upstream } from './upstream.ts'

export const UPSTREAMS = ['openai-chat', 'openai-responses', 'anthropic', 'gemini'] as const
type UpstreamName = (typeof UPSTREAMS)[number]

/** How streams go wrong halfway. */
export const BREAKS = ['cut', 'early-end', 'error-event'] as const
const MOODS = [...BREAKS, '429', 'slow', 'thinking'] as const

export const KEY = 'sk-sdk'
export const HELLO = 'hello there'
export const ASK_WEATHER = 'call get_weather for "Paris"'
/** What the demo makes the values of the schema from. */
export const ASK_PERSON = 'Who is "Ada", 36 years old?'
export const PERSON = { name: 'Ada', age: 36 }
export const PERSON_SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string' }, age: { type: 'integer' } },
  required: ['name', 'age'],
  additionalProperties: false
} as const
export const CITY_SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false
} as const
export const weatherIn = (city: string): string => `rain over ${city}`

/** One answer that an SDK was given. */
export interface Sent {
  readonly path: string
  readonly request: Readonly<Record<string, unknown>>
  readonly status: number
  readonly type: string
  readonly text: Promise<string>
}

export interface Bench {
  readonly url: string
  readonly gateway: TestGateway
  readonly upstream: Upstream
  /** What the SDK has been sent, of all that it asked for with `fetch`. */
  readonly sent: Sent[]
  readonly fetch: typeof fetch
  /** Complaints that SDKs write to a log. */
  readonly complaints: string[]
  readonly logger: Record<'debug' | 'info' | 'warn' | 'error', (...words: unknown[]) => void>
}

/** The name of a model whose upstream speaks the dialect, and does what it is told. */
export function modelOf(name: UpstreamName, mood?: (typeof MOODS)[number]): string {
  return mood === undefined ? name : `${name}.${mood}`
}

type Entry = NonNullable<PartialConfig['model_list']>[number]

/** A pace, so that the connection does not break before the first words have left. */
const PACED = new Map<string, string>([...BREAKS.map(name => [name, '2ms'] as const), ['slow', '40ms']])

function entriesFor(name: UpstreamName, url: string): Entry[] {
  const reach = {
    'openai-chat': { provider: 'openai', api_base: `${url}/v1` },
    'openai-responses': { provider: 'openai', api_base: `${url}/v1` },
    anthropic: { provider: 'anthropic', api_base: url },
    gemini: { provider: 'gemini', api_base: `${url}/v1beta` }
  } as const
  const entry = { ...reach[name], dialect: name, api_key: 'k' }
  return [
    { model_name: modelOf(name), model: 'demo', ...entry },
    ...MOODS.map(mood => {
      const pace = PACED.get(mood)
      const headers = pace === undefined ? {} : { headers: { 'x-demo-pace': pace } }
      return { model_name: modelOf(name, mood), model: mood === 'slow' ? 'demo' : `demo-${mood}`, ...entry, ...headers }
    })
  ]
}

/** Runs with a gateway of its own; all that the SDK has been sent is read again for faults. */
export async function withBench(t: Test, run: (bench: Bench) => Promise<void>): Promise<void> {
  const upstream = await demoUpstream()
  const gateway = await testGateway({
    auth: { master_key: KEY },
    model_list: UPSTREAMS.flatMap(name => entriesFor(name, upstream.url))
  })
  const sent: Sent[] = []
  const complaints: string[] = []
  const complain = (...words: unknown[]) => void complaints.push(words.map(String).join(' '))
  const quiet = () => undefined
  try {
    await run({
      url: gateway.url,
      gateway,
      upstream,
      sent,
      fetch: watched(sent),
      complaints,
      logger: { debug: quiet, info: quiet, warn: complain, error: complain }
    })
    await settled(gateway)
    for (const call of sent) {
      if (call.status === 200)
        t.same(faultsOf(call.path, call.type, await call.text), [], `${call.path} is well formed`)
    }
    t.same(complaints, [], 'the SDK complains of nothing')
    t.same(gateway.bugs, [])
    t.equal(gateway.gateway.running.size, 0, 'nothing is left running')
  } finally {
    await gateway.close()
    await upstream.close()
  }
}

function watched(sent: Sent[]): typeof fetch {
  return async (input, init) => {
    const answer = await fetch(input, init)
    const { pathname, search } = new URL(input instanceof Request ? input.url : input)
    sent.push({
      path: pathname + search,
      request: typeof init?.body === 'string' ? (JSON.parse(init.body) as Record<string, unknown>) : {},
      status: answer.status,
      type: answer.headers.get('content-type') ?? '',
      text: answer.clone().text()
    })
    return answer
  }
}

/** Where an upstream of the dialect is asked. */
export const UPSTREAM_PATH: Record<UpstreamName, RegExp> = {
  'openai-chat': /^\/v1\/chat\/completions$/,
  'openai-responses': /^\/v1\/responses$/,
  anthropic: /^\/v1\/messages$/,
  gemini: /^\/v1beta\/models\/demo[a-z0-9-]*:(generateContent|streamGenerateContent\?alt=sse)$/
}

// The compiler holds both lists against what the SDKs know.
const RESPONSES_EVENTS: readonly ResponseStreamEvent['type'][] = [
  'response.created',
  'response.in_progress',
  'response.output_item.added',
  'response.output_item.done',
  'response.content_part.added',
  'response.content_part.done',
  'response.output_text.delta',
  'response.output_text.done',
  'response.function_call_arguments.delta',
  'response.function_call_arguments.done',
  'response.reasoning_summary_part.added',
  'response.reasoning_summary_part.done',
  'response.reasoning_summary_text.delta',
  'response.reasoning_summary_text.done',
  'response.reasoning_text.delta',
  'response.reasoning_text.done',
  'response.completed',
  'response.incomplete'
]
const ANTHROPIC_EVENTS: readonly (RawMessageStreamEvent['type'] | 'ping')[] = [
  'message_start',
  'content_block_start',
  'content_block_delta',
  'content_block_stop',
  'message_delta',
  'message_stop',
  'ping'
]
const ANTHROPIC_DELTAS: readonly RawContentBlockDelta['type'][] = [
  'text_delta',
  'input_json_delta',
  'thinking_delta',
  'signature_delta'
]

interface Frame {
  readonly event: string | undefined
  readonly data: string
}

/** What an SDK would have to overlook in an answer. */
function faultsOf(path: string, type: string, text: string): string[] {
  if (!type.startsWith('text/event-stream')) return type.startsWith('application/json') ? [] : [`content-type ${type}`]
  if (!text.endsWith('\n\n')) return ['the last frame has no end']
  const frames = text
    .split('\n\n')
    .map(frameOf)
    .filter(({ data, event }) => data !== '' || event !== undefined)
  if (path.includes('/responses')) return responsesFaults(frames)
  if (path.includes('/messages')) return anthropicFaults(frames)
  return path.includes(':') ? geminiFaults(frames) : chatFaults(frames)
}

function frameOf(text: string): Frame {
  const lines = text.split('\n')
  const said = (name: string) =>
    lines.filter(line => line.startsWith(`${name}: `)).map(line => line.slice(name.length + 2))
  return { event: said('event')[0], data: said('data').join('\n') }
}

const json = ({ data }: Frame): Record<string, unknown> => JSON.parse(data) as Record<string, unknown>

function responsesFaults(frames: readonly Frame[]): string[] {
  const known: readonly string[] = RESPONSES_EVENTS
  const faults = frames.flatMap((frame, index) => {
    const { type, sequence_number: number } = json(frame)
    const found = []
    if (!known.includes(String(type))) found.push(`event ${type}`)
    if (frame.event !== type) found.push(`event ${frame.event} holds ${type}`)
    if (number !== index) found.push(`event ${index} has number ${number}`)
    return found
  })
  const last = frames.at(-1)?.event ?? 'nothing'
  return /^response\.(completed|incomplete)$/.test(last) ? faults : [...faults, `ends with ${last}`]
}

function anthropicFaults(frames: readonly Frame[]): string[] {
  const known: readonly string[] = ANTHROPIC_EVENTS
  const deltas: readonly string[] = ANTHROPIC_DELTAS
  const faults = frames.flatMap(frame => {
    const { type, delta } = json(frame)
    const found = []
    if (!known.includes(String(type))) found.push(`event ${type}`)
    if (frame.event !== type) found.push(`event ${frame.event} holds ${type}`)
    const kind = String((delta as { type?: unknown } | undefined)?.type)
    if (type === 'content_block_delta' && !deltas.includes(kind)) found.push(`delta ${kind}`)
    return found
  })
  return frames.at(-1)?.event === 'message_stop' ? faults : [...faults, 'message_stop is missing']
}

function geminiFaults(frames: readonly Frame[]): string[] {
  const ends = frames.filter(frame => /"finishReason":"[A-Z_]+"/.test(frame.data)).length
  const faults = frames.flatMap(frame =>
    Array.isArray(json(frame)['candidates']) ? [] : [`no candidates: ${frame.data}`]
  )
  return ends === 1 ? faults : [...faults, `${ends} frames say why it ended`]
}

function chatFaults(frames: readonly Frame[]): string[] {
  const faults = frames.slice(0, -1).flatMap(frame => {
    const { object, id, choices, model, created } = json(frame)
    const isWhole =
      object === 'chat.completion.chunk' &&
      typeof id === 'string' &&
      typeof model === 'string' &&
      typeof created === 'number' &&
      Array.isArray(choices)
    return isWhole ? [] : [`chunk ${frame.data}`]
  })
  return frames.at(-1)?.data === '[DONE]' ? faults : [...faults, '[DONE] is missing']
}

/** Two sentences are near each other if their vectors are. */
export function isNear(left: readonly number[], right: readonly number[]): boolean {
  const product = left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0)
  return left.length === right.length && left.length > 0 && product > 0.99
}

/** All that a stream has. A connection may break so early that there is none. */
export async function drained<Item>(stream: PromiseLike<AsyncIterable<Item>>): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of await stream) items.push(item)
  return items
}

/** What a promise was rejected with; undefined when it was not. */
export async function errorOf(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    await promise
    return undefined
  } catch (error) {
    return error
  }
}

/** Waits until nothing runs any more in the gateway. */
async function settled({ gateway }: TestGateway): Promise<void> {
  for (let waited = 0; gateway.running.size > 0 && waited < 2_000; waited += 5)
    await new Promise(resolve => setTimeout(resolve, 5))
}
