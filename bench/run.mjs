import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { full, quick, requestBytes, warmUp } from './cells.mjs'
import { gateways } from './gateways.mjs'
import { memory, pinned, pinSelf, stopAll, untilAnswers } from './processes.mjs'
import { measures, summarize, table, verdict } from './report.mjs'
import { createLoad, startMock } from './upstream.mjs'

const HELP = `Compares Sluice with nginx and Portkey before the same mock upstream on this machine.

  npm run bench                        everything, about 12 minutes
  npm run bench -- --quick             the cells that the measures need, under 90 seconds
  npm run bench -- --only sluice,nginx  these gateways (direct is always measured)
  npm run bench -- --cells chat-1k,paced  only cells whose name begins so
  npm run bench -- --rounds 5          how often each cell is run; medians are shown (3)
  npm run bench -- --json FILE         every sample, for keeping
  npm run bench -- --startup           start to first answer, and memory at rest
  npm run bench -- --reload            saved YAML to in force
  npm run bench -- --translate         what an event costs between two dialects
  npm run bench -- --counting          what metrics and spans of a request cost
  npm run bench -- --only hub --cells paced,stream   streams that are read and written again on the way

SLUICE_COMMAND="node dist/src/cli/main.js start" is what is run from the repository's root as Sluice.`

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean' },
    only: { type: 'string' },
    cells: { type: 'string' },
    rounds: { type: 'string' },
    json: { type: 'string' },
    startup: { type: 'boolean' },
    reload: { type: 'boolean' },
    translate: { type: 'boolean' },
    counting: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' }
  }
})

const began = performance.now()
const elapsed = () => (performance.now() - began) / 1000
const tell = text => console.error(`${elapsed().toFixed(0).padStart(4)} s  ${text}`)

async function startGateway(gateway, folder, mockPort) {
  mkdirSync(join(folder, gateway.name), { recursive: true })
  const { child, port } = await gateway.start(join(folder, gateway.name), mockPort)
  const running = { ...gateway, port, pid: child?.pid, files: new Map() }
  const body = '{"model":"mock-chat","messages":[{"role":"user","content":"hi"}]}'
  const headers = { 'content-type': 'application/json', ...gateway.headers(mockPort) }
  if (child)
    await untilAnswers(child, () =>
      fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: 'POST', headers, body })
    )
  return running
}

async function startAll(folder, mockPort) {
  const wanted = options.only?.split(',').map(name => name.trim())
  for (const name of wanted ?? [])
    if (!gateways.some(gateway => gateway.name === name)) throw new Error(`no gateway is named ${name}`)
  const running = []
  for (const gateway of gateways) {
    if (wanted ? gateway.name !== 'direct' && !wanted.includes(gateway.name) : gateway.onlyAsked) continue
    try {
      running.push(await startGateway(gateway, folder, mockPort))
      tell(`${gateway.name} answers`)
    } catch (error) {
      tell(`${gateway.name} is left out: ${error.message}`)
      tellLog(join(folder, gateway.name, `${gateway.name}.log`))
    }
  }
  return running
}

function tellLog(file) {
  try {
    console.error(readFileSync(file, 'utf8').split('\n').slice(-8).join('\n'))
  } catch {}
}

function fileOf(cell, gateway, folder, mockPort) {
  const key = `${cell.model}-${cell.kilobytes}`
  if (!gateway.files.has(key)) {
    const file = join(folder, `${gateway.name}-${key}.request`)
    writeFileSync(file, requestBytes(cell, gateway.port, gateway.headers(mockPort)))
    gateway.files.set(key, file)
  }
  return gateway.files.get(key)
}

/** Rounds of A B C, A B C: a slow minute of the machine falls on all of them. */
async function measure(plan, cells, running, runCell) {
  const rounds = []
  for (let round = 0; round < plan.rounds; round++) {
    const start = elapsed()
    const results = {}
    for (const cell of cells) {
      results[cell.id] = {}
      for (const gateway of running) results[cell.id][gateway.name] = await runCell(cell, gateway)
      const rates = running.map(({ name }) => `${name} ${Math.round(results[cell.id][name].perSecond)}`)
      tell(`${round + 1}/${plan.rounds} ${cell.title}: ${rates.join(', ')} ${cell.stream ? 'events' : 'requests'}/s`)
    }
    rounds.push(results)
    const took = elapsed() - start
    if (round + 1 < plan.rounds && elapsed() + took > plan.budgetSeconds) {
      tell(`no time for another round within ${plan.budgetSeconds} s`)
      break
    }
  }
  return rounds
}

function ceiling(rows, mock, load) {
  const direct = rows.filter(row => row.gateway === 'direct' && row.unit === 'request' && !row.cell.startsWith('rate'))
  const best = [...new Set(direct.map(row => row.cell.split('-')[1]))].map(size => {
    const most = Math.max(...direct.filter(row => row.cell.split('-')[1] === size).map(row => row.perSecond))
    return `${Math.round(most).toLocaleString('en-US')}/s of ${size.slice(0, -1)} KB`
  })
  return `Mock upstream in ${mock.made}, load in ${load.made}; together their ceiling is ${best.join(', ') || 'not measured here'}.`
}

async function compare(folder) {
  const base = options.quick ? quick : full
  const plan = { ...base, rounds: Number(options.rounds ?? base.rounds) }
  if (options.rounds) plan.budgetSeconds = Number.POSITIVE_INFINITY
  const prefixes = options.cells?.split(',')
  const cells = base.cells.filter(cell => !prefixes || prefixes.some(prefix => cell.id.startsWith(prefix)))
  if (cells.length === 0) throw new Error(`no cell begins so; there are ${base.cells.map(cell => cell.id).join(', ')}`)
  if (loadavg()[0] > 0.7) tell(`the machine is busy (load ${loadavg()[0].toFixed(1)}): ratios hold, absolutes do not`)
  const mock = await startMock(folder)
  const load = createLoad(folder, mock)
  tell(`mock upstream (${mock.made}) on port ${mock.port}, load (${load.made})`)
  const running = await startAll(folder, mock.port)
  const runCell = (cell, gateway) => load.run(cell, fileOf(cell, gateway, folder, mock.port), gateway.port, gateway.pid)
  const idle = Object.fromEntries(running.map(({ name, pid }) => [name, pid ? memory(pid) : undefined]))
  for (const gateway of running) {
    tell(`warming up ${gateway.name}`)
    for (const cell of warmUp(plan.warmUpSeconds * gateway.warmUp)) await runCell(cell, gateway)
  }
  const rounds = await measure(plan, cells, running, runCell)
  const rows = summarize(
    cells,
    running.map(({ name }) => name),
    rounds
  )
  const verdicts = measures(rows)
  const pinning = pinned ? 'the gateway alone on core 1, mock and load on core 0' : 'nothing pinned'
  console.log(`\nNode ${process.version}, ${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores; ${pinning}.`)
  console.log(`${ceiling(rows, mock, load)} ${rounds.length} interleaved rounds, medians.\n`)
  console.log(`${table(rows)}\n\n${verdicts.map(verdict).join('\n')}`)
  if (options.json)
    writeFileSync(
      options.json,
      `${JSON.stringify({ node: process.version, cells, idle, rows, verdicts, rounds }, null, 1)}\n`
    )
  const expected = options.only ? options.only.split(',').includes('sluice') : true
  if (expected && !running.some(({ name }) => name === 'sluice')) process.exitCode = 1
}

async function main() {
  if (options.help) return console.log(HELP)
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'))
  const leave = async code => {
    await Promise.race([stopAll(), wait(6_000, undefined, { ref: false })])
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    if (code !== undefined) process.exit(code)
  }
  process.once('SIGINT', () => leave(130))
  process.once('SIGTERM', () => leave(143))
  try {
    pinSelf()
    if (options.startup) await (await import('./startup.mjs')).measureStartup(folder, tell)
    else if (options.counting) await (await import('./counting.mjs')).countingBench()
    else if (options.translate) await (await import('./translate.mjs')).translateBench()
    else if (options.reload) await (await import('./reload.mjs')).measureReload(folder, tell)
    else await compare(folder)
  } catch (error) {
    console.error(`bench: ${error.message}`)
    process.exitCode = 1
  } finally {
    await leave()
  }
  tell('done')
}

await main()
