import type { Log } from './hook.ts'

export interface PhaseMeter {
  /** Seconds. */
  observe(value: number): void
}

/** What the floors above lend to hooks. */
export interface HookEnvironment {
  readonly log: Log
  /** Absent: the world's, guarded. */
  readonly fetch?: typeof fetch
  readonly metrics: {
    hookDuration(hook: string, phase: string): PhaseMeter
    hookFailed(hook: string): void
    hookCounted(hook: string, event: string, amount: number): void
  }
}
