import type { Fields } from '../../chat/request.ts'
import { unmarked } from '../exact.ts'
import { fields } from '../read.ts'

export const NAME = 'gemini'

/** An object whose keys are fields of Google's messages: they may be written `like_this` or `likeThis`. */
export function camel(value: unknown): Fields {
  const object = fields(value)
  const keys = Object.keys(object)
  if (!keys.some(key => key.includes('_'))) return object
  const renamed = keys.map(key => [key.replace(/(?<=[a-zA-Z\d])_([a-z\d])/g, letterAfter), object[key]] as const)
  // Where both are said, the plain one counts.
  return Object.fromEntries([...renamed, ...Object.entries(object).filter(([key]) => !key.includes('_'))])
}

const letterAfter = (_: string, letter: string): string => letter.toUpperCase()

/** A list, or one thing without a list around it, as the SDKs take it too. */
export function several(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return value === undefined || value === null ? [] : [value]
}

/** JSON of a value; that of nothing for one that is nested too deep to be written. */
export function jsonOf(value: unknown): string {
  try {
    return unmarked(JSON.stringify(value) ?? '{}')
  } catch {
    return '{}'
  }
}

/** 2.5 of `gemini-2.5-pro`, 3 of an alias for the newest; 0 of a name that says nothing. */
export function generationOf(model: string): number {
  const said = /gemini-(\d{1,2}(?:\.\d{1,2})?)/.exec(model)?.[1]
  if (said !== undefined) return Number(said)
  return /gemini-[a-z-]*latest/.test(model) ? 3 : 0
}

/** Known to be from before Gemini 3. Of unknown names the newest is believed. */
export function isOlder(model: string): boolean {
  const generation = generationOf(model)
  return generation > 0 && generation < 3
}
