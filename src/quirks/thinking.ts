// Thinking that a server left in the text, which is where the model writes it.
import { partialMarker, spaceBefore } from './held.ts'

export interface TextPiece {
  readonly kind: 'text' | 'thinking'
  readonly text: string
}

interface Span {
  readonly kind: TextPiece['kind']
  readonly closers: readonly string[]
  /** Finds the first of the closers. */
  readonly end: RegExp
}

function spanOf(kind: TextPiece['kind'], closers: readonly string[]): Span {
  const end = new RegExp(closers.map(closer => closer.replace(/[[\]|]/g, '\\$&')).join('|'))
  return { kind, closers, end }
}

const harmony = (kind: TextPiece['kind']): Span => spanOf(kind, ['<|end|>', '<|return|>'])
const thinking = (...closers: string[]): Span => spanOf('thinking', closers)
const OPENED = thinking('</think>', '</thinking>')

const CHANNELS = { analysis: harmony('thinking'), commentary: harmony('text'), final: harmony('text') }

const SPANS: ReadonlyMap<string, Span> = new Map([
  ['<think>', thinking('</think>')],
  ['<thinking>', thinking('</thinking>')],
  ['<seed:think>', thinking('</seed:think>')],
  ['[THINK]', thinking('[/THINK]')],
  // gpt-oss puts all that it says into channels.
  ...Object.entries(CHANNELS).flatMap(([channel, span]): [string, Span][] => [
    [`<|channel|>${channel}<|message|>`, span],
    [`<|start|>assistant<|channel|>${channel}<|message|>`, span]
  ])
])
const OPENERS = [...SPANS.keys()]
const LONGEST_CLOSER = 16
const MOST_LEADING = 1024

/** `start`: a span may begin here. `rest`: the text is text to its end. */
type State =
  | { readonly at: 'start' }
  | { readonly at: 'rest' }
  | { readonly at: 'span'; readonly span: Span; readonly isFresh: boolean }

/** Tells thinking from text. What it holds back is a possible marker, and the white space beside one. */
export class ThinkingSplitter {
  #state: State = { at: 'start' }
  #pending = ''
  /** White space beside a span belongs to nothing. */
  #isAfterSpan = false

  /** The prompt's template has begun the thinking already. */
  #isOpened: boolean

  constructor(isOpened: boolean) {
    this.#isOpened = isOpened
  }

  push(text: string): TextPiece[] {
    const out: TextPiece[] = []
    let buffer: string | undefined = this.#pending + text
    this.#pending = ''
    while (buffer !== undefined && buffer !== '') {
      const state: State = this.#state
      if (state.at === 'rest') {
        out.push({ kind: 'text', text: buffer })
        buffer = undefined
      } else buffer = state.at === 'start' ? this.#begin(buffer) : this.#within(buffer, state.span, state.isFresh, out)
    }
    return out
  }

  end(): TextPiece[] {
    const text = this.#pending
    const state = this.#state
    this.#pending = ''
    if (text === '') return []
    return [{ kind: state.at === 'span' ? state.span.kind : 'text', text }]
  }

  #begin(buffer: string): string | undefined {
    const text = buffer.trimStart()
    const opener = OPENERS.find(known => text.startsWith(known))
    if (opener !== undefined) {
      const span = SPANS.get(opener)
      if (span !== undefined) this.#state = { at: 'span', span, isFresh: true }
      this.#isOpened = false
      return text.slice(opener.length)
    }
    if (OPENERS.some(known => known.startsWith(text)) && buffer.length < MOST_LEADING) {
      this.#pending = this.#isAfterSpan ? text : buffer
      return undefined
    }
    this.#state = this.#isOpened ? { at: 'span', span: OPENED, isFresh: true } : { at: 'rest' }
    this.#isOpened = false
    return this.#isAfterSpan ? text : buffer
  }

  #within(buffer: string, span: Span, isFresh: boolean, out: TextPiece[]): string | undefined {
    const text = isFresh ? buffer.trimStart() : buffer
    if (text === '') return undefined
    if (isFresh) this.#state = { at: 'span', span, isFresh: false }
    const found = span.end.exec(text)
    const end = found?.index ?? partialMarker(text, 0, span.closers, LONGEST_CLOSER)
    const said = spaceBefore(text, end)
    if (said > 0) out.push({ kind: span.kind, text: text.slice(0, said) })
    if (found === null) {
      this.#pending = text.slice(said)
      return undefined
    }
    this.#state = { at: 'start' }
    this.#isAfterSpan = true
    return text.slice(found.index + found[0].length)
  }
}
