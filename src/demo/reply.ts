import type { Usage } from '../chat/usage.ts'
import { type Ask, tokensOf } from './ask.ts'
import type { Orders } from './orders.ts'
import { readOffer, valueFor } from './schema-value.ts'
import { type ToolCall, toolCallsFor } from './tool-calls.ts'

/** What the demo answers, before any dialect has written it. */
export interface Reply {
  /** Hexadecimal digits made from the request, for ids. */
  readonly key: string
  readonly model: string
  readonly thinking: string
  readonly text: string
  /** The text as it is streamed. */
  readonly pieces: readonly string[]
  readonly calls: readonly ToolCall[]
  readonly finish: 'stop' | 'length' | 'tool-calls'
  /** The stop sequence that ended it. */
  readonly stop: string | undefined
  readonly usage: Usage
}

const QUOTED = 240

/** Answers a request. The same request has the same answer. */
export function replyTo(ask: Ask, orders: Orders, key: string, model: string): Reply {
  const calls = toolCallsFor(ask)
  const whole = calls.length > 0 ? (orders.text ?? '') : lengthened(textFor(ask, orders, model), orders.chunks)
  const stop = firstStop(whole, ask.stops)
  const stopped = stop === undefined ? whole : whole.slice(0, whole.indexOf(stop))
  const text = ask.cap === undefined || calls.length > 0 ? stopped : firstCharacters(stopped, ask.cap * 4)
  const isCut = text.length < stopped.length
  const thinking = orders.thinking ?? ''
  const reasoning = thinking === '' ? 0 : tokensOf(thinking.length)
  const written = calls.reduce((sum, call) => sum + call.tool.name.length + call.text.length, text.length)
  return {
    key,
    model,
    thinking,
    text,
    pieces: inPieces(text, orders.chunks),
    calls,
    finish: calls.length > 0 ? 'tool-calls' : isCut ? 'length' : 'stop',
    stop: isCut ? undefined : stop,
    usage: { input: ask.input, output: tokensOf(written) + reasoning, cacheRead: 0, cacheWrite: 0, reasoning }
  }
}

function textFor(ask: Ask, orders: Orders, model: string): string {
  if (ask.schema !== undefined) return JSON.stringify(valueFor(ask.schema, readOffer(ask.prompt)))
  if (orders.text !== undefined) return orders.text
  if (ask.results.length > 0) {
    const quoted = ask.results.map(result => `“${firstCharacters(result, QUOTED)}”`).join(' and ')
    return `This is Sluice's demo model ${model}. The tool answered ${quoted}, and that is my answer too.`
  }
  const said = ask.prompt === '' ? 'You said nothing.' : `You said: “${firstCharacters(ask.prompt, QUOTED)}”.`
  return `Hello! This is Sluice's demo model ${model}, so the gateway works. ${said} Name a real upstream in gateway.yaml to get real answers.`
}

/** The first of the sequences to occur. */
function firstStop(text: string, stops: readonly string[]): string | undefined {
  const found = stops.filter(stop => stop !== '' && text.includes(stop))
  return found.sort((left, right) => text.indexOf(left) - text.indexOf(right))[0]
}

/** Never half of a character. */
function firstCharacters(text: string, count: number): string {
  const end = text.length > count && /[\uD800-\uDBFF]/.test(text[count - 1] ?? '') ? count - 1 : count
  return text.slice(0, end)
}

const wordsOf = (text: string): string[] => text.match(/\s*\S+\s*$|\s*\S+/g) ?? (text === '' ? [] : [text])

/** A text that has something for each of the chunks asked for. */
function lengthened(text: string, chunks = 0): string {
  const words = wordsOf(text)
  if (text.length >= chunks || words.length === 0) return text
  return Array.from({ length: chunks }, (_, index) => ` ${(words[index % words.length] ?? '').trim()}`)
    .join('')
    .trimStart()
}

/** One a word, or as many as asked for. */
function inPieces(text: string, chunks?: number): string[] {
  if (chunks === undefined) return wordsOf(text)
  const characters = Array.from(text)
  const count = Math.min(chunks, characters.length)
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * characters.length) / count)
    return characters.slice(from, Math.floor(((index + 1) * characters.length) / count)).join('')
  })
}
