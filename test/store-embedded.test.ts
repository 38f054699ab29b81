// The embedded database: folders that two want, processes and threads that die, its upkeep and its speed.

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { Failure } from '../src/chat/failure.ts'
import type { Change } from '../src/store/changes.ts'
import { createEntity, findEntity } from '../src/store/entity.ts'
import { lockFolder } from '../src/store/folder-lock.ts'
import { createKey, keyById } from '../src/store/keys.ts'
import { TAGS } from '../src/store/scopes.ts'
import { insertCalls, type SettledCall } from '../src/store/spend.ts'
import { openStore } from '../src/store/store.ts'
import { type Folder, temporaryFolder } from './support/process.ts'
import { good, kindOf, quiet, until } from './support/store.ts'

t.setTimeout(600_000)

const template = temporaryFolder()
t.teardown(() => template.remove())
t.before(async () => {
  const store = good(await openStore({ dataDir: template.path }, quiet))
  await store.close()
})

/** A folder with a database in it: to make one takes seconds. */
function made(): Folder {
  const folder = temporaryFolder()
  cpSync(template.path, folder.path, { recursive: true })
  return folder
}

const silent = { waiting: quiet, lost: quiet }

t.test('one process a folder', async t => {
  const folder = made()
  t.teardown(() => folder.remove())
  const dataDir = folder.path
  const lock = join(dataDir, 'pg.lock')
  const store = good(await openStore({ dataDir }, quiet))
  t.equal(statSync(join(dataDir, 'pg')).mode & 0o777, 0o700)
  t.equal(statSync(dataDir).mode & 0o777, 0o700)
  t.equal(statSync(lock).mode & 0o777, 0o600)
  const second = await openStore({ dataDir }, quiet)
  t.match(second instanceof Failure && second.message, new RegExp(`in use by another process \\(${process.pid}\\)`))
  const child = holder(dataDir)
  t.match((await child.ended).output, /in use by another process/, 'another process is told the same')
  good(await createEntity(store, TAGS, { id: 'kept' }, null))
  await store.close()
  t.equal(existsSync(lock), false)
  t.equal(kindOf(await store.query('select 1', [])), 'unavailable')

  const mine = { pid: process.pid, birth: '1', place: 'nowhere I know' }
  const times = { beat: 50, patience: 300, upkeep: 60_000 }
  for (const [what, content] of [
    [
      'a process of the same number that began at another time',
      JSON.stringify({ ...JSON.parse(await ownRecord(dataDir)), birth: '1' })
    ],
    ['a process that has gone', JSON.stringify({ ...JSON.parse(await ownRecord(dataDir)), pid: 2 ** 22 + 1 })],
    ['one on another machine that shows no life', JSON.stringify(mine)],
    ['half a record', '{"pi']
  ] as const) {
    writeFileSync(lock, content)
    const taken = good(await openStore({ dataDir, times }, quiet))
    t.equal(kindOf(await findEntity(taken, TAGS, 'kept')), 'fine', `taken over from ${what}`)
    await taken.close()
  }
  writeFileSync(lock, JSON.stringify(mine))
  const beats = setInterval(() => utimesSync(lock, new Date(), new Date()), 50)
  const refused = await openStore({ dataDir, times }, quiet)
  clearInterval(beats)
  t.equal(kindOf(refused), 'unavailable', 'one on another machine that lives is left alone')
  rmSync(lock)
})

async function ownRecord(dataDir: string): Promise<string> {
  const path = join(dataDir, 'record')
  const lock = good(await lockFolder(path, silent, { beat: 1_000, patience: 1_000 }))
  const record = readFileSync(path, 'utf8')
  lock.release()
  return record
}

t.test('a thread that dies is started again', async t => {
  const folder = made()
  t.teardown(() => folder.remove())
  let worker: Worker | undefined
  process.once('worker', started => {
    worker = started
  })
  const logged: string[] = []
  const store = good(await openStore({ dataDir: folder.path }, (_, message) => logged.push(message)))
  t.teardown(() => store.close())
  const heard: (Change | 'all')[] = []
  await store.onChange(change => heard.push(change))
  good(await createEntity(store, TAGS, { id: 'before' }, null))
  let mayGoOn = () => {}
  const halfway = store.transaction(async queries => {
    good(await createEntity(queries, TAGS, { id: 'half' }, null))
    await new Promise<void>(resolve => {
      mayGoOn = resolve
    })
    return createEntity(queries, TAGS, { id: 'other half' }, null)
  })
  await wait(200)
  const waiting = store.query('select 1', [])
  await worker?.terminate()
  await wait(1_000)
  mayGoOn()
  t.equal(kindOf(await halfway), 'unavailable')
  await until(async () => kindOf(await waiting) === 'fine' || kindOf(await store.query('select 1', [])) === 'fine')
  for (const [id, there] of [
    ['before', true],
    ['half', false],
    ['other half', false]
  ] as const) {
    t.equal(good(await findEntity(store, TAGS, id)) !== undefined, there, id)
  }
  await until(() => heard.includes('all'))
  heard.length = 0
  good(await createEntity(store, TAGS, { id: 'after' }, null))
  await until(() => heard.length > 0)
  t.same(heard, [{ kind: 'tag', id: 'after' }])
  t.ok(logged.includes('the embedded database has stopped'))
})

t.test('the embedded database is looked after', async t => {
  const folder = made()
  t.teardown(() => folder.remove())
  const store = good(
    await openStore({ dataDir: folder.path, times: { beat: 1_000, patience: 1_000, upkeep: 50 } }, quiet)
  )
  t.teardown(() => store.close())
  const journal = async () =>
    good(
      await store.query('select (pg_current_wal_lsn() - redo_lsn)::integer as size from pg_control_checkpoint()', [])
    )
  const dead = async () =>
    good(await store.query("select n_dead_tup::integer as dead from pg_stat_user_tables where relname = 'tags'", []))
  await store.transaction(async queries => {
    const insert =
      "insert into sluice.tags (id, alias) select number, repeat('x', 900) from generate_series(1, 40000) as number"
    good(await queries.query(insert, []))
    return queries.query("delete from sluice.tags where id <> '7'", [])
  })
  await until(async () => Number((await journal())[0]?.['size']) < 33_000_000 && (await dead())[0]?.['dead'] === 0)
  const files = readdirSync(join(folder.path, 'pg', 'pg_wal')).filter(name => /^[0-9A-F]{24}$/.test(name))
  t.ok(files.length <= 5, `${files.length} files of 16 MB are left of the journal`)
  t.equal(good(await findEntity(store, TAGS, '7'))?.id, '7')
})

t.test('of many that find a dead holder, one takes its place', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const path = folder.write('lock', JSON.stringify({ pid: 2 ** 22 + 1, place: 'elsewhere' }))
  const times = { beat: 20, patience: 60 }
  const results = await Promise.all(Array.from({ length: 20 }, () => lockFolder(path, silent, times)))
  t.equal(results.filter(result => !(result instanceof Failure)).length, 1)
  for (const result of results) if (!(result instanceof Failure)) result.release()
})

t.test('a store whose lock was taken writes nothing more', async t => {
  const folder = made()
  t.teardown(() => folder.remove())
  const logged: string[] = []
  const settings = { dataDir: folder.path, times: { beat: 30, patience: 100, upkeep: 60_000 } }
  const store = good(await openStore(settings, (level, message) => logged.push(`${level} ${message}`)))
  folder.write('pg.lock', '{"pid":1,"place":"elsewhere"}')
  await until(async () => (await createEntity(store, TAGS, { id: `t${Math.random()}` }, null)) instanceof Failure)
  t.match(logged.at(-1), /^error another process took the embedded database/)
  await store.close()
  t.ok(existsSync(join(folder.path, 'pg.lock')), 'the lock of the other stays')
})

t.test('what was acknowledged outlives kill -9', async t => {
  const folder = made()
  t.teardown(() => folder.remove())
  const acknowledged: string[] = []
  for (let round = 0; round < 4; round++) {
    const child = holder(folder.path)
    await until(() => child.lines().length > 3 || child.process.exitCode !== null, 60_000)
    await wait(Math.random() * 400)
    child.process.kill('SIGKILL')
    const { output } = await child.ended
    t.equal(output.includes('cannot'), false, output.slice(0, 300))
    acknowledged.push(...child.lines())
  }
  const store = good(await openStore({ dataDir: folder.path }, quiet))
  const lost: string[] = []
  for (const id of acknowledged) if (good(await keyById(store, id)) === undefined) lost.push(id)
  t.comment(`${acknowledged.length} keys acknowledged in four lives`)
  t.same(lost, [])
  await store.close()
})

t.test('a death while the folder is made leaves nothing in the way', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const child = holder(folder.path)
  await until(() => existsSync(join(folder.path, 'pg.new', 'PG_VERSION')), 60_000)
  child.process.kill('SIGKILL')
  await child.ended
  t.equal(existsSync(join(folder.path, 'pg', 'PG_VERSION')), false)
  const store = good(await openStore({ dataDir: folder.path }, quiet))
  t.equal(readFileSync(join(folder.path, 'pg', 'PG_VERSION'), 'utf8').trim(), '18')
  await store.close()
  writeFileSync(join(folder.path, 'pg', 'PG_VERSION'), '17\n')
  const older = await openStore({ dataDir: folder.path }, quiet)
  t.match(older instanceof Failure && older.message, /was made by PostgreSQL 17/)
})

interface Holder {
  readonly process: ChildProcess
  readonly ended: Promise<{ readonly output: string }>
  lines(): readonly string[]
}

/** A process that opens a store and makes keys until it is killed; it writes the id of each that was acknowledged. */
function holder(dataDir: string): Holder {
  const source = (path: string) => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href)
  const script = `
    import { openStore } from ${source('store/store.js')}
    import { createKey } from ${source('store/keys.js')}
    const store = await openStore({ dataDir: ${JSON.stringify(dataDir)} }, () => undefined)
    if (store.message) {
      process.stdout.write('cannot: ' + store.message)
      process.exit(1)
    }
    for (let number = 0; ; number++) {
      const id = process.pid + '-' + number
      const made = await createKey(store, { id, name: 'n', hash: Buffer.alloc(32) }, null)
      process.stdout.write(made.id === id ? id + '\\n' : 'cannot: ' + made.message + '\\n')
    }`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  const ended = new Promise<{ output: string }>(resolve => {
    child.once('close', () => {
      process.removeListener('exit', kill)
      resolve({ output })
    })
  })
  // The last line may be half a line: what was not written whole was not acknowledged.
  return { process: child, ended, lines: () => output.split('\n').slice(0, -1) }
}

const measured = process.env['MEASURE'] === undefined ? 'a measure, for MEASURE=1' : false
t.test('how fast the embedded database is', { skip: measured }, async t => {
  const folder = made()
  t.teardown(() => folder.remove())
  /** What others do on this machine is in the first number and not in the second. */
  const timed = async (what: string, amount: number, work: () => Promise<unknown>) => {
    const [began, before] = [performance.now(), process.cpuUsage()]
    await work()
    const seconds = (performance.now() - began) / 1000
    const { user, system } = process.cpuUsage(before)
    const busy = Math.round((user + system) / amount)
    t.comment(
      `${what}: ${Math.round(amount / seconds)} a second, ${busy} µs of CPU each, ${Math.round(seconds * 1000)} ms in all`
    )
  }
  let store = good(await openStore({ dataDir: folder.path }, quiet))
  const fields = (id: string) => ({
    id,
    name: 'sk-…abcd',
    hash: randomBytes(32),
    models: ['gpt-*'],
    limits: { rpm: 60 }
  })
  for (const warmth of ['cold', 'warm']) {
    await timed(`keys made one after the other, each with a budget and a note, ${warmth}`, 1_000, async () => {
      for (let index = 0; index < 1_000; index++) {
        const id = `${warmth}-${index}`
        const more = {
          budgets: [{ id, window: '30d', limitNano: 10n ** 10n }],
          audit: { actor: 'admin', action: 'create', kind: 'key', target: id }
        }
        good(await createKey(store, fields(id), 'admin', more))
      }
    })
  }
  await timed('keys made all at once', 1_000, () =>
    Promise.all(
      Array.from({ length: 1_000 }, async (_, index) => good(await createKey(store, fields(`c${index}`), null)))
    )
  )
  await timed('keys looked up', 1_000, async () => {
    for (let index = 0; index < 1_000; index++) good(await keyById(store, `warm-${index}`))
  })
  const many = `insert into sluice.keys (id, name, hash)
    select 'many-' || number, 'n', sha256(number::text::bytea) from generate_series(1, 100000) as number`
  await timed('keys inserted by one statement', 100_000, async () => good(await store.query(many, [])))
  for (const keys of [10, 1_000]) {
    const calls = Array.from({ length: 1_000 }, (_, index) => settled(index, keys))
    await timed(`calls of ${keys} keys written in one batch`, 1_000, async () => {
      t.equal(good(await insertCalls(store, calls)).fresh.size, 1_000)
    })
  }
  await store.close()
  await timed('opened with 100,000 keys', 1, async () => {
    store = good(await openStore({ dataDir: folder.path }, quiet))
  })
  t.equal(good(await keyById(store, 'many-77777'))?.id, 'many-77777')
  t.comment(`${Math.round(process.memoryUsage().rss / 1e6)} MB of memory, this test's own in it`)
  await store.close()
})

function settled(index: number, keys: number): SettledCall {
  return {
    callId: `call-${keys}-${index}`,
    settledAt: new Date(),
    startedAt: new Date(),
    durationMs: 1,
    keyId: `k${index % keys}`,
    teamId: `t${index % 10}`,
    userId: `u${index % 100}`,
    route: '/v1/chat/completions',
    requestedModel: 'm',
    model: 'm',
    status: 'success',
    costNano: 1n
  }
}
