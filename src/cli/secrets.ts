import type { GatewayConfig } from '../config/generated/types.ts'
import { redacted } from '../exchange/redacted.ts'
import { PRESETS, type Preset } from '../providers/presets.ts'

/** Shorter values stand in too many innocent words. */
const SHORTEST = 6
const MASK = '•••'

/** A net below the rule that no secret is put into a text: values known to be secret are taken out again. */
export class Secrets {
  #values: readonly string[] = []

  learn(config: GatewayConfig, env: Readonly<Record<string, string | undefined>>): void {
    const found = new Set<string>()
    collect(config, redacted(config), found)
    for (const preset of Object.values(PRESETS) as Preset[]) {
      for (const variable of [preset.keyVariable, ...(preset.secretVariables ?? [])]) {
        const value = variable === undefined ? undefined : env[variable]
        if (value !== undefined) found.add(value)
      }
    }
    // The longest first: one secret may begin with another.
    this.#values = [...found].filter(value => value.length >= SHORTEST).sort((a, b) => b.length - a.length)
  }

  redact(text: string): string {
    let clean = text
    for (const value of this.#values) if (clean.includes(value)) clean = clean.replaceAll(value, MASK)
    return clean
  }
}

/** What the redaction hides is what is secret. */
function collect(value: unknown, shown: unknown, into: Set<string>): void {
  if (typeof value === 'string') {
    if (value === shown) return
    into.add(value)
    const password = URL.canParse(value) ? decodeURIComponent(new URL(value).password) : ''
    if (password !== '') into.add(password)
  } else if (value !== null && typeof value === 'object' && shown !== null && typeof shown === 'object') {
    for (const [key, inner] of Object.entries(value)) collect(inner, (shown as Record<string, unknown>)[key], into)
  }
}
