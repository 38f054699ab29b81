// Runs real agents through a gateway to upstreams of each dialect: each has to write a file with a tool of its own.
// `npm run test:clients -- codex anthropic` runs those whose names hold a word of each kind; --dist names a build.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { AGENTS, CONTENT } from './agents.mjs'
import { startGateway, UPSTREAM_KEY, UPSTREAMS } from './gateway.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const PATIENCE = 90_000
/** What goes wrong with an upstream's first answer; the agent asks again. */
const FAULTS = ['429', 'cut', 'early-end', 'error-event', 'html']

const { values, positionals } = parseArgs({
  options: {
    dist: { type: 'string', default: join(root, 'dist') },
    keep: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false }
  },
  allowPositionals: true
})
const dist = resolve(values.dist)
const words = positionals.map(word => word.toLowerCase())
const wanted = names => {
  const chosen = names.filter(name => words.some(word => name.toLowerCase().includes(word)))
  return chosen.length > 0 ? chosen : names
}

if (`${process.platform} ${process.arch}` !== 'linux x64') fail('these agents are installed for Linux on x64 only')
if (!AGENTS.every(({ binary }) => existsSync(binary))) install()
if (!existsSync(join(dist, 'test/support/upstream.js'))) fail(`there is no build in ${dist}; run \`npm run build\``)
const built = path => import(pathToFileURL(join(dist, path)).href)
const { playWire, startUpstream } = await built('test/support/upstream.js')
const { createDemo } = await built('src/demo/demo.js')

const names = wanted(AGENTS.map(({ name }) => name))
const dialects = wanted(Object.keys(UPSTREAMS))
const rows = []
for (const agent of AGENTS.filter(({ name }) => names.includes(name))) {
  for (const dialect of dialects) {
    const faults = agent.troubled === dialect ? FAULTS : []
    for (const fault of [undefined, ...faults]) {
      const row = await attempt(agent, dialect, fault)
      rows.push(row)
      console.log(rowOf(row))
      if (values.verbose) console.log(row.output, row.log.join('\n'))
    }
  }
}
const failed = rows.filter(({ faults }) => faults.length > 0)
for (const { agent, speaks, dialect, fault, faults, output, log } of failed) {
  console.log(`\n${agent} (${speaks}) to ${dialect} ${fault ?? ''}:\n  ${faults.join('\n  ')}`)
  console.log(`${output.slice(-3_000)}\n${log.slice(-10).join('\n')}`)
}
console.log(`\n${rows.length - failed.length} passed, ${failed.length} failed`)
process.exit(failed.length === 0 ? 0 : 1)

function fail(reason) {
  console.error(`test:clients: ${reason}`)
  process.exit(1)
}

function install() {
  const folder = fileURLToPath(new URL('.', import.meta.url))
  console.log('test:clients: installing the agents, about 900 MB')
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: 'inherit'
  })
  if (status !== 0) fail('the agents could not be installed')
}

function rowOf({ agent, speaks, dialect, fault, faults, seconds, asked, code }) {
  const cells = [
    agent.padEnd(11),
    speaks.padEnd(18),
    '→',
    `${dialect}${fault === undefined ? '' : `, ${fault}`}`.padEnd(24),
    `${seconds.toFixed(1)} s`.padStart(7)
  ]
  const verdict = faults.length === 0 ? 'wrote the file' : 'FAILED'
  return `  ${cells.join(' ')}   exit ${code}   ${String(asked).padStart(2)} requests   ${verdict}`
}

/** One agent in a folder and a home that nobody has used, with nothing on its standard input. */
async function attempt(agent, dialect, fault) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-clients-'))
  const home = join(folder, 'home')
  const work = join(folder, 'work')
  for (const path of [home, join(home, 'tmp'), work]) mkdirSync(path)
  const upstream = await upstreamWith(fault)
  const gateway = await startGateway({ dist, folder, dialect, upstreamUrl: upstream.url })
  const place = { folder: work, home, url: gateway.url, key: gateway.key, file: join(work, 'hello.txt') }
  try {
    const began = performance.now()
    const { code, output } = await run(agent.start(place, agent.prompt(place)), place)
    const seconds = (performance.now() - began) / 1000
    const faults = faultsOf({ code, file: place.file, dialect, fault, requests: upstream.requests })
    const asked = upstream.requests.length
    return {
      agent: agent.name,
      speaks: agent.speaks,
      dialect,
      fault,
      faults,
      seconds,
      asked,
      code,
      output,
      log: gateway.lines
    }
  } finally {
    await gateway.stop()
    await upstream.close()
    if (values.keep) console.log(`  kept ${folder}`)
    else rmSync(folder, { recursive: true, force: true })
  }
}

/** The demo over a socket; its first answer goes wrong, if told so. */
function upstreamWith(fault) {
  const play = playWire(createDemo())
  let orders = fault === undefined ? [] : ['x-demo-fail', fault, 'x-demo-pace', '5ms']
  return startUpstream((request, response) => {
    const rawHeaders = [...request.rawHeaders, ...orders]
    orders = []
    play({ ...request, rawHeaders }, response)
  })
}

function run({ command, words, env }, { folder, home }) {
  const { PATH, LANG = 'C.UTF-8' } = process.env
  const own = { PATH, LANG, HOME: home, TMPDIR: join(home, 'tmp'), NO_PROXY: '127.0.0.1', ...env }
  const child = spawn(command, words, { cwd: folder, env: own, stdio: ['ignore', 'pipe', 'pipe'] })
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => chunks.push(chunk))
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
  return new Promise(resolve => {
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code: code ?? signal, output: Buffer.concat(chunks).toString() })
    })
  })
}

/** What is not as it has to be, in the file and in what the upstream was asked. */
function faultsOf({ code, file, dialect, fault, requests }) {
  const faults = []
  if (code !== 0) faults.push(`it ended with ${code}`)
  const content = existsSync(file) ? readFileSync(file, 'utf8').trimEnd() : undefined
  if (content !== CONTENT) faults.push(content === undefined ? 'no file was written' : `the file says ${content}`)
  const { path, result } = UPSTREAMS[dialect]
  const asked = requests.filter(({ url }) => path.test(url))
  if (asked.length < (fault === undefined ? 2 : 3))
    faults.push(`the upstream was asked ${asked.length} times: ${requests.map(({ url }) => url)}`)
  const bodies = asked.map(({ body }) => JSON.parse(body.toString()))
  if (!bodies.some(body => result(body) > 0)) faults.push('no result of a tool reached the upstream')
  if (!bodies.some(({ tools }) => tools?.length > 0)) faults.push('no tool was offered to the upstream')
  const text = JSON.stringify(requests.map(({ headers }) => headers))
  if (!text.includes(UPSTREAM_KEY) || text.includes('sk-of-the-gateway')) faults.push('a key went where it must not')
  return faults
}
