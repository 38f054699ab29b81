// What hooks cost: a request with 0, 1 and 5 trivial ones, an event, a hit of the cache, a thread's round trip, and how soon a new
// file runs. `node bench/hooks.mjs [BUILD]`; CPU time, since other programs of the machine do not change it. Redis where one is installed.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'

const build = resolve(process.argv[2] ?? join(import.meta.dirname, '../dist'))
const load = path => import(pathToFileURL(join(build, 'src', path)).href)
const [
  { Exchange },
  { Gateway },
  { compile },
  { Metrics },
  { Shelf },
  { checkSchema },
  { scanObject },
  { WANTED_KEYS }
] = await Promise.all(
  'exchange/exchange exchange/gateway exchange/runtime metrics/metrics hooks/shelf config/schema lib/json-scan exchange/inbound'
    .split(' ')
    .map(path => load(`${path}.js`))
)
const [{ HookStage }, { HookCall }, { startGateway }] = await Promise.all([
  load('hooks/stage.js'),
  load('hooks/call.js'),
  load('cli/serve.js')
])

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-hooks-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
mkdirSync(join(folder, 'hooks'))
const hook = (name, phases) =>
  writeFileSync(
    join(folder, 'hooks', `${name}.ts`),
    `import { answerOf, defineHook } from 'sluice/hook'\nvoid answerOf\nexport default defineHook({ name: '${name}', setup: () => (${phases}) })\n`
  )
hook('trivial', `{ preCall: call => (call.model === 'other' ? call.with({ model: 'm' }) : undefined) }`)
hook('events', `{ onEvent: () => undefined }`)
hook('reads', `{ preCall: call => (call.chat.turns.length > 1000 ? call.with({ model: 'm' }) : undefined) }`)

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: console.error }
const median = values => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]

const ANSWER = Buffer.from(
  JSON.stringify({
    id: 'x',
    object: 'chat.completion',
    created: 1,
    model: 'm',
    choices: [{ index: 0, message: { role: 'assistant', content: 'said '.repeat(40) }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 5, total_tokens: 8 }
  })
)

/** Answers at once. */
const wire = {
  send: (_, receiver) => {
    queueMicrotask(() => {
      receiver.onStart()
      receiver.onHead(200, { 'content-type': 'application/json' })
      receiver.onData(ANSWER)
      receiver.onEnd()
    })
    return { abort: () => undefined, pause: () => undefined, resume: () => undefined }
  }
}

async function subject(hooks, redisUrl = '') {
  const said = { hooks, store: { redis_url: redisUrl }, model_list: [{ model_name: 'm', provider: 'demo' }] }
  const { config } = checkSchema(said)
  const metrics = new Metrics()
  const shelf = new Shelf({ log: quiet, metrics })
  const shelved = await shelf.take(config, join(folder, 'gateway.yaml'))
  if (!('set' in shelved)) throw new Error(JSON.stringify(shelved))
  const environment = { generation: 1, variables: {}, metrics, wireTo: () => wire, demo: wire, hooks: shelved.set }
  const runtime = compile(config, environment)
  const gateway = new Gateway(runtime, metrics)
  const ask = bytes =>
    new Promise(done => {
      const fields = scanObject([bytes], WANTED_KEYS)
      const inbound = {
        id: 'bench',
        endpoint: '/v1/chat/completions',
        dialect: 'openai-chat',
        operation: 'chat',
        body: { chunks: [bytes], length: bytes.length, fields },
        model: 'm',
        stream: false,
        query: '',
        headers: { 'content-type': 'application/json' },
        receivedAt: performance.now()
      }
      const client = { begin: () => undefined, write: () => true, end: done, destroy: done }
      new Exchange(gateway, gateway.runtime, inbound, client).start(undefined)
    })
  const close = () => {
    gateway.deadlines.close()
    return shelf.close()
  }
  return { ask, set: shelved.set, close }
}

const body = (text, more = {}) =>
  Buffer.from(JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }], ...more }))

/** CPU µs of this process for each of so many. */
async function cpu(times, work) {
  const began = process.cpuUsage()
  for (let at = 0; at < times; at++) await work(at)
  const { user, system } = process.cpuUsage(began)
  return (user + system) / times
}

async function requests() {
  const cases = { 'no hooks': [], '1 trivial preCall': ['trivial'], '5 trivial preCall': Array(5).fill('trivial') }
  const subjects = Object.fromEntries(
    await Promise.all(Object.entries(cases).map(async ([name, list]) => [name, await subject(list)]))
  )
  const bytes = body('hi')
  for (const { ask } of Object.values(subjects)) await cpu(20_000, () => ask(bytes))
  const times = Object.fromEntries(Object.keys(cases).map(name => [name, []]))
  for (let round = 0; round < 100; round++) {
    const order = Object.entries(subjects)
    // What one leaves to the collector, another pays for: each follows each.
    if (round % 2 === 1) order.reverse()
    for (const [name, { ask }] of order) times[name].push(await cpu(800, () => ask(bytes)))
  }
  const none = times['no hooks']
  for (const [name, all] of Object.entries(times)) {
    const more = median(all.map((took, round) => took - none[round]))
    const count = cases[name].length
    const each = count === 0 ? '' : `, ${more.toFixed(2)} more`
    console.log(
      `| a request, ${name} | ${median(all).toFixed(1)} µs${each} | ${count === 0 ? '' : `at most ${3 * count}`} |`
    )
  }
  for (const one of Object.values(subjects)) await one.close()
}

async function events() {
  const { set, close } = await subject(['events'])
  const call = new HookCall({ caller: {} }, {}, undefined)
  const texts = Array.from({ length: 400 }, (_, at) => ({ type: 'block-delta', index: 0, text: `word${at} ` }))
  const run = bounds => {
    const stage = new HookStage(bounds, call)
    stage.push({ type: 'start', id: 'x', model: 'm' })
    stage.push({ type: 'block-start', index: 0, block: { type: 'text', text: '' } })
    for (const event of texts) stage.push({ ...event })
    stage.push({ type: 'block-end', index: 0 })
    stage.push({ type: 'finish', reason: 'stop' })
  }
  await cpu(1000, () => run(set.own))
  const times = []
  for (let round = 0; round < 15; round++) times.push((await cpu(300, () => run(set.own))) / 404)
  console.log(`| an event, 1 trivial onEvent | ${median(times).toFixed(2)} µs | at most 1 |`)
  await close()
}

async function hits(name, url, most) {
  const { ask, close } = await subject(['cache'], url)
  const bytes = body('what was asked before '.repeat(20), { temperature: 0 })
  await ask(bytes)
  await wait(100)
  for (let at = 0; at < 500; at++) await ask(bytes)
  const times = []
  for (let at = 0; at < 2000; at++) {
    const began = performance.now()
    await ask(bytes)
    times.push(performance.now() - began)
  }
  console.log(`| a hit of the cache in ${name}, p50 | ${median(times).toFixed(3)} ms | at most ${most} |`)
  await close()
}

async function threads() {
  for (const [name, file, size] of [
    ['without the conversation', 'trivial', 100],
    ['with a conversation of 2 KB', 'reads', 2000],
    ['with a conversation of 200 KB', 'reads', 200_000]
  ]) {
    const inside = await subject([file])
    const outside = await subject([{ [file]: {}, isolation: 'worker' }])
    const bytes = body('x'.repeat(size))
    const times = { inside: [], outside: [] }
    for (let at = 0; at < 600; at++)
      for (const [where, { ask }] of Object.entries({ inside, outside })) {
        const began = performance.now()
        await ask(bytes)
        if (at >= 100) times[where].push(performance.now() - began)
      }
    const more = 1000 * (median(times.outside) - median(times.inside))
    console.log(`| \`isolation: worker\`, a preCall ${name}, p50 | ${more.toFixed(0)} µs more | |`)
    await inside.close()
    await outside.close()
  }
}

async function newFile() {
  const file = join(folder, 'gateway.yaml')
  const yaml = list => `server: { port: 0 }\nmodel_list: [{ model_name: m, provider: demo }]\nhooks: [${list}]\n`
  writeFileSync(file, yaml(''))
  const gateway = await startGateway({ file, env: {}, log: { write: () => undefined } })
  await wait(500)
  const times = []
  const names = []
  for (let round = 0; round < 5; round++) {
    const name = `fresh-${round}`
    names.unshift(name)
    const began = performance.now()
    hook(name, `{ preCall: () => answerOf('${name}') }`)
    writeFileSync(file, yaml(names.join(', ')))
    for (let text = ''; !text.includes(name); ) {
      const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: body('hi')
      })
      text = await answer.text()
    }
    times.push(performance.now() - began)
    await wait(300)
  }
  await gateway.stop()
  console.log(
    `| a new file is usable after it is saved and listed, slowest of 5 | ${Math.max(...times).toFixed(0)} ms | below 1000 |`
  )
}

async function withRedis(work) {
  if (spawnSync('redis-server', ['--version']).status !== 0) return console.log('| (no redis-server here) | | |')
  const port = await new Promise(done => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port: free } = server.address()
      server.close(() => done(free))
    })
  })
  const server = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore'
  })
  await wait(500)
  try {
    await work(`redis://127.0.0.1:${port}`)
  } finally {
    server.kill()
  }
}

console.log('| | measured | bound |\n| --- | --- | --- |')
await requests()
await events()
await hits('memory', '', '0.5 ms')
await withRedis(url => hits('Redis', url, '2 ms'))
await threads()
await newFile()
process.exit(0)
