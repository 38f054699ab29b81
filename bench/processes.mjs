// Starting, pinning, reading and ending the processes of a run. Nothing is ended that was not started here.
import { execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const started = new Set()

export function find(...names) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const name of names)
    for (const folder of folders) {
      try {
        if (folder && readdirSync(folder).includes(name)) return join(folder, name)
      } catch {}
    }
}

// The gateway has a core of its own; mock, load and this process share another (with four cores the load has a third).
const taskset = availableParallelism() > 1 ? find('taskset') : undefined
const cores = { gateway: '1', mock: '0', load: availableParallelism() > 3 ? '2' : '0' }
// Whatever ends the bench, even a SIGKILL, ends what it started.
const setpriv = process.platform === 'linux' ? find('setpriv') : undefined
export const pinned = taskset !== undefined

export function pinSelf() {
  if (taskset) execFileSync(taskset, ['-acp', cores.mock, `${process.pid}`], { stdio: 'ignore' })
}

export function start(core, command, options = {}) {
  const pin = taskset ? [taskset, '-c', cores[core]] : []
  const follow = setpriv ? [setpriv, '--pdeathsig', 'TERM'] : []
  const [file, ...args] = [...follow, ...pin, ...command]
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options })
  started.add(child)
  child.once('error', error => console.error(`${command[0]}: ${error.message}`))
  child.once('exit', () => started.delete(child))
  return child
}

export async function stop(child) {
  if (!started.has(child)) return
  const gone = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(late)
}

export const stopAll = () => Promise.all([...started].map(stop))

// A killed bench must not leave a gateway behind.
process.once('exit', () => {
  for (const child of started) child.kill('SIGKILL')
})

export async function freePort() {
  const server = createServer()
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

/** What a gateway sees of our environment: no provider keys, no home to keep state in. */
export const bareEnvironment = folder => ({
  PATH: process.env.PATH,
  HOME: folder,
  TMPDIR: process.env.TMPDIR ?? tmpdir(),
  NODE_ENV: 'production'
})

function family(pid) {
  const found = [pid]
  for (const parent of found) {
    try {
      for (const task of readdirSync(`/proc/${parent}/task`)) {
        const children = readFileSync(`/proc/${parent}/task/${task}/children`, 'utf8').trim()
        if (children) found.push(...children.split(' ').map(Number))
      }
    } catch {}
  }
  return found
}

// The scheduler's own count in nanoseconds where the kernel tells it, else user + system in ticks of 10 ms.
function cpuOf(pid) {
  try {
    let nanoseconds = 0
    for (const task of readdirSync(`/proc/${pid}/task`))
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
    return nanoseconds / 1e9
  } catch {}
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return Number.NaN
  }
}

/** CPU seconds that a process and its children have used; NaN where there is no /proc. */
export const cpuSeconds = pid => family(pid).reduce((sum, member) => sum + cpuOf(member), 0)

/** Megabytes held by a process and its children. */
export function memory(pid) {
  const sum = { rss: 0, pss: 0 }
  for (const member of family(pid)) {
    try {
      const text = readFileSync(`/proc/${member}/smaps_rollup`, 'utf8')
      sum.rss += Number(/^Rss:\s+(\d+)/m.exec(text)[1]) / 1024
      sum.pss += Number(/^Pss:\s+(\d+)/m.exec(text)[1]) / 1024
    } catch {}
  }
  return sum.rss ? sum : { rss: Number.NaN, pss: Number.NaN }
}

/** Asks until the answer is a 200; says why when it never is. */
export async function untilAnswers(child, ask, seconds = 20) {
  const end = Date.now() + seconds * 1000
  for (let last = 'no answer'; ; ) {
    try {
      const response = await ask()
      const text = await response.text()
      if (response.status === 200) return
      last = `${response.status} ${text.slice(0, 300)}`
    } catch (error) {
      last = error.cause?.message ?? error.message
    }
    if (!started.has(child)) throw new Error(`it ended with code ${child.exitCode}`)
    if (Date.now() > end) throw new Error(last)
    await wait(5)
  }
}
