import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import pc from 'picocolors'
import t from 'tap'
import { Meanwhile, readScrape } from '../src/cli/scrape.ts'
import { renderTop, summarize } from '../src/cli/top-view.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { post, smallest } from './support/ask.ts'
import { run, start, temporaryFolder } from './support/process.ts'
import { findProgram } from './support/prometheus.ts'
import { until } from './support/store.ts'

const plain = pc.createColors(false)
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))

t.test('a scrape is read as it was written', async t => {
  const metrics = new Metrics()
  const odd = 'a "b" \\ c}\n{d="e"} 7'
  metrics.call(odd, 'demo', 'chat').status(200)
  const samples = readScrape(await metrics.render())
  t.same(
    samples.filter(sample => sample.name === 'gateway_requests_total'),
    [
      {
        name: 'gateway_requests_total',
        labels: { model: odd, provider: 'demo', endpoint: 'chat', status: '2xx' },
        value: 1
      }
    ]
  )
  t.ok(samples.length > 50)
  t.same(readScrape('# HELP x\nz NaN\n\nwhat is this\nx{ 1\ny 1.5e-3'), [{ name: 'y', labels: {}, value: 0.0015 }])
})

t.test('rates and quantiles are of the time between two scrapes', async t => {
  const histogram = (counts: readonly number[], count: number) =>
    ['1', '2', '4', '+Inf'].map((le, at) => `d_bucket{m="a",le="${le}"} ${counts[at] ?? count}`).join('\n')
  const before = readScrape(`r{m="a"} 10\nr{m="b"} 50\n${histogram([10, 10, 10], 10)}`)
  const now = readScrape(`r{m="a"} 30\nr{m="b"} 4\n${histogram([10, 20, 30], 30)}`)
  const meanwhile = new Meanwhile(before, now, 2)
  t.equal(meanwhile.rate('r', { m: 'a' }), 10)
  t.equal(meanwhile.rate('r', { m: 'b' }), 2, 'a counter that went back was begun anew')
  t.equal(meanwhile.rate('r'), 12)
  t.equal(meanwhile.rate('nothing'), undefined)
  t.equal(meanwhile.quantile(0.5, 'd', { m: 'a' }), 2, 'ten of twenty are below')
  t.equal(meanwhile.quantile(0.75, 'd', { m: 'a' }), 3)
  t.equal(meanwhile.quantile(0.5, 'd', { m: 'b' }), undefined)
  const beyond = new Meanwhile([], readScrape(histogram([0, 0, 0], 5)), 2)
  t.equal(beyond.quantile(0.5, 'd', {}), 4, 'above the last bound nobody knows')
})

t.test('the page fits, and names cannot touch the terminal', async t => {
  const lines = Array.from(
    { length: 60 },
    (_, at) => `gateway_requests_total{model="m\u001b[31m${at}",provider="p",endpoint="e",status="2xx"} ${at}`
  )
  const targets = Array.from({ length: 60 }, (_, at) => `gateway_target_inflight{target="t${at}"} 1`)
  const samples = readScrape(
    [...lines, ...targets, 'gateway_config_rejected 1', 'gateway_cost_usd_total{model="x"} 2'].join('\n')
  )
  const top = summarize(new Meanwhile([], samples, 1), Date.now())
  t.equal(top.cost_per_hour, 7200)
  for (const rows of [10, 24, 80]) {
    const page = renderTop(top, 'http://x', rows, plain)
    t.ok(page.split('\n').length <= rows, `${rows} lines`)
    t.notMatch(page, '\u001b')
    t.match(page, /m\?\[31m59/, 'the busiest is there')
    t.match(page, 'refused')
    t.match(page, '$7200.00/h')
  }
  t.ok(renderTop(top, 'http://x', Number.POSITIVE_INFINITY, plain).split('\n').length > 120)
})

t.test('what goes on in a gateway is shown to people and to programs', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const options = { cwd: folder.path }
  folder.write(
    'gateway.yaml',
    `routing: { retries: 0, cooldown: { failures: 2, within: 30s, for: 60s } }
model_list:
  - { model_name: fine, provider: demo }
  - { model_name: sick, provider: demo, model: sick, demo: { fail: "500" } }
`
  )
  t.match(await run(['top', '--once'], options), { code: 3, stderr: /sluice start/ })
  t.match(await run(['top', '--interval', 'soon'], options), { code: 2 })
  t.match(await run(['top', '--url', 'nowhere'], options), { code: 2 })
  t.match(await run(['top', '--url', 'http://127.0.0.1:1', '--json'], options), { code: 1, stdout: /"ok": false/ })
  const gateway = await start(['--config', 'gateway.yaml'], options)
  t.teardown(() => gateway.child.kill('SIGKILL'))
  let asking = true
  const traffic = (async () => {
    while (asking)
      for (const model of ['fine', 'fine', 'sick']) {
        const [path, body] = smallest('openai-chat', model, true)
        await post(gateway.url + path, { ...body, stream_options: { include_usage: true } })
      }
  })()
  const isLeftOut = async () =>
    /^gateway_target_cooling\{[^}]*sick[^}]*\} 1$/m.test(await (await fetch(`${gateway.url}/metrics`)).text())
  await until(isLeftOut, 60_000)
  const [shown, told] = await Promise.all([
    run(['top', '--once', '--interval', '1500ms'], options),
    run(['top', '--json', '--interval', '1500ms', '--url', gateway.url], { cwd: '/' })
  ])
  const program = findProgram('script')
  if (program === undefined) t.comment('script is not installed here: the live page was not looked at')
  else
    t.match(await onTerminal(program, ['top', '--interval', '300ms'], folder.path), {
      code: 0,
      output: /^\u001b\[\?1049h[\s\S]*Sluice[\s\S]*http[\s\S]*q ends[\s\S]*\u001b\[\?1049l\s*$/
    })
  asking = false
  await traffic
  t.equal(shown.code, 0)
  t.match(shown.stdout, /requests\/s .* in flight/)
  t.match(shown.stdout, /\bfine +[\d.]+ +0 %/)
  t.match(shown.stdout, /\bsick +[\d.]+ +100 %/)
  t.match(shown.stdout, /demo\/sick .* left out/)
  const seen = JSON.parse(told.stdout) as ReturnType<typeof summarize>
  t.ok(seen.requests > 1 && seen.errors > 0 && seen.output_tokens > 0)
  const fine = seen.models.find(({ model }) => model === 'fine')
  t.ok(fine?.p50 !== undefined && fine.p50 > 0 && fine.p95 !== undefined && fine.p95 >= fine.p50)
  t.equal(fine?.errors, 0)
  t.match(
    seen.targets.find(({ target }) => target === 'demo/sick'),
    { cooling: 1 }
  )
})

/** On a terminal of its own, until it is sent a q. */
function onTerminal(
  program: string,
  words: readonly string[],
  cwd: string
): Promise<{ code: number | null; output: string }> {
  return new Promise(resolve => {
    const command = [process.execPath, MAIN, ...words].map(word => `'${word}'`).join(' ')
    const child = spawn(program, ['-qec', command, '/dev/null'], { cwd, env: { ...process.env, TERM: 'xterm' } })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => {
      const before = output.split('q ends').length
      output += chunk
      // After the second page.
      if (before < 3 && output.split('q ends').length >= 3) child.stdin.write('q')
    })
    child.on('close', code => resolve({ code, output }))
  })
}
