// What a person can do about an upstream's failure, worked out from the configuration and from who answers now.

import { Failure } from '../chat/failure.ts'
import type { Caller } from '../keys/caller.ts'
import { presetOf } from '../providers/presets.ts'
import type { Target } from '../routing/target.ts'
import { namesFor } from './permitted.ts'
import type { Runtime } from './runtime.ts'

/** How each local server is started, in the words of its own documentation. */
const START: Readonly<Record<string, (port: string) => string>> = {
  ollama: () => '`ollama serve`',
  mlx: port => `\`mlx_lm.server --port ${port}\``,
  'lm-studio': port => `\`lms server start --port ${port}\``,
  'llama.cpp': port => `\`llama-server -m MODEL.gguf --port ${port}\``,
  vllm: port => `\`vllm serve MODEL --port ${port}\``,
  sglang: port => `\`python -m sglang.launch_server --model-path MODEL --port ${port}\``
}

const MOST_NAMES = 3

/** The upstream has no such model: the operator's to mend, and the upstream's own words do not say how. */
export function isModelMissing({ kind, details, message }: Failure): boolean {
  return kind === 'upstream-rejected' && details.status === 404 && /model/i.test(message)
}

/** The same failure with what can be done about it. `route`: the name that was asked; no name is told that the caller may not use. */
export function advised(
  failure: Failure,
  target: Target,
  model: string,
  route: string,
  runtime: Runtime,
  caller?: Caller
): Failure {
  const missing = isModelMissing(failure)
  if (!failure.kind.startsWith('upstream-') || (failure.kind === 'upstream-rejected' && !missing)) return failure
  const own = missing ? forMissingModel(target, model) : forKind(failure, target)
  const elsewhere = others(target, route, runtime, caller)
  const recommendations = [...(failure.details.recommendations ?? []), ...own, ...elsewhere]
  if (recommendations.length === 0) return failure
  return new Failure(failure.kind, failure.message, {
    ...failure.details,
    recommendations: [...new Set(recommendations)]
  })
}

function forMissingModel({ provider, place }: Target, model: string): string[] {
  if (provider === 'ollama') return [`Fetch it: \`ollama pull ${model}\`.`]
  return [
    `Put a model that ${place} has into \`model\` of the entry; \`sluice models --provider ${provider}\` lists them.`
  ]
}

function forKind(failure: Failure, target: Target): string[] {
  if (failure.kind === 'upstream-refused-key') return forKey(target)
  const url = URL.canParse(target.origin) ? new URL(target.origin) : undefined
  if (failure.kind !== 'upstream-down' || url === undefined || !isLoopback(url.hostname)) return []
  const start = START[target.provider]
  if (start !== undefined) return [`Start it: ${start(url.port || '80')}.`]
  if (target.provider === 'demo') return []
  const port = url.port || '80'
  return [`If it is on another machine, open its tunnel: \`ssh -N -L ${port}:127.0.0.1:${port} HOST\`.`]
}

function forKey({ provider, keyed }: Target): string[] {
  const variable = presetOf(provider)?.keyVariable
  const where = variable === undefined ? '`api_key` of its entry' : `\`api_key\` of its entry, or ${variable}`
  return keyed ? [`Look whether ${where} holds a key that is in force.`] : [`No key is sent: set ${where}.`]
}

/** Names that answer now, or at least have not failed. */
function others(failed: Target, route: string, runtime: Runtime, caller: Caller | undefined): string[] {
  const now = performance.now()
  const allowed = new Set(namesFor(caller, runtime, true))
  const healthy: string[] = []
  const untried: string[] = []
  for (const { name, targets } of runtime.routes.routes()) {
    if (name === route || name.includes('*') || !allowed.has(name)) continue
    const well = targets.filter(({ state, origin }) => origin !== failed.origin && state.coolingFor(now) === 0)
    if (well.some(({ state }) => state.ok === true)) healthy.push(name)
    else if (well.some(({ state }) => state.ok === undefined)) untried.push(name)
  }
  const names = (healthy.length > 0 ? healthy : untried).slice(0, MOST_NAMES)
  const advice: string[] = []
  if (names.length > 0) {
    const list = names.map(name => `\`${name}\``).join(' or ')
    const state = healthy.length > 0 ? 'answered when last asked' : 'is configured too'
    advice.push(`${list} ${state}: ask for it, or declare routing.fallbacks: { "${route}": [${names.join(', ')}] }.`)
  }
  const { active_backend: active, backends } = runtime.config
  const spare = Object.keys(backends).filter(name => name !== active)
  if (active !== undefined && spare.length > 0 && failed.place.startsWith(`${active} (`)) {
    const commands = spare.slice(0, MOST_NAMES).map(name => `\`sluice switch ${name}\``)
    advice.push(`Or use another backend: ${commands.join(' or ')}.`)
  }
  return advice
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
