// Requests of Gemini's clients: read, and written again.
import t from 'tap'
import { asked, encoded, model, user } from './support/gemini.ts'
import { translator } from './support/translate.ts'

const gemini = translator('gemini')
const openai = translator('openai-chat')

/** A body of Gemini's as Gemini gets it again. */
const again = (body: unknown, name = 'gemini-2.5-flash') => encoded(gemini, { ...asked(body), model: name })
const hi = user({ text: 'Hi' })

const SIGNED = { functionCall: { name: 'get_weather', args: { city: 'Oslo' } }, thoughtSignature: 'c2ln' }
const ALL = {
  systemInstruction: { parts: [{ text: 'Be brief.' }, { text: 'Be kind.' }] },
  contents: [
    user(
      { text: 'Look.' },
      { inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' }, mediaResolution: { level: 'LOW' } },
      { inlineData: { mimeType: 'application/pdf', data: 'JVBERi0=', displayName: 'a.pdf' } },
      { inlineData: { mimeType: 'audio/mp3', data: 'SUQz' } },
      { inlineData: { mimeType: 'text/csv', data: 'YSxi' } },
      { inlineData: { mimeType: 'video/mp4', data: 'AAAA' }, videoMetadata: { fps: 2 } },
      { fileData: { mimeType: 'image/png', fileUri: 'https://example.com/cat.png' } },
      { fileData: { mimeType: 'image/webp', fileUri: 'https://example.com/cat' } },
      { fileData: { mimeType: 'application/pdf', fileUri: 'gs://bucket/a.pdf' } },
      { fileData: { fileUri: 'https://www.youtube.com/watch?v=x' } }
    ),
    model({ text: 'Hm.', thought: true }, { text: 'I look.', thoughtSignature: 'dGV4dA==' }, SIGNED, {
      functionCall: { id: 'own-1', name: 'get_time', args: {} }
    }),
    user(
      { functionResponse: { name: 'get_weather', response: { result: { rain: true, mm: 3 } } } },
      { functionResponse: { id: 'own-1', name: 'get_time', response: { error: 'No clock.' }, scheduling: 'SILENT' } },
      { text: 'And now?' }
    ),
    model(
      { executableCode: { language: 'PYTHON', code: 'print(1)' } },
      { codeExecutionResult: { outcome: 'OUTCOME_OK', output: '1' } },
      { toolCall: { id: 't', toolType: 'GOOGLE_SEARCH', args: {} } }
    ),
    hi
  ],
  tools: [
    {
      functionDeclarations: [
        {
          name: 'get_weather',
          description: 'Weather.',
          parametersJsonSchema: { type: 'object', properties: { city: { type: 'string' } } },
          responseJsonSchema: { type: 'object' }
        },
        { name: 'get_time', behavior: 'BLOCKING' }
      ]
    },
    { googleSearch: {} },
    { urlContext: {} }
  ],
  toolConfig: {
    functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['get_weather', 'get_time'] },
    retrievalConfig: { languageCode: 'no' }
  },
  generationConfig: {
    temperature: 0.5,
    topP: 0.9,
    topK: 20,
    seed: 7,
    presencePenalty: 0.1,
    frequencyPenalty: 0.2,
    maxOutputTokens: 100,
    candidateCount: 2,
    stopSequences: ['END'],
    responseLogprobs: true,
    logprobs: 3,
    thinkingConfig: { thinkingBudget: 2_000, includeThoughts: true },
    mediaResolution: 'MEDIA_RESOLUTION_LOW',
    responseModalities: ['TEXT'],
    speechConfig: { voiceConfig: {} }
  },
  serviceTier: 'flex',
  safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'BLOCK_NONE' }],
  cachedContent: 'cachedContents/x',
  labels: { team: 'a' }
}

t.test('what only Gemini knows comes back as it was', async t => {
  t.same(again(ALL), { body: ALL, dropped: [] })
  const formats = [
    { responseMimeType: 'text/plain' },
    { responseMimeType: 'application/json' },
    { responseMimeType: 'application/json', responseJsonSchema: { type: 'object', properties: {} } },
    { responseMimeType: 'text/x.enum', responseSchema: { type: 'STRING', enum: ['a', 'b'] } }
  ]
  const thoughts = [
    { thinkingBudget: 0 },
    { thinkingBudget: -1, includeThoughts: true },
    { includeThoughts: true },
    { thinkingBudget: 500, includeThoughts: false }
  ]
  for (const generationConfig of [...formats, ...thoughts.map(thinkingConfig => ({ thinkingConfig }))])
    t.same(again({ contents: [hi], generationConfig }), { body: { contents: [hi], generationConfig }, dropped: [] })
  for (const functionCallingConfig of [
    { mode: 'AUTO' },
    { mode: 'NONE' },
    { mode: 'VALIDATED', allowedFunctionNames: ['f'] },
    { mode: 'ANY', allowedFunctionNames: ['f'] }
  ]) {
    const tools = [{ functionDeclarations: [{ name: 'f' }] }]
    const own = { contents: [hi], tools, toolConfig: { functionCallingConfig } }
    t.same(again(own), { body: own, dropped: [] })
  }
  const level = {
    contents: [hi],
    generationConfig: { thinkingConfig: { thinkingLevel: 'LOW', includeThoughts: true } }
  }
  t.same(again(level, 'gemini-3-flash').body, level)
})

t.test('both ways of writing a field are read, and the forms that SDKs take', async t => {
  const body = {
    system_instruction: { role: 'system', parts: [{ text: 'Be brief.' }] },
    contents: [
      user({ inline_data: { mime_type: 'image/png', data: 'iVBORw0KGgo=' } }),
      model({ function_call: { name: 'f', args: { a_b: 1 } }, thought_signature: 'c2ln' }),
      user({ function_response: { name: 'f', response: { output: 'x' } } })
    ],
    tools: [{ function_declarations: [{ name: 'f', parameters_json_schema: { type: 'object' } }] }],
    tool_config: { function_calling_config: { mode: 'ANY', allowed_function_names: ['f'] } },
    generation_config: {
      max_output_tokens: 9,
      stop_sequences: ['x'],
      response_mime_type: 'text/plain',
      thinking_config: { thinking_budget: 0 }
    },
    safety_settings: [],
    cached_content: 'c'
  }
  t.same(again(body).body, {
    systemInstruction: { parts: [{ text: 'Be brief.' }] },
    contents: [
      user({ inlineData: { mimeType: 'image/png', data: 'iVBORw0KGgo=' } }),
      model({ functionCall: { name: 'f', args: { a_b: 1 } }, thoughtSignature: 'c2ln' }),
      user({ functionResponse: { name: 'f', response: { output: 'x' } } })
    ],
    tools: [{ functionDeclarations: [{ name: 'f', parametersJsonSchema: { type: 'object' } }] }],
    toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['f'] } },
    generationConfig: {
      maxOutputTokens: 9,
      stopSequences: ['x'],
      responseMimeType: 'text/plain',
      thinkingConfig: { thinkingBudget: 0 }
    },
    safetySettings: [],
    cachedContent: 'c'
  })
  for (const contents of [
    'Hi',
    ['Hi'],
    { parts: [{ text: 'Hi' }] },
    { parts: { text: 'Hi' } },
    [{ parts: 'Hi' }],
    [{ text: 'Hi' }]
  ])
    t.same(
      asked({ contents }).turns,
      [{ role: 'user', blocks: [{ type: 'text', text: 'Hi' }] }],
      JSON.stringify(contents)
    )
  for (const systemInstruction of ['Be.', { text: 'Be.' }, { parts: { text: 'Be.' } }])
    t.same(asked({ contents: 'Hi', systemInstruction }).system, [{ type: 'text', text: 'Be.' }])
  t.match(asked({ contents: [{ role: 'MODEL', parts: [] }, { parts: [] }] }).turns, [
    { role: 'assistant' },
    { role: 'user' }
  ])
  t.match(gemini.decodeRequest({}), { kind: 'invalid-request', details: { field: 'contents' } })
})

t.test('Google’s own schemas are read as JSON Schema', async t => {
  const parameters = {
    type: 'OBJECT',
    propertyOrdering: ['city', 'days'],
    required: ['city'],
    properties: {
      city: { type: 'STRING', format: 'enum', enum: ['Oslo', 'Rome'], nullable: true, min_length: '1' },
      days: { type: 'ARRAY', items: { type: 'INTEGER', format: 'int32' }, minItems: '1', maxItems: 7 },
      type: { any_of: [{ type: 'STRING' }, { type: 'NUMBER', example: 1.5 }], nullable: true }
    }
  }
  const [tool] = asked({ contents: 'Hi', tools: [{ functionDeclarations: [{ name: 'f', parameters }] }] }).tools
  t.same(tool, {
    name: 'f',
    schema: {
      type: 'object',
      propertyOrdering: ['city', 'days'],
      required: ['city'],
      properties: {
        city: { type: ['string', 'null'], enum: ['Oslo', 'Rome', null], minLength: 1 },
        days: { type: 'array', items: { type: 'integer', format: 'int32' }, minItems: 1, maxItems: 7 },
        type: { anyOf: [{ type: 'string' }, { type: 'number', examples: [1.5] }, { type: 'null' }] }
      }
    }
  })
  const generationConfig = { responseMimeType: 'application/json', responseSchema: { type: 'STRING' } }
  t.same(asked({ contents: 'Hi', generationConfig }).responseFormat, { type: 'schema', schema: { type: 'string' } })
  let deep: object = { type: 'STRING' }
  for (let level = 0; level < 10_000; level++) deep = { type: 'ARRAY', items: deep }
  const started = performance.now()
  asked({ contents: 'Hi', tools: [{ functionDeclarations: [{ name: 'f', parameters: deep }] }] })
  t.ok(performance.now() - started < 1_000)
})

t.test('the same history has the same ids, and results find their calls', async t => {
  const contents = [
    hi,
    model(
      { functionCall: { name: 'f', args: { n: 1 } } },
      { functionCall: { name: 'f', args: { n: 2 } } },
      { functionCall: { name: 'g' } }
    ),
    user(
      { functionResponse: { name: 'g', response: { output: 'three' } } },
      { functionResponse: { id: 'unheard-of', name: 'f', response: { output: 'one' } } },
      { functionResponse: { name: 'f', response: { output: 'two' } } }
    )
  ]
  const { turns } = asked({ contents })
  t.match(turns[1]?.blocks, [{ id: 'call_1_0' }, { id: 'call_1_1' }, { id: 'call_1_2' }])
  t.match(turns[2]?.blocks, [{ callId: 'call_1_2' }, { callId: 'call_1_0' }, { callId: 'call_1_1' }])
  t.same(asked({ contents: [...contents, model({ text: 'Done.' })] }).turns.slice(0, 3), turns)
  const { body } = encoded(openai, { ...asked({ contents }), model: 'm' })
  t.match(body['messages'], [
    {},
    { tool_calls: [{ id: 'call_1_0', function: { arguments: '{"n":1}' } }, {}, { function: { name: 'g' } }] },
    { role: 'tool', tool_call_id: 'call_1_2', content: 'three' },
    { role: 'tool', tool_call_id: 'call_1_0', content: 'one' },
    { role: 'tool', tool_call_id: 'call_1_1', content: 'two' }
  ])
})

t.test('what Google’s SDK keeps of a stream is one turn again', async t => {
  const contents = [
    hi,
    model({ text: 'Hm', thought: true }),
    model({ text: '.', thought: true }),
    model({ text: 'I ' }),
    model({ text: 'look.' }),
    model({ text: '', thoughtSignature: 'c2ln' }),
    model({ text: 'So:' }),
    model({ functionCall: { name: 'f', args: {} } }),
    model({ functionCall: { name: 'f', args: {} } }),
    model({ text: '' }),
    user(
      { functionResponse: { name: 'f', response: { output: 'a' } } },
      { functionResponse: { name: 'f', response: {} } }
    )
  ]
  t.match(asked({ contents }).turns, [
    { role: 'user' },
    {
      role: 'assistant',
      blocks: [
        { type: 'thinking', text: 'Hm.' },
        { type: 'text', text: 'I look.', extra: undefined },
        { type: 'text', text: '', extra: { gemini: { thoughtSignature: 'c2ln' } } },
        { type: 'text', text: 'So:' },
        { id: 'call_1_0' },
        { id: 'call_1_1' }
      ]
    },
    { role: 'user', blocks: [{ callId: 'call_1_0' }, { callId: 'call_1_1' }] }
  ])
  t.same(again({ contents }).body['contents'], [
    hi,
    model(
      { text: 'Hm.', thought: true },
      { text: 'I look.' },
      { text: '', thoughtSignature: 'c2ln' },
      { text: 'So:' },
      { functionCall: { name: 'f', args: {} } },
      { functionCall: { name: 'f', args: {} } }
    ),
    user(
      { functionResponse: { name: 'f', response: { output: 'a' } } },
      { functionResponse: { name: 'f', response: { output: '' } } }
    )
  ])
})
