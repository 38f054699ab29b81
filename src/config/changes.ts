import { isDeepStrictEqual } from 'node:util'
import type { GatewayConfig, ModelEntry } from './generated/types.ts'
import { SCHEMA } from './schema.ts'

const SECRET_KEYS = new Set(['api_key', 'master_key', 'token', 'database_url', 'redis_url'])
const MASK = '•••'

/** What a reload changes, a line each: `+ claude-* → mlx`, `- gpt-4`, `~ claude-*: max_tokens 4096 → 8192`, `~ server.drain 30s → 10s`. */
export function describeChanges(before: GatewayConfig, after: GatewayConfig): string[] {
  const sections = describeSections(inSchemaOrder(before), inSchemaOrder(after), [])
  return [...describeModels(before.model_list, after.model_list), ...sections]
}

function inSchemaOrder(config: GatewayConfig): Section {
  const names = Object.keys(SCHEMA.properties ?? {}).filter(name => name !== 'model_list')
  return Object.fromEntries(names.map(name => [name, config[name as keyof GatewayConfig]]))
}

function describeModels(before: readonly ModelEntry[], after: readonly ModelEntry[]): string[] {
  const lines: string[] = []
  const names = new Set([...before, ...after].map(entry => entry.model_name))
  for (const name of names) {
    const old = before.filter(entry => entry.model_name === name)
    const now = after.filter(entry => entry.model_name === name)
    if (now.length === 0) lines.push(`- ${name}`)
    else lines.push(...describeGroup(name, old, now))
  }
  const kept = (entries: readonly ModelEntry[], others: readonly ModelEntry[]): string[] =>
    [...new Set(entries.map(entry => entry.model_name))].filter(name => others.some(other => other.model_name === name))
  // The order decides between globs that are equally specific.
  if (!isDeepStrictEqual(kept(before, after), kept(after, before))) lines.push('~ model_list: order')
  return lines
}

/** The entries of one name. Those that did not change are passed over; those of one upstream are the same entry. */
function describeGroup(name: string, before: readonly ModelEntry[], after: readonly ModelEntry[]): string[] {
  const lines: string[] = []
  const old = before.filter(entry => !after.some(other => isDeepStrictEqual(entry, other)))
  const now = after.filter(entry => !before.some(other => isDeepStrictEqual(entry, other)))
  const isLone = before.length === 1 && after.length === 1
  for (const entry of now) {
    const index = old.findIndex(other => isLone || upstreamOf(other) === upstreamOf(entry))
    const [same] = index < 0 ? [] : old.splice(index, 1)
    if (same === undefined) lines.push(`+ ${name} → ${upstreamOf(entry)}`)
    else lines.push(`~ ${name}: ${differences(same, entry).join(', ')}`)
  }
  lines.push(...old.map(entry => `- ${name} → ${upstreamOf(entry)}`))
  if (lines.length === 0 && before.length !== after.length)
    lines.push(`~ ${name}: ${before.length} entries → ${after.length}`)
  return lines
}

function upstreamOf(entry: ModelEntry): string {
  return entry.backend ?? entry.provider ?? ''
}

function differences(before: ModelEntry, after: ModelEntry): string[] {
  return describeSections({ ...before }, { ...after }, []).map(line => line.replace(/^[~+-] /, ''))
}

type Section = Readonly<Record<string, unknown>>

/** Map by map, down to the value that differs. */
function describeSections(before: Section, after: Section, path: readonly string[]): string[] {
  const lines: string[] = []
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const old = before[key]
    const now = after[key]
    if (isDeepStrictEqual(old, now)) continue
    const where = [...path, key]
    if (isSection(old) && isSection(now)) lines.push(...describeSections(old, now, where))
    else if (old === undefined && path.length > 0) lines.push(`+ ${where.join('.')} ${show(now, where)}`)
    else if (now === undefined && path.length > 0) lines.push(`- ${where.join('.')}`)
    else lines.push(`~ ${where.join('.')} ${show(old, where)} → ${show(now, where)}`)
  }
  return lines
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown, path: readonly string[]): string {
  if (value === undefined) return 'unset'
  const key = path.at(-1) ?? ''
  if (SECRET_KEYS.has(key) || path.at(-2) === 'headers') return value === '' ? 'empty' : MASK
  if (Array.isArray(value)) return `[${value.map((item, index) => show(item, [...path, String(index)])).join(', ')}]`
  if (isSection(value)) {
    return `{${Object.entries(value)
      .map(([name, inner]) => `${name}: ${show(inner, [...path, name])}`)
      .join(', ')}}`
  }
  const text = String(value).replace(/\s+/g, ' ')
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
