// A line of the journal: a call that is settled, or one that may cost money and has just gone out.

import type { SettledCall } from '../store/spend.ts'

type Exact = 'settledAt' | 'startedAt' | 'costNano' | 'savedNano'

/** JSON has no dates, and no whole numbers of any size. */
interface Told extends Omit<SettledCall, Exact> {
  readonly settledAt: number
  readonly startedAt: number
  readonly costNano: string
  readonly savedNano?: string | undefined
}

export interface Line {
  /** `sent`: it has gone out, and what it will cost is a guess. */
  readonly kind: 'sent' | 'settled'
  readonly call: SettledCall
}

export function encodeLine(kind: Line['kind'], call: SettledCall): string {
  const { settledAt, startedAt, costNano, savedNano } = call
  const told: Told = {
    ...call,
    settledAt: settledAt.getTime(),
    startedAt: startedAt.getTime(),
    costNano: String(costNano),
    savedNano: savedNano === undefined ? undefined : String(savedNano)
  }
  return `{"${kind}":${JSON.stringify(told)}}\n`
}

/** Undefined: the line is not whole. A process that was killed, or a disk that was full, leaves such. */
export function decodeLine(text: string): Line | undefined {
  const { sent, settled } = parsed(text)
  const told = settled ?? sent
  if (told === undefined) return undefined
  const { callId, settledAt, startedAt, costNano, savedNano } = told
  if (typeof callId !== 'string' || !/^-?\d+$/.test(costNano)) return undefined
  const call: SettledCall = {
    ...told,
    settledAt: new Date(settledAt),
    startedAt: new Date(startedAt),
    costNano: BigInt(costNano),
    savedNano: savedNano === undefined ? undefined : BigInt(savedNano)
  }
  return { kind: settled === undefined ? 'sent' : 'settled', call }
}

/** Without a look inside. */
export function isSent(text: string): boolean {
  return text.startsWith('{"sent":') && text.endsWith('}')
}

function parsed(text: string): { readonly sent?: Told; readonly settled?: Told } {
  try {
    return JSON.parse(text) as { sent?: Told; settled?: Told }
  } catch {
    return {}
  }
}
