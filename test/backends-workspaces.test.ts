// Several folders behind one port: each by its own file, with its own keys and data, and nothing of the others.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { askedWorkspace } from '../src/server/workspaces.ts'
import { type Folder, type Launched, run, start, temporaryFolder } from './support/process.ts'
import { startSocketUpstream, TestSocket } from './support/websocket.ts'

type Running = Launched & { readonly url: string }

const text = (name: string, more = '') => `${more}
model_list:
  - { model_name: who, provider: demo, demo: { text: "I am ${name}" } }
  - { model_name: only-${name}, provider: demo }
`

/** A folder with two more below it. */
function folder(t: Test, main = '', files: Readonly<Record<string, string>> = {}): Folder {
  const made = temporaryFolder()
  t.teardown(() => made.remove())
  for (const name of ['shop', 'blog']) {
    mkdirSync(join(made.path, name))
    made.write(`${name}/gateway.yaml`, files[name] ?? text(name))
  }
  made.write('gateway.yaml', text('main', `workspaces: { shop: ./shop, blog: blog/gateway.yaml }\n${main}`))
  return made
}

async function running(t: Test, path: string, env: Record<string, string> = {}): Promise<Running> {
  const gateway = await start([], { cwd: path, env })
  t.teardown(async () => {
    gateway.child.kill('SIGTERM')
    await gateway.ended
  })
  return gateway
}

function ask(url: string, headers: Record<string, string> = {}, more: object = {}): Promise<Response> {
  return fetch(url.includes('/v1') ? url : `${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'who', messages: [{ role: 'user', content: 'Who?' }], ...more })
  })
}

t.setTimeout(600_000)

t.test('the workspace stands in the path or in a header, and has a name and nothing else', async t => {
  t.equal(askedWorkspace('/v1/messages', undefined), undefined)
  t.equal(askedWorkspace('/what', undefined), undefined)
  for (const [url, header, name, rest] of [
    ['/w/shop/v1/messages?beta=true', undefined, 'shop', '/v1/messages?beta=true'],
    ['/v1/messages', 'shop', 'shop', '/v1/messages'],
    ['/w/shop/v1', 'shop', 'shop', '/v1'],
    ['/w/shop', undefined, 'shop', '/'],
    ['/w/shop?x=/y', undefined, 'shop', '/?x=/y'],
    ['/w/a.b-c_1/w/shop/', undefined, 'a.b-c_1', '/w/shop/']
  ] as const)
    t.same(askedWorkspace(url, header), { name, url: rest }, url)
  for (const [url, header] of [
    ['/w/', undefined],
    ['/w//v1', undefined],
    ['/w/../v1', undefined],
    ['/w/%2e%2e/v1', undefined],
    [`/w/${'x'.repeat(65)}/v1`, undefined],
    ['/v1', ''],
    ['/v1', '../shop'],
    ['/w/shop/v1', 'blog']
  ] as const)
    t.ok(askedWorkspace(url, header) instanceof Failure, url)
})

t.test('each is answered by its own file, by path and by header', async t => {
  const { path } = folder(t)
  const { url, output, until } = await running(t, path)
  t.match(await (await ask(url)).text(), 'I am main')
  t.match(await (await ask(`${url}/w/shop`)).text(), 'I am shop')
  t.match(await (await ask(url, { 'x-workspace': 'blog' })).text(), 'I am blog')
  const stream = await ask(`${url}/w/blog/v1/chat/completions`, {}, { stream: true })
  t.match(await stream.text(), /blog[\s\S]*\[DONE\]\n\n$/)
  const gemini = await fetch(`${url}/w/shop/v1beta/models/who:generateContent`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"contents":[{"role":"user","parts":[{"text":"Who?"}]}]}'
  })
  t.match(await gemini.text(), 'I am shop')
  const listed = (await (await fetch(`${url}/w/shop/v1/models`)).json()) as { data: { id: string }[] }
  t.same(listed.data.map(row => row.id).sort(), ['only-shop', 'who'])
  t.equal((await ask(`${url}/w/shop`, {}, { model: 'only-blog' })).status, 404, 'a model of another')
  const metrics = await (await fetch(`${url}/w/blog/metrics`)).text()
  t.match(metrics, 'blog')
  t.notMatch(metrics, 'shop', 'what is counted is counted apart')
  t.match(await (await fetch(`${url}/w/shop/health`)).json(), { generation: 1, backends: [{}, {}] })
  await until(/"endpoint":"\/w\/blog\/v1\/chat\/completions"/)
  t.match(output(), /"workspace":"shop".*the workspace shop is open/)
  t.same(
    ['shop', 'blog'].map(name => existsSync(join(path, name, '.sluice/gateway.json'))),
    [false, false]
  )
  const id = (await ask(`${url}/w/shop`)).headers.get('x-task-id')
  t.equal((await fetch(`${url}/w/shop/calls/${id}`)).status, 200)
  t.equal((await fetch(`${url}/w/blog/calls/${id}`)).status, 404, 'nor what became of a call')
  t.equal((await fetch(`${url}/calls/${id}`)).status, 404)
})

t.test('what names none that is there is refused in the shape of its route', async t => {
  const { path } = folder(t)
  const { url } = await running(t, path)
  t.match(await (await ask(`${url}/w/shpo/v1/messages`)).json(), { type: 'error', error: { type: 'not_found_error' } })
  t.match(await (await ask(url, { 'x-workspace': 'toString' })).json(), { error: { message: /no workspace/ } })
  const both = await ask(`${url}/w/shop`, { 'x-workspace': 'blog' })
  t.equal(both.status, 400)
  t.match(await both.text(), /The path names one workspace/)
  t.equal((await fetch(`${url}/w/shop/w/blog/health`)).status, 404, 'a workspace has none of its own')
})

t.test('the key of one opens no other', async t => {
  const { path } = folder(t, '', { shop: text('shop', 'auth: { master_key: "sk-shop-0002" }\n') })
  const { url } = await running(t, path)
  const statusOf = async (where: string, key?: string) => {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
    const [asked, administered] = await Promise.all([
      ask(url + where, headers),
      fetch(`${url}${where}/admin/config`, { headers })
    ])
    return [asked.status, administered.status]
  }
  t.same(await statusOf(''), [200, 200], 'this machine, where no key is declared')
  t.same(await statusOf('/w/blog'), [200, 200])
  t.same(await statusOf('/w/shop'), [401, 401], 'which says nothing for a folder that has one')
  t.same(await statusOf('/w/shop', 'sk-shop-0002'), [200, 200])
  // Whether it is one of its keys is asked of the folder's own database, which may still be opening.
  for (const status of await statusOf('/w/shop', 'sk-main-0001')) t.ok([401, 503].includes(status), String(status))
})

t.test('one that is wrong hurts nobody else, and is open as soon as it is right', async t => {
  const { path, write } = folder(t, '', { shop: 'model_lits: []\n' })
  const { url, until } = await running(t, path)
  const refused = await ask(`${url}/w/shop`)
  t.equal(refused.status, 503)
  t.match(await refused.text(), /cannot be opened/)
  await until(/model_lits.*the workspace shop cannot be opened/)
  t.match(await (await ask(`${url}/w/blog`)).text(), 'I am blog')
  t.match(await run(['check'], { cwd: path }), { code: 0, stdout: /workspace shop: .*model_lits.*did you mean/ })
  write('shop/gateway.yaml', text('shop'))
  await new Promise(resolve => setTimeout(resolve, 1100))
  t.match(await (await ask(`${url}/w/shop`)).text(), 'I am shop')
  write('shop/gateway.yaml', text('SHOP'))
  for (let tries = 0; tries < 40; tries++) {
    if (/SHOP/.test(await (await ask(`${url}/w/shop`)).text())) break
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  t.match(await (await ask(`${url}/w/shop`)).text(), 'I am SHOP', 'its file is watched')
})

t.test('declared while it runs they come and go, and what is under way is finished', async t => {
  const { path, write } = folder(t, '', {
    shop: `model_list: [{ model_name: who, provider: demo, demo: { pace: 50ms, chunks: 30, text: "${'word '.repeat(30)}" } }]\n`
  })
  const gateway = await start([], { cwd: path })
  const { url } = gateway
  const stream = await ask(`${url}/w/shop`, {}, { stream: true })
  write('gateway.yaml', text('main', 'workspaces: { news: ./blog }\n'))
  await gateway.until(/generation 2/)
  t.match(await (await ask(`${url}/w/news`)).text(), 'I am blog')
  t.equal((await ask(`${url}/w/shop`)).status, 404)
  t.match(await stream.text(), /\[DONE\]\n\n$/)
  write('gateway.yaml', text('main', 'workspaces: { shop: ./shop }\n'))
  await gateway.until(/generation 3/)
  const last = await ask(`${url}/w/shop`, {}, { stream: true })
  gateway.child.kill('SIGTERM')
  t.match(await last.text(), /\[DONE\]\n\n$/, 'nor is it cut when the gateway ends')
  t.equal((await gateway.ended).code, 0)
})

t.test('a WebSocket reaches the workspace that it names', async t => {
  const upstream = await startSocketUpstream()
  t.teardown(() => upstream.close())
  const { path } = folder(t, '', {
    shop: `model_list: [{ model_name: live, provider: custom, dialect: openai-chat, api_base: "${upstream.url}/v1", api_key: k }]\n`
  })
  const { url } = await running(t, path)
  const live = new TestSocket(`${url}/w/shop/v1/realtime?model=live`)
  t.equal(await live.answered, 101)
  live.socket.send('one')
  await live.messages(1)
  live.socket.terminate()
  const byHeader = new TestSocket(`${url}/v1/realtime?model=live`, [], { 'x-workspace': 'shop' })
  t.equal(await byHeader.answered, 101)
  byHeader.socket.send('two')
  await byHeader.messages(1)
  byHeader.socket.terminate()
  t.equal(upstream.requests.length, 2)
  for (const request of upstream.requests) t.equal(request.headers['x-workspace'], undefined)
  t.equal(await new TestSocket(`${url}/w/nobody/v1/realtime?model=live`).answered, 404)
  t.not(await new TestSocket(`${url}/v1/realtime?model=live`).answered, 101, 'the main one has no such model')
})

t.test(
  'a folder with the older form of a file is a workspace too, and variables of the process choose nothing in it',
  async t => {
    const { path, write } = folder(t)
    mkdirSync(join(path, 'old'))
    const backends = { a: { type: 'demo' }, b: { type: 'demo' } }
    writeFileSync(join(path, 'old/.llmrc.json'), JSON.stringify({ backend: 'a', backends }))
    write('gateway.yaml', text('main', 'workspaces: { old: ./old }\n'))
    const { url } = await running(t, path, { LLM_BACKEND_CONFIG: 'nobody', SLUICE_DATA_DIR: join(path, 'data') })
    t.equal((await ask(`${url}/w/old`)).status, 200)
  }
)
