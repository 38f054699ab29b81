import type { LocatedEntry, LocatedMap } from '../located.ts'
import type { Path } from '../problem.ts'
import type { Ledger, Rule } from './report.ts'

export interface SettingsContext {
  readonly ledger: Ledger
  /** Our configuration, as far as it is made. */
  readonly root: LocatedMap
  /** The entries that came from LiteLLM's: they take what holds for all. */
  readonly entries: readonly LocatedMap[]
  /** Names and globs that model_list declares. */
  readonly names: ReadonlySet<string>
}

/** Moves a setting that takes more than being moved. */
export type Reader = (said: LocatedEntry, path: Path, context: SettingsContext & { readonly rule: Rule }) => void
