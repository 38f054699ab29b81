// A tool whose input is text, for an upstream that knows only functions: one string, named `input`.
import type { Tool } from '../chat/request.ts'
import { parseObject } from '../lib/json-repair.ts'
import { fields, string } from './read.ts'

export const FREEFORM_SCHEMA = { type: 'object', properties: { input: { type: 'string' } }, required: ['input'] }

/** The description, and the grammar that the text has to follow: a model that is not held to it has to read it. */
export function freeformDescription({ description = '', extra = {} }: Tool): string | undefined {
  const formats = Object.values(extra).map(own => fields(own['format']))
  const grammars = formats.map(format => ({ ...format, ...fields(format['grammar']) }))
  const said = grammars.flatMap(grammar => {
    const { syntax, definition } = fields(grammar)
    return typeof definition === 'string'
      ? [`The input follows this ${string(syntax) ?? ''} grammar:\n${definition}`]
      : []
  })
  return [description, ...said].filter(text => text !== '').join('\n\n') || undefined
}

/** The text that a model has put into `input`; all of it where it has not. */
export function freeformInput(text: string): string {
  return string(parseObject(text)?.['input']) ?? text
}
