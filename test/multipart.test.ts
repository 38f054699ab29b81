import { array, boolean, check, integer, option, property, record, string, uint8Array } from 'fast-check'
import t from 'tap'
import { boundaryOf, findField } from '../src/lib/multipart.ts'
import { splice } from '../src/lib/splice.ts'

const BOUNDARY = '----b0undary'

interface Part {
  readonly name: string
  readonly file: boolean
  readonly body: Uint8Array
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = []
  for (let at = 0, index = 0; at < bytes.length; index++) {
    const size = sizes.length === 0 ? bytes.length : (sizes[index % sizes.length] ?? 1)
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

function encode(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, file, body }) => [
    Buffer.from(
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${file ? '; filename="a; name=model"' : ''}\r\n${file ? 'Content-Type: audio/wav\r\n' : ''}\r\n`
    ),
    Buffer.from(body),
    Buffer.from('\r\n')
  ])
  return Buffer.concat([...pieces, Buffer.from(`--${BOUNDARY}--\r\n`)])
}

t.test('the model is exchanged and every other byte stays, however the body is cut', async t => {
  const noise = array(
    record({
      name: string().filter(name => /^[a-z]+$/.test(name) && name !== 'model'),
      file: boolean(),
      body: uint8Array({ maxLength: 200 })
    }),
    { maxLength: 5 }
  )
  const model = option(string().filter(text => !/[\r\n]/.test(text)))
  const result = check(
    property(
      noise,
      noise,
      model,
      array(integer({ min: 1, max: 70 }), { maxLength: 6 }),
      (before, after, asked, sizes) => {
        const files = [{ name: 'model', file: true, body: Buffer.from('not-me') }]
        const part = (value: string): Part[] => [{ name: 'model', file: false, body: Buffer.from(value) }]
        const around = (value: string | null): Buffer =>
          encode([...before, ...files, ...(value === null ? [] : part(value)), ...after])
        const chunks = cut(around(asked), sizes)
        const found = findField(chunks, BOUNDARY, 'model')
        if (found === undefined) return asked === null
        if ('problem' in found || found.value !== asked) return false
        const sent = Buffer.concat(
          splice(chunks, [{ start: found.start, end: found.end, bytes: Buffer.from('new-model') }])
        )
        return sent.equals(around('new-model'))
      }
    ),
    { numRuns: 500 }
  )
  t.notOk(result.failed, JSON.stringify(result.counterexample))
})

t.test('what two parsers could read differently is refused', async t => {
  const part = (head: string, body = 'x'): string => `--${BOUNDARY}\r\n${head}\r\n\r\n${body}\r\n`
  const disposition = 'Content-Disposition: form-data; name="model"'
  const end = `--${BOUNDARY}--`
  const refused: Record<string, string> = {
    twice: part(disposition) + part(disposition) + end,
    'two dispositions': part(`${disposition}\r\ncontent-disposition: form-data; name=other`) + end,
    'two names': part(`${disposition}; name="other"`) + end,
    'an encoded name': part("content-disposition: form-data; name*=utf-8''model") + end,
    'no end': part(disposition),
    'a boundary inside of a part': part(disposition, `a\r\n--${BOUNDARY}x`) + end,
    'no boundary': 'nothing',
    'a long model': part(disposition, 'x'.repeat(5000)) + end,
    'many parts': part('content-disposition: form-data; name=a').repeat(1001) + end
  }
  for (const [name, text] of Object.entries(refused))
    t.match(findField([Buffer.from(text)], BOUNDARY, 'model'), { problem: String }, name)
})

t.test('forms are read as clients write them', async t => {
  const value = (head: string): unknown =>
    findField([Buffer.from(`preamble\r\n--${BOUNDARY} \t\r\n${head}\r\n\r\nm\r\n--${BOUNDARY}--`)], BOUNDARY, 'model')
  t.match(value('content-disposition:form-data;name=model'), { value: 'm' })
  t.match(value('Content-Type: text/plain\r\nCONTENT-DISPOSITION: form-data ; Name="mo\\del"'), { value: 'm' })
  t.equal(value('content-disposition: form-data; name="model"; filename="x"'), undefined)
  t.equal(value('content-disposition: form-data; name="a; name=model"'), undefined)
  t.equal(boundaryOf('multipart/form-data; charset=x; boundary="a b"'), 'a b')
  t.equal(boundaryOf('Multipart/Form-Data; boundary=abc; x=y'), 'abc')
  t.equal(boundaryOf('multipart/mixed; boundary=abc'), undefined)
  t.equal(boundaryOf(undefined), undefined)
})
