// Requests that go from one dialect to another, Gemini's among them.
import t from 'tap'
import type { Flavour } from '../src/dialects/dialect.ts'
import { asked, encoded, model, right, user } from './support/gemini.ts'
import { translator } from './support/translate.ts'

const gemini = translator('gemini')
const openai = translator('openai-chat')
const anthropic = translator('anthropic')

const HISTORY = {
  model: 'm',
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Weather and time?' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_a', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } },
        { id: 'call_b', type: 'function', function: { name: 'get_time', arguments: '' } }
      ]
    },
    { role: 'tool', tool_call_id: 'call_b', content: '{"hour":12}' },
    { role: 'tool', tool_call_id: 'call_a', content: 'Rain.' },
    { role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] }
  ],
  tools: [
    { type: 'function', function: { name: 'get_weather', strict: true, parameters: { type: 'object' } } },
    { type: 'function', function: { name: 'get_time' } }
  ],
  tool_choice: { type: 'function', function: { name: 'get_time' } },
  parallel_tool_calls: false,
  reasoning_effort: 'medium',
  response_format: { type: 'json_object' },
  max_completion_tokens: 50,
  stop: ['1', '2', '3', '4', '5', '6'],
  user: 'u'
}
const toGemini = (more: object, model: string, flavour?: Flavour) =>
  encoded(gemini, { ...right(openai.decodeRequest({ ...HISTORY, ...more })), model }, flavour)

t.test('a request of OpenAI’s is one that Gemini takes', async t => {
  const { body, dropped } = toGemini({}, 'gemini-3-flash')
  const UNSIGNED = 'skip_thought_signature_validator'
  t.same(body, {
    systemInstruction: { parts: [{ text: 'Be brief.' }] },
    contents: [
      user({ text: 'Weather and time?' }),
      model(
        { functionCall: { id: 'call_a', name: 'get_weather', args: { city: 'Oslo' } }, thoughtSignature: UNSIGNED },
        { functionCall: { id: 'call_b', name: 'get_time', args: {} } }
      ),
      user(
        { functionResponse: { id: 'call_b', name: 'get_time', response: { output: '{"hour":12}' } } },
        { functionResponse: { id: 'call_a', name: 'get_weather', response: { output: 'Rain.' } } },
        { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }
      )
    ],
    tools: [
      {
        functionDeclarations: [{ name: 'get_weather', parametersJsonSchema: { type: 'object' } }, { name: 'get_time' }]
      }
    ],
    toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['get_time'] } },
    generationConfig: {
      maxOutputTokens: 50,
      stopSequences: ['1', '2', '3', '4', '5'],
      responseMimeType: 'application/json',
      thinkingConfig: { thinkingLevel: 'MEDIUM', includeThoughts: true }
    }
  })
  t.same(dropped, ['parallel_tool_calls', 'stop', 'tools.strict', 'user'])
  const older = toGemini({}, 'gemini-2.5-pro')
  t.notMatch(JSON.stringify(older.body), UNSIGNED)
  t.match(older, {
    body: { generationConfig: { responseMimeType: undefined, thinkingConfig: { thinkingBudget: 12_288 } } },
    dropped: ['parallel_tool_calls', 'response_format', 'stop', 'tools.strict', 'user']
  })
})

t.test('thinking fits the model', async t => {
  const config = (model: string, more: object) => {
    const { body, dropped } = toGemini({ tools: [], ...more }, model)
    const { thinkingConfig } = (body['generationConfig'] ?? {}) as { thinkingConfig?: object }
    return [thinkingConfig, dropped.includes('reasoning') || dropped.includes('reasoning.budget')]
  }
  const off = { reasoning_effort: 'none' }
  const shown = { includeThoughts: true }
  t.same(config('gemini-2.5-flash', off), [{ thinkingBudget: 0 }, false])
  t.same(config('gemini-2.5-pro', off), [{ thinkingBudget: 128 }, true])
  t.same(config('gemini-3-flash-preview', off), [{ thinkingLevel: 'MINIMAL' }, true])
  t.same(config('gemini-3-pro-preview', off), [{ thinkingLevel: 'LOW' }, true])
  t.same(config('gemini-2.0-flash', { reasoning_effort: 'high' }), [undefined, true])
  t.same(config('gemini-flash-latest', { reasoning_effort: 'xhigh' }), [{ thinkingLevel: 'HIGH', ...shown }, false])
  t.same(config('gemini-3-pro', { reasoning_effort: 'medium' }), [{ thinkingLevel: 'HIGH', ...shown }, false])
  t.same(config('gemini-3.1-pro', { reasoning_effort: 'minimal' }), [{ thinkingLevel: 'LOW', ...shown }, false])
  t.same(config('gemini-2.5-flash', { reasoning_effort: 'high' }), [{ thinkingBudget: 24_576, ...shown }, false])
  const budget = { reasoning_effort: undefined, thinking: { type: 'enabled', budget_tokens: 60_000 } }
  t.same(config('gemini-2.5-pro', budget), [{ thinkingBudget: 32_768, ...shown }, true])
  const adaptive = right(anthropic.decodeRequest({ messages: [], thinking: { type: 'adaptive' } }))
  const thinkingOf = (model: string) => encoded(gemini, { ...adaptive, model }).body['generationConfig']
  t.same(thinkingOf('gemini-2.5-flash'), { thinkingConfig: { thinkingBudget: -1, ...shown } })
  t.same(thinkingOf('gemini-3-flash'), { thinkingConfig: shown })
})

const AGENT = {
  model: 'm',
  max_tokens: 100,
  system: [{ type: 'text', text: 'You are an agent.', cache_control: { type: 'ephemeral' } }],
  tools: [
    { name: 'Read', input_schema: { type: 'object' } },
    { type: 'web_search_20250305', name: 'web_search' }
  ],
  messages: [
    { role: 'user', content: 'Look.' },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'Hm.', signature: 'c2ln' },
        { type: 'tool_use', id: 'toolu_1', name: 'Read', input: { path: 'a.png' } },
        { type: 'tool_use', id: 'toolu_2', name: 'Read', input: {} }
      ]
    },
    {
      role: 'user',
      content: [
        {
          type: 'tool_result',
          tool_use_id: 'toolu_1',
          content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } }]
        }
      ]
    },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_2', is_error: true, content: 'gone' }] },
    { role: 'user', content: [{ type: 'text', text: 'Go on.' }] }
  ]
}

t.test('an agent of Anthropic’s is understood by Gemini', async t => {
  const chat = right(anthropic.decodeRequest(AGENT))
  const inlineData = { mimeType: 'image/png', data: 'iVBORw0KGgo=' }
  const result = { id: 'toolu_1', name: 'Read', response: { output: '' }, parts: [{ inlineData }] }
  const gone = { functionResponse: { id: 'toolu_2', name: 'Read', response: { error: 'gone' } } }
  const newer = encoded(gemini, { ...chat, model: 'gemini-3-flash' })
  t.match(newer.body['contents'], [
    {},
    { role: 'model', parts: [{ functionCall: { id: 'toolu_1' }, thoughtSignature: String }, { functionCall: {} }] },
    user({ functionResponse: result }, gone),
    user({ text: 'Go on.' })
  ])
  t.same(newer.dropped, [
    'messages.thinking',
    'messages.thinking.signature',
    'system.cache_control',
    'tools.web_search_20250305'
  ])
  const older = encoded(gemini, { ...chat, model: 'gemini-2.5-flash' })
  t.match((older.body['contents'] as unknown[])[2], {
    parts: [{ functionResponse: { response: { output: '[see below]' }, parts: undefined } }, gone, { inlineData }]
  })
  const open = encoded(gemini, chat, 'local')
  t.match((open.body['contents'] as unknown[])[1], { parts: [{ text: 'Hm.', thought: true }, {}, {}] })
})

t.test('a client of Gemini’s is understood by the others', async t => {
  const chat = asked({
    systemInstruction: 'Be brief.',
    contents: [
      user({ text: 'Look.' }, { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }),
      model({ text: 'Hm.', thought: true }, { functionCall: { name: 'f', args: {} }, thoughtSignature: 'c2ln' }),
      user({
        functionResponse: {
          name: 'f',
          response: { result: 1 },
          parts: [{ inlineData: { mimeType: 'image/png', data: 'AA==' } }]
        }
      }),
      model({ executableCode: { language: 'PYTHON', code: 'print(1)' } }),
      user({ fileData: { fileUri: 'https://www.youtube.com/watch?v=x' } }, { text: 'Go on.' })
    ],
    tools: [{ functionDeclarations: [{ name: 'f', parameters: { type: 'OBJECT' } }], googleSearch: {} }],
    toolConfig: { functionCallingConfig: { mode: 'ANY' } },
    generationConfig: { thinkingConfig: { thinkingBudget: 4_000, includeThoughts: true }, topK: 5 },
    safetySettings: []
  })
  const local = encoded(openai, { ...chat, model: 'm' }, 'local')
  t.match(local.body, {
    top_k: 5,
    tools: [{ function: { name: 'f', parameters: { type: 'object' } } }],
    tool_choice: 'required',
    messages: [
      { role: 'system', content: 'Be brief.' },
      { content: [{ type: 'text' }, { image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }] },
      { reasoning_content: 'Hm.', tool_calls: [{ id: 'call_1_0' }] },
      { role: 'tool', tool_call_id: 'call_1_0', content: '{"result":1}' },
      { role: 'user', content: [{ image_url: { url: 'data:image/png;base64,AA==' } }] },
      { role: 'user', content: 'Go on.' }
    ]
  })
  t.same(local.dropped, [
    'messages.content',
    'messages.tool_calls.thoughtSignature',
    'safetySettings',
    'tools.googleSearch'
  ])
  const other = encoded(anthropic, { ...chat, model: 'claude-sonnet-4-5', maxTokens: 9_000 })
  t.match(other.body, {
    // A tool that is forced excludes thinking there.
    tool_choice: { type: 'any' },
    thinking: undefined,
    messages: [{}, { content: [{ type: 'tool_use', id: 'call_1_0' }] }, { content: [{ tool_use_id: 'call_1_0' }] }]
  })
})

t.test('several answers are only for those who can be given them', async t => {
  const contents = [user({ text: 'Hi' })]
  const own = { contents, generationConfig: { candidateCount: 2 } }
  t.same(encoded(gemini, asked(own)), { body: own, dropped: [] })
  t.match(encoded(openai, asked(own)), { body: { n: 2 }, dropped: [] })
  const two = right(openai.decodeRequest({ ...HISTORY, n: 2 }))
  t.match(gemini.encodeRequest(two), { kind: 'unsupported', details: { field: 'n' } })
  t.match(gemini.encodeRequest({ ...two, choices: 1 }), { body: { generationConfig: { candidateCount: 1 } } })
})
