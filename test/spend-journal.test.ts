import { spawn } from 'node:child_process'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Failure } from '../src/chat/failure.ts'
import { Journal, type JournalSettings } from '../src/spend/journal.ts'
import type { SettledCall } from '../src/store/spend.ts'
import { until } from './support/store.ts'

const CHILD = fileURLToPath(new URL('./support/journal-child.js', import.meta.url))
t.setTimeout(600_000)

/** Whoever named a file with this id has gone: no system gives it away. */
const NOBODY = 4_194_305

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-journal-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'journal')
}

/** A store that can be away, and remembers what it was sent. */
class Shelf {
  readonly calls = new Map<string, SettledCall>()
  batches = 0
  twice = 0
  away = false

  readonly ship = async (calls: readonly SettledCall[]) => {
    if (this.away) return new Failure('unavailable', 'it is away')
    this.batches++
    const fresh = new Set<string>()
    for (const call of calls) {
      if (this.calls.has(call.callId)) this.twice++
      else fresh.add(call.callId)
      if (!this.calls.has(call.callId)) this.calls.set(call.callId, call)
    }
    return { fresh, refused: [] }
  }

  get spent(): bigint {
    return [...this.calls.values()].reduce((sum, { costNano }) => sum + costNano, 0n)
  }
}

let made = 0

function call(costNano: bigint, more: Partial<SettledCall> = {}): SettledCall {
  made++
  return {
    callId: `call-${made}`,
    settledAt: new Date(1_700_000_000_000 + made),
    startedAt: new Date(1_700_000_000_000),
    durationMs: 3,
    route: '/v1/chat/completions',
    requestedModel: 'gpt',
    model: 'gpt',
    status: 'success',
    costNano,
    ...more
  }
}

function journalIn(folder: string, more: Partial<JournalSettings> = {}) {
  const said: string[] = []
  const journal = new Journal({
    folder,
    maxBytes: 1e9,
    log: (level, message) => said.push(`${level} ${message}`),
    ...more
  })
  return { journal, said }
}

t.test('what is settled reaches the store, exactly as it was', async t => {
  const { journal } = journalIn(folderFor(t))
  const shelf = new Shelf()
  journal.ship(shelf.ship)
  const first = call(12_345_678_901_234_567n, {
    tags: ['a "tag"\n'],
    savedNano: 5n,
    keyId: 'k',
    metadata: { deep: [1] }
  })
  journal.settled(first)
  t.equal(journal.pending, 1)
  await until(() => shelf.calls.size === 1)
  t.same(shelf.calls.get(first.callId), first)
  await until(() => journal.pending === 0)
  await journal.close()
})

t.test('a store that is away holds nothing up: all of it comes later, and both are said once', async t => {
  const folder = folderFor(t)
  const { journal, said } = journalIn(folder, { segmentBytes: 10_000 })
  const shelf = new Shelf()
  shelf.away = true
  journal.ship(shelf.ship)
  for (let index = 0; index < 500; index++) journal.settled(call(1n))
  await until(() => said.length > 0, 60_000)
  t.match(said[0], /^error spend cannot be written into the database/)
  t.equal(journal.pending, 500)
  t.ok(readdirSync(folder).length > 5, 'the files are many')
  shelf.away = false
  await until(() => journal.pending === 0)
  t.equal(shelf.calls.size, 500)
  t.equal(shelf.twice, 0)
  await until(() => said.length > 1)
  t.match(said, [/^error/, /^info spend is being written into the database again/])
  await journal.close()
  t.same(readdirSync(folder), [], 'nothing is left behind')
})

t.test('what was not sent before the end is sent by the next process', async t => {
  const folder = folderFor(t)
  const { journal } = journalIn(folder)
  for (let index = 0; index < 10; index++) journal.settled(call(3n))
  await journal.close()
  const [file = ''] = readdirSync(folder)
  // The journal skips files of processes that live; this one's did.
  const abandoned = join(folder, `${NOBODY}-1-1-0.ndjson`)
  writeFileSync(abandoned, readFileSync(join(folder, file)))
  rmSync(join(folder, file))
  // Killed before its first line.
  writeFileSync(join(folder, `${NOBODY}-1-2-0.ndjson`), '')
  const next = journalIn(folder)
  const shelf = new Shelf()
  next.journal.ship(shelf.ship)
  await until(() => shelf.calls.size === 10 && next.journal.pending === 0)
  t.equal(shelf.spent, 30n)
  await next.journal.close()
  t.same(readdirSync(folder), [])
})

t.test('a torn last line and a broken one cost themselves alone', async t => {
  const folder = folderFor(t)
  const { journal } = journalIn(folder)
  const whole = [call(1n), call(2n), call(4n)]
  for (const each of whole) journal.settled(each)
  await journal.close()
  const [file = ''] = readdirSync(folder)
  const lines = readFileSync(join(folder, file), 'utf8').split('\n')
  rmSync(join(folder, file))
  const abandoned = join(folder, `${NOBODY}-1-1-0.ndjson`)
  writeFileSync(abandoned, `${lines[0]}\n{"settled":{"callId":1}}\nnoise\n${lines[1]}\n${lines[2]?.slice(0, -7)}`)
  const next = journalIn(folder)
  const shelf = new Shelf()
  next.journal.ship(shelf.ship)
  await until(() => shelf.calls.size === 2 && next.journal.pending === 0)
  t.equal(shelf.spent, 3n)
  t.ok(next.said.some(line => line.startsWith('warn lines of the journal')))
  await next.journal.close()
})

t.test('files of a gateway that runs are left alone', async t => {
  const folder = folderFor(t)
  const { journal } = journalIn(folder)
  journal.settled(call(1n))
  const other = journalIn(folder)
  const shelf = new Shelf()
  other.journal.ship(shelf.ship)
  await wait(300)
  t.equal(shelf.calls.size, 0)
  await other.journal.close()
  t.equal(readdirSync(folder).length, 1)
  await journal.close()
})

t.test('a journal that is full says so, takes no more, and answers at once', async t => {
  const { journal, said } = journalIn(folderFor(t), { maxBytes: 3000 })
  const began = performance.now()
  for (let index = 0; index < 100; index++) journal.settled(call(1n))
  t.ok(performance.now() - began < 200)
  t.ok(journal.lost > 80)
  t.equal(journal.lost + journal.pending, 100)
  t.equal(said.filter(line => line.includes('is full')).length, 1)
  const shelf = new Shelf()
  journal.ship(shelf.ship)
  await until(() => journal.pending === 0)
  t.equal(shelf.calls.size, 100 - journal.lost)
  await journal.close()
})

t.test('a folder that cannot be written keeps calls in memory until it can', async t => {
  const folder = folderFor(t)
  // A file where the folder should be.
  writeFileSync(folder, '')
  const { journal, said } = journalIn(folder)
  const shelf = new Shelf()
  for (let index = 0; index < 5; index++) journal.settled(call(2n))
  t.equal(journal.pending, 5)
  t.ok(said.some(line => line.startsWith('error the journal of spend cannot be')))
  rmSync(folder)
  journal.ship(shelf.ship)
  await until(() => shelf.calls.size === 5)
  t.equal(journal.lost, 0)
  await journal.close()
})

t.test('a file that is all in the store makes room', async t => {
  const folder = folderFor(t)
  const { journal } = journalIn(folder, { maxBytes: 600_000 })
  const shelf = new Shelf()
  journal.ship(shelf.ship)
  for (let round = 0; round < 40; round++) {
    for (let index = 0; index < 200; index++) journal.settled(call(1n))
    await until(() => journal.pending === 0)
  }
  t.equal(journal.lost, 0)
  t.equal(shelf.calls.size, 8000)
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  t.ok(bytes < 300_000, `${bytes} bytes are left`)
  await journal.close()
})

t.test('killed at any moment: nothing that was said to be written is lost, and nothing counts twice', async t => {
  const folder = folderFor(t)
  const settled = new Map<string, bigint>()
  const sent = new Set<string>()
  const shelf = new Shelf()
  for (let kill = 0; kill < 50; kill++) {
    const child = spawn(process.execPath, [CHILD, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    child.stdout.on('data', chunk => {
      said += chunk
    })
    const ended = new Promise(resolve => child.once('close', resolve))
    await until(() => said.length > 0, 60_000)
    await wait(Math.random() * 30)
    child.kill('SIGKILL')
    await ended
    for (const line of said.split('\n').slice(0, -1)) {
      const [kind, id = '', cost = '0'] = line.split(' ')
      if (kind === 'settled') settled.set(id, BigInt(cost))
      else sent.add(id)
    }
    // Some starts come upon the files of several that were killed.
    if (kill % 3 === 1) continue
    const { journal } = journalIn(folder)
    journal.ship(shelf.ship)
    await until(() => readdirSync(folder).length <= 1 && journal.pending === 0, 60_000)
    await journal.close()
  }
  const { journal } = journalIn(folder)
  journal.ship(shelf.ship)
  await until(() => readdirSync(folder).length <= 1 && journal.pending === 0, 60_000)
  await journal.close()
  t.same(readdirSync(folder), [])
  t.ok(settled.size > 1000, `${settled.size} calls`)
  const wrong = [...settled].filter(([id, cost]) => shelf.calls.get(id)?.costNano !== cost)
  t.same(wrong, [], 'each is there, at its own cost')
  const unended = [...sent].filter(id => !settled.has(id))
  t.ok(unended.length > 50)
  t.same(
    unended.filter(id => !shelf.calls.has(id)),
    [],
    'what was sent and never ended is there too'
  )
  // The last word before the kill may not have reached the pipe.
  const unheard = [...shelf.calls.keys()].filter(id => !sent.has(id))
  t.ok(unheard.length <= 50, `${unheard.length} were written and not heard of`)
  t.equal(shelf.twice, 0)
})

t.test('lines that are being written while it is read are not torn', async t => {
  const folder = folderFor(t)
  const { journal } = journalIn(folder)
  const shelf = new Shelf()
  journal.ship(shelf.ship)
  for (let round = 0; round < 100; round++) {
    for (let index = 0; index < 30; index++) journal.settled(call(1n, { metadata: { text: 'é'.repeat(round * 10) } }))
    await wait(3)
  }
  await until(() => journal.pending === 0)
  t.equal(shelf.calls.size, 3000)
  t.equal(shelf.twice, 0)
  await journal.close()
  appendFileSync(join(folder, 'notes.txt'), 'somebody else’s file')
  const next = journalIn(folder)
  next.journal.ship(shelf.ship)
  await wait(100)
  t.same(next.said, [])
  await next.journal.close()
})
