// Does what the Dockerfile says, without Docker: node scripts/image.mjs [FOLDER]
// Copies, installs and builds stage by stage into a folder, then starts the result as another user (when this one is root) with
// everything but /data read-only, asks it for its health as HEALTHCHECK does, and says how large it is. Needs npm and its registry.
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const into = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'sluice-image-'))
mkdirSync(into, { recursive: true })
chmodSync(into, 0o755)
const isRoot = process.getuid?.() === 0

/** Instructions, a line each: those that go on over several lines are not used here. */
const instructions = readFileSync(join(root, 'Dockerfile'), 'utf8')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)])

let stage = ''
let folder = '/'
const image = { env: {}, health: [], entrypoint: [], command: [] }
const steps = {
  FROM: rest => {
    stage = join(into, rest.split(' AS ')[1] ?? 'image')
    mkdirSync(stage, { recursive: true })
  },
  WORKDIR: rest => {
    folder = rest
    mkdirSync(join(stage, folder), { recursive: true })
  },
  COPY: copy,
  RUN: rest => run(rest),
  ENV: rest => {
    for (const pair of rest.split(' ')) image.env[pair.split('=')[0]] = pair.split('=')[1]
  },
  HEALTHCHECK: rest => {
    image.health = JSON.parse(rest.slice(rest.indexOf('[')))
  },
  ENTRYPOINT: rest => {
    image.entrypoint = JSON.parse(rest)
  },
  CMD: rest => {
    image.command = JSON.parse(rest)
  },
  VOLUME: () => undefined,
  USER: () => undefined,
  EXPOSE: () => undefined
}
for (const [name, rest] of instructions) {
  console.log(`${name} ${rest.slice(0, 100)}`)
  if (steps[name] === undefined) throw new Error(`this script does not know ${name}`)
  steps[name](rest)
}

function copy(rest) {
  const words = rest.split(' ')
  const from = words[0].startsWith('--from=') ? words.shift().slice('--from='.length) : undefined
  const target = words.pop()
  for (const word of words) {
    const source = from === undefined ? join(root, word) : join(into, from, word)
    const isFolder = statSync(source).isDirectory()
    const place = target.endsWith('/') ? join(target, basename(word)) : target
    cpSync(source, join(stage, folder, isFolder ? target : place), { recursive: true, verbatimSymlinks: true })
  }
}

/** Paths of the image that a command names are those of this stage. */
function run(command) {
  const own = command.replace(/(?<= )\/(app|data)/g, join(stage, '$1')).replace(/ -o \d+ -g \d+/, isRoot ? '$&' : '')
  const { status } = spawnSync('sh', ['-ec', own], { cwd: join(stage, folder), stdio: ['ignore', 'ignore', 'inherit'] })
  if (status !== 0) throw new Error(`it ended with ${status}: ${own}`)
}

function sizeOf(path) {
  const entry = lstatSync(path)
  if (!entry.isDirectory()) return entry.size
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0)
}

function lock(path) {
  const entry = lstatSync(path)
  if (entry.isSymbolicLink()) return
  if (entry.isDirectory()) for (const name of readdirSync(path)) lock(join(path, name))
  if (isRoot) chownSync(path, 0, 0)
  chmodSync(path, entry.isDirectory() || (entry.mode & 0o111) !== 0 ? 0o555 : 0o444)
}

const app = join(into, 'image/app')
for (const part of ['', 'node_modules', 'dist', 'schemas', 'hooks'])
  console.log(`/app/${part}`.padEnd(20), `${(sizeOf(join(app, part)) / 1e6).toFixed(1)} MB`)
lock(app)
lock(join(into, 'image/config'))

const inImage = word => word.replace(/^\/(app|data|config)/, join(into, 'image', '$1'))
const user = isRoot ? { uid: 1000, gid: 1000 } : {}
const env = {
  PATH: process.env.PATH,
  SLUICE_MASTER_KEY: 'sk-only-for-this-run',
  ...Object.fromEntries(Object.entries(image.env).map(([name, value]) => [name, inImage(value)]))
}
const port = String(4000 + Math.floor(Math.random() * 20_000) + 20_000)
const onPort = word => inImage(word).replace('4000', port)
const [node, ...words] = [...image.entrypoint, ...image.command].map(onPort)
const gateway = spawn(node, words, { cwd: join(into, 'image/config'), env, stdio: 'inherit', ...user })
let healthy = false
for (let tries = 0; !healthy && tries < 50 && gateway.exitCode === null; tries++) {
  await new Promise(resolve => setTimeout(resolve, 200))
  const [program, ...rest] = image.health.map(onPort)
  healthy = spawnSync(program, rest, { env, ...user }).status === 0
}
const answered = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: `Bearer ${env.SLUICE_MASTER_KEY}` },
  body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'hi' }] })
}).then(
  ({ status }) => status,
  error => error.message
)
const ended = new Promise(resolve => gateway.once('exit', resolve))
gateway.kill('SIGTERM')
const code = gateway.exitCode ?? (await ended)
console.log(`healthy: ${healthy}, a request: ${answered}, ended with ${code}; it is all in ${into}`)
process.exitCode = healthy && answered === 200 && code === 0 ? 0 : 1
