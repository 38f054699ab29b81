// What a store does, on every database that it can be kept in.

import { createHash, createHmac, randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { appendAudit, listAudit } from '../src/store/audit.ts'
import { raiseBudgets, resetSpend, setBudgets, standings } from '../src/store/budgets.ts'
import type { Change } from '../src/store/changes.ts'
import type { Queries } from '../src/store/database.ts'
import {
  countEntities,
  createEntity,
  deleteEntities,
  findEntity,
  listEntities,
  updateEntity
} from '../src/store/entity.ts'
import {
  blockKey,
  createKey,
  deleteKeys,
  KEYS,
  keyById,
  keyByLitellmHash,
  type NewKey,
  rotateKey,
  touchKeys,
  unblockKey,
  updateKey
} from '../src/store/keys.ts'
import { countCalls, deleteCallsBefore, deleteCountersBefore, listCalls } from '../src/store/logs.ts'
import { membersOf, removeMembers, setMembers } from '../src/store/members.ts'
import { migrate } from '../src/store/migrate.ts'
import { MIGRATIONS } from '../src/store/migrations/index.ts'
import { reportSpend, totalSpend } from '../src/store/reports.ts'
import { CUSTOMERS, deleteTeams, deleteUsers, ORGANIZATIONS, PLANS, TAGS, TEAMS, USERS } from '../src/store/scopes.ts'
import { insertCalls, type SettledCall } from '../src/store/spend.ts'
import { openStore, type Store } from '../src/store/store.ts'
import { windowBounds } from '../src/store/windows.ts'
import { temporaryFolder } from './support/process.ts'
import { type PostgresService, postgresService, redisService } from './support/services.ts'
import { bad, good, quiet } from './support/store.ts'

t.setTimeout(600_000)

const hmac = (secret: string) => createHmac('sha256', 'pepper').update(secret).digest()
const newKey = (more: Partial<NewKey> = {}): NewKey => ({
  id: randomUUID(),
  name: 'sk-…abcd',
  hash: hmac(randomUUID()),
  ...more
})

const NOON = new Date('2026-03-14T12:34:56.789Z')
const call = (more: Partial<SettledCall> = {}): SettledCall => ({
  callId: randomUUID(),
  settledAt: NOON,
  startedAt: new Date(NOON.getTime() - 1500),
  durationMs: 1500,
  route: '/v1/chat/completions',
  requestedModel: 'sonnet',
  model: 'claude-sonnet-4-5',
  status: 'success',
  inputTokens: 10,
  outputTokens: 5,
  costNano: 1_000n,
  ...more
})

/** What every column must give back unchanged and never act on. */
const NASTY = [
  "'; drop table sluice.keys; --",
  '" or 1=1 --',
  "\\'; select pg_sleep(9); --",
  '$1 $' + '{x} %s ? :a',
  '{"a":1}',
  'ünïcödé 🚀 \u202e \u0001\t\r\n',
  '\\x41',
  '{a,"b"}'
]

let postgres: PostgresService | undefined

t.before(async () => {
  postgres = await postgresService()
})
t.teardown(() => postgres?.remove())

t.test('embedded', async t => {
  const folder = temporaryFolder()
  const store = good(await openStore({ dataDir: folder.path }, quiet))
  t.teardown(async () => {
    await store.close()
    folder.remove()
  })
  await contract(t, store, store)
})

t.test('PostgreSQL', async t => {
  if (postgres === undefined) return t.plan(0, 'no PostgreSQL is installed here: only the embedded database was tested')
  const databaseUrl = await postgres.createDatabase()
  const [one, two] = (await Promise.all([1, 2].map(() => openStore({ databaseUrl, dataDir: '' }, quiet)))).map(good)
  t.teardown(() => Promise.all([one?.close(), two?.close()]))
  if (one === undefined || two === undefined) return t.fail('two opened at once')
  t.equal(
    good(await one.query('select * from sluice.migrations', [])).length,
    MIGRATIONS.length,
    'two gateways that start at once migrate once'
  )
  await contract(t, one, two)
})

t.test('PostgreSQL that gives little', async t => {
  if (postgres === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  const databaseUrl = await postgres.createDatabase()
  const owner = good(await openStore({ databaseUrl, dataDir: '' }, quiet))
  good(await owner.query('drop schema sluice cascade; create role limited login; create schema sluice'))
  good(await owner.query('revoke all on schema public from public; grant all on schema sluice to limited'))
  good(
    await owner.query("alter role limited set datestyle = 'German'; alter role limited set timezone = 'Asia/Kolkata'")
  )
  await owner.close()
  const limited = new URL(databaseUrl)
  limited.username = 'limited'
  for (const more of ['', '?pgbouncer=true&connection_limit=1&schema=public']) {
    const store = good(await openStore({ databaseUrl: `${limited}${more}`, dataDir: '' }, quiet))
    const expiresAt = new Date('2030-02-03T04:05:06.789Z')
    const key = good(await createKey(store, newKey({ id: `of ${more}`, expiresAt: more ? null : expiresAt }), null))
    if (!more) t.same(key.expiresAt, expiresAt, 'times are times, however the server likes to write them')
    t.match(await keyById(store, key.id), { id: key.id })
    await store.close()
  }
  for (const mode of ['verify-full', 'require']) {
    const refused = await openStore({ databaseUrl: `${limited}?sslmode=${mode}`, dataDir: '' }, quiet)
    t.equal(bad(refused).kind, 'unavailable', 'who asks for TLS gets no plain connection')
  }
})

/** `other` is another gateway on the same database, where there can be one. */
async function contract(t: Test, store: Store, other: Store): Promise<void> {
  await t.test('migrations', t => migrations(t, store))
  await t.test('keys', t => keys(t, store))
  await t.test('rotation', t => rotation(t, store))
  await t.test('scopes', t => scopes(t, store))
  await t.test('pages', t => pages(t, store))
  await t.test('values that want to be SQL', t => injection(t, store))
  await t.test('budgets', t => budgets(t, store))
  await t.test('spend', t => spend(t, store, other))
  await t.test('reports', t => reports(t, store))
  await t.test('retention', t => retention(t, store))
  await t.test('audit', t => audit(t, store))
  await t.test('changes', t => changes(t, store, other))
  await t.test('transactions', t => transactions(t, store))
}

async function migrations(t: Test, store: Store): Promise<void> {
  t.equal(await migrate(store, () => t.fail('nothing is left to do')), undefined, 'a second time changes nothing')
  const next = { number: 900, name: 'later', sql: 'create table sluice.later (id text)' }
  t.equal(await migrate(store, quiet, [...MIGRATIONS, next]), undefined)
  t.equal(await migrate(store, quiet), undefined, 'a newer database that did not break us is fine')
  t.match(
    bad(await migrate(store, quiet, [...MIGRATIONS, { ...next, sql: 'select 1' }])).message,
    /another version of the migration «later»/
  )
  const broken = { number: 901, name: 'wrong', sql: 'create table sluice.half (id text); select nothing from nowhere' }
  t.equal(bad(await migrate(store, quiet, [...MIGRATIONS, next, broken])).kind, 'bug')
  t.same(
    good(await store.query("select to_regclass('sluice.half') is null as gone", [])),
    [{ gone: true }],
    'a migration that fails leaves nothing'
  )
  good(await store.query("insert into sluice.migrations values (902, 'the end', '', true)", []))
  t.match(bad(await migrate(store, quiet)).message, /changed by a newer Sluice/)
  good(await store.query('delete from sluice.migrations where number >= 900; drop table sluice.later'))

  const use = async (id: string) => {
    good(await createKey(store, newKey({ id, userId: 'late' }), null))
    good(await updateKey(store, id, { alias: id }, null))
    t.equal(good(await keyById(store, id))?.alias, id)
    t.equal(good(await listEntities(store, KEYS, { userId: 'late' }, { limit: 2 })).items.length, 1)
    t.equal(good(await deleteKeys(store, [id])).length, 1)
  }
  await use('early')
  good(await store.query('alter table sluice.keys add column newer text'))
  await use('late')
  good(await store.query('alter table sluice.keys drop column newer'))
}

async function keys(t: Test, store: Store): Promise<void> {
  const expiresAt = new Date('2030-01-01T00:00:00.123Z')
  const fields = newKey({
    alias: 'first',
    models: ['gpt-*', 'claude-sonnet-4-5'],
    aliases: { fast: 'gpt-5-mini' },
    limits: { rpm: 60, maxParallel: 3, models: { 'gpt-*': { tpm: 1000 } } },
    tags: ['a', 'b'],
    allowedRoutes: ['/v1/chat/completions'],
    allowedIps: ['10.0.0.0/8'],
    hooks: ['strip-prefix'],
    metadata: { team: 'x', deep: { list: [1, null] } },
    settings: { key_type: 'default' },
    userId: 'somebody',
    expiresAt
  })
  const made = good(await createKey(store, fields, 'admin'))
  t.match(made, { ...fields, hash: fields.hash, blocked: false, version: 1n, createdBy: 'admin', rotations: 0 })
  t.same(good(await keyById(store, fields.id)), made)
  t.equal(good(await keyById(store, 'nobody')), undefined)
  t.same(
    [bad(await createKey(store, fields, null)), bad(await createKey(store, newKey({ alias: 'first' }), null))].map(
      ({ status, details }) => [status, details.field, details.code]
    ),
    [
      [409, 'id', 'exists'],
      [409, 'alias', 'exists']
    ]
  )
  t.equal(bad(await createKey(store, newKey({ teamId: 'nowhere' }), null)).details.field, 'team_id')
  t.equal(bad(await createKey(store, newKey({ hash: null }), null)).details.field, 'hash', 'a key has some digest')
  t.equal(bad(await createKey(store, newKey({ id: '' }), null)).kind, 'invalid-request')

  const changed = good(await updateKey(store, fields.id, { alias: null, models: [], limits: { rpm: 1 } }, 'lead'))
  t.match(changed, { alias: null, models: [], limits: { rpm: 1 }, tags: ['a', 'b'], version: 2n, updatedBy: 'lead' })
  t.same(changed.limits, { rpm: 1 })
  t.equal(good(await blockKey(store, fields.id, null)).blocked, true)
  t.equal(good(await unblockKey(store, fields.id, null)).blocked, false)
  t.equal(bad(await updateKey(store, 'nobody', { alias: 'x' }, null)).status, 404)

  const usedAt = new Date('2026-01-02T03:04:05.678Z')
  t.equal(
    await touchKeys(
      store,
      new Map([
        [fields.id, usedAt],
        ['nobody', usedAt]
      ])
    ),
    undefined
  )
  t.equal(await touchKeys(store, new Map([[fields.id, new Date(0)]])), undefined)
  const touched = good(await keyById(store, fields.id))
  t.same([touched?.lastUsedAt, touched?.version], [usedAt, 4n], 'the latest use counts, and is no change')

  const second = newKey()
  good(
    await createKey(store, second, 'admin', {
      budgets: [
        { id: `${second.id}-d`, window: '1d', limitNano: 5n },
        { id: `${second.id}-m`, window: '1mo', limitNano: 50n, softLimitNano: 40n }
      ],
      audit: { actor: 'admin', action: 'create', kind: 'key', target: second.id, after: second }
    })
  )
  const standing = good(await standings(store, [{ kind: 'key', id: second.id }], NOON))
  t.same(
    standing.map(({ budget }) => [budget.window, budget.limitNano, budget.softLimitNano]),
    [
      ['1d', 5n, null],
      ['1mo', 50n, 40n]
    ]
  )
  const noted = good(await listAudit(store, { kind: 'key', target: second.id }, { limit: 5 }))
  t.match(noted.items, [{ actor: 'admin', action: 'create', before: null, after: { id: second.id } }])
  t.notMatch(JSON.stringify(noted.items[0]?.after), /hash/, 'digests are not noted')
  t.match(
    bad(await createKey(store, newKey(), null, { budgets: [{ id: 'x', window: '30s', limitNano: 1n }] })).message,
    /cannot last `30s`/
  )
  const deleted = good(await deleteKeys(store, [fields.id, second.id, 'nobody']))
  t.same(deleted.map(({ id }) => id).sort(), [fields.id, second.id].sort())
  t.equal(good(await keyById(store, second.id)), undefined)
  t.same(good(await store.query('select 1 from sluice.budgets where scope_id = $1', [second.id])), [])
}

async function rotation(t: Test, store: Store): Promise<void> {
  const fields = newKey()
  good(await createKey(store, fields, null))
  const graceUntil = new Date(Date.now() + 60_000)
  const next = hmac('next')
  const rotated = good(await rotateKey(store, fields.id, { hash: next, name: 'sk-…next', graceUntil }, 'admin'))
  t.match(rotated, { hash: next, previousHash: fields.hash, previousUntil: graceUntil, name: 'sk-…next', rotations: 1 })
  const last = good(await rotateKey(store, fields.id, { hash: hmac('last'), name: 'n', graceUntil: null }, null))
  t.match(last, { previousHash: null, previousUntil: null, rotations: 2 })
  t.equal(bad(await rotateKey(store, 'nobody', { hash: next, name: 'n', graceUntil: null }, null)).status, 404)

  const litellmHash = createHash('sha256').update('sk-old').digest('hex')
  const imported = newKey({ hash: null, litellmHash })
  good(await createKey(store, imported, null))
  t.equal(good(await keyByLitellmHash(store, litellmHash))?.id, imported.id)
  t.equal(bad(await createKey(store, newKey({ litellmHash }), null)).details.field, 'litellm_hash')
  t.equal(bad(await createKey(store, newKey({ litellmHash: 'sk-plain' }), null)).kind, 'invalid-request')
  good(await rotateKey(store, imported.id, { hash: next, name: 'n', graceUntil }, null))
  t.equal(good(await keyByLitellmHash(store, litellmHash))?.id, imported.id, 'the old key is good for the grace period')
  good(await rotateKey(store, imported.id, { hash: hmac('b'), name: 'n', graceUntil: null }, null))
  t.equal(good(await keyByLitellmHash(store, litellmHash)), undefined)
  good(await deleteKeys(store, [fields.id, imported.id]))
}

async function scopes(t: Test, store: Store): Promise<void> {
  good(await createEntity(store, PLANS, { id: 'free', limits: { rpd: 5 } }, 'admin'))
  good(await createEntity(store, ORGANIZATIONS, { id: 'acme', planId: 'free' }, 'admin'))
  const team = { id: 'red', alias: 'Red', organizationId: 'acme', models: ['*'], metadata: { a: 1 } }
  t.match(good(await createEntity(store, TEAMS, team, 'admin')), { ...team, blocked: false, planId: null })
  const user = { id: 'ann', email: 'Ann@example.com', role: 'internal_user', organizationId: 'acme' }
  t.match(good(await createEntity(store, USERS, user, null)), user)
  t.equal(
    bad(await createEntity(store, USERS, { id: 'ann2', email: 'ann@EXAMPLE.com' }, null)).details.field,
    'email',
    'an address is one in any case'
  )
  const customer = { id: 'end user 1', defaultModel: 'small', region: 'eu', planId: 'free' }
  t.match(good(await createEntity(store, CUSTOMERS, customer, null)), customer)
  t.match(good(await createEntity(store, TAGS, { id: 'prod' }, null)), { id: 'prod', planId: null })
  t.equal(bad(await createEntity(store, TAGS, { id: 'x', planId: 'none' }, null)).details.field, 'plan_id')

  t.match(good(await updateEntity(store, TEAMS, 'red', { blocked: true, alias: 'Rot' }, 'x')), { blocked: true })
  t.match(good(await findEntity(store, TEAMS, 'red')), { alias: 'Rot', updatedBy: 'x', version: 2n })
  t.equal(bad(await updateEntity(store, USERS, 'bob', {}, null)).kind, 'not-found')

  const member = { teamId: 'red', userId: 'ann', role: 'admin', limits: { rpm: 3 }, settings: {} } as const
  t.same(good(await setMembers(store, [member, { ...member, userId: 'bob', role: 'user' }])).length, 2)
  t.same(good(await setMembers(store, [{ ...member, role: 'user' }])), [{ ...member, role: 'user' }])
  t.same(
    good(await membersOf(store, { userId: 'ann' })).map(({ teamId }) => teamId),
    ['red']
  )
  t.equal(good(await removeMembers(store, 'red', ['bob', 'nobody'])).length, 1)
  t.equal(good(await membersOf(store, { teamId: 'red' })).length, 1)
  t.equal(bad(await setMembers(store, [{ ...member, teamId: 'none' }])).kind, 'invalid-request')

  const owned = [newKey({ teamId: 'red' }), newKey({ userId: 'ann' }), newKey()]
  for (const key of owned) good(await createKey(store, key, null))
  t.equal(bad(await deleteEntities(store, ORGANIZATIONS, ['acme'])).status, 409, 'one that has teams stays')
  t.equal(good(await deleteTeams(store, ['red'])).length, 1)
  t.equal(good(await deleteUsers(store, ['ann'])).length, 1)
  const left = await Promise.all(owned.map(async ({ id }) => good(await keyById(store, id)) !== undefined))
  t.same(left, [false, false, true], 'keys go with their team and their user')
  good(await deleteEntities(store, CUSTOMERS, [customer.id]))
  t.equal(good(await deleteEntities(store, ORGANIZATIONS, ['acme'])).length, 1)
  t.equal(good(await deleteEntities(store, PLANS, ['free'])).length, 1)
  good(
    await deleteKeys(
      store,
      owned.map(({ id }) => id)
    )
  )
}

async function pages(t: Test, store: Store): Promise<void> {
  const ids = Array.from({ length: 25 }, (_, index) => `page-${String(index).padStart(2, '0')}`)
  // One statement, so many of them are of the same time.
  await store.transaction(async queries => {
    for (const [index, id] of ids.entries()) {
      good(
        await createKey(
          queries,
          newKey({ id, userId: index % 5 === 0 ? 'fifth' : 'other', alias: `Alias ${id}` }),
          null
        )
      )
    }
    return undefined
  })
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = good(await listEntities(store, KEYS, { search: 'ALIAS PAGE-' }, { limit: 7, cursor }))
    seen.push(...page.items.map(({ id }) => id))
    cursor = page.next
  } while (cursor !== undefined)
  t.same(seen, ids.toReversed(), 'every one once, newest first')
  const filter = { userId: 'fifth' }
  t.same(
    good(await listEntities(store, KEYS, filter, { limit: 2, offset: 2 })).items.map(({ id }) => id),
    ['page-10', 'page-05']
  )
  t.equal(good(await countEntities(store, KEYS, filter)), 5)
  t.equal(good(await countEntities(store, KEYS, { ...filter, teamId: null })), 5)
  t.equal(good(await countEntities(store, KEYS, { search: 'no such' })), 0)
  t.equal(bad(await listEntities(store, KEYS, {}, { limit: 5, cursor: 'bm9uc2Vuc2U' })).details.field, 'cursor')
  t.equal(good(await listEntities(store, KEYS, filter, { limit: -5 })).items.length, 1, 'a limit is at least one')
  good(await deleteKeys(store, ids))
}

async function injection(t: Test, store: Store): Promise<void> {
  const before = good(await countEntities(store, KEYS, {}))
  for (const [index, nasty] of NASTY.entries()) {
    const object = { [nasty]: nasty, list: [nasty] }
    const fields = newKey({
      id: `${nasty}${index}`,
      name: nasty,
      alias: nasty,
      userId: nasty,
      models: [nasty],
      aliases: { [nasty]: nasty },
      tags: [nasty],
      allowedRoutes: [nasty],
      allowedIps: [nasty],
      hooks: [nasty],
      metadata: object,
      settings: object,
      limits: { models: { [nasty]: { rpm: 1 } } }
    })
    t.match(
      good(
        await createKey(store, fields, nasty, {
          audit: { actor: nasty, action: nasty, kind: nasty, target: nasty, before: object, ip: nasty }
        })
      ),
      { ...fields, createdBy: nasty }
    )
    t.same(good(await keyById(store, fields.id))?.metadata, object)
    t.match(good(await updateKey(store, fields.id, { alias: nasty, metadata: object }, nasty)), { alias: nasty })
    t.same(
      good(await listEntities(store, KEYS, { search: nasty, userId: nasty, alias: nasty }, { limit: 9 })).items.map(
        ({ id }) => id
      ),
      [fields.id]
    )
    t.match(good(await listAudit(store, { actor: nasty, kind: nasty, target: nasty }, { limit: 1 })).items, [
      { before: object, ip: nasty }
    ])
    t.equal(good(await keyByLitellmHash(store, nasty)), undefined)
    t.match(good(await createEntity(store, TEAMS, { id: nasty, alias: nasty }, nasty)), { id: nasty })
    good(await setMembers(store, [{ teamId: nasty, userId: nasty, role: 'user', limits: {}, settings: object }]))
    t.match(good(await membersOf(store, { userId: nasty })), [{ teamId: nasty, settings: object }])
    const logged = call({
      callId: `${nasty}${randomUUID()}`,
      keyId: fields.id,
      keyAlias: nasty,
      userId: nasty,
      teamId: nasty,
      organizationId: nasty,
      customerId: nasty,
      tags: [nasty],
      route: nasty,
      dialect: nasty,
      requestedModel: nasty,
      model: nasty,
      provider: nasty,
      target: nasty,
      failureKind: nasty,
      cache: nasty,
      sessionId: nasty,
      ip: nasty,
      metadata: object
    })
    t.equal(good(await insertCalls(store, [logged])).fresh.size, 1)
    await nastyCall(t, store, logged, nasty)
    good(
      await setBudgets(store, { kind: 'team', id: nasty }, [{ id: nasty, window: '1d', limitNano: 1n, model: nasty }])
    )
    t.match(good(await standings(store, [{ kind: 'team', id: nasty, planId: nasty }], NOON)), [
      { budget: { model: nasty } }
    ])
    t.match(
      bad(await setBudgets(store, { kind: 'team', id: nasty }, [{ id: nasty, window: nasty, limitNano: 1n }])).kind,
      'invalid-request'
    )
    t.equal(good(await deleteTeams(store, [nasty])).length, 1)
    t.equal(good(await deleteKeys(store, [fields.id])).length, 1)
    t.ok(await listEntities(store, KEYS, {}, { limit: 1, cursor: nasty }), 'a cursor is no statement either')
  }
  t.equal(good(await countEntities(store, KEYS, {})), before)
  await impossibleTexts(t, store)
}

async function nastyCall(t: Test, store: Store, logged: SettledCall, nasty: string): Promise<void> {
  const { keyId, userId, teamId, organizationId, customerId, model, sessionId } = logged
  const read = good(
    await listCalls(
      store,
      { keyId, userId, teamId, organizationId, customerId, model, sessionId, tag: nasty },
      { limit: 5 }
    )
  )
  t.match(read.items, [logged])
  t.match(
    good(
      await reportSpend(store, {
        by: 'model',
        from: new Date(0),
        to: new Date(),
        within: { kind: 'customer', id: nasty },
        limit: 5
      })
    ),
    [{ id: nasty }]
  )
}

async function impossibleTexts(t: Test, store: Store): Promise<void> {
  for (const impossible of ['nul \0', 'half \ud800']) {
    const asText = await createKey(store, newKey({ alias: impossible }), null)
    t.ok(
      !(asText instanceof Failure) || asText.kind === 'invalid-request',
      'what no text can hold is refused or mended'
    )
    const inJson = await createKey(store, newKey({ metadata: { a: impossible } }), null)
    t.equal(bad(inJson).kind, 'invalid-request')
    if (!(asText instanceof Failure)) good(await deleteKeys(store, [asText.id]))
    const id = randomUUID()
    const logged = call({ callId: id, userId: impossible, metadata: { [impossible]: [impossible] } })
    t.equal(good(await insertCalls(store, [logged])).fresh.size, 1, 'but never keeps a call from being written')
    t.match(good(await listCalls(store, { callId: id }, { limit: 1 })).items[0]?.userId, /^(nul|half) \ufffd$/)
  }
}

async function budgets(t: Test, store: Store): Promise<void> {
  const scope = { kind: 'team', id: `team-${randomUUID()}` } as const
  const id = (name: string) => `${scope.id}-${name}`
  const set = good(
    await setBudgets(store, scope, [
      { id: id('1'), window: '1d', limitNano: 10_000n },
      { id: id('2'), window: '1mo', limitNano: 2n ** 62n, softLimitNano: 1n },
      { id: id('3'), window: '1h', limitNano: 9_000n, model: 'small' },
      { id: id('4'), window: 'total', limitNano: 0n }
    ])
  )
  t.equal(set.length, 4)
  t.equal(bad(await setBudgets(store, scope, [{ id: id('9'), window: '1d', limitNano: -1n }])).kind, 'invalid-request')
  const at = new Date('2026-05-20T10:30:00Z')
  const paid = (when: string, costNano: bigint, more: Partial<SettledCall> = {}) =>
    call({ settledAt: new Date(when), costNano, teamId: scope.id, ...more })
  good(
    await insertCalls(store, [
      paid('2026-05-20T10:00:00.000Z', 100n),
      paid('2026-05-20T09:59:59.999Z', 20n, { model: 'small' }),
      paid('2026-05-20T10:29:00.000Z', 3n, { model: 'small' }),
      paid('2026-05-19T23:59:59.999Z', 4_000n),
      paid('2026-05-01T00:00:00.000Z', 50_000n),
      paid('2026-04-30T23:59:59.999Z', 600_000n),
      call({ settledAt: at, costNano: 7n })
    ])
  )
  const spent = async (when = at) =>
    Object.fromEntries(
      good(await standings(store, [scope], when)).map(({ budget, spentNano }) => [budget.window, spentNano])
    )
  t.same(await spent(), { '1d': 123n, '1mo': 54_123n, '1h': 3n, total: 654_123n })
  t.same(await spent(new Date('2026-05-21T00:00:00Z')), { '1d': 0n, '1mo': 54_123n, '1h': 0n, total: 654_123n })
  good(await resetSpend(store, scope, 5n, at))
  t.same(await spent(), { '1d': 5n, '1mo': 5n, '1h': 5n, total: 5n })
  good(await insertCalls(store, [paid('2026-05-20T10:30:00Z', 2n)]))
  t.same(await spent(), { '1d': 7n, '1mo': 7n, '1h': 5n, total: 7n })
  t.same((await spent(new Date('2026-05-21T00:00:00Z')))['1d'], 0n, 'what is forgiven is forgiven for its window')
  t.same((await spent(new Date('2026-06-01T00:00:00Z')))['1mo'], 0n)

  good(await raiseBudgets(store, scope, 1_000n, new Date('2026-05-20T11:00:00Z')))
  const limit = async (when: string) =>
    good(await standings(store, [scope], new Date(when))).find(({ budget }) => budget.window === '1d')?.limitNano
  t.same([await limit('2026-05-20T10:59:59Z'), await limit('2026-05-20T11:00:00Z')], [11_000n, 10_000n])

  const kept = good(await setBudgets(store, scope, [{ id: id('5'), window: '1d', limitNano: 77n }]))
  t.match(kept, [{ id: id('1'), limitNano: 77n, forgivenNano: 118n }], 'one that stays goes on where it was')
  t.equal(good(await standings(store, [scope], at)).length, 1)

  good(await setBudgets(store, { kind: 'plan', id: id('plan') }, [{ id: id('6'), window: 'total', limitNano: 8n }]))
  const both = good(
    await standings(
      store,
      [
        { ...scope, planId: id('plan') },
        { kind: 'user', id: id('nobody'), planId: id('plan') }
      ],
      at
    )
  )
  t.same(
    both.map(({ scope, budget, spentNano }) => [scope.kind, budget.window, spentNano]),
    [
      ['team', '1d', 7n],
      ['team', 'total', 654_125n],
      ['user', 'total', 0n]
    ],
    'a plan is shared, what is spent of it is not'
  )
}

async function spend(t: Test, store: Store, other: Store): Promise<void> {
  const key = randomUUID()
  const calls = Array.from({ length: 60 }, (_, index) =>
    call({
      keyId: key,
      teamId: `spend-${key}`,
      userId: index % 2 ? 'odd' : 'even',
      organizationId: 'spend-org',
      customerId: index % 3 ? undefined : 'third',
      tags: index % 4 ? ['t1', 't1'] : ['t1', 't2'],
      model: index % 5 ? 'large' : 'small',
      status: index % 10 ? 'success' : 'failure',
      settledAt: new Date(NOON.getTime() + index * 3_600_000),
      inputTokens: 2 ** 40,
      costNano: BigInt(index) * 10n ** 12n,
      savedNano: 3n,
      cacheReadTokens: index
    })
  )
  const [first] = calls
  if (first === undefined) throw new Error('no calls')
  const results = await Promise.all(
    // The same calls from two gateways at once, in another order, and one of them twice in a batch.
    [calls, calls.toReversed(), [...calls, first], calls.slice(20, 40)].map((batch, index) =>
      insertCalls(index % 2 ? other : store, batch)
    )
  )
  t.equal(
    results.reduce((sum, written) => sum + good(written).fresh.size, 0),
    60,
    'each call is written once, whoever sends it'
  )
  t.equal(good(await insertCalls(store, calls)).fresh.size, 0)
  t.equal(good(await insertCalls(store, [])).fresh.size, 0)
  const logged = good(await listCalls(store, { callId: first.callId }, { limit: 2 })).items
  t.match(logged, [{ ...first, tags: ['t1', 't2'], stream: false, attempts: 1, estimated: false }])

  const odd = call({ durationMs: 1.6, inputTokens: Number.NaN, outputTokens: 1e300, firstTokenMs: 2 ** 40 })
  const wrong = [call({ settledAt: new Date(Number.NaN) }), call({ costNano: 2n ** 70n })]
  const mixed = good(await insertCalls(store, [call(), wrong[0] ?? odd, odd, call(), wrong[1] ?? odd, call()]))
  t.equal(mixed.fresh.size, 4)
  t.same(mixed.refused, wrong, 'what cannot be written keeps no other from being written')
  t.match(good(await listCalls(store, { callId: odd.callId }, { limit: 1 })).items, [
    { durationMs: 2, inputTokens: 0, outputTokens: Number.MAX_SAFE_INTEGER, firstTokenMs: 2 ** 31 - 1 }
  ])

  await countersAreSums(t, store)
  const total = calls.reduce((sum, { costNano }) => sum + costNano, 0n)
  t.same(
    good(
      await totalSpend(store, [
        { kind: 'key', id: key },
        { kind: 'key', id: 'nobody' }
      ])
    ),
    [total, 0n]
  )

  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = good(await listCalls(store, { keyId: key, tag: 't2', status: 'success' }, { limit: 4, cursor }))
    seen.push(...page.items.map(({ callId }) => callId))
    cursor = page.next
  } while (cursor !== undefined)
  const wanted = calls.filter((_, index) => index % 4 === 0 && index % 10 !== 0).map(({ callId }) => callId)
  t.same(seen, wanted.toReversed())
  t.equal(
    good(await countCalls(store, { keyId: key, model: 'small', from: NOON, to: new Date(NOON.getTime() + 36e6) })),
    2
  )
  t.equal(bad(await listCalls(store, {}, { limit: 1, cursor: 'x' })).details.field, 'cursor')
}

/** Every counter there is, against the logs. */
async function countersAreSums(t: Test, queries: Queries): Promise<void> {
  const wrong = good(
    await queries.query(
      `with scoped as (
         select log.*, scope_kind, scope_id from sluice.spend_logs as log cross join lateral (
           values ('all', ''), ('key', key_id), ('team', team_id), ('user', user_id),
                  ('organization', organization_id), ('customer', customer_id)
           union select 'tag', tag from jsonb_array_elements_text(tags) as tag
         ) as scope (scope_kind, scope_id) where scope_id is not null
       ), sums as (
         select scope_kind, scope_id, counted, grain, since, count(*) as requests, sum(input_tokens) as input,
           sum(cost_nano) as cost, sum(saved_nano) as saved, count(*) filter (where status = 'failure') as failures
         from scoped, lateral (values ('', true), (model, scope_kind not in ('customer', 'tag'))) as m (counted, ok),
           lateral (values ('hour', date_trunc('hour', settled_at, 'UTC')), ('day', date_trunc('day', settled_at, 'UTC')),
             ('total', 'epoch')) as g (grain, since)
         where ok group by 1, 2, 3, 4, 5
       )
       select counter.*, sums.* from sums full join sluice.spend_counters as counter
         on (counter.scope_kind, counter.scope_id, counter.model, counter.grain, counter.since)
          = (sums.scope_kind, sums.scope_id, counted, sums.grain, sums.since)
       where (counter.requests, counter.failures, counter.input_tokens, counter.cost_nano, counter.saved_nano)
         is distinct from (sums.requests, sums.failures, input, cost, saved)
         -- A scope that was deleted keeps no total.
         and (counter.scope_id is not null or sums.grain <> 'total')`,
      []
    )
  )
  t.same(wrong, [], 'counters are the sums of the logs')
}

async function reports(t: Test, store: Store): Promise<void> {
  const from = new Date('2027-01-01T00:00:00Z')
  const to = new Date('2027-01-04T00:00:00Z')
  const day = (number: number, costNano: bigint, more: Partial<SettledCall>) =>
    call({ settledAt: new Date(Date.UTC(2027, 0, number, 23, 59, 59, 999)), costNano, ...more })
  good(
    await insertCalls(store, [
      day(1, 5n, { keyId: 'k1', teamId: 'T', userId: 'u1', tags: ['x', 'y'], model: 'a' }),
      day(1, 7n, { keyId: 'k2', teamId: 'T', userId: 'u1', tags: ['y'], model: 'b', status: 'failure' }),
      day(2, 11n, { keyId: 'k3', teamId: 'S', userId: 'u2', customerId: 'c', tags: [], model: 'a' }),
      day(3, 13n, { keyId: 'k1', teamId: 'T', userId: 'u1', tags: ['x'], model: 'a' }),
      day(4, 100n, { keyId: 'k1', teamId: 'T', userId: 'u1', tags: ['x'], model: 'a' })
    ])
  )
  const report = async (
    more: Pick<Parameters<typeof reportSpend>[1], 'by'> & Partial<Parameters<typeof reportSpend>[1]>
  ) => good(await reportSpend(store, { from, to, limit: 10, ...more })).map(({ id, costNano }) => [id, costNano])
  t.same(await report({ by: 'key' }), [
    ['k1', 18n],
    ['k3', 11n],
    ['k2', 7n]
  ])
  t.same(await report({ by: 'key', limit: 1 }), [['k1', 18n]])
  t.same(await report({ by: 'team' }), [
    ['T', 25n],
    ['S', 11n]
  ])
  t.same(await report({ by: 'user' }), [
    ['u1', 25n],
    ['u2', 11n]
  ])
  t.same(await report({ by: 'customer' }), [['c', 11n]])
  t.same(await report({ by: 'organization' }), [])
  t.same(await report({ by: 'model' }), [
    ['a', 29n],
    ['b', 7n]
  ])
  t.same(await report({ by: 'tag' }), [
    ['x', 18n],
    ['y', 12n]
  ])
  t.same(await report({ by: 'day' }), [
    ['2027-01-01', 12n],
    ['2027-01-02', 11n],
    ['2027-01-03', 13n]
  ])
  const within = { kind: 'team', id: 'T' } as const
  t.same(await report({ by: 'day', within }), [
    ['2027-01-01', 12n],
    ['2027-01-03', 13n]
  ])
  t.same(await report({ by: 'model', within }), [
    ['a', 18n],
    ['b', 7n]
  ])
  t.same(
    await report({ by: 'key', within }),
    [
      ['k1', 18n],
      ['k2', 7n]
    ],
    'only the team’s own'
  )
  t.same(await report({ by: 'tag', within }), [
    ['x', 18n],
    ['y', 12n]
  ])
  t.same(await report({ by: 'model', within: { kind: 'tag', id: 'y' } }), [
    ['b', 7n],
    ['a', 5n]
  ])
  t.match(good(await reportSpend(store, { by: 'key', from, to, within, limit: 9 }))[1], {
    failures: 1n,
    inputTokens: 10n
  })
}

async function retention(t: Test, store: Store): Promise<void> {
  const before = good(await countCalls(store, {}))
  const old = Array.from({ length: 25 }, (_, index) => call({ settledAt: new Date(Date.UTC(2020, 0, 1 + index)) }))
  good(await insertCalls(store, old))
  const limit = new Date('2025-01-01T00:00:00Z')
  const batches: number[] = []
  for (let gone = -1; gone !== 0; batches.push(gone)) gone = good(await deleteCallsBefore(store, limit, 10))
  t.same(batches, [10, 10, 5, 0], 'logs go in batches')
  t.equal(good(await countCalls(store, {})), before)
  t.equal(await deleteCountersBefore(store, 'hour', limit), undefined)
  const left = 'select distinct grain from sluice.spend_counters where since between $1 and $2'
  t.same(good(await store.query(left, [new Date('2019-01-01'), limit])), [{ grain: 'day' }], 'their sums by day stay')
}

async function audit(t: Test, store: Store): Promise<void> {
  for (let index = 0; index < 12; index++) {
    const entry = { actor: 'auditor', action: 'update', kind: 'team', target: `t${index % 2}` }
    t.equal(
      await appendAudit(store, { ...entry, before: { limitNano: 2n ** 60n, hash: 'x' }, after: null, ip: '::1' }),
      undefined
    )
  }
  const first = good(await listAudit(store, { actor: 'auditor', target: 't1' }, { limit: 4 }))
  const rest = good(await listAudit(store, { actor: 'auditor', target: 't1' }, { limit: 4, cursor: first.next }))
  t.same([first.items.length, rest.items.length, rest.next], [4, 2, undefined])
  t.match(first.items[0], { before: { limitNano: String(2n ** 60n) }, after: null, ip: '::1' })
  t.equal(new Set([...first.items, ...rest.items].map(({ id }) => id)).size, 6)
  t.equal(bad(await listAudit(store, {}, { limit: 1, cursor: '1; drop' })).details.field, 'cursor')
  t.same(good(await listAudit(store, { to: new Date(0) }, { limit: 1 })).items, [])
}

async function changes(t: Test, store: Store, other: Store): Promise<void> {
  const heard: (Change | 'all')[] = []
  const stop = await other.onChange(change => heard.push(change))
  const hears = async (what: string, kind: string, id: string) => {
    for (let tries = 0; tries < 300 && heard.length === 0; tries++) await wait(10)
    t.same(heard.splice(0), [{ kind, id }], what)
  }
  const key = newKey({ id: 'a:key:with colons' })
  good(await createKey(store, key, null))
  await hears('a new key, for who remembers that there was none', 'key', key.id)
  good(await updateKey(store, key.id, { blocked: true }, null))
  await hears('a changed key', 'key', key.id)
  good(await rotateKey(store, key.id, { hash: hmac('x'), name: 'x', graceUntil: null }, null))
  await hears('a rotated key', 'key', key.id)
  good(await setBudgets(store, { kind: 'key', id: key.id }, [{ id: 'b', window: '1d', limitNano: 1n }]))
  await hears('a new budget', 'budget', `key:${key.id}`)
  good(await setBudgets(store, { kind: 'key', id: key.id }, []))
  await hears('a budget that is gone', 'budget', `key:${key.id}`)
  good(await deleteKeys(store, [key.id]))
  await hears('a deleted key', 'key', key.id)
  good(await createEntity(store, TEAMS, { id: 'changing' }, null))
  await hears('a team', 'team', 'changing')
  good(await setMembers(store, [{ teamId: 'changing', userId: 'u', role: 'user', limits: {}, settings: {} }]))
  await hears('a member', 'member', 'team:changing')
  await store.transaction(async queries => {
    good(await updateEntity(queries, TEAMS, 'changing', { blocked: true }, null))
    return new Failure('forbidden', 'no')
  })
  good(await deleteTeams(store, ['changing']))
  await hears('what was undone is not told', 'team', 'changing')
  good(await store.query('select pg_notify($1, $2)', ['sluice_keys', 'something:new']))
  for (let tries = 0; tries < 300 && heard.length === 0; tries++) await wait(10)
  t.same(heard.splice(0), ['all'], 'what we do not know may be anything')
  stop()
  good(await createEntity(store, TAGS, { id: 'unheard' }, null))
  await wait(100)
  t.same(heard, [])
}

async function transactions(t: Test, store: Store): Promise<void> {
  const exists = async (id: string) => good(await findEntity(store, TAGS, id)) !== undefined
  const make = (queries: Queries, id: string) => createEntity(queries, TAGS, { id }, null)
  const refused = new Failure('forbidden', 'no')
  t.equal(
    await store.transaction(async queries => {
      await make(queries, 'tx1')
      return refused
    }),
    refused
  )
  t.equal(await exists('tx1'), false)
  const broken = await store.transaction(async queries => {
    await make(queries, 'tx2')
    await queries.query('select 1 / $1::integer', [0])
    return 'all is well'
  })
  t.equal(bad(broken).kind, 'invalid-request', 'a statement that failed cannot be overlooked')
  t.equal(await exists('tx2'), false)
  await t.rejects(
    store.transaction(async queries => {
      await make(queries, 'tx3')
      throw new Error('a bug')
    }),
    { message: 'a bug' }
  )
  t.equal(await exists('tx3'), false)
  const order: string[] = []
  const [whole] = await Promise.all([
    store.transaction(async queries => {
      good(await make(queries, 'tx4'))
      await wait(50)
      order.push('in')
      return make(queries, 'tx5')
    }),
    exists('tx4').then(there => order.push(`outside ${there}`))
  ])
  t.equal(good(whole).id, 'tx5')
  t.notSame(order, ['outside true', 'in'], 'nobody sees a transaction before it is done')
  t.ok((await exists('tx4')) && (await exists('tx5')))
  t.same(
    good(
      await store.query(
        'select $1::bigint as a, $2::jsonb as b, $3::timestamptz as c, $4::boolean as d, $5::bytea as e, 1.5::float8 as f, null as g',
        [2n ** 63n - 1n, { n: 2n ** 63n }, NOON, true, Buffer.from([0, 255])]
      )
    ).map(({ e, ...row }) => ({ ...row, e: e instanceof Uint8Array && [...e] })),
    [{ a: 2n ** 63n - 1n, b: { n: String(2n ** 63n) }, c: NOON, d: true, e: [0, 255], f: 1.5, g: null }],
    'values come back as they went in'
  )
}

t.test('windows of budgets', async t => {
  const bounds = (length: string, at: string, anchor = '2026-01-15T10:20:30Z') => {
    const { since, until, grain } = windowBounds(length, new Date(anchor), new Date(at))
    return [since?.toISOString().slice(0, 13), until?.toISOString().slice(0, 13), grain]
  }
  t.same(bounds('total', '2026-05-20T10:30:00Z'), [undefined, undefined, 'total'])
  t.same(bounds('1h', '2026-05-20T10:59:59Z'), ['2026-05-20T10', '2026-05-20T11', 'hour'])
  t.same(bounds('6h', '2026-01-16T00:00:00Z'), ['2026-01-15T22', '2026-01-16T04', 'hour'])
  t.same(bounds('1d', '2026-12-31T23:59:59Z'), ['2026-12-31T00', '2027-01-01T00', 'day'])
  t.same(bounds('30d', '2026-02-14T00:00:00Z'), ['2026-02-14T00', '2026-03-16T00', 'day'])
  t.same(bounds('30d', '2026-02-13T23:59:59Z'), ['2026-01-15T00', '2026-02-14T00', 'day'])
  t.same(bounds('1w', '2026-11-21T12:00:00Z'), ['2026-11-16T00', '2026-11-23T00', 'day'], 'weeks begin on Monday')
  t.same(bounds('1mo', '2028-02-29T12:00:00Z'), ['2028-02-01T00', '2028-03-01T00', 'day'])
  t.same(bounds('3mo', '2026-12-31T12:00:00Z'), ['2026-10-01T00', '2027-01-01T00', 'day'])
  t.same(bounds('3mo', '2025-12-31T12:00:00Z'), ['2025-10-01T00', '2026-01-01T00', 'day'], 'also before its anchor')
})

t.test('the Redis that tests use is a real one', async t => {
  const service = await redisService()
  if (service === undefined) return t.plan(0, 'no redis-server is installed here')
  const redis = new Redis(service.url)
  t.equal(await redis.ping(), 'PONG')
  redis.disconnect()
  await service.stop()
})

t.test('an address that is none says so without repeating it', async t => {
  for (const databaseUrl of [
    'mysql://u:secret@host/db',
    'not an address: secret',
    'postgres://u:secret@127.0.0.1:1/x'
  ]) {
    const failure = bad(await openStore({ databaseUrl, dataDir: '' }, quiet))
    t.equal(failure.kind, 'unavailable')
    t.notMatch(JSON.stringify(failure), /secret/)
  }
})
