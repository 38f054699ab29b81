// Bytes that nobody should send. All texts of the corpus are broken at random, and whatever reads them has to stay calm:
// it does not throw, says no more than it was sent, and keeps the grammar of events. `SEED` tries other breaks.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { FAILURES, Failure } from '../src/chat/failure.ts'
import type { Dialect, Flavour } from '../src/dialects/dialect.ts'
import { DIALECTS } from '../src/dialects/index.ts'
import { parseJson } from '../src/lib/json-repair.ts'
import { SseReader } from '../src/lib/sse.ts'
import { plain } from './support/cases.ts'
import { CASES, CONTEXT, events, problemIn, stream } from './support/translate.ts'

const SEED = Number(process.env['SEED'] ?? 20_261_121)
const TIMES = Number(process.env['RUNS'] ?? 1)
// A machine that does much else needs longer than its ten seconds.
t.setTimeout(600_000)
t.comment(`seed ${SEED}`)

/** mulberry32: small, and the same everywhere. */
class Dice {
  #state: number
  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number below the limit. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * limit)
  }

  one<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0]
  }
}

interface Sample {
  readonly dialect: Dialect
  readonly bytes: Buffer
}

function samples(ending: string): [Sample, ...Sample[]] {
  const found = readdirSync(CASES).flatMap(scenario =>
    Object.values(DIALECTS).flatMap(dialect => {
      const folder = join(CASES, scenario, dialect.name)
      const files = readdirIf(folder).filter(file => file.endsWith(ending))
      return files.map(file => ({ dialect, bytes: readFileSync(join(folder, file)) }))
    })
  )
  const [first, ...rest] = found
  if (first === undefined) throw new Error(`no ${ending} in the corpus`)
  return [first, ...rest]
}

function readdirIf(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

const EVIL: readonly [string, ...string[]] = [
  'null',
  '-1',
  '1e999',
  '""',
  '[]',
  '{}',
  '[[',
  '}}',
  '"',
  '\\',
  '\n\n',
  '\r',
  'data: ',
  'data: [DONE]\n\n',
  'event: error\n',
  '\ufeff',
  '\u2028',
  '\\ud800',
  '__proto__',
  '"__proto__":{"x":1},',
  '{"error":{"message":"x","code":500}}',
  '[{"type":"text"}]',
  'true',
  '9007199254740993'
]

/** One to four changes: bytes lost, doubled, exchanged, put in, or brought from elsewhere. */
function broken(dice: Dice, bytes: Buffer, other: Buffer): Buffer {
  let text = bytes
  for (let count = 1 + dice.below(4); count > 0; count--) {
    const at = dice.below(text.length + 1)
    const end = Math.min(text.length, at + dice.below(dice.one([2, 8, 200])))
    const from = dice.below(other.length + 1)
    const put = dice.one<() => Buffer>([
      () => Buffer.alloc(0),
      () => Buffer.from(dice.one(EVIL)),
      () => Buffer.from([dice.below(256)]),
      () => other.subarray(from, from + dice.below(400)),
      () => Buffer.concat([text.subarray(at, end), text.subarray(at, end)]),
      () => Buffer.from(dice.one(EVIL).repeat(dice.below(200)))
    ])()
    text = Buffer.concat([text.subarray(0, at), put, text.subarray(end)])
  }
  return dice.below(20) === 0 ? text.subarray(0, dice.below(text.length)) : text
}

/** One to three values of a JSON body exchanged for others of it, or for something evil: it stays JSON. */
function bent(dice: Dice, body: unknown): unknown {
  let result = body
  for (let count = 1 + dice.below(3); count > 0; count--) {
    const value = dice.below(2) === 0 ? parseJson(dice.one(EVIL)) : somewhere(dice, body)
    result = exchanged(dice, result, value)
  }
  return result
}

function somewhere(dice: Dice, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || dice.below(4) === 0) return value
  const inner: unknown[] = Object.values(value)
  return inner.length === 0 ? value : somewhere(dice, inner[dice.below(inner.length)])
}

function exchanged(dice: Dice, into: unknown, value: unknown): unknown {
  if (typeof into !== 'object' || into === null || dice.below(5) === 0) return value
  const keys = Object.keys(into)
  const key = keys[dice.below(keys.length)]
  if (key === undefined) return value
  const inner = exchanged(dice, Object.entries(into).find(([name]) => name === key)?.[1], value)
  return Array.isArray(into) ? into.with(Number(key), inner) : { ...into, [key]: inner }
}

/** Runs one input after the other, and tells of the one that breaks something. */
function fuzz(ending: string, count: number, check: (dice: Dice, sample: Sample, bytes: Buffer) => void): void {
  const all = samples(ending)
  for (let at = 0; at < count * TIMES; at++) {
    const dice = new Dice(SEED + at)
    const sample = dice.one(all)
    const bytes = broken(dice, sample.bytes, dice.one(all).bytes)
    try {
      check(dice, sample, bytes)
    } catch (error) {
      const shown = JSON.stringify(bytes.toString()).slice(0, 2_000)
      throw new Error(`input ${at} of seed ${SEED}, ${sample.dialect.name}: ${shown}`, { cause: error })
    }
  }
}

function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

const anyDialect = (dice: Dice): Dialect =>
  dice.one([DIALECTS.anthropic, DIALECTS.gemini, DIALECTS['openai-chat'], DIALECTS['openai-responses']])
const flavourOf = (dice: Dice): Flavour => dice.one(['official', 'compatible', 'local'])
const sizeOf = (value: unknown): number => JSON.stringify(value).length

t.test('a broken stream is read to its end, whatever it was', async t => {
  let ended = 0
  fuzz('.sse', 8_000, (dice, { dialect }, bytes) => {
    const reader = dice.below(8) === 0 ? anyDialect(dice) : dialect
    if (reader.translate === undefined) return
    const found = events(reader.translate, bytes, dice.one([1, 7, 64, 4_096]))
    const problem = problemIn(found)
    must(problem === undefined, `${problem}`)
    must(isDeepStrictEqual(plain(events(reader.translate, bytes)), plain(found)), 'cuts make no difference')
    // No frame says more than a few events, and no text is made of nothing.
    must(found.length <= 32 + bytes.length / 4, `${found.length} events of ${bytes.length} bytes`)
    must(sizeOf(found) <= 20_000 + 32 * bytes.length, 'what was said has grown')
    if (found.at(-1)?.type === 'finish') ended++
    const writer = anyDialect(dice)
    if (writer.translate === undefined) return
    const wire = stream(writer.translate, found)
    must(writer.streamEnded(wire.slice(-16_384)), `${writer.name} does not end: ${wire.slice(-200)}`)
    must(wire.length <= 40_000 + 400 * found.length + 16 * sizeOf(found), 'what is written has grown')
    const again = problemIn(events(writer.translate, wire))
    must(again === undefined, `${writer.name}, read again: ${again}`)
  })
  t.ok(ended > 500, `${ended} were answers all the same`)
})

t.test('frames are those of the bytes, however they are cut, and never longer than the limit', async t => {
  let overflowed = 0
  fuzz('.sse', 30_000, (dice, _, bytes) => {
    const limit = dice.one([64, 1_024, 1 << 20])
    const [whole, cut] = [new SseReader(limit), new SseReader(limit)]
    const frames = [...whole.push(bytes), ...whole.end()]
    const pieces = []
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + dice.below(200)
      pieces.push(...cut.push(bytes.subarray(at, next)))
      at = next
    }
    const found = [...pieces, ...cut.end()]
    // The limit counts pieces as well, so more cuts may reach it earlier.
    if (!cut.overflowed) must(isDeepStrictEqual(found, frames), 'cuts make no difference')
    must(cut.overflowed || !whole.overflowed, 'whole it is longer than cut')
    must(frames.length <= 1 + bytes.filter(byte => byte === 0x0a || byte === 0x0d).length, 'more frames than lines')
    must(
      frames.every(({ data }) => data.length <= limit),
      'a frame is longer than the limit'
    )
    if (!whole.overflowed) return
    overflowed++
    must(whole.push(Buffer.from('data: x\n\n')).length === 0, 'it reads on after it has given up')
  })
  t.ok(overflowed > 1_000, `${overflowed} were too long`)
})

t.test('what should be a request is one, or is refused', async t => {
  let read = 0
  fuzz('request.json', 14_000, (dice, sample, bytes) => {
    const parsed = parseJson(bytes.toString())
    const body = parsed === undefined || dice.below(2) === 0 ? bent(dice, parseJson(sample.bytes.toString())) : parsed
    const reader = dice.below(8) === 0 ? anyDialect(dice) : sample.dialect
    const chat = reader.translate?.decodeRequest(body)
    if (chat === undefined || chat instanceof Failure) return
    read++
    const encoded = anyDialect(dice).translate?.encodeRequest(chat, flavourOf(dice))
    if (encoded === undefined || encoded instanceof Failure) return
    must(sizeOf(encoded.body) <= 4_000 + 32 * sizeOf(body), 'what is sent has grown')
    must(encoded.dropped.length <= 40 && encoded.dropped.every(path => /^[\w.-]{1,80}$/.test(path)), 'it fits a header')
  })
  t.ok(read > 5_000, `${read} were requests all the same`)
})

t.test('what should be an answer is one, or is a failure', async t => {
  let read = 0
  fuzz('answer.json', 10_000, (dice, sample, bytes) => {
    const parsed = parseJson(bytes.toString())
    const body = parsed === undefined || dice.below(2) === 0 ? bent(dice, parseJson(sample.bytes.toString())) : parsed
    const reader = dice.below(8) === 0 ? anyDialect(dice) : sample.dialect
    const answer = reader.translate?.decodeAnswer(body)
    if (answer === undefined || answer instanceof Failure) return
    read++
    const written = anyDialect(dice).translate?.encodeAnswer(answer, CONTEXT)
    must(sizeOf(written) <= 8_000 + 32 * sizeOf(body), 'what is written has grown')
  })
  t.ok(read > 4_000, `${read} were answers all the same`)
})

t.test('failures, usage and ends are looked for in anything', async () => {
  const look = (dice: Dice, _: Sample, bytes: Buffer) => {
    const { decodeFailure, readUsage, streamEnded } = anyDialect(dice)
    const text = bytes.toString()
    const failure = decodeFailure(dice.one([0, 400, 401, 422, 429, 500, 503, 529]), text)
    must(
      failure.kind in FAILURES && failure.status >= 400 && failure.status <= 599,
      `${failure.kind} ${failure.status}`
    )
    must(
      failure.message.length > 0 && failure.message.length <= 500,
      `a message of ${failure.message.length} characters`
    )
    const usage = readUsage(text.slice(0, 4_096), text.slice(-16_384))
    const numbers = Object.values(usage ?? {})
    must(
      numbers.every(number => Number.isFinite(number) && number >= 0),
      `usage ${JSON.stringify(usage)}`
    )
    must(typeof streamEnded(text.slice(-16_384)) === 'boolean', 'an end is there or not')
  }
  fuzz('.sse', 20_000, look)
  fuzz('.json', 20_000, look)
})

t.test('what has no end is given up at the limit', async t => {
  const limit = 1 << 20
  for (const text of ['x', 'data: ', 'data: x\n', 'event: '.repeat(9)]) {
    const reader = new SseReader(limit)
    const chunk = Buffer.from(text.repeat(8_192))
    let [read, frames] = [0, 0]
    for (; !reader.overflowed && read < 8 * limit; read += chunk.length) frames += reader.push(chunk).length
    t.ok(reader.overflowed && frames === 0, `${JSON.stringify(text.slice(0, 9))}: ${read} bytes`)
  }
})
