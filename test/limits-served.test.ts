// Limits and budgets through the door: what callers are told, what is paid, and what the store knows of it in the end.

import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Books, keepBooks } from '../src/cli/books.ts'
import { Logs } from '../src/cli/logs.ts'
import { Secrets } from '../src/cli/secrets.ts'
import { dollars } from '../src/spend/tariff.ts'
import { listCalls } from '../src/store/logs.ts'
import type { PartialConfig } from './support/app.ts'
import { type Asked, post, smallest } from './support/ask.ts'
import { type KeyedGateway, keyedGateway, MASTER_KEY } from './support/keys.ts'
import { closeServer, listen, socketsOf } from './support/port.ts'
import { type PostgresService, postgresService, type RedisService, redisService } from './support/services.ts'
import { good, until } from './support/store.ts'
import { startUpstream, type Upstream } from './support/upstream.ts'

t.setTimeout(600_000)

/** Each call's answer is ten tokens, which is a cent where a million cost a thousand dollars. */
const TOKENS = 10
const CENT = { input: 0, output: 1000 }

interface Kept extends KeyedGateway {
  readonly upstream: Upstream
  /** What the gateway said on its own, as JSON. */
  readonly lines: string[]
  readonly books: Books
  /** Waits until everything is in the store, and says what the key spent there. */
  spent(): Promise<number>
  send(key: string, model: string, more?: object): Promise<Asked>
}

function answerAfter(pace: number): (request: unknown, response: Response) => Promise<void> {
  return async (_, response) => {
    const usage = { prompt_tokens: 5, completion_tokens: TOKENS, total_tokens: 5 + TOKENS }
    await wait(pace)
    response.setHeader('content-type', 'application/json')
    const message = { role: 'assistant', content: 'Hi' }
    response.end(JSON.stringify({ id: 'a', choices: [{ index: 0, message, finish_reason: 'stop' }], usage }))
  }
}

type Response = import('node:http').ServerResponse

/** Says `{"fail":true}` where it is asked to, streams where it is asked to, for as long as the client listens. */
async function upstreamFor(t: Test): Promise<Upstream> {
  const [whole, slow] = [answerAfter(15), answerAfter(2000)]
  const upstream = await startUpstream((request, response) => {
    const body = JSON.parse(request.body.toString() || '{}') as { stream?: boolean; user?: string }
    if (body.user === 'failing') {
      response.statusCode = 500
      return response.end('{"error":{"message":"no"}}')
    }
    if (body.user === 'named') {
      const usage = { prompt_tokens: 5, completion_tokens: 10, total_tokens: 15 }
      return response.end(JSON.stringify({ id: 'a', model: 'gpt-4o', choices: [], usage }))
    }
    if (body.user === 'slow') return void slow(request, response)
    if (body.stream !== true) return void whole(request, response)
    response.setHeader('content-type', 'text/event-stream')
    const delta = { id: 'a', object: 'chat.completion.chunk', choices: [{ index: 0, delta: { content: ' word' } }] }
    const more = setInterval(() => response.write(`data: ${JSON.stringify(delta)}\n\n`), 2)
    response.on('close', () => clearInterval(more))
  })
  t.teardown(() => upstream.close())
  return upstream
}

let databases: PostgresService | undefined
let redis: RedisService | undefined
t.before(async () => {
  databases = await postgresService()
  redis = await redisService()
})
t.teardown(() => Promise.all([databases?.remove(), redis?.stop()]))

async function kept(t: Test, config: PartialConfig = {}, databaseUrl?: string): Promise<Kept> {
  const upstream = await upstreamFor(t)
  const entry = { provider: 'openai', api_base: upstream.url, api_key: 'x' }
  const gateway = await keyedGateway(t, databaseUrl === undefined ? {} : { databaseUrl }, {
    model_list: [
      { model_name: 'paid', ...entry, price: CENT },
      { model_name: 'free', ...entry, price: {} },
      { model_name: 'dear', ...entry, price: { input: 0, output: 100_000 } },
      { model_name: 'unknown', ...entry, model: 'nobody-knows-this' },
      { model_name: 'mixed', ...entry, price: {}, order: 0 },
      { model_name: 'mixed', ...entry, price: { output: 100_000 }, order: 1 }
    ],
    passthrough: { house: { target: upstream.url } },
    ...config
  })
  const lines: string[] = []
  const logs = await Logs.open(
    { level: 'info', format: 'json', rooms: {} },
    { destination: { write: text => lines.push(text) }, terminal: false, secrets: new Secrets() }
  )
  const folder = mkdtempSync(join(tmpdir(), 'sluice-books-'))
  const books = await keepBooks(gateway.gateway, gateway.keyring, folder, logs)
  t.teardown(async () => {
    await books.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    ...gateway,
    upstream,
    lines,
    books,
    spent: async () => {
      await until(() => gateway.gateway.journal?.pending === 0)
      const { items } = good(await listCalls(gateway.store, {}, { limit: 1000 }))
      return dollars(items.reduce((sum, { costNano }) => sum + costNano, 0n))
    },
    send: (key, model, more = {}) => {
      const [path, body] = smallest('openai-chat', model)
      const chat = { ...body, max_tokens: TOKENS, ...more }
      return post(gateway.url + path, chat, { authorization: `Bearer ${key}` })
    }
  }
}

t.test('one gateway with the embedded database', async t => {
  const gateway = await kept(t, { limits: { downgrade: { 'dea*': 'free' } } })
  await t.test('requests a minute, in each protocol’s words', t => requests(t, gateway))
  await t.test('how many at one time', t => parallel(t, gateway))
  await t.test('tokens a minute are what was used', t => tokens(t, gateway))
  await t.test('500 at once with money for 100', t => crowd(t, gateway, 'embedded'))
  await t.test('what fails gives back what was set aside', t => failures(t, gateway))
  await t.test('a target that costs more has to be covered too', t => mixed(t, gateway))
  await t.test('a cheaper model instead', t => downgrade(t, gateway))
  await t.test('a model of its own', t => ofModel(t, gateway))
  await t.test('routes that pass bytes count', t => passing(t, gateway))
  await t.test('a call is written down with whose it was and what it cost', t => logged(t, gateway))
  t.same(gateway.bugs, [])
})

async function requests(t: Test, { make, send, url, gateway }: Kept): Promise<void> {
  const key = await make({ rpm_limit: 2 })
  const first = await send(key, 'free')
  t.match(first, { status: 200, headers: { 'x-ratelimit-limit-requests': '2', 'x-ratelimit-remaining-requests': '1' } })
  const [path, body] = smallest('anthropic', 'free')
  const second = await post(url + path, body, { 'x-api-key': key })
  t.match(second, { status: 200, headers: { 'anthropic-ratelimit-requests-remaining': '0' } })
  t.match(second.headers['anthropic-ratelimit-requests-reset'], /^\d{4}-\d\d-\d\dT[\d:]+Z$/)
  const third = await send(key, 'free')
  t.match(third, { status: 429, json: { error: { message: 'This key may send 2 requests a minute.' } } })
  t.ok(Number(third.headers['retry-after']) >= 1 && Number(third.headers['retry-after']) <= 120)
  t.match(third.headers, { 'x-ratelimit-remaining-requests': '0', 'x-gateway-cost': '0' })
  const anthropic = await post(url + path, body, { 'x-api-key': key })
  t.match(anthropic, { status: 429, json: { type: 'error', error: { type: 'rate_limit_error' } } })
  t.match(
    await gateway.metrics.render(),
    'gateway_limit_decisions_total{scope="key",dimension="requests_per_minute",decision="refused"} 2'
  )
  t.equal((await send(MASTER_KEY, 'free')).status, 200, 'the administrator has no limits')
}

async function parallel(t: Test, { make, send }: Kept): Promise<void> {
  const key = await make({ max_parallel_requests: 3 })
  const answers = await Promise.all(Array.from({ length: 10 }, () => send(key, 'free', { user: 'slow' })))
  t.equal(answers.filter(({ status }) => status === 200).length, 3)
  t.equal(answers.filter(({ status }) => status === 429).length, 7)
  t.equal((await send(key, 'free')).status, 200, 'places are given back')
}

async function tokens(t: Test, { make, send }: Kept): Promise<void> {
  const key = await make({ tpm_limit: 100 })
  const { headers } = await send(key, 'free')
  t.match(headers, { 'x-ratelimit-limit-tokens': '100' })
  // Fifteen were used, however many had been set aside.
  const second = await send(key, 'free')
  const left = Number(second.headers['x-ratelimit-remaining-tokens'])
  t.ok(left > 30 && left < 85 - 10, `${left}`)
  const many = await Promise.all(Array.from({ length: 10 }, () => send(key, 'free')))
  t.ok(many.some(({ status }) => status === 429))
}

async function crowd(t: Test, gateway: Kept, name: string): Promise<void> {
  const { make, send, upstream, spent } = gateway
  const before = await spent()
  const served = upstream.requests.length
  const key = await make({ max_budget: 1, key_alias: `crowd-${name}` })
  const answers = await Promise.all(Array.from({ length: 500 }, () => send(key, 'paid')))
  const paid = answers.filter(({ status }) => status === 200)
  t.equal(paid.length, 100)
  t.ok(paid.every(({ headers }) => headers['x-gateway-cost'] === '0.01'))
  t.equal(upstream.requests.length - served, 100, 'no other call went out')
  const refused = answers.find(({ status }) => status !== 200)
  t.match(refused, { status: 429, json: { error: { message: /^This key may spend \$1\.00 in all/ } } })
  t.ok(Number(refused?.headers['retry-after']) >= 1)
  t.equal(Math.round(((await spent()) - before) * 100), 100, 'the store knows the dollar')
  t.equal((await send(key, 'paid')).status, 429)
}

async function failures(t: Test, { make, send }: Kept): Promise<void> {
  const key = await make({ max_budget: 0.02 })
  for (let index = 0; index < 3; index++) t.equal((await send(key, 'paid', { user: 'failing' })).status, 502)
  t.equal((await send(key, 'paid')).status, 200)
  t.equal((await send(key, 'paid', { max_tokens: 11 })).status, 429, 'it may cost more than what is left')
  t.equal((await send(key, 'paid')).status, 200)
  t.equal((await send(key, 'free')).status, 429, 'all is gone, so nothing goes on')
}

async function mixed(t: Test, { make, send, gateway }: Kept): Promise<void> {
  const key = await make({ max_budget: 0.5 })
  const records = () => gateway.calls
  const free = await send(key, 'mixed')
  t.match(free, { status: 200, headers: { 'x-gateway-cost': '0' } })
  const failed = await send(key, 'mixed', { user: 'failing' })
  t.ok(failed.status === 502 || failed.status === 429)
  const record = records().get(String(failed.headers['x-task-id']))
  t.ok(record?.attempts.length !== 0)
  t.ok((record?.attempts ?? []).length <= 3, 'the dear one was not asked')
}

async function downgrade(t: Test, { make, send, gateway }: Kept): Promise<void> {
  const key = await make({ max_budget: 1.5 })
  t.match(await send(key, 'dear'), { status: 200, headers: { 'x-gateway-cost': '1' } })
  const second = await send(key, 'dear')
  t.match(second, { status: 200, headers: { 'x-gateway-cost': '0' } })
  t.equal(gateway.calls.get(String(second.headers['x-task-id']))?.route, 'free')
  const strict = await make({ max_budget: 0.5, models: ['dear'] })
  t.equal((await send(strict, 'dear')).status, 429, 'not to a model that the key may not use')
}

async function ofModel(t: Test, { make, send }: Kept): Promise<void> {
  const key = await make({ model_max_budget: { paid: { budget_limit: 0.01, time_period: '1d' } } })
  t.equal((await send(key, 'paid')).status, 200)
  t.equal((await send(key, 'paid')).status, 429)
  t.equal((await send(key, 'free')).status, 200)
}

async function passing(t: Test, { make, url, spent, gateway }: Kept): Promise<void> {
  const key = await make({ rpm_limit: 2, max_budget: 1 })
  const before = await spent()
  const body = { model: 'gpt-4o', messages: [] }
  const go = () => post(`${url}/passthrough/house/v1/chat/completions`, body, { authorization: `Bearer ${key}` })
  t.match(await go(), { status: 200, headers: { 'x-ratelimit-remaining-requests': '1' } })
  t.equal((await go()).status, 200)
  t.match(await go(), { status: 429, headers: { 'x-ratelimit-remaining-requests': '0' } })
  // The answer names no model, so its price is not known.
  t.equal(await spent(), before)
  const other = await make({ max_budget: 0.0001 })
  const named = () =>
    post(`${url}/passthrough/house/v1/named`, { ...body, user: 'named' }, { authorization: `Bearer ${other}` })
  const first = await named()
  t.equal(first.status, 200)
  // Five tokens at $2.50 and ten at $10 a million.
  t.match(gateway.calls.get(String(first.headers['x-task-id'])), { cost: 0.0001125, usage: { input: 5, output: 10 } })
  t.equal(Math.round(((await spent()) - before) * 1e7), 1125)
  t.equal((await named()).status, 429, 'its budget is gone')
}

async function logged(t: Test, { make, send, store, spent, manage }: Kept): Promise<void> {
  const key = await make({ key_alias: 'written', team_id: undefined, tags: ['blue'], max_budget: 5 })
  const { headers } = await send(key, 'paid', { user: 'ann' })
  await spent()
  const callId = String(headers['x-task-id'])
  const [call] = good(await listCalls(store, { callId }, { limit: 1 })).items
  t.match(call, {
    callId,
    keyAlias: 'written',
    customerId: 'ann',
    tags: ['blue'],
    route: '/v1/chat/completions',
    requestedModel: 'paid',
    model: 'paid',
    target: 'openai/paid',
    status: 'success',
    inputTokens: 5,
    outputTokens: TOKENS,
    costNano: 10_000_000n,
    estimated: false
  })
  t.match((await manage(`/key/info?key=${key}`)).json, { info: { spend: 0.01 } })
  const refused = await make({ rpm_limit: 0 })
  const { headers: told } = await send(refused, 'paid')
  await spent()
  t.same(
    good(await listCalls(store, { callId: String(told['x-task-id']) }, { limit: 1 })).items,
    [],
    'nothing went out'
  )
}

t.test('a price that nobody knows', async t => {
  const gateway = await kept(t, { spend: { unknown_price: 'deny' } })
  const { make, send, url } = gateway
  const budgeted = await make({ max_budget: 1 })
  t.match(await send(budgeted, 'unknown'), {
    status: 403,
    json: { error: { message: /^Nobody knows what `nobody-knows-this` costs/ } }
  })
  t.equal((await send(await make(), 'unknown')).status, 200, 'where nothing is counted, nobody asks')
  const passed = await post(`${url}/passthrough/house/v1/images`, {}, { authorization: `Bearer ${budgeted}` })
  t.equal(passed.status, 403)
})

t.test('a stream that no budget covers is ended', async t => {
  const gateway = await kept(t, { limits: { hard_stop: true } })
  const { make, url, spent } = gateway
  const key = await make({ max_budget: 0.1 })
  const [path, body] = smallest('openai-chat', 'paid', true)
  // Its cap covers twenty tokens; the upstream does not care, and the budget covers a hundred.
  const { status, text } = await post(url + path, { ...body, max_tokens: 20 }, { authorization: `Bearer ${key}` })
  t.equal(status, 200)
  t.match(text, /This key may spend \$0\.10 in all/)
  const words = text.split(' word').length - 1
  t.ok(words >= 80 && words < 160, `${words} words`)
  const cost = await spent()
  t.ok(cost > 0.08 && cost < 0.16, `${cost}`)
})

t.test('whoever watches hears of 50, 80 and 100 %', async t => {
  const told: Record<string, unknown>[] = []
  const server = createServer((request, response) => {
    let text = ''
    request.on('data', chunk => {
      text += chunk
    })
    request.on('end', () => {
      told.push(JSON.parse(text) as Record<string, unknown>)
      response.end()
    })
  })
  const sockets = socketsOf(server)
  const port = await listen(server)
  t.teardown(() => closeServer(server, sockets))
  const gateway = await kept(t, { spend: { alert_webhook: `http://127.0.0.1:${port}/budgets` } })
  const { make, send, manage, lines } = gateway
  await manage('/team/new', { team_id: 'blue', max_budget: 0.1, budget_duration: '30d' })
  const key = await make({ team_id: 'blue' })
  for (let index = 0; index < 10; index++) t.equal((await send(key, 'paid')).status, 200)
  await until(() => told.length === 3)
  t.same(new Set(told.map(({ percent }) => percent)), new Set([50, 80, 100]))
  t.match(told[0], { event: 'budget', scope: 'team', id: 'blue', limit_usd: 0.1 })
  await until(() => lines.join('').split('a budget of a team is used to').length - 1 === 3)
  const scraped = await gateway.gateway.metrics.render()
  t.match(scraped, 'gateway_budget_alerts_total{scope="team",percent="100"} 1')
  t.match(scraped, 'gateway_budget_remaining_ratio{scope="team",id="blue"} 0')
  t.equal((await send(key, 'paid')).status, 429)
  const reset = await manage('/team/update', { team_id: 'blue', max_budget: 0.2, budget_duration: '30d' })
  t.equal(reset.status, 200, reset.text)
  t.equal((await send(key, 'paid')).status, 200, 'a budget that was raised covers more at once')
})

t.test('PostgreSQL: a crowd, and a database that is away', async t => {
  if (databases === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  const gateway = await kept(t, {}, await databases.createDatabase())
  const { make, send, spent } = gateway
  await crowd(t, gateway, 'postgres')
  const key = await make({ max_budget: 0.05 })
  t.equal((await send(key, 'paid')).status, 200)
  const before = await spent()
  await databases.stop()
  for (let index = 0; index < 4; index++) t.equal((await send(key, 'paid')).status, 200, 'known keys go on')
  t.equal((await send(key, 'paid')).status, 429, 'and their budgets hold')
  t.equal((await send(`sk-${'0'.repeat(16)}-${'a'.repeat(43)}`, 'paid')).status, 503, 'nobody else is let in')
  await until(() => gateway.lines.join('').includes('spend cannot be written into the database'))
  t.equal(gateway.gateway.journal?.pending, 4)
  t.match(await gateway.gateway.metrics.render(), 'gateway_journal_pending 4')
  await databases.start()
  await until(() => gateway.gateway.journal?.pending === 0, 60_000)
  t.equal(Math.round(((await spent()) - before) * 100), 4, 'all of it came later')
})

t.test('Redis: a crowd over one counter', async t => {
  if (redis === undefined) return t.plan(0, 'no redis-server is installed here')
  const gateway = await kept(t, { store: { redis_url: redis.url } })
  await crowd(t, gateway, 'redis')
  await parallel(t, gateway)
  await failures(t, gateway)
  t.same(gateway.bugs, [])
})
