// A gateway as a user starts it: a process with a file, in front of upstreams of each dialect.
import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const GATEWAY_KEY = 'sk-of-the-gateway'
export const UPSTREAM_KEY = 'sk-of-the-upstream'

/** What an upstream of each dialect is, and how its requests are told. */
export const UPSTREAMS = {
  'openai-chat': {
    entry: url => ({ provider: 'openai', api_base: `${url}/v1` }),
    path: /^\/v1\/chat\/completions$/,
    result: body => body.messages.filter(({ role }) => role === 'tool').length
  },
  'openai-responses': {
    entry: url => ({ provider: 'openai', api_base: `${url}/v1` }),
    path: /^\/v1\/responses$/,
    result: body => body.input.filter(({ type }) => /_call_output$/.test(type)).length
  },
  anthropic: {
    entry: url => ({ provider: 'anthropic', api_base: url }),
    path: /^\/v1\/messages(\?beta=true)?$/,
    result: body => partsOf(body.messages, 'content').filter(({ type }) => type === 'tool_result').length
  },
  gemini: {
    entry: url => ({ provider: 'gemini', api_base: `${url}/v1beta` }),
    path: /^\/v1beta\/models\/[^/]+:(generateContent|streamGenerateContent\?alt=sse)$/,
    result: body => partsOf(body.contents, 'parts').filter(part => part.functionResponse !== undefined).length
  }
}

const partsOf = (messages, name) => messages.flatMap(message => (Array.isArray(message[name]) ? message[name] : []))

/** Starts `sluice start` and waits until it listens. */
export async function startGateway({ dist, folder, dialect, upstreamUrl }) {
  const entry = { model_name: '*', dialect, api_key: `\${UPSTREAM_KEY}`, ...UPSTREAMS[dialect].entry(upstreamUrl) }
  const file = join(folder, 'gateway.yaml')
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ auth: { master_key: `\${GATEWAY_KEY}` }, model_list: [entry] }, null, 2))
  const main = join(dist, 'src/cli/main.js')
  const child = spawn(process.execPath, ['--enable-source-maps', main, 'start', '--config', file, '--port', 'auto'], {
    cwd: folder,
    env: { PATH: process.env.PATH, HOME: folder, GATEWAY_KEY, UPSTREAM_KEY },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const ended = new Promise(resolve => child.once('close', resolve))
  const lines = []
  const url = await new Promise((resolve, reject) => {
    const read = line => {
      lines.push(line)
      if (!line.startsWith('{')) return
      const { msg, url } = JSON.parse(line)
      if (msg === 'listening') resolve(url)
    }
    for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', read)
    ended.then(code => reject(new Error(`the gateway ended with ${code}:\n${lines.join('\n')}`)))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  return { url, key: GATEWAY_KEY, lines, stop }
}
