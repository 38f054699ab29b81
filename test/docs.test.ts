// What the documents say is done here: YAML is loaded, commands are run, links and paths are followed, tables are compared.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { prepare } from '../src/cli/prepare.ts'
import { startGateway } from '../src/cli/serve.ts'
import { createDemo } from '../src/demo/demo.ts'
import { Shelf } from '../src/hooks/shelf.ts'
import { Metrics } from '../src/metrics/metrics.ts'
import { PROVIDER_NAMES } from '../src/providers/presets.ts'
import { ENDPOINTS, GEMINI_ACTIONS } from '../src/server/endpoints.ts'
import { testGateway } from './support/app.ts'
import { post, smallest } from './support/ask.ts'
import { temporaryFolder } from './support/process.ts'

const run = promisify(execFile)
const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url))
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const inFolder = (folder: string) =>
  readdirSync(join(root, folder))
    .filter(name => name.endsWith('.md'))
    .map(name => join(folder, name))
const documents = [...inFolder('.'), ...inFolder('docs'), ...inFolder('bench')]
const readme = read('README.md')

interface Block {
  readonly line: number
  readonly language: string
  readonly text: string
}

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)].map(match => ({
    line: text.slice(0, match.index).split('\n').length,
    language: match[1] ?? '',
    text: match[2] ?? ''
  }))
}

/** The first cells of the rows below a table's head. */
function firstCells(text: string, head: string): string[] {
  const [, table = ''] = text.split(`| ${head} |`)
  const rows = (table.split('\n\n', 1)[0] ?? '').split('\n').slice(2)
  return rows.map(row => row.split('|')[1]?.trim() ?? '')
}

function codesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(match => match[1] ?? '')
}

t.test('every yaml block of the README is a configuration without a mistake', async t => {
  const folder = temporaryFolder()
  t.teardown(() => folder.remove())
  const blocks = blocksOf(readme).filter(block => block.language === 'yaml')
  t.ok(blocks.length > 5)
  for (const { line, text } of blocks) {
    const named = [...text.matchAll(/\$\{([A-Z_]+)|os\.environ\/([A-Z_]+)/g)].map(match => match[1] ?? match[2] ?? '')
    const metrics = new Metrics()
    const prepared = await prepare(
      folder.write(`gateway-${line}.yaml`, text),
      {
        generation: 1,
        variables: Object.fromEntries(named.map(name => [name, 'a-value'])),
        metrics,
        wireTo: () => createDemo(),
        demo: createDemo()
      },
      {},
      new Shelf({ log: console, metrics })
    )
    if (!('loaded' in prepared)) {
      t.fail(`README.md:${line}`, { problems: prepared.problems })
      continue
    }
    t.same(prepared.loaded.problems, [], `README.md:${line}`)
    t.same(prepared.runtime.warnings, [], `README.md:${line}`)
  }
})

t.test('every sh block of the README does what it says', async t => {
  const tools = await run('sh', ['-c', 'command -v curl']).catch(() => undefined)
  if (tools === undefined) return t.pass('there is no shell with curl here')
  const folder = temporaryFolder()
  const gateway = await startGateway({
    file: join(root, 'gateway.yaml'),
    env: { SLUICE_DATA_DIR: folder.path },
    overrides: { port: 0 },
    log: { write: () => undefined }
  })
  t.teardown(async () => {
    await gateway.stop()
    folder.remove()
  })
  // `npx sluice` is the build under test, and curl says so when the answer is a failure.
  const words = `set -eu\nnpx() { shift; '${process.execPath}' '${main}' "$@"; }\ncurl() { command curl -sS --fail --max-time 20 "$@"; echo; }\n`
  const blocks = blocksOf(readme).filter(block => block.language === 'sh')
  t.ok(blocks.length > 2)
  for (const { line, text } of blocks) {
    const script = words + text.replaceAll('http://127.0.0.1:4000', gateway.url)
    const { SLUICE_MASTER_KEY: _, SLUICE_CONFIG: __, ...env } = process.env
    const done = await run('sh', ['-c', script], { cwd: root, env, timeout: 60_000 }).catch((error: Error) => error)
    if (done instanceof Error) t.fail(`README.md:${line}: ${done.message}`)
    else t.ok(done.stdout.length > 20, `README.md:${line}`)
  }
  return undefined
})

t.test('links lead somewhere', async t => {
  for (const document of documents) {
    const prose = read(document).replace(/^```[\s\S]*?^```$/gm, '')
    for (const [, link = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? join(root, document) : resolve(root, dirname(document), path)
      t.ok(existsSync(target), `${document}: ${link}`)
      if (anchor === undefined || !existsSync(target)) continue
      const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.+)$/gm)].map(match =>
        (match[1] ?? '')
          .toLowerCase()
          .replace(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-')
      )
      t.ok(headings.includes(anchor), `${document}: ${link}`)
    }
  }
})

t.test('files that are named exist, and rooms that are listed are there', async t => {
  for (const document of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md'])
    for (const path of codesIn(read(document)))
      if (/^(src|test|schemas|docs|scripts|bench)\/[\w./-]*$/.test(path))
        t.ok(existsSync(join(root, path)), `${document}: ${path}`)
  const rooms = [...read('ARCHITECTURE.md').matchAll(/^\| \d \| ([^|]+) \|/gm)].flatMap(
    match => match[1]?.split(', ') ?? []
  )
  for (const room of rooms) {
    t.ok(existsSync(join(root, 'src', room)), room)
    t.match(read('CHANGELOG.md').split('## Unreleased')[1], /\S/)
  }
  t.ok(rooms.length > 10)
  t.match(read('LICENSE'), /Apache License\s+Version 2\.0/)
})

t.test('the README names every provider, endpoint and command', async t => {
  for (const name of PROVIDER_NAMES) t.ok(readme.includes(`\`${name}\``), name)
  for (const { name } of ENDPOINTS) t.ok(readme.includes(`\`${name}\``), name)
  for (const action of Object.keys(GEMINI_ACTIONS)) t.ok(readme.includes(`:${action}\``), action)
  const { stdout } = await run(process.execPath, [main, '--help'])
  const commands = [...(stdout.split('Commands:')[1] ?? '').matchAll(/^ {2}(\w+) /gm)].map(
    match => `\`sluice ${match[1]}\``
  )
  t.same(firstCells(readme, 'command | does').sort(), commands.sort())
})

t.test('the headers that every answer is said to have, it has', async t => {
  const gateway = await testGateway({ model_list: [{ model_name: 'demo', provider: 'demo' }] })
  t.teardown(() => gateway.close())
  const names = firstCells(readme, 'header | says').flatMap(codesIn)
  t.ok(names.length > 5)
  for (const stream of [false, true]) {
    const [path, body] = smallest('anthropic', 'demo', stream)
    const { headers } = await post(gateway.url + path, body)
    t.same(
      names.filter(name => !(name in headers)),
      []
    )
    t.same(
      Object.keys(headers).filter(name => name.startsWith('x-gateway-') && !names.includes(name)),
      []
    )
  }
  const [path, body] = smallest('anthropic', 'nobody')
  const { headers } = await post(gateway.url + path, body)
  t.same(
    names.filter(name => !(name in headers)),
    ['x-provider', 'x-model']
  )
})
