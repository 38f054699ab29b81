import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import type { GatewayConfig } from '../src/config/generated/types.ts'
import { Shelf } from '../src/hooks/shelf.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { get, post, smallest } from './support/ask.ts'
import { collecting, hookedGateway, hookFile } from './support/hooks.ts'

t.setTimeout(600_000)

const CHAT = smallest('openai-chat', 'm')[1]
const STREAM = smallest('openai-chat', 'm', true)[1]
const DEMO = [{ model_name: '*', provider: 'demo', demo: { text: 'from the demo' } }]

/** Mistakes in preCall, and what the client is told. */
const MISTAKES: Readonly<Record<string, [phases: string, told: RegExp]>> = {
  throws: [
    `{ preCall: () => { throw new Error('boom') } }`,
    /`throws` failed in preCall \(.*hooks\/throws\.ts:5:\d+\): boom/
  ],
  rejects: [
    `{ preCall: async () => { throw new Error('boom') } }`,
    /`rejects` failed in preCall \(.*rejects\.ts:5:\d+\): boom/
  ],
  hangs: [`{ preCall: () => new Promise(() => undefined) }`, /`hangs` took longer than 0\.1 s in preCall/],
  mutates: [`{ preCall: call => { call.chat.turns[0].blocks.length = 0 } }`, /`mutates` failed in preCall .*read only/],
  extends: [`{ preCall: call => { call.model = 'x' } }`, /`extends` failed in preCall/],
  nonsense: [`{ preCall: () => 42 }`, /`nonsense` failed in preCall: it returned something else than a call/],
  misspells: [`{ preCall: call => call.with({ modle: 'x' }) }`, /there is no `modle`/],
  headers: [`{ preCall: () => ({ ...answerOf('x'), headers: { 'set-cookie': 'a' } }) }`, /not a hook's to say/],
  answers: [`{ postCall: () => { throw new Error('late') } }`, /`answers` failed in postCall .*late/],
  events: [`{ onEvent: () => { throw new Error('bad event') } }`, /`events` failed in onEvent .*bad event/],
  strange: [
    `{ onEvent: () => ({ type: 'what' }) }`,
    /`strange` failed in onEvent: it returned something else than events/
  ]
}

for (const [name, [phases, told]] of Object.entries(MISTAKES))
  t.test(`a hook that ${name} costs its own request, or is skipped, and is counted`, async t => {
    const gateway = await hookedGateway(
      { [`${name}.ts`]: hookFile(name, `\n${phases}`) },
      {
        hooks: [
          { [name]: {}, timeout: '100ms', when: { models: ['m'] } },
          { [name]: {}, timeout: '100ms', onError: 'skip', when: { models: ['skipped'] } }
        ],
        model_list: DEMO
      }
    )
    t.teardown(() => gateway.close())
    const ask = (model: string) => post(`${gateway.url}/v1/chat/completions`, { ...CHAT, model })
    const [failed, skipped, other] = await Promise.all([ask('m'), ask('skipped'), ask('other')])
    t.equal(failed?.status, 500, failed?.text)
    const message = (failed?.json?.['error'] as { message?: string } | undefined)?.message ?? ''
    t.match(message, told)
    t.match(skipped?.text, /from the demo/)
    t.match(other?.text, /from the demo/)
    t.ok(
      gateway.log.some(line => line.includes(`\`${name}\``) && line.startsWith('error')),
      'the log names it'
    )
    const counted = (await get(`${gateway.url}/metrics`)).text
    t.match(counted, new RegExp(`gateway_hook_errors_total\\{hook="${name}"\\} 2`))
    t.same(gateway.bugs, [])
  })

t.test('a stream that has begun ends with a failure when a hook breaks in the middle', async t => {
  const gateway = await hookedGateway(
    {
      'late.ts': hookFile(
        'late',
        `{ onEvent: event => { if (event.type === 'finish') throw new Error('at the end') } }`
      )
    },
    { hooks: ['late'], model_list: DEMO }
  )
  t.teardown(() => gateway.close())
  const answer = await post(`${gateway.url}/v1/chat/completions`, STREAM)
  t.equal(answer.status, 200)
  t.match(answer.text, /The hook `late` failed in onEvent/)
  t.notMatch(answer.text, /\[DONE\]/)
})

t.test('a hook that blocks is told of, and one that settles late or twice changes nothing', async t => {
  const gateway = await hookedGateway(
    {
      'slow.ts': hookFile('slow', `{ preCall: () => { const until = Date.now() + 100; while (Date.now() < until); } }`),
      'twice.ts': hookFile(
        'twice',
        `{ preCall: call => ({ then: (done, fail) => { done(undefined); done(answerOf('second')); fail(new Error('third')) } }) }`
      ),
      'late.ts': hookFile(
        'late',
        `{ preCall: () => new Promise(done => setTimeout(() => done(answerOf('too late')), 150)) }`
      )
    },
    { hooks: ['slow', 'twice', { late: {}, timeout: '50ms', onError: 'skip' }], model_list: DEMO }
  )
  t.teardown(() => gateway.close())
  const answer = await post(`${gateway.url}/v1/chat/completions`, CHAT)
  t.match(answer.text, /from the demo/)
  t.ok(
    gateway.log.some(line => /`slow` computed for \d+ ms in preCall/.test(line)),
    gateway.log.join('\n')
  )
  await new Promise(resolve => setTimeout(resolve, 200))
  t.match((await post(`${gateway.url}/v1/chat/completions`, CHAT)).text, /from the demo/)
})

t.test('what a hook leaves behind is known to be its', async t => {
  const gateway = await hookedGateway(
    {
      'timer.ts': hookFile('timer', `{ preCall: () => { globalThis.leftBehind = () => { throw new Error('later') } } }`)
    },
    { hooks: ['timer'], model_list: DEMO }
  )
  t.teardown(() => gateway.close())
  await post(`${gateway.url}/v1/chat/completions`, CHAT)
  try {
    Reflect.get(globalThis, 'leftBehind')()
    t.fail('it throws')
  } catch (error) {
    t.match(gateway.shelf.behind(error), /hooks\/timer\.ts:4:\d+$/)
  }
  t.equal(gateway.shelf.behind(new Error('ours')), undefined)
})

t.test('a client that leaves aborts the signal, and hooks are let go after the last request', async t => {
  const gateway = await hookedGateway(
    {
      'watch.ts': hookFile(
        'watch',
        `{
          preCall: call => { call.signal.addEventListener('abort', () => services.log.info('aborted')) },
          dispose: () => services.log.info('disposed')
        }`
      )
    },
    {
      hooks: ['watch'],
      model_list: [{ model_name: 'm', provider: 'demo', demo: { pace: '50ms', chunks: 20, text: 'a '.repeat(20) } }]
    }
  )
  t.teardown(() => gateway.close())
  const controller = new AbortController()
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(STREAM),
    signal: controller.signal
  })
  const reader = answer.body?.getReader()
  await reader?.read()
  gateway.reload({ model_list: DEMO })
  t.equal(gateway.shelf.size, 1, 'a request still needs it')
  controller.abort()
  await reader?.read().catch(() => undefined)
  for (let left = 100; left > 0 && gateway.shelf.size > 0; left--) await new Promise(resolve => setTimeout(resolve, 10))
  t.equal(gateway.shelf.size, 0)
  await new Promise(resolve => setImmediate(resolve))
  t.same(gateway.log, ['info: aborted', 'info: disposed'])
})

function configOf(hooks: GatewayConfig['hooks']): GatewayConfig {
  return { hooks, model_list: [], store: { redis_url: '' } } as unknown as GatewayConfig
}

t.test('what is wrong with a hook is told with its place', async t => {
  const folder = t.testdir({
    hooks: {
      'broken.ts': 'export default {\n  name: ,\n}\n',
      'none.ts': 'export const x = 1\n',
      'setup.ts': `import { defineHook } from 'sluice/hook'\nexport default defineHook({ name: 'setup', setup: () => { throw new Error('no') } })\n`,
      'phase.ts': hookFile('phase', '{ precall: () => undefined }'),
      'typed.ts': `import { defineHook } from 'sluice/hook'\nexport default defineHook({ name: 'typed', options: { type: 'object', additionalProperties: false, properties: { max: { type: 'integer', default: 7 } } }, setup: () => ({ preCall: () => undefined }) })\n`
    }
  })
  const shelf = new Shelf({ log: collecting([]), metrics: new Metrics() })
  const take = async (hooks: GatewayConfig['hooks']) => {
    const shelved = await shelf.take(configOf(hooks), join(folder, 'gateway.yaml'))
    return 'set' in shelved ? 'fine' : shelved.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n')
  }
  t.match(await take(['broken']), /^hooks\.0: .*broken\.ts cannot be loaded: .*2:\d+/)
  t.match(await take(['none']), /is no hook: it must export/)
  t.match(await take(['setup']), /the hook setup cannot be set up \(.*setup\.ts:2:\d+\): no/)
  t.match(await take(['phase']), /there is no phase `precall`; known: preCall/)
  t.match(await take(['tpyed']), /there is no hook `tpyed`; did you mean "typed"\?/)
  t.match(
    await take([{ typed: { mx: 1 } }]),
    /^hooks\.0\.typed\.mx: the hook typed has no option "mx"; did you mean "max"\?/
  )
  t.match(await take([{ typed: { max: 'x' } }]), /^hooks\.0\.typed\.max: must be integer/)
  t.match(await take([{ typed: {}, another: {} }]), /names one hook/)
  t.equal(await take([{ typed: { max: 3 } }, './hooks/typed.ts']), 'fine')
})

t.test('a change in a file that a hook imports is seen, and a broken one leaves the last good', async t => {
  const folder = t.testdir({
    hooks: {
      'main.ts': `import { defineHook, answerOf } from 'sluice/hook'\nimport { text } from './lib/text.ts'\nexport default defineHook({ name: 'main', setup: () => ({ preCall: () => answerOf(text) }) })\n`,
      lib: { 'text.ts': `export const text: string = 'one'\n` }
    }
  })
  const shelf = new Shelf({ log: collecting([]), metrics: new Metrics() })
  const take = async () => {
    const shelved = await shelf.take(configOf(['main']), join(folder, 'gateway.yaml'))
    if (!('set' in shelved)) throw new Error(JSON.stringify(shelved))
    return shelved
  }
  const first = await take()
  t.equal((await take()).set.stamp, first.set.stamp)
  t.same(
    shelf.watched.map(file => file.slice(folder.length)),
    ['/hooks/main.ts', '/hooks/lib/text.ts']
  )
  writeFileSync(join(folder, 'hooks/lib/text.ts'), `export const text: string = 'two'\n`)
  const second = await take()
  t.not(second.set.stamp, first.set.stamp)
  const said = second.set.own[0]?.phases.preCall?.(undefined as never)
  t.match(said, { blocks: [{ text: 'two' }] })
  writeFileSync(join(folder, 'hooks/main.ts'), 'export default {{')
  const third = await take()
  t.equal(third.set.stamp, second.set.stamp)
  t.match(third.warnings[0], /main\.ts cannot be loaded: .*; the last one that did goes on/)
})

t.test('a thousand reloads of a changing hook do not grow', { timeout: 600_000 }, async t => {
  const folder = t.testdir({})
  mkdirSync(join(folder, 'hooks'))
  const file = join(folder, 'hooks/changing.ts')
  const shelf = new Shelf({ log: collecting([]), metrics: new Metrics() })
  const turn = async (at: number) => {
    writeFileSync(file, hookFile('changing', `{ preCall: () => answerOf('${at}') }`))
    const shelved = await shelf.take(configOf(['changing']), join(folder, 'gateway.yaml'))
    if (!('set' in shelved)) throw new Error(JSON.stringify(shelved))
    shelved.set.leave()
  }
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let at = 0; at < 200; at++) await turn(at)
  collect()
  const before = process.memoryUsage().heapUsed
  for (let at = 0; at < 800; at++) await turn(1000 + at)
  collect()
  const grown = (process.memoryUsage().heapUsed - before) / 800
  t.equal(shelf.size, 0)
  t.ok(existsSync(file))
  t.comment(`${Math.round(grown)} bytes a reload`)
  // The bound that docs/hooks.md states.
  t.ok(grown < 16 * 1024, `${grown}`)
})
