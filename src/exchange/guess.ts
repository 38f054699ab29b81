// What a request will use, before anybody has said so; and what an answer used whose upstream never did.

import type { DialectName } from '../dialects/dialect.ts'
import { scanObject } from '../lib/json-scan.ts'
import { slice } from '../lib/splice.ts'
import type { Inbound } from './inbound.ts'

/** Of an answer that nobody put a cap on. */
const UNCAPPED = 4096
/** What answers usually come to. */
const USUAL = 256
const USUAL_AT_MOST = 1024
/** Dense text has three bytes to a token; money is set aside for that. */
const DENSEST = 3
/** Bytes around the text of one frame, about. */
const FRAME: Readonly<Record<DialectName, number>> = {
  'openai-chat': 190,
  'openai-responses': 200,
  anthropic: 110,
  gemini: 320
}
const PER_TOKEN = 4

export interface Guess {
  /** About what it sends, and never less. */
  readonly input: number
  readonly mostInput: number
  /** What its answer may come to; undefined where it does not say. */
  readonly cap: number | undefined
  readonly usualOutput: number
}

export function guessOf(inbound: Inbound): Guess {
  const { operation, body } = inbound
  if (operation === 'count-tokens') return { input: 0, mostInput: 0, cap: 0, usualOutput: 0 }
  const input = Math.ceil(body.length / PER_TOKEN)
  const mostInput = Math.ceil(body.length / DENSEST)
  if (operation === 'embeddings') return { input, mostInput, cap: 0, usualOutput: 0 }
  const cap = capOf(inbound)
  return { input, mostInput, cap, usualOutput: Math.min(cap ?? USUAL, USUAL_AT_MOST) }
}

/** The most that an answer may come to at a target with a cap of its own. */
export function mostOutput({ cap }: Guess, targetCap: number | undefined): number {
  if (cap === undefined) return targetCap ?? UNCAPPED
  return Math.min(cap, targetCap ?? cap)
}

const CAPS = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'] as const
const GEMINI_CAPS: ReadonlySet<string> = new Set([
  'maxOutputTokens',
  'max_output_tokens',
  'candidateCount',
  'candidate_count'
])

function capOf(inbound: Inbound): number | undefined {
  const { found } = inbound.body.fields
  const said = CAPS.map(name => found[name]?.value).filter(isAmount)
  if (said.length > 0) return Math.max(...said) * answers(found['n']?.value)
  const settings = found['generationConfig'] ?? found['generation_config']
  if (settings === undefined) return answers(found['n']?.value) > 1 ? UNCAPPED * answers(found['n']?.value) : undefined
  const bytes: Buffer[] = []
  slice(inbound.body.chunks, settings.start, settings.end, bytes)
  const inner = scanObject(bytes, GEMINI_CAPS)
  if ('problem' in inner) return undefined
  const cap = inner.found['maxOutputTokens']?.value ?? inner.found['max_output_tokens']?.value
  const count = answers(inner.found['candidateCount']?.value ?? inner.found['candidate_count']?.value)
  if (isAmount(cap)) return cap * count
  return count > 1 ? UNCAPPED * count : undefined
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}

/** How many answers are asked for. */
function answers(value: unknown): number {
  return typeof value === 'number' && value > 1 ? value : 1
}

/** Tokens of an answer of so many bytes, of which these are the last. */
export function outputIn(dialect: DialectName, bytes: number, tail: string): number {
  const shown = Buffer.byteLength(tail)
  if (shown === 0) return 0
  return outputOf(dialect, Math.round((framesIn(tail) * bytes) / shown), bytes)
}

/** A frame holds a token, or more where servers gather them. */
export function outputOf(dialect: DialectName, frames: number, bytes: number): number {
  if (frames === 0) return Math.ceil(bytes / (PER_TOKEN + 1))
  return Math.max(frames, Math.ceil((bytes - frames * FRAME[dialect]) / PER_TOKEN))
}

function framesIn(text: string): number {
  let frames = 0
  for (let at = text.indexOf('data:'); at >= 0; at = text.indexOf('data:', at + 5)) frames++
  return frames
}
