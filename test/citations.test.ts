// Where a text is from and what it was made of, from each dialect to each; and numbers that have to keep their digits.
import fc from 'fast-check'
import t from 'tap'
import type { ChatAnswer } from '../src/chat/answer.ts'
import type { Block } from '../src/chat/block.ts'
import type { Citation } from '../src/chat/citation.ts'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import type { ChatRequest } from '../src/chat/request.ts'
import { citing } from '../src/dialects/citing.ts'
import type { Flavour } from '../src/dialects/dialect.ts'
import { Dropped } from '../src/dialects/dropped.ts'
import { exactJson, exactObject, parseExact } from '../src/dialects/exact.ts'
import { Translation, type TranslationSettings } from '../src/relay/translate.ts'
import { plain, read } from './support/cases.ts'
import { CASES, CONTEXT, call, chunk, ended, events, frames, NAMES, stream, translator } from './support/translate.ts'

function successful<T>(result: T | Failure): T {
  if (result instanceof Failure) throw new Error(result.message)
  return result
}

/** What a recorded answer comes to for a client of another dialect, and what is declared of it. */
function told(from: string, file: string, to: string): [answer: Record<string, unknown>, dropped: string[]] {
  const dropped = new Dropped(to, 'answer')
  const answer = successful(translator(from).decodeAnswer(read(`${CASES}/citations-of-pages/${from}/${file}`)))
  const written = translator(to).encodeAnswer(answer, { ...CONTEXT, dropped })
  return [plain(written) as Record<string, unknown>, dropped.list()]
}

const TOWER = { url: 'https://example.com/tower', title: 'The tower' }

t.test('what Google’s search has found reaches clients of the others', async t => {
  const [chat, dropped] = told('gemini', 'google.answer.json', 'openai-chat')
  t.match(chat, {
    choices: [
      {
        message: {
          annotations: [
            { type: 'url_citation', url_citation: { ...TOWER, start_index: 13, end_index: 40 } },
            { type: 'url_citation', url_citation: { ...TOWER, start_index: 41, end_index: 55 } },
            { type: 'url_citation', url_citation: { url: 'https://example.org/unused' } },
            { type: 'url_citation', url_citation: { url: 'https://example.net/size', start_index: 0, end_index: 5 } }
          ]
        }
      }
    ]
  })
  t.same(dropped, ['answer.citations.retrievedContext', 'answer.searchEntryPoint', 'answer.webSearchQueries'])
  const [own] = told('gemini', 'google.answer.json', 'gemini')
  const { candidates } = read(`${CASES}/citations-of-pages/gemini/google.answer.json`) as { candidates: object[] }
  t.match(own, { candidates }, 'and to its own as it was')
})

t.test('what Anthropic’s search has found reaches clients of the others, its sentences whole', async t => {
  const [chat, dropped] = told('anthropic', 'search.answer.json', 'openai-chat')
  t.match(chat, {
    choices: [
      {
        message: {
          content: 'The tower is 330 m high.',
          annotations: [
            { url_citation: { ...TOWER, start_index: 13, end_index: 23, content: 'It is 330 metres high.' } },
            { url_citation: { url: 'https://example.com/mine', start_index: 13, end_index: 23 } }
          ]
        }
      }
    ]
  })
  t.same(dropped, [
    'answer.citations.search_result_location',
    'answer.server_tool_use',
    'answer.web_search_tool_result'
  ])
  const [own] = told('anthropic', 'search.answer.json', 'anthropic')
  const { content } = read(`${CASES}/citations-of-pages/anthropic/search.answer.json`) as { content: object[] }
  t.same(own['content'], content, 'and its own as it was, in its order')
})

t.test('what OpenAI’s dialects cite reaches the others, but for files', async t => {
  const [anthropic, dropped] = told('openai-chat', 'openrouter.answer.json', 'anthropic')
  t.match(anthropic, {
    content: [{ citations: [{ type: 'web_search_result_location', ...TOWER, cited_text: 'It is 330 metres high.' }] }]
  })
  t.same(dropped, ['answer.citations.file_citation', 'answer.citations.place'])
  const [responses, words] = told('openai-chat', 'openrouter.answer.json', 'openai-responses')
  t.match(responses, {
    output: [{ content: [{ annotations: [{ type: 'url_citation', ...TOWER, start_index: 4, end_index: 9 }] }] }]
  })
  t.same(words, ['answer.citations.file_citation', 'answer.citations.quote'])
})

const cited = (citations: readonly Citation[]): ChatRequest => ({
  model: 'a-model',
  system: [],
  turns: [
    { role: 'user', blocks: [{ type: 'text', text: 'How high?' }] },
    { role: 'assistant', blocks: [{ type: 'text', text: 'So high.', citations }] },
    { role: 'user', blocks: [{ type: 'text', text: 'And in feet?' }] }
  ],
  tools: [],
  maxTokens: 9,
  stream: false
})

t.test('a history keeps its sources where the upstream takes them, and they are declared where not', async t => {
  const page: Citation = { type: 'page', ...TOWER }
  const proven: Citation = { ...page, extra: { anthropic: { encrypted_index: 'RW4=' } } }
  const dropped = (name: string, citation: Citation, flavour: Flavour) =>
    successful(translator(name).encodeRequest(cited([citation]), flavour)).dropped
  t.same(dropped('openai-chat', page, 'official'), [])
  t.same(dropped('openai-chat', page, 'compatible'), ['messages.citations'])
  t.same(dropped('openai-responses', page, 'official'), [])
  t.same(dropped('gemini', page, 'official'), ['messages.citations'])
  t.same(dropped('anthropic', page, 'official'), ['messages.citations'], 'what it has not found itself it refuses')
  t.same(dropped('anthropic', proven, 'official'), [])
  const echoed = successful(
    translator('openai-chat').decodeRequest(
      plain(successful(translator('openai-chat').encodeRequest(cited([page]), 'official')).body)
    )
  )
  t.match(echoed.turns[1], { blocks: [{ citations: [page] }] })
})

t.test('sources that are told apart from the texts are put to theirs', async t => {
  const texts: Block[] = [
    { type: 'text', text: 'One.' },
    { type: 'thinking', text: 'Hm.' },
    { type: 'text', text: 'Two.' }
  ]
  const page = (start?: number, end?: number): Citation => ({
    type: 'page',
    url: 'u',
    ...(start !== undefined && { start, end: end ?? start })
  })
  const places = (...citations: Citation[]) =>
    citing(texts, citations).map(block => (block.type === 'text' ? block.citations : undefined))
  t.same(places(page(0, 3)), [[page(0, 3)], undefined, undefined])
  t.same(places(page(5, 7)), [undefined, undefined, [page(1, 3)]])
  t.same(places(page(99, 99)), [undefined, undefined, [page(95, 95)]])
  t.same(places(page()), [[page()], undefined, undefined])
  t.same(citing([], [page()]), [])
})

t.test('a stream’s sources come with its text, whatever comes between', async t => {
  const said = events(
    translator('openai-chat'),
    frames(
      chunk({ content: 'So high' }),
      call(0, 'a', 'f', '{}'),
      chunk({ annotations: [{ type: 'url_citation', url_citation: { ...TOWER, start_index: 0, end_index: 2 } }] }),
      ended('tool_calls'),
      '[DONE]'
    )
  )
  const extras = said.filter(event => event.type === 'block-extra')
  t.match(extras, [{ citations: [{ ...TOWER, start: 0, end: 2 }] }])
  t.same(
    said.filter(event => event.type === 'block-start').map(({ block }) => block.type),
    ['text', 'tool-call', 'text']
  )
})

// Tokens.

const TOKENS = [{ token: 'Yes', logprob: -0.1, bytes: null, top_logprobs: [{ token: 'No', logprob: -2, bytes: [78] }] }]

t.test('tokens go between OpenAI’s dialects and Gemini’s, whole and streamed', async t => {
  const body = {
    id: 'c1',
    model: 'm',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Yes' },
        logprobs: { content: TOKENS, refusal: null },
        finish_reason: 'stop'
      }
    ]
  }
  const answer = successful(translator('openai-chat').decodeAnswer(body))
  const streamed = events(
    translator('openai-chat'),
    frames(chunk({ content: 'Yes' }, { logprobs: { content: TOKENS, refusal: null } }), ended('stop'), '[DONE]')
  )
  t.match(translator('openai-responses').encodeAnswer(answer, CONTEXT), {
    output: [{ content: [{ logprobs: [{ token: 'Yes', bytes: [], top_logprobs: [{ token: 'No', bytes: [78] }] }] }] }]
  })
  t.match(translator('gemini').encodeAnswer(answer, CONTEXT), {
    candidates: [
      {
        logprobsResult: {
          chosenCandidates: [{ token: 'Yes', logProbability: -0.1 }],
          topCandidates: [{ candidates: [{ token: 'No', logProbability: -2 }] }]
        }
      }
    ]
  })
  t.match(stream(translator('openai-responses'), streamed), /"delta":"Yes","logprobs":\[\{"token":"Yes"/)
  t.match(stream(translator('gemini'), streamed), /"logprobsResult":\{"chosenCandidates":\[\{"token":"Yes"/)
  const { choices } = body
  t.match(translator('openai-chat').encodeAnswer(answer, CONTEXT), { choices }, 'and to its own as they were')
})

t.test('tokens of a refusal stay its, and those of no text at all are kept', async t => {
  const openai = translator('openai-chat')
  const refused = {
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: null, refusal: 'No' },
        logprobs: { content: null, refusal: TOKENS },
        finish_reason: 'stop'
      }
    ]
  }
  t.match(openai.encodeAnswer(successful(openai.decodeAnswer(refused)), CONTEXT), refused)
  const called: ChatAnswer = successful(
    openai.decodeAnswer({
      choices: [
        {
          index: 0,
          message: { role: 'assistant', tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }] },
          logprobs: { content: TOKENS, refusal: null },
          finish_reason: 'tool_calls'
        }
      ]
    })
  )
  t.match(openai.encodeAnswer(called, CONTEXT), { choices: [{ logprobs: { content: TOKENS } }] })
  const dropped = new Dropped('anthropic', 'answer')
  translator('anthropic').encodeAnswer(called, { ...CONTEXT, dropped })
  t.same(dropped.list(), ['answer.logprobs'])
  const sse = frames(
    { ...call(0, 'a', 'f', '{}'), choices: [{ ...call(0, 'a', 'f', '{}').choices[0], logprobs: { content: TOKENS } }] },
    ended('tool_calls'),
    '[DONE]'
  )
  t.match(stream(openai, events(openai, sse)), /"logprobs":\{"content":\[\{"token":"Yes"/, 'streamed too')
})

// Hooks and quirks, between the upstream and the client.

const OPENAI = translator('openai-chat')
const PROBABLE = [
  { token: 'se', logprob: -0.1 },
  { token: 'cret', logprob: -0.2 }
]
const ANNOTATED = {
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'secret', annotations: [{ type: 'url_citation', url_citation: TOWER }] },
      logprobs: { content: PROBABLE, refusal: null },
      finish_reason: 'stop'
    }
  ]
}

function between(settings: Partial<TranslationSettings>): [translation: Translation, dropped: Dropped] {
  const dropped = new Dropped('openai-chat', 'answer')
  const context = { ...CONTEXT, dropped }
  const translation = new Translation({
    client: OPENAI,
    upstream: OPENAI,
    chat: cited([]),
    context,
    stages: [],
    encoder: OPENAI.encodeStream(context),
    streamType: 'text/event-stream',
    review: undefined,
    keep: undefined,
    ...settings
  })
  return [translation, dropped]
}

const reword = (event: ChatEvent): ChatEvent => (event.type === 'block-delta' ? { ...event, text: '***' } : event)
const forget = (event: ChatEvent): ChatEvent[] => (event.type === 'block-extra' ? [] : [event])

t.test('tokens do not tell what a text was before somebody changed it', async t => {
  const stage = { push: (event: ChatEvent) => [reword(event)] }
  const review = (answer: ChatAnswer): ChatAnswer => ({
    ...answer,
    blocks: answer.blocks.map(block => (block.type === 'text' ? { ...block, text: '***' } : block))
  })
  const sse = frames(
    chunk({ content: 'secret' }, { logprobs: { content: PROBABLE, refusal: null } }),
    ended('stop'),
    '[DONE]'
  )
  for (const settings of [{ stages: [stage] }, { review }]) {
    const [translation, dropped] = between(settings)
    const answer = String(await translation.answer(Buffer.from(JSON.stringify(ANNOTATED))))
    t.match(answer, '"content":"***"')
    t.notMatch(answer, /cret/)
    t.same(dropped.list(), ['answer.logprobs'])
  }
  const [translation, dropped] = between({ stages: [stage], chat: { ...cited([]), stream: true } })
  const said = translation.push(Buffer.from(sse)).text
  t.match(said, '***')
  t.notMatch(said, /cret/)
  t.same(dropped.list(), ['answer.logprobs'])
})

t.test('what stages leave alone arrives, and what they lose is declared', async t => {
  const whole = Buffer.from(JSON.stringify(ANNOTATED))
  const [untouched, none] = between({ stages: [{ push: event => [event] }], review: answer => answer })
  t.match(JSON.parse(String(await untouched.answer(whole))), {
    choices: [{ message: { annotations: [{ url_citation: TOWER }] }, logprobs: { content: PROBABLE } }]
  })
  t.same(none.list(), [])
  const [forgetful, some] = between({ stages: [{ push: forget }] })
  await forgetful.answer(whole)
  t.same(some.list(), ['answer.citations'])
})

// Numbers.

const digits = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }).map(String)
const json: fc.Arbitrary<string> = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    digits,
    fc.string().map(text => JSON.stringify(text)),
    fc.stringMatching(/^\d{15,20}$/).map(text => JSON.stringify(text)),
    fc.constantFrom('true', 'null', '1.5', '-0.12345678901234566', '{}', '[]'),
    fc.array(tie('value')).map(list => `[${list.join(',')}]`),
    fc
      .uniqueArray(
        fc.tuple(fc.string({ unit: fc.constantFrom('a', '\\', '"', 'k1234567890123456789') }), tie('value')),
        {
          selector: ([key]) => key
        }
      )
      .map(members => `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`)
  )
})).value

t.test('whole numbers of any length keep their digits, and nothing else is touched', async () => {
  fc.assert(
    fc.property(json, text => {
      const normal = text.includes('__proto__') ? '{}' : text
      if (normal !== exactJson(parseExact(normal))) throw new Error(`${normal} became ${exactJson(parseExact(normal))}`)
    }),
    { numRuns: 2_000, seed: 20_261_121 }
  )
})

t.test('a number that is exact, or in a text, is what it was', async t => {
  t.same(parseExact('{"a":1234567890123456,"b":"12345678901234567890"}'), {
    a: 1_234_567_890_123_456,
    b: '12345678901234567890'
  })
  t.same(exactObject('{"a":1e30}'), { a: 1e30 })
  t.equal(exactObject('[12345678901234567890]'), undefined)
  t.equal(parseExact('{"a":12345678901234567890'), undefined)
})

t.test('a setting beyond what JavaScript can count to is asked as near as it can', async t => {
  const body = parseExact('{"model":"m","seed":12345678901234567890,"messages":[{"role":"user","content":"x"}]}')
  t.equal(successful(translator('openai-chat').decodeRequest(body)).sampling?.seed, Number('12345678901234567890'))
})

t.test('the input of a tool keeps its digits through each dialect’s requests and answers', async t => {
  const input = '{"id":12345678901234567890}'
  const blocks: Block[] = [{ type: 'tool-call', id: 'call_a', name: 'f', input }]
  const answer: ChatAnswer = { id: 'x1', model: 'a-model', blocks, finish: 'tool-calls' }
  for (const name of NAMES) {
    const wire = exactJson(translator(name).encodeAnswer(answer, CONTEXT))
    t.match(wire, '12345678901234567890', name)
    t.match(successful(translator(name).decodeAnswer(parseExact(wire))).blocks, [{ input }], name)
    const chat = { ...cited([]), turns: [{ role: 'assistant' as const, blocks }] }
    const request = exactJson(successful(translator(name).encodeRequest(chat)).body)
    t.match(successful(translator(name).decodeRequest(parseExact(request))).turns[0]?.blocks, [{ input }], name)
    const sse = stream(translator(name), [
      { type: 'start', id: 'x1', model: 'm' },
      { type: 'block-start', index: 0, block: { type: 'tool-call', id: 'call_a', name: 'f', input: '' } },
      { type: 'block-delta', index: 0, text: input },
      { type: 'block-end', index: 0 },
      { type: 'finish', reason: 'tool-calls' }
    ])
    const deltas = events(translator(name), sse).map(event => (event.type === 'block-delta' ? event.text : ''))
    t.equal(deltas.join(''), input, name)
  }
})
