// What is compared. A gateway has a name, a way to start it before a mock on `mockPort`, and the headers its requests carry.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bareEnvironment, find, freePort, start } from './processes.mjs'

const here = import.meta.dirname
const root = join(here, '..')

function launch(name, folder, command, environment = {}) {
  const log = openSync(join(folder, `${name}.log`), 'w')
  const env = { ...bareEnvironment(folder), ...environment }
  return start('gateway', command, { cwd: root, stdio: ['ignore', log, log], env })
}

export const sluiceYaml = (folder, mockPort, name = 'mock-*', more = '') => `store:
  data_dir: ${join(folder, 'sluice')}
model_list:
  - model_name: "${name}"
    provider: self-hosted
    dialect: openai-chat
    api_base: http://127.0.0.1:${mockPort}/v1
    model: "${name}"
    api_key: k
${more}`

/** Request log and metrics are on, as shipped; the log goes to a file. */
export async function startSluice(folder, mockPort, more) {
  const port = await freePort()
  const file = join(folder, 'gateway.yaml')
  mkdirSync(folder, { recursive: true })
  writeFileSync(file, sluiceYaml(folder, mockPort, undefined, more))
  const command = process.env.SLUICE_COMMAND?.trim().split(/\s+/) ?? [process.execPath, 'dist/src/cli/main.js', 'start']
  const child = launch('sluice', folder, [...command, '--config', file, '--port', `${port}`], {
    SLUICE_DATA_DIR: join(folder, 'sluice')
  })
  return { child, port, file }
}

/** The same with a quirk that only touches requests: nothing passes, everything is read into the hub and written again. */
const startHub = (folder, mockPort) => startSluice(folder, mockPort, '    quirks: [stable-prompt]\n')

// At its best: one worker, connections kept to both sides, no access log, bodies held in memory, streams not held back.
const nginxConfiguration = (folder, port, mockPort) => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.error.log;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/nginx-body;
  proxy_temp_path ${folder}/nginx-proxy;
  fastcgi_temp_path ${folder}/nginx-fastcgi;
  uwsgi_temp_path ${folder}/nginx-uwsgi;
  scgi_temp_path ${folder}/nginx-scgi;
  client_body_buffer_size 1m;
  client_max_body_size 32m;
  keepalive_requests 1000000000;
  upstream mock { server 127.0.0.1:${mockPort}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }
  }
}
`

async function startNginx(folder, mockPort) {
  const nginx = find('nginx')
  if (!nginx) throw new Error('it is not installed')
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, nginxConfiguration(folder, port, mockPort))
  return { child: launch('nginx', folder, [nginx, '-p', folder, '-c', file]), port }
}

const portkeyServer = join(here, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js')

function installPeers() {
  if (existsSync(portkeyServer)) return
  console.error('installing Portkey into bench/node_modules (once)')
  execFileSync('npm', ['ci', '--ignore-scripts', '--prefix', here], {
    cwd: here,
    stdio: ['ignore', 'ignore', 'inherit']
  })
}

async function startPortkey(folder) {
  installPeers()
  const port = await freePort()
  const loopback = join(here, 'loopback.mjs')
  const command = [process.execPath, '--import', loopback, portkeyServer, `--port=${port}`, '--headless']
  return { child: launch('portkey', folder, command), port }
}

const portkeyHeaders = mockPort => ({
  'x-portkey-config': JSON.stringify({
    provider: 'openai',
    api_key: 'k',
    custom_host: `http://127.0.0.1:${mockPort}/v1`
  })
})

const none = () => ({})

export const gateways = [
  { name: 'direct', start: async (_folder, mockPort) => ({ port: mockPort }), headers: none, warmUp: 0.1 },
  { name: 'sluice', start: startSluice, headers: none, warmUp: 1 },
  { name: 'hub', start: startHub, headers: none, warmUp: 1, onlyAsked: true },
  { name: 'nginx', start: startNginx, headers: none, warmUp: 0.1 },
  { name: 'portkey', start: startPortkey, headers: portkeyHeaders, warmUp: 1 }
]
