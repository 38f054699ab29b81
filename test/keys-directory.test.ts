// What is remembered of keys, for how long, and what becomes of it when the database is away.

import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { Directory } from '../src/keys/directory.ts'
import { digestWith, newSecret, partsOf } from '../src/keys/secret.ts'
import type { Queries } from '../src/store/database.ts'
import { type KeyedGateway, keyedGateway } from './support/keys.ts'
import { temporaryFolder } from './support/process.ts'
import { postgresService } from './support/services.ts'
import { until } from './support/store.ts'

t.setTimeout(600_000)

const digest = digestWith('pepper')
const TIMES = { fresh: 60_000, outage: 600_000, unknown: 60 }
const SHORT = { fresh: 40, outage: 200, unknown: 60 }

/** A database of one key, that counts how often it was asked and may be away. */
class OneKey implements Queries {
  readonly secret = newSecret(digest)
  asked = 0
  isAway = false
  gate: Promise<void> = Promise.resolve()

  async query(text: string, parameters: readonly unknown[] = []) {
    if (!/from sluice\.keys where id/.test(text)) return []
    this.asked++
    await this.gate
    if (this.isAway) return new Failure('unavailable', 'The database at 10.0.0.1 cannot be reached.', { retryAfter: 2 })
    return parameters[0] === this.secret.id ? [this.#row()] : []
  }

  #row() {
    const nothing = Object.fromEntries(
      `alias previous_hash previous_until litellm_hash litellm_until user_id team_id organization_id plan_id expires_at
       rotated_at last_used_at created_by updated_by`
        .split(/\s+/)
        .map(column => [column, null])
    )
    const { id, hash, name } = this.secret
    const now = new Date()
    const [version, rotations, blocked] = [1n, 0, false]
    return { ...nothing, id, hash, name, version, rotations, blocked, created_at: now, updated_at: now, models: [] }
  }
}

function directoryOf(queries: OneKey, times = TIMES): Directory {
  const directory = new Directory(digest, times)
  directory.use(queries)
  return directory
}

t.test('a key is looked up once, and then found in the same tick', async t => {
  const queries = new OneKey()
  const directory = directoryOf(queries)
  const { key, id } = queries.secret
  let open = () => {}
  queries.gate = new Promise(resolve => {
    open = resolve
  })
  const many = Array.from({ length: 50 }, () => directory.find(key))
  await wait(5)
  t.equal(queries.asked, 1, 'one look-up for all who wait')
  open()
  for (const found of await Promise.all(many)) t.match(found, { id })
  const again = directory.find(key)
  t.notOk(again instanceof Promise)
  t.equal(queries.asked, 1)
  directory.forget({ kind: 'key', id })
  t.ok(directory.find(key) instanceof Promise, 'what changed is looked up again')
})

t.test('a key that nobody has is remembered too, and not for long', async t => {
  const queries = new OneKey()
  const directory = directoryOf(queries)
  const stranger = newSecret(digest).key
  const wrong = `sk-${queries.secret.id}-${partsOf(stranger)?.secret}`
  for (const key of [stranger, wrong]) {
    t.match(await directory.find(key), { kind: 'unauthenticated' })
    const asked = queries.asked
    t.match(directory.find(key), { kind: 'unauthenticated' })
    t.equal(queries.asked, asked)
  }
  await wait(70)
  t.ok(directory.find(wrong) instanceof Promise)
  t.equal(directory.size, 0)
})

t.test('a key that is made after it was asked for is known at once', async t => {
  const queries = new OneKey()
  const directory = directoryOf(queries)
  const stranger = newSecret(digest)
  await directory.find(stranger.key)
  directory.forget({ kind: 'key', id: stranger.id })
  t.ok(directory.find(stranger.key) instanceof Promise)
})

t.test('a change during a look-up is not missed', async t => {
  const queries = new OneKey()
  const directory = directoryOf(queries)
  let open = () => {}
  queries.gate = new Promise(resolve => {
    open = resolve
  })
  const found = directory.find(queries.secret.key)
  await wait(1)
  directory.forget({ kind: 'key', id: queries.secret.id })
  open()
  t.match(await found, { id: queries.secret.id })
  t.equal(queries.asked, 2, 'what was read before the change is read again')
})

t.test('without the database known keys go on for a while, and unknown ones are not admitted', async t => {
  const queries = new OneKey()
  const directory = directoryOf(queries, SHORT)
  const { key, id } = queries.secret
  await directory.find(key)
  queries.isAway = true
  const began = performance.now()
  while (performance.now() - began < 120) {
    t.match(await directory.find(key), { id })
    await wait(20)
  }
  t.equal(directory.isReachable, false)
  const refused = await directory.find(newSecret(digest).key)
  t.match(refused, { kind: 'unavailable', details: { retryAfter: 2 } })
  t.notMatch(refused, { message: /10\.0\.0\.1/ })
  directory.forget('all')
  t.match(await directory.find(key), { id }, 'also when changes may have been missed meanwhile')
  await wait(220)
  t.match(await directory.find(key), { kind: 'unavailable' }, 'and no longer than was said')
  queries.isAway = false
  t.match(await directory.find(key), { id })
  t.equal(directory.isReachable, true)
})

t.test('memory does not grow with the keys that were seen', async t => {
  const queries = new OneKey()
  const directory = directoryOf(queries)
  const { key } = queries.secret
  await directory.find(key)
  for (let index = 0; index < 15_000; index++) await directory.find(newSecret(digest).key)
  t.equal(directory.size, 1)
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < 30_000; index++) await directory.find(newSecret(digest).key)
  t.ok(process.memoryUsage().heapUsed - before < 30_000_000)
})

t.test('a PostgreSQL that goes away and comes back', async t => {
  const service = await postgresService()
  if (service === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  t.teardown(() => service.remove())
  const times = { fresh: 100, outage: 3_000, unknown: 100 }
  const gateway = await keyedGateway(t, { databaseUrl: await service.createDatabase(), times })
  const key = await gateway.make({ models: ['demo'], max_budget: 1 })
  const unseen = await gateway.make()
  t.equal((await gateway.chat(key)).status, 200)
  await service.stop()
  await without(t, gateway, key, unseen)
  await wait(3_000)
  t.match(await gateway.chat(key), { status: 503 }, 'a known key goes on for as long as was said, and no longer')
  await service.start()
  await until(async () => (await gateway.chat(key)).status === 200)
  t.equal((await gateway.chat(unseen)).status, 200)
  t.match(await gateway.manage('/health'), { json: { components: { database: 'healthy' } } })
  t.equal((await gateway.manage('/key/block', { key })).status, 200)
  t.equal((await gateway.chat(key)).status, 401)
  t.same(gateway.bugs, [])
})

async function without(t: Test, gateway: KeyedGateway, key: string, unseen: string): Promise<void> {
  const until = performance.now() + 1_000
  while (performance.now() < until) {
    const { status, text } = await gateway.chat(key)
    if (status !== 200) t.fail(`a known key was refused: ${text}`)
    await wait(50)
  }
  t.equal((await gateway.chat(key, 'gpt-4o')).status, 403, 'with what binds it')
  const refused = await gateway.chat(unseen)
  t.match(refused, { status: 503, json: { error: { message: 'Keys cannot be looked up at the moment.' } } })
  t.match(refused.headers['retry-after'], /^\d+$/)
  t.equal((await gateway.chat('sk-0123456789abcdef-nobodynobodynobodynobodynobodynobodynobody')).status, 503)
  t.match(await gateway.manage('/health'), { json: { components: { database: 'unreachable' } } })
  const managed = await gateway.manage('/key/generate', {})
  t.match(managed, { status: 503, json: { error: { message: 'The database cannot be reached.' } } })
}

t.test('a database that is not there yet delays nothing else', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const service = await postgresService()
  if (service === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  t.teardown(() => service.remove())
  const databaseUrl = await service.createDatabase()
  await service.stop()
  const opening = keyedGateway(t, { databaseUrl, dataDir: folder.path })
  await wait(1_000)
  await service.start()
  const gateway = await opening
  t.equal((await gateway.chat(await gateway.make())).status, 200)
  const told = gateway.logged.filter(message => message.startsWith('keys cannot be looked up'))
  t.ok(told.length > 0, 'it was said')
  t.ok(told.length < 3, 'and not over and over')
})
