import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { get, post, smallest } from './support/ask.ts'
import { start, temporaryFolder } from './support/process.ts'

interface Line {
  readonly level: string
  readonly msg: string
  readonly room?: string
  readonly path?: string
  readonly status?: number
}

const HOOK = `export default {
  name: 'talks',
  setup: (_, services) => ({ preCall: () => { services.log.debug('a whisper'); services.log.warn('a shout') } })
}
`
const configuration = (logs: string) => `server: { logs: ${logs} }
model_list: [{ model_name: demo, provider: demo }]
hooks: [./talks.mjs]
`

t.setTimeout(600_000)

t.test('each room has its level, probes are a sample, and a saved file changes both', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  folder.write('talks.mjs', HOOK)
  folder.write('gateway.yaml', configuration('{ level: info }'))
  const gateway = await start(['--config', 'gateway.yaml'], { cwd: folder.path })
  t.teardown(() => gateway.child.kill('SIGKILL'))
  let read = 0
  /** What was written since the last call. */
  const lines = async (): Promise<Line[]> => {
    await wait(300)
    const all = gateway
      .output()
      .split('\n')
      .filter(line => line.startsWith('{'))
    const fresh = all.slice(read)
    read = all.length
    return fresh.map(line => JSON.parse(line) as Line)
  }
  const go = async () => {
    const [path, body] = smallest('openai-chat', 'demo')
    t.equal((await post(gateway.url + path, body)).status, 200)
    for (let times = 0; times < 210; times++) await get(`${gateway.url}/health/live`)
    await get(`${gateway.url}/metrics`)
    return lines()
  }
  await lines()
  const usual = await go()
  t.same(
    usual.map(({ msg, room }) => [msg, room]),
    [
      ['a shout', 'hooks'],
      ['request', undefined]
    ]
  )

  folder.write(
    'gateway.yaml',
    configuration('{ level: error, rooms: { hooks: debug, probes: debug, requests: error } }')
  )
  // What the configuration says of itself is silent by now.
  for (let tries = 0; tries < 50; tries++) {
    const { json } = await get(`${gateway.url}/health`)
    if (json?.['generation'] === 2) break
    await wait(100)
  }
  await lines()
  await get(`${gateway.url}/health/ready`)
  const other = await go()
  t.same(
    other.filter(({ room }) => room !== 'probes').map(({ msg, room, level }) => [msg, room, level]),
    [
      ['a whisper', 'hooks', 'debug'],
      ['a shout', 'hooks', 'warn']
    ]
  )
  const probes = other.filter(({ room }) => room === 'probes').map(({ path, status }) => `${path} ${status}`)
  t.equal(probes.filter(probe => probe === '/health/live 200').length, 2, 'one of a hundred')
  t.ok(probes.includes('/health/ready 200'), 'the first of its kind')

  gateway.child.kill('SIGTERM')
  await gateway.ended
  t.same(await lines(), [], 'an end that is in order is no error')
})
