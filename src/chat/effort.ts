// How much a model may think is a word to some upstreams and a number of tokens to others. This is the one table between them.
import { EFFORTS, type Effort, type Reasoning } from './request.ts'

const BUDGETS: Record<Effort, number> = {
  minimal: 1_024,
  low: 4_096,
  medium: 12_288,
  high: 32_000,
  xhigh: 48_000,
  max: 64_000
}

export const isEffort = (value: unknown): value is Effort => EFFORTS.some(effort => effort === value)

export function budgetOf(effort: Effort): number {
  return BUDGETS[effort]
}

/** The effort that a request asks for, in whichever way: the least one whose budget is not below its own. */
export function effortOf({ effort, budget }: Reasoning): Effort | undefined {
  if (effort !== undefined || budget === undefined) return effort
  const efforts = Object.keys(BUDGETS) as Effort[]
  return efforts.find(known => BUDGETS[known] >= budget) ?? 'max'
}
