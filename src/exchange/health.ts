export interface TargetHealth {
  /** From real calls; `unknown` until there was one. */
  state: 'unknown' | 'healthy' | 'unhealthy'
  /** ISO time of the last call that says so. */
  checkedAt: string | undefined
  lastError: string | undefined
  milliseconds: number | undefined
}

/** How targets did when they were last used: the model path itself, which a `/health` of theirs does not test. */
export class HealthBook {
  readonly #targets = new Map<string, { ok: boolean; at: number; message: string | undefined; milliseconds: number }>()

  note(target: string, ok: boolean, milliseconds: number, message: string | undefined): void {
    const known = this.#targets.get(target)
    if (known === undefined) {
      this.#targets.set(target, { ok, at: Date.now(), message, milliseconds })
      return
    }
    known.ok = ok
    known.at = Date.now()
    known.milliseconds = milliseconds
    // The last error stays visible after a recovery, as such.
    if (message !== undefined) known.message = message
  }

  of(target: string): TargetHealth {
    const known = this.#targets.get(target)
    if (known === undefined)
      return { state: 'unknown', checkedAt: undefined, lastError: undefined, milliseconds: undefined }
    return {
      state: known.ok ? 'healthy' : 'unhealthy',
      checkedAt: new Date(known.at).toISOString(),
      lastError: known.message,
      milliseconds: known.milliseconds
    }
  }
}
