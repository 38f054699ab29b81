import { mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { type RunningGateway, type StartOptions, startGateway } from '../src/cli/serve.ts'
import { type Folder, start, temporaryFolder } from './support/process.ts'

t.setTimeout(600_000)

const says = (text: string, name = 'm', more = '') =>
  `server: { port: 0 }\nmodel_list:\n  - { model_name: "${name}", provider: demo, demo: { text: ${text} }${more} }\n`

interface Subject extends RunningGateway {
  readonly folder: Folder
  log(): string
}

async function subject(t: Test, yaml: string, options: Partial<StartOptions> = {}): Promise<Subject> {
  const folder = temporaryFolder()
  const file = options.file ?? folder.write('gateway.yaml', yaml)
  let log = ''
  const gateway = await startGateway({ env: {}, log: { write: text => (log += text) }, ...options, file })
  t.teardown(async () => {
    await gateway.stop()
    folder.remove()
  })
  return {
    ...gateway,
    folder,
    log: () => {
      gateway.logs.flush()
      return log
    }
  }
}

async function answered(url: string, model = 'm'): Promise<{ status: number; text: string; generation: number }> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }] })
  })
  const body = (await response.json()) as { choices?: { message: { content: string } }[] }
  return {
    status: response.status,
    text: body.choices?.[0]?.message.content ?? '',
    generation: Number(response.headers.get('x-gateway-config'))
  }
}

/** Saves, and says after how many milliseconds the answer is the new one. */
async function inForce(
  t: Test,
  how: string,
  url: string,
  wanted: string,
  save: () => void,
  model = 'm'
): Promise<void> {
  const began = performance.now()
  save()
  let text = ''
  while (text !== wanted && performance.now() - began < 5000) {
    ;({ text } = await answered(url, model))
    if (text !== wanted) await wait(5)
  }
  const took = Math.round(performance.now() - began)
  t.comment(`${how}: in force after ${took} ms`)
  t.equal(text, wanted, how)
  t.ok(took < 1000, `${how} takes less than a second`)
}

t.test('a saved file is in force within a second, however it is saved', async t => {
  const { url, folder, log } = await subject(t, says('one'))
  const file = join(folder.path, 'gateway.yaml')
  await wait(300)
  await inForce(t, 'written in place', url, 'two', () => writeFileSync(file, says('two')))
  await inForce(t, 'renamed over', url, 'three', () => {
    writeFileSync(`${file}.new`, says('three'))
    renameSync(`${file}.new`, file)
  })
  await inForce(t, 'removed and written', url, 'four', () => {
    unlinkSync(file)
    writeFileSync(file, says('four'))
  })
  t.match(log(), /configuration reloaded: generation 2/)
  t.match(log(), 'demo.text one → two', 'what changed is told')
})

t.test('a ConfigMap that is swapped is in force within a second', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const version = (name: string, text: string) => {
    mkdirSync(join(folder.path, name))
    writeFileSync(join(folder.path, name, 'gateway.yaml'), says(text))
  }
  version('..v1', 'one')
  symlinkSync('..v1', join(folder.path, '..data'))
  symlinkSync('..data/gateway.yaml', join(folder.path, 'gateway.yaml'))
  const { url } = await subject(t, '', { file: join(folder.path, 'gateway.yaml') })
  await inForce(t, 'ConfigMap', url, 'two', () => {
    version('..v2', 'two')
    symlinkSync('..v2', join(folder.path, '..next'))
    renameSync(join(folder.path, '..next'), join(folder.path, '..data'))
  })
})

t.test('included files count, new ones too, and a file that a secret is read from', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  mkdirSync(join(folder.path, 'models'))
  folder.write('models/a.yaml', 'model_list: [{ model_name: a, provider: demo, demo: { text: one } }]\n')
  folder.write('text', 'first')
  folder.write(
    'gateway.yaml',
    'server: { port: 0 }\ninclude: [models/*.yaml]\nmodel_list: [{ model_name: m, provider: demo, demo: { text: "${' +
      'file:./text}" } }]\n'
  )
  const { url } = await subject(t, '', { file: join(folder.path, 'gateway.yaml') })
  await wait(300)
  const changed = 'model_list: [{ model_name: a, provider: demo, demo: { text: two } }]\n'
  await inForce(t, 'an included file', url, 'two', () => folder.write('models/a.yaml', changed), 'a')
  const fresh = 'model_list: [{ model_name: b, provider: demo, demo: { text: three } }]\n'
  await inForce(t, 'a new included file', url, 'three', () => folder.write('models/b.yaml', fresh), 'b')
  await inForce(t, 'a file that is read', url, 'second', () => folder.write('text', 'second'))
})

t.test('a bad file changes nothing, says its line, and is forgotten once mended', async t => {
  const { url, folder, log, gateway } = await subject(t, says('one'))
  await wait(300)
  folder.write('gateway.yaml', 'server: { port: 0 }\nmodel_list:\n  - { model_name: m, providr: demo }\n')
  const until = performance.now() + 3000
  while (!log().includes('configuration refused') && performance.now() < until) await wait(10)
  t.match(log(), /configuration refused; generation 1 stays in force/)
  t.match(log(), /gateway\.yaml:3:\d+ error/)
  t.match(await answered(url), { status: 200, text: 'one', generation: 1 })
  const ready = await fetch(`${url}/health/ready`)
  t.equal(ready.status, 200)
  t.match(await ready.json(), { status: 'ready', config: 'rejected' })
  t.match(await (await fetch(`${url}/admin/config`)).json(), { generation: 1, rejected: [/:3:\d+ error/] })
  t.match(await gateway.metrics.render(), 'gateway_config_reloads_total{result="rejected"} 1')
  await inForce(t, 'the mended file', url, 'two', () => folder.write('gateway.yaml', says('two')))
  t.match(await (await fetch(`${url}/health/ready`)).json(), { config: 'in force', generation: 2 })
})

t.test('POST /admin/config reloads, and says what changed or what is wrong', async t => {
  const { url, folder, gateway } = await subject(t, says('one'))
  const reload = async () => {
    const response = await fetch(`${url}/admin/config`, { method: 'POST' })
    return { status: response.status, body: await response.json() }
  }
  t.match(await reload(), { status: 200, body: { accepted: true, generation: 1, changes: ['Nothing changed.'] } })
  folder.write('gateway.yaml', says('two'))
  t.match(await reload(), { status: 200, body: { generation: 2, changes: [/one → two/] } })
  t.match(await answered(url), { text: 'two', generation: 2 })
  folder.write('gateway.yaml', 'model_list: 7\n')
  t.match(await reload(), { status: 422, body: { accepted: false, generation: 2, problems: [/gateway\.yaml:1:\d+/] } })
  folder.write('gateway.yaml', says('two').replace('port: 0', 'port: 4567'))
  t.match((await reload()).body, { changes: [/server\.port/, /needs a restart/] })
  const text = await gateway.metrics.render()
  t.match(text, /reloads_total\{result="unchanged"\} [1-9]/)
})

t.test('SIGHUP reloads a process', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  folder.write('gateway.yaml', says('one'))
  const process = await start([], { cwd: folder.path })
  process.child.kill('SIGHUP')
  await wait(100)
  t.match(await answered(process.url), { text: 'one', generation: 1 })
  await inForce(t, 'SIGHUP', process.url, 'two', () => {
    folder.write('gateway.yaml', says('two'))
    process.child.kill('SIGHUP')
  })
  process.child.kill('SIGTERM')
  t.equal((await process.ended).code, 0)
})

t.test('the log follows its settings at once', async t => {
  const { url, folder, reload, log } = await subject(t, says('one'))
  await answered(url)
  t.match(log(), /"msg":"request"/)
  folder.write('gateway.yaml', says('one').replace('port: 0', 'port: 0, logs: { level: warn }'))
  await reload()
  const before = log().length
  await answered(url)
  t.equal(log().length, before)
  folder.write('gateway.yaml', says('one').replace('port: 0', 'port: 0, logs: { format: pretty }'))
  await reload()
  await answered(url)
  t.match(log(), /\d\d:\d\d:\d\d 200 \/v1\/chat\/completions m → demo\/m \d+ ms/)
})

/** An upstream that answers with its name after a while, to whoever asks. */
async function upstream(t: Test, name: string, milliseconds: () => number, status = 200): Promise<string> {
  const server: Server = createServer((request, response) => {
    request.resume()
    request.on('end', () => {
      setTimeout(() => {
        response.writeHead(status, { 'content-type': 'application/json' })
        response.end(JSON.stringify({ choices: [{ message: { role: 'assistant', content: name } }] }))
      }, milliseconds())
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', 4096, resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}

const entry = (name: string, base: string) =>
  `  - { model_name: "${name}", provider: self-hosted, dialect: openai-chat, api_base: "${base}" }\n`

t.test('a request that began before a reload may still fall back where the new file does not lead', async t => {
  const failing = await upstream(t, 'failing', () => 1500, 503)
  const second = await upstream(t, 'second', () => 5)
  const head = 'server: { port: 0 }\nmodel_list:\n'
  const yaml = `${head}${entry('m', failing)}${entry('b', second)}routing: { retries: 0, fallbacks: { m: [b] } }\n`
  const { url, folder, reload } = await subject(t, yaml)
  t.match(await answered(url, 'b'), { text: 'second' })
  const early = answered(url)
  await wait(100)
  folder.write('gateway.yaml', `${head}  - { model_name: m, provider: demo }\n`)
  t.match(await reload(), { accepted: true, generation: 2 })
  t.match(await early, { status: 200, text: 'second', generation: 1 })
})

const RELOADS = 100
const AT_ONCE = 1000

t.test('a hundred reloads under a thousand requests lose none and lead none astray', async t => {
  const delay = () => 500 + Math.random() * 1500
  const bases = [await upstream(t, 'target-0', delay), await upstream(t, 'target-1', delay)]
  const yaml = (index: number) => `server: { port: 0 }\nmodel_list:\n${entry('claude-*', bases[index % 2] ?? '')}`
  const { url, folder, gateway, reload, log } = await subject(
    t,
    yaml(0).replace('port: 0', 'port: 0, logs: { level: warn }')
  )
  const agent = new Agent({ connections: AT_ONCE, pipelining: 1 })
  t.teardown(() => agent.close())
  /** What each generation leads to: known before it is in force, because only its file says so. */
  const leadsTo = new Map([[1, 'target-0']])
  const body = JSON.stringify({ model: 'claude-x', messages: [{ role: 'user', content: 'Hello' }] })
  const headers = { 'content-type': 'application/json' }
  const results: { generation: number; text: string; status: number }[] = []
  let reloading = true
  const errors: unknown[] = []
  const client = async () => {
    do {
      try {
        const answer = await request(`${url}/v1/chat/completions`, { method: 'POST', headers, body, dispatcher: agent })
        const { choices } = (await answer.body.json()) as { choices?: { message: { content: string } }[] }
        const generation = Number(answer.headers['x-gateway-config'])
        results.push({ generation, text: choices?.[0]?.message.content ?? '', status: answer.statusCode })
      } catch (error) {
        errors.push(error)
      }
    } while (reloading)
  }
  const clients = Array.from({ length: AT_ONCE }, client)
  const until = performance.now() + 10_000
  while (gateway.metrics.inflight < 0.9 * AT_ONCE && performance.now() < until) await wait(10)
  let most = 0
  const reloads: number[] = []
  for (let index = 1; index <= RELOADS; index++) {
    folder.write('gateway.yaml', yaml(index))
    most = Math.max(most, gateway.metrics.inflight)
    const began = performance.now()
    const outcome = await reload()
    reloads.push(performance.now() - began)
    leadsTo.set(outcome.generation, `target-${index % 2}`)
    await wait(10)
  }
  reloading = false
  await Promise.all(clients)
  t.same(errors, [], 'none is lost')
  t.same(
    results.filter(result => result.status !== 200),
    []
  )
  t.same(
    results.filter(result => result.text !== leadsTo.get(result.generation)),
    [],
    'none is led astray'
  )
  const seen = new Set(results.map(result => result.generation))
  const median = reloads.sort((a, b) => a - b)[RELOADS / 2] ?? 0
  t.comment(
    `${results.length} requests, ${most} in flight at most, by ${seen.size} generations; a reload took ${median.toFixed(1)} ms`
  )
  // How many a machine gets under way at once is its own affair; that there were some is not.
  t.ok(most > AT_ONCE / 20)
  t.equal(gateway.runtime.generation, RELOADS + 1)
  t.ok(results.length >= AT_ONCE && seen.size > 5)
  t.equal(gateway.metrics.inflight, 0)
  t.notMatch(log(), /refused|a bug/)
})
