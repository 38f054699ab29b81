// OpenAI takes names of 64 characters at most; those of MCP tools are longer. A short name is made from the long one
// alone, so the long one is found again among the tools on offer.

const LONGEST = 64

export function shortToolName(name: string): string {
  if (name.length <= LONGEST) return name
  return `${name.slice(0, LONGEST - 9)}_${hash(name)}`
}

/** FNV-1a, as 8 hexadecimal digits. */
function hash(text: string): string {
  let state = 0x811c9dc5
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193) >>> 0
  return state.toString(16).padStart(8, '0')
}

/** The tool on offer that a model means: models change the case, and some add a prefix. */
export function offeredToolName(name: string, tools: readonly string[] = []): string {
  if (tools.length === 0 || tools.includes(name)) return name
  const wanted = name.toLowerCase().replace(/^functions[.:]/, '')
  const matches = tools.filter(tool => tool.toLowerCase() === wanted || shortToolName(tool) === name)
  return matches.length === 1 ? (matches[0] ?? name) : name
}
