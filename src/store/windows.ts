// The time that a budget counts in. Bounds are worked out when somebody asks, so no job has to reset anything. All in UTC.

export interface Bounds {
  /** Undefined: since ever. */
  readonly since: Date | undefined
  /** When it begins anew; undefined: never. */
  readonly until: Date | undefined
  /** The counters that it is a sum of. */
  readonly grain: 'hour' | 'day' | 'total'
}

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** 1970 began on a Thursday. */
const FIRST_MONDAY = 4 * DAY

/** Whether `windowBounds` understands it: `total`, or a number of hours, days, weeks or months (`1h`, `30d`, `2w`, `1mo`). */
export function isWindow(length: string): boolean {
  return length === 'total' || /^[1-9]\d{0,3}(h|d|w|mo)$/.test(length)
}

/** One hour, day, week or month begins with the calendar's; longer ones follow one another from the calendar's that held the anchor. */
export function windowBounds(length: string, anchor: Date, at: Date): Bounds {
  const [, digits, unit] = /^(\d+)(h|d|w|mo)$/.exec(length) ?? []
  if (digits === undefined) return { since: undefined, until: undefined, grain: 'total' }
  const count = Number(digits)
  if (unit === 'mo') {
    const since = steps(monthOf(anchor), monthOf(at), count)
    return { since: startOfMonth(since), until: startOfMonth(since + count), grain: 'day' }
  }
  const step = unit === 'h' ? HOUR : unit === 'd' ? DAY : 7 * DAY
  const offset = unit === 'w' ? FIRST_MONDAY : 0
  const indexOf = (time: Date) => Math.floor((time.getTime() - offset) / step)
  const since = steps(indexOf(anchor), indexOf(at), count)
  const timeOf = (index: number) => new Date(index * step + offset)
  return { since: timeOf(since), until: timeOf(since + count), grain: unit === 'h' ? 'hour' : 'day' }
}

/** The last multiple of `count` steps after `from` that is not after `to`. */
function steps(from: number, to: number, count: number): number {
  return from + Math.floor((to - from) / count) * count
}

function monthOf(time: Date): number {
  return time.getUTCFullYear() * 12 + time.getUTCMonth()
}

function startOfMonth(index: number): Date {
  return new Date(Date.UTC(Math.floor(index / 12), index % 12, 1))
}
