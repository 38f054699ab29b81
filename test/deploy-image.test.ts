// What Docker would be told is held to the code: it is seldom run, and nobody notices when a name in it is no longer one.

import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { validate } from 'dockerfile-utils'
import t from 'tap'
import { parse } from 'yaml'
import { testGateway } from './support/app.ts'
import { get, post, smallest } from './support/ask.ts'
import { run, start, temporaryFolder } from './support/process.ts'
import { postgresService, redisService } from './support/services.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Service {
  readonly image: string
  readonly build?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly env_file?: readonly { readonly path: string; readonly required: boolean }[]
  readonly volumes?: readonly string[]
  readonly ports?: readonly string[]
  readonly profiles?: readonly string[]
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, unknown>>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose
const services = Object.entries(compose.services)
const instructions = read('Dockerfile')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(line => ({ name: line.split(' ')[0] ?? '', rest: line.slice(line.indexOf(' ') + 1) }))
const said = (name: string) => instructions.filter(step => step.name === name).map(step => step.rest)

/** Everything that the gateway reads from its environment, as far as its source says a name. */
function variablesOfCode(): Set<string> {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.ts')
  )
  const text = files.map(name => read(join('src', name))).join('\n')
  return new Set([...text.matchAll(/(?:env|variables)\['([A-Z_]+)'\]/g)].map(([, name = '']) => name))
}

t.setTimeout(600_000)

t.test('the image copies what there is, and runs the build as nobody', async t => {
  for (const rest of said('COPY')) {
    if (rest.startsWith('--from=')) continue
    for (const source of rest.split(' ').slice(0, -1)) {
      t.ok(existsSync(join(root, source)), source)
      t.match(read('.dockerignore'), `\n!${source}\n`, `${source} is let through`)
    }
  }
  // Whatever npm packs for others, the image needs too.
  const { files, bin } = JSON.parse(read('package.json')) as { files: string[]; bin: { sluice: string } }
  const copied = said('COPY').join(' ')
  for (const path of files.filter(path => !path.endsWith('.md'))) t.ok(copied.includes(path), path)
  t.ok(said('ENTRYPOINT')[0]?.includes(bin.sluice.replace('./', '/app/')))
  t.same(said('USER'), ['1000:1000'])
  for (const step of said('FROM')) t.match(step, /^node:24-slim\b/)
  for (const step of said('RUN').filter(step => step.includes('npm'))) t.match(step, /^npm ci .*--ignore-scripts/)
  t.notMatch(read('.dockerignore'), /^!.*(\.env|\.sluice|\.git)/m)
})

t.test('the linter has nothing to say about the Dockerfile', async t => {
  t.same(validate(read('Dockerfile')), [])
  const wrong = validate('FROM scratch\nMAINTAINER me\nRUN').map(problem => problem.range.start.line)
  t.same(wrong, [1], 'and it would')
})

t.test('what the image sets, the gateway reads; what it asks, the gateway answers', async t => {
  const known = variablesOfCode()
  for (const pair of said('ENV').join(' ').split(' ')) {
    const name = pair.split('=')[0] ?? ''
    t.ok(name === 'NODE_ENV' || known.has(name), name)
  }
  const [check = ''] = said('HEALTHCHECK')
  const command = JSON.parse(check.slice(check.indexOf('['))) as string[]
  const [, port, path = ''] = /127\.0\.0\.1:(\d+)(\/[\w/]+)/.exec(command.join(' ')) ?? []
  t.same(said('EXPOSE'), [port])
  t.ok(said('CMD')[0]?.includes(`"${port}"`))
  const gateway = await testGateway({ model_list: [{ model_name: 'demo', provider: 'demo' }] })
  t.teardown(() => gateway.close())
  t.equal((await get(gateway.url + path)).status, 200)
  const probe = async (url: string) => {
    const words = command.slice(1).map(word => word.replace(`http://127.0.0.1:${port}`, url))
    return promisify(execFile)(process.execPath, words).then(
      () => 'healthy',
      () => 'ill'
    )
  }
  t.equal(await probe(gateway.url), 'healthy')
  gateway.gateway.draining = true
  t.equal(await probe(gateway.url), 'ill')
})

t.test('compose publishes two ports on the loopback, and its paths and volumes are there', async t => {
  const published = services.flatMap(([name, { ports = [] }]) => ports.map(port => `${name} ${port}`))
  t.same(published, ['gateway 127.0.0.1:4000:4000', 'grafana 127.0.0.1:3000:3000'])
  const used = new Set<string>()
  for (const [name, service] of services) {
    t.ok(service.build !== undefined || /:v?\d+\.\d+/.test(service.image), `${name} is pinned`)
    t.ok(service.healthcheck !== undefined || service.build !== undefined, `${name} says when it is healthy`)
    for (const other of Object.keys(service.depends_on ?? {})) t.ok(compose.services[other] !== undefined)
    for (const volume of service.volumes ?? []) {
      const [from = ''] = volume.split(':')
      if (from.startsWith('.')) t.ok(existsSync(join(root, from)), from)
      else used.add(from)
    }
  }
  t.same([...used].sort(), Object.keys(compose.volumes).sort())
  t.match(read('deploy/prometheus/prometheus.yml'), 'targets: ["gateway:4000"]')
  t.match(read('deploy/grafana/provisioning/datasources/prometheus.yml'), 'http://prometheus:9090')
  const home = compose.services['grafana']?.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? ''
  t.ok(existsSync(join(root, home.replace('/etc/grafana', 'deploy/grafana'))), home)
  t.match(read('deploy/grafana/provisioning/dashboards/sluice.yml'), dirname(home))
})

t.test('compose knows no password, and gives the gateway nothing that it does not read', async t => {
  const known = variablesOfCode()
  const config = read('deploy/gateway/gateway.yaml')
  for (const name of Object.keys(compose.services['gateway']?.environment ?? {}))
    t.ok(known.has(name) || new RegExp(`\\$\\{${name}(:-)?\\}`).test(config), name)
  for (const [name, { environment = {} }] of services)
    for (const [variable, value] of Object.entries(environment))
      if (/PASSWORD|KEY|SECRET/.test(variable)) t.match(value, /^\$\{[A-Z_]+:\?[^}]+\}$/, `${name}: ${variable}`)
})

t.test('what the gateway of compose needs is there before it, under the address that it is told', async t => {
  const { gateway, postgres, jaeger } = compose.services
  t.same(Object.keys(gateway?.depends_on ?? {}).sort(), ['postgres', 'redis'])
  for (const name of ['postgres', 'redis']) t.equal(compose.services[name]?.profiles, undefined, name)
  const { DATABASE_URL = '', REDIS_URL = '' } = gateway?.environment ?? {}
  const password = postgres?.environment?.['POSTGRES_PASSWORD'] ?? ''
  t.ok(DATABASE_URL.includes(`:${password}@`))
  const address = new URL(DATABASE_URL.replace(password, 'password'))
  t.equal(address.username, postgres?.environment?.['POSTGRES_USER'])
  t.equal(address.pathname, `/${postgres?.environment?.['POSTGRES_DB']}`)
  t.equal(address.host, 'postgres:5432')
  t.equal(new URL(REDIS_URL).host, 'redis:6379')
  t.same(jaeger?.profiles, ['tracing'])
  t.match(read('docker-compose.yml'), 'http://jaeger:4318')
  t.match(read('deploy/grafana/provisioning/datasources/traces.yml'), 'http://jaeger:16686')
})

t.test('setup --docker writes what compose asks for, once, for its owner alone', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const options = { cwd: folder.path }
  t.match(await run(['setup', '--docker'], options), { code: 1, stderr: /no docker-compose.yml/ })
  folder.write('docker-compose.yml', read('docker-compose.yml'))
  folder.write('.env', 'GRAFANA_ADMIN_PASSWORD=mine\n# a remark')
  t.match(await run(['setup', '--docker'], options), { code: 0, stdout: /docker compose up/ })
  const first = readFileSync(join(folder.path, '.env'), 'utf8')
  t.equal(statSync(join(folder.path, '.env')).mode & 0o777, 0o600)
  t.match(
    first,
    /^GRAFANA_ADMIN_PASSWORD=mine\n# a remark\nSLUICE_MASTER_KEY=sk-[\w-]{32}\nPOSTGRES_PASSWORD=[\w-]{32}\nSLUICE_KEY_PEPPER=[\w-]{32}\n$/
  )
  const asked = [...read('docker-compose.yml').matchAll(/\$\{([A-Z_]+):\?/g)].map(([, name = '']) => name)
  const given = [...first.matchAll(/^([A-Z_]+)=/gm)].map(([, name = '']) => name)
  t.same([...new Set(asked)].sort(), given.sort())
  const again = JSON.parse((await run(['setup', '--docker', '--json'], options)).stdout) as { written: string[] }
  t.same(again.written, [])
  t.equal(readFileSync(join(folder.path, '.env'), 'utf8'), first)
})

t.test('setup --docker writes no secret to where somebody else pointed .env', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  folder.write('docker-compose.yml', '')
  const elsewhere = folder.write('elsewhere', '')
  symlinkSync(elsewhere, join(folder.path, '.env'))
  t.match(await run(['setup', '--docker'], { cwd: folder.path }), { code: 1, stderr: /not a plain file/ })
  t.equal(readFileSync(elsewhere, 'utf8'), '')
})

t.test('the gateway starts with the configuration of compose, and needs its key', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const file = join(root, 'deploy/gateway/gateway.yaml')
  const env = { SLUICE_DATA_DIR: join(folder.path, 'data') }
  t.match(await run(['check', file], { cwd: folder.path, env }), { code: 1, stdout: /SLUICE_MASTER_KEY/ })
  const gateway = await start(['--config', file, '--host', '0.0.0.0'], {
    cwd: folder.path,
    env: { ...env, SLUICE_MASTER_KEY: 'sk-test' }
  })
  t.equal((await get(`${gateway.url}/v1/models`)).status, 401)
  t.equal((await get(`${gateway.url}/v1/models`, { authorization: 'Bearer sk-test' })).status, 200)
  t.equal((await get(`${gateway.url}/metrics`)).status, 200)
  gateway.child.kill('SIGTERM')
  t.equal((await gateway.ended).code, 0)
})

t.test('with the servers of compose, the gateway keeps keys and limits in them', async t => {
  const [databases, redis] = await Promise.all([postgresService(), redisService()])
  const folder = temporaryFolder()
  t.teardown(async () => {
    folder.remove()
    await Promise.all([databases?.remove(), redis?.stop()])
  })
  if (databases === undefined || redis === undefined) return t.plan(0, 'PostgreSQL or Redis is not installed here')
  const env = {
    SLUICE_DATA_DIR: join(folder.path, 'data'),
    SLUICE_MASTER_KEY: 'sk-test',
    SLUICE_KEY_PEPPER: 'pepper',
    DATABASE_URL: await databases.createDatabase(),
    REDIS_URL: redis.url
  }
  const file = join(root, 'deploy/gateway/gateway.yaml')
  const first = await start(['--config', file], { cwd: folder.path, env })
  await first.until(/keys are on/)
  const headers = { authorization: 'Bearer sk-test' }
  const made = await post(`${first.url}/key/generate`, { rpm_limit: 1 }, headers)
  t.equal(made.status, 200, made.text)
  const key = { authorization: `Bearer ${made.json?.['key']}` }
  const [path, body] = smallest('openai-chat', 'demo')
  t.equal((await post(first.url + path, body, key)).status, 200)
  // Another replica has its own folder, and the same key and limit.
  const second = await start(['--config', file], {
    cwd: folder.path,
    env: { ...env, SLUICE_DATA_DIR: join(folder.path, 'other') }
  })
  await second.until(/keys are on/)
  t.equal((await post(second.url + path, body, key)).status, 429)
  for (const { child, ended } of [first, second]) {
    child.kill('SIGTERM')
    t.equal((await ended).code, 0)
  }
})
