// `isolation: worker`: a hook in a thread of its own, which may compute, hang and die without taking anybody along.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { Shelf } from '../src/hooks/shelf.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { get, post, smallest } from './support/ask.ts'
import { collecting, hookedGateway, hookFile } from './support/hooks.ts'

t.setTimeout(600_000)

const DEMO = [{ model_name: '*', provider: 'demo' as const, tags: ['t', 'ok'], demo: { text: 'from the demo' } }]
const isolated = (name: string, more: object = {}) => ({ [name]: {}, isolation: 'worker' as const, ...more })

async function running(
  t: { teardown(done: () => unknown): void },
  files: Readonly<Record<string, string>>,
  hooks: ReturnType<typeof isolated>[]
) {
  const named = Object.entries(files).map(([name, phases]) => [`${name}.ts`, hookFile(name, phases)])
  const gateway = await hookedGateway(Object.fromEntries(named), { hooks, model_list: DEMO, routing: { retries: 0 } })
  t.teardown(() => gateway.close())
  const ask = (model = 'm', dialect = 'openai-chat', stream = false, headers = {}) => {
    const [path, body] = smallest(dialect, model, stream)
    return post(gateway.url + path, body, headers)
  }
  return { gateway, ask }
}

t.test('every phase but onEvent is asked in the thread, whatever the protocol', async t => {
  const { gateway, ask } = await running(
    t,
    {
      all: `{
        preCall: async call => {
          if (call.model === 'refused') return new Failure('forbidden', 'Not ' + call.model + '.', { code: 'no' })
          if (call.model === 'canned') return answerOf('canned for ' + call.caller.id + ' ' + call.headers['x-y'])
          await services.kv.set('seen', call.chat.turns[0].blocks[0].text, 60)
          services.metrics.count('asked')
          return call.with({ model: 'm-' + call.model, tags: ['t'] })
        },
        postCall: async (answer, call) =>
          ({ ...answer, blocks: [{ type: 'text', text: answer.blocks[0].text + ' ' + call.model + ' ' + call.tags + ' ' + (await services.kv.get('seen')) }] }),
        onDone: (record, call) => services.log.info('done ' + record.status + ' ' + call.model),
        dispose: () => services.log.info('disposed')
      }`
    },
    [isolated('all')]
  )
  for (const dialect of ['openai-chat', 'anthropic', 'openai-responses', 'gemini']) {
    const whole = await ask('x', dialect)
    t.match(whole.text, /from the demo m-x t /, dialect)
    t.equal(whole.status, 200)
    t.match((await ask('canned', dialect, true, { 'x-y': 'z' })).text, /canned for anonymous z/, dialect)
  }
  t.match(await ask('refused'), { status: 403, json: { error: { message: 'Not refused.', code: 'no' } } })
  const found = (await get(`${gateway.url}/metrics`)).text
  t.match(found, /gateway_hook_events_total\{hook="all",event="asked"\} 4/)
  for (let left = 100; left > 0 && !gateway.log.some(line => /done 403/.test(line)); left--) await wait(10)
  t.match(gateway.log.join('\n'), /info: done 200 m-x\n[\s\S]*done 403/)
  await gateway.shelf.close()
  t.match(gateway.log.join('\n'), /info: disposed/)
})

t.test('a hook that computes without end costs its own request, and others are not held up', async t => {
  const { gateway, ask } = await running(
    t,
    { spins: `{ preCall: call => { if (call.model === 'spin') for (;;); return call.with({ tags: ['ok'] }) } }` },
    [isolated('spins', { timeout: '300ms' })]
  )
  await ask()
  const began = performance.now()
  const spun = ask('spin')
  // The thread is busy and the gateway is not.
  const health = await get(`${gateway.url}/health`)
  t.equal(health.status, 200)
  t.ok(performance.now() - began < 250, `${performance.now() - began}`)
  t.match(await spun, { status: 500, json: { error: { message: /`spins` took longer than 0\.3 s in preCall/ } } })
  t.ok(performance.now() - began < 800)
  let text = ''
  for (let left = 30; left > 0 && !/from the demo/.test(text); left--) ({ text } = await ask())
  t.match(text, /from the demo/, 'another thread has taken over')
  t.match((await ask()).text, /from the demo/)
})

t.test('a hook that waits for long costs its own request and keeps its thread', async t => {
  const { ask } = await running(
    t,
    {
      waits: `(() => {
        let asked = 0
        return { preCall: async call => {
          asked++
          if (call.model === 'wait') await new Promise(done => setTimeout(done, 600))
          if (call.model === 'count') return answerOf('asked ' + asked)
        } }
      })()`
    },
    [isolated('waits', { timeout: '200ms' })]
  )
  const late = ask('wait')
  t.match(await late, { status: 500, json: { error: { message: /took longer than 0\.2 s/ } } })
  await wait(300)
  t.match((await ask('count')).text, /asked 2/, 'the same thread')
})

t.test('what it throws names file and line; what it leaves behind is told; it may even end itself', async t => {
  const { gateway, ask } = await running(
    t,
    {
      bad: `{ preCall: call => {
        if (call.model === 'throw') throw new Error('boom')
        if (call.model === 'stray') return void setTimeout(() => { throw new Error('stray') }, 1)
        if (call.model === 'exit') process.exit(1)
        if (call.model === 'copy') return { blocks: [() => 1], finish: 'stop' }
        if (call.model === 'memory') { const all = []; for (;;) all.push(new Array(1e5).fill({})) }
        call.chat.turns.length = 0
      } }`
    },
    [isolated('bad', { timeout: '5s' })]
  )
  t.match((await ask('throw')).text, /`bad` failed in preCall \(.*hooks\/bad\.ts:5:\d+\): boom/)
  t.match((await ask('freeze')).text, /`bad` failed in preCall .*read only/)
  t.match((await ask('copy')).text, /could not be cloned/)
  t.match(await ask('stray'), { status: 200 })
  for (let left = 100; left > 0 && !gateway.log.some(line => /left an error behind/.test(line)); left--) await wait(10)
  t.match(gateway.log.join('\n'), /`bad` left an error behind in its thread \(.*bad\.ts:6:\d+\): stray/)
  t.match((await ask('exit')).text, /`bad` failed in preCall: its thread ended/)
  t.match((await ask('throw')).text, /bad\.ts:5/, 'another thread')
  // Whichever comes first: the end of its memory, or of its time.
  t.match((await ask('memory')).text, /`bad` (failed in preCall: its thread|took longer)/)
  t.match((await ask('throw')).text, /bad\.ts:5/)
  t.same(gateway.bugs, [])
})

t.test('a client that leaves aborts the signal within the thread, and call.ask goes through the gateway', async t => {
  const { gateway, ask } = await running(
    t,
    {
      asks: `{ preCall: async call => {
        if (call.model === 'hold') {
          call.signal.addEventListener('abort', () => services.log.info('aborted'))
          return new Promise(() => undefined)
        }
        const inner = await call.ask({ ...call.chat, model: 'inner' })
        return answerOf('asked: ' + inner.blocks[0].text)
      } }`
    },
    [isolated('asks', { timeout: '10s' })]
  )
  t.match((await ask()).text, /asked: from the demo/)
  const controller = new AbortController()
  const [path, body] = smallest('openai-chat', 'hold', true)
  const left = fetch(gateway.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: controller.signal
  }).catch(() => 'left')
  await wait(200)
  controller.abort()
  t.equal(await left, 'left')
  for (let tries = 100; tries > 0 && !gateway.log.includes('info: aborted'); tries--) await wait(10)
  t.ok(gateway.log.includes('info: aborted'))
})

t.test('what is wrong with it is told, none of it runs here, and the last good one goes on', async t => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'hooks'))
  const shelf = new Shelf({ log: collecting([]), metrics: new Metrics() })
  t.teardown(() => shelf.close())
  const write = (name: string, text: string) => writeFileSync(join(folder, 'hooks', name), text)
  const take = async (hooks: object[]) => {
    const config = { hooks: hooks as never, model_list: [], store: { redis_url: '', database_url: '', data_dir: '' } }
    const shelved = await shelf.take(config, join(folder, 'gateway.yaml'))
    return 'set' in shelved ? shelved : shelved.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')
  }
  write('events.ts', hookFile('events', '{ onEvent: () => undefined }'))
  t.match(await take([isolated('events')]), /`onEvent`, which may not wait/)
  write('breaks.ts', 'export default {{')
  t.match(await take([isolated('breaks')]), /breaks\.ts cannot be loaded/)
  write('setup.ts', hookFile('setup', `(() => { throw new Error('no') })()`))
  t.match(await take([isolated('setup')]), /cannot be set up \(.*setup\.ts:4:\d+\): no/)
  t.match(await take([{ 'token-cap': { mx: 1 }, isolation: 'worker' }]), /^hooks\.0\.token-cap\.mx: .*"max"\?/)
  write('here.ts', `globalThis.wasHere = true\n${hookFile('here', `{ preCall: () => answerOf('one') }`)}`)
  const first = await take([isolated('here')])
  t.notOk(Reflect.has(globalThis, 'wasHere'))
  write('here.ts', 'export default {{')
  const second = await take([isolated('here')])
  if (typeof first === 'string' || typeof second === 'string') return t.fail(String(second))
  t.match(second.warnings[0], /cannot be loaded: .*; the last one that did goes on/)
  t.equal(second.set.stamp, first.set.stamp)
  first.set.leave()
  second.set.leave()
  return t.equal(shelf.size, 0)
})
