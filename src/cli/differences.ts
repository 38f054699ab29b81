/** What differs between two values of JSON, a line for each place: `~ chat.maxTokens: 9 → 8`. */
export function differences(before: unknown, after: unknown, path = ''): string[] {
  if (before === after) return []
  if (before === undefined) return [`+ ${path}: ${shown(after)}`]
  if (after === undefined) return [`- ${path}: ${shown(before)}`]
  if (!isBranch(before) || !isBranch(after) || Array.isArray(before) !== Array.isArray(after))
    return [`~ ${path}: ${shown(before)} → ${shown(after)}`]
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...names].flatMap(name => {
    const step = Array.isArray(before) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`
    return differences(before[name], after[name], step)
  })
}

function isBranch(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}

function shown(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}
