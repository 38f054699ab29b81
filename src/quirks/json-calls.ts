// Calls that are written as JSON: `{"name": …, "arguments": {…}}`, one or several, or in a list.
import type { Fields } from '../chat/request.ts'
import { parseJson, parseObject, repairObject } from '../lib/json-repair.ts'
import { allOf, isFields, type Offer, type TextCall } from './offer.ts'

const FIRST_KEYS: ReadonlySet<string> = new Set(['arguments', 'parameters', 'input', 'type', 'id', 'function'])
const ARGUMENTS = ['arguments', 'parameters', 'input', 'args'] as const

/** Whether a text that begins so is a call: as a rule its name comes first. Undefined: too early to say. */
export function beginsJsonCall(head: string, offer: Offer): boolean | undefined {
  const text = head.trimStart()
  const opening = /^(?:\[\s*)?\{\s*/.exec(text)
  if (opening === null) return /^\[?\s*$/.test(text) ? undefined : false
  const members = text.slice(opening[0].length)
  const [said, key = ''] = /^["']?([A-Za-z_]\w*)["']?\s*:\s*/.exec(members) ?? []
  if (said === undefined) return /^["']?\w*["']?\s*$/.test(members) ? undefined : false
  if (key !== 'name') return FIRST_KEYS.has(key)
  const value = members.slice(said.length)
  const name = /^["']([^"'\\]*)["']/.exec(value)?.[1]
  if (name === undefined) return /^(?:["'][^"'\\]*)?$/.test(value) ? undefined : false
  return offer.tool(name) !== undefined
}

interface Rules {
  /** The text is known to be all there is, so what is missing at its end may be added. */
  readonly isClosed: boolean
  /** An object without arguments is no call. */
  readonly needsArguments: boolean
}

export function parseJsonCalls(text: string, offer: Offer, rules: Rules): TextCall[] | undefined {
  const calls = valuesOf(text.trim(), rules.isClosed)?.map(value => jsonCall(value, offer, rules.needsArguments))
  return calls === undefined ? undefined : allOf(calls)
}

/** The text's object; undefined when it is none, or when it is not complete and might go on. */
export function objectOf(text: string, isClosed: boolean): Fields | undefined {
  const value = parseObject(text)
  if (value !== undefined) return value
  const found = objectsIn(text)
  if (found?.parts.length !== 1 || !(isClosed || found.isComplete)) return undefined
  const repaired = repairObject(text)
  return repaired === undefined ? undefined : parseObject(repaired)
}

function valuesOf(text: string, isClosed: boolean): readonly unknown[] | undefined {
  if (text.startsWith('[')) {
    const list = parseJson(text) ?? objectOf(`{"list":${text}${isClosed ? '' : '}'}`, isClosed)?.['list']
    return Array.isArray(list) ? list : undefined
  }
  if (!text.startsWith('{')) return undefined
  return objectsIn(text)?.parts.map(part => objectOf(part, isClosed))
}

/**
 * The texts of the objects that stand one after the other, the last perhaps without its end; undefined when there is
 * anything else.
 */
function objectsIn(text: string): { readonly parts: string[]; readonly isComplete: boolean } | undefined {
  const parts: string[] = []
  let depth = 0
  let start = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? ''
    if (inString) {
      if (character === '\\') at++
      else if (character === '"') inString = false
    } else if (character === '{') {
      if (depth++ === 0) start = at
    } else if (character === '}') {
      // One too many is a slip.
      if (depth > 0 && --depth === 0) parts.push(text.slice(start, at + 1))
    } else if (depth === 0) {
      if (!/[\s,;]/.test(character)) return undefined
    } else if (character === '"') inString = true
  }
  const isComplete = depth === 0 && !inString
  return { parts: depth === 0 ? parts : [...parts, text.slice(start)], isComplete }
}

function jsonCall(value: unknown, offer: Offer, needsArguments: boolean): TextCall | undefined {
  if (!isFields(value)) return undefined
  const inner = isFields(value['function']) ? value['function'] : value
  const { name } = inner
  if (typeof name !== 'string') return undefined
  const key = ARGUMENTS.find(known => Object.hasOwn(inner, known))
  if (key === undefined) return needsArguments ? undefined : offer.call(name, {})
  const said = inner[key] ?? {}
  if (isFields(said)) return offer.call(name, said)
  if (typeof said !== 'string') return undefined
  const tool = offer.tool(name)
  if (tool?.freeform === true) return { tool, input: said }
  const input = objectOf(said.trim(), true)
  return input === undefined ? undefined : offer.call(name, input)
}
