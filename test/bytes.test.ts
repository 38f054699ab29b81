// The fast paths on request and answer bytes, each against its slow twin.
import fc from 'fast-check'
import t from 'tap'
import { JsonScanner, MAX_DEPTH, scanObject } from '../src/lib/json-scan.ts'
import { slice, splice } from '../src/lib/splice.ts'
import { Excerpt, FrameGate } from '../src/relay/pass.ts'

const WANTED = new Set(['model', 'stream', 'max_tokens'])

/** JSON text of any value with any white space and any escapes: what `JSON.stringify` never writes. */
function anyText(value: unknown, random: () => number): string {
  const space = (): string => [' ', '', '', '\n', '\t', '\r\n  '][Math.floor(random() * 6)] ?? ''
  if (typeof value === 'string') return anyString(value, random)
  if (Array.isArray(value)) return `[${value.map(item => space() + anyText(item, random) + space()).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value).map(
      ([key, item]) => `${space()}${anyString(key, random)}${space()}:${space()}${anyText(item, random)}${space()}`
    )
    return `{${members.join(',')}}`
  }
  return JSON.stringify(value)
}

function anyString(text: string, random: () => number): string {
  const escaped = [...text].map(character => {
    if (random() > 0.2 || character.length > 1) return JSON.stringify(character).slice(1, -1)
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
  return `"${escaped.join('')}"`
}

const anyObject = fc.tuple(
  fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { maxKeys: 6 }),
  fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
  fc.option(fc.boolean(), { nil: undefined }),
  fc.option(fc.integer(), { nil: undefined }),
  fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
  fc.array(fc.nat(400), { maxLength: 6 })
)

function cutAt(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map(place => place % (bytes.length + 1)))].sort((a, b) => a - b)
  const chunks: Buffer[] = []
  slice([bytes], 0, sorted[0] ?? bytes.length, chunks)
  sorted.forEach((place, index) => {
    slice([bytes], place, sorted[index + 1] ?? bytes.length, chunks)
  })
  return chunks
}

t.test('the scan finds what JSON.parse finds, however the body is written and cut', async t => {
  fc.assert(
    fc.property(anyObject, ([rest, model, stream, maxTokens, randoms, cuts]) => {
      const folds = Object.keys(rest).some(key => WANTED.has(key.toUpperCase().toLowerCase()))
      fc.pre(!folds && !('__proto__' in rest && Object.keys(rest).includes('__proto__')))
      const value = {
        ...rest,
        ...(model !== undefined && { model }),
        ...(stream !== undefined && { stream }),
        ...(maxTokens !== undefined && { max_tokens: maxTokens })
      }
      const text = anyText(value, () => randoms.next().value as number)
      const bytes = Buffer.from(text)
      const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>
      for (const chunks of [[bytes], cutAt(bytes, cuts), [...bytes].map(byte => Buffer.from([byte]))]) {
        const scanned = scanObject(chunks, WANTED)
        if ('problem' in scanned) throw new Error(`${scanned.problem} in ${text}`)
        for (const key of WANTED) {
          const found = scanned.found[key]
          if (!Object.is(found?.value, parsed[key])) throw new Error(`${key} in ${text}`)
          if (
            found !== undefined &&
            !Object.is(JSON.parse(bytes.subarray(found.start, found.end).toString()), parsed[key])
          ) {
            throw new Error(`the span of ${key} in ${text}`)
          }
        }
      }
    }),
    { numRuns: 3000 }
  )
  t.pass()
})

t.test('a body that JSON.parse refuses never names another model than a lenient reader would see', async t => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]",:\\ /*\'#model\n1atrue') }), text => {
      const scanned = scanObject([Buffer.from(text)], WANTED)
      if ('problem' in scanned || scanned.found['model'] === undefined) return
      // Whatever was accepted holds the key once, and nothing that only lenient readers understand outside of strings.
      const outside = text.replace(/"(?:[^"\\]|\\.)*"/gs, '""')
      if (/['#/]/.test(outside)) throw new Error(text)
    }),
    { numRuns: 5000 }
  )
  t.pass()
})

t.test('what a scan refuses, it refuses with the reason', async t => {
  const problem = (text: string): string => {
    const scanned = scanObject([Buffer.from(text)], WANTED)
    return 'problem' in scanned ? scanned.problem : 'accepted'
  }
  t.match(problem(''), /empty/)
  t.match(problem('hello'), /not JSON: a JSON object is expected at byte 0/)
  t.match(problem('[1]'), /a JSON object is expected/)
  t.match(problem('{"a":1'), /ends too early/)
  t.match(problem('{"a":1} x'), /follows the end/)
  t.match(problem('{"a":[1}'), /do not match/)
  t.match(problem("{'model':1}"), /double quotes/)
  t.match(problem('{"a":[/*"*/1]}'), /outside of a string/)
  t.match(problem('{"model":"a","model":"b"}'), /`model` stands twice/)
  t.match(problem('{"model":"a","mod\\u0065l":"b"}'), /`model` stands twice/)
  t.match(problem('{"model":"a","Model":"b"}'), /`model` in lower case/)
  t.match(problem('{"model":"a","ſtream":true}'), /`stream` in lower case/)
  t.match(problem(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`), new RegExp(`deeper than ${MAX_DEPTH}`))
  t.match(problem(`{"model":"${'x'.repeat(5000)}"}`), /too long/)
  t.match(problem('{"__proto__":{"model":"x"},"a":1}'), /accepted/)
  t.same(({} as Record<string, unknown>)['model'], undefined)
})

t.test('a scanner that met a problem stays with it', async t => {
  const scanner = new JsonScanner(WANTED)
  scanner.push(Buffer.from('nonsense'))
  scanner.push(Buffer.from('{"model":"x"}'))
  t.ok('problem' in scanner.finish())
})

t.test('splicing exchanges the named bytes and no others', async t => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.array(fc.nat(100), { maxLength: 5 }),
      fc.nat(),
      fc.nat(),
      fc.string(),
      (raw, cuts, a, b, text) => {
        const bytes = Buffer.from(raw)
        const [start, end] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y) as [number, number]
        const spliced = splice(cutAt(bytes, cuts), [{ start, end, bytes: Buffer.from(text) }])
        const expected = Buffer.concat([bytes.subarray(0, start), Buffer.from(text), bytes.subarray(end)])
        if (!Buffer.concat(spliced).equals(expected)) throw new Error('not the bytes')
      }
    )
  )
  t.pass()
})

t.test('only whole frames go through, and no byte is lost', async t => {
  const stream = Buffer.from('data: {"a":1}\n\nevent: x\r\ndata: ä\r\n\r\n: comment\n\ndata: [DONE]\n\n')
  for (const size of [1, 2, 3, 7, 64, 1000]) {
    const gate = new FrameGate()
    const out: Buffer[] = []
    for (let at = 0; at < stream.length; at += size) {
      const passed = gate.push(stream.subarray(at, at + size))
      if (passed === undefined) continue
      t.match(passed.toString(), /\n\r?\n$/)
      out.push(passed)
    }
    t.equal(gate.rest(), undefined)
    t.ok(Buffer.concat(out).equals(stream), `cut at ${size}`)
  }
})

t.test('an excerpt keeps the beginning and the end of any answer', async t => {
  const excerpt = new Excerpt()
  for (let index = 0; index < 10_000; index++) excerpt.add(Buffer.from(`${index} `))
  t.match(excerpt.head(), /^0 1 2 /)
  t.match(excerpt.tail(), / 9998 9999 $/)
  t.ok(excerpt.head().length <= 4096 && excerpt.tail().length <= 16 * 1024)
})
