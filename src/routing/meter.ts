const MINUTE = 60_000

/** How much was used within the last minute: this minute's sum, and the share of the one before that still counts. */
export class MinuteMeter {
  #start = 0
  #current = 0
  #previous = 0

  /** A negative amount takes back what was estimated too high. */
  add(amount: number, now: number): void {
    this.#turn(now)
    this.#current = Math.max(0, this.#current + amount)
  }

  used(now: number): number {
    this.#turn(now)
    return this.#previous * (1 - (now - this.#start) / MINUTE) + this.#current
  }

  /** Whether so much more fits. What is larger than the limit itself fits when nothing else was used. */
  fits(amount: number, limit: number, now: number): boolean {
    const used = this.used(now)
    return used < 1 || used + amount <= limit
  }

  /** Milliseconds until so much fits, if nothing more is used meanwhile. */
  wait(amount: number, limit: number, now: number): number {
    if (this.fits(amount, limit, now)) return 0
    const room = Math.max(limit - amount, 0)
    const passed = now - this.#start
    if (this.#current <= room && this.#previous > 0) {
      const at = MINUTE * (1 - (room - this.#current) / this.#previous)
      return Math.max(0, at - passed)
    }
    const next = this.#current === 0 ? 0 : MINUTE * Math.max(0, 1 - room / this.#current)
    return MINUTE - passed + next
  }

  #turn(now: number): void {
    const passed = now - this.#start
    if (passed < MINUTE) return
    this.#previous = passed < 2 * MINUTE ? this.#current : 0
    this.#current = 0
    this.#start = now - (passed % MINUTE)
  }
}
