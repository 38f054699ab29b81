// End users that requests name: what the store says of them binds, at once, and whoever names none pays nothing for it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { Failure } from '../src/chat/failure.ts'
import { keepBooks } from '../src/cli/books.ts'
import { Logs } from '../src/cli/logs.ts'
import { Secrets } from '../src/cli/secrets.ts'
import { MASTER } from '../src/keys/caller.ts'
import { Customers } from '../src/keys/customers.ts'
import type { Queries } from '../src/store/database.ts'
import { listCalls } from '../src/store/logs.ts'
import { post, smallest } from './support/ask.ts'
import { type KeyedGateway, keyedGateway, MASTER_KEY } from './support/keys.ts'
import { postgresService } from './support/services.ts'
import { good, until } from './support/store.ts'

t.setTimeout(600_000)

const TIMES = { fresh: 60_000, unknown: 60_000, away: 60, patience: 200 }

/** A database of customers that may send a request a minute; it counts who was asked for, and may be away or slow. */
class Some implements Queries {
  readonly names = new Set<string>()
  readonly asked: string[] = []
  isAway = false
  blocked = false
  pace: Promise<void> = Promise.resolve()

  async query(text: string, parameters: readonly unknown[] = []) {
    if (!/from sluice\.customers/.test(text)) return []
    const isOne = /where id = \$1/.test(text)
    if (isOne) this.asked.push(String(parameters[0]))
    await this.pace
    if (this.isAway) return new Failure('unavailable', 'The database cannot be reached.')
    if (!isOne) return [...this.names].slice(0, 1).map(name => this.#row(name))
    return this.names.has(String(parameters[0])) ? [this.#row(String(parameters[0]))] : []
  }

  #row(id: string) {
    const nothing = {
      alias: null,
      plan_id: null,
      default_model: null,
      region: null,
      created_by: null,
      updated_by: null
    }
    const now = new Date()
    const times = { version: 1n, created_at: now, updated_at: now }
    return { ...nothing, ...times, id, blocked: this.blocked, models: [], limits: { rpm: 1 } }
  }
}

async function customersIn(store: Some, times = TIMES): Promise<Customers> {
  const customers = new Customers(times)
  customers.use(store)
  await wait(1)
  return customers
}

const BOUND = { bounds: [{ scope: 'customer', id: 'ann', requestsPerMinute: 1 }] }

t.test('where none is declared, nobody is asked for', async t => {
  const store = new Some()
  const customers = await customersIn(store)
  t.equal(customers.bind(MASTER, 'ann'), MASTER, 'the very same caller, in the same tick')
  t.same(store.asked, [])
  store.names.add('ann')
  customers.forget({ kind: 'customer', id: 'ann' })
  t.match(await customers.bind(MASTER, 'ann'), BOUND, 'the first of all is seen at once')
  store.names.clear()
  customers.forget({ kind: 'customer', id: 'ann' })
  await wait(1)
  t.equal(customers.bind(MASTER, 'ann'), MASTER, 'and so is the end of the last')
  t.equal(store.asked.length, 1)
})

t.test('a customer is looked up once, and then found in the same tick', async t => {
  const store = new Some()
  store.names.add('ann')
  const customers = await customersIn(store)
  const many = await Promise.all(Array.from({ length: 20 }, () => customers.bind(MASTER, 'ann')))
  for (const caller of many) t.match(caller, BOUND)
  t.match(customers.bind(MASTER, 'ann'), BOUND)
  t.same(store.asked, ['ann'])
  t.same(MASTER.bounds, [], 'nobody else is bound')
  store.blocked = true
  customers.forget({ kind: 'budget', id: 'customer:ann' })
  t.match(await customers.bind(MASTER, 'ann'), { kind: 'forbidden', message: 'The customer `ann` is blocked.' })
  store.blocked = false
  customers.forget({ kind: 'plan', id: 'basic' })
  t.match(await customers.bind(MASTER, 'ann'), BOUND, 'plans are shared, so all are asked for again')
  customers.forget({ kind: 'team', id: 'ann' })
  t.notOk(customers.bind(MASTER, 'ann') instanceof Promise, 'other changes are none of theirs')
})

t.test('names that clients make up', async t => {
  const store = new Some()
  store.names.add('ann')
  const customers = await customersIn(store)
  t.equal(await customers.bind(MASTER, 'nobody'), MASTER)
  t.equal(customers.bind(MASTER, 'nobody'), MASTER)
  t.same(store.asked, ['nobody'])
  for (const name of ['a\0b', 'a\ud800']) t.equal(customers.bind(MASTER, name), MASTER, 'what no database takes')
  t.equal(store.asked.length, 1)
  for (let index = 0; index < 11_000; index++) await customers.bind(MASTER, `name ${index}`)
  t.equal(customers.size, 10_000)
  t.match(await customers.bind(MASTER, 'ann'), BOUND)
  const slow = new Some()
  slow.names.add('ann')
  const busy = await customersIn(slow)
  slow.pace = wait(100)
  const waiting = Array.from({ length: 300 }, (_, index) => busy.bind(MASTER, `name ${index}`))
  t.equal(waiting.filter(answer => answer instanceof Promise).length, 100)
  t.equal(slow.asked.length, 100)
  await Promise.all(waiting)
})

t.test('a change during a look-up is not missed', async t => {
  const store = new Some()
  store.names.add('ann')
  const customers = await customersIn(store)
  store.pace = wait(20)
  const looking = customers.bind(MASTER, 'ann')
  await wait(1)
  store.blocked = true
  customers.forget({ kind: 'customer', id: 'ann' })
  t.match(await looking, { kind: 'forbidden' })
  t.same(store.asked, ['ann', 'ann'])
})

t.test('without the database known ones go on, and others go without', async t => {
  const store = new Some()
  store.names.add('ann').add('bob')
  const customers = await customersIn(store)
  await customers.bind(MASTER, 'ann')
  store.isAway = true
  customers.forget('all')
  t.match(await customers.bind(MASTER, 'ann'), BOUND)
  t.equal(customers.bind(MASTER, 'bob'), MASTER, 'and nobody waits for it again so soon')
  store.isAway = false
  await wait(80)
  t.match(await customers.bind(MASTER, 'bob'), { bounds: [{ id: 'bob' }] })
  // It hangs.
  let go = () => {}
  store.pace = new Promise(resolve => {
    go = resolve
  })
  customers.forget({ kind: 'customer', id: 'bob' })
  const began = performance.now()
  t.match(await customers.bind(MASTER, 'bob'), { bounds: [{ id: 'bob' }] })
  const waited = performance.now() - began
  t.ok(waited > 150 && waited < 1500, `${waited} ms`)
  go()
})

interface Kept extends KeyedGateway {
  /** What was asked with these fields, of the model `paid` unless another is named. */
  send(key: string, fields?: object, headers?: Record<string, string>): ReturnType<typeof post>
}

async function kept(t: Test): Promise<Kept> {
  const gateway = await keyedGateway(
    t,
    {},
    {
      model_list: [
        { model_name: 'paid', provider: 'demo', model: 'demo', price: { input: 0, output: 1000 } },
        { model_name: 'other', provider: 'demo', model: 'demo' }
      ]
    }
  )
  const logs = await Logs.open(
    { level: 'error', format: 'json', rooms: {} },
    { destination: { write: () => undefined }, terminal: false, secrets: new Secrets() }
  )
  const folder = mkdtempSync(join(tmpdir(), 'sluice-customers-'))
  const books = await keepBooks(gateway.gateway, gateway.keyring, folder, logs)
  t.teardown(async () => {
    await books.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    ...gateway,
    send: (key, fields = {}, headers = {}) => {
      const [path, body] = smallest('openai-chat', 'paid')
      return post(
        gateway.url + path,
        { ...body, max_tokens: 10, ...fields },
        { authorization: `Bearer ${key}`, ...headers }
      )
    }
  }
}

t.test('through the door', async t => {
  const gateway = await kept(t)
  await t.test('wherever a client names its end user', t => names(t, gateway))
  await t.test('a budget of its own', t => budget(t, gateway))
  await t.test('blocked, and open again', t => blocked(t, gateway))
  await t.test('models', t => models(t, gateway))
  await t.test('a shared budget', t => plan(t, gateway))
  await t.test('a client that leaves while its end user is looked up', t => leaving(t, gateway))
  t.same(gateway.bugs, [])
})

async function names(t: Test, { make, manage, send, url }: Kept): Promise<void> {
  const key = await make({ rpm_limit: 1000 })
  const where: [string, (name: string) => ReturnType<typeof post>][] = [
    ['user', name => send(key, { user: name })],
    ['safety_identifier', name => send(key, { safety_identifier: name })],
    ['metadata', name => send(key, { metadata: { user_id: name } })],
    ['header', name => send(key, { user: 'somebody' }, { 'x-litellm-customer-id': name })],
    ['other header', name => send(key, {}, { 'x-litellm-end-user-id': name })],
    ['master', name => send(MASTER_KEY, { user: name })],
    ...['anthropic', 'openai-responses', 'gemini'].map((dialect): (typeof where)[number] => {
      const [path, body] = smallest(dialect, 'paid')
      const named = { anthropic: 'metadata', 'openai-responses': 'user' }[dialect]
      return [
        dialect,
        name => {
          const said = named === 'metadata' ? { metadata: { user_id: name } } : named === 'user' ? { user: name } : {}
          const headers = { 'x-api-key': key, ...(named === undefined && { 'x-litellm-customer-id': name }) }
          return post(url + path, { ...body, ...said }, headers)
        }
      ]
    })
  ]
  for (const [name, ask] of where) {
    t.equal((await manage('/customer/new', { user_id: name, rpm_limit: 1 })).status, 200)
    t.equal((await ask(name)).status, 200, name)
    const refused = await ask(name)
    t.equal(refused.status, 429, name)
    t.match(refused.text, `The customer \`${name}\` may send 1 requests a minute.`)
    t.equal((await ask(`not ${name}`)).status, 200, 'others are not bound by that')
  }
  t.equal((await send(key)).status, 200)
  // What Claude Code sends is a session and nobody's name.
  for (const name of ['{"device_id":"d","session_id":"s"}', 'user_abc_account__session_0123']) {
    t.equal((await manage('/customer/new', { user_id: name, rpm_limit: 0 })).status, 200)
    t.equal((await send(key, { metadata: { user_id: name } })).status, 200)
  }
  const coder = { 'x-claude-code-session-id': 's' }
  t.equal((await send(key, { metadata: { user_id: 'metadata' } }, coder)).status, 200)
  t.equal((await send(key, { metadata: { user_id: 'metadata' } })).status, 429)
}

async function budget(t: Test, { make, manage, send, gateway, store }: Kept): Promise<void> {
  await manage('/customer/new', { user_id: 'rich', max_budget: 0.05, budget_duration: '30d' })
  const key = await make({ max_budget: 100 })
  const answers = await Promise.all(Array.from({ length: 30 }, () => send(key, { user: 'rich' })))
  const paid = answers.filter(({ status }) => status === 200)
  t.ok(paid.length >= 1 && paid.length <= 5, `${paid.length}`)
  let refused = answers.find(({ status }) => status !== 200)
  for (let index = 0; index < 50; index++) refused = await send(key, { user: 'rich' })
  t.match(refused, { status: 429, json: { error: { message: /^The customer `rich` may spend \$0\.05 until / } } })
  t.equal((await send(key, { user: 'poor' })).status, 200)
  await until(() => gateway.journal?.pending === 0)
  const calls = good(await listCalls(store, { customerId: 'rich' }, { limit: 1000 })).items
  const spent = Number(calls.reduce((sum, { costNano }) => sum + costNano, 0n)) / 1e9
  t.ok(spent > 0 && spent <= 0.05, `${spent}`)
  t.match((await manage('/customer/info?end_user_id=rich')).json, { spend: spent, max_budget: 0.05 })
  t.equal((await manage('/customer/update', { user_id: 'rich', max_budget: 1 })).status, 200)
  t.equal((await send(key, { user: 'rich' })).status, 200, 'raised, and at once')
}

async function blocked(t: Test, { make, manage, send }: Kept): Promise<void> {
  const key = await make()
  t.equal((await send(key, { user: 'mallory' })).status, 200)
  await manage('/customer/new', { user_id: 'mallory', blocked: true })
  t.match(await send(key, { user: 'mallory' }), {
    status: 403,
    json: { error: { message: 'The customer `mallory` is blocked.', code: 'customer_blocked' } }
  })
  t.equal((await send(MASTER_KEY, { user: 'mallory' })).status, 403, 'whoever asks for it')
  await manage('/end_user/unblock', { user_ids: ['mallory'] })
  t.equal((await send(key, { user: 'mallory' })).status, 200)
  await manage('/customer/block', { user_ids: ['mallory'] })
  t.equal((await send(key, { user: 'mallory' })).status, 403)
  await manage('/customer/delete', { user_ids: ['mallory'] })
  t.equal((await send(key, { user: 'mallory' })).status, 200)
}

async function models(t: Test, { make, manage, send }: Kept): Promise<void> {
  const key = await make({ models: ['paid'] })
  t.equal((await manage('/customer/new', { user_id: 'picky', models: ['other'] })).status, 200)
  const refused = await send(key, { user: 'picky' })
  t.match([refused.status, refused.text], [403, /The customer of this request may not use/])
  t.equal((await send(key, { user: 'picky', model: 'other' })).status, 403, 'the key still binds')
  const all = await make()
  t.equal((await send(all, { user: 'picky', model: 'other' })).status, 200)
  t.equal((await send(all, { user: 'picky' })).status, 403)
}

async function plan(t: Test, { make, manage, send }: Kept): Promise<void> {
  const key = await make()
  t.equal((await manage('/budget/new', { budget_id: 'trial', rpm_limit: 1 })).status, 200)
  for (const name of ['one', 'two']) {
    await manage('/customer/new', { user_id: name, budget_id: 'trial' })
    t.equal((await send(key, { user: name })).status, 200, 'each has it for itself')
    t.equal((await send(key, { user: name })).status, 429)
  }
  t.equal((await manage('/budget/update', { budget_id: 'trial', rpm_limit: 100 })).status, 200)
  t.equal((await send(key, { user: 'one' })).status, 200)
}

async function leaving(t: Test, { make, keyring, url, records, gateway, store }: Kept): Promise<void> {
  const key = await make()
  await keyring.find(key)
  let go = () => {}
  const hold = new Promise<void>(resolve => {
    go = resolve
  })
  let asked = false
  keyring.customers.use({
    query: async (text, parameters) => {
      asked ||= parameters?.[0] === 'late'
      await hold
      return store.query(text, parameters)
    }
  })
  const leave = new AbortController()
  const [path, body] = smallest('openai-chat', 'paid')
  const sending = request(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ ...body, user: 'late' }),
    signal: leave.signal
  })
  await until(() => asked)
  const before = records.length
  leave.abort()
  await t.rejects(sending)
  await wait(50)
  go()
  await until(() => records.length > before)
  t.match(records.at(-1), { clientGone: true })
  t.equal(gateway.running.size, 0)
  keyring.customers.use(store)
}

t.test('two gateways on one PostgreSQL', async t => {
  const service = await postgresService()
  if (service === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  t.teardown(() => service.remove())
  const databaseUrl = await service.createDatabase()
  const here = await keyedGateway(t, { databaseUrl })
  const there = await keyedGateway(t, { databaseUrl })
  const key = await here.make()
  const ask = ({ url }: KeyedGateway, user: string) => {
    const [path, body] = smallest('openai-chat', 'demo')
    return post(url + path, { ...body, user }, { authorization: `Bearer ${key}` })
  }
  t.equal((await ask(there, 'ann')).status, 200)
  await here.manage('/customer/new', { user_id: 'ann', blocked: true })
  const began = performance.now()
  await until(async () => (await ask(there, 'ann')).status === 403)
  t.ok(performance.now() - began < 1000, 'the other one hears of it')
  t.equal((await ask(here, 'ann')).status, 403)
  await service.stop()
  t.equal((await ask(there, 'ann')).status, 403, 'known ones go on')
  t.equal((await ask(there, 'bob')).status, 200, 'others go without')
  t.same([...here.bugs, ...there.bugs], [])
})
