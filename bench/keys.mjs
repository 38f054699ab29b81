// What keys cost: made over HTTP, looked up, remembered, and lying by the hundred thousand in the embedded database.
// `node bench/keys.mjs [BUILD]`, BUILD: the folder of the build, `dist` unless said.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const build = resolve(process.argv[2] ?? 'dist')
const load = path => import(pathToFileURL(resolve(build, path)).href)
const { Gate } = await load('src/keys/gate.js')
const { Keyring } = await load('src/keys/keyring.js')
const { newSecret } = await load('src/keys/secret.js')
const { openStore } = await load('src/store/store.js')
const { createKey } = await load('src/store/keys.js')
const { setBudgets } = await load('src/store/budgets.js')
const { createEntity } = await load('src/store/entity.js')
const { TEAMS } = await load('src/store/scopes.js')

const MASTER = 'sk-master-of-the-benchmark'
const quiet = () => undefined
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-keys-'))
const dataDir = join(folder, '.sluice')
writeFileSync(
  join(folder, 'gateway.yaml'),
  `auth: { master_key: "\${SLUICE_MASTER_KEY:-}" }\nmodel_list: [{ model_name: demo, provider: demo }]\n`
)

const since = began => Math.round(performance.now() - began)

/** A gateway in a process of its own; says how long it took to listen and to have its keys. */
async function gateway() {
  const began = performance.now()
  const child = spawn(process.execPath, [join(build, 'src/cli/main.js'), 'start', '--port', '0', '--json'], {
    cwd: folder,
    env: { PATH: '/nowhere', HOME: folder, SLUICE_MASTER_KEY: MASTER },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  const until = pattern =>
    new Promise(done => {
      const look = () => {
        const found = pattern.exec(output)
        if (found !== null) done(found)
      }
      child.stdout.on('data', look)
      look()
    })
  child.stdout.on('data', chunk => {
    output += chunk
  })
  const [, url] = await until(/"url":"(http[^"]+)".*"msg":"listening"/)
  const listening = since(began)
  // The first who asks has the database made.
  void fetch(`${url}/key/list`, { headers: { authorization: `Bearer ${MASTER}` } })
  await until(/"msg":"keys are on/)
  const keysOn = since(began)
  const running = watched(child)
  return { url, listening, keysOn, cpuAtStart: running.cpu(), ...running }
}

function watched(child) {
  return {
    /** Of all its threads, in ms. Unlike the clock it does not depend on what else the machine does. */
    cpu: () => {
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ')
      return (Number(fields[11]) + Number(fields[12])) * 10
    },
    /** Resident, in MB. */
    memory: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    stop: () =>
      new Promise(done => {
        child.once('exit', done)
        child.kill('SIGTERM')
      })
  }
}

function send(url, path, body, key = MASTER) {
  return fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(body)
  }).then(async answer => {
    const told = await answer.json()
    if (answer.status !== 200) throw new Error(JSON.stringify(told))
    return told
  })
}

async function parallel(total, width, run) {
  let left = total
  const work = async () => {
    while (left-- > 0) await run()
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: width }, work))
  return total / ((performance.now() - began) / 1000)
}

async function generating() {
  const first = await gateway()
  console.log(
    `first start: listens after ${first.listening} ms, keys are on after ${first.keysOn} ms (the database is made)`
  )
  await parallel(300, 16, () => send(first.url, '/key/generate', {}))
  const before = first.cpu()
  const plain = await parallel(3_000, 16, () => send(first.url, '/key/generate', { models: ['demo'], rpm_limit: 60 }))
  const middle = first.cpu()
  const full = await parallel(2_000, 16, () =>
    send(first.url, '/key/generate', { models: ['demo'], max_budget: 10, budget_duration: '30d', metadata: { a: 1 } })
  )
  const [one, two] = [(middle - before) / 3_000, (first.cpu() - middle) / 2_000]
  console.log(
    `/key/generate: ${Math.round(plain)} a second, ${one.toFixed(2)} ms CPU each; ` +
      `with a budget ${Math.round(full)}, ${two.toFixed(2)} ms CPU`
  )
  await first.stop()
}

async function chatting(running, key) {
  for (let round = 0; round < 300; round++)
    await send(running.url, '/v1/chat/completions', { model: 'demo', messages: [{ role: 'user', content: 'hi' }] }, key)
}

async function many() {
  const store = await openStore({ dataDir }, quiet)
  const keyring = new Keyring({ databaseUrl: '', dataDir }, quiet)
  const secret = newSecret(text => keyring.digest(text))
  await createKey(store, { id: secret.id, name: secret.name, hash: secret.hash }, null)
  const [{ keys }] = await store.query('select count(*)::integer as keys from sluice.keys', [])
  await store.close()
  const few = await gateway()
  await chatting(few, secret.key)
  const before = few.memory()
  await few.stop()
  const again = await openStore({ dataDir }, quiet)
  const began = performance.now()
  await again.query(
    `insert into sluice.keys (id, name, alias, hash)
     select 'bulk' || n, 'sk-...bulk', 'bulk ' || n, sha256(('x' || n)::bytea) from generate_series(1, 100000) n`,
    []
  )
  console.log(`100,000 keys written in ${since(began)} ms`)
  await again.close()
  const running = await gateway()
  await chatting(running, secret.key)
  const after = running.memory()
  console.log(
    [
      `${keys} keys: ${startOf(few)}, ${before.toFixed(0)} MB`,
      `100,000 more: ${startOf(running)}, ${after.toFixed(0)} MB`
    ].join('\n')
  )
  await running.stop()
}

function startOf({ listening, keysOn, cpuAtStart }) {
  return `listens after ${listening} ms, keys are on after ${keysOn} ms (${cpuAtStart} ms CPU)`
}

/** Of two scopes, each with a limit and a budget. */
async function looking() {
  const keyring = new Keyring({ databaseUrl: '', dataDir }, quiet)
  keyring.wake(true)
  while (keyring.store === undefined) await new Promise(done => setTimeout(done, 20))
  const { store } = keyring
  await createEntity(store, TEAMS, { id: 'bench', limits: { rpm: 100 } }, null)
  await setBudgets(store, { kind: 'team', id: 'bench' }, [{ id: 'b-team', window: '1d', limitNano: 10n ** 12n }])
  const secrets = []
  for (let index = 0; index < 1_000; index++) {
    const secret = newSecret(text => keyring.digest(text))
    const fields = { id: secret.id, name: secret.name, hash: secret.hash, teamId: 'bench', models: ['demo'] }
    await createKey(store, fields, null, { budgets: [{ id: `b-${index}`, window: '30d', limitNano: 10n ** 12n }] })
    secrets.push(secret.key)
  }
  const gate = new Gate({ masterKey: MASTER, open: false, allowedOrigins: new Set(), keyring })
  const visit = key => ({
    headers: { authorization: `Bearer ${key}`, host: 'localhost' },
    query: '',
    path: '/v1/chat/completions',
    remoteAddress: '127.0.0.1'
  })
  const visits = secrets.map(visit)
  const began = performance.now()
  for (const each of visits) await gate.admit(each)
  console.log(`looked up for the first time: ${(since(began) / visits.length).toFixed(2)} ms a key`)
  const rounds = 500_000
  for (let round = 0; round < 50_000; round++) gate.admit(visits[round % visits.length])
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) {
    if (gate.admit(visits[round % visits.length]) instanceof Promise) throw new Error('it was looked up again')
  }
  const { user, system } = process.cpuUsage(before)
  console.log(`known: ${((user + system) / rounds).toFixed(2)} µs CPU a request`)
  await keyring.close()
}

try {
  await generating()
  await many()
  await looking()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
