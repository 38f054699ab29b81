import type { Preset } from '../providers/preset.ts'
import { PRESETS } from '../providers/presets.ts'
import { countOf, NAMED } from './advice.ts'
import type { Finding } from './detect.ts'

type Server = Extract<Finding, { kind: 'server' }>
type Key = Extract<Finding, { kind: 'key' }>

const HEAD = `# Written by \`sluice setup\` from what it found here, and yours now: a saved change is in force within a second,
# a mistake changes nothing and is told with its line. \`sluice check\` looks the file through.

server:
  host: 127.0.0.1 # anything but this machine needs auth.master_key, or \`auth: none\`
  port: 4000 # or auto: the first free one from 4000

auth:
  master_key: \${SLUICE_MASTER_KEY:-} # empty: calls from this machine only, with any key or none
`

const NOTHING = `
# Nothing was found here: no server on its usual port, and no key in the environment. So this answers by itself; put
# \`{ model_name: gpt-*, provider: openai, api_key: "\${OPENAI_API_KEY}" }\` or the like in its place.
model_list:
  - model_name: demo
    provider: demo
`

/** What answers under Claude's names: what is not for talking is no good there, and what is made for code is best. */
const MUTE = /embed|rerank|whisper|tts|bge-|clip/i
const CODER = /cod(er|e|estral)/i

/** A first gateway.yaml for what was found. Keys stand in it as the variables that hold them. */
export function starter(findings: readonly Finding[]): string {
  const servers = findings.filter((finding): finding is Server => finding.kind === 'server')
  const keys = findings.filter((finding): finding is Key => finding.kind === 'key')
  if (servers.length === 0 && keys.length === 0) return HEAD + NOTHING
  const named = servers.map((server, index) => ({ server, name: nameOf(server, servers.slice(0, index)) }))
  const active = named.find(({ server }) => modelOf(server) !== undefined) ?? named[0]
  const backends = named.map(
    ({ server, name }) => `  ${name}:\n    provider: ${server.provider}\n    api_base: ${server.url}\n`
  )
  const hasClaude = keys.some(({ provider }) => provider === 'anthropic')
  const entries = [
    ...(active === undefined ? [] : [activeEntry(active.server, hasClaude ? 'local' : 'claude-*')]),
    ...keys.map(keyEntry)
  ]
  const list = entries.some(entry => entry.includes('- model_name')) ? entries.join('\n') : `${entries.join('')}  []\n`
  return [
    HEAD,
    ...(active === undefined
      ? []
      : [
          `# Servers of this machine. \`sluice switch NAME\` makes another one the active; clients may also ask for NAME/model.\nbackends:\n${backends.join('')}active_backend: ${active.name}\n`
        ]),
    `model_list:\n${list}`
  ].join('\n')
}

/** Two servers of one kind are told apart by their ports. */
function nameOf({ provider, url }: Server, before: readonly Server[]): string {
  return before.some(other => other.provider === provider) ? `${provider}-${new URL(url).port}` : provider
}

function modelOf({ models }: Server): string | undefined {
  const talking = models.filter(model => !MUTE.test(model))
  return talking.find(model => CODER.test(model)) ?? talking[0]
}

function activeEntry(server: Server, name: string): string {
  const { provider, url, models } = server
  const title = `  # ${PRESETS[provider].title} at ${url}: ${inComment(countOf(models))}.`
  const model = modelOf(server)
  if (model === undefined) return `${title} Once it has one, say here which name it answers to.\n`
  const why = name === 'local' ? '' : ' What Claude Code asks for goes there.'
  return `${title}${why}\n  - model_name: ${name}\n    backend: active\n    model: ${quoted(model)}\n`
}

function keyEntry({ provider, variable }: Key): string {
  const preset: Preset = PRESETS[provider]
  const name = NAMED[provider]
  // Of a cloud's credential the variable may be a part only; the provider puts it together.
  const key = preset.cloud === undefined ? `    api_key: \${${variable}}\n` : ''
  const model = name === undefined ? '    model: "*"\n' : ''
  return `  # ${variable} is set (${preset.title}).\n  - model_name: ${name ?? `${provider}/*`}\n    provider: ${provider}\n${model}${key}`
}

/** A server may call its models anything: neither YAML nor references may be read into that. */
function quoted(text: string): string {
  return JSON.stringify(text.replaceAll('${', () => '$${'))
}

function inComment(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replaceAll('${', () => '$${')
}
