import t from 'tap'
import { SseReader } from '../src/lib/sse.ts'

function framesOf(text: string, cut: number, limit?: number): [SseReader, string[]] {
  const reader = new SseReader(limit)
  const bytes = Buffer.from(text)
  const found = []
  for (let at = 0; at < bytes.length; at += cut) found.push(...reader.push(bytes.subarray(at, at + cut)))
  return [reader, [...found, ...reader.end()].map(({ event = '', data }) => `${event}|${data}`)]
}

t.test('frames are read however they are written and cut', async t => {
  const text =
    '\ufeff: hello\n\nevent: a\ndata: 1\r\ndata:2\r\nid: 7\r\n\r\ndata\r\revent: lost\n\ndata: ü🙂\n\n\ndata: last'
  for (const cut of [1, 2, 3, 7, 64, 1_000]) {
    t.same(framesOf(text, cut)[1], ['a|1\n2', '|', '|ü🙂', '|last'], `cut at ${cut}`)
    const [reader, found] = framesOf(`data: 1\n\ndata: ${'x'.repeat(500)}\n\ndata: 2\n\n`, cut, 200)
    t.same([reader.overflowed, found], [true, ['|1']], `too long, cut at ${cut}`)
  }
})

t.test('a long line in small pieces costs no more than its length', async t => {
  const reader = new SseReader()
  const piece = Buffer.from('x'.repeat(16))
  const started = performance.now()
  reader.push(Buffer.from('data: '))
  for (let count = 0; count < 500_000; count++) reader.push(piece)
  t.equal(reader.push(Buffer.from('\n\n'))[0]?.data.length, 8_000_000)
  t.ok(performance.now() - started < 5_000)
})
