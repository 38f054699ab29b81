import { Mender, type MendOptions } from './mend.ts'

/** What may be said of a model in the configuration. */
export const QUIRKS = [
  /** It writes calls of tools into its text. */
  'text-tools',
  /** It writes its thinking into its text, in tags. */
  'think-tags',
  /** The same, and the prompt's template has opened the first tag already. */
  'think-opened',
  /** The arguments of its calls are broken JSON, or not what the tool's schema asks for. */
  'repair-arguments',
  /** Its server keeps the beginning of a prompt, so that has to stay the same. */
  'stable-prompt'
] as const

export type Quirk = (typeof QUIRKS)[number]

/** The machine that mends one answer; undefined when there is nothing for it to do. */
export function menderFor(quirks: readonly Quirk[], options: MendOptions): Mender | undefined {
  const on = new Set(quirks)
  const mendsCalls = options.tools.length > 0 && (on.has('text-tools') || on.has('repair-arguments'))
  return mendsCalls || on.has('think-tags') || on.has('think-opened') ? new Mender(on, options) : undefined
}
