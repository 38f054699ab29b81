import type { Runtime } from '../exchange/runtime.ts'
import { PRESETS, type ProviderName } from '../providers/presets.ts'
import type { Finding } from './detect.ts'

/** What was found and what to do with it. */
export interface Advice {
  readonly found: string
  /** Names of model_list that use it already. */
  readonly usedBy: readonly string[]
  /** What to paste below `model_list:`, or to type. Empty when it is used already. */
  readonly lines: readonly string[]
}

/** The names by which people ask a provider's models; others are asked as `provider/model`. */
export const NAMED: Partial<Record<ProviderName, string>> = {
  openai: 'gpt-*',
  anthropic: 'claude-*',
  gemini: 'gemini-*',
  deepseek: 'deepseek-*',
  mistral: 'mistral-*',
  xai: 'grok-*'
}

const CLAUDE_NAMES = 'claude-*'

/** One piece for each finding. No two offer the same name: pasted together they would share its load. */
export function adviseOn(findings: readonly Finding[], runtime: Runtime): Advice[] {
  const hasAnthropic = findings.some(finding => finding.kind === 'key' && finding.provider === 'anthropic')
  let stand = hasAnthropic ? undefined : CLAUDE_NAMES
  return findings.map(finding => {
    const advice = advise(finding, runtime, stand)
    if (finding.kind === 'server' && advice.lines.length > 0) stand = undefined
    return advice
  })
}

function advise(finding: Finding, runtime: Runtime, stand: string | undefined): Advice {
  switch (finding.kind) {
    case 'claude':
      return { found: 'Claude Code (`claude` is on the PATH): point it here, see below', usedBy: [], lines: [] }
    case 'key': {
      const { provider, variable } = finding
      const usedBy = namesOf(runtime, target => target.provider === provider)
      const name = NAMED[provider]
      const entry =
        name === undefined
          ? `model_name: "${provider}/*", provider: ${provider}, model: "*"`
          : `model_name: "${name}", provider: ${provider}`
      return {
        found: `${variable} is set (${PRESETS[provider].title})`,
        usedBy,
        lines: unless(usedBy, `- { ${entry} }`)
      }
    }
    case 'server': {
      const { provider, models, url } = finding
      const usedBy = namesOf(runtime, target => sameServer(target.origin, url))
      const found = `${PRESETS[provider].title} at ${url}: ${countOf(models)}`
      return { found, usedBy, lines: unless(usedBy, ...entryFor(url, provider, models[0], stand)) }
    }
  }
}

/** A model that answers under Claude's names, or every model of the server under its own. Two lines: names can be long. */
function entryFor(url: string, provider: ProviderName, model: string | undefined, stand: string | undefined): string[] {
  const preset = PRESETS[provider]
  const base = 'apiBase' in preset && preset.apiBase === url ? '' : `, api_base: ${url}`
  return [
    `- { model_name: "${stand ?? `${provider}/*`}", provider: ${provider}${base},`,
    `    model: ${JSON.stringify(stand === undefined ? '*' : (model ?? 'NAME-OF-A-MODEL'))} }`
  ]
}

function unless(usedBy: readonly string[], ...lines: string[]): string[] {
  return usedBy.length > 0 ? [] : lines
}

function namesOf(runtime: Runtime, wanted: (target: Runtime['targets'][number]) => boolean): string[] {
  return runtime.routes
    .routes()
    .filter(route => route.targets.some(wanted))
    .map(route => route.name)
}

function sameServer(a: string, b: string): boolean {
  return a.replace('//localhost', '//127.0.0.1') === b.replace('//localhost', '//127.0.0.1')
}

export function countOf(models: readonly string[]): string {
  if (models.length === 0) return 'no model yet'
  const shown = models.slice(0, 2).join(', ')
  return models.length <= 2 ? shown : `${shown} and ${models.length - 2} more`
}
