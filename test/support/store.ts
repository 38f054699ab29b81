import { setTimeout as wait } from 'node:timers/promises'
import { Failure } from '../../src/chat/failure.ts'

export const quiet = () => undefined

/** Fails the test where a failure is not what it is about. */
export function good<Value>(value: Value | Failure): Value {
  if (value instanceof Failure) throw new Error(`${value.kind}: ${value.message} ${String(value.details.cause ?? '')}`)
  return value
}

export function bad(value: unknown): Failure {
  if (value instanceof Failure) return value
  throw new Error('it did not fail')
}

export function kindOf(value: unknown): string {
  return value instanceof Failure ? value.kind : 'fine'
}

export async function until(condition: () => boolean | Promise<boolean>, milliseconds = 10_000): Promise<void> {
  const late = Date.now() + milliseconds
  while (!(await condition())) {
    if (Date.now() > late) throw new Error('it did not come about')
    await wait(20)
  }
}
