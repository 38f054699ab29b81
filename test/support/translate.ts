import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Block } from '../../src/chat/block.ts'
import type { ChatEvent } from '../../src/chat/events.ts'
import type { DecodeContext, EncodeContext, Translator } from '../../src/dialects/dialect.ts'
import { DIALECTS } from '../../src/dialects/index.ts'
import { SseReader } from '../../src/lib/sse.ts'

export const CASES = join(dirname(fileURLToPath(import.meta.url)), '../../../test/cases')
export const CUTS = [1, 2, 3, 7, 64, Number.POSITIVE_INFINITY]
export const CONTEXT: EncodeContext = { id: 'x1', model: 'a-model', created: 1_767_225_600, streamUsage: true }

const TRANSLATORS: Record<string, Translator> = {}
for (const { name, translate } of Object.values(DIALECTS)) if (translate !== undefined) TRANSLATORS[name] = translate
export const NAMES = Object.keys(TRANSLATORS)
export function translator(name: string): Translator {
  const found = TRANSLATORS[name]
  if (found === undefined) throw new Error(`no dialect ${name}`)
  return found
}

export function events(
  translate: Translator,
  sse: string | Buffer,
  cut = Number.POSITIVE_INFINITY,
  context?: DecodeContext
) {
  const bytes = Buffer.from(sse)
  const reader = new SseReader()
  const decoder = translate.decodeStream(context)
  const found: ChatEvent[] = []
  const size = Math.min(cut, bytes.length) || 1
  const frames = []
  for (let at = 0; at < bytes.length; at += size) frames.push(...reader.push(bytes.subarray(at, at + size)))
  for (const frame of [...frames, ...reader.end()]) found.push(...decoder.push(frame))
  return [...found, ...decoder.end()]
}

export function stream(translate: Translator, said: readonly ChatEvent[], context = CONTEXT): string {
  const encoder = translate.encodeStream(context)
  return said.map(event => encoder.push(event)).join('') + encoder.end()
}

/** Events in short: what an answer comes to. */
export function summary(said: readonly ChatEvent[]): string[] {
  const lines: string[] = []
  for (const event of said) {
    if (event.type === 'block-start') lines.push(titleOf(event.block))
    else if (event.type === 'block-delta') lines.push(`${lines.pop()}${event.text}`)
    else if (event.type === 'block-extra') lines.push(`${lines.pop()} ${JSON.stringify(event.extra)}`)
    else if (event.type === 'finish') lines.push(`= ${event.reason}`)
    else if (event.type === 'failure') lines.push(`! ${event.failure.kind}`)
  }
  return lines
}

export function titleOf(block: Block): string {
  if (block.type === 'tool-call') return `${block.id} ${block.name}: `
  return block.type === 'text' && block.refusal === true ? 'refusal: ' : `${block.type}: `
}

/** The grammar of events, which each decoder keeps to whatever it is given. */
export function problemIn(said: readonly ChatEvent[]): string | undefined {
  let open: number | undefined
  let next = 0
  for (const [at, event] of said.entries()) {
    const isLast = at === said.length - 1
    if ((event.type === 'finish' || event.type === 'failure') !== isLast) return `an end in the middle, or none: ${at}`
    if (event.type === 'finish' && open !== undefined) return `block ${open} is open at the end`
    if (event.type === 'block-start') {
      if (open !== undefined || event.index !== next++) return `block ${event.index} starts at the wrong time`
      open = event.index
    } else if (event.type.startsWith('block-')) {
      if (!('index' in event) || event.index !== open) return `${event.type} outside of its block`
      if (event.type === 'block-end') open = undefined
    }
  }
  return undefined
}

// Chunks of OpenAI's dialect.

export const chunk = (delta: object, more: object = {}) => ({
  id: 'c1',
  model: 'm',
  choices: [{ index: 0, delta, ...more }]
})
export const call = (index: number, id?: string, name?: string, input?: string) =>
  chunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: input } }] })
export const ended = (finish_reason: string) => chunk({}, { finish_reason })
export const frames = (...chunks: (object | string)[]) =>
  chunks.map(data => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`).join('')
