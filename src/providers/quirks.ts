// What a provider's imitation of a dialect refuses, names otherwise or needs: data in the presets, enforced here.

export interface Quirks {
  /** Fields it answers 400 to. A path: `tools[].function.strict` is that field of every tool. */
  readonly rejects?: readonly string[]
  /** Fields of the top level that take these values only. */
  readonly only?: Readonly<Record<string, readonly (string | number | boolean)[]>>
  /** Fields of the top level that have another name there. */
  readonly renames?: Readonly<Record<string, string>>
  /** Sent when the request says nothing. */
  readonly defaults?: Readonly<Record<string, string | number | boolean>>
}

/** Either of them says how long the answer may be. */
const CAPS: readonly string[] = ['max_tokens', 'max_completion_tokens']

/** Makes a body fit. Changes `body`, never what it holds; returns the paths of what was left out. */
export function applyQuirks(body: Record<string, unknown>, quirks: Quirks): string[] {
  const dropped: string[] = []
  for (const path of quirks.rejects ?? []) if (remove(body, path.split('.'))) dropped.push(path)
  for (const [field, allowed] of Object.entries(quirks.only ?? {})) {
    const value = body[field]
    if (value === undefined || allowed.some(one => one === value)) continue
    delete body[field]
    dropped.push(field)
  }
  for (const [field, name] of Object.entries(quirks.renames ?? {})) {
    if (body[field] === undefined) continue
    // Both names at once: the provider's own was meant for it.
    if (body[name] === undefined) body[name] = body[field]
    delete body[field]
  }
  for (const [field, value] of Object.entries(quirks.defaults ?? {})) {
    const said = CAPS.includes(field) ? CAPS : [field]
    if (said.every(name => body[name] === undefined)) body[field] = value
  }
  return dropped
}

/** Copies what it changes on the way down: parts of a body may be the client's own. */
function remove(holder: Record<string, unknown>, [step = '', ...rest]: readonly string[]): boolean {
  const inList = step.endsWith('[]')
  const key = inList ? step.slice(0, -2) : step
  const value = holder[key]
  if (rest.length === 0) {
    if (value === undefined) return false
    delete holder[key]
    return true
  }
  if (!inList) {
    if (!isMap(value)) return false
    const copy = { ...value }
    holder[key] = copy
    return remove(copy, rest)
  }
  if (!Array.isArray(value)) return false
  let found = false
  holder[key] = value.map((item: unknown) => {
    if (!isMap(item)) return item
    const copy = { ...item }
    found = remove(copy, rest) || found
    return copy
  })
  return found
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
