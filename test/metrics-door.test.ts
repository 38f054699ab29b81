// Who may scrape, and where.
import t, { type Test } from 'tap'
import { request } from 'undici'
import { CannotStart } from '../src/cli/cannot-start.ts'
import { readPidFile } from '../src/cli/pid-file.ts'
import { type RunningGateway, startGateway } from '../src/cli/serve.ts'
import { get } from './support/ask.ts'
import { type Folder, run, temporaryFolder } from './support/process.ts'

t.setTimeout(600_000)

const TOKEN = 'scrape-0123456789'

interface Subject extends RunningGateway {
  readonly folder: Folder
  log(): string
}

const saying = (metrics: string, more = '') =>
  `server: { port: 0, metrics: ${metrics} }\nmodel_list:\n  - { model_name: m, provider: demo }\n${more}`

async function subject(t: Test, metrics: string, more = ''): Promise<Subject> {
  const folder = temporaryFolder()
  const file = folder.write('gateway.yaml', saying(metrics, more))
  let log = ''
  const gateway = await startGateway({ file, env: { TOKEN }, log: { write: text => (log += text) } })
  t.teardown(async () => {
    await gateway.stop()
    folder.remove()
  })
  const told = () => {
    gateway.logs.flush()
    return log
  }
  return { ...gateway, folder, log: told }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

t.test('a token is asked for where one is set, and a saved file exchanges it', async t => {
  const { url, folder, reload, log } = await subject(t, '{ token: "$' + '{TOKEN}" }')
  const refused = await get(`${url}/metrics`)
  t.match(refused, { status: 401, headers: { 'content-type': /^text\/plain/, 'www-authenticate': 'Bearer' } })
  t.match(refused.text, /server\.metrics/)
  t.notMatch(refused.text, /gateway_/)
  for (const wrong of ['', 'x', `${TOKEN}x`, TOKEN.slice(1), TOKEN.toUpperCase()])
    t.equal((await get(`${url}/metrics`, bearer(wrong))).status, 401, wrong)
  t.equal((await get(`${url}/metrics`, { authorization: TOKEN })).status, 401, 'without its scheme')
  const head = await request(`${url}/metrics`, { method: 'HEAD' })
  await head.body.dump()
  t.equal(head.statusCode, 401, 'HEAD is no way around')
  const told = await get(`${url}/metrics`, bearer(TOKEN))
  t.match(told, { status: 200, text: /^gateway_inflight 0$/m })
  t.equal((await get(`${url}/metrics`, { authorization: `bearer  ${TOKEN} ` })).status, 200)
  t.equal((await get(`${url}/health`)).status, 200, 'probes carry none')
  t.match((await get(`${url}/admin/config`)).json, { config: { server: { metrics: { token: '•••' } } } })
  folder.write('gateway.yaml', saying('{ token: another-987654321 }'))
  t.match(await reload(), { accepted: true, lines: ['~ server.metrics.token ••• → •••'] })
  t.equal((await get(`${url}/metrics`, bearer(TOKEN))).status, 401)
  t.equal((await get(`${url}/metrics`, bearer('another-987654321'))).status, 200)
  folder.write('gateway.yaml', saying('{}'))
  await reload()
  t.equal((await get(`${url}/metrics`)).status, 200)
  t.notMatch(log(), TOKEN)
  t.notMatch(log(), 'another-987654321')
})

t.test('a port of their own has metrics alone, and the gateway has none', async t => {
  const { url, metricsUrl = '', dataDir, folder, reload, log } = await subject(t, `{ port: 0, token: ${TOKEN} }`)
  t.match(metricsUrl, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
  t.not(new URL(metricsUrl).port, new URL(url).port)
  t.equal((await get(metricsUrl)).status, 401)
  t.match(await get(metricsUrl, bearer(TOKEN)), { status: 200, text: /^gateway_config_generation 1$/m })
  for (const path of ['/', '/health', '/v1/models', '/admin/config'])
    t.match(await get(new URL(path, metricsUrl).href, bearer(TOKEN)), { status: 404, text: /nothing else/ }, path)
  t.match(await get(`${url}/metrics`, bearer(TOKEN)), { status: 404, text: /server\.metrics\.port/ })
  t.notOk(JSON.stringify((await get(url)).json).includes('/metrics'))
  t.equal(readPidFile(dataDir)?.metrics, metricsUrl)
  const top = ['top', '--json', '--interval', '200ms']
  t.match(await run(top, { cwd: folder.path }), { code: 0, stdout: /"requests"/ }, 'the file says token and port')
  t.match(await run([...top, '--url', metricsUrl], { cwd: '/' }), { code: 1, stdout: /--token/ })
  t.match(await run([...top, '--url', metricsUrl, '--token', TOKEN], { cwd: '/' }), { code: 0 })
  folder.write('gateway.yaml', saying('{ port: 9464 }'))
  const { lines } = await reload()
  t.match(lines.join('\n'), /server\.metrics\.port 0 → 9464: needs a restart; metrics stay where they are/)
  t.match(log(), /metrics stay where they are/)
  t.match(
    await get(metricsUrl),
    { status: 200, text: /^gateway_config_generation 2$/m },
    'without the token that is gone'
  )
})

t.test('a port that a saved file takes or gives waits for a restart', async t => {
  const { url, folder, reload } = await subject(t, '{}')
  folder.write('gateway.yaml', saying('{ port: 0 }'))
  t.match((await reload()).lines.join('\n'), /server\.metrics\.port unset → 0: needs a restart/)
  t.equal((await get(`${url}/metrics`)).status, 200)
})

t.test('it ends with the gateway, and a port that is taken is told', async t => {
  const first = await subject(t, '{ port: 0 }')
  const { metricsUrl = '' } = first
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const { port } = new URL(metricsUrl)
  const file = folder.write('gateway.yaml', saying(`{ port: ${port} }`))
  const start = () => startGateway({ file, env: {}, log: { write: () => undefined } })
  const error: unknown = await start().catch((error: unknown) => error)
  t.ok(error instanceof CannotStart)
  if (error instanceof CannotStart) t.match(error.lines, [new RegExp(`${port} is in use`), /server\.metrics\.port/])
  await first.stop()
  await t.rejects(get(metricsUrl))
  const second = await start()
  t.equal((await get(metricsUrl)).status, 200, 'it is free again')
  await second.stop()
})

t.test('a workspace has no port, and keeps its metrics behind that of the gateway', async t => {
  const blog = temporaryFolder()
  t.teardown(() => blog.remove())
  blog.write('gateway.yaml', saying(`{ port: 0, token: ${TOKEN} }`))
  const { url } = await subject(t, '{ port: 0 }', `workspaces: { blog: "${blog.path}" }\n`)
  t.equal((await get(`${url}/metrics`)).status, 404)
  t.equal((await get(`${url}/w/blog/metrics`)).status, 401)
  t.equal((await get(`${url}/w/blog/metrics`, bearer(TOKEN))).status, 200)
})

t.test('one port cannot be both', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  folder.write('gateway.yaml', saying('{ port: 4000 }').replace('port: 0', 'port: 4000'))
  t.match(await run(['check'], { cwd: folder.path }), { code: 1, stdout: /is the port of the gateway itself/ })
  folder.write('gateway.yaml', saying('{ token: "two words" }'))
  t.match(await run(['check'], { cwd: folder.path }), { code: 1, stdout: /server\.metrics\.token/ })
})
