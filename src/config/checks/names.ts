import { nearest } from '../../lib/nearest.ts'
import type { ModelEntry } from '../generated/types.ts'
import { nodeAt, valueSpot } from '../located.ts'
import { shownFile, shownKey } from '../problem.ts'
import { type CheckContext, errorAtKey, errorAtValue, warnAtValue } from './context.ts'
import { isServed, matchesGlob } from './served.ts'

/** Everything that is named is there: providers, backends, the models that aliases and fallbacks lead to. */
export function checkNames(context: CheckContext): void {
  const { config } = context
  if (Object.hasOwn(config.backends, 'active'))
    errorAtKey(context, ['backends', 'active'], '`active` is a word of its own: name it otherwise')
  for (const [name, backend] of Object.entries(config.backends))
    checkProvider(context, backend.provider, ['backends', name, 'provider'])
  for (const [index, entry] of config.model_list.entries()) checkEntry(context, entry, index)
  if (config.active_backend !== undefined) checkBackend(context, config.active_backend, ['active_backend'])
  checkReach(context)
  checkAliases(context)
  for (const list of ['fallbacks', 'context_fallbacks', 'content_policy_fallbacks'] as const)
    checkFallbacks(context, list, config.routing[list])
}

function checkFallbacks(
  context: CheckContext,
  list: string,
  declared: Readonly<Record<string, readonly string[]>>
): void {
  const { config } = context
  for (const [name, targets] of Object.entries(declared)) {
    const path = ['routing', list, name]
    if (!coversEntry(context, name)) {
      errorAtKey(
        context,
        path,
        'no entry of model_list has this name, so nothing falls back from it',
        suggestion(context, name)
      )
    }
    for (const [index, target] of targets.entries()) {
      if (target === name) errorAtValue(context, [...path, index], 'a model cannot fall back to itself')
      else if (target.includes('*'))
        errorAtValue(
          context,
          [...path, index],
          'a fallback is an exact name: there is nothing that `*` could stand for'
        )
      else if (!isServed(config, target))
        errorAtValue(context, [...path, index], 'nothing serves this name', suggestion(context, target))
    }
  }
}

function checkEntry(context: CheckContext, entry: ModelEntry, index: number): void {
  const path = ['model_list', index]
  if (entry.provider !== undefined) checkProvider(context, entry.provider, [...path, 'provider'])
  if (entry.backend !== undefined && entry.backend !== 'active')
    checkBackend(context, entry.backend, [...path, 'backend'])
  if (entry.backend === 'active' && context.config.active_backend === undefined) {
    errorAtValue(
      context,
      [...path, 'backend'],
      '`active` means the backend that active_backend names, and there is none',
      'add `active_backend: NAME`'
    )
  }
  const stars = countStars(entry.model_name)
  if (entry.model !== undefined && countStars(entry.model) > stars) {
    const more = stars === 0 ? 'has none to fill it with' : 'has fewer'
    errorAtValue(
      context,
      [...path, 'model'],
      `\`*\` stands for what the \`*\` of model_name matched, and model_name ${more}`
    )
  }
  if (entry.weight === 0) warnAtValue(context, [...path, 'weight'], 'this entry is never reached: its weight is 0')
  const provider = providerOf(context, entry)
  if (nodeAt(context.root, [...path, 'demo']) !== undefined && provider !== undefined && provider !== 'demo') {
    errorAtKey(context, [...path, 'demo'], 'these options are for `provider: demo` alone')
  }
}

function providerOf({ config }: CheckContext, entry: ModelEntry): string | undefined {
  if (entry.provider !== undefined) return entry.provider
  const name = entry.backend === 'active' ? (config.active_backend ?? 'active') : entry.backend
  return name !== undefined && Object.hasOwn(config.backends, name) ? config.backends[name]?.provider : undefined
}

function checkProvider(context: CheckContext, provider: string, path: (string | number)[]): void {
  const { providers } = context
  if (providers === undefined || providers.includes(provider)) return
  const near = nearest(provider, providers, 1)[0]
  const hint = near === undefined ? `known: ${providers.join(', ')}` : `did you mean "${near}"?`
  errorAtValue(context, path, 'no provider of this name is known', hint)
}

function checkBackend(context: CheckContext, name: string, path: (string | number)[]): void {
  const names = Object.keys(context.config.backends)
  if (names.includes(name)) return
  const near = nearest(name, names, 1)[0]
  const known = names.length === 0 ? '`backends` declares none' : `declared: ${names.join(', ')}`
  errorAtValue(
    context,
    path,
    'no backend of this name is declared',
    near === undefined ? known : `did you mean "${near}"?`
  )
}

/** Two globs that are written differently and match the same names: the later one is never asked. */
function checkReach(context: CheckContext): void {
  const first = new Map<string, number>()
  const entries = context.config.model_list
  for (const [index, entry] of entries.entries()) {
    if (!entry.model_name.includes('*')) continue
    const meaning = entry.model_name.replace(/\*+/g, '*')
    const earlier = first.get(meaning) ?? index
    first.set(meaning, earlier)
    if (entries[earlier]?.model_name === entry.model_name) continue
    const { file, line } = valueSpot(context.root, ['model_list', earlier, 'model_name'])
    const message = `never reached: the glob at ${shownFile(file)}:${line} matches the same names`
    errorAtValue(context, ['model_list', index, 'model_name'], message, 'write it the same way to share its load')
  }
}

function checkAliases(context: CheckContext): void {
  const { config } = context
  for (const [alias, target] of Object.entries(config.aliases)) {
    const path = ['aliases', alias]
    if (alias.includes('*')) errorAtKey(context, path, 'an alias is an exact name; a glob belongs in model_list')
    if (config.model_list.some(entry => entry.model_name === alias)) {
      errorAtKey(context, path, 'never reached: model_list has an entry of this very name, which comes first')
    }
    if (target === alias) errorAtValue(context, path, 'an alias cannot mean itself')
    else if (!isServed({ ...config, aliases: {} }, target)) {
      const chain = Object.hasOwn(config.aliases, target)
      const message = chain ? 'an alias cannot lead to another alias' : 'nothing serves this name'
      errorAtValue(context, path, message, chain ? 'name the model itself' : suggestion(context, target))
    }
  }
}

/** A rule applies to the entries that it names: by their own name, or by a glob that covers it. */
function coversEntry({ config }: CheckContext, name: string): boolean {
  return config.model_list.some(entry => entry.model_name === name || matchesGlob(name, entry.model_name))
}

function suggestion({ config }: CheckContext, name: string): string {
  const names = [...config.model_list.map(entry => entry.model_name), ...Object.keys(config.aliases)]
  // Names of one or two letters are in everything.
  const near = nearest(
    name,
    names.filter(known => known !== name && known.length > 2),
    1
  )[0]
  return near === undefined ? 'add it to model_list' : `did you mean "${shownKey(near)}"?`
}

function countStars(text: string): number {
  return text.split('*').length - 1
}
