import type { GatewayConfig } from '../generated/types.ts'

/** Whether a request for this name would find somebody: exact, alias, glob, or a model of a configured backend. */
export function isServed(config: GatewayConfig, name: string): boolean {
  if (config.model_list.some(entry => entry.model_name === name || matchesGlob(entry.model_name, name))) return true
  if (Object.hasOwn(config.aliases, name)) return true
  const cut = name.search(/[/:]/)
  return cut > 0 && cut < name.length - 1 && Object.hasOwn(config.backends, name.slice(0, cut))
}

/** Anchored at both ends; each `*` stands for any characters. No regular expression, so that no pattern can be slow. */
export function matchesGlob(pattern: string, name: string): boolean {
  const parts = pattern.split('*')
  const first = parts[0] ?? ''
  if (parts.length === 1) return pattern === name
  const last = parts.at(-1) ?? ''
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= name.length - last.length
}
