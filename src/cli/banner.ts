import type { Colors } from 'picocolors/types.js'
import { llmrcSources } from '../config/llmrc.ts'
import type { Runtime } from '../exchange/runtime.ts'
import { VERSION } from '../server/version.ts'
import type { Advice } from './advice.ts'
import type { ConfigFile } from './find-config.ts'
import { nameOf, shorter } from './prepare.ts'

export interface Greeting {
  readonly url: string
  /** When they have a port of their own. */
  readonly metricsUrl?: string | undefined
  readonly runtime: Runtime
  readonly source: ConfigFile
  readonly advice: readonly Advice[]
  /** Milliseconds from the start of the process to the open port. */
  readonly took: number
}

const WIDTH = 80
const LABEL = 10
const MOST_MODELS = 5
const PASTE = 'Paste such lines below `model_list:`; saving puts them in force.'
/** The one that gateway.yaml names; its value is nobody's to see. */
const KEY_VARIABLE = 'SLUICE_MASTER_KEY'

/** What a person needs to know first, on 80 columns. */
export function banner(greeting: Greeting, colors: Colors): string {
  const { url, metricsUrl = `${url}/metrics`, runtime, source, advice, took } = greeting
  const row = (label: string, text: string) => `  ${colors.dim(label.padEnd(LABEL))}${text}`
  const rows = (label: string, texts: readonly string[]) =>
    texts.map((text, index) => row(index === 0 ? label : '', text))
  const lines = [
    `  ${colors.bold(`Sluice ${VERSION}`)}  ${colors.cyan(url)}  ${colors.dim(`ready in ${(took / 1000).toFixed(2)} s`)}`,
    '',
    ...rows('config', folded(configLine(source))),
    ...rows('models', modelLines(runtime)),
    row('callers', callers(runtime)),
    ''
  ]
  if (advice.length > 0) {
    lines.push(
      ...rows(
        'found',
        advice.flatMap(item => foundLines(item, colors))
      )
    )
    if (advice.some(item => item.lines.length > 0)) lines.push(...rows('', [colors.dim(PASTE)]))
    lines.push('')
  }
  lines.push(
    ...rows('try', curl(url, runtime).map(colors.green)),
    '',
    ...rows('Claude', claude(url, runtime)),
    row('health', `${url}/health, or \`sluice status\``),
    row('metrics', `${metricsUrl}, for Prometheus and its dashboards`),
    row('docs', `${url}/openapi.json, \`sluice --help\``),
    ''
  )
  return `\n${lines.map(line => line.trimEnd()).join('\n')}\n`
}

function configLine({ file, whence }: ConfigFile): string {
  if (whence === 'llmrc') {
    const read = llmrcSources(file, process.env)
    return `${read.join(', ')}, the first to say something wins; in force again whenever a file is saved`
  }
  return whence === 'packaged'
    ? `the packaged gateway.yaml (copy it here to change it: cp ${shorter(file)} .)`
    : `${shorter(file)}, in force again whenever it is saved`
}

function modelLines(runtime: Runtime): string[] {
  const routes = runtime.routes.routes()
  if (routes.length === 0) return ['none: declare one in model_list']
  const wide = Math.max(...routes.slice(0, MOST_MODELS).map(route => route.name.length))
  const lines = routes.slice(0, MOST_MODELS).map(route => {
    const places = [...new Set(route.targets.map(nameOf))]
    return `${route.name.padEnd(wide)} → ${places.slice(0, 2).join(', ')}${places.length > 2 ? ', …' : ''}`
  })
  const left = routes.length - lines.length
  return left > 0 ? [...lines, `and ${left} more: \`sluice models\``] : lines
}

function callers(runtime: Runtime): string {
  if (runtime.masterKey !== undefined) return 'need the key in auth.master_key'
  return runtime.config.auth === 'none'
    ? 'anybody who reaches the port (auth: none)'
    : 'this machine only, with any key or none'
}

function foundLines({ found, usedBy, lines }: Advice, colors: Colors): string[] {
  const used = usedBy.length === 0 ? '' : `, used by ${usedBy.slice(0, 3).join(', ')}`
  return [...folded(found + used), ...lines.map(line => `  ${colors.yellow(line)}`)]
}

/** A command that is answered with 200 as it stands, when its upstream is well. */
export function curl(url: string, runtime: Runtime): string[] {
  const names = runtime.routes.names()
  const route = runtime.routes.routes().find(({ targets }) => targets.some(speaksChat))
  const model = names.includes('demo') ? 'demo' : (route?.name ?? names[0] ?? 'demo').replaceAll('*', 'x')
  const key = runtime.masterKey === undefined ? [] : [`  -H "Authorization: Bearer $${KEY_VARIABLE}" \\`]
  const path = names.includes('demo') || route !== undefined ? '/v1/chat/completions' : '/v1/messages'
  const cap = path === '/v1/messages' ? '"max_tokens":100,' : ''
  return [
    `curl ${url}${path} \\`,
    ...key,
    "  -H 'content-type: application/json' \\",
    `  -d '{"model":${JSON.stringify(model)},${cap}"messages":[{"role":"user","content":"Hi"}]}'`
  ]
}

function speaksChat(target: Runtime['targets'][number]): boolean {
  return target.surfaces.some(surface => surface.dialect === 'openai-chat')
}

function claude(url: string, runtime: Runtime): string[] {
  const base = `ANTHROPIC_BASE_URL=${url}`
  return runtime.masterKey === undefined
    ? [`${base} claude`]
    : [`${base} \\`, `  ANTHROPIC_AUTH_TOKEN=$${KEY_VARIABLE} claude`]
}

/** At spaces, so that nothing runs past the edge. */
function folded(text: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > WIDTH - LABEL - 2) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}
