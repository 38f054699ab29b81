// What local models do to their answers: each way of writing a call, whole and cut; what only looks like one; and no end
// of nonsense.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { ChatAnswer, FinishReason } from '../src/chat/answer.ts'
import type { Block } from '../src/chat/block.ts'
import type { ChatEvent } from '../src/chat/events.ts'
import { Failure } from '../src/chat/failure.ts'
import type { ChatRequest, Tool } from '../src/chat/request.ts'
import { parseObject, repairObject } from '../src/lib/json-repair.ts'
import { mendInput } from '../src/quirks/fit.ts'
import { MOST_HELD } from '../src/quirks/held.ts'
import { mendAnswer } from '../src/quirks/mend-answer.ts'
import { menderFor, QUIRKS, type Quirk } from '../src/quirks/quirks.ts'
import { stabilisePrompt } from '../src/quirks/stable-prompt.ts'
import { problemIn, summary } from './support/translate.ts'

const TOOLS: readonly Tool[] = [
  {
    name: 'Bash',
    schema: {
      type: 'object',
      properties: {
        command: { type: 'string' },
        timeout: { type: 'integer' },
        background: { type: 'boolean' },
        env: { type: 'object' },
        paths: { type: 'array', items: { type: 'string' } }
      },
      required: ['command']
    }
  },
  { name: 'Now', schema: { type: 'object', properties: {} } },
  { name: 'apply_patch', freeform: true },
  { name: 'web_search', foreign: { dialect: 'anthropic', value: {} } }
]

const ALL: readonly Quirk[] = ['text-tools', 'think-tags', 'repair-arguments']
const CUTS = [1, 2, 3, 7, Number.POSITIVE_INFINITY]

function machine(quirks: readonly Quirk[] = ALL, tools = TOOLS) {
  const mender = menderFor(quirks, { tools, id: 'x' })
  if (mender === undefined) throw new Error('nothing to mend')
  return mender
}

function pieces(text: string, size: number): string[] {
  if (text.length <= size) return [text]
  const found = []
  for (let at = 0; at < text.length; at += size) found.push(text.slice(at, at + size))
  return found
}

function streamed(blocks: readonly Block[], size: number, reason: FinishReason = 'stop'): ChatEvent[] {
  const events: ChatEvent[] = [{ type: 'start', id: 'a', model: 'm' }]
  for (const [index, block] of blocks.entries()) {
    const text = block.type === 'tool-call' ? block.input : 'text' in block ? (block.text ?? '') : ''
    const empty = block.type === 'tool-call' ? { ...block, input: '' } : { ...block, text: '' }
    events.push({ type: 'block-start', index, block: empty })
    for (const piece of pieces(text, size)) events.push({ type: 'block-delta', index, text: piece })
    events.push({ type: 'block-end', index })
  }
  return [...events, { type: 'finish', reason }]
}

/** What a text comes to, which has to be the same however it is cut. */
function mended(t: Test, text: string, quirks = ALL, reason: FinishReason = 'stop'): string[] {
  const found = CUTS.map(size => {
    const mender = machine(quirks)
    const said = streamed([{ type: 'text', text }], size, reason).flatMap(event => mender.push(event))
    t.equal(problemIn(said), undefined, `the grammar of events, cut at ${size}`)
    return { said: summary(said), counts: { ...mender.counts } }
  })
  for (const other of found) t.same(other, found[0], 'the same however it is cut')
  const answer: ChatAnswer = { id: 'a', model: 'm', blocks: [{ type: 'text', text }], finish: reason }
  const whole = mendAnswer(answer, machine(quirks))
  const said = streamed(whole.blocks, Number.POSITIVE_INFINITY, whole.finish)
  t.same(summary(said), found[0]?.said, 'the same in a whole answer')
  return found[0]?.said ?? []
}

const LS = 'call_x_t0 Bash: {"command":"ls"}'
const args = '{"command":"ls"}'
const CALLS: Record<string, string> = {
  hermes: `<tool_call>\n{"name": "Bash", "arguments": ${args}}\n</tool_call>`,
  'hermes, another case': `<tool_call>{"name":"bash","arguments":${args}}</tool_call>`,
  'hermes, with a prefix': `<tool_call>{"name":"functions.Bash","arguments":${args}}</tool_call>`,
  'hermes, arguments first': `<tool_call>{"arguments":${args},"name":"Bash"}</tool_call>`,
  'hermes, arguments as a string': `<tool_call>{"name":"Bash","arguments":"{\\"command\\":\\"ls\\"}"}</tool_call>`,
  'hermes, a brace missing': `<tool_call>{"name":"Bash","arguments":{"command":"ls"}\n</tool_call>`,
  'hermes, a brace too many': `<tool_call>{"name":"Bash","arguments":${args}}}\n</tool_call>`,
  'hermes, in the words of Python': `<tool_call>\n{'name': 'Bash', 'arguments': {'command': 'ls'}}\n</tool_call>`,
  'hermes, never closed': `<tool_call>{"name":"Bash","arguments":${args}}`,
  'hermes, with what ends a turn': `<tool_call>{"name":"Bash","arguments":${args}}</tool_call><|im_end|>`,
  'qwen coder': '<tool_call>\n<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>',
  'qwen coder, without the opening tag':
    '<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>',
  'qwen coder, without any outer tag': '<function=Bash>\n<parameter=command>\nls\n</parameter>\n</function>',
  'qwen coder, a parameter never closed': '<tool_call><function=Bash><parameter=command>ls</function></tool_call>',
  'llama, a function with JSON': `<function=Bash>${args}</function>`,
  glm: '<tool_call>Bash\n<arg_key>command</arg_key>\n<arg_value>ls</arg_value>\n</tool_call>',
  longcat:
    '<longcat_tool_call>Bash\n<longcat_arg_key>command</longcat_arg_key>\n<longcat_arg_value>ls</longcat_arg_value>\n</longcat_tool_call>',
  minimax:
    '<minimax:tool_call>\n<invoke name="Bash">\n<parameter name="command">ls</parameter>\n</invoke>\n</minimax:tool_call>',
  'like Anthropic':
    '<function_calls>\n<invoke name="Bash">\n<parameter name="command">ls</parameter>\n</invoke>\n</function_calls>',
  'like Anthropic, bare': '<invoke name="Bash">\n<parameter name="command">ls</parameter>\n</invoke>',
  'llama, python tag': `<|python_tag|>{"name": "Bash", "parameters": ${args}}<|eom_id|>`,
  'llama, bare': `{"name": "Bash", "parameters": ${args}}`,
  'bare, as OpenAI has it': `{"type":"function","function":{"name":"Bash","arguments":"{\\"command\\":\\"ls\\"}"}}`,
  'bare, in a list': `\n[{"name": "Bash", "arguments": ${args}}]\n`,
  'mistral, a list': `[TOOL_CALLS][{"name": "Bash", "arguments": ${args}}]`,
  'mistral, a list and its end': `[TOOL_CALLS] [{"name": "Bash", "arguments": ${args}}]</s>`,
  'mistral, name and arguments': `[TOOL_CALLS]Bash[ARGS]${args}`,
  'mistral, name alone': `[TOOL_CALLS]Bash${args}`,
  kimi: `<|tool_calls_section_begin|><|tool_call_begin|>functions.Bash:0<|tool_call_argument_begin|>${args}<|tool_call_end|><|tool_calls_section_end|>`,
  'kimi, without its section': `<|tool_call_begin|>functions.Bash:0<|tool_call_argument_begin|>${args}<|tool_call_end|>`,
  'deepseek v3': `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>Bash\n\`\`\`json\n${args}\n\`\`\`<｜tool▁call▁end｜><｜tool▁calls▁end｜>`,
  'deepseek v3.1': `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>Bash<｜tool▁sep｜>${args}<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>`,
  'gpt-oss': `<|channel|>commentary to=functions.Bash <|constrain|>json<|message|>${args}<|call|>`,
  'gpt-oss, to whom first': `<|start|>assistant to=functions.Bash<|channel|>commentary json<|message|>${args}<|call|>`,
  'lfm2, as Python': '<|tool_call_start|>[Bash(command="ls")]<|tool_call_end|>',
  'llama, bare Python': "[Bash(command='ls')]",
  fence: `\`\`\`json\n{"name": "Bash", "arguments": ${args}}\n\`\`\``,
  'fence with tags': `\`\`\`xml\n<tool_call>{"name": "Bash", "arguments": ${args}}</tool_call>\n\`\`\`\n`
}

t.test('a call that is written as text is a call', async t => {
  for (const [name, text] of Object.entries(CALLS)) {
    t.test(name, async t => t.same(mended(t, text), [LS, '= tool-calls']))
    t.test(`${name}, after some words`, async t => {
      const isBare = name.includes('bare') && !name.includes('Anthropic')
      const said = `Let me look.\n\n${text}`
      if (isBare) t.same(mended(t, said), [`text: ${said}`, '= stop'])
      else t.same(mended(t, said), ['text: Let me look.', LS, '= tool-calls'])
    })
    t.test(`${name}, of a tool that is not on offer`, async t => {
      const said = text.replace(/Bash/i, 'Bush')
      t.same(mended(t, said), [`text: ${said}`, '= stop'])
    })
    t.test(`${name}, unfinished`, async t => {
      const said = text.slice(0, text.indexOf('ls') + 1)
      t.same(mended(t, said, ALL, 'length'), [`text: ${said}`, '= length'])
    })
  }
})

t.test('several calls, and text between them', async t => {
  const hermes = CALLS['hermes'] ?? ''
  t.same(
    mended(t, `One.\n${hermes}\n${hermes} \n Two.\n\n${CALLS['qwen coder']}\n<function=Now>\n</function>\n Three.\n`),
    [
      'text: One.',
      LS,
      LS.replace('t0', 't1'),
      'text: Two.',
      LS.replace('t0', 't2'),
      'call_x_t3 Now: {}',
      'text: Three.\n',
      '= tool-calls'
    ]
  )
  const two = [LS, 'call_x_t1 Now: {}', '= tool-calls']
  const json = `{"name": "Bash", "arguments": ${args}}`
  const now = '{"name": "Now", "arguments": {}}'
  for (const text of [
    `<tool_call>${json}\n${now}</tool_call>`,
    `<tool_call>${json}\n<tool_call>${now}</tool_call>`,
    `<tool_call>[${json}, ${now}]</tool_call>`,
    `${json}\n${now}`,
    `<|python_tag|>${json}; ${now}`,
    `[TOOL_CALLS][${json}, ${now}]`,
    `<|tool_call_start|>[Bash(command="ls"), Now()]<|tool_call_end|>`,
    `[Bash(command='ls',), Now()]`,
    `[TOOL_CALLS]Bash[ARGS]${args}[TOOL_CALLS]Now[ARGS]{}`,
    `<tool_call>\n<function=Bash>\n<parameter=command>ls</parameter>\n</function>\n<function=Now>\n</function>\n</tool_call>`,
    `<function_calls><invoke name="Bash"><parameter name="command">ls</parameter></invoke><invoke name="Now"></invoke></function_calls>`,
    `${CALLS['kimi, without its section']}<|tool_call_begin|>functions.Now:1<|tool_call_argument_begin|>{}<|tool_call_end|>`
  ]) {
    t.test(text, async t => t.same(mended(t, text), two))
  }
})

t.test('values of tags are what the schema says', async t => {
  const parameters = {
    command: '  a < b && echo "</b>"\n\nend ',
    timeout: '5',
    background: 'True',
    env: '{"A": 1}',
    paths: '["x", "y"]'
  }
  const wanted = { ...parameters, timeout: 5, background: true, env: { A: 1 }, paths: ['x', 'y'] }
  const inner = Object.entries(parameters).map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>`)
  const glm = Object.entries(parameters).map(
    ([key, value]) => `<arg_key>${key}</arg_key><arg_value>${value}</arg_value>`
  )
  const said = [`call_x_t0 Bash: ${JSON.stringify(wanted)}`, '= tool-calls']
  t.same(mended(t, `<function=Bash>\n${inner.join('\n')}\n</function>`), said)
  t.same(mended(t, `<tool_call>Bash\n${glm.join('\n')}\n</tool_call>`, ['text-tools']), said)
  t.same(mended(t, '<function=Bash><parameter=command>5</parameter></function>'), [
    'call_x_t0 Bash: {"command":"5"}',
    '= tool-calls'
  ])
})

t.test('values of Python', async t => {
  const text = `[Bash(command='say "a, b)" it\\'s', timeout=5, background=True, env={'A': [None, (1)]}, paths=["x"])]`
  t.same(mended(t, text), [`text: ${text}`, '= stop'], 'a tuple is no JSON')
  const wanted = { command: `say "a, b)" it's`, timeout: 5, background: true, env: { A: [null] }, paths: ['x'] }
  t.same(mended(t, text.replace(', (1)', '')), [`call_x_t0 Bash: ${JSON.stringify(wanted)}`, '= tool-calls'])
})

t.test('values that hold tags of their own', async t => {
  const json = { command: 'echo "</tool_call>" <tool_call> "}" ``` \n```\n' }
  t.same(mended(t, `<tool_call>${JSON.stringify({ name: 'Bash', arguments: json })}</tool_call> done`), [
    `call_x_t0 Bash: ${JSON.stringify(json)}`,
    'text: done',
    '= tool-calls'
  ])
  const xml = 'say </parameter> and </function> and </tool_call> here'
  t.same(mended(t, `<tool_call><function=Bash><parameter=command>${xml}</parameter></function></tool_call>`), [
    `call_x_t0 Bash: ${JSON.stringify({ command: xml })}`,
    '= tool-calls'
  ])
  const broken = '<tool_call>{"name":"Bash","arguments":{"command":"ls}}</tool_call>'
  t.same(mended(t, `${broken}\n${CALLS['hermes']}`).slice(-2), [LS.replace('t0', 't1'), '= tool-calls'])
})

const PLAIN = [
  'a < b and c > d [ok] {x}',
  '<tool_callx>{"name":"Bash"}</tool_callx>',
  '<tool_call> is what models write',
  'Write `<tool_call>{"name":"Bash","arguments":{"command":"ls"}}</tool_call>` to call it.',
  '```\n<tool_call>{"name":"Bash","arguments":{"command":"ls"}}</tool_call>\n```\nis how it looks',
  'Like so:\n\n```json\n{"name":"Bash","arguments":{"command":"ls"}}\n```\nDo you see?',
  '- one:\n  ~~~\n  [TOOL_CALLS]Bash[ARGS]{"command":"ls"}\n  ~~~\n',
  '````\n```\n<function=Bash></function>\n```\n<function=Now></function>\n````',
  '{"name": "Bash"}',
  '{"name": "Bash", "arguments": {"command": "ls"}} is what I would write',
  '{"title": "Bash", "arguments": {}}',
  '[1, 2, 3]',
  '[Bash](https://example.org) is a shell',
  '[Bash(command="ls")] is what I would write',
  '[Bash(command=ls -la)]',
  '[{"name": "Ann"}, {"name": "Bob"}]',
  '<function=Bash> without an end',
  '<tool_call>{"name":"web_search","arguments":{}}</tool_call>',
  '<|tool_call_begin|>nonsense<|tool_call_end|>',
  '<|python_tag|>print("hello")',
  '[TOOL_CALLS]Bash[ARGS]{"command":"ls"} and then some',
  '<think',
  'I <think>so</think>',
  '   \n',
  '',
  '`',
  '``',
  '```',
  '<|channel|>',
  `x${' '.repeat(200)}<tool_`
]

t.test('what is no call stays as it was', async t => {
  for (const text of PLAIN) {
    t.test(text.slice(0, 60), async t => t.same(mended(t, text), [`text: ${text}`, '= stop']))
    t.test(`${text.slice(0, 60)}, and then a call`, async t => {
      if (
        /^\s*(?:[{`]|\[Bash\()|``$/.test(text) ||
        text.trim() === '' ||
        text.includes('[TOOL_CALLS]') ||
        text.includes('python_tag')
      )
        return
      const said = mended(t, `${text}\n${CALLS['hermes']}`)
      t.same(said, [`text: ${text.trimEnd()}`, LS, '= tool-calls'])
    })
  }
})

t.test('an example in a fence does not hide the call after it', async t => {
  const fence = CALLS['fence'] ?? ''
  t.same(mended(t, `${fence}\nNow for real:\n${CALLS['hermes']}`), [
    `text: ${fence}\nNow for real:`,
    LS,
    '= tool-calls'
  ])
})

t.test('without tools there are no calls', async t => {
  const text = CALLS['hermes'] ?? ''
  const mender = machine(ALL, [])
  const said = streamed([{ type: 'text', text }], 5).flatMap(event => mender.push(event))
  t.same(summary(said), [`text: ${text}`, '= stop'])
})

t.test('a freeform tool takes text', async t => {
  const patch = '*** Begin Patch\n*** End Patch'
  const call = `call_x_t0 apply_patch: ${patch}`
  const json = JSON.stringify({ name: 'apply_patch', arguments: { input: patch } })
  t.same(mended(t, `<tool_call>${json}</tool_call>`), [call, '= tool-calls'])
  t.same(mended(t, `<function=apply_patch><parameter=patch>\n${patch}\n</parameter></function>`), [
    call,
    '= tool-calls'
  ])
})

t.test('why an answer ended', async t => {
  t.same(mended(t, CALLS['hermes'] ?? '', ALL, 'length'), [LS, '= length'])
  t.same(mended(t, CALLS['hermes'] ?? '', ALL, 'stop-sequence'), [LS, '= tool-calls'])
})

t.test('plain text flows at once', async t => {
  const mender = machine()
  mender.push({ type: 'start', id: 'a', model: 'm' })
  mender.push({ type: 'block-start', index: 0, block: { type: 'text', text: '' } })
  const said = ['Hello', ' you', ' and <b', '> [x] ', '`code`'].map(text =>
    mender
      .push({ type: 'block-delta', index: 0, text })
      .map(event => (event.type === 'block-delta' ? event.text : ''))
      .join('')
  )
  t.same(said, ['Hello', ' you', ' and <b', '> [x]', ' `code`'])
})

t.test('thinking in the text is thinking', async t => {
  const want = ['thinking: hm\n\nso', 'text: Yes.\n', '= stop']
  for (const text of [
    '<think>\nhm\n\nso\n</think>\n\nYes.\n',
    '\n<thinking>hm\n\nso</thinking>Yes.\n',
    '[THINK]hm\n\nso[/THINK]Yes.\n',
    '<|channel|>analysis<|message|>hm\n\nso<|end|><|start|>assistant<|channel|>final<|message|>Yes.\n',
    '<think></think><think>hm\n\nso</think>Yes.\n'
  ]) {
    t.same(mended(t, text), want, text)
    t.same(mended(t, text, ['think-tags']), want, text)
  }
  t.same(mended(t, '<|channel|>final<|message|>Yes.<|return|>'), ['text: Yes.', '= stop'])
  t.same(mended(t, '<think>a < b'), ['thinking: a < b', '= stop'])
  t.same(mended(t, '<think>I could <tool_call></think>No.'), ['thinking: I could <tool_call>', 'text: No.', '= stop'])
  t.same(mended(t, `<think>hm</think>\n${CALLS['llama, bare']}`), ['thinking: hm', LS, '= tool-calls'])
  t.same(mended(t, `<|channel|>analysis<|message|>hm<|end|>${CALLS['gpt-oss, to whom first']}`), [
    'thinking: hm',
    LS,
    '= tool-calls'
  ])
  const opened: Quirk[] = ['think-opened']
  t.same(mended(t, 'hm\n\nso\n</think>\n\nYes.\n', opened), want)
  t.same(mended(t, '<think>\nhm\n\nso\n</think>\n\nYes.\n', opened), want)
  t.same(mended(t, '\n</think>\n\nYes.', opened), ['text: Yes.', '= stop'])
  const mender = machine(opened)
  const native: Block[] = [
    { type: 'thinking', text: 'a' },
    { type: 'text', text: 'b' }
  ]
  t.same(
    streamed(native, 1).flatMap(event => mender.push(event)),
    streamed(native, 1)
  )
})

const MENDED: [said: string, wanted: string][] = [
  ['{"command": "ls", "timeout": "5"}', '{"command":"ls","timeout":5}'],
  ['{"command": "ls", "timeout": null}', '{"command":"ls"}'],
  ['{"command": "ls", "background": "false"}', '{"command":"ls","background":false}'],
  ['{"command": "ls", "paths": "[\\"a\\", \\"b\\"]"}', '{"command":"ls","paths":["a","b"]}'],
  ['{"command": "ls", "paths": "[\'a\', \'b\',]"}', '{"command":"ls","paths":["a","b"]}'],
  ['{"command": "ls", "paths": "a"}', '{"command":"ls","paths":["a"]}'],
  ['{"command": "ls", "env": "{\\"A\\": 1}"}', '{"command":"ls","env":{"A":1}}'],
  ['{"command": 5}', '{"command":"5"}'],
  ['{"command": "ls",}', '{"command": "ls"}'],
  ['{command: "ls"}', '{"command": "ls"}'],
  ["{'command': 'ls', 'background': True}", '{"command": "ls", "background": true}'],
  ['{"command": "ls", "env": {"a": [1}}', '{"command": "ls", "env": {"a": [1]}}'],
  ['{"command": "ls"', '{"command": "ls"}'],
  ['{"command": "ls"}}', '{"command": "ls"}'],
  ['{"command": "ls" "timeout": 5}', '{"command": "ls" ,"timeout": 5}'],
  ['{"command": "echo "hi" there"}', '{"command": "echo \\"hi\\" there"}'],
  ['```json\n{"command": "ls"}\n```', '{"command": "ls"}'],
  ['"{\\"command\\": \\"ls\\"}"', '{"command": "ls"}']
]

function native(input: string, size: number, name = 'Bash', reason: FinishReason = 'tool-calls') {
  const mender = machine(['repair-arguments'])
  const events = streamed([{ type: 'tool-call', id: 'c', name, input }], size, reason)
  const said = events.flatMap(event => mender.push(event))
  return { said, counts: { ...mender.counts } }
}

t.test('arguments are what the schema asks for', async t => {
  const counted = { textCalls: 0, thinking: 0, repaired: 1, unrepaired: 0 }
  for (const [input, wanted] of MENDED) {
    for (const size of CUTS) {
      const { said, counts } = native(input, size)
      t.equal(problemIn(said), undefined)
      t.same(summary(said), [`c Bash: ${wanted}`, '= tool-calls'], input)
      t.same(counts, counted)
    }
  }
  t.same(summary(native('', 1, 'Now').said), ['c Now: {}', '= tool-calls'])
})

t.test('arguments that fit pass byte for byte', async t => {
  for (const input of [
    '{"command":"ls"}',
    ' {"command" : "a\\u0041", "timeout": 5, "more": 1e3}\n',
    '{"command":"","x":null}'
  ]) {
    const { said, counts } = native(input, 3)
    t.same(summary(said), [`c Bash: ${input}`, '= tool-calls'])
    t.same(counts, { textCalls: 0, thinking: 0, repaired: 0, unrepaired: 0 })
  }
})

t.test('arguments that cannot be mended are counted, and stay', async t => {
  for (const input of ['hello', '[1]', '{"timeout": 5}', '{"command": null}']) {
    const { said, counts } = native(input, 2)
    t.same(summary(said), [`c Bash: ${input}`, '= tool-calls'])
    t.same(counts, { textCalls: 0, thinking: 0, repaired: 0, unrepaired: 1 })
  }
})

t.test('a call that was cut off is not completed', async t => {
  for (const size of CUTS) {
    const { said, counts } = native('{"command": "rm -rf /tm', size, 'Bash', 'length')
    t.same(summary(said), ['c Bash: {"command": "rm -rf /tm', '= length'])
    t.equal(counts.unrepaired, 1)
    t.equal(problemIn(said), undefined)
  }
  const mender = machine(['repair-arguments'])
  const events = streamed([{ type: 'tool-call', id: 'c', name: 'Bash', input: '{"command": "l' }], 3).slice(0, -1)
  const failure = new Failure('upstream-failed', 'gone')
  const said = [...events, { type: 'failure', failure } as const].flatMap(event => mender.push(event))
  t.same(summary(said), ['c Bash: {"command": "l', '! upstream-failed'])
  t.equal(problemIn(said), undefined)
})

t.test('schemas with alternatives and references', async t => {
  const schema = {
    $defs: { item: { type: 'object', properties: { n: { type: 'integer' }, next: { $ref: '#/$defs/item' } } } },
    type: 'object',
    properties: {
      item: { $ref: '#/$defs/item' },
      any: { anyOf: [{ type: 'integer' }, { type: 'null' }] },
      loop: { $ref: '#/properties/loop' },
      all: { allOf: [{ type: 'array', items: { type: 'number' } }] },
      kind: { type: 'string', enum: ['a', 'b'] },
      words: { type: ['string', 'null'] }
    },
    required: ['item']
  }
  const cases: [string, string, boolean][] = [
    ['{"item":{"n":"1","next":{"n":"2"}}}', '{"item":{"n":1,"next":{"n":2}}}', true],
    ['{"item":{},"any":"7"}', '{"item":{},"any":7}', true],
    ['{"item":{},"any":"null"}', '{"item":{},"any":null}', true],
    ['{"item":{},"loop":"x"}', '{"item":{},"loop":"x"}', true],
    ['{"item":{},"all":"[1, \\"2\\"]"}', '{"item":{},"all":[1,2]}', true],
    ['{"item":{},"kind":"c"}', '{"item":{},"kind":"c"}', false],
    ['{"item":{},"words":"5"}', '{"item":{},"words":"5"}', true],
    [
      '{"item":{},"__proto__":{"x":"1"},"constructor":"y"}',
      '{"item":{},"__proto__":{"x":"1"},"constructor":"y"}',
      true
    ],
    ['{"item":{"n":"1"},"__proto__":"1"}', '{"item":{"n":1},"__proto__":"1"}', true]
  ]
  for (const [input, wanted, fits] of cases) t.same(mendInput(input, schema), { input: wanted, fits }, input)
})

t.test('alternatives within alternatives end', async t => {
  const any = { anyOf: [{ $ref: '#/$defs/any' }, { type: 'array', items: { $ref: '#/$defs/list' } }, { type: 'null' }] }
  const list = { anyOf: [1, 2, 3].map(n => ({ type: 'array', items: { $ref: '#/$defs/list' }, title: n })) }
  const schema = {
    $defs: { any, list },
    type: 'object',
    properties: { x: { $ref: '#/$defs/list' }, y: { $ref: '#/$defs/any' } }
  }
  const deep = `${'['.repeat(400)}"x"${']'.repeat(400)}`
  const { input } = mendInput(`{"x":${deep},"y":${deep}}`, schema)
  t.ok(parseObject(input))
})

t.test('other blocks pass as they came', async t => {
  const blocks: Block[] = [
    { type: 'redacted-thinking', extra: { anthropic: { data: 'x' } } },
    { type: 'text', text: 'no', refusal: true },
    { type: 'text', text: 'with an extra', extra: { anthropic: { citations: [1] } } },
    { type: 'text', text: '' },
    { type: 'tool-call', id: 'p', name: 'apply_patch', input: 'any < text', freeform: true },
    { type: 'tool-call', id: 'q', name: 'unknown', input: '{"a": 1}' }
  ]
  const answer: ChatAnswer = {
    id: 'a',
    model: 'm',
    blocks,
    finish: 'stop-sequence',
    stopSequence: 'x',
    extra: { n: {} }
  }
  t.same(mendAnswer(answer, machine()), answer)
  const mender = machine()
  const said = [
    ...streamed([{ type: 'text', text: 'ab' }], 1).slice(0, 3),
    { type: 'block-extra', index: 0, extra: { n: { x: 1 } } } as const,
    { type: 'ping' } as const,
    { type: 'block-end', index: 0 } as const,
    { type: 'finish', reason: 'stop' } as const
  ].flatMap(event => mender.push(event))
  t.same(summary(said), ['text: a {"n":{"x":1}}', '= stop'])
  t.ok(said.some(event => event.type === 'ping'))
})

t.test('quirks are switched on one by one', async t => {
  t.equal(menderFor([], { tools: TOOLS }), undefined)
  t.equal(menderFor(['stable-prompt'], { tools: TOOLS }), undefined)
  t.equal(menderFor(['text-tools', 'repair-arguments'], { tools: [] }), undefined)
  for (const quirk of QUIRKS) if (quirk !== 'stable-prompt') t.ok(menderFor([quirk], { tools: TOOLS }), quirk)
  const text = `<think>hm</think>${CALLS['hermes']}`
  t.same(mended(t, text, ['think-tags']), ['thinking: hm', `text: ${CALLS['hermes']}`, '= stop'])
  t.same(mended(t, text, ['text-tools']), ['text: <think>hm</think>', LS, '= tool-calls'])
})

// Nonsense.

const SHARDS = [
  '<tool_call>',
  '</tool_call>',
  '<function=Bash>',
  '</function>',
  '<parameter=command>',
  '</parameter>',
  '{',
  '}',
  '[',
  ']',
  '"',
  '\\',
  '"name": "Bash"',
  '"arguments": {',
  ':',
  ',',
  '```',
  '```json\n',
  '\n',
  ' ',
  '`',
  '<',
  '<|',
  '<think>',
  '</think>',
  '[TOOL_CALLS]',
  '(',
  ')',
  '[Bash(command=',
  '<|tool_call_start|>',
  'Bash',
  '[ARGS]',
  '<|python_tag|>',
  '<arg_key>',
  '</arg_key>',
  '<arg_value>',
  '</arg_value>',
  'ls',
  '<|tool_call_begin|>',
  '<|tool_call_end|>',
  '<|channel|>',
  'analysis',
  '<|message|>',
  '<|end|>',
  '{"name":"Bash","arguments":{}}',
  '<invoke name="Now">',
  '</invoke>',
  '<｜tool▁call▁begin｜>',
  '<｜tool▁sep｜>',
  '<｜tool▁call▁end｜>',
  '~~~',
  "'",
  'é',
  '😀'
]
const soup = fc.array(fc.constantFrom(...SHARDS), { maxLength: 30 }).map(shards => shards.join(''))

t.test('any text comes to the same however it is cut, and none is lost', async () => {
  fc.assert(
    fc.property(soup, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 9 }), (text, sizes) => {
      const whole = machine()
      const cut = machine()
      const one = streamed([{ type: 'text', text }], Number.POSITIVE_INFINITY).flatMap(event => whole.push(event))
      const deltas: ChatEvent[] = []
      for (let at = 0, turn = 0; at < text.length; turn++) {
        const size = sizes[turn % sizes.length] ?? 1
        deltas.push({ type: 'block-delta', index: 0, text: text.slice(at, at + size) })
        at += size
      }
      const events = streamed([{ type: 'text', text: '' }], 1)
      const other = [...events.slice(0, 2), ...deltas, ...events.slice(-2)].flatMap(event => cut.push(event))
      if (problemIn(one) !== undefined || problemIn(other) !== undefined)
        throw new Error(problemIn(one) ?? problemIn(other))
      const found = summary(one)
      if (JSON.stringify(found) !== JSON.stringify(summary(other))) {
        throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(summary(other))}`)
      }
      const { textCalls } = whole.counts
      const isUntouched = textCalls === 0 && !/<think>|<\|channel\|>/.test(text)
      if (isUntouched && found[0] !== `text: ${text}`) throw new Error(`${text} became ${found[0]}`)
      if (textCalls > 0 !== (found.at(-1) === '= tool-calls')) throw new Error('the wrong end')
    }),
    { numRuns: 1500 }
  )
})

t.test('any arguments end as JSON, or as they were', async () => {
  fc.assert(
    fc.property(soup, fc.constantFrom('Bash', 'Now', 'other'), (input, name) => {
      const { said, counts } = native(input, 4, name)
      const found = summary(said)[0] ?? ''
      const text = found.slice(`c ${name}: `.length)
      if (counts.unrepaired === 0 && parseObject(text) === undefined) throw new Error(`no JSON: ${text}`)
      if (counts.repaired + counts.unrepaired === 0 && text !== input) throw new Error(`changed: ${text}`)
    }),
    { numRuns: 1000 }
  )
})

t.test('any object survives its own brokenness', async () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.nat(), (value, at) => {
      const text = JSON.stringify(value)
      if (JSON.stringify(parseObject(repairObject(text) ?? '')) !== JSON.stringify(parseObject(text)))
        throw new Error(text)
      if (JSON.stringify(parseObject(repairObject(`${text}}`) ?? '')) !== JSON.stringify(parseObject(text)))
        throw new Error(text)
      const cut = repairObject(text.slice(0, at % text.length))
      if (cut !== undefined && parseObject(cut) === undefined) throw new Error(cut)
    })
  )
})

/** A machine that is slow over its own past would not get through these within the time of a test. */
const MUCH = 50_000
const HOSTILE: Record<string, string> = {
  angles: '<'.repeat(MUCH),
  brackets: '['.repeat(MUCH),
  braces: '{'.repeat(MUCH),
  backticks: '`'.repeat(MUCH),
  space: ' '.repeat(MUCH),
  'lines of ticks': '```\n'.repeat(MUCH / 4),
  'ticks in a line': '``` '.repeat(MUCH / 4),
  openers: '<tool_call>'.repeat(MUCH / 11),
  'openers of calls': '<tool_call>{"name":"Bash"'.repeat(MUCH / 25),
  closers: `<tool_call>{"name":"Bash","arguments":{"x":"${'</tool_call>'.repeat(MUCH / 12)}`,
  'closers in tags': `<tool_call><function=Bash>x${'</tool_call>'.repeat(MUCH / 12)}`,
  'quotes and closers': `<tool_call>{"name":"Bash"${'"</tool_call>'.repeat(MUCH / 13)}`,
  functions: '<function=Bash>'.repeat(MUCH / 15),
  parameters: `<function=Bash>${'<parameter=x></parameter>   '.repeat(MUCH / 28)}</function>`,
  headers: `<tool_call><function=Bash><parameter=x${' name'.repeat(MUCH / 5)}></parameter></function></tool_call>`,
  'python tags': '<|python_tag|>{"name":"Bash"'.repeat(MUCH / 28),
  python: `[Bash(command=${'('.repeat(MUCH)}`,
  'python commas': `[Bash(${'a=1,'.repeat(MUCH / 4)})]`,
  mistral: '[TOOL_CALLS]Bash{'.repeat(MUCH / 17),
  'mistral lists': '[TOOL_CALLS][{"name":"Bash"'.repeat(MUCH / 27),
  kimi: '<|tool_call_begin|>'.repeat(MUCH / 19),
  channels: '<|channel|>final<|message|>x<|end|>'.repeat(MUCH / 35),
  thinks: '<think></think>'.repeat(MUCH / 15),
  'braces in a call': `<tool_call>{"name":"Bash","arguments":${'{"a":'.repeat(MUCH / 5)}</tool_call>`,
  'closing braces': `<tool_call>{"name":"Bash","arguments":{"a":'${'}]'.repeat(MUCH / 2)}</tool_call>`,
  'ends and space': `<tool_call>{"name":"Bash"}${' '.repeat(MUCH)}x`
}

t.test('much of anything is a matter of moments', async t => {
  for (const [name, text] of Object.entries(HOSTILE)) {
    for (const size of [1, Number.POSITIVE_INFINITY]) {
      const mender = machine()
      const started = process.hrtime.bigint()
      let length = 0
      let held = 0
      let longest = 0
      for (const event of streamed([{ type: 'text', text }], size)) {
        if (event.type === 'block-delta') held += event.text.length
        for (const said of mender.push(event)) {
          if (said.type !== 'block-delta') continue
          length += said.text.length
          held -= said.text.length
        }
        longest = Math.max(longest, held)
      }
      const took = Number(process.hrtime.bigint() - started) / 1e6
      t.comment(`${name} by ${size}: ${took.toFixed(0)} ms, ${longest} held at most`)
      const { textCalls, thinking } = mender.counts
      if (textCalls + thinking === 0 && !text.startsWith('<|channel|>') && !text.startsWith('<think>')) {
        t.equal(length, text.length, `${name}: all of it is said`)
      }
    }
  }
})

t.test('much of anything is no danger as arguments', async t => {
  const much = 50_000
  const bad = [
    '"',
    "'",
    '\\',
    '{',
    '[',
    '}',
    ']',
    '{a:',
    '[}',
    '{]',
    '"a" ',
    'x ',
    '1 ',
    ',',
    '```\n',
    '\n',
    '"\\',
    '//',
    '{"x":'
  ]
  for (const piece of bad) {
    for (const start of ['', '{"command": "ls", "x": ', '```json\n', '"', '{"paths": "[']) {
      for (const end of ['', '}', '\n```', '"', ']"}']) {
        const input = start + piece.repeat(much / 40 / piece.length) + end
        const mended = mendInput(input, TOOLS[0]?.schema)
        if (mended.fits) t.type(parseObject(mended.input)?.['command'], 'string')
      }
    }
    const input = `{"command": 'ls', "x": ${piece.repeat(much / piece.length)}`
    if (!mendInput(input, TOOLS[0]?.schema).fits) t.pass(piece)
    if (repairObject(`\`\`\`json\n${piece.repeat(much / piece.length)}\n\`\`\``) === undefined) t.pass(piece)
  }
})

t.test('a call of megabytes in single characters', async t => {
  const content = 'x <b> \\n "'.repeat(200_000)
  const text = `<tool_call>${JSON.stringify({ name: 'Bash', arguments: { command: content } })}</tool_call>`
  const mender = machine(['text-tools'])
  const said = streamed([{ type: 'text', text }], 1).flatMap(event => mender.push(event))
  const input = said.find(event => event.type === 'block-delta')
  t.equal(input?.type === 'block-delta' && input.text, JSON.stringify({ command: content }))
})

t.test('no more is held than is said', async t => {
  const text = `<tool_call>{"name":"Bash","arguments":{"command":"${'x'.repeat(MOST_HELD)}`
  const mender = machine()
  const events = streamed([{ type: 'text', text }], 65_536)
  const said = events.slice(0, -2).flatMap(event => mender.push(event))
  t.ok(
    said.some(event => event.type === 'block-delta'),
    'given back before the end'
  )
  t.same(summary([...said, ...events.slice(-2).flatMap(event => mender.push(event))]), [`text: ${text}`, '= stop'])
  const long = native(`{"command":"${'x'.repeat(MOST_HELD)}`, 65_536)
  t.equal(long.counts.unrepaired, 1)
})

// The prompt.

function request(system: string[], turns: ChatRequest['turns']): ChatRequest {
  return { model: 'm', system: system.map(text => ({ type: 'text', text })), turns, tools: [], stream: true }
}

t.test('the prompt begins the same each time', async t => {
  const user: ChatRequest['turns'] = [{ role: 'user', blocks: [{ type: 'text', text: 'Hi' }] }]
  const billing = 'x-anthropic-billing-header: cc_version=2.1.197.b81; cc_entrypoint=cli; cch=1;'
  const env = (date: string) =>
    `You are an agent.\n<env>\nSession ID: 123e4567-e89b-12d3-a456-426614174000\nToday's date: ${date}\n</env>\n`
  const chat = request([billing, env('2026-11-21')], user)
  const stable = stabilisePrompt(chat)
  t.same(stable.system, [{ type: 'text', text: 'You are an agent.\n<env>\n</env>\n' }])
  t.same(stable.turns[0]?.blocks, [
    { type: 'text', text: "<system-reminder>\nToday's date: 2026-11-21\n</system-reminder>" },
    { type: 'text', text: 'Hi' }
  ])
  t.same(stabilisePrompt(request([`${billing}\nYou are an agent.`], user)).system, [
    { type: 'text', text: 'You are an agent.' }
  ])
  t.same(stabilisePrompt(request([env('2026-11-22')], user)).system, stable.system, 'another day, the same system')
  t.equal(stabilisePrompt(stable), stable, 'nothing is left to do')
  const others = request(
    ['Say x-anthropic-billing-header: to nobody.\nSession id: as you like.\nThe current date is set.'],
    user
  )
  t.equal(stabilisePrompt(others), others)
  const alone = request(["Today's date is 2026-11-21."], [])
  t.equal(stabilisePrompt(alone), alone, 'there is no place for the date')
})
