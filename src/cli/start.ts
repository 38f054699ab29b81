import { closeSync, openSync } from 'node:fs'
import { adviseOn } from './advice.ts'
import { banner, curl } from './banner.ts'
import { CannotStart } from './cannot-start.ts'
import { detect } from './detect.ts'
import { type ConfigFile, findConfig, type Where } from './find-config.ts'
import { count, EXIT, errorColors, fail } from './output.ts'
import type { Overrides } from './prepare.ts'
import { type RunningGateway, startGateway } from './serve.ts'

export interface StartFlags extends Where {
  readonly port?: string | undefined
  readonly host?: string | undefined
  readonly json?: boolean
}

/** npm hands a Ctrl-C on that the terminal has sent already: what follows this soon is the same one. */
const SAME_SIGNAL = 500

/** Runs until a signal ends it; the promise is its exit code. */
export async function start(flags: StartFlags): Promise<number> {
  const json = flags.json === true
  const source = findConfig(flags, process.env)
  if (typeof source === 'string') return fail([source], json)
  const overrides = overridesOf(flags)
  if (typeof overrides === 'string') return fail([overrides], json, EXIT.usage)
  try {
    const gateway = await startGateway({
      file: source.file,
      env: process.env,
      overrides,
      terminal: process.stdout.isTTY === true,
      json,
      ...(source.whence === 'packaged' && { home: source.home })
    })
    const ended = untilEnded(gateway)
    await greet(gateway, source, json)
    return await ended
  } catch (error) {
    if (error instanceof CannotStart) return fail(error.lines, json)
    throw error
  }
}

function overridesOf({ host, port }: StartFlags): Overrides | string {
  if (port !== undefined && port !== 'auto' && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535))
    return `--port ${port}: a port is a number up to 65535, or auto.`
  return {
    ...(host !== undefined && { host }),
    ...(port !== undefined && { port: port === 'auto' ? port : Number(port) })
  }
}

/** After the port is open: nobody waits for what is looked for. */
async function greet(gateway: RunningGateway, source: ConfigFile, json: boolean): Promise<void> {
  const { url, port, logs, metricsUrl } = gateway
  const { runtime } = gateway.gateway
  const took = performance.now()
  const findings = await detect(process.env, port)
  const advice = adviseOn(findings, runtime)
  if (!logs.pretty) {
    logs.event('info', 'listening', {
      url,
      ...(metricsUrl !== undefined && { metrics: metricsUrl }),
      config: source.file,
      generation: runtime.generation,
      models: runtime.routes.names(true).slice(0, 50),
      found: advice.map(item => item.found),
      try: curl(url, runtime)
        .map(line => line.replace(/\\$/, '').trim())
        .join(' ')
    })
  }
  // People may read standard error even where a program reads the log; those who ask for JSON want nothing beside it.
  if (json || runtime.config.server.logs.format === 'json') return
  process.stderr.write(banner({ url, metricsUrl, runtime, source, advice, took }, errorColors))
}

function untilEnded(gateway: RunningGateway): Promise<number> {
  const { logs } = gateway
  // A reader of ours that has gone is no reason to end.
  process.stderr.on('error', () => undefined)
  return new Promise(resolve => {
    let askedAt: number | undefined
    const end = (code: number) => {
      askedAt = performance.now()
      gateway.stop(tellLeft(gateway)).then(
        () => leave(code),
        error => {
          logs.bug(error, 'while it was ending', 'fatal')
          leave(EXIT.failed)
        }
      )
    }
    const leave = (code: number) => {
      logs.flush()
      resolve(code)
      // Whatever still has a handle open has had its time.
      process.exit(code)
    }
    const onSignal = () => {
      if (askedAt === undefined) return end(EXIT.done)
      if (performance.now() - askedAt > SAME_SIGNAL) leave(EXIT.interrupted)
    }
    process.on('SIGINT', onSignal)
    process.on('SIGTERM', onSignal)
    const onTerminal = process.stdin.isTTY === true
    process.on('SIGHUP', () => {
      if (onTerminal && !hasTerminal()) onSignal()
      else void gateway.reload('signal')
    })
    process.on('unhandledRejection', error => {
      const hook = gateway.blame(error)
      logs.bug(
        error,
        hook === undefined ? 'a promise failed and nobody listened' : `a promise of a hook failed (${hook})`
      )
    })
    process.on('uncaughtException', error => {
      const hook = gateway.blame(error)
      // What a hook leaves behind, in a timer say, belongs to no request, and nothing of ours is half done.
      if (hook !== undefined)
        return logs.event('error', `a hook left something behind that failed (${hook}): ${String(error)}`)
      logs.bug(error, 'nothing caught it; the gateway ends', 'fatal')
      if (askedAt === undefined) end(EXIT.failed)
    })
  })
}

/** A closed terminal window sends the signal that otherwise means «read your files again». */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

function tellLeft({ logs }: RunningGateway): (left: number) => void {
  return left => {
    if (logs.pretty && left > 0)
      process.stderr.write(`draining ${count(left, 'request')}… (Ctrl-C again ends at once)\n`)
  }
}
