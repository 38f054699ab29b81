// The mock upstream and the load: in C where there is a compiler, in Node otherwise. Both speak the same arguments and the same output.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { cpuSeconds, find, memory, start } from './processes.mjs'

const here = import.meta.dirname

function compile(name, folder) {
  const compiler =
    process.env.BENCH_COMPILER === '' ? undefined : find(process.env.BENCH_COMPILER ?? 'cc', 'gcc', 'clang')
  if (!compiler || process.platform !== 'linux') return
  try {
    execFileSync(compiler, ['-O2', '-o', join(folder, name), join(here, 'native', `${name}.c`)], { stdio: 'pipe' })
    return [join(folder, name)]
  } catch (error) {
    console.error(`${name}.c does not compile here, so Node takes its place: ${error.message.split('\n')[0]}`)
  }
}

export async function startMock(folder) {
  const native = compile('mock', folder)
  const child = start('mock', native ?? [process.execPath, join(here, 'fallback', 'mock.mjs')])
  const line = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve)
    child.once('exit', () => reject(new Error('the mock upstream did not start')))
  })
  return { port: Number(line), pid: child.pid, made: native ? 'C' : 'Node' }
}

/** Builds the load once; what it returns runs one cell against one port and says what happened to the process behind it. */
export function createLoad(folder, mock) {
  const native = compile('load', folder)
  const command = native ?? [process.execPath, join(here, 'fallback', 'load.mjs')]
  const run = async (cell, file, port, pid) => {
    const marks = []
    const readings = []
    const mockBefore = cpuSeconds(mock.pid)
    const before = pid ? cpuSeconds(pid) : Number.NaN
    const { connections, seconds, rate = 0, limit = 0, stream, marks: [from, to] = [0, 0] } = cell
    const args = [port, file, connections, seconds, rate, limit, stream ? 1 : 0, from, to].map(String)
    const child = start('load', [...command, ...args])
    const exit = new Promise(resolve => child.once('close', resolve))
    let result
    for await (const line of createInterface(child.stdout)) {
      const seen = JSON.parse(line)
      if (seen.mark === undefined) result = seen
      else {
        marks.push(seen)
        readings.push(pid ? cpuSeconds(pid) : Number.NaN)
      }
    }
    const code = await exit
    if (!result) throw new Error(`the load ended with code ${code}`)
    const whole = {
      cpu: cpuSeconds(pid) - before,
      units: stream ? result.events : result.requests,
      seconds: result.seconds
    }
    const windowed = marks.length === 2
    const span = windowed
      ? { cpu: readings[1] - readings[0], units: marks[1].mark - marks[0].mark, seconds: marks[1].at - marks[0].at }
      : whole
    return {
      ...result,
      perSecond: span.units / span.seconds,
      cpuMicroseconds: pid ? (span.cpu * 1e6) / span.units : Number.NaN,
      gatewayBusy: span.cpu / span.seconds,
      benchBusy: (result.cpu + cpuSeconds(mock.pid) - mockBefore) / result.seconds,
      ...(pid ? memory(pid) : { rss: Number.NaN, pss: Number.NaN })
    }
  }
  return { run, made: native ? 'C' : 'Node' }
}
