// Calls that are written as tags. Values stand there as text: what they are says the tool's schema.
import { fit } from './fit.ts'
import { objectOf } from './json-calls.ts'
import { allOf, isFields, type Offer, type TextCall } from './offer.ts'

const LONGEST_HEADER = 256

/** Whether a text that begins so is a call of a tool on offer. Undefined: too early to say. */
export function beginsTagCall(head: string, offer: Offer): boolean | undefined {
  const text = head.trimStart()
  if (!text.startsWith('<')) return text === '' ? undefined : false
  const [said, header = ''] = /^<(?:function|invoke)(?=[\s=])([^>]*)>/.exec(text) ?? []
  if (said === undefined) {
    return ['<function', '<invoke'].some(tag => tag.startsWith(text) || /^<(?:function|invoke)[\s=][^>]*$/.test(text))
      ? undefined
      : false
  }
  const name = nameIn(header)
  return name !== undefined && offer.tool(name) !== undefined
}

const ENDS = /<\/(?:function|invoke)>\s*(?=<(?:function|invoke)[\s=]|$)/g
const PARAMETERS = /\s*<parameter(?=[\s=])([^>]*)>([\s\S]*?)(?:<\/parameter>\s*(?=<parameter[\s=]|$)|$)/gy

/** `<function=name><parameter=key>value</parameter></function>`, and the same with `<invoke name="…">`. */
export function parseTagCalls(text: string, offer: Offer, isClosed: boolean): TextCall[] | undefined {
  const parts = text.split(ENDS)
  const last = parts.at(-1) ?? ''
  if (last.trim() === '') parts.pop()
  else if (!isClosed) return undefined
  return allOf(parts.map(part => tagCall(part, offer)))
}

function tagCall(text: string, offer: Offer): TextCall | undefined {
  const [said, header = ''] = /^\s*<(?:function|invoke)([^>]*)>/.exec(text) ?? []
  const name = nameIn(header)
  if (said === undefined || name === undefined) return undefined
  const body = text.slice(said.length)
  if (body.trimStart().startsWith('{')) {
    const input = objectOf(body.trim(), true)
    return input === undefined ? undefined : offer.call(name, input)
  }
  const members: [string, string][] = []
  let length = 0
  for (const [parameter, attributes = '', value = ''] of body.matchAll(PARAMETERS)) {
    const key = nameIn(attributes)
    if (key === undefined) return undefined
    members.push([key, value.replace(/^\r?\n/, '').replace(/\r?\n$/, '')])
    length += parameter.length
  }
  return body.slice(length).trim() === '' ? typedCall(name, members, offer) : undefined
}

/** What stands in a tag after its name: `=key`, or ` name="key" …`. */
function nameIn(header: string): string | undefined {
  if (header.length > LONGEST_HEADER) return undefined
  const name = /^\s*=\s*["']?([^"'\s]+)["']?\s*$/.exec(header) ?? /\sname\s*=\s*["']?([^"'\s]+)/.exec(header)
  return name?.[1]
}

function typedCall(name: string, members: readonly (readonly [string, string])[], offer: Offer): TextCall | undefined {
  const said = Object.fromEntries(members)
  const { value } = fit(said, offer.tool(name)?.schema)
  return offer.call(name, isFields(value) ? value : said)
}

const PAIRS =
  /<(?:longcat_)?arg_key>([^<]*)<\/(?:longcat_)?arg_key>\s*<(?:longcat_)?arg_value>([\s\S]*?)<\/(?:longcat_)?arg_value>\s*(?=<(?:longcat_)?arg_key>|$)/gy

/** Whether a text begins with the name of a tool on offer, and the name ends there. Undefined: too early to say. */
export function beginsName(head: string, offer: Offer): boolean | undefined {
  const [, name, after] = /^\s*([\w.:/-]+)([^\w.:/-])?/.exec(head) ?? []
  if (name === undefined) return head.trim() === '' ? undefined : false
  if (after === undefined) return undefined
  return /[\s<[{]/.test(after) && offer.tool(name) !== undefined
}

/** GLM's: a name, then `<arg_key>` and `<arg_value>` in turns. */
export function parsePairs(text: string, offer: Offer, isClosed: boolean): TextCall[] | undefined {
  const [said, name] = /^\s*([^\s<]+)\s*/.exec(text) ?? []
  if (!isClosed || said === undefined || name === undefined) return undefined
  const body = text.slice(said.length)
  const members: [string, string][] = []
  let length = 0
  for (const [pair, key = '', value = ''] of body.matchAll(PAIRS)) {
    members.push([key.trim(), value.replace(/^\r?\n/, '').replace(/\r?\n$/, '')])
    length += pair.length
  }
  return body.slice(length).trim() === '' ? allOf([typedCall(name, members, offer)]) : undefined
}
