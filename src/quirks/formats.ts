// How models write calls into their text. A row is what such a text begins and ends with, and who reads it.
import { beginsJsonCall, objectOf, parseJsonCalls } from './json-calls.ts'
import { allOf, type Offer, type TextCall } from './offer.ts'
import { beginsPythonCall, parsePythonCalls } from './python-calls.ts'
import { beginsName, beginsTagCall, parsePairs, parseTagCalls } from './tag-calls.ts'

export interface Format {
  readonly opener: string
  /** None: the call goes on to the end of the text. */
  readonly closer?: string
  /** Values may hold what looks like the closer. */
  readonly isNested?: boolean
  /** Whether what follows the opener begins a call of a tool on offer. Undefined: too early to say. */
  begins(head: string, offer: Offer): boolean | undefined
  /** The calls in the text between opener and closer; undefined when it has to stay text. */
  parse(body: string, offer: Offer, isClosed: boolean): TextCall[] | undefined
}

const inTags = { needsArguments: false }

/** One of several ways to begin. */
function beginsOneOf(...ways: readonly Format['begins'][]): Format['begins'] {
  return (head, offer) => {
    const verdicts = ways.map(begins => begins(head, offer))
    return verdicts.includes(true) ? true : verdicts.includes(undefined) ? undefined : false
  }
}

const beginsAny = beginsOneOf(beginsJsonCall, beginsTagCall, beginsName)

function parseAny(body: string, offer: Offer, isClosed: boolean): TextCall[] | undefined {
  const text = body.trimStart()
  if (/^[[{]/.test(text)) return parseJsonCalls(text, offer, { ...inTags, isClosed })
  return text.startsWith('<') ? parseTagCalls(text, offer, isClosed) : parsePairs(text, offer, isClosed)
}

const always = (): boolean => true

function around(opener: string, closer: string): Format {
  const parse = (body: string, offer: Offer, isClosed: boolean): TextCall[] | undefined => {
    const calls = parseAny(body, offer, isClosed)
    if (calls !== undefined || !isClosed || !body.includes(opener)) return calls
    // Some models forget to close one before they open the next.
    const parts = body.split(opener).map(part => parseAny(part, offer, true))
    return allOf(parts.flatMap(part => part ?? [undefined]))
  }
  return { opener, closer, isNested: true, begins: beginsAny, parse }
}

/** A tag whose opener is part of the call. */
function tag(opener: string, closer: string): Format {
  const begins = (head: string, offer: Offer) => beginsTagCall(opener + head, offer)
  const parse = (body: string, offer: Offer, isClosed: boolean) =>
    isClosed ? parseTagCalls(opener + body + closer, offer, true) : undefined
  return { opener, closer, isNested: true, begins, parse }
}

const SENTINELS = /(?:<\/s>|<\|(?:eom_id|eot_id|im_end|call|return|end)\|>|\s)+$/

/** The text without the tokens with which a model ends. */
function withoutSentinels(text: string): string {
  // Longer ends than these are none; looking for them in all of a long text would take time for nothing.
  const from = Math.max(0, text.length - 256)
  return text.slice(0, from) + text.slice(from).replace(SENTINELS, '')
}

const python: Format = {
  opener: '<|python_tag|>',
  begins: beginsJsonCall,
  parse: (body, offer) => parseJsonCalls(withoutSentinels(body), offer, { ...inTags, isClosed: false })
}

/** LFM2's. */
const pythonic: Format = {
  opener: '<|tool_call_start|>',
  closer: '<|tool_call_end|>',
  begins: beginsPythonCall,
  parse: parsePythonCalls
}

const MISTRAL = '[TOOL_CALLS]'

/** `[{…}]`, or `name[ARGS]{…}`, which may come several times. */
const mistral: Format = {
  opener: MISTRAL,
  begins: beginsOneOf(beginsJsonCall, beginsName),
  parse: (body, offer) => {
    const calls: (TextCall | undefined)[] = []
    for (const part of withoutSentinels(body).split(MISTRAL)) {
      const text = part.trim()
      const [said, name] = /^([\w.:/-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*(?=\{)/.exec(text) ?? []
      if (said === undefined || name === undefined) {
        calls.push(...(parseJsonCalls(text, offer, { ...inTags, isClosed: false }) ?? [undefined]))
      } else calls.push(callOf(name, text.slice(said.length), offer, false))
    }
    return allOf(calls)
  }
}

function callOf(name: string, text: string, offer: Offer, isClosed: boolean): TextCall | undefined {
  const input = objectOf(text.trim(), isClosed)
  return input === undefined ? undefined : offer.call(name, input)
}

/** A section of calls, each between tokens of its own; one without its section is read as well. */
function section(
  [opener, closer]: readonly [string, string],
  [begin, end]: readonly [string, string],
  read: (text: string, offer: Offer) => TextCall | undefined
): Format[] {
  const parse = (body: string, offer: Offer, isClosed: boolean): TextCall[] | undefined => {
    const parts = body.split(begin).filter(part => part.trim() !== '')
    const whole = parts.map((part, at) => {
      const [text = '', after, ...more] = part.split(end)
      const isEnded = after === undefined ? isClosed || at < parts.length - 1 : after.trim() === ''
      return isEnded && more.length === 0 ? read(text, offer) : undefined
    })
    return allOf(whole)
  }
  return [
    { opener, closer, begins: always, parse },
    { opener: begin, closer: end, begins: always, parse }
  ]
}

function readKimi(text: string, offer: Offer): TextCall | undefined {
  const [id = '', input, ...others] = text.split('<|tool_call_argument_begin|>')
  if (input === undefined || others.length > 0) return undefined
  return callOf(
    id
      .trim()
      .replace(/^functions\./, '')
      .replace(/:\d+$/, ''),
    input,
    offer,
    true
  )
}

function readDeepSeek(text: string, offer: Offer): TextCall | undefined {
  const [first = '', second, ...others] = text.split('<｜tool▁sep｜>')
  if (second === undefined || others.length > 0) return undefined
  if (second.trimStart().startsWith('{')) return callOf(first.trim(), second, offer, true)
  // The older way: a kind, then a name, then the arguments in a fence.
  const [said, name] = /^\s*([\w.:/-]+)\s*```(?:json)?(?=\s)/.exec(second) ?? []
  if (said === undefined || name === undefined) return undefined
  const body = second.slice(said.length).trim()
  return callOf(name, body.endsWith('```') ? body.slice(0, -3) : body, offer, true)
}

const HARMONY_MESSAGE = '<|message|>'

/** gpt-oss: `functions.name <|constrain|>json<|message|>{…}`. */
function harmony(opener: string): Format {
  return {
    opener,
    closer: '<|call|>',
    begins: always,
    parse: (body, offer, isClosed) => {
      const at = body.indexOf(HARMONY_MESSAGE)
      const name = /^\s*(?:functions\.)?([\w.:/-]+)/.exec(body.slice(0, Math.max(at, 0)))?.[1]
      if (name === undefined) return undefined
      return allOf([callOf(name, withoutSentinels(body.slice(at + HARMONY_MESSAGE.length)), offer, isClosed)])
    }
  }
}

export const FORMATS: readonly Format[] = [
  around('<tool_call>', '</tool_call>'),
  around('<longcat_tool_call>', '</longcat_tool_call>'),
  around('<function_calls>', '</function_calls>'),
  around('<minimax:tool_call>', '</minimax:tool_call>'),
  tag('<function=', '</function>'),
  tag('<invoke name=', '</invoke>'),
  python,
  pythonic,
  mistral,
  ...section(
    ['<|tool_calls_section_begin|>', '<|tool_calls_section_end|>'],
    ['<|tool_call_begin|>', '<|tool_call_end|>'],
    readKimi
  ),
  ...section(
    ['<｜tool▁calls▁begin｜>', '<｜tool▁calls▁end｜>'],
    ['<｜tool▁call▁begin｜>', '<｜tool▁call▁end｜>'],
    readDeepSeek
  ),
  ...['<|channel|>commentary to=', '<|channel|>analysis to=', '<|start|>assistant to='].map(harmony),
  ...['commentary', 'analysis'].map(channel => harmony(`<|start|>assistant<|channel|>${channel} to=`))
]

/** A text that is nothing but calls. */
export const BARE: Format = {
  opener: '',
  begins: beginsOneOf(beginsJsonCall, beginsPythonCall),
  parse: (body, offer) => {
    const text = withoutSentinels(body)
    const calls = parseJsonCalls(text, offer, { isClosed: false, needsArguments: true })
    return calls ?? parsePythonCalls(text, offer)
  }
}

/** A code fence that is the whole of the rest. */
export function fence(run: string): Format {
  const INFO = /^(?:json|xml|tool_call|tool_code|tool)?[ \t]*\r?\n/
  return {
    opener: run,
    begins: (head, offer) => {
      const info = INFO.exec(head)?.[0]
      if (info === undefined) return head.length < 12 && !head.includes('\n') ? undefined : false
      const body = head.slice(info.length).trimStart()
      const wrapper = WRAPPERS.find(({ opener }) => body.startsWith(opener))
      if (wrapper !== undefined) return wrapper.begins(body.slice(wrapper.opener.length), offer)
      if (WRAPPERS.some(({ opener }) => opener.startsWith(body))) return undefined
      return beginsJsonCall(body, offer)
    },
    parse: (text, offer) => {
      const whole = text.trimEnd()
      if (!whole.endsWith(run)) return undefined
      const body = whole.slice(text.indexOf('\n'), -run.length).trim()
      const wrapper = WRAPPERS.find(({ opener }) => body.startsWith(opener))
      if (wrapper === undefined) return parseJsonCalls(body, offer, { isClosed: true, needsArguments: true })
      const { opener, closer = '' } = wrapper
      return body.endsWith(closer) ? wrapper.parse(body.slice(opener.length, -closer.length), offer, true) : undefined
    }
  }
}

const WRAPPERS = FORMATS.filter(format => format.isNested === true)
