import { ask } from './client.ts'
import type { Where } from './find-config.ts'
import { colors, count, EXIT, fail, print, printJson, table } from './output.ts'
import { shorter } from './prepare.ts'
import { findRunning } from './running.ts'

interface Backend {
  readonly name: string
  readonly endpoint: string
  readonly status: string
  readonly latency_ms?: number
  readonly last_error?: string
}

/** Whether a gateway runs here, and how it does. */
export async function status(flags: Where & { json?: boolean }): Promise<number> {
  const json = flags.json === true
  const found = await findRunning(flags)
  if (typeof found === 'string') return fail([found], json)
  const { record } = found
  if (record === undefined) {
    if (json) printJson({ running: false, data_dir: found.dataDir })
    else print(`No gateway runs here (${shorter(found.dataDir)} has none). Start one: sluice start`)
    return EXIT.notRunning
  }
  const { pid, url, config, draining } = record
  const [health, ready] = await Promise.all([ask(url, '/health', 2000), ask(url, '/health/ready', 2000)])
  if (typeof health === 'string') {
    const state = draining === undefined ? 'silent' : 'draining'
    if (json) printJson({ running: true, state, pid, url, config, reason: health, draining: draining ?? null })
    else if (draining !== undefined)
      print(`The gateway (pid ${pid}) is stopping: ${count(draining.left, 'request')} under way.`)
    else print(colors.red(`The gateway (pid ${pid}) runs but does not answer at ${url}: ${health}.`))
    return draining === undefined ? EXIT.failed : EXIT.done
  }
  const rejected = typeof ready !== 'string' && ready.body['config'] === 'rejected'
  if (json) {
    printJson({
      running: true,
      state: health.body['status'],
      pid,
      url,
      config,
      config_rejected: rejected,
      health: health.body
    })
    return EXIT.done
  }
  const { version, generation, uptime_seconds: uptime, inflight } = health.body
  print(
    table([
      ['gateway', `Sluice ${version}, ${health.body['status']}`],
      ['url', url],
      ['pid', String(pid)],
      ['up for', `${uptime} s`],
      ['config', `${shorter(config)}, generation ${generation}`],
      ['requests', `${inflight} under way`]
    ])
  )
  if (rejected) print(colors.red(`The file as it is now was refused; \`sluice check ${shorter(config)}\` says why.`))
  const backends = health.body['backends'] as Backend[]
  print(backendTable(backends))
  if (backends.some(backend => backend.status === 'unhealthy')) print('\n`sluice recommend` says what can be done.')
  return EXIT.done
}

function backendTable(backends: readonly Backend[]): string {
  if (backends.length === 0) return 'No backends.'
  return table([
    ['', '', ''],
    ...backends.map(({ name, endpoint, status, latency_ms: latency, last_error: error }) => [
      status === 'unknown' ? 'not asked yet' : status,
      name,
      endpoint,
      latency === undefined ? '' : `${latency} ms`,
      error === undefined ? '' : error.slice(0, 100)
    ])
  ])
}
