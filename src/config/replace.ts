import { isMap, isScalar, type Pair, parseDocument, Scalar } from 'yaml'
import { maskReferences } from './mask.ts'

export interface Replaced {
  readonly text: string
  /** Where the value stands, from 1. */
  readonly line: number
}

/** Words that YAML, or an older reader of it, takes for something else than a text. */
const OTHER_WORDS = /^(true|false|null|yes|no|on|off|y|n|~)$/i

/**
 * The text of a YAML or JSON file with another value for a key of the top level: everything else, comments, order and
 * the kind of quotes included, stays byte for byte. A key that is not there is put at the end. A string says why not.
 */
export function replaceValue(text: string, key: string, value: string): Replaced | string {
  const masked = maskReferences(text)
  const document = parseDocument(masked, { prettyErrors: false, uniqueKeys: false, logLevel: 'error' })
  if (document.errors.length > 0 || !isMap(document.contents)) return 'the file cannot be read'
  const pairs = document.contents.items as Pair[]
  const pair = pairs.find(item => isScalar(item.key) && item.key.value === key)
  if (pair === undefined) return append(text, document.contents.flow === true, key, value)
  const { value: node } = pair
  if (!isScalar(node) || node.range === undefined || node.range === null) return `\`${key}\` is not a text of its own`
  const said = text.slice(node.range[0], node.range[1])
  if (node.anchor !== undefined || node.tag !== undefined) return `\`${key}\` has an anchor or a tag`
  if (said.includes('${')) return `\`${key}\` comes from ${said}: set that instead`
  if (node.type === Scalar.BLOCK_FOLDED || node.type === Scalar.BLOCK_LITERAL) return `\`${key}\` is a block of text`
  // A value that is not there stands, for the parser, behind the comment that follows.
  const [keyEnd = 0] = isScalar(pair.key) ? (pair.key.range?.slice(1) ?? []) : []
  const colon = text.indexOf(':', keyEnd) + 1
  const [from, to, gap] = said === '' ? [colon, colon, ' '] : [node.range[0], node.range[1], '']
  const changed = text.slice(0, from) + gap + quoted(value, node.type) + text.slice(to)
  return { text: changed, line: lineAt(text, from) }
}

/** Below everything else, where it belongs to no comment but its own. */
function append(text: string, isFlow: boolean, key: string, value: string): Replaced | string {
  const foot = /^(\.\.\.|---)\s*$/m.test(text)
  if (isFlow || foot) return `there is no \`${key}\` in it: write \`${key}: ${quoted(value, Scalar.PLAIN)}\` into it`
  const ending = text.includes('\r\n') ? '\r\n' : '\n'
  const whole = text === '' || text.endsWith('\n') ? text : text + ending
  return { text: `${whole}${key}: ${quoted(value, Scalar.PLAIN)}${ending}`, line: lineAt(whole, whole.length) }
}

function quoted(value: string, type: string | undefined): string {
  if (type === Scalar.QUOTE_DOUBLE) return JSON.stringify(value)
  if (type === Scalar.QUOTE_SINGLE) return `'${value.replaceAll("'", "''")}'`
  return /^[A-Za-z_][\w.-]*$/.test(value) && !OTHER_WORDS.test(value) ? value : JSON.stringify(value)
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
