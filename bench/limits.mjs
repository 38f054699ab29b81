// What one request costs where its caller has limits: reserve and settle over four scopes, each with limits and two budgets.
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
      const rounds = 10_000
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
