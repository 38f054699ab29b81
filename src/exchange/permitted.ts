import { Failure } from '../chat/failure.ts'
import type { Caller } from '../keys/caller.ts'
import { nearest } from '../lib/nearest.ts'
import type { Resolved } from '../routing/routes.ts'
import type { Runtime } from './runtime.ts'

const MOST_NAMED = 10

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
  const lacking = caller.models.find(
    ({ patterns }) => !patterns.has(name) && !(meant !== undefined && patterns.has(meant))
  )
  if (lacking === undefined) return undefined
  const whose = lacking.scope === 'key' ? 'This key' : `The ${lacking.scope} of this key`
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

/** What a list of models shows this caller. */
export function namesFor(caller: Caller | undefined, { routes, config }: Runtime, withGlobs = false): string[] {
  const names = routes.names(withGlobs)
  if (caller === undefined || caller.models.length === 0) return names
  return names.filter(name => {
    const meant = Object.hasOwn(config.aliases, name) ? config.aliases[name] : undefined
    return caller.models.every(({ patterns }) => patterns.has(name) || (meant !== undefined && patterns.has(meant)))
  })
}
