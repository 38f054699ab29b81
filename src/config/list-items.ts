// Items of a list of the top level, put in and taken out of a file of which every other byte stays.

import { isMap, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLSeq } from 'yaml'
import { maskReferences } from './mask.ts'
import type { Replaced } from './replace.ts'

export interface Removed extends Replaced {
  /** The text that is gone. */
  readonly removed: string
}

interface Found {
  readonly pair: Pair | undefined
  readonly list: YAMLSeq | undefined
  /** The file is one flow map, JSON say. */
  readonly isFlow: boolean
  readonly values: readonly unknown[]
}

/** The text with one more item at the end of a list. `item` is YAML of one line. A string says why not. */
export function addItem(text: string, key: string, item: string): Replaced | string {
  const found = find(text, key)
  if (typeof found === 'string') return found
  const ending = text.includes('\r\n') ? '\r\n' : '\n'
  // A file of JSON stays one.
  const written = found.isFlow && /^[\w.-]+$/.test(item) ? JSON.stringify(item) : item
  const at = placeOfNew(text, key, written, found, ending)
  if (typeof at === 'string') return at
  const [offset, added] = at
  const changed = text.slice(0, offset) + added + text.slice(offset)
  const after = find(changed, key)
  const wanted = [...found.values, valueIn(item)]
  if (typeof after === 'string' || JSON.stringify(after.values) !== JSON.stringify(wanted))
    return `\`${key}\` is written in a way that this command does not change`
  return { text: changed, line: lineAt(changed, offset + added.lastIndexOf(written)) }
}

/** The text without one item of a list. A string says why not. */
export function removeItem(text: string, key: string, index: number): Removed | string {
  const found = find(text, key)
  if (typeof found === 'string') return found
  const { list, values } = found
  const node = list?.items[index] as Node | undefined
  if (list === undefined || node === undefined || !node.range) return `\`${key}\` has no such item`
  const [from, to, rest] = list.flow === true ? flowSpan(list, index) : blockSpan(text, list, index)
  const changed = text.slice(0, from) + rest + text.slice(to)
  const after = find(changed, key)
  const wanted = values.filter((_, at) => at !== index)
  if (typeof after === 'string' || JSON.stringify(after.values) !== JSON.stringify(wanted))
    return `\`${key}\` is written in a way that this command does not change`
  return { text: changed, line: lineAt(text, node.range[0]), removed: text.slice(node.range[0], end(text, node)) }
}

function find(text: string, key: string): Found | string {
  const document = parseDocument(maskReferences(text), { prettyErrors: false, uniqueKeys: false, logLevel: 'error' })
  if (document.errors.length > 0) return 'the file cannot be read'
  const { contents } = document
  if (contents === null) return { pair: undefined, list: undefined, isFlow: false, values: [] }
  if (!isMap(contents)) return 'the file cannot be read'
  const pair = (contents.items as Pair[]).find(item => isScalar(item.key) && item.key.value === key)
  const isFlow = contents.flow === true
  const { value } = pair ?? {}
  if (value === undefined || value === null || (isScalar(value) && value.value === null))
    return { pair, list: undefined, isFlow, values: [] }
  if (!isSeq(value)) return `\`${key}\` is not a list of its own`
  return { pair, list: value, isFlow, values: value.toJS(document) as unknown[] }
}

/** Where the new item goes, and what has to be written there. */
function placeOfNew(
  text: string,
  key: string,
  item: string,
  { pair, list, isFlow }: Found,
  ending: string
): readonly [offset: number, added: string] | string {
  const last = list?.items.at(-1) as Node | undefined
  if (list?.range && (list.flow === true || last === undefined))
    return last?.range ? [last.range[1], `, ${item}`] : [list.range[0] + 1, item]
  if (list !== undefined && last?.range) {
    const [indent] = dash(text, last)
    return [lineEnd(text, end(text, last)), `${ending}${indent}- ${item}`]
  }
  if (isFlow || /^(\.\.\.|---)\s*$/m.test(text)) return `there is no list \`${key}\` in it: write it into it`
  if (pair === undefined) {
    const gap = text === '' || text.endsWith('\n') ? '' : ending
    return [text.length, `${gap}${key}:${ending}  - ${item}${ending}`]
  }
  const keyEnd = isScalar(pair.key) ? (pair.key.range?.[1] ?? 0) : 0
  return [lineEnd(text, keyEnd), `${ending}  - ${item}`]
}

const NOWHERE: readonly [number, number, number] = [0, 0, 0]

function flowSpan(list: YAMLSeq, index: number): readonly [number, number, string] {
  const spans = (list.items as Node[]).map(node => node.range ?? NOWHERE)
  const [own, before, after] = [spans[index], spans[index - 1], spans[index + 1]]
  if (own === undefined) return [0, 0, '']
  if (before !== undefined) return [before[1], own[1], '']
  return [own[0], after === undefined ? own[1] : after[0], '']
}

/** The lines of one item; the last one of all leaves an empty list. */
function blockSpan(text: string, list: YAMLSeq, index: number): readonly [number, number, string] {
  const node = list.items[index] as Node
  const [indent, at] = dash(text, node)
  const from = at - indent.length
  const to = lineEnd(text, end(text, node))
  if (list.items.length > 1) return [from, text.indexOf('\n', to) + 1 || text.length, '']
  // Back to the colon of the key; comments between the two go on below.
  const colon = /:[^\S\n]*(#.*)?$/
  let line = text.lastIndexOf('\n', from - 1)
  while (line > 0 && !colon.test(text.slice(text.lastIndexOf('\n', line - 1) + 1, line)))
    line = text.lastIndexOf('\n', line - 1)
  const keyLine = text.slice(text.lastIndexOf('\n', line - 1) + 1, line)
  const place = text.lastIndexOf('\n', line - 1) + 1 + keyLine.search(colon) + 1
  return [place, to, ` []${text.slice(place, Math.max(place, from - 1))}`]
}

/** The indent of an item's dash, and where the dash stands. */
function dash(text: string, node: Node): readonly [indent: string, at: number] {
  const at = text.lastIndexOf('-', (node.range?.[0] ?? 1) - 1)
  return [text.slice(text.lastIndexOf('\n', at) + 1, at), at]
}

/** Where an item ends, without the white space and comments that belong to what follows. */
function end(text: string, node: Node): number {
  const [from, to] = node.range ?? [0, 0]
  return from + text.slice(from, to).trimEnd().length
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf('\n', from)
  if (at < 0) return text.length
  return text[at - 1] === '\r' ? at - 1 : at
}

function valueIn(item: string): unknown {
  return parseDocument(item).toJS()
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
