import type { Colors } from 'picocolors/types.js'
import type { Runtime } from '../exchange/runtime.ts'
import { VERSION } from '../server/version.ts'
import type { Advice } from './advice.ts'
import type { ConfigFile } from './find-config.ts'
import { shorter } from './prepare.ts'

export interface Greeting {
  readonly url: string
  readonly runtime: Runtime
  readonly source: ConfigFile
  readonly advice: readonly Advice[]
  /** Milliseconds from the start of the process to the open port. */
  readonly took: number
}

const WIDTH = 80
const LABEL = 10
const MOST_MODELS = 5

/** What a person needs to know first, on 80 columns. */
export function banner(greeting: Greeting, colors: Colors): string {
  const { url, runtime, source, advice, took } = greeting
  const row = (label: string, text: string) => `  ${colors.dim(label.padEnd(LABEL))}${text}`
  const more = (text: string) => row('', text)
  const lines = [
    `  ${colors.bold(`Sluice ${VERSION}`)}  ${colors.cyan(url)}  ${colors.dim(`ready in ${(took / 1000).toFixed(2)} s`)}`,
    '',
    ...folded(configLine(source)).map((text, index) => row(index === 0 ? 'config' : '', text)),
    ...modelLines(runtime).map((text, index) => row(index === 0 ? 'models' : '', text)),
    row('callers', callers(runtime)),
    ''
  ]
  if (advice.length > 0) {
    for (const [index, item] of advice.entries()) lines.push(...foundLines(item, index === 0, row, colors))
    lines.push(more(colors.dim('Paste such lines below `model_list:`; they are in force when you save.')), '')
  }
  lines.push(
    ...curl(url, runtime).map((text, index) => row(index === 0 ? 'try' : '', colors.green(text))),
    '',
    row('Claude', claude(url, runtime)),
    row('health', `${url}/health, or \`sluice status\``),
    row('metrics', `${url}/metrics, for Prometheus and its dashboards`),
    row('docs', `${url}/openapi.json, \`sluice --help\``),
    ''
  )
  return `\n${lines.map(line => line.trimEnd()).join('\n')}\n`
}

function configLine({ file, whence }: ConfigFile): string {
  return whence === 'packaged'
    ? `the packaged gateway.yaml (copy it here to change it: cp ${shorter(file)} .)`
    : `${shorter(file)}, in force again whenever it is saved`
}

function modelLines(runtime: Runtime): string[] {
  const routes = runtime.routes.routes()
  if (routes.length === 0) return ['none: declare one in model_list']
  const wide = Math.max(...routes.slice(0, MOST_MODELS).map(route => route.name.length))
  const lines = routes.slice(0, MOST_MODELS).map(route => {
    const places = [...new Set(route.targets.map(target => target.name))]
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

function foundLines(
  advice: Advice,
  first: boolean,
  row: (label: string, text: string) => string,
  colors: Colors
): string[] {
  const used = advice.usedBy.length === 0 ? '' : colors.dim(`, used by ${advice.usedBy.slice(0, 3).join(', ')}`)
  return [
    row(first ? 'found' : '', advice.found + used),
    ...advice.lines.map(line => row('', `  ${colors.yellow(line)}`))
  ]
}

/** A command that is answered with 200 as it stands. */
export function curl(url: string, runtime: Runtime): string[] {
  const names = runtime.routes.names()
  const model = names.includes('demo') ? 'demo' : (names[0] ?? 'demo').replaceAll('*', 'x')
  const key = runtime.masterKey === undefined ? [] : [`  -H "Authorization: Bearer $${keyVariable()}" \\`]
  return [
    `curl ${url}/v1/chat/completions \\`,
    ...key,
    "  -H 'content-type: application/json' \\",
    `  -d '{"model":${JSON.stringify(model)},"messages":[{"role":"user","content":"Hello"}]}'`
  ]
}

function claude(url: string, runtime: Runtime): string {
  const key = runtime.masterKey === undefined ? '' : ` ANTHROPIC_AUTH_TOKEN=$${keyVariable()}`
  return `ANTHROPIC_BASE_URL=${url}${key} claude`
}

function keyVariable(): string {
  return 'SLUICE_MASTER_KEY'
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
