// The administrator's routes: who may use them, what they make of a body, and what they write down.

import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ADMIN_ROUTES } from '../src/server/admin/routes.ts'
import { insertCalls } from '../src/store/spend.ts'
import { testGateway } from './support/app.ts'
import { post } from './support/ask.ts'
import { type KeyedGateway, keyedGateway, MASTER_KEY } from './support/keys.ts'
import { good } from './support/store.ts'

t.setTimeout(600_000)

const NASTY = [
  "'; drop table sluice.keys; --",
  '" or 1=1 --',
  "\\'; select pg_sleep(9); --",
  '{"$gt":""}',
  'ünïcödé 🚀 \u202e',
  '../../etc/passwd',
  '__proto__',
  'constructor'
]

t.test('the administrator’s routes', async t => {
  const gateway = await keyedGateway(t)
  await t.test('nobody else may use them', t => strangers(t, gateway))
  await t.test('a body that is wrong is told which field', t => wrong(t, gateway))
  await t.test('texts that look like SQL are texts', t => nasty(t, gateway))
  await t.test('teams and who belongs to them', t => teams(t, gateway))
  await t.test('users, with a key and without', t => users(t, gateway))
  await t.test('budgets that are shared, customers, tags, organizations', t => owners(t, gateway))
  await t.test('budgets of a key are changed one by one', t => budgets(t, gateway))
  await t.test('lists have pages', t => pages(t, gateway))
  await t.test('every change is written down', t => audit(t, gateway))
  await t.test('what was spent is told to whoever spent it', t => spend(t, gateway))
  await t.test('any body at all gets an answer', t => fuzz(t, gateway))
  t.same(gateway.bugs, [])
})

async function strangers(t: Test, { manage, make, url }: KeyedGateway): Promise<void> {
  const key = await make({ key_alias: 'stranger' })
  for (const { method, path, own } of ADMIN_ROUTES) {
    const address = path.replace(':key', 'stranger')
    const body = method === 'GET' ? undefined : {}
    const verb = method === 'POST' ? undefined : method
    const nobody = await manage(address, body, 'sk-0123456789abcdef-nobodynobodynobodynobodynobodynobodynobody', verb)
    t.equal(nobody.status, 401, `${method} ${path} without a key that is known`)
    const { status } = await manage(address, body, key, verb)
    if (own) t.notMatch([401, 404, 500], status)
    else t.equal(status, 403, `${method} ${path} with an ordinary key`)
  }
  const other = await make()
  t.equal((await manage(`/key/info?key=${other}`, undefined, key)).status, 403, 'of another key nothing is told')
  t.equal((await manage('/key/info?key=no-such-key', undefined, key)).status, 403, 'nor whether there is one')
  t.equal((await post(`${url}/key/generate`, {})).status, 401)
  const page = await post(`${url}/key/generate`, {}, { authorization: `Bearer ${key}`, origin: 'http://evil.example' })
  t.equal(page.status, 403)
}

async function wrong(t: Test, { manage, make }: KeyedGateway): Promise<void> {
  const key = await make()
  const cases: [path: string, body: object | string, field: string | undefined, message: RegExp][] = [
    ['/key/generate', '[]', undefined, /must be a JSON object/],
    ['/key/generate', '{', undefined, /must be a JSON object/],
    ['/key/generate', { modles: ['a'] }, 'modles', /There is no field `modles` here/],
    ['/key/generate', { models: 'a' }, 'models', /must be a list of texts/],
    ['/key/generate', { models: [1] }, 'models', /must be a list of texts/],
    ['/key/generate', { max_budget: -1 }, 'max_budget', /must be dollars from 0/],
    ['/key/generate', { max_budget: '10' }, 'max_budget', /must be a number/],
    ['/key/generate', { budget_duration: '3 moons', max_budget: 1 }, 'budget_duration', /cannot last `3 moons`/],
    ['/key/generate', { duration: 'soon' }, 'duration', /must be a time such as 30s/],
    ['/key/generate', { rpm_limit: 1.5 }, 'rpm_limit', /must be a whole number/],
    ['/key/generate', { rpm_limit: 1e300 }, 'rpm_limit', /must be a whole number/],
    ['/key/generate', { allowed_ips: ['10.0.0.0/33'] }, 'allowed_ips', /neither an address nor a range/],
    ['/key/generate', { allowed_ips: ['fe80::1%eth0'] }, 'allowed_ips', /neither an address nor a range/],
    ['/key/generate', { aliases: { a: 1 } }, 'aliases', /`aliases` is/],
    ['/key/generate', { key_alias: 'a\u0000b' }, 'key_alias', /cannot be stored/],
    ['/key/generate', { key_alias: 'x'.repeat(600) }, 'key_alias', /not be longer/],
    ['/key/generate', { metadata: { a: '\u0000' } }, 'metadata', /cannot be stored/],
    ['/key/generate', { guardrails: ['pii'] }, 'guardrails', /not enforced here/],
    ['/key/generate', { hooks: ['token-cap'] }, 'hooks', /not enforced here/],
    ['/key/generate', { team_id: 'no-such-team' }, 'team_id', /refers to something that is not there/],
    ['/key/generate', { model_max_budget: { a: 'b' } }, 'model_max_budget', /Each of `model_max_budget`/],
    ['/key/update', {}, 'key', /`key` is missing/],
    ['/key/update', { key, temp_budget_increase: 5 }, 'temp_budget_expiry', /belong together/],
    ['/key/delete', {}, 'keys', /Say which/],
    ['/key/delete', { keys: [key, 'no-such-key'] }, 'key', /There is no key `no-such-key`/],
    ['/team/update', { team_id: 'nowhere' }, 'team_id', /There is no team/],
    ['/team/member_add', { team_id: 'nowhere', member: { role: 'king', user_id: 'a' } }, 'role', /must be one of/],
    ['/customer/new', {}, 'user_id', /is missing/],
    ['/user/new', { user_role: 'god' }, 'user_role', /must be one of/]
  ]
  for (const [path, body, field, message] of cases) {
    const { status, json } = await manage(path, body)
    t.ok(status >= 400 && status < 500, `${path} ${JSON.stringify(body).slice(0, 60)}: ${status}`)
    t.match(json, { error: { message, param: field ?? null } })
  }
  t.equal((await manage(`/key/info?key=${key}`)).status, 200, 'what was to be deleted with one that is not there stays')
  const large = await manage('/key/generate', { metadata: { text: 'x'.repeat(1_100_000) } })
  t.equal(large.status, 413)
  t.match((await manage('/key/list?size=101')).json, { error: { param: 'size' } })
  t.match((await manage('/key/list?page=0')).json, { error: { param: 'page' } })
  t.equal((await manage('/key/generate', { guardrails: [], permissions: {}, send_invite_email: true })).status, 200)
}

async function nasty(t: Test, { manage, store }: KeyedGateway): Promise<void> {
  const before = good(await store.query('select count(*)::integer as keys from sluice.keys', []))
  for (const [index, text] of NASTY.entries()) {
    const alias = `${text} ${index}`
    const made = await manage('/key/generate', {
      key_alias: alias,
      models: [text],
      user_id: text,
      tags: [text],
      aliases: { [text]: text },
      metadata: { [text]: text },
      allowed_routes: [text],
      model_max_budget: { [text]: { budget_limit: 1 } }
    })
    t.equal(made.status, 200, made.text)
    const id = String(made.json?.['token'])
    const found = (await manage(`/key/info?${new URLSearchParams({ key: alias })}`)).json
    t.match(found, { info: { token: id, user_id: text, models: [text], tags: [text], key_alias: alias } })
    for (const path of [
      '/key/list',
      '/team/list',
      '/user/list',
      '/tag/list',
      '/spend/logs',
      '/spend/report',
      '/audit'
    ]) {
      for (const name of [
        'search',
        'user_id',
        'team_id',
        'key_alias',
        'api_key',
        'group_by',
        'cursor',
        'page',
        'object_id'
      ]) {
        const { status } = await manage(`${path}?${new URLSearchParams({ [name]: text })}`)
        if (status >= 500) t.fail(`${path}?${name}=${text}: ${status}`)
      }
    }
    t.equal((await manage('/team/new', { team_id: alias, team_alias: text })).status, 200)
    t.equal((await manage('/team/delete', { team_ids: [alias] })).status, 200)
    t.equal((await manage('/key/delete', { key_aliases: [alias] })).status, 200)
  }
  t.same(good(await store.query('select count(*)::integer as keys from sluice.keys', [])), before)
}

async function teams(t: Test, { manage, make }: KeyedGateway): Promise<void> {
  await manage('/user/new', { user_id: 'mia', user_email: 'mia@example.com', auto_create_key: false })
  const made = await manage('/team/new', {
    team_id: 'blue',
    team_alias: 'Blue',
    max_budget: 20,
    budget_duration: '1mo',
    tpm_limit: 1_000,
    members_with_roles: [{ role: 'admin', user_id: 'leo' }]
  })
  t.match(made.json, { team_id: 'blue', max_budget: 20, budget_duration: '1mo', tpm_limit: 1_000, spend: 0 })
  t.same(made.json?.['members_with_roles'], [{ user_id: 'leo', role: 'admin' }])
  const added = await manage('/team/member_add', {
    team_id: 'blue',
    member: { role: 'user', user_email: 'mia@example.com' }
  })
  t.match(added.json, { members_with_roles: [{ user_id: 'leo' }, { user_id: 'mia', role: 'user' }] })
  t.equal((await manage('/team/member_add', { team_id: 'blue', member: { user_email: 'no@example.com' } })).status, 404)
  const promoted = await manage('/team/member_update', { team_id: 'blue', user_id: 'mia', role: 'admin' })
  t.match(promoted.json, { members_with_roles: [{ user_id: 'leo' }, { user_id: 'mia', role: 'admin' }] })
  const left = await manage('/team/member_delete', { team_id: 'blue', user_id: 'leo' })
  t.same(left.json?.['members_with_roles'], [{ user_id: 'mia', role: 'admin' }])
  t.equal((await manage('/team/member_delete', { team_id: 'blue', user_id: 'leo' })).status, 404)
  await make({ team_id: 'blue', key_alias: 'blue key' })
  const info = (await manage('/team/info?team_id=blue')).json
  t.match(info, { team_id: 'blue', team_info: { team_alias: 'Blue' }, keys: [{ key_alias: 'blue key' }] })
  await manage('/team/update', { team_id: 'blue', tpm_limit: null, models: ['demo'] })
  t.match((await manage('/team/info?team_id=blue')).json, {
    team_info: { tpm_limit: null, models: ['demo'], max_budget: 20 }
  })
  t.equal((await manage('/team/new', { team_id: 'blue' })).status, 409)
}

async function users(t: Test, { manage, chat }: KeyedGateway): Promise<void> {
  await manage('/team/new', { team_id: 'green' })
  const made = await manage('/user/new', { user_id: 'ida', user_role: 'internal_user', teams: ['green'], rpm_limit: 7 })
  t.match(made.json, { user_id: 'ida', rpm_limit: 7, key: /^sk-/, teams: ['green'] })
  t.equal((await chat(String(made.json?.['key']))).status, 200)
  const info = (await manage('/user/info?user_id=ida')).json
  t.match(info, { user_info: { user_role: 'internal_user' }, keys: { length: 1 }, teams: [{ team_id: 'green' }] })
  t.match((await manage('/user/list?search=IDA')).json, { users: [{ user_id: 'ida' }], total: 1 })
  const none = await manage('/user/new', { user_id: 'ben', auto_create_key: false, teams: ['no-such-team'] })
  t.equal(none.status, 409)
  t.equal((await manage('/user/info?user_id=ben')).status, 404, 'all of it or nothing')
  t.same((await manage('/user/delete', { user_ids: ['ida'] })).json, { deleted_users: ['ida'] })
  t.equal((await chat(String(made.json?.['key']))).status, 401, 'with their keys')
  t.same((await manage('/team/info?team_id=green')).json?.['keys'], [])
}

async function owners(t: Test, { manage, make }: KeyedGateway): Promise<void> {
  const plan = await manage('/budget/new', { budget_id: 'gold', max_budget: 5, budget_duration: '1d', rpm_limit: 3 })
  t.match(plan.json, { budget_id: 'gold', max_budget: 5, budget_duration: '1d', rpm_limit: 3 })
  t.match((await manage('/budget/info', { budgets: ['gold'] })).text, /gold/)
  const key = await make({ budget_id: 'gold', key_alias: 'golden' })
  t.match((await manage(`/key/info?key=${key}`)).json, {
    info: { litellm_budget_table: { budget_id: 'gold', max_budget: 5 } }
  })
  t.equal((await manage('/budget/delete', { id: 'gold' })).status, 409, 'somebody uses it')
  await manage('/key/delete', { keys: [key] })
  t.equal((await manage('/budget/delete', { id: 'gold' })).status, 200)
  t.match((await manage('/customer/new', { user_id: 'acme', max_budget: 1, alias: 'ACME' })).json, { user_id: 'acme' })
  t.match((await manage('/end_user/info?end_user_id=acme')).json, { user_id: 'acme', alias: 'ACME', max_budget: 1 })
  t.match((await manage('/customer/block', { user_ids: ['acme'] })).json, { blocked_users: [{ blocked: true }] })
  t.match((await manage('/customer/update', { user_id: 'acme', default_model: 'demo' })).json, {
    blocked: true,
    default_model: 'demo'
  })
  t.equal((await manage('/customer/delete', { user_ids: ['acme'] })).status, 200)
  await manage('/tag/new', { name: 'nightly', description: 'at night', max_budget: 2 })
  t.match((await manage('/tag/info', { names: ['nightly'] })).text, /at night/)
  t.equal((await manage('/tag/delete', { name: 'nightly' })).status, 200)
  await manage('/organization/new', { organization_id: 'acme-inc', organization_alias: 'ACME Inc', models: ['demo'] })
  const changed = await manage('/organization/update', { organization_id: 'acme-inc', models: [] }, undefined, 'PATCH')
  t.match(changed.json, { organization_alias: 'ACME Inc', models: { length: 0 } })
  t.match((await manage('/organization/list')).text, /acme-inc/)
}

async function budgets(t: Test, { manage, make }: KeyedGateway): Promise<void> {
  const key = await make({
    max_budget: 10,
    budget_duration: '30d',
    budget_limits: [{ budget_duration: '1d', max_budget: 1 }],
    model_max_budget: { 'gpt-4o': { budget_limit: 3, time_period: '1w' } },
    soft_budget: 5
  })
  const change = async (fields: object) => (await manage('/key/update', { key, ...fields })).json
  t.match(await change({ max_budget: 20 }), {
    max_budget: 20,
    budget_duration: '30d',
    soft_budget: 5,
    budget_limits: [{ budget_duration: '1d', max_budget: 1 }],
    model_max_budget: { 'gpt-4o': { budget_limit: 3 } }
  })
  t.match(await change({ budget_limits: [] }), { max_budget: 20, budget_limits: { length: 0 } })
  t.match(await change({ budget_duration: '1d' }), { max_budget: 20, budget_duration: '1d' })
  t.match(await change({ max_budget: null }), { max_budget: null, model_max_budget: { 'gpt-4o': {} } })
  t.match(await change({ model_max_budget: {} }), { model_max_budget: {} })
  t.match(await change({ max_budget: 2, budget_duration: '1d' }), { max_budget: 2 })
  const until = new Date(Date.now() + 3_600_000).toISOString()
  t.match(await change({ temp_budget_increase: 5, temp_budget_expiry: until }), { max_budget: 7 }, 'more for a while')
  t.match((await manage(`/key/${key}/reset_spend`, { reset_to: 1.5 })).json, { spend: 1.5 })
}

async function pages(t: Test, { manage, make }: KeyedGateway): Promise<void> {
  await manage('/team/new', { team_id: 'many' })
  for (let index = 0; index < 23; index++) await make({ team_id: 'many', key_alias: `many ${index}` })
  const seen = new Set<unknown>()
  for (const page of [1, 2, 3]) {
    const { json } = await manage(`/key/list?team_id=many&size=10&page=${page}`)
    t.match(json, { total_count: 23, total_pages: 3, current_page: page })
    const ids = json?.['keys']
    if (Array.isArray(ids)) for (const id of ids) seen.add(id)
  }
  t.equal(seen.size, 23)
  t.match((await manage('/key/list?search=MANY%2017&return_full_object=true')).json, {
    keys: [{ key_alias: 'many 17' }]
  })
}

async function audit(t: Test, { manage, make, store }: KeyedGateway): Promise<void> {
  const key = await make({ key_alias: 'watched', max_budget: 1 })
  const id = key.slice(3, 19)
  await manage('/key/update', { key, max_budget: 2 })
  await manage('/key/block', { key })
  await manage('/key/regenerate', { key })
  await manage('/key/delete', { key_aliases: ['watched'] })
  await manage('/key/update', { key: 'no-such-key', max_budget: 2 })
  const { json } = await manage(`/audit?object_id=${id}`)
  const logs = json?.['audit_logs'] as { action: string; changed_by: string; ip: string }[]
  t.same(
    logs.map(({ action }) => action),
    ['delete', 'rotate', 'block', 'update', 'create']
  )
  t.match(logs[0], { changed_by: 'master', ip: '127.0.0.1', table_name: 'key' })
  t.match(logs[2], { before_value: { blocked: false }, updated_values: { blocked: true } })
  const all = JSON.stringify(good(await store.query('select before, after from sluice.audit_log', [])))
  t.notMatch(all, key.slice(20))
  t.notMatch(all, /hash/i)
}

async function spend(t: Test, { manage, make, store }: KeyedGateway): Promise<void> {
  const [mine, yours] = [await make({ key_alias: 'mine' }), await make({ key_alias: 'yours' })]
  const at = new Date('2026-03-14T12:00:00Z')
  const call = (key: string, number: number) => ({
    callId: `${key.slice(3, 19)}-${number}`,
    settledAt: at,
    startedAt: at,
    durationMs: 1,
    route: '/v1/chat/completions',
    requestedModel: 'demo',
    model: 'demo',
    status: 'success' as const,
    inputTokens: 10,
    outputTokens: 5,
    costNano: 2_000_000_000n,
    keyId: key.slice(3, 19),
    userId: 'zoe',
    tags: ['batch']
  })
  good(await insertCalls(store, [call(mine, 1), call(mine, 2), call(yours, 1)]))
  const logs = async (query: string, key?: string) =>
    JSON.parse((await manage(`/spend/logs${query}`, undefined, key)).text) as Record<string, unknown>[]
  t.equal((await logs('')).length, 3)
  t.equal((await logs('?api_key=mine')).length, 2)
  t.same(new Set((await logs('', mine)).map(row => row['api_key'])), new Set([mine.slice(3, 19)]))
  t.same(await logs(`?request_id=${yours.slice(3, 19)}-1`, mine), [], 'of others’ calls a key hears nothing')
  t.match(await logs('?start_date=2026-03-14&end_date=2026-03-14'), [
    { startTime: '2026-03-14', spend: 6, users: { zoe: 6 }, models: { demo: 6 } }
  ])
  t.match((await manage('/spend/logs/v2?page_size=2&page=2')).json, { total: 3, total_pages: 2, data: { length: 1 } })
  const report = async (query: string, key?: string) =>
    (await manage(`/spend/report?start_date=2026-03-01&end_date=2026-03-31&${query}`, undefined, key)).json
  t.match(await report('group_by=key'), { data: [{ id: mine.slice(3, 19), spend: 4, requests: 2 }, { spend: 2 }] })
  t.match(await report('group_by=day', yours), { data: [{ id: '2026-03-14', spend: 2 }] })
  t.match(await report('group_by=key', yours), { data: { length: 1 } })
  t.match((await manage('/spend/keys')).text, /"key_alias":"mine"/)
  t.match((await manage('/spend/tags')).text, /"individual_request_tag":"batch","log_count":3,"total_spend":6/)
  t.match((await manage('/global/spend')).json, { spend: 6 })
  t.match((await manage(`/key/info?key=${mine}`)).json, { info: { spend: 4 } })
}

async function fuzz(t: Test, { manage }: KeyedGateway): Promise<void> {
  const names =
    `key keys models max_budget budget_duration budget_limits model_max_budget duration rpm_limit tpm_limit metadata tags
    aliases allowed_ips allowed_routes team_id user_id blocked key_alias budget_id members_with_roles member user_ids page size
    start_date group_by model_rpm_limit soft_budget temp_budget_increase temp_budget_expiry grace_period reset_to __proto__`
      .split(/\s+/)
      .filter(name => name !== '')
  const value = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      ...NASTY,
      -1,
      1e308,
      2 ** 53,
      '30d',
      '1mo',
      [[]],
      [{}],
      [null],
      { a: { b: null } },
      '\ud800',
      '\u0000'
    ),
    fc.string({ unit: 'binary' })
  )
  const body = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6 })
  const writing = ADMIN_ROUTES.filter(({ method }) => method !== 'GET')
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...writing), body, async ({ method, path }, sent) => {
      const { status, text } = await manage(
        path.replace(':key', 'x'),
        sent,
        MASTER_KEY,
        method === 'POST' ? undefined : method
      )
      if (status >= 500) throw new Error(`${path}: ${status} ${text}`)
    }),
    { numRuns: 400 }
  )
  const reading = ADMIN_ROUTES.filter(({ method }) => method === 'GET')
  const query = fc.dictionary(fc.constantFrom(...names, 'search', 'cursor', 'api_key', 'end_date'), fc.string(), {
    maxKeys: 4
  })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...reading), query, async ({ path }, sent) => {
      const { status, text } = await manage(`${path}?${new URLSearchParams(sent)}`)
      if (status >= 500) throw new Error(`${path}: ${status} ${text}`)
    }),
    { numRuns: 200 }
  )
  t.pass('600 of them')
}

t.test('without a master key nothing is managed', async t => {
  const gateway = await testGateway({ model_list: [{ model_name: 'demo', provider: 'demo' }] })
  t.teardown(() => gateway.close())
  const answer = await post(`${gateway.url}/key/generate`, {})
  t.match(answer, { status: 403, json: { error: { code: 'keys_are_off', recommendations: [/auth\.master_key/] } } })
})
