// A PostgreSQL that goes away, comes back, or never answers.

import { createServer } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Change } from '../src/store/changes.ts'
import { createEntity, findEntity } from '../src/store/entity.ts'
import { TAGS } from '../src/store/scopes.ts'
import { openStore, type Store } from '../src/store/store.ts'
import { closeServer, listen, socketsOf } from './support/port.ts'
import { type PostgresService, postgresService } from './support/services.ts'
import { good, kindOf, quiet, until } from './support/store.ts'

t.setTimeout(600_000)

t.test('PostgreSQL that goes away', async t => {
  const service = await postgresService()
  if (service === undefined) return t.plan(0, 'no PostgreSQL is installed here')
  t.teardown(() => service.remove())
  const databaseUrl = await service.createDatabase()
  const logged: string[] = []
  const store = good(await openStore({ databaseUrl, dataDir: '' }, (_, message) => logged.push(message)))
  t.teardown(() => store.close())
  const heard: (Change | 'all')[] = []
  await store.onChange(change => heard.push(change))
  await outage(t, service, store, heard)
  await bounded(t, store)
  t.ok(logged.includes('changes on other gateways are not heard for now'), 'the log says so')
  t.equal(
    kindOf(await store.query('select pg_sleep(30)', [])),
    'unavailable',
    'a statement that takes too long is stopped'
  )
  await store.close()
  t.equal(kindOf(await store.query('select 1', [])), 'unavailable', 'after the end there are failures, no errors')
  await store.close()
})

async function outage(t: Test, service: PostgresService, store: Store, heard: (Change | 'all')[]): Promise<void> {
  good(await createEntity(store, TAGS, { id: 'before' }, null))
  // Statements, a transaction and idle connections, all there when the server dies.
  const busy = Array.from({ length: 5 }, () => store.query('select pg_sleep(20)', []))
  let mayGoOn = () => {}
  const halfway = store.transaction(async queries => {
    await createEntity(queries, TAGS, { id: 'half' }, null)
    await new Promise<void>(resolve => {
      mayGoOn = resolve
    })
    return createEntity(queries, TAGS, { id: 'other half' }, null)
  })
  await wait(300)
  await service.stop()
  mayGoOn()
  t.same((await Promise.all([...busy, halfway])).map(kindOf), Array(6).fill('unavailable'))
  const began = performance.now()
  const during = await Promise.all([
    createEntity(store, TAGS, { id: 'during' }, null),
    findEntity(store, TAGS, 'before'),
    store.transaction(queries => createEntity(queries, TAGS, { id: 'during' }, null))
  ])
  t.same(during.map(kindOf), ['unavailable', 'unavailable', 'unavailable'])
  t.ok(performance.now() - began < 5_000, 'they fail soon')
  heard.length = 0
  await service.start()
  t.equal(kindOf(await findEntity(store, TAGS, 'before')), 'fine', 'it works again at once')
  t.equal(good(await findEntity(store, TAGS, 'half')), undefined, 'what was not committed is not there')
  await until(() => heard.includes('all'))
  heard.length = 0
  good(await createEntity(store, TAGS, { id: 'after' }, null))
  await until(() => heard.length > 0)
  t.same(heard, [{ kind: 'tag', id: 'after' }], 'and changes are heard again')
}

/** More questions than connections, all of them slow: nobody waits for ever, and nobody fails who need not. */
async function bounded(t: Test, store: Store): Promise<void> {
  const began = performance.now()
  const answers = await Promise.all(Array.from({ length: 60 }, () => store.query('select pg_sleep(1)', [])))
  const fine = answers.filter(answer => kindOf(answer) === 'fine').length
  t.ok(fine >= 10 && fine < 60, `${fine} of 60 were answered`)
  t.same(
    answers.filter(answer => !['fine', 'unavailable'].includes(kindOf(answer))),
    []
  )
  t.ok(performance.now() - began < 8_000)
  t.equal(kindOf(await store.query('select 1', [])), 'fine')
}

t.test('a server that accepts and says nothing', async t => {
  const server = createServer()
  const sockets = socketsOf(server)
  const port = await listen(server)
  t.teardown(() => closeServer(server, sockets))
  const began = performance.now()
  const opened = await openStore({ databaseUrl: `postgres://sluice@127.0.0.1:${port}/x`, dataDir: '' }, quiet)
  t.equal(kindOf(opened), 'unavailable')
  t.ok(performance.now() - began < 6_000)
})
