// `sluice hooks`: a list is edited and nothing else, and a hook is tried without a gateway.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { addItem, removeItem } from '../src/config/list-items.ts'
import { post, smallest } from './support/ask.ts'
import { hookFile } from './support/hooks.ts'
import { type Folder, run, start, temporaryFolder } from './support/process.ts'

t.setTimeout(600_000)

const YAML = `# mine
model_list:
  - { model_name: m, provider: demo, demo: { text: said } }   # short
hooks:
  - strip-prefix # first
# the end`

function folder(t: Test, yaml = YAML): Folder {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  made.write('gateway.yaml', yaml)
  return made
}

t.test('an item is put in and taken out, and every other byte stays', async t => {
  const cases: [before: string, added: string | RegExp, without: string | RegExp][] = [
    ['', 'hooks:\n  - x\n', /no such item/],
    ['a: 1', 'a: 1\nhooks:\n  - x\n', /no such item/],
    ['hooks: []  # c\n', 'hooks: [x]  # c\n', /no such item/],
    ['hooks: # later\nb: 1\n', 'hooks: # later\n  - x\nb: 1\n', /no such item/],
    ['hooks: [ a, b ] # c\n', 'hooks: [ a, b, x ] # c\n', 'hooks: [ b ] # c\n'],
    ['hooks: [a]\n', 'hooks: [a, x]\n', 'hooks: []\n'],
    ['{"hooks": ["a"]}', '{"hooks": ["a", "x"]}', '{"hooks": []}'],
    ['hooks:\n- a # 1\n\n# next\nb: 2\n', 'hooks:\n- a # 1\n- x\n\n# next\nb: 2\n', 'hooks: []\n\n# next\nb: 2\n'],
    [
      'hooks:\n  - cache:\n      ttl: 1h\n    when: { models: [m] }\n  # two\n  - b\n',
      'hooks:\n  - cache:\n      ttl: 1h\n    when: { models: [m] }\n  # two\n  - b\n  - x\n',
      'hooks:\n  # two\n  - b\n'
    ],
    ['hooks:\r\n  - a\r\n  - b\r\n', 'hooks:\r\n  - a\r\n  - b\r\n  - x\r\n', 'hooks:\r\n  - b\r\n'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how files name variables.
    ['hooks: [a, { webhook: { url: ${URL} } }]\n', 'hooks: [a, { webhook: { url: ${URL} } }, x]\n', /webhook/],
    ['hooks: { a: 1 }\n', /is not a list/, /is not a list/],
    ['hooks: *a\n', /is not a list/, /is not a list/],
    ['hooks: [\n', /cannot be read/, /cannot be read/]
  ]
  for (const [before, added, without] of cases) {
    const more = addItem(before, 'hooks', 'x')
    const less = removeItem(before, 'hooks', 0)
    for (const [result, wanted] of [
      [more, added],
      [less, without]
    ] as const) {
      const text = typeof result === 'string' ? result : result.text
      if (typeof wanted === 'string') t.equal(text, wanted, JSON.stringify(before))
      else t.match(text, wanted, JSON.stringify(before))
    }
  }
})

t.test('enable and disable say what they wrote, and what they cannot', async t => {
  const { path: cwd } = folder(t)
  const text = () => readFileSync(join(cwd, 'gateway.yaml'), 'utf8')
  t.match(await run(['hooks', 'enable', 'token-cap', '--options', '{"max":5}'], { cwd }), { code: 0, stdout: /:6\)/ })
  t.equal(text(), YAML.replace('# first\n', '# first\n  - token-cap: {"max":5}\n'))
  t.match(await run(['hooks', 'enable', 'token-cap'], { cwd }), { code: 0, stdout: /listed already/ })
  t.match(await run(['hooks', 'disable', 'token-cap', '--json'], { cwd }), { code: 0, stdout: /"removed": "token-cap/ })
  t.equal(text(), YAML)
  t.match(await run(['hooks', 'enable', 'tokencap'], { cwd }), { code: 1, stderr: /Did you mean token-cap/ })
  t.match(await run(['hooks', 'enable', 'webhook'], { cwd }), { code: 1, stderr: /must have required property 'url'/ })
  t.match(await run(['hooks', 'enable', 'token-cap', '--options', '{"mx":1}'], { cwd }), { code: 1, stderr: /"max"\?/ })
  t.match(await run(['hooks', 'enable', 'token-cap', '--options', '{'], { cwd }), { code: 1, stderr: /not JSON/ })
  t.match(await run(['hooks', 'disable', 'redact'], { cwd }), { code: 1, stderr: /not listed in .*strip-prefix/ })
  t.match(await run(['hooks', 'dance'], { cwd }), { code: 2, stderr: /there are: list/ })
  t.equal(text(), YAML)
})

t.test('list names all, where they are listed and what is wrong with them', async t => {
  const { path: cwd } = folder(t)
  mkdirSync(join(cwd, 'hooks'))
  writeFileSync(join(cwd, 'hooks/mine.ts'), hookFile('mine', '{ preCall: () => undefined }'))
  writeFileSync(join(cwd, 'hooks/broken.ts'), 'export default {{')
  const { code, stdout } = await run(['hooks', 'list', '--json'], { cwd })
  t.equal(code, 0)
  const { hooks } = JSON.parse(stdout) as { hooks: { name: string; shipped: boolean; listed: string[] }[] }
  t.equal(hooks.filter(hook => hook.shipped).length, 12)
  t.match(
    hooks.find(hook => hook.name === 'strip-prefix'),
    { shipped: true, listed: ['hooks[0]'] }
  )
  t.match(
    hooks.find(hook => hook.name === 'mine'),
    { shipped: false, listed: [] }
  )
  t.match(
    hooks.find(hook => hook.name === 'broken'),
    { problem: /cannot be loaded/ }
  )
  t.match(await run(['hooks', 'list'], { cwd }), {
    code: 0,
    stdout: /strip-prefix +hooks\[0\] +shipped +Takes a provider/
  })
})

t.test('a new hook is written, tried, put to use, and known to editors', async t => {
  const made = folder(t)
  const { path: cwd } = made
  t.match(await run(['hooks', 'new', 'my-cap'], { cwd }), { code: 0, stdout: /hooks\/my-cap\.ts is written/ })
  t.ok(existsSync(join(cwd, 'hooks/tsconfig.json')))
  t.match(await run(['hooks', 'new', 'my-cap'], { cwd }), { code: 1, stderr: /there already/ })
  t.match(await run(['hooks', 'new', '../x'], { cwd }), { code: 2 })
  made.write(
    'body.json',
    JSON.stringify(smallest('anthropic', 'm')[1]).replace(/"max_tokens":\d+/, '"max_tokens":90000')
  )
  t.match(await run(['hooks', 'test', 'hooks/my-cap.ts', '--request', 'body.json'], { cwd }), {
    code: 0,
    stdout: /~ maxTokens: 90000 → 8192[\s\S]*counted: capped 1/
  })
  t.match(await run(['hooks', 'schema', '--write', 'schemas/gateway.schema.json'], { cwd }), {
    code: 0,
    stdout: /\$schema=\.\/schemas\/gateway\.schema\.json/
  })
  const schema = JSON.parse(readFileSync(join(cwd, 'schemas/gateway.schema.json'), 'utf8')) as {
    definitions: { hook: { anyOf: { properties?: Record<string, { properties: object }> }[] } }
  }
  t.match(schema.definitions.hook.anyOf[1]?.properties?.['my-cap'], { properties: { max: { default: 8192 } } })
  made.write('other.json', '{}')
  t.match(await run(['hooks', 'schema', '--write', 'other.json'], { cwd }), { code: 1, stderr: /left as it is/ })
})

t.test('test shows the call, the events and the answer, or why it was refused', async t => {
  const made = folder(t)
  const { path: cwd } = made
  made.write('body.json', JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'mail joe@example.com' }] }))
  const answer = { role: 'assistant', content: 'write to ann@example.com now' }
  made.write(
    'answer.json',
    JSON.stringify({ id: 'x', choices: [{ index: 0, message: answer, finish_reason: 'stop' }] })
  )
  const given = ['--request', 'body.json', '--answer', 'answer.json', '--json']
  const redact = await run(['hooks', 'test', 'redact', ...given, '--options', '{"kinds":["emails"]}'], { cwd })
  const shown = JSON.parse(redact.stdout) as { call: string[]; events: { made: { type: string; text?: string }[] }[] }
  t.match(shown.call, [/^~ chat\.turns\[0\]\.blocks\[0\]\.text: .*→ "mail \[redacted\]"/])
  const text = shown.events.flatMap(({ made: events }) => events.map(event => event.text ?? '')).join('')
  t.equal(text, 'write to [redacted] now')
  t.match(await run(['hooks', 'test', 'guard', ...given, '--options', '{"max_chars":3}'], { cwd }), {
    code: 0,
    stdout: /"kind": "forbidden"/
  })
  mkdirSync(join(cwd, 'hooks'))
  writeFileSync(join(cwd, 'hooks/bad.ts'), hookFile('bad', '{ preCall: () => { throw new Error("no") } }'))
  t.match(await run(['hooks', 'test', './hooks/bad.ts', '--request', 'body.json'], { cwd }), {
    code: 1,
    stdout: /`bad` failed in preCall \(.*bad\.ts:4:\d+\): no/
  })
  writeFileSync(
    join(cwd, 'hooks/asks.ts'),
    hookFile('asks', '{ preCall: async () => { await services.fetch("http://127.0.0.1:9/") } }')
  )
  t.match(await run(['hooks', 'test', 'asks', '--request', 'body.json'], { cwd }), { stdout: /a test fetches nothing/ })
  t.match(await run(['hooks', 'test', 'asks'], { cwd }), { code: 2, stderr: /--request/ })
})

t.test('a hook that is put into the folder is told of, and runs within a second once it is listed', async t => {
  const made = folder(t)
  const { path: cwd } = made
  const gateway = await start([], { cwd })
  const ask = () => post(`${gateway.url}/v1/chat/completions`, smallest('openai-chat', 'm')[1])
  t.match((await ask()).text, /said/)
  mkdirSync(join(cwd, 'hooks'))
  writeFileSync(join(cwd, 'hooks/late.ts'), hookFile('late', `{ preCall: () => answerOf('from the new hook') }`))
  await gateway.until(/the hook `late` \(.*late\.ts\) is known/)
  const began = performance.now()
  made.write('gateway.yaml', YAML.replace('# first\n', '# first\n  - late\n'))
  while (!/from the new hook/.test((await ask()).text) && performance.now() - began < 5000) await wait(10)
  const took = Math.round(performance.now() - began)
  t.comment(`usable after ${took} ms`)
  t.ok(took < 1000, `${took} ms`)
  gateway.child.kill('SIGTERM')
  t.equal((await gateway.ended).code, 0)
})
