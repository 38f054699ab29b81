import { readDuration } from '../lib/duration.ts'

/** What the demo can be told to do wrong. A number is a status. */
export const FAULTS = [
  '400',
  '401',
  '429',
  '500',
  '503',
  '529',
  'context',
  'html',
  'garbage',
  'cut',
  'stall',
  'no-head',
  'early-end',
  'error-event'
] as const

export type Fault = (typeof FAULTS)[number]

/** How one request wants to be answered. */
export interface Orders {
  /** Milliseconds between two pieces of a stream. */
  readonly pace: number
  /** Milliseconds before the answer begins. */
  readonly firstByte: number
  readonly fail: Fault | undefined
  /** Seconds. */
  readonly retryAfter: number | undefined
  /** Pieces of a streamed text. */
  readonly chunks: number | undefined
  readonly text: string | undefined
  /** What it thinks before it answers. */
  readonly thinking: string | undefined
}

const MOST_CHUNKS = 100_000
const SLOW = { pace: 50, firstByte: 500 }
const THOUGHT = 'The demo model has been asked something. It will say so.'

/** Orders come as headers, or in the model's name, so that no header is needed to see a fault: `demo-429`, `demo-slow`. */
export function readOrders(headers: readonly string[], model: string): Orders {
  const said = new Map<string, string>()
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (name.startsWith('x-demo-')) said.set(name.slice('x-demo-'.length), headers[index + 1] ?? '')
  }
  const inName = /\bdemo-([a-z0-9-]+)$/.exec(model)?.[1]
  const fault = said.get('fail') ?? inName
  const chunks = wholeNumber(said.get('chunks'))
  return {
    pace: readDuration(said.get('pace') ?? '') ?? (inName === 'slow' ? SLOW.pace : 0),
    firstByte: readDuration(said.get('first-byte') ?? '') ?? (inName === 'slow' ? SLOW.firstByte : 0),
    fail: FAULTS.find(known => known === fault),
    retryAfter: wholeNumber(said.get('retry-after')),
    chunks: chunks === undefined ? undefined : Math.min(Math.max(chunks, 1), MOST_CHUNKS),
    text: said.get('text'),
    thinking: said.get('thinking') ?? (inName === 'thinking' ? THOUGHT : undefined)
  }
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined
}
