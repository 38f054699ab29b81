// `sluice switch`: one line is edited and nothing else, and what was said is what then happens.
import { chmodSync, lstatSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { replaceValue } from '../src/config/replace.ts'
import { type Folder, run, start, temporaryFolder } from './support/process.ts'

function folder(t: Test, yaml?: string): Folder {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  if (yaml !== undefined) made.write('gateway.yaml', yaml)
  return made
}

async function upstream(t: Test, text: string): Promise<string> {
  const server = createServer((request, response) => {
    request.resume()
    response.setHeader('content-type', 'application/json')
    const message = { role: 'assistant', content: text }
    response.end(
      JSON.stringify({ id: 'x', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] })
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}

const declared = (one: string, two: string, line: string) => `# mine, keep it
server: { drain: 1s }   # short
backends:
  one: { provider: custom, api_base: "${one}", description: the first }
  two:
    provider: custom   # the other
    api_base: ${two}
${line}
model_list:
  - { model_name: coder, backend: active, model: qwen }
  - { model_name: fixed, backend: one }
# the end`

const NOWHERE = 'http://127.0.0.1:9/v1'

t.setTimeout(600_000)

t.test('the line is edited, and every other byte stays', async t => {
  const cases: [before: string, after: string][] = [
    ['active_backend: one', 'active_backend: two'],
    ['active_backend:   one  # why', 'active_backend:   two  # why'],
    ['active_backend: "one"', 'active_backend: "two"'],
    ['active_backend: \'one\' # "one"', 'active_backend: \'two\' # "one"'],
    ['active_backend:', 'active_backend: two'],
    ['active_backend: # later', 'active_backend: two # later'],
    ['"active_backend": one', '"active_backend": two']
  ]
  for (const [before, after] of cases) {
    for (const ending of ['\n', '\r\n']) {
      const text = declared(NOWHERE, NOWHERE, before).replaceAll('\n', ending)
      const replaced = replaceValue(text, 'active_backend', 'two')
      t.same(replaced, { text: text.replace(before, after), line: 8 }, before)
    }
  }
  t.same(replaceValue('{"a": 1, "backend": "one"}', 'backend', 'two'), { text: '{"a": 1, "backend": "two"}', line: 1 })
  t.same(replaceValue('a: 1', 'active_backend', 'two'), { text: 'a: 1\nactive_backend: two\n', line: 2 })
  t.same(replaceValue('a: 1\r\n', 'b', 'true'), { text: 'a: 1\r\nb: "true"\r\n', line: 2 })
  for (const kept of [
    `active_backend: \${B:-one}`,
    'active_backend: &x one',
    'active_backend: |\n  one',
    '{ a: 1 }',
    'a: [',
    'a: 1\n...\n'
  ])
    t.type(replaceValue(kept, 'active_backend', 'two'), 'string', kept)
})

t.test('a running gateway has it in force when the command returns, and after a restart', async t => {
  const [one, two] = await Promise.all([upstream(t, 'I am one'), upstream(t, 'I am two')])
  const { path } = folder(t, declared(one, two, 'active_backend: one   # today'))
  const file = join(path, 'gateway.yaml')
  chmodSync(file, 0o640)
  const gateway = await start([], { cwd: path })
  const ask = async (url: string): Promise<string> => {
    const answer = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'coder', messages: [{ role: 'user', content: 'Who?' }] })
    })
    return answer.text()
  }
  t.match(await ask(gateway.url), 'I am one')
  const before = readFileSync(file, 'utf8')
  const { code, stdout } = await run(['switch', 'two'], { cwd: path })
  t.equal(code, 0, stdout)
  t.match(stdout, 'one → two (gateway.yaml:8)')
  t.match(stdout, `coder  → two (${new URL(two).origin}), as qwen`)
  t.match(stdout, /has it in force: generation 2/)
  t.match(await ask(gateway.url), 'I am two', 'at once')
  t.equal(readFileSync(file, 'utf8'), before.replace('active_backend: one ', 'active_backend: two '))
  t.equal(statSync(file).mode & 0o777, 0o640)
  t.same(
    readdirSync(path).filter(name => name.includes('gateway.yaml')),
    ['gateway.yaml'],
    'nothing is left beside it'
  )
  t.match(await run(['switch', 'two'], { cwd: path }), { code: 0, stdout: /two is the active backend already/ })
  gateway.child.kill('SIGTERM')
  await gateway.ended
  const again = await start([], { cwd: path })
  t.match(await ask(again.url), 'I am two', 'it survives a restart')
  const json = JSON.parse((await run(['switch', 'one', '--json'], { cwd: path })).stdout)
  t.match(json, {
    ok: true,
    changed: true,
    from: 'two',
    to: 'one',
    file,
    line: 8,
    moved: [{ model: 'coder', asked: 'qwen' }],
    gateway: { url: again.url, state: 'in force' }
  })
  t.equal(json.moved.length, 1)
  again.child.kill('SIGTERM')
  await again.ended
})

t.test('names that are not there, and files that are not right, change nothing', async t => {
  const { path, write } = folder(t, declared(NOWHERE, NOWHERE, 'active_backend: one'))
  const text = readFileSync(join(path, 'gateway.yaml'), 'utf8')
  t.match(await run(['switch', 'tow'], { cwd: path }), { code: 1, stderr: /Did you mean two[\s\S]*Declared: one, two/ })
  t.match(await run(['switch', 'tow', '--json'], { cwd: path }), { code: 1, stdout: /"ok": false/ })
  t.equal(readFileSync(join(path, 'gateway.yaml'), 'utf8'), text)
  const broken = text.replace('drain', 'drian')
  write('gateway.yaml', broken)
  t.match(await run(['switch', 'two'], { cwd: path }), {
    code: 1,
    stderr: /gateway\.yaml:2:\d+ error[\s\S]*left as it is/
  })
  t.equal(readFileSync(join(path, 'gateway.yaml'), 'utf8'), broken)
  write('gateway.yaml', text.replace('active_backend: one', 'active_backend: gone'))
  t.match(await run(['switch'], { cwd: path }), { code: 0, stdout: /says gone, which is not declared/ })
  t.match(await run(['switch', 'two'], { cwd: path }), { code: 0, stdout: 'gone → two' }, 'a wrong name is mended')
  t.match(await run(['check'], { cwd: path }), { code: 0 })
  write('gateway.yaml', 'model_list: []\n')
  t.match(await run(['switch', 'two'], { cwd: path }), { code: 1, stderr: /declares no backends/ })
  const empty = folder(t)
  t.match(await run(['switch', 'two'], { cwd: empty.path }), { code: 1, stderr: /packaged/ })
})

t.test('the list shows what there is, and which one is active', async t => {
  const { path, write } = folder(t, declared(NOWHERE, NOWHERE, 'active_backend: one'))
  const { code, stdout } = await run(['switch'], { cwd: path })
  t.equal(code, 0)
  t.match(stdout, /✓ {2}one {2}custom {2}http:\/\/127\.0\.0\.1:9\/v1 {2}the first\n• {2}two/)
  t.match(JSON.parse((await run(['switch', '--json'], { cwd: path })).stdout), {
    active: 'one',
    backends: [
      { name: 'one', active: true, description: 'the first' },
      { name: 'two', active: false }
    ]
  })
  write('gateway.yaml', declared(NOWHERE, NOWHERE, '# none').replace('backend: active', 'provider: demo'))
  t.match(await run(['switch'], { cwd: path }), { code: 0, stdout: /None is active/ })
  t.match(await run(['switch', 'two'], { cwd: path }), { code: 0, stdout: /nothing → two[\s\S]*byte-for-byte/ })
  t.match(readFileSync(join(path, 'gateway.yaml'), 'utf8'), /# the end\nactive_backend: two\n$/)
})

t.test('the line is edited in the file that says it, and a link stays one', async t => {
  const { path, write } = folder(t)
  write('real.yaml', 'active_backend: one # here\n')
  symlinkSync('real.yaml', join(path, 'active.yaml'))
  writeFileSync(join(path, 'gateway.yaml'), `include: [active.yaml]\n${declared(NOWHERE, NOWHERE, '')}`)
  t.match(await run(['switch', 'two'], { cwd: path }), { code: 0, stdout: 'one → two (active.yaml:1)' })
  t.equal(readFileSync(join(path, 'real.yaml'), 'utf8'), 'active_backend: two # here\n')
  t.ok(lstatSync(join(path, 'active.yaml')).isSymbolicLink())
})
