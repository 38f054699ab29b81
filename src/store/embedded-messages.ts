// What travels between the gateway and the thread that the embedded database runs in.

import type { Row } from './values.ts'

export interface Start {
  readonly folder: string
  /** Makes the files where there are none, and ends. */
  readonly make?: true
}

export interface Ask {
  readonly id: number
  readonly text: string
  /** Already as text; undefined when `text` may hold several statements. */
  readonly parameters: readonly (string | null)[] | undefined
  /** Hears of this channel from now on. */
  readonly channel?: string
  /** Closes the database; the answer comes when its files are written. */
  readonly close?: true
}

/** Errors lose their fields on the way, so those that count are named. */
export interface Trouble {
  readonly code: string | undefined
  readonly message: string
  readonly constraint: string | undefined
  readonly column: string | undefined
}

export type Answer =
  | { readonly id: number; readonly rows: readonly Row[] }
  | { readonly id: number; readonly trouble: Trouble }
  | { readonly ready: true }
  | { readonly cannotStart: string }
  | { readonly channel: string; readonly payload: string }
