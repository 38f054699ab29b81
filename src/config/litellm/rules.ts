import { editDistance } from '../../lib/nearest.ts'
import type { Rule } from './report.ts'

export type Rules = Readonly<Record<string, Rule>>

/** Joins the three kinds of rows into one table. */
export function rules(
  exact: Rules,
  approximate: Readonly<Record<string, readonly [string, string]>>,
  others: Rules
): Rules {
  const table: Record<string, Rule> = { ...exact }
  for (const [key, [to, reason]] of Object.entries(approximate)) table[key] = { fit: 'approximate', to, reason }
  return { ...table, ...others }
}

/** A key that means here what it means there. */
export function same(to: string, reason: string): Rule {
  return { fit: 'exact', to, reason }
}

/** Keys, parted by spaces, that share one reason. */
export function unsupported(reason: string, keys: string): Rules {
  return Object.fromEntries(keys.split(' ').map(key => [key, { fit: 'unsupported', reason }]))
}

/** The known key that was probably meant: at most two edits away. More would refuse keys that are only unknown. */
export function misspelt(key: string, table: Rules): string | undefined {
  const said = key.toLowerCase()
  const candidates = Object.keys(table).filter(known => known.length >= 3)
  const swapped = candidates.find(known => letters(known) === letters(said))
  if (swapped !== undefined || said.length < 4) return swapped
  return candidates.find(known => known.length >= 4 && editDistance(said, known) <= 2)
}

function letters(key: string): string {
  return [...key].sort().join('')
}
