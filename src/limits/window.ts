/** How much was used within the last so many milliseconds: this period's sum, and the share of the one before that still counts. */
export class Window {
  readonly #length: number
  /** Periods begin at multiples of the length, so that gateways agree on them. */
  #start = 0
  #current = 0
  #previous = 0

  constructor(length: number) {
    this.#length = length
  }

  used(now: number): number {
    this.#turn(now)
    return this.#previous * (1 - this.#passed(now) / this.#length) + this.#current
  }

  add(amount: number, now: number): void {
    this.#turn(now)
    this.#current += amount
  }

  /** Changes what was added at `at`, where it still counts. */
  correct(difference: number, at: number, now: number): void {
    this.#turn(now)
    if (at >= this.#start) this.#current = Math.max(0, this.#current + difference)
    else if (at >= this.#start - this.#length) this.#previous = Math.max(0, this.#previous + difference)
  }

  /** Milliseconds until so much fits, if nothing more is used meanwhile. What is larger than the limit fits where nothing was used. */
  wait(amount: number, limit: number, now: number): number {
    return waitFor(this.#previous, this.#current, this.#passed(now), this.#length, amount, limit, this.used(now))
  }

  /** Milliseconds until nothing that was used counts any more. */
  reset(now: number): number {
    this.#turn(now)
    const left = this.#length - this.#passed(now)
    return this.#current > 0 ? left + this.#length : this.#previous > 0 ? left : 0
  }

  #passed(now: number): number {
    return Math.max(0, now - this.#start)
  }

  #turn(now: number): void {
    const passed = now - this.#start
    if (passed < this.#length) return
    this.#previous = passed < 2 * this.#length ? this.#current : 0
    this.#current = 0
    this.#start = now - (now % this.#length)
  }
}

/** Shares of a period are fractions. */
const ROUNDING = 1e-6

function waitFor(
  previous: number,
  current: number,
  passed: number,
  length: number,
  amount: number,
  limit: number,
  used: number
): number {
  const room = Math.max(limit - amount, 0)
  if (used <= room + ROUNDING) return 0
  // Rounded up: whoever comes back at that millisecond has to be let in.
  if (current <= room) return Math.max(1, Math.ceil(length * (1 - (room - current) / previous) - passed - ROUNDING))
  return Math.max(1, Math.ceil(length - passed + length * (1 - room / current) - ROUNDING))
}
