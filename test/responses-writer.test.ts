// OpenAI Responses, as we stream it.
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import { openaiResponses as demo } from '../src/demo/openai-responses.ts'
import { replyTo } from '../src/demo/reply.ts'
import type { EncodeContext } from '../src/dialects/dialect.ts'
import {
  ANSWER,
  added,
  answered,
  anthropic,
  base,
  CODEX,
  completed,
  dataOf,
  decoded,
  done,
  encoded,
  type Json,
  openai,
  outputOf,
  responses,
  SAID,
  sse,
  user
} from './support/responses.ts'
import { CONTEXT, CUTS, call, chunk, ended, events, frames, problemIn, stream, summary } from './support/translate.ts'

/** The rules that the SDK checks: items are added in order, and each event belongs to the item and part it names. */
function checkGrammar(said: readonly Json[]): Json[] {
  const items: Json[] = []
  const texts = new Map<string, string>()
  for (const [at, event] of said.entries()) {
    const { type, sequence_number: number, output_index: index, item_id: id } = event
    if (number !== at) throw new Error(`number ${String(number)} at ${at}`)
    if (type === 'response.output_item.added') {
      if (index !== items.length) throw new Error('an item out of order')
      items.push(event['item'] as Json)
    } else if (typeof index === 'number') {
      const item = (type === 'response.output_item.done' ? event['item'] : { id }) as Json
      if (items[index] === undefined || items[index]['id'] !== item['id']) throw new Error(`${String(type)}: whose?`)
      const key = `${index} ${String(event['content_index'] ?? event['summary_index'] ?? 0)}`
      if (String(type).endsWith('.delta')) texts.set(key, (texts.get(key) ?? '') + String(event['delta']))
      const all = event['text'] ?? event['arguments'] ?? event['input'] ?? event['refusal']
      if (String(type).endsWith('.done') && all !== undefined && all !== (texts.get(key) ?? '')) {
        throw new Error(`${String(type)}: ${String(all)} is not ${texts.get(key)}`)
      }
      if (type === 'response.output_item.done') items[index] = item
    }
  }
  if (!isDeepStrictEqual(outputOf(said), items)) throw new Error('the end does not hold what was said')
  return items
}

t.test('a stream is written in the grammar that SDKs check', async t => {
  const context: EncodeContext = { ...CONTEXT, tools: decoded(CODEX).tools }
  const said = dataOf(stream(responses, SAID, context))
  const items = checkGrammar(said)
  t.same(
    said.slice(0, 2).map(({ type }) => type),
    ['response.created', 'response.in_progress']
  )
  t.match(said.at(-1), {
    type: 'response.completed',
    response: { id: 'resp_x1', status: 'completed', usage: { input_tokens: 9, total_tokens: 14 } }
  })
  t.match(items, [
    { type: 'reasoning', summary: [{ text: 'Hm.' }], encrypted_content: /^sluice:/ },
    {
      type: 'message',
      content: [
        { type: 'output_text', text: 'One' },
        { type: 'refusal', refusal: 'No.' }
      ]
    },
    { type: 'function_call', call_id: 'a', name: 'spawn', namespace: 'agents', arguments: '{}' },
    { type: 'custom_tool_call', call_id: 'b', name: 'apply_patch', input: '*** Begin' }
  ])
  t.equal(items[3]?.['arguments'], undefined)
  // The same in one piece.
  const blocks = SAID.flatMap(event => (event.type === 'block-start' ? [event.block] : []))
  const texts = ['Hm.', 'One', 'No.', '', '{"input":"*** Begin"}']
  const whole = blocks.map((block, at) =>
    block.type === 'tool-call' ? { ...block, input: texts[at] ?? '' } : { ...block, text: texts[at] ?? '' }
  )
  const [first, ...rest] = whole as typeof blocks
  const thinking = { ...first, extra: { anthropic: { signature: 'c2ln' } } } as (typeof blocks)[number]
  const answer = { id: 'x1', model: 'm', blocks: [thinking, ...rest], finish: 'tool-calls' as const }
  t.same(responses.encodeAnswer(answer, context)['output'], items)
})

t.test('the proof of thinking comes back to the upstream that made it', async t => {
  const said = dataOf(stream(responses, SAID))
  const output = outputOf(said)
  const next = decoded({ model: 'claude-opus-4-6', input: [user('Hi'), ...output, user('Go on.')] })
  t.match((encoded(next, anthropic, 'official').body['messages'] as Json[])[1], {
    content: [{ type: 'thinking', thinking: 'Hm.', signature: 'c2ln' }, {}, {}, {}, {}]
  })
  const other = encoded(next, responses, 'official')
  t.ok(other.dropped.includes('messages.thinking'), 'OpenAI would refuse it')
  t.match(encoded(next, responses, 'local').body['input'], [
    {},
    { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }] }
  ])
  const redacted = { type: 'redacted-thinking' as const, extra: { anthropic: { data: 'ZW4=' } } }
  const answer = responses.encodeAnswer({ id: '', model: '', blocks: [redacted], finish: 'stop' }, CONTEXT)
  t.same(answered(answer).blocks, [redacted])
})

t.test('a client is kept waiting, at any time, with all that was said so far', async t => {
  const encoder = responses.encodeStream(CONTEXT)
  const waited = encoder.keepAlive() + SAID.map(event => encoder.push(event) + encoder.keepAlive()).join('')
  const data = dataOf(waited)
  const items = checkGrammar(data)
  t.match(items, [{}, {}, { name: 'agents__spawn' }, { arguments: '{"input":"*** Begin"}' }])
  let open = 0
  for (const { type, response } of data) {
    if (type === 'response.output_item.added') open++
    else if (type === 'response.in_progress') t.equal((response as { output: Json[] }).output.length, open)
  }
  t.ok(data.filter(({ type }) => type === 'response.in_progress').length >= SAID.length - 1)
  t.equal(encoder.keepAlive(), '')
  t.same(summary(events(responses, waited)).length, 6)
})

t.test('a stream that fails says so twice, and goes on counting', async t => {
  const encoder = responses.encodeStream(CONTEXT)
  const begun = SAID.slice(0, 3)
    .map(event => encoder.push(event))
    .join('')
  const data = dataOf(begun + encoder.end())
  t.match(data.slice(-2), [{ type: 'error' }, { type: 'response.failed', response: { status: 'failed' } }])
  t.same(
    data.map(event => event['sequence_number']),
    data.map((_, at) => at)
  )
  t.equal(encoder.push({ type: 'ping' }), '')
  const cut = dataOf(stream(responses, [...SAID.slice(0, -1), { type: 'finish', reason: 'length' }]))
  t.match(cut.at(-1), { type: 'response.incomplete', response: { status: 'incomplete', output: { length: 4 } } })
  t.match(cut.at(-2), { type: 'response.output_item.done', item: { status: 'incomplete' } })
})

t.test('a stream through us is what it was, but for empty lists', async t => {
  const own = dataOf(stream(responses, events(responses, stream(responses, SAID))))
  t.same(own, dataOf(stream(responses, SAID)))
  const item = ANSWER.output[2] as { content: { annotations: Json[]; logprobs: Json[] }[] }
  const [part] = item.content
  const where = { output_index: 0, content_index: 0, item_id: 'msg_1' }
  const wire = [
    { type: 'response.created', response: { ...base, status: 'in_progress' } },
    added(0, { ...item, content: [] }),
    { type: 'response.output_text.delta', ...where, delta: 'Here.', logprobs: part?.logprobs },
    { type: 'response.output_text.annotation.added', ...where, annotation_index: 0, annotation: part?.annotations[0] },
    { type: 'response.content_part.done', ...where, part },
    done(0, item),
    done(1, ANSWER.output[1] as Json),
    completed()
  ]
  t.same(outputOf(dataOf(stream(responses, events(responses, sse(...wire))))), [item, ANSWER.output[1]])
})

t.test('however a stream is cut, it says the same', async t => {
  const tools = ['get_weather', 'get_time'].map(name => ({ name, schema: { type: 'object' } }))
  const ask = {
    prompt: 'Call get_weather and get_time',
    results: [],
    tools,
    toolChoice: 'auto',
    parallel: true
  } as const
  const orders = {
    pace: 0,
    firstByte: 0,
    fail: undefined,
    retryAfter: undefined,
    text: 'Ünï 🙂',
    thinking: 'Both.',
    chunks: 9
  }
  const reply = replyTo({ ...ask, schema: undefined, cap: undefined, stops: [], input: 7 }, orders, 'abc', 'demo')
  for (const wire of [demo.encodeStream(reply, {}).join(''), stream(responses, SAID)]) {
    const whole = events(responses, wire)
    t.equal(problemIn(whole), undefined)
    for (const cut of CUTS) {
      t.same(events(responses, wire, cut), whole, `cut at ${cut}`)
      t.same(events(responses, wire.replaceAll('\n', '\r\n'), cut), whole, `cut at ${cut}, with CRLF`)
    }
  }
  const streamed = summary(events(responses, demo.encodeStream(reply, {}).join('')))
  const answer = answered(demo.encodeAnswer(reply, {}))
  t.equal(streamed.length, answer.blocks.length + 1)
  t.same(streamed.slice(0, 2), ['thinking: Both.', 'text: Ünï 🙂'])
})

t.test('Codex reads what other models stream', async t => {
  const context = { ...CONTEXT, tools: decoded(CODEX).tools }
  const chat = frames(
    chunk({ reasoning_content: 'Hm.' }),
    chunk({ content: 'I do.' }),
    call(0, 'a', 'shell', '{"command":'),
    call(1, 'b', 'apply_patch', '{"input":"x'),
    call(0, undefined, undefined, '["ls"]}'),
    call(1, undefined, undefined, '"}'),
    ended('tool_calls'),
    '[DONE]'
  )
  const items = checkGrammar(dataOf(stream(responses, events(openai, chat, 3), context)))
  t.match(items, [
    { type: 'reasoning' },
    { type: 'message', content: [{ text: 'I do.' }] },
    { type: 'function_call', name: 'shell', arguments: '{"command":["ls"]}' },
    { type: 'custom_tool_call', name: 'apply_patch', input: 'x' }
  ])
  // And what Codex's own upstream streams, Claude Code reads.
  const back = events(anthropic, stream(anthropic, events(responses, stream(responses, SAID))))
  t.same(
    summary(back.filter(({ type }) => type !== 'ping')).map(line => line.replace(/ \{"anthropic.*/, '')),
    [
      'thinking: Hm.',
      'text: One',
      'text: No.',
      'a agents__spawn: {}',
      'b apply_patch: {"input":"*** Begin"}',
      '= tool-calls'
    ]
  )
})

t.test('what is of the wrong type never throws', async t => {
  const keys = [
    'type',
    'input',
    'role',
    'content',
    'output',
    'tools',
    'name',
    'tool_choice',
    'reasoning',
    'text',
    'item'
  ]
  const types = [
    'message',
    'function_call',
    'custom_tool_call',
    'reasoning',
    'input_image',
    'input_file',
    'namespace',
    'custom'
  ]
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constantFrom<unknown>(...types))
  const value = fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 4 },
      leaf,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...keys, 'summary', 'encrypted_content', 'arguments', 'format'), tie('value'))
    )
  })).value
  const kinds = ['output_item.added', 'output_item.done', 'output_text.delta', 'output_text.done', 'content_part.done']
  const more = ['function_call_arguments.delta', 'custom_tool_call_input.done', 'reasoning_text.delta', 'completed']
  const event = fc.record({
    type: fc.constantFrom(
      ...[...kinds, ...more, 'refusal.delta', 'output_text.annotation.added'].map(kind => `response.${kind}`)
    ),
    output_index: fc.oneof(fc.nat(2), leaf),
    content_index: fc.oneof(fc.nat(2), leaf),
    item: value,
    part: value,
    delta: fc.oneof(fc.string(), leaf),
    text: leaf,
    annotation: leaf,
    arguments: leaf,
    response: fc.record({ output: value, usage: leaf, id: leaf })
  })
  fc.assert(
    fc.property(
      fc.array(fc.oneof(event, value), { maxLength: 8 }),
      fc.array(value, { maxLength: 4 }),
      (list, input) => {
        const found = events(responses, frames(...list.map(entry => JSON.stringify(entry))))
        const problem = problemIn(found)
        if (problem !== undefined) throw new Error(problem)
        for (const translate of [responses, openai, anthropic]) stream(translate, found)
        const [tools, choice] = input
        const chat = responses.decodeRequest({ input, tools, tool_choice: choice, text: choice, reasoning: choice })
        const answer = responses.decodeAnswer({ output: input, usage: choice })
        for (const translate of [responses, openai, anthropic]) {
          for (const flavour of ['official', 'local'] as const) {
            if (!(chat instanceof Failure)) translate.encodeRequest(chat, flavour)
          }
          if (!(answer instanceof Failure)) translate.encodeAnswer(answer, CONTEXT)
        }
      }
    ),
    { numRuns: 300 }
  )
  t.pass()
})

t.test('a long answer costs no more than its length', async t => {
  const count = 60_000
  const deltas = Array.from(
    { length: count },
    (_, at): ChatEvent => ({ type: 'block-delta', index: 0, text: `word ${at} ` })
  )
  const block = { type: 'text' as const, text: '' }
  const long: ChatEvent[] = [
    { type: 'start', id: 'x', model: 'm' },
    { type: 'block-start', index: 0, block },
    ...deltas,
    { type: 'block-end', index: 0 },
    { type: 'finish', reason: 'stop' }
  ]
  const started = performance.now()
  const wire = stream(responses, long)
  const written = performance.now()
  const found = events(responses, wire, 1 << 14)
  const took = performance.now() - started
  t.equal(found.length, long.length + 1, 'and its usage')
  t.comment(
    `write ${((written - started) / count) * 1000} µs, read ${((took - written + started) / count) * 1000} µs an event`
  )
  t.ok(took < 4_000, `${took} ms`)
})

/** Blocks as a model may say them: whatever their order, none is lost, and none runs into the next. */
const part = fc.oneof(
  fc.constantFrom('text' as const, 'thinking' as const, 'refusal' as const).map(kind => ({ kind })),
  fc.record({ kind: fc.constant('call' as const), freeform: fc.boolean() })
)
const pieces = fc.array(fc.string({ minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 4 })

t.test('any answer survives a stream', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(part, pieces), { maxLength: 6 }), fc.constantFrom(...CUTS), (list, cut) => {
      const said: ChatEvent[] = [{ type: 'start', id: 'resp_x1', model: 'a-model' }]
      for (const [index, [what, deltas]] of list.entries()) {
        const texts = what.kind === 'call' && !what.freeform ? ['{"x":', JSON.stringify(deltas), '}'] : deltas
        const block =
          what.kind === 'call'
            ? {
                type: 'tool-call' as const,
                id: `c${index}`,
                name: 'f',
                input: '',
                ...(what.freeform && { freeform: true })
              }
            : what.kind === 'thinking'
              ? { type: what.kind, text: '' }
              : { type: 'text' as const, text: '', ...(what.kind === 'refusal' && { refusal: true }) }
        said.push({ type: 'block-start', index, block })
        for (const text of texts) said.push({ type: 'block-delta', index, text })
        said.push({ type: 'block-end', index })
      }
      const kinds = list.map(([{ kind }]) => kind)
      const reason = kinds.includes('call') ? 'tool-calls' : kinds.includes('refusal') ? 'refusal' : 'stop'
      said.push({ type: 'finish', reason })
      const wire = stream(responses, said)
      checkGrammar(dataOf(wire))
      const found = events(responses, wire, cut)
      const problem = problemIn(found)
      if (problem !== undefined) throw new Error(problem)
      const bare = found.filter(({ type }) => type !== 'usage').map(event => JSON.stringify(event))
      const wanted = said.map(event => JSON.stringify(event))
      const plain = bare.map(line => line.replace(/,"extra":\{"openai-responses":\{"item":\{"id":"\w+"\}\}\}/, ''))
      if (plain.join('\n') !== wanted.join('\n')) throw new Error(`${wanted.join('\n')}\n\n${plain.join('\n')}`)
    }),
    { numRuns: 300 }
  )
})
