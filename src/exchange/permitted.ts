import { Failure } from '../chat/failure.ts'
import type { Caller, ModelList } from '../keys/caller.ts'
import { nearest } from '../lib/nearest.ts'
import type { Resolved } from '../routing/routes.ts'
import type { Runtime } from './runtime.ts'

const MOST_NAMED = 10
const WHOSE: Readonly<Record<string, string>> = { key: 'This key', customer: 'The customer of this request' }

/** Whether every scope above this caller lets it use the model: by the name that was asked, or by what that is an alias of. */
export function refusedModel(
  caller: Caller | undefined,
  asked: string | undefined,
  resolved: Resolved | Failure,
  runtime: Runtime
): Failure | undefined {
  if (caller === undefined || caller.models.length === 0) return undefined
  const name = asked ?? (resolved instanceof Failure ? undefined : resolved.asked)
  // Which model is missing, the failure of the look-up says.
  if (name === undefined) return undefined
  const isAlias = !(resolved instanceof Failure) && resolved.asked !== name
  const meant = isAlias && Object.hasOwn(runtime.config.aliases, name) ? runtime.config.aliases[name] : undefined
  const lacking = caller.models.find(list => !allows(list, name, meant, () => groupsOf(resolved, runtime)))
  if (lacking === undefined) return undefined
  const whose = WHOSE[lacking.scope] ?? `The ${lacking.scope} of this key`
  const allowed = namesFor(caller, runtime)
  const near = nearest(name, allowed)
  const shown = near.length > 0 ? near : allowed.slice(0, MOST_NAMED)
  return new Failure('forbidden', `${whose} may not use the model \`${name.slice(0, 100)}\`.`, {
    field: 'model',
    code: 'key_model_access_denied',
    recommendations:
      shown.length === 0
        ? ['Nothing that is served here is allowed for it; an administrator can change that.']
        : [`It may use ${shown.map(each => `\`${each}\``).join(', ')}.`]
  })
}

/** By its name, by what that is an alias of, or by a group of whatever serves it. */
function allows(
  { patterns }: ModelList,
  name: string,
  meant: string | undefined,
  groups: () => readonly string[] | undefined
): boolean {
  if (patterns.has(name) || (meant !== undefined && patterns.has(meant))) return true
  return groups()?.some(group => patterns.has(group)) === true
}

function groupsOf(resolved: Resolved | Failure, runtime: Runtime): readonly string[] | undefined {
  return resolved instanceof Failure ? undefined : accessGroups(runtime).get(resolved.route.name)
}

/** Of each name in model_list. */
function accessGroups({ config }: Runtime): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, readonly string[]>()
  for (const { model_name: name, access_groups: own } of config.model_list)
    if (own.length > 0) groups.set(name, [...(groups.get(name) ?? []), ...own])
  return groups
}

/** What a list of models shows this caller. */
export function namesFor(caller: Caller | undefined, runtime: Runtime, withGlobs = false): string[] {
  const { routes, config } = runtime
  const names = routes.names(withGlobs)
  if (caller === undefined || caller.models.length === 0) return names
  const groups = accessGroups(runtime)
  return names.filter(name => {
    const meant = Object.hasOwn(config.aliases, name) ? config.aliases[name] : undefined
    return caller.models.every(list => allows(list, name, meant, () => groups.get(meant ?? name)))
  })
}
