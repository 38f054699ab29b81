// OpenAI Responses, as servers stream it.
import t from 'tap'
import {
  added,
  args,
  base,
  completed,
  created,
  done,
  fn,
  type Json,
  msg,
  responses,
  sse,
  text
} from './support/responses.ts'
import { events, problemIn, summary } from './support/translate.ts'

const read = (...list: Json[]) => {
  const said = events(responses, sse(...list))
  t.equal(problemIn(said), undefined)
  return summary(said)
}

t.test('items that come interleaved become blocks one after the other', async t => {
  t.same(
    read(
      created,
      added(0, msg('i0')),
      text(0, 'Hel'),
      added(1, fn('i1', 'a')),
      args(1, '{"x"'),
      added(2, fn('i2', 'b')),
      args(2, '{}'),
      text(0, 'lo'),
      done(0, msg('i0', 'Hello')),
      done(2, fn('i2', 'b', '{}')),
      args(1, ':1}'),
      done(1, fn('i1', 'a', '{"x":1}')),
      completed()
    ),
    ['text: Hello', 'a f: {"x":1}', 'b f: {}', '= tool-calls']
  )
  t.same(read(created, added(0, msg('i0')), text(0, 'a'), text(0, 'b', 1), text(0, 'c', 1), completed()), [
    'text: a',
    'text: bc',
    '= stop'
  ])
})

t.test('what no delta has said is said', async t => {
  const custom = { type: 'custom_tool_call', id: 'i1', call_id: 'b', name: 'p', input: '*** x' }
  const reasoning = { type: 'reasoning', id: 'i2', summary: [{ type: 'summary_text', text: 'Hm.' }] }
  const whole = ['text: Hi', 'b p: *** x', 'thinking: Hm.', 'a f: {}', '= tool-calls']
  const items = [msg('i0', 'Hi'), custom, reasoning, fn('i3', 'a', '{}')]
  t.same(read(created, ...items.map((item, at) => done(at, item)), completed(items)), whole, 'only items')
  t.same(read(created, completed(items)), whole, 'only the response')
  t.same(read(completed(items)), whole, 'nothing but its end')
  const shouted = items.flatMap((item, at) => [added(at, item), done(at, item)])
  t.same(read(created, ...shouted, completed(items)), whole, 'said three times')
  t.same(
    read(
      created,
      added(0, msg('i0')),
      { type: 'response.output_text.done', output_index: 0, content_index: 0, text: 'Hi' },
      {
        type: 'response.content_part.done',
        output_index: 0,
        content_index: 0,
        part: { type: 'output_text', text: 'Hi' }
      },
      added(1, fn('i1', 'a')),
      { type: 'response.function_call_arguments.done', output_index: 1, arguments: '{}' },
      added(2, { type: 'reasoning', id: 'i2', summary: [] }),
      { type: 'response.reasoning_summary_text.done', output_index: 2, summary_index: 0, text: 'a' },
      { type: 'response.reasoning_summary_text.done', output_index: 2, summary_index: 1, text: 'b' },
      { type: 'response.refusal.done', output_index: 3, content_index: 0, refusal: 'No.' },
      completed()
    ),
    ['text: Hi', 'a f: {}', 'thinking: a\n\nb', 'refusal: No.', '= tool-calls']
  )
})

t.test('thinking is read in each of its forms', async t => {
  const delta = (kind: string, at: object, said: string) => ({
    type: `response.reasoning_${kind}.delta`,
    output_index: 0,
    ...at,
    delta: said
  })
  const item = { type: 'reasoning', id: 'i0', summary: [] }
  t.same(
    read(
      created,
      added(0, item),
      delta('summary_text', { summary_index: 0 }, 'a'),
      delta('summary_text', { summary_index: 1 }, 'b'),
      delta('text', { content_index: 0 }, 'at length'),
      done(0, { ...item, summary: [{ text: 'a' }], encrypted_content: 'gAAA' }),
      completed()
    ),
    ['thinking: a\n\nb {"openai-responses":{"encrypted_content":"gAAA"}}', '= stop']
  )
  t.same(read(created, delta('text', { content_index: 0 }, 'open'), completed()), ['thinking: open', '= stop'])
  const hidden = events(responses, sse(created, done(0, { ...item, encrypted_content: 'gAAA' }), completed()))
  t.match(hidden[1], {
    block: {
      type: 'redacted-thinking',
      extra: { 'openai-responses': { encrypted_content: 'gAAA', item: { id: 'i0' } } }
    }
  })
})

t.test('the end of a stream is said, or it is a failure', async t => {
  const begun = [created, added(0, msg('i0')), text(0, 'Hi')]
  t.same(read(...begun), ['text: Hi', '! upstream-failed'])
  t.same(read(), ['! upstream-failed'])
  const incomplete = { ...base, status: 'incomplete', incomplete_details: { reason: 'content_filter' } }
  t.same(read(...begun, { type: 'response.incomplete', response: incomplete }), ['text: Hi', '= content-filter'])
  t.same(read(...begun, { type: 'response.incomplete', response: {} }), ['text: Hi', '= length'])
  const error = { code: 'context_length_exceeded', message: 'Your input exceeds the context window' }
  t.same(read(...begun, { type: 'response.failed', response: { ...base, status: 'failed', error } }), [
    'text: Hi',
    '! context-exceeded'
  ])
  t.same(read(...begun, { type: 'error', code: 'rate_limit_exceeded', message: 'slow' }), [
    'text: Hi',
    '! upstream-rate-limited'
  ])
  t.same(read(...begun, { type: 'response.cancelled', response: base }), ['text: Hi', '! upstream-failed'])
  t.same(summary(events(responses, `${sse(...begun)}data: {"half\n\n`)), ['text: Hi', '! upstream-failed'])
  t.same(read(...begun, { type: 'response.new_thing.delta', delta: 'x' }, { type: 'codex.note' }, completed()), [
    'text: Hi',
    '= stop'
  ])
  const alive = { type: 'response.in_progress', response: base }
  const pings = events(responses, sse(created, alive, alive, { type: 'keepalive' }, completed()))
  t.same(
    pings.map(({ type }) => type),
    ['start', 'ping', 'ping', 'finish']
  )
})

t.test('arguments that were cut are completed, but not when the model was stopped', async t => {
  const begun = [created, added(0, fn('i0', 'a')), args(0, '{"x":["y')]
  t.same(read(...begun, completed()), ['a f: {"x":["y"]}', '= tool-calls'])
  t.same(read(...begun, done(0, fn('i0', 'a', '{"x":["y')), completed()), ['a f: {"x":["y"]}', '= tool-calls'])
  const cut = { ...base, status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } }
  t.same(read(...begun, { type: 'response.incomplete', response: cut }), ['a f: {"x":["y', '= length'])
  const stopped = { ...fn('i0', 'a', '{"x":["y'), status: 'incomplete' }
  t.same(read(...begun, done(0, stopped), { type: 'response.incomplete', response: cut }), [
    'a f: {"x":["y',
    '= length'
  ])
})
