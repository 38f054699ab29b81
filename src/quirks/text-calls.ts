// Finds the calls that a model wrote into its text, while the text is written.
import { BARE, FORMATS, type Format, fence } from './formats.ts'
import { partialMarker, spaceBefore } from './held.ts'
import { Hold } from './hold.ts'
import type { Offer, TextCall } from './offer.ts'

export type CallPiece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly call: TextCall }

const OPENERS = FORMATS.map(format => format.opener)
const LONGEST = Math.max(...OPENERS.map(opener => opener.length))
const BY_OPENER: ReadonlyMap<string, Format> = new Map(FORMATS.map(format => [format.opener, format]))
const FENCE = '`{3,}|~{3,}'
const MARKER = `${OPENERS.map(text => text.replace(/[[\]|]/g, '\\$&')).join('|')}|${FENCE}`

/** What may stand after a call without meaning anything. */
const STRAYS = [
  ...FORMATS.flatMap(({ closer }) => (closer === undefined ? [] : [closer])),
  ...['<|im_end|>', '<|eom_id|>', '<|eot_id|>', '<|end|>', '<|return|>', '</s>', '<｜end▁of▁sentence｜>']
]

/** By then it has to be clear whether a marker begins a call. */
const HEAD = 256
const LONGEST_FENCE = 64
/** Spaces before a fence: lists are indented. */
const MOST_INDENT = 16

/**
 * Holds back white space, a possible marker and its next characters, about 400 in all; and a call until it is whole, up
 * to `MOST_HELD`. What turns out to be no call is given back as it was.
 */
export class CallScanner {
  readonly #offer: Offer
  readonly #markers = new RegExp(MARKER, 'g')
  readonly #fences = new RegExp(FENCE, 'g')
  #out: CallPiece[] = []
  #pending = ''
  #hold: Hold | undefined
  /** The run of characters that opened the fence we are in. */
  #fence = ''
  #isAtStart = true
  #isAfterCall = false
  /** What was held to the end and is no call is looked at again; then every closer closes. */
  #isSecondLook = false
  /** Formats whose end does not come any more. */
  readonly #hopeless = new Set<Format>()
  /** Nothing but white space has been said on this line. */
  #isBlankLine = true
  #last = ''

  constructor(offer: Offer) {
    this.#offer = offer
  }

  push(text: string): CallPiece[] {
    this.#read(text)
    return this.#taken()
  }

  end(): CallPiece[] {
    // Each turn of this either finds a call, or leaves one format less to look for.
    while (this.#hold !== undefined) this.#endHeld(this.#hold)
    const pending = this.#pending
    this.#pending = ''
    if (!this.#isAfterCall || pending.trim() !== '') this.#say(pending)
    return this.#taken()
  }

  #taken(): CallPiece[] {
    const out = this.#out
    this.#out = []
    return out
  }

  #read(text: string): void {
    let rest = text
    while (rest !== '') rest = this.#hold === undefined ? this.#scan(rest) : this.#grow(this.#hold, rest)
  }

  /** Looks for the beginning of a call: what follows it, if there is one. */
  #scan(text: string): string {
    let buffer = this.#pending + text
    this.#pending = ''
    if (this.#isAfterCall) buffer = this.#skipStrays(buffer)
    if (buffer === '') return ''
    if (this.#isAtStart) {
      const verdict = this.#isSecondLook ? false : this.#verdict(BARE, buffer, 0)
      if (verdict === undefined) {
        this.#pending = buffer
        return ''
      }
      this.#isAtStart = false
      if (verdict) return this.#begin(BARE, '', buffer)
    }
    const markers = this.#fence === '' ? this.#markers : this.#fences
    markers.lastIndex = 0
    for (let found = markers.exec(buffer); found !== null; found = markers.exec(buffer)) {
      const at = found.index
      const format = this.#formatAt(buffer, at, found[0])
      const verdict = format === undefined ? undefined : this.#verdict(format, buffer, at + found[0].length)
      if (format === undefined || verdict === undefined) {
        this.#sayUpTo(buffer, at)
        return ''
      }
      if (verdict) {
        const said = spaceBefore(buffer, at)
        this.#say(buffer.slice(0, said))
        return this.#begin(format, buffer.slice(said, at), buffer.slice(at + found[0].length))
      }
      const isFence = BY_OPENER.get(found[0]) === undefined
      const isOther = isFence && this.#isLineStart(buffer, at) && this.#toggles(buffer, at, found[0])
      if (!isOther) continue
      // From here on other markers count, so what has been read is done with.
      this.#fence = this.#fence === '' ? found[0] : ''
      this.#say(buffer.slice(0, at + found[0].length))
      return buffer.slice(at + found[0].length)
    }
    this.#sayUpTo(buffer, this.#partialAt(buffer))
    return ''
  }

  /** What a marker may begin here, `NONE` when it is nothing; undefined when more has to come to say. */
  #formatAt(buffer: string, at: number, marker: string): Format | undefined {
    const format = BY_OPENER.get(marker)
    if (format !== undefined) {
      // In backticks it is talked about.
      const before = at === 0 ? this.#last : buffer[at - 1]
      return before === '`' || this.#hopeless.has(format) ? NONE : format
    }
    if (!this.#isLineStart(buffer, at)) return NONE
    if (at + marker.length === buffer.length && marker.length < LONGEST_FENCE) return undefined
    return this.#fence !== '' || this.#isSecondLook || marker.length >= LONGEST_FENCE ? NONE : fence(marker)
  }

  /** A fence is closed by a run that is as long as its own, with nothing after it. */
  #toggles(buffer: string, at: number, run: string): boolean {
    if (this.#fence === '') return true
    const isSame = run.startsWith(this.#fence)
    return isSame && !/\w/.test(buffer[at + run.length] ?? '')
  }

  #verdict(format: Format, buffer: string, from: number): boolean | undefined {
    const head = buffer.slice(from, from + HEAD)
    return format.begins(head, this.#offer) ?? (head.length === HEAD ? false : undefined)
  }

  #begin(format: Format, before: string, rest: string): string {
    this.#hold = new Hold(before, format)
    return rest
  }

  #grow(hold: Hold, text: string): string {
    const rest = hold.push(text, this.#isSecondLook)
    if (rest === undefined) {
      if (hold.isTooLong) this.#giveBack(hold)
      return ''
    }
    const { closer = '', parse } = hold.format
    const calls = parse(hold.text.slice(0, -closer.length), this.#offer, true)
    if (calls === undefined) this.#giveBack(hold)
    else this.#call(calls)
    return rest
  }

  /** The text has ended within a call: some models leave out what closes it. */
  #endHeld(hold: Hold): void {
    const { format, before, text } = hold
    const calls = format.parse(text, this.#offer, false)
    if (calls !== undefined) return this.#call(calls)
    if (this.#isSecondLook || format.closer === undefined) this.#hopeless.add(format)
    this.#isSecondLook = true
    this.#hold = undefined
    this.#read(before + format.opener + text)
  }

  #call(calls: readonly TextCall[]): void {
    this.#hold = undefined
    this.#isAfterCall = true
    for (const call of calls) this.#out.push({ kind: 'call', call })
  }

  #giveBack({ before, format, text }: Hold): void {
    this.#hold = undefined
    this.#say(before + format.opener + text)
  }

  #skipStrays(buffer: string): string {
    let text = buffer.trimStart()
    for (;;) {
      const stray = STRAYS.find(known => text.startsWith(known))
      if (stray === undefined) break
      text = text.slice(stray.length).trimStart()
    }
    if (text !== '' && STRAYS.some(known => known.startsWith(text))) {
      this.#pending = text
      return ''
    }
    if (text !== '') this.#isAfterCall = false
    return text
  }

  #sayUpTo(buffer: string, end: number): void {
    const said = spaceBefore(buffer, end)
    this.#say(buffer.slice(0, said))
    this.#pending = buffer.slice(said)
  }

  #say(text: string): void {
    if (text === '') return
    this.#isBlankLine = this.#isLineStart(text, text.length)
    this.#last = text.at(-1) ?? ''
    this.#out.push({ kind: 'text', text })
  }

  /** Where the end of the text begins that may be the beginning of a marker. */
  #partialAt(buffer: string): number {
    const run = /(?:`{1,2}|~{1,2})$/.exec(buffer.slice(-2))?.[0] ?? ''
    const at = buffer.length - run.length
    if (run !== '' && this.#isLineStart(buffer, at)) return at
    return this.#fence === '' ? partialMarker(buffer, 0, OPENERS, LONGEST) : buffer.length
  }

  #isLineStart(text: string, end: number): boolean {
    let at = end
    while (at > 0 && end - at <= MOST_INDENT && (text[at - 1] === ' ' || text[at - 1] === '\t')) at--
    return at === 0 ? this.#isBlankLine : text[at - 1] === '\n'
  }
}

/** A marker that begins nothing. */
const NONE: Format = { opener: '', begins: () => false, parse: () => undefined }
