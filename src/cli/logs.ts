import pc from 'picocolors'
import pino from 'pino'
import type { LogSettings } from '../config/generated/types.ts'
import type { CallRecord } from '../exchange/record.ts'
import { Gathering, type LogDestination } from './gather.ts'
import { jsonLine, levelOf, prettyLine } from './request-line.ts'
import type { Secrets } from './secrets.ts'

export interface LogOptions {
  readonly destination: LogDestination
  /** Whether people read it as it comes: what `format: auto` goes by. */
  readonly terminal: boolean
  /** Whatever the file says. */
  readonly json?: boolean
  /** Whose lines these are, when several write to one place. */
  readonly workspace?: string
  readonly secrets: Secrets
}

type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal'
/** Parts of the gateway that may have a level of their own. */
type Room = 'requests' | 'probes' | 'config' | 'hooks' | 'keys' | 'spend' | 'tracing' | 'gateway'
/** A log for one of them. */
export type RoomLog = Pick<Logs, 'event'>
type Style = { readonly pretty: (line: string) => string; readonly colors: ReturnType<typeof pc.createColors> }

/** What happened, a line each: to people on a terminal, as JSON elsewhere. Knows no prompt, and lets no secret through. */
export class Logs {
  readonly #options: LogOptions
  readonly #gathering: Gathering
  readonly #pino: pino.Logger
  #style: Style | undefined
  #level = 0
  #levels: Readonly<Partial<Record<string, number>>> = {}

  private constructor(options: LogOptions) {
    this.#options = options
    this.#gathering = new Gathering(options.destination)
    const stream = { write: (line: string) => this.#put(line) }
    const base = options.workspace === undefined ? null : { workspace: options.workspace }
    this.#pino = pino({ base, formatters: { level: label => ({ level: label }) } }, stream)
  }

  static async open(settings: LogSettings, options: LogOptions): Promise<Logs> {
    const logs = new Logs(options)
    await logs.configure(settings)
    return logs
  }

  /** Takes effect with the next line. */
  async configure({ level, format, rooms }: LogSettings): Promise<void> {
    // What is let through is decided here.
    this.#pino.level = 'trace'
    this.#level = weightOf(level)
    this.#levels = Object.fromEntries(Object.entries(rooms).map(([room, own]) => [room, weightOf(own)]))
    const { json, terminal } = this.#options
    const pretty = json !== true && (format === 'pretty' || (format === 'auto' && terminal))
    this.#style = pretty ? (this.#style ?? (await prettyStyle(terminal))) : undefined
  }

  get pretty(): boolean {
    return this.#style !== undefined
  }

  /** The same log, for lines of one room. */
  in(room: Room): RoomLog {
    return {
      event: (level, message, fields, lines) => {
        if (this.#lets(room, level)) this.#write(level, message, { room, ...fields }, lines)
      }
    }
  }

  /** Something the process did, with particulars a line each. */
  event(level: Level, message: string, fields?: Readonly<Record<string, unknown>>, lines?: readonly string[]): void {
    if (this.#lets('gateway', level)) this.#write(level, message, fields, lines)
  }

  #lets(room: Room, level: string): boolean {
    return weightOf(level) >= (this.#levels[room] ?? this.#level)
  }

  #write(
    level: Level,
    message: string,
    fields: Readonly<Record<string, unknown>> = {},
    lines: readonly string[] = []
  ): void {
    const clean = lines.map(line => this.#options.secrets.redact(line))
    const { workspace } = this.#options
    if (this.#style === undefined) this.#pino[level]({ ...fields, ...(clean.length > 0 && { lines: clean }) }, message)
    else {
      const told = workspace === undefined ? message : `${workspace}: ${message}`
      this.#pino[level](fields, [told, ...clean.map(line => `    ${line}`)].join('\n'))
    }
    if (level === 'error' || level === 'fatal') this.#gathering.flushSync()
  }

  /** One request, once it is settled. */
  call(settled: CallRecord, cause: unknown): void {
    const { workspace } = this.#options
    const record = workspace === undefined ? settled : { ...settled, endpoint: `/w/${workspace}${settled.endpoint}` }
    const level = levelOf(record)
    if (!this.#lets('requests', level)) return
    const more = record.failure === undefined ? NOTHING : this.#reasons(record, cause)
    const line =
      this.#style === undefined ? jsonLine(record, level, more) : prettyLine(record, level, more, this.#style.colors)
    this.#gathering.write(line)
  }

  /** A mistake of ours. */
  bug(error: unknown, where: string, level: 'error' | 'fatal' = 'error'): void {
    const { secrets } = this.#options
    const told = error instanceof Error ? error : new Error(String(error))
    const stack = secrets.redact(told.stack ?? told.message)
    this.event(
      level,
      `a bug of the gateway: ${where}`,
      {},
      stack.split('\n').map(line => line.trim())
    )
  }

  flush(): void {
    this.#gathering.flushSync()
  }

  /** Why a request failed, in words that hold nothing of the conversation. */
  #reasons(record: CallRecord, cause: unknown): Record<string, string> {
    const reasons: Record<string, string> = {}
    // What an upstream says of a request it refused may quote the prompt.
    if (record.failureMessage !== undefined && !QUOTES.has(record.failure ?? ''))
      reasons['reason'] = this.#options.secrets.redact(record.failureMessage.slice(0, MOST_SAID))
    if (cause instanceof Error) {
      const { code } = cause as { code?: string }
      reasons['cause'] = this.#options.secrets.redact(
        `${code === undefined ? '' : `${code}: `}${cause.message}`.slice(0, MOST_SAID)
      )
    }
    return reasons
  }

  #put(line: string): void {
    this.#gathering.write(this.#style === undefined ? line : this.#style.pretty(line))
  }
}

/** `silent` is above all. */
function weightOf(level: string): number {
  return pino.levels.values[level] ?? Number.POSITIVE_INFINITY
}

const NOTHING = {}
const MOST_SAID = 300
const QUOTES: ReadonlySet<string> = new Set(['upstream-rejected', 'context-exceeded'])

/** Read only when wanted: it takes 40 ms of a start that has few. */
async function prettyStyle(terminal: boolean): Promise<Style> {
  const { prettyFactory } = await import('pino-pretty')
  const colorize = terminal && pc.isColorSupported
  const pretty = prettyFactory({
    colorize,
    translateTime: 'SYS:HH:MM:ss',
    // What people should know stands in the message.
    hideObject: true,
    customPrettifiers: {
      time: time => String(time).replace(/[[\]]/g, ''),
      level: (_level, _key, _log, { labelColorized }) => labelColorized
    }
  })
  return { pretty, colors: pc.createColors(colorize) }
}
