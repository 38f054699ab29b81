// Calls that are written as Python: `[name(key="value", other=2)]`.
import { objectOf } from './json-calls.ts'
import { allOf, type Offer, type TextCall } from './offer.ts'

/** Whether a text begins with a list of calls of tools on offer. Undefined: too early to say. */
export function beginsPythonCall(head: string, offer: Offer): boolean | undefined {
  const text = head.trimStart()
  const [said, name = '', opening] = /^\[\s*([A-Za-z_][\w.-]*)(\()?/.exec(text) ?? []
  if (said === undefined) return /^(?:\[\s*)?$/.test(text) ? undefined : false
  if (opening !== undefined) return offer.tool(name) !== undefined
  return said.length === text.length ? undefined : false
}

export function parsePythonCalls(text: string, offer: Offer): TextCall[] | undefined {
  const list = text.trim()
  if (!list.startsWith('[') || !list.endsWith(']')) return undefined
  const calls = partsOf(list.slice(1, -1))?.map(part => pythonCall(part, offer))
  return calls === undefined ? undefined : allOf(calls)
}

function pythonCall(text: string, offer: Offer): TextCall | undefined {
  const [said, name] = /^([A-Za-z_][\w.-]*)\(/.exec(text) ?? []
  if (said === undefined || name === undefined || !text.endsWith(')')) return undefined
  const members: [string, unknown][] = []
  for (const part of partsOf(text.slice(said.length, -1)) ?? ['?']) {
    const [opening, key] = /^([A-Za-z_]\w*)\s*=\s*/.exec(part) ?? []
    if (opening === undefined || key === undefined) return undefined
    // A value of Python is nearly one of JSON, which is what repairs are for.
    const value = objectOf(`{"value":${part.slice(opening.length)}}`, true)
    if (value === undefined || Object.keys(value).join() !== 'value') return undefined
    members.push([key, value['value']])
  }
  return offer.call(name, Object.fromEntries(members))
}

/** What stands between the commas; undefined when a string or a bracket is not closed. */
function partsOf(text: string): string[] | undefined {
  const parts: string[] = []
  let quote = ''
  let depth = 0
  let start = 0
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (quote !== '') {
      if (character === '\\') at++
      else if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if ('([{'.includes(character)) depth++
    else if (')]}'.includes(character)) depth--
    else if (character === ',' && depth === 0) {
      parts.push(text.slice(start, at).trim())
      start = at + 1
    }
    if (depth < 0) return undefined
  }
  const last = text.slice(start).trim()
  if (last !== '') parts.push(last)
  return quote === '' && depth === 0 ? parts : undefined
}
