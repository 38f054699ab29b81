// What keys open and what they do not, on every database that they can be kept in.

import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { parseConfig } from '../src/config/load.ts'
import type { Caller } from '../src/keys/caller.ts'
import { get, post, smallest } from './support/ask.ts'
import { type KeyedGateway, keyedGateway, MASTER_KEY } from './support/keys.ts'
import { temporaryFolder } from './support/process.ts'
import { type PostgresService, postgresService } from './support/services.ts'
import { until } from './support/store.ts'
import { demoUpstream } from './support/upstream.ts'

t.setTimeout(300_000)

let postgres: PostgresService | undefined
t.before(async () => {
  postgres = await postgresService()
})
t.teardown(() => postgres?.remove())

t.test('embedded', async t => contract(t, await keyedGateway(t)))

t.test('PostgreSQL', async t => {
  if (postgres === undefined) return t.plan(0, 'no PostgreSQL is installed here: only the embedded database was tested')
  await contract(t, await keyedGateway(t, { databaseUrl: await postgres.createDatabase() }))
})

async function contract(t: Test, gateway: KeyedGateway): Promise<void> {
  await t.test('a key from its making to its end', t => life(t, gateway))
  await t.test('a rotated key goes on for as long as was said', t => rotation(t, gateway))
  await t.test('models', t => models(t, gateway))
  await t.test('aliases of a key', t => aliases(t, gateway))
  await t.test('blocked, over, from elsewhere, for something else', t => refusals(t, gateway))
  await t.test('each protocol hears it in its own words', t => dialects(t, gateway))
  await t.test('everything above a key binds it', t => hierarchy(t, gateway))
  await t.test('what is above a key ends it', t => above(t, gateway))
  await t.test('keys that were LiteLLM’s', t => litellm(t, gateway))
  await t.test('a call is written down with whose it was, and told to nobody else', t => records(t, gateway))
  await t.test('when a key was last used is written down', t => used(t, gateway))
  t.same(gateway.bugs, [])
}

async function life(t: Test, { manage, chat }: KeyedGateway): Promise<void> {
  const made = await manage('/key/generate', { key_alias: 'life', max_budget: 10, budget_duration: '30d' })
  t.equal(made.status, 200, made.text)
  const key = String(made.json?.['key'])
  t.match(key, /^sk-[0-9a-f]{16}-[0-9a-z]{40,60}$/)
  t.equal((await chat(key)).status, 200)
  for (const name of ['x-api-key', 'api-key']) {
    const { status } = await chat('', 'demo', { authorization: '', [name]: key })
    t.equal(status, 200, name)
  }
  const other = `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`
  t.equal((await chat(other)).status, 401, 'the same id with another secret opens nothing')
  t.match((await manage(`/key/info?key=${key}`)).json, { key, info: { key_alias: 'life', max_budget: 10, spend: 0 } })
  t.match((await manage('/key/info', undefined, key)).json, { info: { key_alias: 'life' } }, 'a key asks about itself')
  t.match((await manage('/key/update', { key, models: ['gpt-4o'] })).json, { key, models: ['gpt-4o'], max_budget: 10 })
  t.equal((await chat(key)).status, 403, 'a change holds at once')
  t.equal((await manage('/key/block', { key })).json?.['blocked'], true)
  const blocked = await chat(key, 'gpt-4o')
  t.match(blocked, { status: 401, json: { error: { message: 'This key is blocked.' } } })
  t.equal((await manage('/key/unblock', { key })).json?.['blocked'], false)
  t.equal((await chat(key, 'gpt-4o')).status, 200)
  t.same((await manage('/key/delete', { keys: [key] })).json, { deleted_keys: [key] })
  t.match(await chat(key, 'gpt-4o'), { status: 401, json: { error: { message: 'This key is not known here.' } } })
  t.equal((await manage(`/key/info?key=${key}`)).status, 404)
}

async function rotation(t: Test, { manage, make, chat }: KeyedGateway): Promise<void> {
  const first = await make({ key_alias: 'rotating', models: ['demo'] })
  await chat(first)
  const rotated = await manage('/key/regenerate', { key: first, grace_period: '2s' })
  const second = String(rotated.json?.['key'])
  t.equal(rotated.status, 200, rotated.text)
  t.not(second, first)
  t.match(rotated.json, { key_alias: 'rotating', models: ['demo'], rotation_count: 1 })
  t.same(await Promise.all([first, second].map(async key => (await chat(key)).status)), [200, 200])
  await wait(2_100)
  t.same(await Promise.all([first, second].map(async key => (await chat(key)).status)), [401, 200])
  const third = await manage(`/key/${second}/regenerate`, {})
  t.equal((await chat(second)).status, 401, 'without a grace the old one ends at once')
  t.equal((await chat(String(third.json?.['key']))).status, 200)
}

async function models(t: Test, { manage, make, chat, url }: KeyedGateway): Promise<void> {
  const key = await make({ models: ['gpt-4o*', 'nick'] })
  const listed = async (headers: Record<string, string>, path = '/v1/models') =>
    (await get(url + path, { authorization: `Bearer ${key}`, ...headers })).json
  t.match(await listed({}), { data: [{ id: 'gpt-4o' }, { id: 'gpt-4o-mini' }, { id: 'nick' }] })
  t.match(await listed({ 'anthropic-version': '2023-06-01' }), { data: { length: 3 } })
  t.match(await listed({}, '/v1beta/models'), { models: { length: 3 } })
  t.match(await listed({}, '/v1/models/demo'), { error: { code: 'key_model_access_denied' } })
  t.match(await listed({}, '/v1/models/gpt-4o'), { id: 'gpt-4o' })
  const refused = await chat(key, 'claude-sonnet-4-5')
  t.match(refused, {
    status: 403,
    json: { error: { message: 'This key may not use the model `claude-sonnet-4-5`.', param: 'model' } }
  })
  t.same((await chat(key, 'gpt-4')).json?.['error'], {
    message: 'This key may not use the model `gpt-4`.',
    type: 'permission_error',
    param: 'model',
    code: 'key_model_access_denied',
    recommendations: ['It may use `gpt-4o`, `gpt-4o-mini`.']
  })
  t.equal((await chat(key, 'gpt-4o-mini')).status, 200)
  t.equal((await chat(key, 'nick')).status, 200, 'an alias by its own name')
  t.equal((await chat(await make({ models: ['demo'] }), 'nick')).status, 200, 'an alias by what it means')
  t.equal((await chat(await make({ models: ['all-proxy-models'] }))).status, 200)
  t.equal((await chat(await make({ models: [] }), 'claude-x')).status, 200, 'no list: all of them')
  await manage('/team/new', { team_id: 'narrow', models: ['gpt-4o'] })
  const narrow = await make({ team_id: 'narrow', models: ['gpt-4o', 'demo'] })
  t.match(await chat(narrow), { status: 403, json: { error: { message: /^The team of this key may not/ } } })
  t.equal((await chat(narrow, 'gpt-4o')).status, 200)
}

async function aliases(t: Test, { make, chat, records }: KeyedGateway): Promise<void> {
  const key = await make({ aliases: { best: 'gpt-4o' }, models: ['gpt-4o'] })
  t.equal((await chat(key, 'best')).status, 200)
  t.equal(records.at(-1)?.route, 'gpt-4o')
  t.equal((await chat(await make(), 'best')).status, 404, 'of nobody else')
}

async function refusals(t: Test, { make, chat, url, manage }: KeyedGateway): Promise<void> {
  const brief = await make({ duration: '1s' })
  t.equal((await chat(brief)).status, 200)
  await wait(1_100)
  t.match(await chat(brief), { status: 401, json: { error: { message: /^This key expired at 20/ } } })
  const far = await make({ allowed_ips: ['10.1.2.3', '192.168.0.0/16', '2001:db8::/32'] })
  t.match(await chat(far), { status: 403, json: { error: { code: 'ip_not_allowed' } } })
  t.equal((await chat(await make({ allowed_ips: ['127.0.0.0/8', '::1'] }))).status, 200)
  const embeds = await make({ allowed_routes: ['/embeddings', '/v1/models*'] })
  t.match(await chat(embeds), { status: 403, json: { error: { code: 'route_not_allowed' } } })
  t.equal((await get(`${url}/v1/models`, { authorization: `Bearer ${embeds}` })).status, 200)
  t.equal(
    (await post(`${url}/v1/embeddings`, { model: 'demo', input: 'hi' }, { authorization: `Bearer ${embeds}` })).status,
    200,
    'with and without /v1 it is one route'
  )
  const openai = await make({ allowed_routes: ['openai_routes'] })
  t.equal((await chat(openai)).status, 200)
  const [path, body] = smallest('anthropic', 'demo')
  t.equal((await post(url + path, body, { 'x-api-key': openai })).status, 403)
  for (const strange of ['sk-', 'sk-x', 'sk-0123456789abcdef-', `sk-${'a'.repeat(600)}`, 'sk-é', "sk-' or 1=1 --"])
    t.equal((await chat(encodeURI(strange))).status, 401, strange)
  t.match((await manage('/key/info?key=sk-nobody')).json, { error: { message: 'There is no key `sk-...body`.' } })
}

async function dialects(t: Test, { make, manage, url }: KeyedGateway): Promise<void> {
  const key = await make({ models: ['gpt-4o'] })
  const ask = (dialect: string, headers: Record<string, string>) => {
    const [path, body] = smallest(dialect, 'demo')
    return post(url + path, body, headers)
  }
  t.match(await ask('anthropic', { 'x-api-key': key }), {
    status: 403,
    json: { type: 'error', error: { type: 'permission_error', message: /may not use the model `demo`/ } }
  })
  t.match(await ask('gemini', { 'x-goog-api-key': key }), {
    status: 403,
    json: { error: { status: 'PERMISSION_DENIED' } }
  })
  t.equal((await ask('openai-responses', { 'api-key': key })).status, 403)
  const [path, body] = smallest('gemini', 'gpt-4o')
  t.equal((await post(`${url}${path}?key=${key}`, body)).status, 200, 'in the address, on Gemini’s routes')
  const chat = smallest('openai-chat', 'gpt-4o')
  t.equal((await post(`${url}${chat[0]}?key=${key}`, chat[1])).status, 401, 'and on no other')
  await manage('/key/block', { key })
  t.equal((await ask('anthropic', { 'x-api-key': key })).status, 401)
  const claude = { 'x-api-key': key, 'user-agent': 'claude-cli/2.0.1 (external, cli)' }
  t.equal((await ask('anthropic', claude)).status, 403, 'Claude Code would try a 401 ten times')
}

async function callerOf({ keyring }: KeyedGateway, key: string): Promise<Caller> {
  const caller = await keyring.find(key)
  if (caller instanceof Failure) throw new Error(caller.message)
  return caller
}

async function hierarchy(t: Test, gateway: KeyedGateway): Promise<void> {
  const { manage, make } = gateway
  await manage('/budget/new', { budget_id: 'shared', max_budget: 7, budget_duration: '1mo', rpm_limit: 9 })
  await manage('/organization/new', { organization_id: 'org', max_budget: 1000, tpm_limit: 5_000 })
  await manage('/team/new', { team_id: 'team', organization_id: 'org', max_budget: 100, budget_duration: '1d' })
  await manage('/user/new', { user_id: 'ann', auto_create_key: false, rpm_limit: 10, rpd_limit: 500 })
  await manage('/tag/new', { name: 'batch', max_parallel_requests: 2 })
  const key = await make({
    team_id: 'team',
    user_id: 'ann',
    tags: ['batch', 'unlimited'],
    budget_id: 'shared',
    rpm_limit: 12,
    max_budget: 3,
    budget_limits: [{ budget_duration: '1d', max_budget: 0.5 }],
    model_max_budget: { 'gpt-4o': { budget_limit: 1, time_period: '1w', rpm_limit: 4 } }
  })
  const caller = await callerOf(gateway, key)
  const { id } = caller
  t.match(caller, { master: false, teamId: 'team', userId: 'ann', organizationId: 'org', tags: ['batch', 'unlimited'] })
  const told = caller.bounds.map(({ budgets, ...bound }) => ({ ...bound, budgets: budgets.map(({ limit }) => limit) }))
  t.same(told, [
    { scope: 'key', id, requestsPerMinute: 9, budgets: [500_000_000n, 7_000_000_000n, 3_000_000_000n] },
    { scope: 'key', id, model: 'gpt-4o', requestsPerMinute: 4, budgets: [1_000_000_000n] },
    { scope: 'user', id: 'ann', requestsPerMinute: 10, requestsPerDay: 500, budgets: [] },
    { scope: 'team', id: 'team', budgets: [100_000_000_000n] },
    { scope: 'organization', id: 'org', tokensPerMinute: 5_000, budgets: [1_000_000_000_000n] },
    { scope: 'tag', id: 'batch', parallel: 2, budgets: [] }
  ])
  await manage('/team/update', { team_id: 'team', max_budget: 50 })
  const [limit] = (await callerOf(gateway, key)).bounds.find(({ scope }) => scope === 'team')?.budgets ?? []
  t.equal(limit?.limit, 50_000_000_000n, 'what changes above holds at once too')
  await manage('/budget/update', { budget_id: 'shared', rpm_limit: 2 })
  t.equal((await callerOf(gateway, key)).bounds[0]?.requestsPerMinute, 2)
}

async function above(t: Test, { manage, make, chat }: KeyedGateway): Promise<void> {
  await manage('/organization/new', { organization_id: 'gone-org' })
  await manage('/team/new', { team_id: 'gone', organization_id: 'gone-org' })
  await manage('/user/new', { user_id: 'gone-user', auto_create_key: false })
  const key = await make({ team_id: 'gone', user_id: 'gone-user' })
  t.equal((await chat(key)).status, 200)
  await manage('/team/block', { team_id: 'gone' })
  t.match(await chat(key), { status: 401, json: { error: { message: 'The team of this key is blocked.' } } })
  await manage('/team/unblock', { team_id: 'gone' })
  await manage('/user/update', { user_id: 'gone-user', blocked: true })
  t.match(await chat(key), { status: 401, json: { error: { message: 'The user of this key is blocked.' } } })
  await manage('/user/update', { user_id: 'gone-user', blocked: false })
  await manage('/organization/update', { organization_id: 'gone-org', blocked: true }, undefined, 'PATCH')
  t.match(await chat(key), { status: 401, json: { error: { message: 'The organization of this key is blocked.' } } })
  await manage('/organization/update', { organization_id: 'gone-org', blocked: false }, undefined, 'PATCH')
  t.equal((await chat(key)).status, 200)
  t.equal((await manage('/organization/delete', { organization_ids: ['gone-org'] }, undefined, 'DELETE')).status, 409)
  t.same((await manage('/team/delete', { team_ids: ['gone'] })).json, { deleted_teams: ['gone'] })
  t.equal((await chat(key)).status, 401, 'a key does not outlive its team')
}

async function litellm(t: Test, { manage, make, chat, store }: KeyedGateway): Promise<void> {
  const own = `sk-my-own-${Date.now()}-value`
  t.equal((await manage('/key/generate', { key: own, key_alias: 'own' })).json?.['key'], own)
  t.equal((await chat(own)).status, 200)
  const rows = await store.query('select litellm_hash, hash from sluice.keys where alias = $1', ['own'])
  t.match(rows, [{ litellm_hash: hash('sha256', own), hash: null }])
  t.equal((await manage(`/key/info?key=${hash('sha256', own)}`)).status, 200, 'by LiteLLM’s hash')
  const next = String((await manage('/key/regenerate', { key: own, grace_period: '1s' })).json?.['key'])
  t.match(next, /^sk-[0-9a-f]{16}-/)
  t.same([(await chat(own)).status, (await chat(next)).status], [200, 200])
  await wait(1_100)
  t.same([(await chat(own)).status, (await chat(next)).status], [401, 200])
  t.equal((await manage('/key/generate', { key: MASTER_KEY })).status, 400)
  t.equal((await manage('/key/generate', { key: 'sk-short' })).status, 400)
  t.equal((await manage('/key/generate', { key: own })).status, 409, 'one value, one key')
  // What a row of LiteLLM's own table says, without the key.
  const imported = `sk-${'i'.repeat(22)}`
  const answer = await manage('/key/import', {
    keys: [
      { token: hash('sha256', imported), key_name: 'sk-...iiii', key_alias: 'from afar', models: ['demo'], spend: 2 }
    ]
  })
  t.match(answer, { status: 200, json: { imported: 1 } }, answer.text)
  t.equal((await chat(imported)).status, 200)
  t.equal((await chat(imported, 'gpt-4o')).status, 403)
  t.match((await manage('/key/import', { keys: [{ token: 'x' }] })).json, { error: { param: 'keys[0].token' } })
  await make()
}

async function records(t: Test, { manage, make, chat, url, records }: KeyedGateway): Promise<void> {
  await manage('/team/new', { team_id: 'recorded' })
  const key = await make({ team_id: 'recorded', user_id: 'bob', key_alias: 'recorded' })
  const stranger = await make({ team_id: 'recorded' })
  const id = String((await chat(key)).headers['x-task-id'])
  const record = records.find(item => item.id === id)
  t.match(record, { keyAlias: 'recorded', teamId: 'recorded', userId: 'bob', keyId: key.slice(3, 19) })
  const look = async (as: string) => (await get(`${url}/calls/${id}`, { authorization: `Bearer ${as}` })).status
  t.same([await look(key), await look(stranger), await look(MASTER_KEY)], [200, 404, 200])
  t.equal(
    records.some(item => JSON.stringify(item).includes(key)),
    false
  )
  await chat(MASTER_KEY)
  t.equal(records.at(-1)?.keyId, undefined, 'the administrator is nobody’s key')
}

async function used(t: Test, { make, chat, keyring, store }: KeyedGateway): Promise<void> {
  const key = await make({ key_alias: 'used' })
  await chat(key)
  const at = async () =>
    (await store.query('select last_used_at from sluice.keys where alias = $1', ['used'])) as { last_used_at: Date }[]
  t.match(await at(), [{ last_used_at: null }])
  await keyring.touch()
  t.match(await at(), [{ last_used_at: Date }])
}

t.test('what the file says besides', async t => {
  const gateway = await keyedGateway(t)
  await t.test('byte-for-byte routes ask for a key too', t => passed(t, gateway))
  await t.test('groups of models', t => grouped(t, gateway))
  await t.test('keys that the file declares', t => declared(t, gateway))
  t.same(gateway.bugs, [])
})

async function passed(t: Test, gateway: KeyedGateway): Promise<void> {
  const upstream = await demoUpstream()
  t.teardown(() => upstream.close())
  gateway.reload({
    auth: { master_key: MASTER_KEY },
    passthrough: { files: { target: upstream.url } },
    model_list: [{ model_name: 'img', provider: 'custom', api_base: `${upstream.url}/v1`, dialect: 'openai-chat' }]
  })
  const { make, url } = gateway
  const ask = async (key: string, path: string, body: object) =>
    (await post(url + path, body, { authorization: `Bearer ${key}` })).status
  const chat = { model: 'img', messages: [{ role: 'user', content: 'hi' }] }
  const all = await make()
  t.equal(await ask('sk-0000000000000000-nobody', '/passthrough/files/v1/chat/completions', chat), 401)
  t.equal(await ask(all, '/passthrough/files/v1/chat/completions', chat), 200)
  const some = await make({ models: ['img'] })
  t.equal(await ask(some, '/passthrough/files/v1/chat/completions', chat), 403, 'nothing says which model it would be')
  const both = await make({ models: ['img'], allowed_routes: ['/passthrough/files/*'] })
  t.equal(await ask(both, '/passthrough/files/v1/chat/completions', chat), 200)
  t.equal(await ask(await make({ models: ['other'] }), '/v1/images/generations', { model: 'img', prompt: 'x' }), 403)
  t.equal(gateway.bugs.length, 0)
}

async function grouped(t: Test, gateway: KeyedGateway): Promise<void> {
  const demo = (model_name: string, access_groups: string[] = []) => ({ model_name, provider: 'demo', access_groups })
  const model_list = [demo('one', ['beta']), demo('two', ['beta', 'big']), demo('three'), demo('wild-*', ['beta'])]
  gateway.reload({ auth: { master_key: MASTER_KEY }, model_list, aliases: { uno: 'one' } })
  const { make, chat, url } = gateway
  const key = await make({ models: ['beta', 'three'] })
  const asked = ['one', 'two', 'three', 'wild-9', 'uno']
  t.same(await Promise.all(asked.map(async name => (await chat(key, name)).status)), [200, 200, 200, 200, 200])
  const big = await make({ models: ['big'] })
  t.same(await Promise.all(asked.map(async name => (await chat(big, name)).status)), [403, 200, 403, 403, 403])
  const { json } = await get(`${url}/v1/models`, { authorization: `Bearer ${big}` })
  t.match(json, { data: [{ id: 'two' }] })
  const litellm = parseConfig(
    'model_list: [{model_name: a, litellm_params: {model: openai/x}, model_info: {access_groups: [beta]}}]',
    'config.yaml',
    { env: {} }
  )
  t.same(litellm.ok && litellm.loaded.config.model_list[0]?.access_groups, ['beta'], 'as LiteLLM’s file says them')
}

async function declared(t: Test, gateway: KeyedGateway): Promise<void> {
  const auth = { master_key: MASTER_KEY }
  const model_list = [
    { model_name: 'demo', provider: 'demo' },
    { model_name: 'other', provider: 'demo' }
  ]
  const entry = (alias: string, key: string, more: object = {}) => ({ alias, hash: hash('sha256', key), ...more })
  const [ci, dev, third] = ['ci', 'dev', 'third'].map(name => `sk-${name}-0123456789012345678901234567`)
  if (ci === undefined || dev === undefined || third === undefined) throw new Error('no keys')
  const keys = [entry('ci', ci, { models: ['demo'], max_budget: 5, budget_duration: '1d', rpm_limit: 9 })]
  const { chat, manage, reload, logged } = gateway
  reload({ auth, model_list, keys })
  const status = async (key: string, model = 'demo') => (await chat(key, model)).status
  await until(async () => (await status(ci)) === 200)
  t.equal(await status(ci, 'other'), 403)
  t.match((await manage(`/key/info?key=${ci}`)).json, {
    info: { key_alias: 'ci', max_budget: 5, budget_duration: '1d', rpm_limit: 9, created_by: 'gateway.yaml' }
  })
  t.equal(await status(dev), 401)
  reload({ auth, model_list, keys: [entry('ci', ci), entry('dev', dev, { expires: '2020-01-01' })] })
  await until(async () => (await status(ci, 'other')) === 200)
  t.match((await manage('/key/info?key=ci')).json, {
    info: { max_budget: null, rpm_limit: null, models: { length: 0 } }
  })
  await until(async () => /expired at 2020/.test((await chat(dev)).text))
  const wrong = [entry('dev', dev), entry('lost', third, { team_id: 'no-such-team' })]
  reload({ auth, model_list, keys: wrong })
  await until(async () => (await status(dev)) === 200)
  t.equal(await status(ci), 401, 'what is not declared any more opens nothing')
  await until(() => logged.some(line => /the key lost of gateway\.yaml was not added: It refers to/.test(line)))
  t.equal(await status(third), 401)
  for (const [path, body] of [
    ['/key/update', { key: dev, max_budget: 100 }],
    ['/key/delete', { keys: [dev] }],
    ['/key/regenerate', { key: dev }]
  ] as const)
    t.match(await manage(path, body), { status: 400, json: { error: { message: /declared in gateway.yaml/ } } }, path)
  t.equal((await manage('/key/block', { key: dev })).status, 200, 'in an emergency it can be blocked')
  t.equal(await status(dev), 401)
  const { text } = await manage('/audit?changed_by=gateway.yaml')
  const actions = [...text.matchAll(/"action":"(\w+)"/g)].map(([, action]) => action)
  t.same(actions, ['update', 'delete', 'create', 'update', 'create'], 'newest first')
  t.same(gateway.bugs, [])
}

t.test('the pepper and the database hold no key', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const gateway = await keyedGateway(t, { dataDir: folder.path })
  const key = await gateway.make({ key_alias: 'hidden', metadata: { note: 'x' } })
  await gateway.chat(key)
  await gateway.manage('/key/update', { key, max_budget: 1 })
  await gateway.manage('/key/info?key=sk-0000000000000000-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz')
  const secret = key.slice(20)
  const rotated = String((await gateway.manage('/key/regenerate', { key })).json?.['key']).slice(20)
  await gateway.store.query('checkpoint')
  const files = readdirSync(folder.path, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  t.ok(files.length > 50)
  for (const file of files) {
    const bytes = readFileSync(join(file.parentPath, file.name))
    if (bytes.includes(secret) || bytes.includes(rotated)) t.fail(`${file.name} holds a key`)
  }
  const { text } = await get(`${gateway.url}/metrics`)
  t.notMatch(text, secret)
  t.notMatch(text, key.slice(3, 19), 'not even its id')
  t.notMatch((await get(`${gateway.url}/health`)).text, key.slice(3, 19))
  t.notMatch(gateway.logged.join('\n'), secret)
})

t.test('keys outlive the gateway', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const first = await keyedGateway(t, { dataDir: folder.path })
  const key = await first.make()
  await first.close()
  const second = await keyedGateway(t, { dataDir: folder.path })
  t.equal((await second.chat(key)).status, 200)
})

t.test('two gateways on one database', async t => {
  if (postgres === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  const databaseUrl = await postgres.createDatabase()
  const one = await keyedGateway(t, { databaseUrl })
  const two = await keyedGateway(t, { databaseUrl })
  const key = await one.make()
  t.equal((await two.chat(key)).status, 200)
  const began = performance.now()
  await one.manage('/key/block', { key })
  while ((await two.chat(key)).status === 200 && performance.now() - began < 5_000) await wait(5)
  const milliseconds = performance.now() - began
  t.ok(milliseconds < 500, `the other one knows after ${Math.round(milliseconds)} ms`)
  const unknown = await two.chat('sk-0123456789abcdef-unknownunknownunknownunknownunknownunknown')
  t.equal(unknown.status, 401)
  t.equal((await two.manage('/key/unblock', { key })).status, 200)
  await wait(200)
  t.equal((await one.chat(key)).status, 200)
})

t.test('explain says whether a key may use a model, and what it calls so', async t => {
  const gateway = await keyedGateway(t)
  const narrow = await gateway.make({ models: ['gpt-4o-mini'], aliases: { small: 'gpt-4o-mini' } })
  const ask = (model: string, key: string) => gateway.manage('/admin/explain', { model, key })
  t.match((await ask('gpt-4o-mini', narrow)).json, { entry: 'gpt-4o-mini', key: { allowed: true } })
  t.match((await ask('gpt-4o', narrow)).json, {
    entry: 'gpt-4o',
    key: { allowed: false, text: /may not use the model `gpt-4o`.* It may use `gpt-4o-mini`/ }
  })
  t.match((await ask('small', narrow)).json, {
    entry: 'gpt-4o-mini',
    key: { allowed: true, text: /means `gpt-4o-mini`/ }
  })
  t.match((await ask('gpt-4o', MASTER_KEY)).json, { key: { allowed: true } })
  t.match((await ask('gpt-4o', 'sk-nobody')).json, { key: { allowed: false, text: /not known here/ } })
  t.equal((await gateway.manage('/key/block', { key: narrow })).status, 200)
  t.match((await ask('gpt-4o-mini', narrow)).json, { key: { allowed: false, text: /is blocked/ } })
  const refused = await gateway.manage('/admin/explain', { model: 'gpt-4o' }, await gateway.make())
  t.equal(refused.status, 403, 'the administrator alone may ask')
  t.notMatch((await ask('gpt-4o', narrow)).text, narrow)
})
