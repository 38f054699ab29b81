// What one request costs where its caller has limits: reserve and settle over four scopes, each with limits and two budgets;
// then all that a key adds to a request: who it is, its limits, its budget, its two lines in the journal.
// `node bench/limits.mjs [BUILD]`, BUILD: the folder of the build, `dist` unless said. Redis is measured where one is installed.

import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const build = resolve(process.argv[2] ?? 'dist')
const load = path => import(pathToFileURL(resolve(build, path)).href)
const { MemoryLimits } = await load('src/limits/memory.js')
const { RedisLimits } = await load('src/limits/redis.js')
const { redisService } = await load('test/support/services.js')

const DAY = 86_400_000
const now = Date.now()
const budget = days => ({ limit: 10n ** 15n, spent: 0n, from: now - days * 1000, until: now + days * DAY })
const bounds = ['key', 'user', 'team', 'organization'].map(scope => ({
  scope,
  id: `${scope}-1`,
  requestsPerMinute: 1e9,
  requestsPerDay: 1e9,
  tokensPerMinute: 1e9,
  parallel: 1e6,
  budgets: [budget(1), budget(30)]
}))
const simple = [{ scope: 'key', id: 'key-2', requestsPerMinute: 1e9, budgets: [budget(30)] }]
const ask = { tokens: 1200, cost: 4_000_000n }
const used = { tokens: 900, cost: 3_000_000n }

function memory(name, all) {
  const limits = new MemoryLimits()
  const rounds = 200_000
  for (let round = 0; round < 20_000; round++) limits.reserve(all, ask).settle(used)
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) limits.reserve(all, ask).settle(used)
  const { user, system } = process.cpuUsage(before)
  console.log(`memory, ${name}: ${((user + system) / rounds).toFixed(2)} µs CPU a request`)
}

memory('one scope, one limit, one budget', simple)
memory('four scopes, four limits and two budgets each', bounds)

const service = await redisService()
if (service === undefined) console.log('redis: not installed here')
else {
  const limits = new RedisLimits({ url: service.url, outage: 'refuse', timeout: 10_000 })
  await limits.ready(5000)
  for (const [name, all] of [
    ['one scope', simple],
    ['four scopes', bounds]
  ]) {
    for (const parallel of [1, 50]) {
      const rounds = 4000
      let left = rounds
      const latencies = []
      const work = async () => {
        while (left-- > 0) {
          const asked = performance.now()
          const result = await limits.reserve(all, ask)
          latencies.push(performance.now() - asked)
          if ('failure' in result) throw new Error(result.failure.message)
          result.settle(used)
        }
      }
      const before = process.cpuUsage()
      const began = performance.now()
      await Promise.all(Array.from({ length: parallel }, work))
      const took = performance.now() - began
      const { user, system } = process.cpuUsage(before)
      latencies.sort((a, b) => a - b)
      const median = latencies[latencies.length >> 1]
      console.log(
        `redis, ${name}, ${parallel} at once: ${((user + system) / rounds).toFixed(1)} µs CPU of ours a request, ` +
          `${Math.round((rounds / took) * 1000)}/s, median ${median.toFixed(2)} ms`
      )
    }
  }
  await limits.close()
  await service.stop()
}

const { keyedGateway, MASTER_KEY } = await load('test/support/keys.js')
const { Gate } = await load('src/keys/gate.js')
const { Bill } = await load('src/exchange/bill.js')
const { accountOf, settledCall } = await load('src/exchange/journaled.js')
const { scanObject } = await load('src/lib/json-scan.js')
const { WANTED_KEYS } = await load('src/exchange/inbound.js')
const { Journal } = await load('src/spend/journal.js')

const ends = []
const { gateway, keyring, make } = await keyedGateway({ teardown: end => ends.unshift(end) })
const key = await make({
  rpm_limit: 1_000_000_000,
  tpm_limit: 1_000_000_000,
  max_parallel_requests: 1_000_000,
  max_budget: 1_000_000,
  budget_duration: '30d'
})
await keyring.find(key)
const { mkdtempSync, rmSync } = await import('node:fs')
const { tmpdir } = await import('node:os')
const folder = mkdtempSync(`${tmpdir()}/sluice-bench-`)
gateway.journal = new Journal({ folder, maxBytes: 1e10, log: () => undefined })
const { runtime } = gateway
const gate = new Gate({ masterKey: MASTER_KEY, open: false, allowedOrigins: new Set(), keyring })
const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
const visit = { headers, query: '', path: '/v1/chat/completions', remoteAddress: '127.0.0.1' }
const bytes = Buffer.from(
  JSON.stringify({ model: 'gpt-4o', max_tokens: 1000, messages: [{ role: 'user', content: 'x'.repeat(4000) }] })
)
const body = { chunks: [bytes], length: bytes.length, fields: scanObject([bytes], WANTED_KEYS) }
const resolved = runtime.routes.resolve('gpt-4o')
const [target] = resolved.route.targets
const usage = { input: 1000, output: 300, cacheRead: 0, cacheWrite: 0, reasoning: 0 }
const attempt = { target, usageSoFar: () => usage }
let count = 0

const parts = {
  'who it is': () => gate.admit(visit),
  'and its limits and budget': () => {
    const bill = billed()
    bill.close({ attempt, usage, worked: true, cached: false, resolved })
  },
  'and the journal': () => {
    const bill = billed()
    bill.sent(target, 'gpt-4o', resolved)
    const spending = bill.close({ attempt, usage, worked: true, cached: false, resolved })
    gateway.journal.settled(settledCall(recordOf(spending), accountOf(bill.inbound, resolved, spending.counted)))
  }
}

function billed() {
  const inbound = {
    id: `call-${count++}`,
    endpoint: '/v1/chat/completions',
    dialect: 'openai-chat',
    operation: 'chat',
    body,
    model: 'gpt-4o',
    stream: false,
    headers,
    caller: gate.admit(visit),
    receivedAt: performance.now()
  }
  const bill = new Bill(gateway, runtime, inbound)
  bill.ask(resolved, granted => {
    if (granted !== resolved) throw granted
  })
  bill.cover(target, 'gpt-4o')
  void bill.headers
  bill.inbound = inbound
  return bill
}

function recordOf({ counted: _, ...costs }) {
  return {
    id: `call-${count}`,
    at: Date.now(),
    endpoint: '/v1/chat/completions',
    stream: false,
    model: 'gpt-4o',
    provider: 'openai',
    status: 200,
    attempts: [{ target: 'openai/gpt-4o', reason: 'ok', milliseconds: 900 }],
    milliseconds: 900,
    firstByteMilliseconds: 300,
    ...costs
  }
}

for (const [name, part] of Object.entries(parts)) {
  const spent = []
  for (let round = 0; round < 40; round++) {
    const began = process.cpuUsage()
    for (let index = 0; index < 250; index++) part()
    const { user, system } = process.cpuUsage(began)
    spent.push((user + system) / 250)
    await new Promise(resolve => setImmediate(resolve))
  }
  spent.sort((a, b) => a - b)
  console.log(`a request, ${name}: ${spent[20].toFixed(1)} µs CPU (best ${spent[0].toFixed(1)})`)
}
const waiting = gateway.journal.pending
const before = process.cpuUsage()
gateway.journal.ship(async calls => ({ fresh: new Set(calls.map(({ callId }) => callId)), refused: [] }))
while (gateway.journal.pending > 0) await new Promise(resolve => setTimeout(resolve, 5))
const { user, system } = process.cpuUsage(before)
console.log(`the journal read again for the database: ${((user + system) / waiting).toFixed(1)} µs a call`)
await gateway.journal.close()
rmSync(folder, { recursive: true, force: true })
for (const end of ends) await end()
