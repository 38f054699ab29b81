// Real gateways, killed under load: what the store knows in the end is what the upstream served. `KILLS` says how often.

import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { LoggedCall } from '../src/store/logs.ts'
import { listCalls } from '../src/store/logs.ts'
import { openStore } from '../src/store/store.ts'
import { get, post, smallest } from './support/ask.ts'
import { type Launched, launch, temporaryFolder } from './support/process.ts'
import { type PostgresService, postgresService, type RedisService, redisService } from './support/services.ts'
import { good, quiet, until } from './support/store.ts'
import { startUpstream } from './support/upstream.ts'

const KILLS = Number(process.env['KILLS'] ?? 2)
t.setTimeout(300_000 + KILLS * 60_000)

const MASTER_KEY = 'sk-master-of-the-killed'
const WORKERS = 8
/** Ten tokens are a cent. */
const CENT = 10_000_000n

interface House {
  readonly file: string
  readonly folder: string
  /** Requests that came to the upstream whole. */
  received(): number
  launch(): Promise<Launched & { readonly url: string }>
  calls(): Promise<LoggedCall[]>
}

async function house(t: Test, database: string, redis = ''): Promise<House> {
  const folder = temporaryFolder()
  const upstream = await startUpstream((_, response) => {
    setTimeout(() => {
      response.setHeader('content-type', 'application/json')
      const choices = [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }]
      const usage = { prompt_tokens: 5, completion_tokens: 10, total_tokens: 15 }
      response.end(JSON.stringify({ id: 'a', choices, usage }))
    }, 10 * Math.random())
  })
  t.teardown(async () => {
    await upstream.close()
    folder.remove()
  })
  const file = folder.write(
    'gateway.yaml',
    `auth: { master_key: ${MASTER_KEY} }
store: { database_url: '${database}', redis_url: '${redis}' }
model_list:
  - { model_name: paid, provider: openai, api_base: '${upstream.url}', api_key: x, price: { input: 0, output: 1000 } }
`
  )
  const open = async () => {
    const gateway = launch(['start', '--port', '0', '--config', file, '--json'], { cwd: folder.path })
    t.teardown(() => gateway.child.kill('SIGKILL'))
    const [, url = ''] = await gateway.until(/"url":"(http[^"]+)".*"msg":"listening"/, 60_000)
    return { ...gateway, url }
  }
  return {
    file,
    folder: folder.path,
    received: () => upstream.requests.filter(({ complete }) => complete).length,
    launch: open,
    calls: async () => {
      const store = good(await openStore({ databaseUrl: database, dataDir: `${folder.path}/.sluice` }, quiet))
      const all: LoggedCall[] = []
      for (let offset = 0; ; offset += 1000) {
        const { items } = good(await listCalls(store, {}, { limit: 1000, offset }))
        all.push(...items)
        if (items.length < 1000) break
      }
      await store.close()
      return all
    }
  }
}

async function makeKey(url: string, fields: object): Promise<string> {
  let key: unknown
  await until(async () => {
    const made = await post(`${url}/key/generate`, fields, { authorization: `Bearer ${MASTER_KEY}` })
    key = made.json?.['key']
    return made.status === 200
  }, 60_000)
  return String(key)
}

function ask(url: string, key: string) {
  const [path, body] = smallest('openai-chat', 'paid')
  return post(url + path, { ...body, max_tokens: 10 }, { authorization: `Bearer ${key}` })
}

/** How many calls a gateway has not handed on, as its metrics say. */
async function pending(url: string): Promise<number> {
  const { text } = await get(`${url}/metrics`)
  return Number(/^gateway_journal_pending (\d+)$/m.exec(text)?.[1] ?? Number.NaN)
}

async function killed(t: Test, database: string): Promise<void> {
  const place = await house(t, database)
  const acknowledged = new Set<string>()
  let key = ''
  for (let kill = 0; kill < KILLS; kill++) {
    const gateway = await place.launch()
    if (kill === 0) key = await makeKey(gateway.url, {})
    await until(async () => {
      const { status, headers } = await ask(gateway.url, key)
      if (status === 200) acknowledged.add(String(headers['x-task-id']))
      return status === 200
    }, 60_000)
    let running = true
    const work = async () => {
      while (running) {
        const answered = await ask(gateway.url, key).catch(() => undefined)
        if (answered?.status === 200) acknowledged.add(String(answered.headers['x-task-id']))
        if (answered === undefined) return
      }
    }
    const workers = Array.from({ length: WORKERS }, work)
    await wait(50 + 500 * Math.random())
    gateway.child.kill('SIGKILL')
    running = false
    await Promise.all([...workers, gateway.ended])
  }
  const last = await place.launch()
  await last.until(/keys are on/, 60_000)
  await until(async () => (await ask(last.url, key)).status === 200, 60_000)
  await until(async () => (await pending(last.url)) === 0, 60_000)
  last.child.kill('SIGTERM')
  t.equal((await last.ended).code, 0)
  const calls = await place.calls()
  const byId = new Map(calls.map(call => [call.callId, call]))
  const received = place.received()
  const unended = calls.filter(({ failureKind }) => failureKind === 'interrupted')
  t.comment(`${KILLS} kills: ${received} served, ${acknowledged.size} answered, ${calls.length} written down`)
  t.equal(byId.size, calls.length, 'each once')
  const wrong = [...acknowledged].filter(id => byId.get(id)?.costNano !== CENT)
  // One whose answer was out and whose line was not is known by its being sent, at an estimate.
  t.same(
    wrong.filter(id => !byId.has(id)),
    [],
    'each answer is written down'
  )
  t.ok(wrong.length <= 1, `${wrong.length} answers at an estimate`)
  t.ok(calls.length >= received, 'what the upstream was asked is written down')
  t.ok(calls.length <= received + KILLS * WORKERS, `${calls.length - received} were noted and did not go out any more`)
  t.ok(unended.every(({ estimated }) => estimated))
  t.ok(unended.length <= KILLS * WORKERS, `${unended.length} calls did not end`)
  t.ok(acknowledged.size > 2 * KILLS)
}

let postgres: PostgresService | undefined
let redis: RedisService | undefined
t.before(async () => {
  postgres = await postgresService()
  redis = await redisService()
})
t.teardown(() => Promise.all([postgres?.remove(), redis?.stop()]))

t.test('killed again and again, on the embedded database', async t => killed(t, ''))

t.test('killed again and again, on PostgreSQL', async t => {
  if (postgres === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  await killed(t, await postgres.createDatabase())
})

t.test('three gateways on one Redis: 500 calls at once, and money for 100', async t => {
  if (postgres === undefined || redis === undefined)
    return t.plan(0, 'no PostgreSQL or no redis-server is installed here')
  const database = await postgres.createDatabase()
  const places = [
    await house(t, database, redis.url),
    await house(t, database, redis.url),
    await house(t, database, redis.url)
  ]
  const gateways = await Promise.all(places.map(place => place.launch()))
  const [first] = gateways
  if (first === undefined) throw new Error('none')
  const key = await makeKey(first.url, { max_budget: 1 })
  for (const { url } of gateways)
    await until(async () => (await get(`${url}/v1/models`, { authorization: `Bearer ${key}` })).status === 200, 60_000)
  const answers = await Promise.all(Array.from({ length: 500 }, (_, index) => ask(gateways[index % 3]?.url ?? '', key)))
  const paid = answers.filter(({ status }) => status === 200).length
  const served = places.reduce((sum, place) => sum + place.received(), 0)
  t.equal(paid, 100)
  t.equal(served, 100)
  t.same(new Set(answers.map(({ status }) => status)), new Set([200, 429]))
  for (const { output } of gateways) t.notMatch(output(), /Redis does not answer/)
  for (const { url } of gateways) await until(async () => (await pending(url)) === 0)
  for (const { child, ended } of gateways) {
    child.kill('SIGTERM')
    await ended
  }
  const calls = (await places[0]?.calls()) ?? []
  t.equal(
    calls.reduce((sum, { costNano }) => sum + costNano, 0n),
    100n * CENT
  )
})
