import type { Phases } from './hook.ts'

const PHASES: readonly string[] = ['preCall', 'postCall', 'onEvent', 'onFailure', 'onDone', 'dispose']

/** What `setup` returned, if those are phases: a misspelt one would never run, and nobody would know. Throws what is wrong. */
export function phasesOf(value: unknown): Phases {
  const named =
    typeof value === 'object' && value !== null ? Object.entries(value).filter(([, phase]) => phase !== undefined) : []
  if (named.length === 0) throw new TypeError('`setup` must return the phases it takes part in')
  const wrong = named.filter(([name, phase]) => !PHASES.includes(name) || typeof phase !== 'function')
  if (wrong.length > 0) {
    const names = wrong.map(([name]) => `\`${name}\``).join(', ')
    throw new TypeError(`there is no phase ${names}; known: ${PHASES.join(', ')}`)
  }
  return value as Phases
}
