import { Failure } from '../chat/failure.ts'
import type { DialectName } from '../dialects/dialect.ts'
import { DIALECTS } from '../dialects/index.ts'
import type { Fault, Orders } from './orders.ts'
import type { Script } from './playback.ts'
import { failureScript } from './scripts.ts'

interface Scene {
  readonly script: Script
  readonly dialect: DialectName
  readonly orders: Orders
  readonly key: string
}

const SECONDS = 1
const PAGE =
  '<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n'

/** How each fault spoils an answer. */
const SPOIL: Record<Fault, (scene: Scene) => Script> = {
  400: scene => refuse(scene, new Failure('invalid-request', 'The demo was told to reject this request.')),
  401: scene => refuse(scene, new Failure('unauthenticated', 'The demo was told to refuse this key.')),
  429: scene => refuse(scene, new Failure('rate-limited', 'The demo was told to limit its rate.', retryAfter(scene))),
  500: scene => refuse(scene, new Failure('bug', 'The demo was told to fail.')),
  503: scene =>
    refuse(scene, new Failure('overloaded', 'The demo was told to be busy.', { ...retryAfter(scene), status: 503 })),
  529: scene =>
    refuse(scene, new Failure('overloaded', 'The demo was told to be busy.', { ...retryAfter(scene), status: 529 })),
  context: scene => refuse(scene, new Failure('context-exceeded', '', { context: { input: 210_000, limit: 200_000 } })),
  html: () => {
    const headers = { 'content-type': 'text/html', 'content-length': String(PAGE.length) }
    return { status: 502, headers, chunks: [PAGE], ending: 'end' }
  },
  garbage: ({ script }) => {
    const [first, [broken = '', ...rest]] = halves(script)
    if (!isStream(script)) return { ...unmeasured(script), chunks: ['{"broken": [1, 2'] }
    // One frame loses its last characters, and the stream goes on.
    return { ...script, chunks: [...first, `${broken.trimEnd().slice(0, -3)}\n\n`, ...rest] }
  },
  cut: ({ script }) => ({ ...unmeasured(script), chunks: halves(script)[0], ending: 'reset' }),
  stall: ({ script }) => ({ ...unmeasured(script), chunks: halves(script)[0], ending: 'silence' }),
  'no-head': ({ script }) => ({ ...script, ending: 'no-head' }),
  'early-end': ({ script }) => ({ ...unmeasured(script), chunks: halves(script)[0] }),
  'error-event': scene => {
    const failure = new Failure('overloaded', 'The demo was told to fail in the middle.')
    if (!isStream(scene.script)) return refuse(scene, failure)
    const [first] = halves(scene.script)
    const frame = DIALECTS[scene.dialect].encodeFailureFrame(failure, `req_${scene.key}`, first.at(-1))
    return { ...scene.script, chunks: [...first, frame] }
  }
}

export function spoil(scene: Scene): Script {
  const { fail } = scene.orders
  return fail === undefined ? scene.script : SPOIL[fail](scene)
}

/** The status that was ordered, whatever the dialect would prefer. */
function refuse({ dialect, key }: Scene, failure: Failure): Script {
  const script = failureScript(dialect, failure, key)
  return { ...script, status: failure.details.status ?? script.status }
}

function retryAfter({ orders }: Scene): { retryAfter: number } {
  return { retryAfter: orders.retryAfter ?? SECONDS }
}

function isStream({ headers }: Script): boolean {
  return headers['content-type']?.startsWith('text/event-stream') === true
}

/** Some of the answer, and the rest: an answer in one piece is broken in its middle. */
function halves({ chunks }: Script): [first: readonly string[], rest: readonly string[]] {
  const [only = '', another] = chunks
  if (another === undefined) return [[only.slice(0, only.length >> 1)], [only.slice(only.length >> 1)]]
  const middle = chunks.length >> 1
  return [chunks.slice(0, middle), chunks.slice(middle)]
}

function unmeasured(script: Script): Script {
  const { 'content-length': _, ...headers } = script.headers
  return { ...script, headers }
}
